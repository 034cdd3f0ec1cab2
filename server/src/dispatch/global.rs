//! FLUSHALL, FLUSHDB, SWAPDB: one change of the data set on all shards.
//!
//! Core 0 runs one at a time. With few keys (or without a log) a flush is deletions on every
//! shard, each shard's as one batch. Otherwise: *freeze* (every core executes nothing more, hands
//! its batches to the log and has them synced), then the librarian publishes the change by one
//! manifest rename, then *thaw* (every core applies it and goes on in its next segment). No core
//! executes anything between the freeze of the last and its own thaw, so no client sees half.

use super::reload::Reloading;
use crate::{
    net::connection::{Connection, Parked},
    runtime::{
        control::{Control, GlobalOp, Origin, Wish},
        core::Core,
        desk::Turn,
    },
};
use quire_engine::{
    aof::stamp_line,
    command::Reply,
    error::StorageError,
    manifest::{Position, Request},
};
use std::{collections::VecDeque, sync::atomic::Ordering};

/// Keys up to which a flush is deletions instead of a manifest switch.
const SMALL_FLUSH_KEYS: u64 = 10_000;

/// Core 0's queue of global operations.
#[derive(Default)]
pub struct Globals {
    queue: VecDeque<(GlobalOp, Origin)>,
    running: Option<Running>,
    /// What is being loaded in the operation that runs.
    pub(super) reloading: Option<Reloading>,
    /// The desk has been asked for a turn that has not ended.
    has_asked: bool,
}

struct Running {
    op: GlobalOp,
    origin: Origin,
    /// Answers still missing in this phase.
    missing: usize,
    gates: Vec<(u16, u64)>,
    positions: Vec<Position>,
    error: Option<String>,
}

impl Core {
    /// A connection asks for a global operation: it waits, core 0 gets the request.
    pub fn start_global(&mut self, conn: &mut Connection, op: GlobalOp) {
        // ORDER: nothing later of this connection executes before the change: what follows
        // SWAPDB means the other database, what follows a flush must survive it.
        let origin = self.await_answer(conn);
        self.shared.cores[0].mailbox.post(Control::Global(op, origin));
    }

    /// A connection wants something of snapshots: core 0 sees to it and answers.
    pub fn start_wish(&mut self, conn: &mut Connection, wish: Wish) {
        let origin = self.await_answer(conn);
        self.shared.cores[0].mailbox.post(Control::Wish(wish, Some(origin)));
    }

    /// The connection executes nothing more until its next reply has come.
    fn await_answer(&mut self, conn: &mut Connection) -> Origin {
        let seq = conn.open_slot(self.id);
        conn.parked = Parked::Order(None);
        Origin { core: self.id as usize, conn: conn.index, client: conn.session.id, seq }
    }

    /// Core 0: a request has come.
    pub fn global_requested(&mut self, op: GlobalOp, origin: Origin) {
        self.globals.queue.push_back((op, origin));
        if !self.globals.has_asked {
            self.globals.has_asked = true;
            if self.shared.desk.ask(Turn::Global) {
                self.begin_global();
            }
        }
    }

    /// Core 0 has the desk's turn: the next operation begins.
    pub fn begin_global(&mut self) {
        let Some((op, origin)) = self.globals.queue.pop_front() else {
            self.globals.has_asked = false;
            self.end_turn();
            return;
        };
        self.shared.desk.check(Turn::Global);
        self.globals.running = Some(Running {
            op,
            origin,
            missing: self.shards(),
            gates: Vec::new(),
            positions: Vec::new(),
            error: None,
        });
        if matches!(op, GlobalOp::FlushAll { .. }) {
            // ORDER: before the data set goes: a base of it that was completed afterwards would
            // bring it back.
            self.give_up_checkpoint(None);
        }
        let keys = |db: usize| self.shared.sum(|s| &s.keys[db]);
        let small = match op {
            GlobalOp::FlushAll { .. } => {
                (0..self.shared.options.databases).map(keys).sum::<u64>() <= SMALL_FLUSH_KEYS
            }
            GlobalOp::FlushDb { db, .. } => keys(db as usize) <= SMALL_FLUSH_KEYS,
            GlobalOp::SwapDb(..) | GlobalOp::Reload(_) | GlobalOp::LoadLog | GlobalOp::EndLog => {
                false
            }
        };
        if small {
            self.shared.broadcast(|| Control::FlushSmall(op));
        } else {
            self.shared.broadcast(|| Control::Freeze);
        }
    }

    /// Any core: delete what the operation names, key by key, as one batch.
    pub fn flush_small(&mut self, op: GlobalOp) {
        let (databases, lazily) = match op {
            GlobalOp::FlushAll { lazily } => (0..self.shared.options.databases, lazily),
            GlobalOp::FlushDb { db, lazily } => (db as usize..db as usize + 1, lazily),
            GlobalOp::SwapDb(..) | GlobalOp::Reload(_) | GlobalOp::LoadLog | GlobalOp::EndLog => {
                (0..0, false)
            }
        };
        let mut lsn = 0;
        let mut error = None;
        if let Some(shard) = self.shard.as_mut() {
            match shard.flush(databases, self.now_ms, lazily) {
                Ok(gate) => lsn = gate,
                Err(e) => error = Some(e.to_string()),
            }
        }
        self.publish_key_counts();
        let shard = self.id;
        self.shared.cores[0].mailbox.post(Control::Flushed { shard, lsn, error });
    }

    /// Core 0: a shard has done its part of a small flush.
    pub fn flushed(&mut self, shard: u16, lsn: u64, error: Option<String>) {
        let Some(running) = self.globals.running.as_mut() else { return };
        if lsn != 0 {
            running.gates.push((shard, lsn));
        }
        running.missing -= 1;
        running.error = error.or(running.error.take());
        if running.missing == 0 {
            self.finish_global();
        }
    }

    /// Core 0: a shard is frozen and synced (or its log has failed).
    pub fn one_frozen(&mut self, report: Result<Option<Position>, StorageError>) {
        let Some(running) = self.globals.running.as_mut() else { return };
        match report {
            Ok(position) => running.positions.extend(position),
            Err(error) => running.error = Some(misconf(&error)),
        }
        running.missing -= 1;
        if running.missing > 0 {
            return;
        }
        if running.error.is_some() {
            self.thaw_all();
            return;
        }
        let positions = std::mem::take(&mut running.positions);
        if let op @ (GlobalOp::Reload(_) | GlobalOp::LoadLog) = running.op {
            self.begin_reload(op, positions);
            return;
        }
        if running.op == GlobalOp::EndLog {
            self.shared.broadcast(|| Control::EndLog(false));
            return;
        }
        if positions.is_empty() {
            // No log: nothing to publish.
            self.thaw_all();
            return;
        }
        let second = self.live.aof_timestamp_enabled.then_some((self.now_ms / 1000) as u32);
        let stamped =
            |commands: Vec<u8>| [second.map(stamp_line).unwrap_or_default(), commands].concat();
        let request = match running.op {
            GlobalOp::FlushAll { .. } if self.shared.libraries.shelf().counts().0 > 0 => {
                // ORDER: functions survive FLUSHALL, so the files that hold them stay; a new
                // generation has none.
                let mut commands = Vec::new();
                for db in 0..self.shared.options.databases {
                    commands.extend(resp(&[&["SELECT", &db.to_string()], &["FLUSHDB"]]));
                }
                Request::Global { commands, positions }
            }
            GlobalOp::FlushAll { .. } => Request::NewGeneration { positions },
            GlobalOp::FlushDb { db, .. } => {
                let db = db.to_string();
                let commands = stamped(resp(&[&["SELECT", &db], &["FLUSHDB"]]));
                Request::Global { commands, positions }
            }
            GlobalOp::SwapDb(a, b) => {
                let commands = stamped(resp(&[&["SWAPDB", &a.to_string(), &b.to_string()]]));
                Request::Global { commands, positions }
            }
            GlobalOp::Reload(_) | GlobalOp::LoadLog | GlobalOp::EndLog => return,
        };
        self.librarian.send(request);
    }

    /// Core 0: the operation that runs has failed.
    pub(super) fn fail_global(&mut self, error: &str) {
        if let Some(running) = self.globals.running.as_mut() {
            running.error = Some(error.to_owned());
        }
        self.thaw_all();
    }

    /// Core 0: the librarian's answer.
    pub fn published(&mut self, result: Result<(), StorageError>) {
        if let (Some(running), Err(error)) = (self.globals.running.as_mut(), result) {
            running.error = Some(misconf(&error));
        }
        self.thaw_all();
    }

    /// Core 0: the operation takes effect, unless it has failed; everybody goes on.
    pub(super) fn thaw_all(&mut self) {
        let Some(running) = self.globals.running.as_ref() else { return };
        // ORDER: only after the manifest switch is stable does anybody apply the change, so
        // nothing acknowledged afterwards can be lost behind it.
        let op = running.error.is_none().then_some(running.op);
        self.shared.broadcast(|| Control::Thaw(op));
        self.finish_global();
    }

    /// Any core: apply the operation and go on.
    pub fn thaw(&mut self, op: Option<GlobalOp>) {
        if let (Some(op), Some(shard)) = (op, self.shard.as_mut()) {
            match op {
                GlobalOp::FlushAll { lazily } => {
                    shard.forget(0..shard.keyspace.databases(), self.now_ms, lazily);
                }
                GlobalOp::FlushDb { db, lazily } => {
                    shard.forget(db as usize..db as usize + 1, self.now_ms, lazily);
                }
                GlobalOp::SwapDb(a, b) => shard.swap_databases(a as usize, b as usize, self.now_ms),
                // The keys have been exchanged, the log has ended.
                GlobalOp::Reload(_) | GlobalOp::LoadLog | GlobalOp::EndLog => {}
            }
        }
        self.publish_key_counts();
        self.frozen = self.stopping;
        self.freeze_reported = false;
        self.walking.leave_gate();
        self.execute_deferred();
        for index in std::mem::take(&mut self.resume_later) {
            let Some(mut conn) = self.conns[index as usize].take() else { continue };
            if conn.parked == Parked::Frozen {
                self.unpark(&mut conn);
            }
            self.conns[index as usize] = Some(conn);
        }
    }

    fn finish_global(&mut self) {
        if let Some(Running { op, origin, gates, error, .. }) = self.globals.running.take() {
            if matches!(op, GlobalOp::Reload(_) | GlobalOp::LoadLog | GlobalOp::EndLog) {
                self.globals.reloading = None;
                self.checkpoints.is_reserved = false;
            }
            let result = error.map_or(Ok(()), Err);
            let done = Control::GlobalDone { origin, result, gates };
            self.shared.cores[origin.core].mailbox.post(done);
            if matches!(op, GlobalOp::FlushAll { .. }) && !self.live.save_points().is_empty() {
                // As in Redis: the old RDB file would bring all keys back.
                self.shared.saving.dumps.scheduled.store(true, Ordering::Relaxed);
            }
        }
        // Transactions that wait get their turn before the next operation does.
        self.globals.has_asked = !self.globals.queue.is_empty();
        if self.globals.has_asked && self.shared.desk.ask(Turn::Global) {
            self.begin_global();
            return;
        }
        self.end_turn();
    }

    /// The origin: reply.
    pub fn global_done(
        &mut self,
        origin: Origin,
        result: Result<(), String>,
        gates: Vec<(u16, u64)>,
    ) {
        let mut reply = Vec::new();
        match result {
            Ok(()) => Reply::new(&mut reply, false).ok(),
            Err(text) => Reply::new(&mut reply, false).error(&text),
        }
        self.answer(origin, &reply, gates);
    }

    /// The origin: the reply that a connection waits for has come.
    pub fn answer(&mut self, origin: Origin, reply: &[u8], gates: Vec<(u16, u64)>) {
        let Some(mut conn) = self.conns[origin.conn as usize].take() else { return };
        if conn.session.id == origin.client && !conn.closing {
            for &(shard, lsn) in &gates {
                conn.wrote(shard, lsn);
            }
            if let Some(slot) = conn.slot(origin.seq) {
                slot.more_gates = gates;
            }
            conn.fill_slot(origin.seq, (0, 0), reply, self.turn);
            if conn.parked == Parked::Order(None) && conn.outstanding == 0 && conn.slots.is_empty()
            {
                self.unpark(&mut conn);
            }
        }
        self.put_back(conn);
    }

    /// Any core: the same of a connection on any core.
    pub(super) fn answer_later(&self, origin: Origin, reply: Vec<u8>) {
        self.shared.cores[origin.core].mailbox.post(Control::Answer(origin, reply));
    }

    /// Any core, end of turn: once frozen and synced, say so.
    pub fn report_frozen(&mut self) {
        if !self.frozen || self.freeze_reported {
            return;
        }
        let id = self.id;
        let report = match (self.log.as_mut(), self.shard.as_ref()) {
            (Some(log), Some(shard)) => {
                if let Some(error) = log.failed() {
                    Err(error.clone())
                } else if log.is_rotating() {
                    return;
                } else {
                    let last_lsn = shard.staging.last_lsn();
                    Ok(Some(Position { shard: id, last_lsn, next: log.current().seq }))
                }
            }
            _ => Ok(None),
        };
        self.freeze_reported = true;
        self.shared.cores[0].mailbox.post(Control::Frozen(report));
    }
}

fn misconf(error: &StorageError) -> String {
    format!("MISCONF Errors writing to the AOF file: {}", error.reason())
}

/// Commands as RESP.
fn resp(commands: &[&[&str]]) -> Vec<u8> {
    let mut out = Vec::new();
    for command in commands {
        let mut reply = Reply::new(&mut out, false);
        reply.array(command.len());
        for part in *command {
            reply.bulk(part.as_bytes());
        }
    }
    out
}
