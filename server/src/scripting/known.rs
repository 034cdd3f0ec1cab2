//! What is known of a script before it runs: what it says of itself.

use super::{
    header::{ScriptFlags, of_script},
    registry::from_hex,
};
use crate::runtime::shared::Shared;
use quire_engine::command::Args;

/// The flags of the script or function that a command of that own name would run; None: it runs none,
/// or one that nobody knows.
pub fn known_flags(shared: &Shared, name: &str, args: Args<'_>) -> Option<ScriptFlags> {
    let subject = args.try_get(1)?;
    match name.trim_end_matches("_ro") {
        "eval" => of_script(subject).ok().map(|(flags, _)| flags),
        "evalsha" => shared.scripts.get(&from_hex(subject)?).map(|script| script.flags),
        "fcall" => {
            let shelf = shared.libraries.shelf();
            let mut functions = shelf.of_function(subject)?.functions.iter();
            let is_it = |name: &[u8]| name.eq_ignore_ascii_case(subject);
            functions.find(|function| is_it(&function.name)).map(|function| function.flags)
        }
        _ => None,
    }
}
