//! The walk of one shard: its keys as they were at the cut, in chunks, while commands go on.
//!
//! ```text
//! Walk::begin = the cut        keyspace/walk.rs: what is given out, once, and why that is all
//! walk_slice -> writer         keys that the walk comes to                  -> waiting -> take_chunk
//! commands   -> Copier         keys that are about to change, per database  /
//! ```
//! Invariants: every key that the keyspace gives out is written once, under the database's number
//! at the cut, into a chunk; [`Walked::Done`] is said when all of them are waiting or taken.
//!
//! Memory: when chunks of [`WAITING_MAX`] bytes wait to be taken, the walk stops walking
//! ([`Walked::Full`]) until some are. What commands copy out cannot wait and is added on top; it is
//! counted. It is no more than what they change, once for each key.
//!
//! A slice is measured by work, not by a clock: a step costs what reading a key and writing its bytes
//! take. A value is written whole, so a slice is longer by what its last value took.
//!
//! Knows neither when a walk is due nor where chunks go.

use super::{Chunk, ChunkOptions, ChunkWriter, Record};
use crate::{
    keyspace::{Copyist, Entry, Keyspace},
    rdb::Unwritable,
};
use std::{
    collections::VecDeque,
    sync::mpsc::{Receiver, Sender, channel},
};

/// A chunk is full from here on, bytes.
const CHUNK_BYTES: usize = 256 * 1024;
/// The walk stops while so many bytes wait to be taken.
const WAITING_MAX: usize = 4 * CHUNK_BYTES;
/// What a key costs, ns: it is rarely in the cache.
const KEY_NS: u64 = 250;
/// What a byte of it costs, in 16ths of a ns.
const BYTE_NS: u64 = 8;
/// The same when long strings are packed.
const PACKED_BYTE_NS: u64 = 80;

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
    /// Keys there were at the cut.
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
    copies: Receiver<Result<Chunk, Unwritable>>,
    waiting: VecDeque<Chunk>,
    compress: bool,
    is_done: bool,
    stats: WalkStats,
}

/// Writes keys of one database that are about to change.
struct Copier {
    db: u16,
    writer: ChunkWriter,
    to: Sender<Result<Chunk, Unwritable>>,
    has_failed: bool,
}

impl Copier {
    fn hand_over(&mut self) {
        // Nobody takes it when the walk has been given up.
        let _ = self.writer.take().map(|chunk| self.to.send(Ok(chunk)));
    }
}

impl Copyist for Copier {
    fn copy(&mut self, group: usize, entry: Entry<'_>) {
        if self.has_failed {
            return;
        }
        if let Err(error) = self.writer.push(self.db, group as u16, Record::from(entry)) {
            self.has_failed = true;
            let _ = self.to.send(Err(error));
        } else if self.writer.bytes() >= CHUNK_BYTES {
            self.hand_over();
        }
    }

    fn finish(mut self: Box<Self>) {
        if !self.has_failed {
            self.hand_over();
        }
    }
}

impl Walk {
    /// The cut of a shard's keys.
    pub fn begin(keyspace: &mut Keyspace, shard: u16, options: &ChunkOptions) -> Self {
        let (to, copies) = channel();
        keyspace.begin_walk(|db| {
            let writer = ChunkWriter::new(shard, options);
            Box::new(Copier { db: db as u16, writer, to: to.clone(), has_failed: false })
        });
        let stats = WalkStats { keys: keyspace.len() as u64, ..WalkStats::default() };
        Self {
            writer: ChunkWriter::new(shard, options),
            copies,
            waiting: VecDeque::new(),
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
        self.collect_copies()?;
        if self.is_done {
            return Ok(Walked::Done);
        }
        if self.stats.waiting_bytes >= WAITING_MAX {
            return Ok(Walked::Full);
        }
        let byte_ns = if self.compress { PACKED_BYTE_NS } else { BYTE_NS };
        let (mut left_ns, mut failed) = ((micros * 1000) as i64, None);
        let all = keyspace.walk_on(&mut |db, group, entry| {
            left_ns -= (KEY_NS + entry.memory_bytes() as u64 * byte_ns / 16) as i64;
            failed = self.writer.push(db as u16, group as u16, Record::from(entry)).err();
            self.stats.walked += 1;
            if self.writer.bytes() >= CHUNK_BYTES {
                self.hand_over();
            }
            failed.is_none() && left_ns > 0 && self.stats.waiting_bytes < WAITING_MAX
        });
        if let Some(error) = failed {
            return Err(error);
        }
        if !all {
            return Ok(Walked::More);
        }
        self.hand_over();
        // ORDER: copyists hand over their last chunks when the walk has passed their database.
        self.collect_copies()?;
        self.is_done = true;
        Ok(Walked::Done)
    }

    fn hand_over(&mut self) {
        if let Some(chunk) = self.writer.take() {
            self.add(chunk);
        }
    }

    fn collect_copies(&mut self) -> Result<(), Unwritable> {
        while let Ok(chunk) = self.copies.try_recv() {
            let chunk = chunk?;
            self.stats.copied_bytes += chunk.bytes.len() as u64;
            self.add(chunk);
        }
        Ok(())
    }

    fn add(&mut self, chunk: Chunk) {
        let stats = &mut self.stats;
        stats.bytes += chunk.bytes.len() as u64;
        stats.waiting_bytes += chunk.bytes.len();
        stats.waiting_bytes_max = stats.waiting_bytes_max.max(stats.waiting_bytes);
        self.waiting.push_back(chunk);
    }

    /// The next chunk, in no order of keys.
    pub fn take_chunk(&mut self) -> Option<Chunk> {
        let chunk = self.waiting.pop_front()?;
        self.stats.waiting_bytes -= chunk.bytes.len();
        Some(chunk)
    }

    /// What it has done; copied bytes are counted with their chunk.
    pub fn stats(&self, keyspace: &Keyspace) -> WalkStats {
        WalkStats { copied: keyspace.copied_out(), ..self.stats }
    }
}
