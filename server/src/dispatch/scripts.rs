//! Where a script runs: on this core's shard, on another's, or on all that it needs.
//!
//! ```text
//! its KEYS  -> none, or all here -> at once
//!           -> all on one other shard -> one message to it; the connection waits, for the script
//!                                        may turn out to need more
//!           -> on several -> a session (`transaction/session.rs`)
//! needs another shard before it has written -> run again in a session of all
//! ```
//! In MULTI a script may touch any key, so a transaction with one takes all shards.

use super::{
    Taken,
    account::Call,
    everywhere::Task,
    gather::{Gather, Join},
    hop::{Kind, RequestHead, Return, Written, put_reply},
    table::{self, Target},
    transaction::Work,
};
use crate::{
    families::ServerSpec,
    net::connection::{Connection, Parked},
    runtime::core::Core,
    scripting::{Held, Invocation, Ran, Subject},
};
use quire_engine::{
    aof::Lsn,
    command::{Args, CommandError, Flags, OwnedArgs, Reply},
};
use std::{collections::BTreeSet, sync::atomic::Ordering};

impl Core {
    /// True for commands that run a script.
    pub fn runs_script(spec: &ServerSpec) -> bool {
        matches!(spec.name, "eval" | "evalsha" | "eval_ro" | "evalsha_ro" | "fcall" | "fcall_ro")
    }

    /// True for commands of the server that change keys of all shards.
    pub fn concerns_all_shards(spec: &ServerSpec) -> bool {
        matches!(spec.name, "flushall" | "flushdb" | "swapdb")
    }

    /// A change of the function libraries: shard 0 makes it.
    pub fn change_functions(&mut self, conn: &mut Connection, args: Args<'_>) {
        let owned = OwnedArgs::from_slices(&args.iter_from(0).collect::<Vec<_>>());
        let seq = self.open_task(conn, Task::Functions, owned, 1);
        self.task_at(conn, 0, Task::Functions, seq, 0, 0, args);
        if conn.outstanding > 0 {
            // ORDER: what follows may call what it defines.
            conn.parked = Parked::Order(None);
        }
    }

    fn every_shard(&self) -> BTreeSet<u16> {
        (0..self.shards() as u16).collect()
    }

    /// A script of a client: everything before it in the pipeline has been executed.
    pub fn start_script(
        &mut self,
        conn: &mut Connection,
        spec: &'static ServerSpec,
        id: u16,
        args: Args<'_>,
    ) -> Taken {
        let invocation = match Invocation::read(spec.name, args) {
            Ok(invocation) => invocation,
            Err(error) => {
                let name = args.get(1);
                let is_unknown = spec.name.starts_with("fcall")
                    && self.shared.libraries.shelf().of_function(name).is_none();
                let error = match is_unknown {
                    true => CommandError::new("ERR Function not found"),
                    false => error,
                };
                self.timings.failed(id);
                return self.refuse(conn, |_, _| error);
            }
        };
        if spec.flags.has(Flags::MAY_REPLICATE) && self.is_log_full() {
            conn.parked = Parked::LogFull;
            self.stalled.push(conn.index);
            return Taken::NotYet;
        }
        if self.is_attentive {
            self.show_monitors(conn, Flags::default(), args);
        }
        if let Subject::Function(_) = invocation.subject {
            // ORDER: before the reply: it waits for the library to be as safe as a write.
            self.gate_by_libraries(conn);
        }
        if self.shards() > 1 && self.is_known_to_go_far(&invocation) {
            return self.run_script_in_session(conn, args, self.every_shard());
        }
        let mut owners = invocation.keys().map(|key| self.owner_of(key));
        let first = owners.next().unwrap_or(self.id);
        if self.shards() > 1 && !owners.all(|owner| owner == first) {
            let shards = invocation.keys().map(|key| self.owner_of(key)).collect();
            return self.run_script_in_session(conn, args, shards);
        }
        if first != self.id && self.shards() > 1 {
            if let Some(error) = self.busy_shard(&BTreeSet::from([first])) {
                return self.reject(conn, id, error);
            }
            return self.send_script(conn, spec, id, args, first);
        }
        let at = conn.out.buf.len();
        let (db, resp3) = (conn.session.db, conn.session.resp3);
        let mut out = std::mem::take(&mut conn.out.buf);
        let alone = self.run_script_alone(&invocation, db, resp3, conn.session.no_touch, &mut out);
        conn.out.buf = out;
        let (ran, gate, wrote) = alone;
        if ran == Ran::NeedsAll {
            return self.run_script_in_session(conn, args, self.every_shard());
        }
        if ran == Ran::Done(true) {
            self.timings.failed(id);
        }
        if Self::muted(conn) {
            conn.out.buf.truncate(at);
        } else if gate != 0 {
            conn.out.gate(at, self.id, gate, self.turn);
        }
        if wrote {
            conn.wrote(self.id, gate);
        }
        Taken::Yes
    }

    /// Whether a script needs all shards, as far as that costs little to say; otherwise it says so
    /// where it begins to run.
    fn is_known_to_go_far(&self, invocation: &Invocation<'_>) -> bool {
        let reaches = &self.shared.reaches;
        match invocation.subject {
            Subject::Sha(sha) => sha.is_some_and(|sha| reaches.of_script(&sha).is_far()),
            Subject::Function(name) => {
                reaches.of_function(name, self.shared.libraries.generation()).is_far()
            }
            Subject::Text(_) => false,
        }
    }

    /// What a function's reply waits for because of its library.
    fn gate_by_libraries(&self, conn: &mut Connection) {
        let lsn = self.shared.libraries.lsn();
        let at = conn.out.buf.len();
        if lsn > self.shared.cores[0].released(Ordering::Acquire) && conn.is_direct() {
            conn.out.gate(at, 0, lsn, self.turn);
        }
    }

    /// Runs a script that has this core's shard only; what its reply waits for, and whether it has
    /// logged something.
    fn run_script_alone(
        &mut self,
        invocation: &Invocation<'_>,
        db: usize,
        resp3: bool,
        no_touch: bool,
        out: &mut Vec<u8>,
    ) -> (Ran, Lsn, bool) {
        let held = if self.shards() == 1 { Held::All } else { Held::One(self.id) };
        if let Some(shard) = self.shard.as_mut() {
            shard.keeps_access = no_touch;
            shard.begin_transaction(None);
        }
        let ran = self.run_script(invocation, &held, db, resp3, out);
        let Some(shard) = self.shard.as_mut() else { return (ran, 0, false) };
        let (gate, wrote) = shard.end_transaction();
        (ran, gate, wrote)
    }

    /// A script that needs these shards, or turned out to.
    fn run_script_in_session(
        &mut self,
        conn: &mut Connection,
        args: Args<'_>,
        shards: BTreeSet<u16>,
    ) -> Taken {
        let commands = vec![OwnedArgs::from_slices(&args.iter_from(0).collect::<Vec<_>>())];
        let work = Work { commands, watched: Vec::new(), is_single: true, exec: None };
        self.ask_for_shards(conn, work, shards)
    }

    /// Has another core run a script; the connection waits for it.
    fn send_script(
        &mut self,
        conn: &mut Connection,
        spec: &'static ServerSpec,
        id: u16,
        args: Args<'_>,
        shard: u16,
    ) -> Taken {
        if self.mesh.is_full(shard) {
            conn.parked = Parked::BackPressure(shard);
            self.stalled.push(conn.index);
            return Taken::NotYet;
        }
        let seq =
            self.open_gather(conn, Gather::new(Join::Whole, 1), Call::new(id, spec.flags, args));
        let to = Return { seq, ..self.return_to(conn) };
        conn.sent_out(shard);
        let head = RequestHead {
            cut: 0,
            to,
            what: Task::Script.number(),
            db: conn.session.db as u16,
            resp3: conn.session.resp3,
            no_touch: conn.session.no_touch,
            is_part: false,
        };
        // Its own name, whatever the client calls it.
        let name = std::iter::once(spec.name.as_bytes());
        self.mesh.stage(shard, head, name.chain(args.iter_from(1)));
        // ORDER: it may be run again in a session, and nothing behind it may be executed before.
        conn.parked = Parked::Order(None);
        Taken::Waits
    }

    /// Another core's script, all of whose keys are here.
    pub(super) fn run_script_for(
        &mut self,
        head: RequestHead,
        args: Args<'_>,
        replies: &mut Vec<u8>,
    ) {
        let name = std::str::from_utf8(args.get(0)).unwrap_or_default();
        put_reply(replies, head.to, |out| {
            let start = self.timings.begun();
            let mut written = Written::default();
            match Invocation::read(name, args) {
                Ok(invocation) => {
                    let db = usize::from(head.db);
                    let (ran, gate, wrote) =
                        self.run_script_alone(&invocation, db, head.resp3, head.no_touch, out);
                    written = Written { gate, wrote, ..written };
                    match ran {
                        Ran::NeedsAll => written.kind = Kind::Again,
                        Ran::Done(true) => self.count_failed_script(args),
                        Ran::Done(false) => {}
                    }
                }
                // It has been read before it was sent.
                Err(error) => Reply::new(out, head.resp3).error(error.text()),
            }
            Written { ticks: self.timings.since(start), ..written }
        });
    }

    /// A script of another core's client has ended in an error.
    #[cold]
    fn count_failed_script(&mut self, args: Args<'_>) {
        if let Some(Target::Server { id, .. }) = table::lookup(args) {
            self.timings.failed(id);
        }
    }

    /// The script that was sent needs all shards: it runs here, in a session.
    pub(super) fn script_again(&mut self, conn: &mut Connection, seq: u32) {
        let call = conn.slot(seq).and_then(|slot| slot.call.take());
        // The only one: the connection has waited for it.
        conn.slots.clear();
        conn.first_seq = seq.wrapping_add(1);
        let Some(call) = call else { return };
        let shards = self.every_shard();
        self.run_script_in_session(conn, call.args.as_args(), shards);
    }

    /// A script inside a transaction, or one that has a session of its own. Its reply goes to `out`.
    pub(super) fn run_script_held(
        &mut self,
        conn: &mut Connection,
        spec: &'static ServerSpec,
        id: u16,
        args: Args<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), CommandError> {
        // One with a session of its own has been seen when it came.
        if self.is_attentive && self.session.is_transaction {
            self.show_monitors(conn, Flags::default(), args);
        }
        let invocation = Invocation::read(spec.name, args)?;
        let held = self.session.held.clone();
        let (db, resp3) = (conn.session.db, conn.session.resp3);
        match self.run_script(&invocation, &held, db, resp3, out) {
            Ran::NeedsAll => self.session.needs_all = true,
            Ran::Done(true) => self.timings.failed(id),
            Ran::Done(false) => {}
        }
        Ok(())
    }
}
