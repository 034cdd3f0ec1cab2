//! The walk of one shard: its keys as they were at the cut, in chunks, while commands go on.
//!
//! ```text
//! Walk::begin = the cut            keyspace/walk: what is given out, once, and why that is all
//! walk_slice -> writer             keys that the walk comes to                   \
//! commands   -> Copier             keys that are about to change, per database    -> Line -> take_chunk
//! both       -> ValueWriter        elements of one big value                     /
//! ```
//! Invariants: every key that the keyspace gives out is written once, under the database's number
//! at the cut, into a chunk; the parts of a value follow each other without a break;
//! [`Walked::Done`] is said when all of them are waiting or taken.
//!
//! Memory: when chunks of [`WAITING_MAX`] bytes wait to be taken, the walk stops walking
//! ([`Walked::Full`]) until some are. Only what can be taken counts: what is held back behind a part
//! of a value waits for the walk. What commands copy out cannot wait and is added on top; it is
//! counted. It is no more than what they change, once for each key and each element.
//!
//! A slice is measured by work, not by a clock: a step costs what reading a key and writing its bytes
//! take. A string is written whole, so a slice is longer by what its last one took.
//!
//! Knows neither when a walk is due nor where chunks go.

use super::{
    Chunk, ChunkOptions, ChunkWriter, Record,
    copies::{Copier, Message, writer},
    line::Line,
};
use crate::{
    keyspace::{Given, Keyspace, Names, Scope, names},
    rdb::Unwritable,
};
use std::sync::mpsc::{Receiver, channel};

/// A chunk is full from here on, bytes; tests have few.
pub(super) const CHUNK_BYTES: usize = if cfg!(test) { 600 } else { 256 * 1024 };
/// The walk stops while so many bytes wait to be taken.
const WAITING_MAX: usize = 4 * CHUNK_BYTES;
/// What a key or an element costs, ns: it is rarely in the cache.
const ENTRY_NS: u64 = 250;
/// What the name of a key costs that is gone, ns.
const NAME_NS: i64 = 50;
/// What 16 bytes of it cost, ns; and when long strings are packed.
const BYTES_NS: u64 = 8;
const PACKED_BYTES_NS: u64 = 80;

/// How a slice ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walked {
    /// There is more to walk.
    More,
    /// So many chunks wait to be taken that the walk must wait.
    Full,
    /// All is walked. What waits is the end.
    Done,
    /// There is no walk: it was given up, if it ever began.
    GivenUp,
    /// A value cannot be written. The walk has been given up.
    Failed(Unwritable),
}

/// What a walk has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WalkStats {
    /// Keys there were at the cut; in a delta, about: those that have changed.
    pub keys: u64,
    /// Keys that the walk itself has come to.
    pub walked: u64,
    /// Keys copied out before they changed.
    pub copied: u64,
    /// Bytes in chunks so far.
    pub bytes: u64,
    /// Those of them that were copied out.
    pub copied_bytes: u64,
    /// Bytes that wait to be taken.
    pub waiting_bytes: usize,
    /// The most that ever waited.
    pub waiting_bytes_max: usize,
}

/// A walk.
pub struct Walk {
    writer: ChunkWriter,
    copies: Receiver<Message>,
    line: Line,
    /// Names of keys that are gone, in pieces, to be written before anything else.
    gone: Vec<(usize, Names)>,
    compress: bool,
    is_done: bool,
    stats: WalkStats,
}

impl Walk {
    /// The cut of a shard's keys. Of changes only what is known: see [`Keyspace::changes`].
    pub fn begin(
        keyspace: &mut Keyspace,
        shard: u16,
        scope: Scope,
        options: &ChunkOptions,
    ) -> Self {
        let (to, copies) = channel();
        let mut stats = WalkStats { keys: keyspace.len() as u64, ..WalkStats::default() };
        let mut gone = Vec::new();
        if scope == Scope::Changes {
            stats.keys = keyspace.changes().map_or(0, |changes| changes.keys as u64);
            gone = keyspace.gone();
        }
        keyspace.begin_walk(scope, |db| {
            Box::new(Copier::new(db as u16, shard, scope, options, to.clone()))
        });
        Self {
            writer: writer(shard, scope, options),
            copies,
            line: Line::default(),
            gone,
            compress: options.compress,
            is_done: false,
            stats,
        }
    }

    /// Walks on for about so many microseconds. After [`Walked::Failed`] the keyspace's walk is
    /// given up.
    pub fn slice(&mut self, keyspace: &mut Keyspace, micros: u64) -> Walked {
        match self.walk(keyspace, micros) {
            Ok(walked) => walked,
            Err(error) => {
                keyspace.give_up_walk();
                Walked::Failed(error)
            }
        }
    }

    fn walk(&mut self, keyspace: &mut Keyspace, micros: u64) -> Result<Walked, Unwritable> {
        if !self.gone.is_empty() {
            return self.write_gone(micros);
        }
        self.collect_copies()?;
        if self.is_done {
            return Ok(Walked::Done);
        }
        if self.line.ready_bytes() >= WAITING_MAX {
            return Ok(Walked::Full);
        }
        let bytes_ns = if self.compress { PACKED_BYTES_NS } else { BYTES_NS };
        let (mut left_ns, mut failed) = ((micros * 1000) as i64, None);
        let all = keyspace.walk_on(&mut |given| {
            let bytes = match given {
                Given::Entry(db, group, entry) => {
                    let record = Record::from(entry);
                    failed = self.writer.push(db as u16, group as u16, record).err();
                    self.stats.walked += 1;
                    entry.memory_bytes()
                }
                Given::Begun => {
                    self.stats.walked += 1;
                    0
                }
                Given::Element(bytes) => bytes,
            };
            left_ns -= (ENTRY_NS + bytes as u64 * bytes_ns / 16) as i64;
            if self.writer.bytes() >= CHUNK_BYTES {
                self.hand_over();
            }
            failed.is_none() && left_ns > 0 && self.line.ready_bytes() < WAITING_MAX
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if !all {
            // What big values have given out by now is to wait with the rest.
            self.collect_copies()?;
            return Ok(Walked::More);
        }
        self.hand_over();
        // ORDER: copyists hand over their last chunks when the walk is at its end.
        self.collect_copies()?;
        self.is_done = true;
        Ok(Walked::Done)
    }

    /// Writes names of keys that are gone.
    fn write_gone(&mut self, micros: u64) -> Result<Walked, Unwritable> {
        if self.line.ready_bytes() >= WAITING_MAX {
            return Ok(Walked::Full);
        }
        let mut left_ns = (micros * 1000) as i64;
        while left_ns > 0
            && self.line.ready_bytes() < WAITING_MAX
            && let Some((db, piece)) = self.gone.pop()
        {
            for name in names(&piece) {
                self.writer.gone(db as u16, name)?;
                left_ns -= NAME_NS;
            }
            if self.writer.bytes() >= CHUNK_BYTES {
                self.hand_over();
            }
        }
        if self.gone.is_empty() {
            // ORDER: before the first copy is collected: a key that is gone may have come again, and
            // whoever executes the commands must see its new value last.
            self.hand_over();
        }
        Ok(Walked::More)
    }

    fn hand_over(&mut self) {
        if let Some(chunk) = self.writer.take() {
            self.stats.bytes += chunk.bytes.len() as u64;
            self.line.whole(chunk);
        }
    }

    fn collect_copies(&mut self) -> Result<(), Unwritable> {
        while let Ok(message) = self.copies.try_recv() {
            let bytes = match &message {
                Message::Whole(chunk) => {
                    self.stats.copied_bytes += chunk.bytes.len() as u64;
                    chunk.bytes.len()
                }
                Message::Part { chunk, .. } => chunk.bytes.len(),
                Message::Failed(error) => return Err(*error),
            };
            self.stats.bytes += bytes as u64;
            match message {
                Message::Whole(chunk) => self.line.whole(chunk),
                Message::Part { value, chunk, is_attended } => {
                    self.line.part(value, chunk, is_attended);
                }
                Message::Failed(_) => {}
            }
        }
        self.stats.waiting_bytes_max = self.stats.waiting_bytes_max.max(self.line.bytes());
        Ok(())
    }

    /// The next chunk, in no order of keys; parts of a value one after the other.
    pub fn take_chunk(&mut self) -> Option<Chunk> {
        self.line.take()
    }

    /// What it has done; copied bytes are counted with their chunk.
    pub fn stats(&self, keyspace: &Keyspace) -> WalkStats {
        let waiting_bytes = self.line.bytes();
        WalkStats { copied: keyspace.copied_out(), waiting_bytes, ..self.stats }
    }
}
