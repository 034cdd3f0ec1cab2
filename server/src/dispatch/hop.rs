//! Hops: commands for keys of other shards, staged per destination and sent in batches.
//!
//! One parcel in the mesh is a whole batch; its bytes hold many commands (or replies) one behind
//! the other, so a hop costs no allocation per command and at most one doorbell per turn and
//! peer. A request parcel is sent only with a credit, and credits are fewer than half the ring's
//! slots, so a reply parcel always finds a slot: full rings cannot deadlock. Replies to clients that
//! have waited answer no parcel; they go as long as the slots for the others stay free. One FIFO
//! per pair of cores, hence commands of one connection for one shard execute in order.

use quire_engine::{
    aof::Lsn,
    command::Span,
    mesh::{Consumer, Producer},
};
use std::{collections::VecDeque, time::Instant};

/// Request parcels a core may have unanswered at one peer.
pub const CREDITS: usize = 8;
/// Slots of one ring: requests one way, replies to the other way's requests, and as many for
/// what nobody has asked for just now.
pub const RING_SLOTS: usize = 4 * CREDITS;
/// Staged bytes above which connections that stage more have to wait.
pub const STAGED_BYTES_MAX: usize = 1 << 20;

const _: () = assert!(RING_SLOTS.is_power_of_two() && RING_SLOTS >= 2 * CREDITS);

/// A batch between cores.
pub enum Parcel {
    /// Commands to execute; answered by exactly one `Replies`.
    Requests(Vec<u8>),
    /// Their replies, in order; gives the credit back.
    Replies(Vec<u8>),
    /// Replies to clients that have waited.
    Served(Vec<u8>),
}

/// Which reply slot a command's reply belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Return {
    /// Connection index on the sending core.
    pub conn: u32,
    /// Its generation.
    pub generation: u32,
    /// Reply slot.
    pub seq: u32,
    /// Part of a command that was split.
    pub part: u16,
}

/// What to execute for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead {
    /// Where the reply goes.
    pub to: Return,
    /// Command (index of the command table) or task (see `everywhere`).
    pub what: u16,
    /// Database.
    pub db: u16,
    /// Reply in RESP3.
    pub resp3: bool,
    /// The client wants access times left alone.
    pub no_touch: bool,
    /// Part of a command that was split: whoever asks for it counts it.
    pub is_part: bool,
    /// The cut that a part must be of (see `reads.rs`); 0 = none.
    pub cut: u64,
}

/// A reply's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyHead {
    /// Where it goes.
    pub to: Return,
    /// LSN on the executing shard it waits for; 0 = none.
    pub gate: Lsn,
    /// The command logged something.
    pub wrote: bool,
    /// A part is not of the cut it was asked for.
    pub is_torn: bool,
    /// What it is.
    pub kind: Kind,
    /// How long a part of a split command took, ticks (a multiple of 16).
    pub ticks: u64,
}

/// What kind of answer a reply is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u16)]
pub enum Kind {
    /// That of the command.
    #[default]
    Answer = 0,
    /// A note that the command was slow.
    Slow,
    /// There is nothing: the client waits on the shard.
    Waits,
    /// Somebody else has answered the client.
    Lost,
    /// The reply to a client that has waited.
    Served,
    /// A script needs shards that it has not: it has done nothing.
    Again,
}

const KINDS: [Kind; 6] =
    [Kind::Answer, Kind::Slow, Kind::Waits, Kind::Lost, Kind::Served, Kind::Again];

const WROTE: u16 = 1;
const TORN: u16 = 2;
/// Above the flags.
const KIND_SHIFT: u32 = 2;
/// Bytes of a reply's head.
const REPLY_HEAD_BYTES: usize = 32;

fn put(out: &mut Vec<u8>, words: &[u32]) {
    for w in words {
        out.extend_from_slice(&w.to_ne_bytes());
    }
}

/// Appends one command to a request batch.
pub fn put_request(out: &mut Vec<u8>, head: RequestHead, args: impl Iterator<Item: AsRef<[u8]>>) {
    let start = out.len();
    put(
        out,
        &[
            head.to.conn,
            head.to.generation,
            head.to.seq,
            u32::from(head.to.part) << 16 | u32::from(head.what),
            u32::from(head.db) << 16
                | u32::from(head.no_touch) << 2
                | u32::from(head.is_part) << 1
                | u32::from(head.resp3),
            0,
        ],
    );
    if head.is_part {
        out.extend_from_slice(&head.cut.to_ne_bytes());
    }
    let mut argc = 0u32;
    for arg in args {
        let arg = arg.as_ref();
        put(out, &[arg.len() as u32]);
        out.extend_from_slice(arg);
        argc += 1;
    }
    out[start + 20..start + 24].copy_from_slice(&argc.to_ne_bytes());
}

/// Reads a batch made by this process: words and byte runs, always well formed.
pub struct BatchReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BatchReader<'a> {
    /// From the start.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn word(&mut self) -> u32 {
        let mut w = [0; 4];
        w.copy_from_slice(&self.bytes[self.at..self.at + 4]);
        self.at += 4;
        u32::from_ne_bytes(w)
    }

    fn long(&mut self) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.bytes[self.at..self.at + 8]);
        self.at += 8;
        u64::from_ne_bytes(bytes)
    }

    fn to(&mut self) -> (Return, u16) {
        let (conn, generation, seq, mix) = (self.word(), self.word(), self.word(), self.word());
        (Return { conn, generation, seq, part: (mix >> 16) as u16 }, mix as u16)
    }

    /// The next command; its spans go into `spans` and point into the batch.
    pub fn next_request(&mut self, spans: &mut Vec<Span>) -> Option<(RequestHead, &'a [u8])> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let (to, what) = self.to();
        let mix = self.word();
        let argc = self.word();
        let (resp3, is_part, no_touch) = (mix & 1 != 0, mix & 2 != 0, mix & 4 != 0);
        let cut = if is_part { self.long() } else { 0 };
        spans.clear();
        for _ in 0..argc {
            let len = self.word();
            spans.push(Span { start: self.at as u32, len });
            self.at += len as usize;
        }
        let head = RequestHead { to, what, db: (mix >> 16) as u16, resp3, is_part, no_touch, cut };
        Some((head, self.bytes))
    }

    /// The next reply.
    pub fn next_reply(&mut self) -> Option<(ReplyHead, &'a [u8])> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let (to, flags) = self.to();
        let gate = self.long();
        let len = self.word() as usize;
        let ticks = u64::from(self.word()) * 16;
        let reply = &self.bytes[self.at..self.at + len];
        self.at += len;
        let (wrote, is_torn) = (flags & WROTE != 0, flags & TORN != 0);
        let kind = KINDS[usize::from(flags >> KIND_SHIFT)];
        Some((ReplyHead { to, gate, wrote, is_torn, kind, ticks }, reply))
    }
}

/// What writing a reply's bytes says about it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Written {
    /// LSN it waits for; 0 = none.
    pub gate: Lsn,
    /// The command logged something.
    pub wrote: bool,
    /// A part is not of the cut it was asked for.
    pub is_torn: bool,
    /// How long a part of a split command took, ticks.
    pub ticks: u64,
    /// What the bytes are.
    pub kind: Kind,
}

/// Appends a reply: `write` puts its bytes behind the head and says the rest.
pub fn put_reply(out: &mut Vec<u8>, to: Return, write: impl FnOnce(&mut Vec<u8>) -> Written) {
    let start = out.len();
    put(out, &[to.conn, to.generation, to.seq, u32::from(to.part) << 16, 0, 0, 0, 0]);
    let Written { gate, wrote, is_torn, ticks, kind } = write(out);
    let len = (out.len() - start - REPLY_HEAD_BYTES) as u32;
    let flags =
        (u16::from(wrote) * WROTE) | (u16::from(is_torn) * TORN) | ((kind as u16) << KIND_SHIFT);
    // To 16 ticks, so that half a minute fits.
    let ticks = u32::try_from(ticks / 16).unwrap_or(u32::MAX);
    let head = &mut out[start..start + REPLY_HEAD_BYTES];
    head[12..14].copy_from_slice(&flags.to_ne_bytes());
    head[16..24].copy_from_slice(&gate.to_ne_bytes());
    head[24..28].copy_from_slice(&len.to_ne_bytes());
    head[28..32].copy_from_slice(&ticks.to_ne_bytes());
}

/// Appends a note that a command was slow: how long it took, and its arguments.
#[cold]
pub fn put_slow(out: &mut Vec<u8>, to: Return, us: u64, args: impl Iterator<Item: AsRef<[u8]>>) {
    put_reply(out, to, |out| {
        out.extend_from_slice(&us.to_ne_bytes());
        for arg in args {
            put(out, &[arg.as_ref().len() as u32]);
            out.extend_from_slice(arg.as_ref());
        }
        Written { kind: Kind::Slow, ..Written::default() }
    });
}

/// Reads such a note's bytes: us, arguments.
pub fn read_slow(bytes: &[u8]) -> (u64, Vec<Vec<u8>>) {
    let mut reader = BatchReader::new(bytes);
    let us = u64::from(reader.word()) | u64::from(reader.word()) << 32;
    let mut args = Vec::new();
    while reader.at < bytes.len() {
        let len = reader.word() as usize;
        args.push(bytes[reader.at..reader.at + len].to_vec());
        reader.at += len;
    }
    (us, args)
}

/// One peer core.
pub struct Peer {
    /// Parcels to it.
    pub tx: Producer<Parcel>,
    /// Parcels from it.
    pub rx: Consumer<Parcel>,
    /// Commands for it, not yet sent.
    pub staged: Vec<u8>,
    /// How many.
    pub staged_commands: u64,
    /// Request parcels it may still be sent.
    pub credits: usize,
    /// When those that are unanswered were sent, oldest first.
    pub sent_at: VecDeque<Instant>,
    /// Parcels received while this core is frozen.
    pub deferred: Vec<Parcel>,
    /// Replies to its clients that have waited, not yet sent.
    pub served: Vec<u8>,
}

impl Peer {
    fn new(tx: Producer<Parcel>, rx: Consumer<Parcel>) -> Self {
        Self {
            tx,
            rx,
            staged: Vec::new(),
            staged_commands: 0,
            credits: CREDITS,
            sent_at: VecDeque::with_capacity(CREDITS),
            deferred: Vec::new(),
            served: Vec::new(),
        }
    }
}

/// The mesh as one core sees it; `None` at its own index.
pub struct Mesh {
    /// Peers by core.
    pub peers: Vec<Option<Peer>>,
    pool: Vec<Vec<u8>>,
}

impl Mesh {
    /// A mesh over these peers.
    pub fn new(peers: Vec<Option<Peer>>) -> Self {
        Self { peers, pool: Vec::new() }
    }

    /// Meshes of `n` cores, all pairs connected.
    pub fn connect(n: usize) -> Vec<Mesh> {
        let mut cores: Vec<Vec<Option<Peer>>> = (0..n).map(|_| Vec::new()).collect();
        for a in 0..n {
            // The rings towards cores before `a` were made in their turns.
            cores[a].push(None);
            for b in a + 1..n {
                let (to_b, from_a) = quire_engine::mesh::ring(RING_SLOTS);
                let (to_a, from_b) = quire_engine::mesh::ring(RING_SLOTS);
                cores[a].push(Some(Peer::new(to_b, from_b)));
                cores[b].push(Some(Peer::new(to_a, from_a)));
            }
        }
        cores.into_iter().map(Mesh::new).collect()
    }

    /// Stages a command for core `to`.
    pub fn stage(&mut self, to: u16, head: RequestHead, args: impl Iterator<Item: AsRef<[u8]>>) {
        let pool = &mut self.pool;
        if let Some(peer) = self.peers[to as usize].as_mut() {
            if peer.staged.capacity() == 0 {
                peer.staged = pool.pop().unwrap_or_default();
            }
            put_request(&mut peer.staged, head, args);
            peer.staged_commands += 1;
        }
    }

    /// True when connections must not stage more for `to` now.
    pub fn is_full(&self, to: u16) -> bool {
        self.peers[to as usize].as_ref().is_some_and(|p| p.staged.len() > STAGED_BYTES_MAX)
    }

    /// An empty buffer, reused if possible.
    pub fn buffer(&mut self) -> Vec<u8> {
        self.pool.pop().unwrap_or_default()
    }

    /// Takes a buffer back.
    pub fn recycle(&mut self, mut buffer: Vec<u8>) {
        // One huge value must not pin its memory for ever, nor a burst many buffers.
        if buffer.capacity() <= 2 * STAGED_BYTES_MAX && self.pool.len() < 64 {
            buffer.clear();
            self.pool.push(buffer);
        }
    }

    /// Parcels wait in some ring.
    pub fn has_mail(&mut self) -> bool {
        self.peers.iter_mut().flatten().any(|p| !p.rx.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quire_engine::command::Args;

    #[test]
    fn requests_and_replies_come_out_as_they_went_in() {
        let to = Return { conn: 7, generation: 9, seq: u32::MAX, part: 65_535 };
        let (resp3, is_part, no_touch, cut) = (true, true, false, u64::MAX - 1);
        let head = RequestHead { to, what: 12, db: 15, resp3, is_part, no_touch, cut };
        let mut batch = Vec::new();
        let parts: [&[u8]; 3] = [b"set", b"", b"value"];
        put_request(&mut batch, head, parts.iter());
        put_request(
            &mut batch,
            RequestHead { resp3: false, is_part: false, no_touch: true, cut: 0, ..head },
            parts[..1].iter(),
        );
        let mut reader = BatchReader::new(&batch);
        let mut spans = Vec::new();
        let (h, bytes) = reader.next_request(&mut spans).unwrap();
        assert_eq!(h, head);
        let args = Args::new(bytes, &spans);
        assert_eq!(args.iter_from(0).collect::<Vec<_>>(), parts);
        let second = reader.next_request(&mut spans).unwrap().0;
        assert!(!second.resp3 && !second.is_part && second.no_touch);
        assert!(reader.next_request(&mut spans).is_none());

        let mut batch = Vec::new();
        put_reply(&mut batch, to, |out| {
            out.extend_from_slice(b"+OK\r\n");
            Written { gate: 1 << 40, wrote: true, is_torn: true, ticks: 80, kind: Kind::Served }
        });
        put_slow(&mut batch, to, 1 << 33, parts.iter());
        put_reply(&mut batch, to, |_| Written { ticks: 1 << 40, ..Written::default() });
        let mut reader = BatchReader::new(&batch);
        let (wrote, is_torn, kind) = (true, true, Kind::Served);
        let expected = ReplyHead { to, gate: 1 << 40, wrote, is_torn, kind, ticks: 80 };
        assert_eq!(reader.next_reply(), Some((expected, &b"+OK\r\n"[..])));
        let (head, note) = reader.next_reply().unwrap();
        assert_eq!(head.kind, Kind::Slow);
        assert_eq!(read_slow(note), (1 << 33, parts.map(<[u8]>::to_vec).to_vec()));
        let ticks = u64::from(u32::MAX) * 16;
        let (wrote, is_torn, kind) = (false, false, Kind::Answer);
        let expected = ReplyHead { to, gate: 0, wrote, is_torn, kind, ticks };
        assert_eq!(reader.next_reply(), Some((expected, &b""[..])));
        assert!(reader.next_reply().is_none());
    }
}
