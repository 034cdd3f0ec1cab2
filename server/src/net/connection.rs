//! One client connection: input being parsed, replies in order, output.
//!
//! Replies leave in the order of their commands. While no command is out on another shard,
//! replies are written straight into the output; otherwise each reply has a slot, and `held`
//! keeps the bytes of replies that are ready before their turn.

use super::outbuf::OutBuf;
use crate::{
    dispatch::{account::Call, blocking::Blocked, gather::Gather, transaction::Multi},
    resp::RequestParser,
    session::Session,
};
use quire_engine::aof::Lsn;
use std::{
    collections::VecDeque,
    os::fd::{AsRawFd, OwnedFd, RawFd},
    time::Instant,
};

/// Why a connection's input is not being processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parked {
    /// It is.
    No,
    /// The next command must wait until commands on shards other than this one have executed
    /// (`None`: all outstanding ones).
    Order(Option<u16>),
    /// The staging buffer towards a shard is full.
    BackPressure(u16),
    /// More is staged for the log than it has room for.
    LogFull,
    /// All clients together take too much: it goes on when those that must have gone.
    Crowded,
    /// A command of this connection is being carried out elsewhere (global, WAITAOF, BLPOP ..).
    Blocked,
    /// Nothing executes until a global operation is published.
    Frozen,
    /// CLIENT PAUSE.
    Paused,
    /// Work waits for a session in which all shards are lent.
    Lending,
}

/// Where a reply that is not yet due waits.
#[derive(Debug)]
pub struct Slot {
    /// Complete: `held[start..start+len]`.
    pub ready: bool,
    /// The client does not want this reply (CLIENT REPLY).
    pub silent: bool,
    /// Start in `held`.
    pub start: usize,
    /// Length in `held`.
    pub len: usize,
    /// What the reply waits for in logs.
    pub gate: (u16, Lsn),
    /// More gates (several shards took part).
    pub more_gates: Vec<(u16, Lsn)>,
    /// A reply being put together from several shards.
    pub gather: Option<Box<Gather>>,
    /// The split command whose reply that is.
    pub call: Option<Box<Call>>,
    /// The shard an ordinary single-shard command is out on.
    pub shard: u16,
    /// Times that the parts have come and were of different moments.
    pub tries: u8,
}

/// What a wait's answer tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Awaited {
    /// WAITAOF: local logs and replicas that have synced.
    Logs,
    /// WAIT: replicas that have acknowledged.
    Replicas,
}

/// A WAITAOF or WAIT in progress.
#[derive(Debug, Clone)]
pub struct AofWait {
    /// Which of the two.
    pub awaited: Awaited,
    /// Until when; `None` = for ever.
    pub deadline: Option<Instant>,
    /// Positions that must be synced.
    pub positions: Vec<(u16, Lsn)>,
    /// Local logs that must be synced, 0 or 1.
    pub numlocal: i64,
    /// Replicas that must have it; there are none.
    pub replicas: i64,
}

/// One connection.
pub struct Connection {
    /// The socket.
    pub fd: OwnedFd,
    /// Index in the core's table.
    pub index: u32,
    /// Bumped by each use of the index.
    pub generation: u32,
    /// Client state commands see.
    pub session: Session,
    /// Request parser, resumable.
    pub parser: RequestParser,
    /// Bytes received and not yet consumed.
    pub input: Vec<u8>,
    /// Consumed bytes at the front of `input`.
    pub input_at: usize,
    /// Bytes the unfinished command needs at least.
    pub input_need: usize,
    /// Output.
    pub out: OutBuf,
    /// Replies that are not yet due, oldest first; the first has number `first_seq`.
    pub slots: VecDeque<Slot>,
    /// Number of the first slot.
    pub first_seq: u32,
    /// Bytes of ready replies whose turn has not come.
    pub held: Vec<u8>,
    /// Parts of commands out on other shards.
    pub outstanding: u32,
    /// The one shard all outstanding parts are on; meaningless when none or mixed.
    pub outstanding_shard: u16,
    /// Outstanding parts are on more than one shard.
    pub outstanding_mixed: bool,
    /// MULTI's queue and WATCH's keys.
    pub multi: Option<Box<Multi>>,
    /// Why input is not processed.
    pub parked: Parked,
    /// A multishot receive is armed.
    pub receiving: bool,
    /// A cancel of it is under way (back-pressure).
    pub pausing: bool,
    /// In the core's list of connections to look at at the end of the turn.
    pub dirty: bool,
    /// In the core's list of connections waiting for a log.
    pub in_gated: bool,
    /// Close once all replies have left.
    pub close_after_reply: bool,
    /// The client sends no more; what it has sent is still answered.
    pub ended: bool,
    /// The socket has been shut down; waiting for its operations to end.
    pub closing: bool,
    /// Last write of this connection per shard (WAITAOF).
    pub last_writes: Vec<(u16, Lsn)>,
    /// WAITAOF in progress.
    pub aof_wait: Option<AofWait>,
    /// A command that waits for keys, or asks shards whether it has to.
    pub blocked: Option<Box<Blocked>>,
    /// Since when the output is above the soft limit.
    pub soft_limit_since: Option<Instant>,
    /// Bytes it stands for in the account of clients.
    pub counted: u64,
}

impl Connection {
    /// A connection on which nothing has happened; bulk strings of requests have at most
    /// `max_bulk` bytes.
    pub fn new(fd: OwnedFd, index: u32, generation: u32, session: Session, max_bulk: u32) -> Self {
        Self {
            fd,
            index,
            generation,
            parser: RequestParser::new(session.authenticated, max_bulk),
            session,
            input: Vec::new(),
            input_at: 0,
            input_need: 0,
            out: OutBuf::default(),
            slots: VecDeque::new(),
            first_seq: 0,
            held: Vec::new(),
            outstanding: 0,
            outstanding_shard: 0,
            outstanding_mixed: false,
            multi: None,
            parked: Parked::No,
            receiving: false,
            pausing: false,
            dirty: false,
            in_gated: false,
            close_after_reply: false,
            ended: false,
            closing: false,
            last_writes: Vec::new(),
            aof_wait: None,
            blocked: None,
            soft_limit_since: None,
            counted: 0,
        }
    }

    /// The descriptor.
    pub fn raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// True when a command may run and its reply go straight to the output.
    #[inline]
    pub fn is_direct(&self) -> bool {
        self.slots.is_empty()
    }

    /// Opens a reply slot; its number.
    pub fn open_slot(&mut self, shard: u16) -> u32 {
        let seq = self.first_seq.wrapping_add(self.slots.len() as u32);
        self.slots.push_back(Slot {
            ready: false,
            silent: false,
            start: 0,
            len: 0,
            gate: (0, 0),
            more_gates: Vec::new(),
            gather: None,
            call: None,
            shard,
            tries: 0,
        });
        seq
    }

    /// The slot with that number, if it is still open.
    pub fn slot(&mut self, seq: u32) -> Option<&mut Slot> {
        self.slots.get_mut(seq.wrapping_sub(self.first_seq) as usize)
    }

    /// The cut that the parts of a slot's reply must be of; 0 = none.
    pub fn cut_of(&mut self, seq: u32) -> u64 {
        self.slot(seq).and_then(|slot| slot.gather.as_ref()).map_or(0, |gather| gather.cut)
    }

    /// Counts parts sent to a shard.
    pub fn sent_out(&mut self, shard: u16) {
        if self.outstanding == 0 {
            self.outstanding_shard = shard;
            self.outstanding_mixed = false;
        } else if self.outstanding_shard != shard {
            self.outstanding_mixed = true;
        }
        self.outstanding += 1;
    }

    /// True when every outstanding part is on `shard` (or none is out).
    #[inline]
    pub fn outstanding_only_on(&self, shard: u16) -> bool {
        self.outstanding == 0 || (!self.outstanding_mixed && self.outstanding_shard == shard)
    }

    /// Gives slot `seq` its reply, and moves every reply whose turn has come to the output.
    pub fn fill_slot(&mut self, seq: u32, gate: (u16, Lsn), reply: &[u8], turn: u64) {
        let silent = self.slot(seq).is_some_and(|s| s.silent);
        let reply = if silent { &[] } else { reply };
        if seq == self.first_seq && self.slots.front().is_some_and(|s| s.more_gates.is_empty()) {
            // In order, the usual case: no detour.
            self.slots.pop_front();
            self.first_seq = self.first_seq.wrapping_add(1);
            if gate.1 != 0 {
                self.out.gate(self.out.buf.len(), gate.0, gate.1, turn);
            }
            self.out.buf.extend_from_slice(reply);
        } else {
            let start = self.held.len();
            self.held.extend_from_slice(reply);
            if let Some(slot) = self.slot(seq) {
                slot.ready = true;
                slot.start = start;
                slot.len = reply.len();
                slot.gate = gate;
            }
        }
        self.drain_slots(turn);
    }

    /// Moves replies whose turn has come from `held` to the output.
    pub fn drain_slots(&mut self, turn: u64) {
        while let Some(slot) = self.slots.front() {
            if !slot.ready {
                return;
            }
            let at = self.out.buf.len();
            if slot.gate.1 != 0 {
                self.out.gate(at, slot.gate.0, slot.gate.1, turn);
            }
            for &(shard, lsn) in &slot.more_gates {
                self.out.gate(at, shard, lsn, turn);
            }
            self.out.buf.extend_from_slice(&self.held[slot.start..slot.start + slot.len]);
            self.slots.pop_front();
            self.first_seq = self.first_seq.wrapping_add(1);
        }
        self.held.clear();
        if self.held.capacity() > 64 * 1024 {
            self.held = Vec::new();
        }
    }

    /// Remembers the connection's last write on a shard.
    #[inline]
    pub fn wrote(&mut self, shard: u16, lsn: Lsn) {
        match self.last_writes.iter_mut().find(|(s, _)| *s == shard) {
            Some(entry) => entry.1 = lsn,
            None => self.last_writes.push((shard, lsn)),
        }
    }
}
