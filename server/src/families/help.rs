//! HELP of containers, and what a container says without a sub-command.

use super::Step;
use crate::{net::connection::Connection, runtime::core::Core};
use quire_engine::command::{Args, CommandError, Reply};

/// Writes the lines between Redis' head and foot.
pub(super) fn write(container: &str, lines: &[&str], conn: &Connection, out: &mut Vec<u8>) {
    let mut reply = Reply::new(out, conn.session.resp3);
    reply.array(lines.len() + 3);
    reply.simple(&format!("{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for line in lines {
        reply.simple(line);
    }
    reply.simple("HELP");
    reply.simple("    Prints this help.");
}

/// A container alone is nothing; its arity says so before this could run.
pub(super) fn bare_container(
    _core: &mut Core,
    _conn: &mut Connection,
    args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    Err(CommandError::arity(&String::from_utf8_lossy(args.get(0)).to_lowercase()))
}

/// A sub-command that takes fewer arguments than it was given.
pub(super) fn wrong_arguments(args: Args<'_>) -> CommandError {
    let sub = args.try_get(1).unwrap_or_default();
    CommandError::owned(format!(
        "ERR unknown subcommand or wrong number of arguments for '{}'. Try {} HELP.",
        String::from_utf8_lossy(&sub[..sub.len().min(128)]),
        String::from_utf8_lossy(args.get(0)).to_uppercase()
    ))
}
