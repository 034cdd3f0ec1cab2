//! What the librarian is asked and what it answers. Plain values: they cross threads.

use crate::{
    aof::Lsn,
    error::StorageError,
    io::{FileId, Method},
};

/// A segment that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The shard that will write it.
    pub shard: u16,
    /// How it will be written.
    pub method: Method,
    /// Length to prefill (direct) or to reserve (buffered), bytes; rounded up to whole blocks.
    pub bytes: u64,
}

/// A segment that exists, is stable, is listed and holds no commit yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenSegment {
    /// The shard that may write it.
    pub shard: u16,
    /// Descriptor for the shard's ring.
    pub file: FileId,
    /// The number in its name, which its commits are bound to.
    pub number: u64,
    /// Its name.
    pub name: String,
    /// How it is written.
    pub method: Method,
    /// Length prefilled or reserved, bytes. Commits begin at offset 0.
    pub capacity: u64,
}

/// Where a shard's log ends, everything before it synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The shard.
    pub shard: u16,
    /// The run's last LSN on this shard; 0 = none.
    pub last_lsn: Lsn,
    /// Number of the shard's next segment: listed, empty, the one it goes on with.
    pub next: u64,
}

/// What the librarian can be asked.
#[derive(Debug, Clone)]
pub enum Request {
    /// Create a segment, make it stable, list it.
    Prepare(Wanted),
    /// End a segment nobody writes to any more: cut what is behind its last commit, write the
    /// end-of-log line, sync.
    Seal {
        /// The segment's shard.
        shard: u16,
        /// The segment's number.
        number: u64,
        /// Offset behind its last commit, padding included.
        end: u64,
        /// The run's last LSN on this shard up to there; 0 = none.
        last_lsn: Lsn,
        /// The ring's descriptor, closed first.
        file: Option<FileId>,
    },
    /// A global command between two epochs. Every shard stands at the barrier, its current
    /// segment synced; afterwards it goes on in its next one. The new manifest is the commit
    /// point.
    Global {
        /// The command (or MULTI .. EXEC) as RESP, SELECT included where it matters.
        commands: Vec<u8>,
        /// Every shard, each exactly once.
        positions: Vec<Position>,
    },
    /// The empty data set: only the next segments stay listed, all other files go. Every shard
    /// stands at the barrier.
    NewGeneration {
        /// Every shard, each exactly once.
        positions: Vec<Position>,
    },
    /// Unlist and delete a segment that was prepared and is not wanted any more (change of
    /// method). It must be empty.
    Discard {
        /// The segment, given back.
        segment: OpenSegment,
    },
}

/// What the librarian answers.
#[derive(Debug, Clone)]
pub enum Event {
    /// A segment is ready.
    Prepared(OpenSegment),
    /// A segment is not ready. Said once per request.
    PrepareFailed {
        /// What was wanted.
        wanted: Wanted,
        /// Why not.
        error: StorageError,
        /// True: no space; it is tried again every second, [`Event::Prepared`] follows.
        waiting: bool,
    },
    /// A segment is sealed.
    Sealed {
        /// Its number.
        number: u64,
    },
    /// A global command is committed: the shards go on in their next segments.
    GlobalDone {
        /// The epoch that begins.
        epoch: u64,
    },
    /// The old data set is gone: the shards go on in their next segments.
    GenerationDone {
        /// The epoch that begins.
        epoch: u64,
    },
    /// A segment was given back and is gone.
    Discarded {
        /// Its number.
        number: u64,
    },
    /// A request could not be done; the old manifest is in force, the server may go on.
    Refused {
        /// What was asked, as a verb with its object: "seal segment 7".
        what: String,
        /// Why.
        error: StorageError,
    },
    /// A request failed and which manifest is in force is unknown (or already was): nothing more
    /// may be acknowledged. Every later request is answered like this.
    Failed {
        /// What was asked.
        what: String,
        /// Why.
        error: StorageError,
    },
    /// Files that are listed no more could not be deleted; they go after the next start.
    LeftBehind {
        /// Why.
        error: StorageError,
    },
}
