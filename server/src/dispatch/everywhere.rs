//! Tasks that are no commands of their own: run on one or every core, answers joined.
//!
//! They travel with ordinary commands (same FIFO), so they are ordered among them.

use super::hop::{RequestHead, Return};
use crate::{
    dispatch::{
        gather::{Gather, Join},
        transaction,
    },
    families,
    net::connection::Connection,
    observe::allocator,
    runtime::core::Core,
};
use quire_engine::{
    aof::Lsn,
    command::{Args, OwnedArgs, Reply},
    families::streams::deliver,
    shard::Exported,
};

/// A task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Task {
    /// Value and deadline of a key.
    Export,
    /// Is there such a key?
    Exists,
    /// Put a value in.
    Import,
    /// Delete a key.
    Discard,
    /// Digest parts of every database.
    Digest,
    /// Digests of single values.
    DigestValue,
    /// Lines of CLIENT LIST.
    ClientList,
    /// CLIENT KILL among this core's connections.
    ClientKill,
    /// CLIENT UNBLOCK among them.
    ClientUnblock,
    /// DEBUG OBJECT, where the key is.
    Object,
    /// DEBUG SET-ACTIVE-EXPIRE.
    ActiveExpire,
    /// Publish the figures that INFO shows.
    Figures,
    /// The same for LATENCY HISTOGRAM.
    Histograms,
    /// Set the counts of CONFIG RESETSTAT back.
    ResetStat,
    /// Do nothing for a while.
    Sleep,
    /// Make the log's operations fail.
    LogFault,
    /// Publish figures for MEMORY STATS.
    MemoryStats,
    /// The same for MEMORY DOCTOR.
    MemoryDoctor,
    /// Give back memory that this thread keeps.
    Purge,
    /// Watch a key.
    Watch,
    /// Watch it no longer.
    Unwatch,
    /// A transaction on this shard alone.
    Transaction,
    /// A command that may wait (see `blocking`).
    Attempt,
    /// A client waits here no longer.
    StopWaiting,
    /// A script (see `scripts`).
    Script,
    /// A change of the function libraries, on shard 0.
    Functions,
    /// Could this XREADGROUP read?
    CheckRead,
}

const TASKS: [Task; 27] = [
    Task::Export,
    Task::Exists,
    Task::Import,
    Task::Discard,
    Task::Digest,
    Task::DigestValue,
    Task::ClientList,
    Task::ClientKill,
    Task::ClientUnblock,
    Task::Object,
    Task::ActiveExpire,
    Task::Figures,
    Task::Histograms,
    Task::ResetStat,
    Task::Sleep,
    Task::LogFault,
    Task::MemoryStats,
    Task::MemoryDoctor,
    Task::Purge,
    Task::Watch,
    Task::Unwatch,
    Task::Transaction,
    Task::Attempt,
    Task::StopWaiting,
    Task::Script,
    Task::Functions,
    Task::CheckRead,
];

/// First number of tasks; commands' numbers are below.
const FIRST: u16 = 0xFF00;

/// The task a request names, if it is none of the command table.
pub fn task_of(what: u16) -> Option<Task> {
    TASKS.get(what.checked_sub(FIRST)? as usize).copied()
}

impl Task {
    /// Its number among commands.
    pub fn number(self) -> u16 {
        FIRST + self as u16
    }

    /// Runs on one core; `current` is the connection that asked, if it is this core's (it is out
    /// of the table meanwhile). The LSN the answer waits for.
    pub fn run(
        self,
        core: &mut Core,
        current: Option<&mut Connection>,
        db: usize,
        args: Args<'_>,
        out: &mut Vec<u8>,
    ) -> Lsn {
        match self {
            Task::DigestValue => families::debug::digest_values_here(core, db, args, out),
            Task::ClientList => families::client::list_here(core, current.as_deref(), args, out),
            Task::ClientKill => families::client::kill_here(core, current, args, out),
            Task::ClientUnblock => families::client_pause::unblock_here(core, args, out),
            Task::Object => families::debug::describe_here(core, db, args, out),
            Task::ActiveExpire => core.expires_actively = args.get(2) != b"0",
            Task::Figures => {
                families::information::publish_here(core, args);
                core.count_asker(current.as_deref());
            }
            Task::Histograms => core.report(true),
            Task::ResetStat => families::config::reset_here(core),
            Task::Sleep => families::debug::sleep_here(args),
            Task::LogFault => families::debug::inject_fault_here(core, args),
            Task::MemoryStats | Task::MemoryDoctor => {
                core.publish_figures();
                core.count_asker(current.as_deref());
            }
            Task::Purge => allocator::flush_thread_cache(),
            Task::StopWaiting => core.stop_waiting_here(args),
            Task::Functions => {
                return families::functions::change_here(core, args, out).unwrap_or_else(|error| {
                    core.count_error(&error);
                    Reply::new(out, false).error(error.text());
                    0
                });
            }
            _ => return self.run_on_shard(core, db, args, out),
        }
        0
    }

    fn run_on_shard(self, core: &mut Core, db: usize, args: Args<'_>, out: &mut Vec<u8>) -> Lsn {
        let now = core.now_ms;
        let Some(shard) = core.shard.as_mut() else { return 0 };
        match self {
            Task::Watch => {
                transaction::watch_here(shard, db, args.get(0), now, out);
                return 0;
            }
            Task::Unwatch => {
                shard.unwatch(db, args.get(0));
                return 0;
            }
            _ => {}
        }
        let mut reply = Reply::new(out, false);
        let result = match self {
            Task::Export => shard.export(db, args.get(0), now).map(|(found, gate)| {
                match found {
                    None => reply.null(),
                    Some(Exported { payload, deadline, encoding }) => {
                        reply.array(3);
                        reply.bulk(&payload);
                        reply.bulk_int(deadline.unwrap_or(i64::MIN));
                        reply.bulk(encoding.as_bytes());
                    }
                }
                gate
            }),
            Task::CheckRead => {
                shard.look(db, now, |cx| deliver::check(cx, args)).map(|((), gate)| {
                    reply.ok();
                    gate
                })
            }
            Task::Exists => shard.holds(db, args.get(0), now).map(|(holds, gate)| {
                reply.int(i64::from(holds));
                gate
            }),
            Task::Import => {
                let deadline = quire_engine::keyspace::canonical_int(args.get(2));
                let deadline = deadline.filter(|&at| at != i64::MIN);
                let encoding = args.try_get(3).unwrap_or_default();
                let imported = shard.import(db, args.get(0), args.get(1), deadline, encoding);
                imported.inspect(|_| {
                    shard.keep_as(db, args.get(0), encoding);
                    reply.ok();
                })
            }
            Task::Discard => shard.discard(db, args.get(0)).map(|(removed, gate)| {
                reply.int(i64::from(removed));
                gate
            }),
            Task::Digest => {
                reply.array(shard.keyspace.databases());
                for db in 0..shard.keyspace.databases() {
                    match shard.digest(db) {
                        Some(digest) => reply.bulk(digest.hex().as_bytes()),
                        None => reply.null(),
                    }
                }
                Ok(shard.staging.last_lsn())
            }
            // No shard takes part in these, or they have a way of their own.
            Task::DigestValue
            | Task::ClientList
            | Task::ClientKill
            | Task::ClientUnblock
            | Task::Object
            | Task::ActiveExpire
            | Task::Figures
            | Task::Histograms
            | Task::ResetStat
            | Task::Sleep
            | Task::LogFault
            | Task::MemoryStats
            | Task::MemoryDoctor
            | Task::Purge
            | Task::Watch
            | Task::Unwatch
            | Task::Transaction
            | Task::Attempt
            | Task::StopWaiting
            | Task::Script
            | Task::Functions => Ok(0),
        };
        match result {
            Ok(gate) => gate,
            Err(error) => {
                Reply::new(out, false).error(error.text());
                0
            }
        }
    }

    /// Whether a value that was just read is of a cut; of other tasks it is not asked.
    pub(super) fn is_as_of(self, core: &mut Core, cut: u64, db: u16, args: Args<'_>) -> bool {
        let Some(shard) = core.shard.as_mut() else { return false };
        self == Task::Export && shard.is_as_of(cut, usize::from(db), [args.get(0)])
    }

    /// Joins the answers of all cores to the reply.
    pub fn join(
        self,
        core: &Core,
        conn: &mut Connection,
        args: Args<'_>,
        parts: &[Vec<u8>],
        out: &mut Vec<u8>,
    ) {
        match self {
            Task::DigestValue => families::debug::join_digest_values(parts, out),
            Task::ClientList => families::client::join_lists(conn, parts, out),
            Task::ClientKill => families::client::join_kills(args, parts, out),
            Task::ClientUnblock => {
                let unblocked = parts.iter().map(|part| super::gather::integer(part)).sum();
                Reply::new(out, false).int(unblocked);
            }
            Task::Object => families::debug::join_descriptions(parts, out),
            Task::Figures => families::information::join_figures(core, conn, args, out),
            Task::Histograms => families::latency::join_histograms(core, conn, args, out),
            Task::ResetStat => {
                core.shared.reset_counts();
                Reply::new(out, false).ok();
            }
            Task::Sleep | Task::LogFault | Task::ActiveExpire => Reply::new(out, false).ok(),
            Task::Digest => families::debug::join_digests(parts, out),
            Task::MemoryStats => families::memory::join_stats(core, conn, out),
            Task::MemoryDoctor => families::memory::join_diagnosis(core, conn, out),
            Task::Purge => families::memory::join_purge(out),
            Task::Watch => transaction::join_watched(conn, parts, out),
            // Asked for in other ways.
            Task::Unwatch
            | Task::Transaction
            | Task::Attempt
            | Task::StopWaiting
            | Task::Script
            | Task::CheckRead => {}
            Task::Export | Task::Exists | Task::Import | Task::Discard | Task::Functions => {
                out.extend_from_slice(&parts[0]);
            }
        }
    }
}

impl Core {
    /// Runs a task on every core for a connection.
    pub fn run_everywhere(&mut self, conn: &mut Connection, task: Task, args: Args<'_>) {
        let owned = OwnedArgs::from_slices(&args.iter_from(0).collect::<Vec<_>>());
        let seq = self.open_task(conn, task, owned, self.shards());
        self.ask_everywhere(conn, seq, task, conn.session.db as u16, args);
    }

    /// Opens a slot for the answer of a task of so many parts.
    pub fn open_task(
        &mut self,
        conn: &mut Connection,
        task: Task,
        args: OwnedArgs,
        parts: usize,
    ) -> u32 {
        let seq = conn.open_slot(self.id);
        if let Some(slot) = conn.slot(seq) {
            let join = Join::Task(task, args);
            slot.gather = Some(Box::new(Gather::new(join, parts)));
        }
        seq
    }

    /// Asks every core for its part of a task.
    pub fn ask_everywhere(
        &mut self,
        conn: &mut Connection,
        seq: u32,
        task: Task,
        db: u16,
        args: Args<'_>,
    ) {
        let n = self.shards();
        // Own part last: it may close this very connection (CLIENT KILL).
        let own = self.id;
        for shard in (0..n as u16).filter(|&s| s != own).chain([own]) {
            self.task_at(conn, shard, task, seq, shard, db, args);
        }
    }

    /// Runs a task's part here or sends it.
    #[expect(clippy::too_many_arguments, reason = "a part is who, where, what and with what")]
    pub fn task_at(
        &mut self,
        conn: &mut Connection,
        shard: u16,
        task: Task,
        seq: u32,
        part: u16,
        db: u16,
        args: Args<'_>,
    ) {
        let to = Return { seq, part, ..self.return_to(conn) };
        if shard != self.id && self.executing {
            return self.task_lent(conn, shard, task, seq, part, db, args);
        }
        if shard != self.id {
            conn.sent_out(shard);
            let (what, resp3) = (task.number(), conn.session.resp3);
            let (is_part, no_touch, cut) = (true, false, conn.cut_of(seq));
            let head = RequestHead { to, what, db, resp3, is_part, no_touch, cut };
            self.mesh.stage(shard, head, args.iter_from(0));
            return;
        }
        let mut answer = Vec::new();
        let gate = task.run(self, Some(conn), db as usize, args, &mut answer);
        if conn.slot(seq).is_some_and(|slot| slot.call.is_some()) {
            let ticks = self.timings.lap();
            self.charge(conn, seq, ticks);
        }
        if gate != 0 && matches!(task, Task::Import | Task::Discard | Task::Functions) {
            conn.wrote(shard, gate);
        }
        let cut = conn.cut_of(seq);
        let is_torn = cut != 0 && !task.is_as_of(self, cut, db, args);
        if let Some(mut gather) = conn.slot(seq).and_then(|s| s.gather.take()) {
            gather.is_torn |= is_torn;
            self.gathered(conn, seq, gather, part, (shard, gate), &answer);
        }
    }

    /// A task's part on a shard that another core has lent.
    #[expect(clippy::too_many_arguments, reason = "as above")]
    fn task_lent(
        &mut self,
        conn: &mut Connection,
        shard: u16,
        task: Task,
        seq: u32,
        part: u16,
        db: u16,
        args: Args<'_>,
    ) {
        let mut answer = Vec::new();
        let run = |core: &mut Self| task.run_on_shard(core, db as usize, args, &mut answer);
        let mut gate = self.as_shard(shard, run);
        if !self.session.is_rereading {
            // The whole reply waits for the whole transaction.
            gate = 0;
        }
        if let Some(gather) = conn.slot(seq).and_then(|s| s.gather.take()) {
            self.gathered(conn, seq, gather, part, (shard, gate), &answer);
        }
    }
}
