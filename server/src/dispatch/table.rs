//! One lookup for all commands: those of shards (engine) and those of the server.

use crate::families::{self, ServerSpec};
use quire_engine::command::{CommandSpec, table};
use std::{collections::HashMap, sync::LazyLock};

/// Who executes a command.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// The shard that owns its keys.
    Shard {
        /// Its row.
        spec: &'static CommandSpec,
        /// Its index in the engine's table.
        id: u16,
    },
    /// The core of the connection.
    Server(&'static ServerSpec),
}

static SERVER: LazyLock<HashMap<&'static str, &'static ServerSpec>> =
    LazyLock::new(|| families::all().map(|spec| (spec.name, spec)).collect());

/// The command of that name, in any case.
#[inline]
pub fn lookup(name: &[u8]) -> Option<Target> {
    if let Some((id, spec)) = table::lookup(name) {
        return Some(Target::Shard { spec, id });
    }
    let mut folded = [0u8; 32];
    let folded = folded.get_mut(..name.len())?;
    folded.copy_from_slice(name);
    folded.make_ascii_lowercase();
    let name = std::str::from_utf8(folded).ok()?;
    SERVER.get(name).map(|spec| Target::Server(spec))
}
