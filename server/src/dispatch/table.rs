//! One lookup for all commands: those of shards (engine) and those of the server.

use crate::families::{self, ServerSpec};
use quire_engine::{
    command::{Args, CommandSpec},
    families::table,
};
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

/// Which of the engine's commands have sub-commands.
static CONTAINERS: LazyLock<Vec<bool>> =
    LazyLock::new(|| table::SPECS.iter().map(|spec| table::is_container(spec)).collect());

/// The command these arguments name, in any case; of a container, the sub-command.
#[inline]
pub fn lookup(args: Args<'_>) -> Option<Target> {
    let name = args.get(0);
    if let Some(mut id) = table::find(name) {
        if CONTAINERS[id as usize]
            && let Some(sub) = args.try_get(1)
        {
            id = table::find_sub(table::SPECS[id as usize], sub).unwrap_or(id);
        }
        return Some(Target::Shard { spec: table::SPECS[id as usize], id });
    }
    let mut folded = [0u8; 32];
    let folded = folded.get_mut(..name.len())?;
    folded.copy_from_slice(name);
    folded.make_ascii_lowercase();
    let name = std::str::from_utf8(folded).ok()?;
    SERVER.get(name).map(|spec| Target::Server(spec))
}
