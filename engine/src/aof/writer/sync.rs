//! The writer's syncs and rotations: when a segment is synced for its own sake, what a completed
//! sync covers, when the log goes on in the next segment.
//!
//! Invariant: `synced` counts LSNs without a gap, whatever segments they are in.

use super::LogWriter;
use crate::{
    aof::{Lsn, Staging, segment::Segment},
    io::{FileId, LogIo},
};

pub(super) struct SyncFlight {
    pub(super) file: FileId,
    /// Last LSN it makes stable.
    covers: Lsn,
    /// End of what it makes stable in its segment.
    end: u64,
    started_us: u64,
}

impl LogWriter {
    pub(super) fn flip_when_due(&mut self) {
        if self.flight.is_some() || self.finishing {
            return;
        }
        if let Some(lsn) = self.rotate_after {
            // ORDER: what the rotation ends is synced before the log goes on behind it.
            let synced = !self.segments.current.dirty && self.segments.unsynced.is_empty();
            let ended = self.written >= lsn && (synced || !self.rotate_synced);
            if ended && self.flip() {
                self.rotate_after = None;
            }
        } else if self.segments.current.open.method != self.policy.method() {
            self.flip();
        }
    }

    pub(super) fn flight_syncs(&self) -> bool {
        self.flight.as_ref().is_some_and(|f| f.then_sync)
    }

    pub(super) fn start_sync_when_due(&mut self, now_us: u64, io: &mut impl LogIo) {
        if self.sync.is_some() || self.failed.is_some() {
            return;
        }
        // ORDER: segments left behind first: `synced` counts LSNs without a gap.
        let segment = match self.segments.unsynced.front() {
            Some(left) => left,
            None if self.is_sync_due(now_us) => &self.segments.current,
            None => return,
        };
        let file = segment.open.file;
        let (covers, end) = (segment.written, segment.end);
        self.sync = Some(SyncFlight { file, covers, end, started_us: now_us });
        io.start_sync(file);
    }

    /// Whether the current segment must be synced now.
    fn is_sync_due(&self, now_us: u64) -> bool {
        if !self.segments.current.dirty || self.flight_syncs() {
            return false;
        }
        let asked = self.sync_asked.max(self.ledger.asked());
        let asked = asked > self.synced && self.written >= asked;
        let rotating = self.rotate_after.filter(|_| self.rotate_synced);
        let ending = rotating.is_some_and(|lsn| self.written >= lsn)
            || (self.finishing && self.flight.is_none());
        let due = self.policy.sync_due_us(self.ages.oldest_us());
        asked || ending || due.is_some_and(|t| now_us >= t)
    }

    /// The sync that was started is done. `pump` must follow before the turn ends.
    pub fn on_sync_done(
        &mut self,
        result: Result<(), i32>,
        staging: &mut Staging,
        now_us: u64,
        io: &mut impl LogIo,
    ) {
        let Some(sync) = self.sync.take() else { return };
        match result {
            Ok(()) if self.failed.is_none() => self.synced_up_to(&sync, now_us),
            Ok(()) => {}
            Err(errno) => self.fail_in(sync.file, errno),
        }
        // The next one need not wait for the end of the turn.
        self.start_sync_when_due(now_us, io);
        self.settle(staging, now_us);
    }

    fn synced_up_to(&mut self, sync: &SyncFlight, now_us: u64) {
        self.stats.synced(now_us.saturating_sub(sync.started_us));
        self.synced = self.synced.max(sync.covers);
        self.ages.forget(self.synced);
        let whole = |s: &Segment| s.open.file == sync.file && s.end == sync.end;
        if self.segments.unsynced.front().is_some_and(whole) {
            self.segments.retire_front();
        } else if whole(&self.segments.current) {
            self.segments.current.dirty = false;
        }
    }
}
