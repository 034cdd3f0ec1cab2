//! MULTI, EXEC, WATCH: commands gathered by a connection and executed as one.
//!
//! ```text
//! queued -EXEC-> plan -> here:  all keys on this core's shard           -> run at once
//!                     -> there: all on one other shard, nothing else    -> one message to it
//!                     -> lend:  several shards take part                -> a session
//! ```
//! In a session (`session.rs`) the other cores lend their shards and this core runs everything
//! synchronously; commands over several shards that are no transaction (MSET ..) go the same way.
//! Whatever the plan, each shard's part is one batch of its log, and the reply waits for all of
//! them. Watched keys are counted by the shard that owns them; a transaction asks it whether they
//! are as they were seen.

mod remote;
mod run;
mod session;
mod watch;

use super::{
    Taken, is_write,
    table::{self, Target},
};
use crate::{
    families::ServerSpec,
    net::connection::{Connection, Parked},
    runtime::core::Core,
};
use quire_engine::{
    command::{Args, CommandError, CommandSpec, Fanout, Flags, OwnedArgs, Reply},
    families::table as engine_table,
    shard::Shard,
};
pub use session::{Session, Work};
use std::collections::BTreeSet;
pub use watch::{WatchedKey, join_watched, watch_here};

/// EXEC after an error.
const EXECABORT: CommandError =
    CommandError::new("EXECABORT Transaction discarded because of previous errors.");

/// What a connection has gathered.
#[derive(Debug, Default)]
pub struct Multi {
    /// Between MULTI and EXEC.
    pub is_open: bool,
    /// A command was refused: EXEC will be.
    pub failed: bool,
    /// The commands, in order.
    pub commands: Vec<OwnedArgs>,
    /// Flags that some of them have.
    pub flags: Flags,
    /// Watched keys.
    pub watched: Vec<WatchedKey>,
    /// Bytes of the commands and of the watched keys.
    bytes: usize,
}

impl Multi {
    /// Bytes of memory that commands and watched keys take.
    pub fn memory_bytes(&self) -> usize {
        self.bytes
    }

    fn queue(&mut self, args: Args<'_>) {
        let args = OwnedArgs::from_slices(&args.iter_from(0).collect::<Vec<_>>());
        self.bytes += args.as_args().bytes() + size_of::<OwnedArgs>();
        self.commands.push(args);
    }

    fn watch(&mut self, key: WatchedKey) {
        self.bytes += key.memory_bytes();
        self.watched.push(key);
    }

    /// The watched keys; none is any more.
    pub fn take_watched(&mut self) -> Vec<WatchedKey> {
        self.bytes -= self.watched.iter().map(WatchedKey::memory_bytes).sum::<usize>();
        std::mem::take(&mut self.watched)
    }
}

/// Which shards a transaction is about.
enum Plan {
    Here,
    There(u16),
    Lend(BTreeSet<u16>),
}

impl Core {
    /// A command between MULTI and EXEC: queued, or refused; None when it is to be executed.
    #[cold]
    pub fn queue_command(
        &mut self,
        conn: &mut Connection,
        target: Option<Target>,
        args: Args<'_>,
    ) -> Option<Taken> {
        let flags = match target {
            None => {
                fail(conn);
                return None;
            }
            Some(Target::Server { spec, .. }) if is_at_once(spec) => return None,
            Some(Target::Server { spec, id }) => match spec.resolve(args) {
                Ok((spec, offset)) if spec.flags.has(Flags::NO_MULTI) => {
                    fail(conn);
                    let error = "ERR Command not allowed inside a transaction";
                    return Some(self.reject(conn, id + offset, CommandError::new(error)));
                }
                Ok((spec, _)) => self.flags_of(conn, spec, args),
                Err((error, offset)) => {
                    fail(conn);
                    return Some(self.reject(conn, id + offset.unwrap_or(0), error));
                }
            },
            Some(Target::Shard { spec, id }) => {
                if let Err(error) = self.may_queue(spec, args) {
                    fail(conn);
                    return Some(self.reject(conn, id, error));
                }
                spec.flags
            }
        };
        if self.is_attentive && self.waits_for_pause(conn, flags) {
            return Some(Taken::NotYet);
        }
        let multi = conn.multi.get_or_insert_default();
        multi.flags = multi.flags.with(flags);
        multi.queue(args);
        if !Self::muted(conn) {
            self.append_reply(conn, b"+QUEUED\r\n");
        }
        Some(Taken::Yes)
    }

    /// What would refuse the command now refuses it when it is queued, as in Redis.
    fn may_queue(&mut self, spec: &CommandSpec, args: Args<'_>) -> Result<(), CommandError> {
        if !spec.accepts(args.len()) {
            return Err(CommandError::arity(spec.name));
        }
        if engine_table::is_container(spec)
            && let Some(sub) = args.try_get(1)
        {
            // Its sub-commands are found by themselves.
            let name = spec.name.to_ascii_uppercase();
            return Err(CommandError::unknown_subcommand(sub, &name));
        }
        let Some(shard) = self.shard.as_mut() else { return Err(super::LOADING) };
        if spec.flags.has(Flags::DENYOOM) && !shard.has_memory() {
            return Err(CommandError::OUT_OF_MEMORY);
        }
        if is_write(spec) { shard.staging.admit(args.bytes()) } else { Ok(()) }
    }

    /// EXEC: everything before it in the pipeline has been executed.
    pub fn exec(&mut self, conn: &mut Connection, id: u16, args: Args<'_>) -> Taken {
        let taken = self.start_work(conn, id, args);
        // In a session it is seen when that is over.
        if taken == Taken::Yes && self.is_attentive {
            self.show_monitors(conn, Flags::default(), args);
        }
        taken
    }

    fn start_work(&mut self, conn: &mut Connection, id: u16, args: Args<'_>) -> Taken {
        let Some(multi) = conn.multi.as_mut().filter(|multi| multi.is_open) else {
            self.timings.failed(id);
            return self.refuse(conn, |_, _| CommandError::new("ERR EXEC without MULTI"));
        };
        let may_write = multi.flags.has(Flags::WRITE);
        if !multi.failed && multi.commands.is_empty() && multi.watched.is_empty() {
            conn.multi = None;
            self.append_reply(conn, b"*0\r\n");
            return Taken::Yes;
        }
        if multi.failed {
            self.discard(conn);
            self.timings.failed(id);
            return self.refuse(conn, |_, _| EXECABORT);
        }
        if may_write && self.is_log_full() {
            conn.parked = Parked::LogFull;
            self.stalled.push(conn.index);
            return Taken::NotYet;
        }
        if let Some(error) = self.refusal(multi_flags(conn)) {
            self.discard(conn);
            return self.refuse(conn, |_, _| error);
        }
        let Some(multi) = conn.multi.take() else { return Taken::Yes };
        let Multi { commands, watched, .. } = *multi;
        let mut work = Work { commands, watched, is_single: false, exec: None };
        match self.plan(&work) {
            Plan::Here => {
                let own = BTreeSet::from([self.id]);
                self.run_work(conn, &work, &own);
                Taken::Yes
            }
            Plan::There(shard) if self.is_attentive && self.shared.busy.any() => {
                // It is refused if that shard is busy.
                self.ask_for_shards(conn, work, BTreeSet::from([shard]))
            }
            Plan::There(shard) => {
                self.send_work(conn, &work, shard);
                if self.is_attentive {
                    self.show_queued(conn, &work.commands);
                }
                Taken::Yes
            }
            Plan::Lend(shards) => {
                if self.is_attentive {
                    work.exec = Some(OwnedArgs::from_slices(&[args.get(0)]));
                }
                self.ask_for_shards(conn, work, shards)
            }
        }
    }

    /// Why a whole transaction is refused that was queued when it would not have been.
    fn refusal(&mut self, flags: Flags) -> Option<CommandError> {
        let shard = self.shard.as_mut()?;
        let error = if flags.has(Flags::DENYOOM) && !shard.has_memory() {
            CommandError::OUT_OF_MEMORY
        } else if flags.has(Flags::WRITE)
            && let Err(error) = shard.staging.admit(0)
        {
            error
        } else {
            return None;
        };
        Some(aborted_by(&error))
    }

    /// Forgets what was gathered and what is watched.
    pub fn discard(&mut self, conn: &mut Connection) {
        if let Some(multi) = conn.multi.take() {
            self.unwatch(&multi.watched);
        }
    }

    /// Which shards are needed.
    fn plan(&self, work: &Work) -> Plan {
        let mut shards: BTreeSet<u16> = work.watched.iter().map(|key| key.shard).collect();
        let mut is_bound = false;
        for args in &work.commands {
            let args = args.as_args();
            match table::lookup(args) {
                Some(Target::Shard { spec, .. }) => self.add_owners(spec, args, &mut shards),
                Some(Target::Server { spec, .. }) => {
                    is_bound = true;
                    if spec.name == "function" {
                        shards.insert(0);
                    }
                    if Self::concerns_all_shards(spec) || Self::runs_script(spec) {
                        shards.extend(0..self.shards() as u16);
                    }
                }
                None => {}
            }
        }
        let mut of = shards.iter();
        match (of.next(), of.next()) {
            (None, _) => Plan::Here,
            (Some(&only), None) if only == self.id => Plan::Here,
            (Some(&only), None) if !is_bound => Plan::There(only),
            _ => Plan::Lend(shards),
        }
    }

    /// The shards a command of theirs is executed on.
    pub fn add_owners(&self, spec: &CommandSpec, args: Args<'_>, shards: &mut BTreeSet<u16>) {
        match spec.fanout {
            Fanout::EveryShardSum | Fanout::EveryShardJoin | Fanout::EveryShardDraw => {
                shards.extend(0..self.shards() as u16);
            }
            Fanout::Lookups if self.looks_elsewhere(args) => {
                shards.extend(0..self.shards() as u16);
            }
            Fanout::Cursor => {
                shards.insert(self.shard_of_cursor(args));
            }
            _ => shards.extend(spec.keys.positions(args).map(|at| self.owner_of(args.get(at)))),
        }
    }

    /// A command that writes on several shards: a transaction of its own.
    pub fn run_alone(
        &mut self,
        conn: &mut Connection,
        spec: &'static CommandSpec,
        args: Args<'_>,
    ) -> Taken {
        let mut shards = BTreeSet::new();
        self.add_owners(spec, args, &mut shards);
        let commands = vec![OwnedArgs::from_slices(&args.iter_from(0).collect::<Vec<_>>())];
        let work = Work { commands, watched: Vec::new(), is_single: true, exec: None };
        self.ask_for_shards(conn, work, shards)
    }

    /// Works as if a lent shard were this core's.
    pub fn as_shard<R>(&mut self, id: u16, work: impl FnOnce(&mut Self) -> R) -> R {
        let exchange = |core: &mut Self| {
            let Some(own) = core.shard.as_mut() else { return };
            if let Some(Some(lent)) = core.session.lent.get_mut(usize::from(id)) {
                std::mem::swap(own, &mut **lent);
            }
        };
        exchange(self);
        let result = work(self);
        exchange(self);
        result
    }

    /// The shard of that number, this core's or a lent one.
    pub fn shard_at(&mut self, id: u16) -> Option<&mut Shard> {
        if id == self.id {
            return self.shard.as_mut();
        }
        self.session.lent.get_mut(usize::from(id))?.as_deref_mut()
    }
}

/// EXEC's answer when it is refused itself.
pub fn aborted_by(error: &CommandError) -> CommandError {
    let text = error.text().strip_prefix(b"ERR ").unwrap_or(error.text());
    let parts: [&[u8]; 2] = [b"EXECABORT Transaction discarded because of: ", text];
    CommandError::of_bytes(parts.concat())
}

fn multi_flags(conn: &Connection) -> Flags {
    conn.multi.as_ref().map_or(Flags::default(), |multi| multi.flags)
}

/// A command inside MULTI was refused: EXEC will be.
pub fn fail(conn: &mut Connection) {
    if let Some(multi) = conn.multi.as_mut() {
        multi.failed = true;
    }
}

/// True for commands that a transaction does not queue.
fn is_at_once(spec: &ServerSpec) -> bool {
    matches!(spec.name, "exec" | "discard" | "multi" | "watch" | "quit" | "reset")
}

/// The reply of a transaction that was not executed because a watched key has changed.
fn write_null(out: &mut Vec<u8>, resp3: bool) {
    Reply::new(out, resp3).null_array();
}
