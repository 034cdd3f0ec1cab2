//! Commands that wait for keys: BLPOP and its kin, XREAD BLOCK.
//!
//! ```text
//! run_blocking -> attempt on the shard of the first keys -> .. of the next keys -> wait
//!                 each: has something: answered; nothing: waits there from now on
//! Shard::serve_ready (wherever) -> deliver_served -> the connection's core: finish_wait
//! ```
//! Keys of several shards are asked for in their order, one shard after the other, and each waits
//! from its attempt on: so nothing that comes meanwhile is missed, and of keys that have something
//! when the command comes the first is taken. From the first wait on the claim decides who answers:
//! a shard that serves, or this core, when the time is over, the client goes or is unblocked. What
//! waits elsewhere then is called off; until that arrives it cannot take the claim.
//!
//! A wait begins after everything before it in the pipeline has executed, and what comes behind it
//! is looked at when it is over. Then, too, the command is counted, and noted if it was slow:
//! behind the command that has served it, as in Redis.

use super::{
    Taken,
    account::Call,
    everywhere::Task,
    hop::{Kind, ReplyHead, RequestHead, Return, Written, put_reply},
    is_write,
    steps::CROSS_SHARD,
};
use crate::{
    net::connection::{Connection, Parked},
    runtime::core::Core,
    session::ReplyMode,
};
use quire_engine::{
    aof::Lsn,
    claims::Waiter,
    command::{Args, CommandError, CommandSpec, Fanout, OwnedArgs, Reply},
    families::table,
    shard::{Attempt, Request, Served},
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// A command that waits, or asks one shard after the other whether it has to.
#[derive(Debug)]
pub struct Blocked {
    waiter: Waiter,
    /// Its reply slot.
    seq: u32,
    /// Its number in the command table.
    id: u16,
    /// When it came.
    since: Instant,
    /// When it gives up.
    deadline: Option<Instant>,
    /// Shards yet to be asked, with their part of the command.
    left: VecDeque<(u16, OwnedArgs)>,
    /// Where it waits.
    shards: Vec<u16>,
    /// What must have survived before anybody may say that there is nothing.
    gates: Vec<(u16, Lsn)>,
}

impl Blocked {
    /// The wait ends by itself.
    pub fn has_deadline(&self) -> bool {
        self.deadline.is_some()
    }

    fn spec(&self) -> &'static CommandSpec {
        table::SPECS[usize::from(self.id)]
    }
}

/// To nobody: the answer is thrown away.
const NOBODY: Return = Return { conn: u32::MAX, generation: 0, seq: 0, part: 0 };

impl Core {
    /// Runs a command that may wait.
    pub fn run_blocking(
        &mut self,
        conn: &mut Connection,
        spec: &'static CommandSpec,
        id: u16,
        args: Args<'_>,
    ) -> Taken {
        let mut owners = spec.keys.positions(args).map(|at| self.owner_of(args.get(at)));
        // Without keys the handler has an error to tell.
        let first = owners.next().unwrap_or(self.id);
        if self.executing {
            // Inside a transaction nobody waits: what is not there is told at once.
            return match owners.all(|owner| owner == first) {
                true => self.run_at(conn, spec, id, args, first),
                false if spec.fanout == Fanout::Streams => {
                    self.read_streams_widely(conn, spec, id, args)
                }
                false => self.split(conn, spec, id, args),
            };
        }
        if !owners.all(|owner| owner == first) {
            return self.run_blocking_widely(conn, spec, id, args);
        }
        if !conn.outstanding_only_on(first) {
            conn.parked = Parked::Order(Some(first));
            return Taken::NotYet;
        }
        if first == self.id {
            return self.attempt_here(conn, spec, id, args);
        }
        if self.mesh.is_full(first) {
            conn.parked = Parked::BackPressure(first);
            self.stalled.push(conn.index);
            return Taken::NotYet;
        }
        let call = Call::new(id, spec.flags, args);
        let owned = call.args.clone();
        let seq = self.open_own_slot(conn, Some(call));
        self.start_wait(conn, id, seq, VecDeque::from([(first, owned)]));
        conn.parked = Parked::Order(None);
        Taken::Waits
    }

    /// Keys on several shards.
    fn run_blocking_widely(
        &mut self,
        conn: &mut Connection,
        spec: &'static CommandSpec,
        id: u16,
        args: Args<'_>,
    ) -> Taken {
        if conn.outstanding > 0 {
            conn.parked = Parked::Order(None);
            return Taken::NotYet;
        }
        if spec.fanout == Fanout::Streams {
            return self.read_streams_widely(conn, spec, id, args);
        }
        if spec.fanout != Fanout::FirstOf {
            return self.reject(conn, id, CROSS_SHARD);
        }
        let seq = self.open_own_slot(conn, Some(Call::new(id, spec.flags, args)));
        let steps = self.steps_of(spec, args);
        self.start_wait(conn, id, seq, steps);
        self.after_start(conn)
    }

    /// Whether a command whose attempts have begun is over.
    pub(super) fn after_start(&mut self, conn: &mut Connection) -> Taken {
        if conn.blocked.is_none() && conn.outstanding == 0 {
            return Taken::Yes;
        }
        if conn.parked == Parked::No {
            conn.parked = Parked::Order(None);
        }
        Taken::Waits
    }

    /// The shards of a command's keys in their order, with the keys that follow each other.
    pub(super) fn steps_of(
        &self,
        spec: &CommandSpec,
        args: Args<'_>,
    ) -> VecDeque<(u16, OwnedArgs)> {
        let mut steps: Vec<(u16, Vec<usize>)> = Vec::new();
        for at in spec.keys.positions(args) {
            let shard = self.owner_of(args.get(at));
            match steps.last_mut() {
                Some((last, keys)) if *last == shard => keys.push(at),
                _ => steps.push((shard, vec![at])),
            }
        }
        let narrow = |(shard, keys): (u16, Vec<usize>)| (shard, spec.keys.narrowed(args, &keys));
        steps.into_iter().map(narrow).collect()
    }

    fn open_own_slot(&mut self, conn: &mut Connection, call: Option<Box<Call>>) -> u32 {
        let seq = conn.open_slot(self.id);
        let silent = Self::muted(conn);
        if let Some(slot) = conn.slot(seq) {
            slot.silent = silent;
            slot.call = call;
        }
        seq
    }

    /// Begins to ask shards. The slot has the call.
    pub(super) fn start_wait(
        &mut self,
        conn: &mut Connection,
        id: u16,
        seq: u32,
        left: VecDeque<(u16, OwnedArgs)>,
    ) {
        let waiter = self.shared.claims.open(self.id, conn.index);
        let (deadline, shards, gates) = (None, Vec::new(), Vec::new());
        let since = self.now;
        let blocked = Blocked { waiter, seq, id, since, deadline, left, shards, gates };
        conn.blocked = Some(Box::new(blocked));
        self.next_attempt(conn);
    }

    /// The usual case: all keys are here.
    fn attempt_here(
        &mut self,
        conn: &mut Connection,
        spec: &'static CommandSpec,
        id: u16,
        args: Args<'_>,
    ) -> Taken {
        let Some(shard) = self.shard.as_mut() else { return Taken::Yes };
        shard.keeps_access = conn.session.no_touch;
        let waiter = self.shared.claims.open(self.id, conn.index);
        let (db, resp3) = (conn.session.db, conn.session.resp3);
        let request = Request { spec, db, args, resp3, waiter, is_contested: false };
        let mut reply = std::mem::take(&mut self.scratch);
        reply.clear();
        let attempt = shard.attempt(request, self.now_ms, &mut reply);
        let ticks = self.timings.lap();
        let mut taken = Taken::Yes;
        match attempt {
            Attempt::Done(gate) => {
                if gate != 0 && is_write(spec) {
                    conn.wrote(self.id, gate);
                }
                if conn.is_direct() && conn.session.reply_mode == ReplyMode::On {
                    if gate != 0 {
                        conn.out.gate(conn.out.buf.len(), self.id, gate, self.turn);
                    }
                    conn.out.buf.extend_from_slice(&reply);
                } else {
                    let seq = self.open_own_slot(conn, None);
                    conn.fill_slot(seq, (self.id, gate), &reply, self.turn);
                }
                self.account(conn, id, spec.flags, args, ticks);
            }
            Attempt::Waits { gate, timeout_ms } => {
                let mut call = Call::new(id, spec.flags, args);
                call.ticks = ticks;
                let seq = self.open_own_slot(conn, Some(call));
                let (since, left) = (self.now, VecDeque::new());
                let (deadline, shards, gates) = (None, Vec::new(), Vec::new());
                let blocked = Blocked { waiter, seq, id, since, deadline, left, shards, gates };
                conn.blocked = Some(Box::new(blocked));
                self.waits_at(conn, self.id, gate, timeout_ms);
                taken = Taken::Waits;
            }
            // Nobody else knows of it.
            Attempt::Lost => {}
        }
        self.scratch = reply;
        taken
    }

    /// Asks the next shard.
    fn next_attempt(&mut self, conn: &mut Connection) {
        let Some(blocked) = conn.blocked.as_mut() else { return };
        let Some((shard, args)) = blocked.left.pop_front() else { return };
        let (id, waiter, seq) = (blocked.id, blocked.waiter, blocked.seq);
        let is_contested = !blocked.shards.is_empty();
        if shard != self.id {
            let head = Attempting { ticket: waiter.ticket, id, is_contested };
            let to = Return { seq, ..self.return_to(conn) };
            conn.sent_out(shard);
            let what = Task::Attempt.number();
            let (db, resp3) = (conn.session.db as u16, conn.session.resp3);
            let no_touch = conn.session.no_touch;
            let (is_part, cut) = (true, 0);
            let request = RequestHead { to, what, db, resp3, is_part, no_touch, cut };
            let bytes = head.to_bytes();
            let args = args.as_args();
            let parts = std::iter::once(&bytes[..]).chain(args.iter_from(0));
            self.mesh.stage(shard, request, parts);
            self.timings.start();
            return;
        }
        let spec = table::SPECS[usize::from(id)];
        let (db, resp3) = (conn.session.db, conn.session.resp3);
        let Some(own) = self.shard.as_mut() else { return };
        own.keeps_access = conn.session.no_touch;
        let request = Request { spec, db, args: args.as_args(), resp3, waiter, is_contested };
        let mut reply = Vec::new();
        let attempt = own.attempt(request, self.now_ms, &mut reply);
        let ticks = self.timings.lap();
        self.charge(conn, seq, ticks);
        match attempt {
            Attempt::Done(gate) => self.finish_wait(conn, (shard, gate), &reply),
            Attempt::Waits { gate, timeout_ms } => self.waits_at(conn, shard, gate, timeout_ms),
            // Who has served it sends the reply.
            Attempt::Lost => {}
        }
    }

    /// Another core's client asks this shard; the answer goes into `replies`.
    pub(super) fn attempt_for(
        &mut self,
        from: u16,
        head: RequestHead,
        args: Args<'_>,
        replies: &mut Vec<u8>,
    ) {
        let Some(asked) = Attempting::read(args.get(0)) else { return };
        let args = args.skip(1);
        let spec = table::SPECS[usize::from(asked.id)];
        let waiter = Waiter { core: from, conn: head.to.conn, ticket: asked.ticket };
        let (db, resp3, is_contested) = (usize::from(head.db), head.resp3, asked.is_contested);
        let request = Request { spec, db, args, resp3, waiter, is_contested };
        let now_ms = self.now_ms;
        let Some(shard) = self.shard.as_mut() else { return };
        shard.keeps_access = head.no_touch;
        let timings = &mut self.timings;
        put_reply(replies, head.to, |out| {
            let attempt = shard.attempt(request, now_ms, out);
            let ticks = timings.lap();
            match attempt {
                Attempt::Done(gate) => {
                    let wrote = gate != 0 && is_write(spec);
                    Written { gate, wrote, ticks, ..Written::default() }
                }
                Attempt::Waits { gate, timeout_ms } => {
                    out.extend_from_slice(&asked.ticket.to_ne_bytes());
                    out.extend_from_slice(&timeout_ms.to_ne_bytes());
                    Written { gate, ticks, kind: Kind::Waits, ..Written::default() }
                }
                Attempt::Lost => Written { ticks, kind: Kind::Lost, ..Written::default() },
            }
        });
    }

    /// Another shard's answer to an attempt; false when it is none.
    pub(super) fn attempt_answered(
        &mut self,
        conn: &mut Connection,
        from: u16,
        head: ReplyHead,
        reply: &[u8],
    ) -> bool {
        let ticket = conn.blocked.as_ref().filter(|b| b.seq == head.to.seq);
        let ticket = ticket.map(|b| b.waiter.ticket);
        match head.kind {
            Kind::Answer if ticket.is_none() => return false,
            Kind::Answer => self.finish_wait(conn, (from, head.gate), reply),
            Kind::Waits if ticket.is_some() && ticket == word(reply, 0) => {
                self.waits_at(conn, from, head.gate, word(reply, 8).unwrap_or(0));
            }
            Kind::Waits => self.nobody_waits(from, head, reply),
            Kind::Lost | Kind::Slow | Kind::Served | Kind::Again => {}
        }
        true
    }

    /// A shard's client is not there any more: it need not wait there.
    pub(super) fn nobody_waits(&mut self, shard: u16, head: ReplyHead, reply: &[u8]) {
        if let (Kind::Waits, Some(ticket)) = (head.kind, word(reply, 0)) {
            self.call_off(shard, Waiter { core: self.id, conn: head.to.conn, ticket });
        }
    }

    /// A shard has nothing; the client waits there.
    fn waits_at(&mut self, conn: &mut Connection, shard: u16, gate: Lsn, timeout_ms: u64) {
        let Some(blocked) = conn.blocked.as_mut() else { return };
        blocked.shards.push(shard);
        if gate != 0 {
            blocked.gates.push((shard, gate));
        }
        if !blocked.left.is_empty() {
            return self.next_attempt(conn);
        }
        // What is too far away to be told never comes.
        let end = blocked.since.checked_add(Duration::from_millis(timeout_ms));
        blocked.deadline = end.filter(|_| timeout_ms > 0);
        if let Some(end) = blocked.deadline {
            self.wait_ends.insert((end, conn.index, blocked.waiter.ticket));
        }
        conn.parked = Parked::Blocked;
        self.cell().stats.blocked.add(1);
        if conn.ended {
            self.begin_close(conn);
        }
    }

    /// A shard has served a client of this core.
    pub(super) fn served_elsewhere(
        &mut self,
        conn: &mut Connection,
        from: u16,
        head: ReplyHead,
        reply: &[u8],
    ) {
        let ticket = conn.blocked.as_ref().map(|blocked| blocked.waiter.ticket);
        if ticket.is_some() && ticket == word(reply, 0) {
            self.finish_wait(conn, (from, head.gate), &reply[8..]);
        }
    }

    /// The reply to a command that has asked or waited.
    fn finish_wait(&mut self, conn: &mut Connection, gate: (u16, Lsn), reply: &[u8]) {
        let Some(blocked) = conn.blocked.take() else { return };
        self.leave(&blocked, Some(gate.0));
        if gate.1 != 0 && is_write(blocked.spec()) {
            conn.wrote(gate.0, gate.1);
        }
        self.account_split(conn, blocked.seq);
        conn.fill_slot(blocked.seq, gate, reply, self.turn);
        self.wake(conn);
    }

    fn wake(&mut self, conn: &mut Connection) {
        if conn.parked == Parked::Blocked {
            self.unpark(conn);
        } else {
            self.go_on(conn);
        }
    }

    /// The wait is over: nobody needs to think of it, `but` the shard that has ended it.
    fn leave(&mut self, blocked: &Blocked, but: Option<u16>) {
        if let Some(end) = blocked.deadline {
            self.wait_ends.remove(&(end, blocked.waiter.conn, blocked.waiter.ticket));
        }
        for (at, &shard) in blocked.shards.iter().enumerate() {
            if but != Some(shard) && !blocked.shards[..at].contains(&shard) {
                self.call_off(shard, blocked.waiter);
            }
        }
    }

    fn call_off(&mut self, shard: u16, waiter: Waiter) {
        if shard == self.id {
            if let Some(own) = self.shard.as_mut() {
                own.stop_waiting(waiter);
            }
            return;
        }
        let what = Task::StopWaiting.number();
        let (resp3, is_part, no_touch, cut) = (false, true, false, 0);
        let head = RequestHead { to: NOBODY, what, db: 0, resp3, is_part, no_touch, cut };
        let mut bytes = [0; 14];
        bytes[..2].copy_from_slice(&waiter.core.to_ne_bytes());
        bytes[2..6].copy_from_slice(&waiter.conn.to_ne_bytes());
        bytes[6..].copy_from_slice(&waiter.ticket.to_ne_bytes());
        self.mesh.stage(shard, head, std::iter::once(&bytes));
    }

    /// This shard's part of [`Core::call_off`].
    pub(super) fn stop_waiting_here(&mut self, args: Args<'_>) {
        let bytes = args.get(0);
        let (core, conn) = (bytes.first_chunk().copied(), bytes[2..].first_chunk().copied());
        if let (Some(core), Some(conn), Some(ticket), Some(shard)) =
            (core, conn, word(bytes, 6), self.shard.as_mut())
        {
            let (core, conn) = (u16::from_ne_bytes(core), u32::from_ne_bytes(conn));
            shard.stop_waiting(Waiter { core, conn, ticket });
        }
    }

    /// Ends a client's wait for keys as if its time were over, or with an error; false when it
    /// does not wait, or has just been served.
    pub fn end_key_wait(&mut self, conn: &mut Connection, with_error: bool) -> bool {
        let waiter = conn.blocked.as_ref().map(|blocked| blocked.waiter);
        let waiter = waiter.filter(|_| conn.parked == Parked::Blocked);
        if !waiter.is_some_and(|waiter| self.shared.claims.take(waiter)) {
            return false;
        }
        let Some(blocked) = conn.blocked.take() else { return false };
        self.leave(&blocked, None);
        let mut bytes = Vec::new();
        let mut reply = Reply::new(&mut bytes, conn.session.resp3);
        if with_error {
            let error = CommandError::new("UNBLOCKED client unblocked via CLIENT UNBLOCK");
            reply.error(error.text());
            self.count_error(&error);
            self.timings.failed(blocked.id);
        } else {
            reply.null_array();
            if let Some(slot) = conn.slot(blocked.seq) {
                slot.more_gates = blocked.gates;
            }
        }
        self.account_split(conn, blocked.seq);
        conn.fill_slot(blocked.seq, (0, 0), &bytes, self.turn);
        self.wake(conn);
        true
    }

    /// The connection is being closed: nobody is to serve it any more.
    pub fn abandon_wait(&mut self, conn: &mut Connection) {
        let Some(blocked) = conn.blocked.take() else { return };
        // Whoever has been quicker has taken something for a client that is gone, as in Redis.
        self.shared.claims.take(blocked.waiter);
        self.leave(&blocked, None);
    }

    /// End of turn: clients whose time is over.
    pub fn end_waits(&mut self) {
        while let Some(&(end, index, ticket)) = self.wait_ends.first() {
            if end > self.now {
                return;
            }
            self.wait_ends.pop_first();
            let Some(mut conn) = self.conns[index as usize].take() else { continue };
            if conn.blocked.as_ref().is_some_and(|blocked| blocked.waiter.ticket == ticket) {
                self.end_key_wait(&mut conn, false);
            }
            self.put_back(conn);
        }
    }

    /// Serves clients that wait for what has changed outside of commands, and sends on what any
    /// have got since the last call.
    pub fn deliver_served(&mut self) {
        let frozen = self.frozen;
        let Some(shard) = self.shard.as_mut().filter(|shard| shard.has_waited()) else { return };
        if !frozen {
            shard.serve_ready(self.now_ms);
        }
        for served in shard.take_served() {
            let Served { waiter, reply, gate } = served;
            if waiter.core != self.id {
                self.send_served(waiter, gate, &reply);
                continue;
            }
            let Some(mut conn) = self.conns[waiter.conn as usize].take() else { continue };
            if conn.blocked.as_ref().is_some_and(|blocked| blocked.waiter == waiter) {
                self.finish_wait(&mut conn, (self.id, gate), &reply);
            }
            self.put_back(conn);
        }
    }

    fn send_served(&mut self, waiter: Waiter, gate: Lsn, reply: &[u8]) {
        let Some(peer) = self.mesh.peers[usize::from(waiter.core)].as_mut() else { return };
        self.has_served = true;
        let to = Return { conn: waiter.conn, ..NOBODY };
        put_reply(&mut peer.served, to, |out| {
            out.extend_from_slice(&waiter.ticket.to_ne_bytes());
            out.extend_from_slice(reply);
            Written { gate, kind: Kind::Served, ..Written::default() }
        });
    }
}

/// What goes before the arguments of an attempt on another shard.
struct Attempting {
    ticket: u64,
    id: u16,
    is_contested: bool,
}

impl Attempting {
    fn to_bytes(&self) -> [u8; 11] {
        let mut bytes = [0; 11];
        bytes[..8].copy_from_slice(&self.ticket.to_ne_bytes());
        bytes[8..10].copy_from_slice(&self.id.to_ne_bytes());
        bytes[10] = u8::from(self.is_contested);
        bytes
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (ticket, rest) = bytes.split_first_chunk()?;
        let &[low, high, is_contested] = rest else { return None };
        Some(Self {
            ticket: u64::from_ne_bytes(*ticket),
            id: u16::from_ne_bytes([low, high]),
            is_contested: is_contested != 0,
        })
    }
}

/// Eight bytes of a message between cores.
fn word(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_ne_bytes)
}
