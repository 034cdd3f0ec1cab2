//! Commands about the connection or the process: one row beside each function.
//!
//! They run on the core of their connection, after everything before them in its pipeline.

use crate::{
    config::Allowed,
    dispatch::everywhere::Task,
    net::connection::Connection,
    runtime::{
        control::{GlobalOp, Wish},
        core::Core,
    },
    session::Peer,
};
use quire_engine::command::{Args, CommandError, Flags, Group, KeySpec};

/// What happens after a server command's function returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The reply is in the output.
    Reply,
    /// It is, and the connection is closed once it has left.
    CloseAfterReply,
    /// The connection is closed now, without a reply.
    Close,
    /// The reply comes later; input waits.
    Blocked,
    /// Run a task on every core and join the answers.
    Everywhere(Task),
    /// Change the whole data set.
    Global(GlobalOp),
    /// Execute what MULTI has queued.
    Exec,
    /// Watch the keys that the arguments name.
    Watch,
    /// Run the script that the arguments name.
    Script,
    /// Change the function libraries.
    Functions,
    /// Have core 0 see to snapshots, or to the end.
    Wish(Wish),
    /// Rewrite the configuration file, with every directive if `all`.
    RewriteConfig {
        /// Defaults too.
        all: bool,
    },
}

/// A server command's function: appends its reply to the buffer.
pub type ServerFn =
    fn(&mut Core, &mut Connection, Args<'_>, &mut Vec<u8>) -> Result<Step, CommandError>;

/// One server command, or sub-command.
#[derive(Debug)]
pub struct ServerSpec {
    /// Name, lower case; sub-commands as `config|get`, also those of a container of the engine.
    pub name: &'static str,
    /// Redis' arity, the name (and sub-command's name) counted.
    pub arity: i16,
    /// Flags.
    pub flags: Flags,
    /// Keys (for COMMAND GETKEYS).
    pub keys: KeySpec,
    /// Group.
    pub group: Group,
    /// ACL categories.
    pub acl: &'static [&'static str],
    /// First Redis version that has it.
    pub since: &'static str,
    /// Complexity.
    pub complexity: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Sub-commands, if it is a container.
    pub subcommands: &'static [ServerSpec],
    /// The function; for a container with a bare form (COMMAND), that form.
    pub run: ServerFn,
}

impl ServerSpec {
    /// The command or sub-command these arguments name, and how far its number is behind this
    /// row's; an arity that is wrong is an error of that row.
    ///
    /// # Errors
    /// The reply for the client, and the row it is about if there is one.
    pub fn resolve(
        &'static self,
        args: Args<'_>,
    ) -> Result<(&'static ServerSpec, u16), (CommandError, Option<u16>)> {
        let (mut spec, mut offset) = (self, 0);
        if !self.subcommands.is_empty() && args.len() > 1 {
            let sub = args.get(1);
            let find = |s: &&ServerSpec| {
                s.name.rsplit('|').next().is_some_and(|n| n.as_bytes().eq_ignore_ascii_case(sub))
            };
            let found = self.subcommands.iter().position(|s| find(&s));
            let at = found.ok_or_else(|| {
                let name = self.name.to_ascii_uppercase();
                (CommandError::unknown_subcommand(sub, &name), None)
            })?;
            (spec, offset) = (&self.subcommands[at], at as u16 + 1);
        }
        let n = args.len() as i32;
        let arity = i32::from(spec.arity);
        if (arity >= 0 && n != arity) || (arity < 0 && n < -arity) {
            return Err((CommandError::arity(spec.name), Some(offset)));
        }
        Ok((spec, offset))
    }
}

/// Every server command.
pub fn all() -> impl Iterator<Item = &'static ServerSpec> {
    FAMILIES.iter().flat_map(|family| family.iter())
}

/// True when `config` allows this client what it is about.
fn allows(config: Allowed, conn: &Connection) -> bool {
    match config {
        Allowed::No => false,
        Allowed::Yes => true,
        Allowed::Local => match &conn.session.peer {
            Peer::Tcp { remote, .. } => remote.ip().to_canonical().is_loopback(),
            Peer::Unix(_) | Peer::Script => true,
        },
    }
}

/// One line per family.
const FAMILIES: &[&[ServerSpec]] = &[
    backup::SPECS,
    client::SPECS,
    command::SPECS,
    config::SPECS,
    connection::SPECS,
    database::SPECS,
    debug::SPECS,
    durability::SPECS,
    functions::SPECS,
    information::SPECS,
    latency::SPECS,
    memory::SPECS,
    monitor::SPECS,
    scripting::SPECS,
    slowlog::SPECS,
    transactions::SPECS,
    snapshot::SPECS,
];

mod backup;
mod catalog;
pub mod client;
mod client_filter;
pub mod client_pause;
mod client_state;
mod command;
pub mod config;
mod connection;
mod database;
pub mod debug;
mod debug_protocol;
mod durability;
pub mod functions;
mod help;
pub mod information;
mod key_flags;
pub mod latency;
pub mod memory;
mod monitor;
mod scripting;
mod slowlog;
mod snapshot;
mod transactions;

pub use connection::REDIS_VERSION;

/// The row of a command of group `server` without keys or categories of its own, O(1).
const fn server_row(
    name: &'static str,
    arity: i16,
    flags: Flags,
    since: &'static str,
    summary: &'static str,
    run: ServerFn,
) -> ServerSpec {
    ServerSpec {
        name,
        arity,
        flags,
        keys: KeySpec::None,
        group: Group::Server,
        acl: &[],
        since,
        complexity: "O(1)",
        summary,
        subcommands: &[],
        run,
    }
}

/// The same of group `connection`.
const fn connection_row(
    name: &'static str,
    arity: i16,
    flags: Flags,
    since: &'static str,
    summary: &'static str,
    run: ServerFn,
) -> ServerSpec {
    ServerSpec { group: Group::Connection, ..server_row(name, arity, flags, since, summary, run) }
}
