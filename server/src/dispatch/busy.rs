//! While a script is busy: what a core still does, and what it refuses.
//!
//! The core that runs the script, and those that have lent it their shards, cannot take a turn. They
//! take the sockets' part of one instead, from the script's hook or between two looks for their
//! shard: what has come is read, commands that are allowed then are executed, the others are told
//! BUSY, and what was answered is sent. Nothing touches a shard or a log, and mail lies where it is,
//! new connections apart: whatever it asks for needs the turn to be over. What another core had sent
//! to a busy shard before it was known to be busy waits for the end of the script.
//!
//! ORDER: what has happened on the ring is worked on in its order, per connection: what cannot be
//! dealt with now (it concerns the connection whose command this is, or the log) stays in the core's list of
//! completions for the end of the turn, and nothing of that connection overtakes it.
//!
//! Cores that have nothing to do with the script go on; what needs a busy shard is told BUSY too.

use super::{
    Taken,
    table::{self, Target},
    transaction,
};
use crate::{
    families::{ServerSpec, Step},
    net::connection::{Connection, Parked},
    resp::Parsed,
    runtime::{core::Core, ring::Op},
};
use quire_engine::command::{Args, CommandError, CommandSpec, Flags, OwnedArgs};
use std::{collections::BTreeSet, time::Duration};

/// How long a core that has lent its shard to a busy script sleeps between two looks for it.
const LOOK_EVERY: Duration = Duration::from_millis(5);

impl Core {
    /// From the hook of a script that is busy here.
    pub fn serve_while_busy(&mut self) {
        self.serve_sockets(None);
    }

    /// While the shard is lent to a script that is busy elsewhere.
    pub fn wait_while_busy(&mut self) {
        self.serve_sockets(Some(LOOK_EVERY));
    }

    fn serve_sockets(&mut self, wait: Option<Duration>) {
        let frozen = std::mem::replace(&mut self.frozen, true);
        self.is_serving_busy = true;
        self.ring.enter(wait, 1);
        let mut at = self.take_completions();
        while let Some(&c) = self.completions.get(at) {
            let conn =
                |core: &Self| core.conns.get(c.token.index as usize).is_some_and(Option::is_some);
            let is_done = match c.token.op {
                Op::Receive if conn(self) => {
                    self.received(c);
                    true
                }
                Op::Send if conn(self) => {
                    self.send_done(c);
                    true
                }
                Op::Accept => {
                    self.accepted(c);
                    true
                }
                Op::Ignore | Op::Doorbell => true,
                _ => false,
            };
            if is_done {
                self.completions.remove(at);
            } else {
                at += 1;
            }
        }
        // Who comes now is told too.
        for message in self.cell().mailbox.take_connections() {
            self.handle_control(message);
        }
        self.flush_connections();
        self.ring.submit_now();
        self.is_serving_busy = false;
        self.frozen = frozen;
    }

    /// Answers the commands at the start of `data`; how many bytes they took.
    #[cold]
    pub(super) fn consume_busy(&mut self, conn: &mut Connection, data: &[u8]) -> usize {
        let mut at = 0;
        let mut spans = Vec::new();
        while at < data.len() && !conn.close_after_reply && !conn.closing {
            let rest = &data[at..];
            let (taken, consumed) = match conn.parser.parse(rest, &mut spans) {
                Parsed::Complete { consumed } => {
                    (self.command_while_busy(conn, Args::new(rest, &spans)), consumed)
                }
                Parsed::Inline { consumed } => {
                    let parts: Vec<&[u8]> = conn.parser.inline_args().iter_from(0).collect();
                    let args = OwnedArgs::from_slices(&parts);
                    (self.command_while_busy(conn, args.as_args()), consumed)
                }
                Parsed::Nothing { consumed } => (Taken::Yes, consumed),
                // Whatever is wrong with it is told when the turn is over.
                Parsed::Incomplete { .. } | Parsed::Error(_) => break,
            };
            if taken == Taken::NotYet {
                break;
            }
            at += consumed;
        }
        at
    }

    fn command_while_busy(&mut self, conn: &mut Connection, args: Args<'_>) -> Taken {
        let (flags, id, is_exec) = match table::lookup(args) {
            None => {
                transaction::fail(conn);
                return self.refuse(conn, |core, _| core.unknown_command(args));
            }
            Some(Target::Shard { spec, id }) => (spec.flags, id, false),
            Some(Target::Server { spec, id }) => match spec.resolve(args) {
                Ok((sub, _)) if sub.flags.has(Flags::ALLOW_BUSY) => {
                    return self.server_command(conn, spec, id, args);
                }
                Ok((sub, offset)) => (sub.flags, id + offset, spec.name == "exec"),
                Err((error, offset)) => {
                    transaction::fail(conn);
                    return self.reject(conn, id + offset.unwrap_or(0), error);
                }
            },
        };
        if !conn.session.authenticated && !flags.has(Flags::NO_AUTH) {
            return self.reject(conn, id, super::NOAUTH);
        }
        let own = self.shared.busy.refusal(Some(self.id));
        // It has just ended: what is refused now is looked at again when the turn is over.
        let Some(error) = own.or_else(|| self.shared.busy.refusal(None)) else {
            return Taken::NotYet;
        };
        if is_exec {
            self.discard(conn);
            return self.reject(conn, id, transaction::aborted_by(&error));
        }
        transaction::fail(conn);
        self.reject(conn, id, error)
    }

    /// What a command of the shards is told when one that it needs is busy.
    #[cold]
    pub fn busy_refusal(&self, spec: &CommandSpec, args: Args<'_>) -> Option<CommandError> {
        if !self.shared.busy.any() {
            return None;
        }
        let mut shards = BTreeSet::new();
        self.add_owners(spec, args, &mut shards);
        self.busy_shard(&shards)
    }

    /// The same of what needs these shards.
    pub fn busy_shard(&self, shards: &BTreeSet<u16>) -> Option<CommandError> {
        if !self.shared.busy.any() {
            return None;
        }
        // Several are had only together with all others.
        if shards.len() > 1 {
            return self.shared.busy.refusal(None);
        }
        shards.iter().find_map(|&shard| self.shared.busy.refusal(Some(shard)))
    }

    /// What a command of the server is told when its next step needs other cores while one is busy.
    pub(super) fn busy_step(&self, spec: &ServerSpec, step: Step) -> Option<CommandError> {
        let needs_others = matches!(
            step,
            Step::Everywhere(_)
                | Step::Global(_)
                | Step::Wish(_)
                | Step::Watch
                | Step::Functions
                | Step::RewriteConfig { .. }
        );
        if !needs_others || spec.flags.has(Flags::ALLOW_BUSY) || !self.shared.busy.any() {
            return None;
        }
        self.shared.busy.refusal(None)
    }

    /// A script has become busy, or is no longer: everybody takes notice.
    pub fn note_busy(&self) {
        self.shared.attention.look();
        self.shared.lending.wake_all();
    }

    /// A connection whose input has come while nothing executes.
    pub(super) fn hold_input(&mut self, conn: &mut Connection) {
        if conn.parked == Parked::No {
            conn.parked = Parked::Frozen;
            self.resume_later.push(conn.index);
        }
    }
}
