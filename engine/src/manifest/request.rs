//! What the librarian is asked and what it answers. Plain values: they cross threads.

use crate::{
    aof::{Lsn, OpenSegment, RetiredSegment, WantSegment},
    error::StorageError,
};
use std::fmt;

/// A segment that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The shard that will write it.
    pub shard: u16,
    /// How it will be written, and how long it is made.
    pub segment: WantSegment,
}

/// Where a shard's log ends, everything before it synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The shard.
    pub shard: u16,
    /// The run's last LSN on this shard; 0 = none.
    pub last_lsn: Lsn,
    /// Number of the segment it goes on in: listed, flipped to already
    /// ([`crate::aof::LogWriter::rotate`]), no batch written to it before the answer.
    pub next: u64,
}

/// What the librarian can be asked.
#[derive(Debug, Clone)]
pub enum Request {
    /// Create a segment, make it stable, list it.
    Prepare(Wanted),
    /// End a segment nobody writes to any more; everything in it is synced. One with commits is
    /// cut behind the last and gets its end-of-log line; an empty one is unlisted and deleted;
    /// one that went with an emptied data set is only closed.
    Retire {
        /// The shard.
        shard: u16,
        /// The segment.
        segment: RetiredSegment,
    },
    /// A global command between two epochs. Every shard stands at the barrier: everything
    /// before is synced, no batch is written to its next segment yet. The new manifest is the
    /// commit point.
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
    /// A log that has not taken effect yet does not: every file made for it is deleted.
    Discard,
    /// A finished snapshot becomes the base, or a finished delta stands behind the one there is:
    /// everything logged before its cut goes.
    Checkpoint {
        /// The file, under [`crate::manifest::Names::draft`] or
        /// [`crate::manifest::Names::delta_draft`], by which it is known what it is; its bytes are
        /// stable.
        draft: String,
        /// Where every shard stood at the cut, each exactly once: its last LSN that is in the
        /// snapshot, and the segment that holds the next one. No global command began between the
        /// first flip and the last.
        positions: Vec<Position>,
        /// The epoch at the cut.
        epoch: u64,
    },
}

/// What a request that could not be done was about. Prints as a verb with its object:
/// "retire segment 7".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// [`Request::Prepare`] for this shard.
    Prepare(u16),
    /// [`Request::Retire`] of this segment.
    Retire(u64),
    /// [`Request::Global`].
    Global,
    /// [`Request::NewGeneration`].
    NewGeneration,
    /// [`Request::Discard`].
    Discard,
    /// [`Request::Checkpoint`].
    Checkpoint,
    /// Nobody's request: replaced files leave the manifest after one that was done.
    Forget,
}

impl From<&Request> for Asked {
    fn from(request: &Request) -> Self {
        match request {
            Request::Prepare(wanted) => Self::Prepare(wanted.shard),
            Request::Retire { segment, .. } => Self::Retire(segment.segment.seq),
            Request::Global { .. } => Self::Global,
            Request::NewGeneration { .. } => Self::NewGeneration,
            Request::Discard => Self::Discard,
            Request::Checkpoint { .. } => Self::Checkpoint,
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prepare(shard) => write!(f, "prepare a segment of shard {shard}"),
            Self::Retire(segment) => write!(f, "retire segment {segment}"),
            Self::Global => f.write_str("log a global command"),
            Self::NewGeneration => f.write_str("begin with an empty data set"),
            Self::Discard => f.write_str("give up a log that begins"),
            Self::Checkpoint => f.write_str("complete a checkpoint"),
            Self::Forget => f.write_str("forget replaced files"),
        }
    }
}

/// What the librarian answers.
#[derive(Debug, Clone)]
pub enum Event {
    /// A segment is ready: it exists, is stable, is listed and holds no commit.
    Prepared {
        /// The shard that may write it.
        shard: u16,
        /// The segment; its `seq` is the number in its name, which its commits are bound to.
        segment: OpenSegment,
    },
    /// A segment could not be prepared, for lack of space (ENOSPC, EDQUOT: worth asking again in a
    /// second) or for good.
    PrepareFailed {
        /// The shard it was for.
        shard: u16,
        /// Why not.
        error: StorageError,
    },
    /// A segment is sealed, or gone.
    Retired {
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
    /// What was made for a log that never took effect is gone.
    Discarded,
    /// A checkpoint is complete: the base or the delta is in force.
    CheckpointDone {
        /// Its file.
        file: String,
    },
    /// A request could not be done; the old manifest is in force, the server may go on.
    Refused {
        /// What was asked.
        what: Asked,
        /// Why.
        error: StorageError,
    },
    /// A request failed and which manifest is in force is unknown (or already was): nothing more
    /// may be acknowledged. Every later request is answered like this.
    Failed {
        /// What was asked.
        what: Asked,
        /// Why.
        error: StorageError,
    },
    /// Files that are listed no more could not be deleted; they go after the next start.
    LeftBehind {
        /// Why.
        error: StorageError,
    },
}
