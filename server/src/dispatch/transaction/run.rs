//! Running a connection's work on the shards that are here: its own, or all in a session.
//!
//! Every shard's part becomes one batch of its log. Commands take their ordinary way (`route`);
//! since every shard is at hand, whatever they would send elsewhere is executed at once.
//! ORDER: the whole reply waits for every part, so it stands behind one gate per shard at its
//! start, put there before anything of it can leave.

use super::{
    super::{
        everywhere::Task,
        is_write,
        table::{self, Target},
    },
    Work, write_null,
};
use crate::{
    families::{self, ServerSpec, Step},
    net::connection::Connection,
    runtime::{
        control::{GlobalOp, Wish},
        core::Core,
    },
    scripting::Held,
    session::{Peer, ReplyMode},
};
use quire_engine::{
    aof::{Participants, Transaction},
    command::{Args, CommandError, CommandSpec, Flags, OwnedArgs, Reply},
};
use std::{collections::BTreeSet, sync::atomic::Ordering};

/// A task that waits for the end of a session: connection and its generation, reply slot, task,
/// arguments, database.
pub(super) type AfterSession = (u32, u32, u32, Task, OwnedArgs, u16);

impl Core {
    /// Runs `work`, all of whose keys are on `shards`, which are all here. Nothing of the
    /// connection is out on another shard.
    pub(super) fn run_work(&mut self, conn: &mut Connection, work: &Work, shards: &BTreeSet<u16>) {
        let now = self.now_ms;
        let is_unchanged = work
            .watched
            .iter()
            .all(|key| self.shard_at(key.shard).is_some_and(|shard| key.holds(shard, now)));
        self.unwatch_held(work);
        if !is_unchanged {
            let mut reply = Vec::new();
            write_null(&mut reply, conn.session.resp3);
            self.append_reply(conn, &reply);
            return;
        }
        let at = conn.out.buf.len();
        let mode = std::mem::replace(&mut conn.session.reply_mode, ReplyMode::On);
        let transaction = self.shared_transaction(work, shards);
        for &id in shards {
            if let Some(shard) = self.shard_at(id) {
                shard.begin_transaction(transaction);
            }
        }
        self.executing = true;
        self.session.held = Held::of(shards, self.shards());
        self.session.is_transaction = !work.is_single;
        if !work.is_single {
            let mut head = Vec::new();
            Reply::new(&mut head, conn.session.resp3).array(work.commands.len());
            self.append_reply(conn, &head);
        }
        for args in &work.commands {
            self.run_queued(conn, args.as_args());
            // What is a transaction by itself has been seen when it came.
            if self.is_attentive && !work.is_single {
                self.show_queued_one(conn, args.as_args());
            }
        }
        self.executing = false;
        let mut gates = Vec::new();
        for &id in shards {
            let Some(shard) = self.shard_at(id) else { continue };
            let (lsn, wrote) = shard.end_transaction();
            if lsn != 0 {
                gates.push((id, lsn));
            }
            if wrote {
                conn.wrote(id, lsn);
            }
        }
        if let (Some(Transaction { id, .. }), false) = (transaction, gates.is_empty()) {
            // ORDER: while all participants are here: none has written its part yet, so none can
            // settle it before the others' parts are known.
            let parts: Vec<_> = gates.iter().map(|&(id, lsn)| (usize::from(id), lsn)).collect();
            self.shared.frontier.register(id, &parts);
        }
        if mode != ReplyMode::On && conn.slots.is_empty() {
            conn.out.buf.truncate(at);
            conn.session.reply_mode = if mode == ReplyMode::Skip { ReplyMode::On } else { mode };
        } else {
            gates.iter().for_each(|&(id, lsn)| conn.out.gate(at, id, lsn, self.turn));
        }
    }

    /// What ties the parts of a transaction together in the logs, when it may write on several.
    fn shared_transaction(&self, work: &Work, shards: &BTreeSet<u16>) -> Option<Transaction> {
        let may_write = work.commands.iter().any(|args| match table::lookup(args.as_args()) {
            Some(Target::Shard { spec, .. }) => is_write(spec),
            Some(Target::Server { spec, .. }) => {
                spec.flags.has(Flags::WRITE) || spec.flags.has(Flags::MAY_REPLICATE)
            }
            None => false,
        });
        if !may_write || shards.len() < 2 {
            return None;
        }
        // One session at a time gives ids out, so their order is that of every log.
        let id = self.shared.transactions.fetch_add(1, Ordering::Relaxed) + 1;
        let participants = shards.iter().map(|&id| usize::from(id)).collect::<Participants>();
        Some(Transaction { id, participants })
    }

    /// The transaction no longer watches anything, whatever becomes of it.
    fn unwatch_held(&mut self, work: &Work) {
        for key in &work.watched {
            let db = usize::from(key.db);
            if let Some(shard) = self.shard_at(key.shard) {
                shard.unwatch(db, &key.key);
            }
        }
    }

    fn run_queued(&mut self, conn: &mut Connection, args: Args<'_>) {
        self.timings.start();
        match table::lookup(args) {
            Some(Target::Shard { spec, id }) => {
                self.route(conn, spec, id, args);
            }
            Some(Target::Server { spec, id }) => self.run_server_command(conn, spec, id, args),
            None => {}
        }
    }

    /// A command about connection or server inside a transaction.
    pub fn run_server_command(
        &mut self,
        conn: &mut Connection,
        spec: &'static ServerSpec,
        id: u16,
        args: Args<'_>,
    ) {
        let Ok((spec, offset)) = spec.resolve(args) else { return };
        let id = id + offset;
        let begun = self.timings.begun();
        let mut out = Vec::new();
        let step = match (spec.run)(self, conn, args, &mut out) {
            Ok(step) => step,
            Err(error) => {
                out.clear();
                self.count_error(&error);
                self.timings.failed(id);
                Reply::new(&mut out, conn.session.resp3).error(error.text());
                Step::Reply
            }
        };
        match step {
            Step::Reply => self.append_reply(conn, &out),
            Step::CloseAfterReply => {
                self.append_reply(conn, &out);
                conn.close_after_reply = true;
            }
            Step::Close => self.begin_close(conn),
            Step::Everywhere(task) if conn.session.peer == Peer::Script => {
                self.run_for_script(conn, task, args, &mut out);
                self.append_reply(conn, &out);
            }
            Step::Everywhere(task) => self.run_after(conn, task, args),
            Step::Functions => {
                match families::functions::change_here(self, args, &mut out) {
                    // The whole reply waits for the whole transaction.
                    Ok(_) => {}
                    Err(error) => {
                        out.clear();
                        self.count_error(&error);
                        self.timings.failed(id);
                        Reply::new(&mut out, conn.session.resp3).error(error.text());
                    }
                }
                self.append_reply(conn, &out);
            }
            Step::Script => {
                if let Err(error) = self.run_script_held(conn, spec, id, args, &mut out) {
                    self.count_error(&error);
                    self.timings.failed(id);
                    Reply::new(&mut out, conn.session.resp3).error(error.text());
                }
                self.append_reply(conn, &out);
            }
            Step::Global(op) => {
                let result = self.run_global(op);
                let mut reply = Reply::new(&mut out, conn.session.resp3);
                match result {
                    Ok(()) => reply.ok(),
                    Err(error) => reply.error(error.text()),
                }
                self.append_reply(conn, &out);
            }
            Step::RewriteConfig { all } => self.start_rewrite(conn, all),
            Step::Wish(wish) => {
                self.schedule(wish, &mut out);
                self.append_reply(conn, &out);
            }
            Step::Blocked | Step::Exec | Step::Watch => {
                unreachable!("{} is not queued, or does not wait in a transaction", spec.name)
            }
        }
        let ticks = self.timings.since(begun);
        self.account(conn, id, spec.flags, args, ticks);
    }

    /// A task of all cores that a script has asked for. It cannot wait for the others: theirs are
    /// the figures that they have published last.
    fn run_for_script(
        &mut self,
        conn: &mut Connection,
        task: Task,
        args: Args<'_>,
        out: &mut Vec<u8>,
    ) {
        let mut own = Vec::new();
        task.run(self, None, conn.session.db, args, &mut own);
        task.join(self, conn, args, &[own], out);
    }

    /// A snapshot that a transaction wants begins when it can, as in Redis.
    fn schedule(&self, wish: Wish, out: &mut Vec<u8>) {
        let refusal = match wish {
            Wish::Load(_) => Some("ERR Loading files is not possible inside MULTI"),
            Wish::Log(_) => Some("ERR CONFIG SET appendonly is not possible inside MULTI"),
            _ => None,
        };
        if let Some(refusal) = refusal {
            Reply::new(out, false).error(refusal);
            return;
        }
        let saving = &self.shared.saving;
        let (kind, scheduled, busy) = match wish {
            Wish::BgRewriteAof => (
                &saving.bases,
                "Background append only file rewriting scheduled",
                "ERR Background append only file rewriting already in progress",
            ),
            _ => (
                &saving.dumps,
                "Background saving scheduled",
                "ERR Background save already in progress",
            ),
        };
        let mut reply = Reply::new(out, false);
        if kind.is_running() {
            reply.error(busy);
            return;
        }
        // Core 0 looks every tick.
        kind.scheduled.store(true, Ordering::Relaxed);
        reply.simple(scheduled);
    }

    /// A task of all cores. It cannot run while they lend their shards: then its answer comes when
    /// the session is over, in its place among the replies. Without a session nobody lends.
    fn run_after(&mut self, conn: &mut Connection, task: Task, args: Args<'_>) {
        let owned = OwnedArgs::from_slices(&args.iter_from(0).collect::<Vec<_>>());
        let seq = self.open_task(conn, task, owned.clone(), self.shards());
        let db = conn.session.db as u16;
        if self.session.lent.is_empty() {
            // The other cores have their shards: they are asked, not stood in for.
            self.executing = false;
            self.ask_everywhere(conn, seq, task, db, args);
            self.executing = true;
        } else {
            self.session.after.push((conn.index, conn.generation, seq, task, owned, db));
        }
    }

    /// Empties databases inside a transaction: key by key, so that it is part of its batches.
    fn run_global(&mut self, op: GlobalOp) -> Result<(), CommandError> {
        let (databases, lazily) = match op {
            GlobalOp::FlushAll { lazily } => (0..self.shared.options.databases, lazily),
            GlobalOp::FlushDb { db, lazily } => (usize::from(db)..usize::from(db) + 1, lazily),
            GlobalOp::SwapDb(..) | GlobalOp::Reload(_) | GlobalOp::LoadLog | GlobalOp::EndLog => {
                return Err(CommandError::new(
                    "ERR SWAPDB is not possible inside MULTI or a script",
                ));
            }
        };
        let now = self.now_ms;
        for id in 0..self.shards() as u16 {
            if let Some(shard) = self.shard_at(id) {
                shard.flush(databases.clone(), now, lazily)?;
            }
        }
        Ok(())
    }

    /// Runs a command on a lent shard, for a connection of this core.
    pub fn run_lent(
        &mut self,
        conn: &mut Connection,
        spec: &'static CommandSpec,
        id: u16,
        args: Args<'_>,
        at: u16,
    ) {
        let (db, resp3, now) = (conn.session.db, conn.session.resp3, self.now_ms);
        let no_touch = conn.session.no_touch;
        let Some(shard) = self.shard_at(at) else { return };
        shard.keeps_access = no_touch;
        let mut reply = Vec::new();
        shard.execute(spec, db, now, resp3, args, &mut reply);
        self.append_reply(conn, &reply);
        let ticks = self.timings.lap();
        self.account(conn, id, spec.flags, args, ticks);
    }
}
