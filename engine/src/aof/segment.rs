//! The segments of one shard's log as its writer sees them: the one being written, the prepared
//! next one, those left behind and still to be synced, those nobody needs any more.
//!
//! Owns: positions, what of each segment is written and synced, sizes asked for. Exactly one next
//! segment is prepared. Does not create, list or close files: the librarian does.

use super::Lsn;
use crate::{
    io::{FileId, Method},
    limits::LOG_BLOCK_BYTES,
};
use std::{collections::VecDeque, path::PathBuf};

/// Size of a log's first segment, bytes.
pub const SEGMENT_BYTES_MIN: u64 = 4 * 1024 * 1024;
/// Size segments grow to unless told otherwise, bytes.
pub const SEGMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// A segment ready to be written: created, filled or reserved, synced, listed, opened.
#[derive(Debug, Clone)]
pub struct OpenSegment {
    /// For the ring.
    pub file: FileId,
    /// For error messages.
    pub path: PathBuf,
    /// Sequence number in its name.
    pub seq: u64,
    /// How it was prepared and is written.
    pub method: Method,
    /// Bytes prepared.
    pub capacity: u64,
}

/// The librarian is asked to prepare a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WantSegment {
    /// How it will be written.
    pub method: Method,
    /// Bytes to prepare.
    pub bytes: u64,
}

/// A segment the writer has left for good: everything in it is synced. The owner closes its file.
#[derive(Debug, Clone)]
pub struct RetiredSegment {
    /// The segment.
    pub segment: OpenSegment,
    /// Bytes written; behind them is filler, or nothing.
    pub end: u64,
    /// LSN of its last batch; that of an earlier segment if it has none.
    pub last_lsn: Lsn,
}

/// A segment with what was done to it.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) open: OpenSegment,
    /// Where the next commit goes.
    pub(super) end: u64,
    /// Last LSN written to it, or before it.
    pub(super) written: Lsn,
    /// True when something in it is written and not synced.
    pub(super) dirty: bool,
}

impl Segment {
    pub(super) fn new(open: OpenSegment, before: Lsn) -> Self {
        Self { open, end: 0, written: before, dirty: false }
    }

    pub(super) fn remaining(&self) -> u64 {
        self.open.capacity.saturating_sub(self.end)
    }

    fn retired(self) -> RetiredSegment {
        RetiredSegment { segment: self.open, end: self.end, last_lsn: self.written }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    /// Nothing asked for.
    Nothing,
    /// Asked for, not answered.
    Asked,
    /// Answered with an error; waits for a retry.
    Refused,
}

/// All segments of the writer.
#[derive(Debug)]
pub(super) struct Segments {
    pub(super) current: Segment,
    next: Option<OpenSegment>,
    /// Left, not yet synced; oldest first.
    pub(super) unsynced: VecDeque<Segment>,
    retired: VecDeque<RetiredSegment>,
    want: Want,
    next_bytes: u64,
    bytes_max: u64,
    /// A commit waits that needs this many bytes.
    needed: u64,
}

impl Segments {
    pub(super) fn new(first: OpenSegment) -> Self {
        Self {
            next_bytes: (first.capacity * 2).clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX),
            current: Segment::new(first, 0),
            next: None,
            unsynced: VecDeque::new(),
            retired: VecDeque::new(),
            want: Want::Nothing,
            bytes_max: SEGMENT_BYTES_MAX,
            needed: 0,
        }
    }

    /// Every open file.
    pub(super) fn files(&self) -> Vec<FileId> {
        let next = self.next.iter().map(|segment| segment.file);
        let left = self.unsynced.iter().map(|segment| segment.open.file);
        let retired = self.retired.iter().map(|retired| retired.segment.file);
        next.chain(left).chain(retired).chain([self.current.open.file]).collect()
    }

    pub(super) fn set_bytes_max(&mut self, bytes: u64) {
        self.bytes_max = bytes.next_multiple_of(LOG_BLOCK_BYTES as u64);
        self.next_bytes = self.next_bytes.min(self.bytes_max);
    }

    /// Bytes one commit can be sure of, `in_flight` bytes being on their way to the current one.
    pub(super) fn reserved(&self, in_flight: u64) -> u64 {
        let current = self.current.remaining().saturating_sub(in_flight);
        current.max(self.next.as_ref().map_or(0, |n| n.capacity))
    }

    pub(super) fn install(&mut self, next: OpenSegment, method: Method) {
        self.want = Want::Nothing;
        debug_assert!(self.next.is_none(), "one next segment is kept, not two");
        debug_assert!(next.seq > self.current.open.seq, "sequence numbers increase");
        self.next = Some(next);
        self.drop_unfit_next(method);
    }

    /// A prepared segment of another method is of no use: it stays empty.
    pub(super) fn drop_unfit_next(&mut self, method: Method) {
        if let Some(next) = self.next.take_if(|next| next.method != method) {
            self.retired.push_back(Segment::new(next, self.current.written).retired());
        }
    }

    pub(super) fn refuse(&mut self) {
        self.want = Want::Refused;
    }

    pub(super) fn is_refused(&self) -> bool {
        self.want == Want::Refused
    }

    pub(super) fn retry(&mut self) {
        if self.want == Want::Refused {
            self.want = Want::Nothing;
        }
    }

    pub(super) fn take_want(&mut self, method: Method) -> Option<WantSegment> {
        if self.next.is_some() || self.want != Want::Nothing {
            return None;
        }
        self.want = Want::Asked;
        let bytes = self.next_bytes.max(self.needed).next_multiple_of(LOG_BLOCK_BYTES as u64);
        Some(WantSegment { method, bytes })
    }

    /// A commit of this many bytes waits for a segment.
    pub(super) fn need(&mut self, bytes: u64) {
        self.needed = bytes;
    }

    /// True when a commit waits for a segment.
    pub(super) fn is_needed(&self) -> bool {
        self.needed > 0
    }

    /// Goes on in the next segment, if there is one.
    pub(super) fn flip(&mut self) -> bool {
        let Some(next) = self.next.take() else { return false };
        let full = self.current.end > self.current.open.capacity / 2;
        if full {
            self.next_bytes = (self.next_bytes * 2).min(self.bytes_max);
        }
        self.needed = 0;
        let fresh = Segment::new(next, self.current.written);
        let left = std::mem::replace(&mut self.current, fresh);
        if left.dirty {
            self.unsynced.push_back(left);
        } else {
            self.retired.push_back(left.retired());
        }
        true
    }

    /// The oldest segment left behind is synced to its end.
    pub(super) fn retire_front(&mut self) {
        if let Some(left) = self.unsynced.pop_front() {
            self.retired.push_back(left.retired());
        }
    }

    /// A segment that may be closed; not the one of the sync in flight, if any.
    pub(super) fn take_retired(&mut self, syncing: Option<FileId>) -> Option<RetiredSegment> {
        // ORDER: a sync may still run on a segment that another one, linked to its last write,
        // has made clean; closed now, that sync would fail, or hit another file.
        let idle = |left: &RetiredSegment| Some(left.segment.file) != syncing;
        if self.retired.front().is_some_and(idle) { self.retired.pop_front() } else { None }
    }
}
