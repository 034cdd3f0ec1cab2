//! One lookup for all commands: those of shards (engine) and those of the server.
//!
//! Every command has a number: the engine's its position in the engine's table, behind them the
//! server's, each container followed by its sub-commands.

use crate::{
    config::CommandNames,
    families::{self, ServerSpec},
};
use quire_engine::{
    command::{Args, CommandSpec, Flags},
    families::table,
};
use std::{
    collections::HashMap,
    sync::{LazyLock, OnceLock},
};

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
    Server {
        /// Its row; of a container, the container's.
        spec: &'static ServerSpec,
        /// The row's number.
        id: u16,
    },
}

static SERVER: LazyLock<HashMap<&'static str, (u16, &'static ServerSpec)>> = LazyLock::new(|| {
    let mut next = table::SPECS.len() as u16;
    let number = |spec: &'static ServerSpec| {
        let id = next;
        next += 1 + spec.subcommands.len() as u16;
        (spec.name, (id, spec))
    };
    families::all().map(number).collect()
});

static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let engine = table::SPECS.iter().map(|spec| spec.name);
    let server = families::all().flat_map(|spec| {
        std::iter::once(spec.name).chain(spec.subcommands.iter().map(|sub| sub.name))
    });
    engine.chain(server).collect()
});

/// Flags of a command of the engine.
pub fn engine_flags(id: u16) -> Flags {
    table::SPECS[id as usize].flags
}

/// The name of every command and sub-command, by number.
pub fn names() -> &'static [&'static str] {
    &NAMES
}

/// Which of the engine's commands have sub-commands.
static CONTAINERS: LazyLock<Vec<bool>> =
    LazyLock::new(|| table::SPECS.iter().map(|spec| table::is_container(spec)).collect());

/// What clients call commands, once and if `rename-command` changed that.
static RENAMED: OnceLock<CommandNames> = OnceLock::new();

/// Has commands found by these names only, from now on. At start, once.
pub fn rename(names: CommandNames) {
    // Fails for a second server in one process, which tests do not rename.
    let _ = RENAMED.set(names);
}

/// The own names of all commands.
pub fn command_names() -> impl Iterator<Item = &'static str> {
    let engine = table::SPECS.iter().map(|spec| spec.name).filter(|name| !name.contains('|'));
    let server = families::all().map(|spec| spec.name).filter(|name| !name.contains('|'));
    engine.chain(server)
}

/// The own name of the command that clients call `name`, if `rename-command` left one.
#[inline]
pub fn own_name(name: &[u8]) -> Option<&[u8]> {
    match RENAMED.get() {
        None => Some(name),
        Some(names) => names.get(&name.to_ascii_lowercase()).map(|own| own.as_bytes()),
    }
}

/// True when some name leads to the command of this own name.
pub fn is_callable(own: &str) -> bool {
    RENAMED.get().is_none_or(|names| names.values().any(|name| *name == own))
}

/// The command these arguments name, in any case; of a container, the sub-command.
#[inline]
pub fn lookup(args: Args<'_>) -> Option<Target> {
    let name = own_name(args.get(0))?;
    if let Some(mut id) = table::find(name) {
        if CONTAINERS[id as usize]
            && let Some(sub) = args.try_get(1)
        {
            let container = table::SPECS[id as usize];
            match table::find_sub(container, sub) {
                Some(sub) => id = sub,
                None => {
                    if let Some(target) = server_sub(container.name, sub) {
                        return Some(target);
                    }
                }
            }
        }
        return Some(Target::Shard { spec: table::SPECS[id as usize], id });
    }
    let mut folded = [0u8; 32];
    let folded = folded.get_mut(..name.len())?;
    folded.copy_from_slice(name);
    folded.make_ascii_lowercase();
    let name = std::str::from_utf8(folded).ok()?;
    SERVER.get(name).map(|&(id, spec)| Target::Server { spec, id })
}

/// True when that is the row of a container of the engine: found only when the sub-command is not.
#[inline]
pub fn is_container(id: u16) -> bool {
    CONTAINERS[usize::from(id)]
}

/// The server's sub-command of a container of the engine.
#[cold]
fn server_sub(container: &str, sub: &[u8]) -> Option<Target> {
    let sub = std::str::from_utf8(sub).ok()?;
    let name = format!("{container}|{}", sub.to_ascii_lowercase());
    SERVER.get(name.as_str()).map(|&(id, spec)| Target::Server { spec, id })
}

#[cfg(test)]
mod tests {
    use super::*;
    use quire_engine::command::OwnedArgs;

    #[test]
    fn every_command_has_a_number_of_its_own() {
        for (expected, name) in names().iter().enumerate() {
            let args = OwnedArgs::from_slices(&name.split('|').collect::<Vec<_>>());
            let id = match lookup(args.as_args()) {
                Some(Target::Shard { id, .. }) => id,
                Some(Target::Server { spec, id }) => {
                    let sub = spec.subcommands.iter().position(|sub| sub.name == *name);
                    id + sub.map_or(0, |sub| sub as u16 + 1)
                }
                None => panic!("{name} is not found"),
            };
            assert_eq!(usize::from(id), expected, "{name}");
        }
    }
}
