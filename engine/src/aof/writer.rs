//! Writes and syncs the commits of one shard: a state machine, driven by the shard's loop.
//!
//! ```text
//! end of every turn: pump -> [flip] -> one commit -> [sync] -> released()     replies leave
//! completions:       on_write_done, on_sync_done -> released()
//! librarian:         take_want -> install_next | next_failed     take_retired -> close
//! ```
//! Group commit: what arrives while a commit is in flight forms the next one; one write at a
//! time, so LSNs reach the disk in order. Invariants: `synced <= written`; `released` never
//! exceeds what the policy's level has reached; a failed sync, or a write that failed for another
//! reason than a full disk, is final: nothing is written, synced or released any more.
//!
//! Released means *settled* (`frontier.rs`): an LSN that has reached its level, with every
//! transaction over several shards before it there on all its shards. Without such transactions
//! what has been reached is settled. `writer/commit.rs` writes, `writer/sync.rs` syncs and rotates;
//! they own the invariants of what they have in flight.

mod commit;
mod sync;

use self::{
    commit::{Flight, Stage},
    sync::SyncFlight,
};
use super::{
    Lsn, Participants, Staging,
    buffer::AlignedBuf,
    cohort::Cohort,
    frontier::{Frontier, Ledger},
    policy::{Ages, FsyncPolicy, Level, Progress},
    segment::{OpenSegment, RetiredSegment, Segments, WantSegment},
    stats::LogStats,
};
use crate::{
    error::StorageError,
    io::{FileId, LogIo},
};
use std::sync::Arc;

/// The writer of one shard's log.
pub struct LogWriter {
    shard: u16,
    run: u64,
    policy: FsyncPolicy,
    segments: Segments,
    flight: Option<Flight>,
    sync: Option<SyncFlight>,
    spare: AlignedBuf,
    written: Lsn,
    synced: Lsn,
    /// What of it is settled, by level.
    settled: [Lsn; 2],
    released: Lsn,
    /// Transactions over several shards that are not.
    ledger: Ledger,
    ages: Ages,
    /// Somebody wants everything up to here synced now.
    sync_asked: Lsn,
    last_commit_us: u64,
    cohort: Cohort,
    /// A commit waits for company until then, us.
    lingering_us: Option<u64>,
    /// Nothing but an empty commit followed the last one, or there was none.
    idle_closed: bool,
    rotate_after: Option<Lsn>,
    /// What the rotation ends is synced before the log goes on.
    rotate_synced: bool,
    finishing: bool,
    finished: bool,
    space_error: Option<StorageError>,
    space_error_told: bool,
    failed: Option<StorageError>,
    stats: LogStats,
}

impl LogWriter {
    /// The writer of shard `shard` in run `run`, beginning in `first` with LSN 1.
    pub fn new(shard: u16, run: u64, policy: FsyncPolicy, first: OpenSegment) -> Self {
        Self {
            shard,
            run,
            policy,
            segments: Segments::new(first),
            flight: None,
            sync: None,
            spare: AlignedBuf::new(),
            written: 0,
            synced: 0,
            settled: [0; 2],
            released: 0,
            ledger: Ledger::default(),
            ages: Ages::default(),
            sync_asked: 0,
            last_commit_us: 0,
            cohort: Cohort::default(),
            lingering_us: None,
            idle_closed: true,
            rotate_after: None,
            rotate_synced: true,
            finishing: false,
            finished: false,
            space_error: None,
            space_error_told: false,
            failed: None,
            stats: LogStats::default(),
        }
    }

    /// The log begins behind this LSN, for a run that has given out some before it had a log.
    pub fn begin_after(&mut self, lsn: Lsn) {
        debug_assert!(self.flight.is_none() && self.written == 0, "nothing has been written");
        (self.written, self.synced, self.released) = (lsn, lsn, lsn);
        self.settled = [lsn; 2];
        self.sync_asked = lsn;
        self.segments.current.written = lsn;
    }

    /// True while the kernel works on a write or sync of this log: until then it must not go.
    pub fn is_in_kernel(&self) -> bool {
        self.sync.is_some() || self.flight.as_ref().is_some_and(|f| f.stage == Stage::Writing)
    }

    /// Every file that is open for it, for whoever gives it up.
    pub fn files(&self) -> Vec<FileId> {
        self.segments.files()
    }

    /// The frontier of the run; needed before the first transaction over several shards.
    pub fn set_frontier(&mut self, frontier: Arc<Frontier>) {
        self.ledger = Ledger::new(self.shard.into(), frontier);
    }

    /// Limits the size segments grow to, bytes.
    pub fn set_segment_bytes_max(&mut self, bytes: u64) {
        self.segments.set_bytes_max(bytes);
    }

    /// The policy.
    pub fn policy(&self) -> FsyncPolicy {
        self.policy
    }

    /// Changes the policy from the next commit on. Another write method rotates to a segment prepared for it, as soon as there is one.
    ///
    /// `released()` may fall back when replies begin to wait for more than before.
    pub fn set_policy(&mut self, policy: FsyncPolicy, staging: &mut Staging) {
        if policy.level() > self.policy.level() {
            // ORDER: values released at the lower level are unsettled again until synced; the
            // staging gates every read on them.
            self.released = self.settled(Level::Synced);
        }
        self.policy = policy;
        self.segments.drop_unfit_next(policy.method());
        staging.set_gating(policy.level() == Level::Synced);
    }

    /// What the librarian should prepare; said once per segment.
    pub fn take_want(&mut self) -> Option<WantSegment> {
        if self.failed.is_some() || (self.finishing && !self.segments.is_needed()) {
            return None;
        }
        self.segments.take_want(self.policy.method())
    }

    /// The segment asked for is ready.
    pub fn install_next(&mut self, next: OpenSegment) {
        self.segments.install(next, self.policy.method());
        if self.flight.as_ref().is_none_or(|f| f.stage == Stage::Writing) {
            self.set_space_error(None);
        }
    }

    /// The segment asked for cannot be prepared. Writes go on in what is reserved; asked for again
    /// after [`LogWriter::retry`].
    pub fn next_failed(&mut self, error: StorageError) {
        self.segments.refuse();
        self.set_space_error(Some(error));
    }

    /// Tries again what failed for lack of space; to be called now and then, say every second.
    pub fn retry(&mut self) {
        self.segments.retry();
        if let Some(flight) = &mut self.flight
            && flight.stage == Stage::NoSpace
        {
            flight.stage = Stage::Again;
        }
    }

    /// A segment that was left and is synced: its file may be closed.
    pub fn take_retired(&mut self) -> Option<RetiredSegment> {
        self.segments.take_retired(self.sync.as_ref().map(|s| s.file))
    }

    /// Wants everything that has been gathered so far synced now (WAITAOF, SYNC NOW), whatever the
    /// policy, and all transactions in it on all their shards; done when what is settled at level
    /// synced has reached the staging's last LSN of now.
    pub fn request_sync(&mut self, staging: &Staging) {
        self.sync_asked = staging.last_lsn();
    }

    /// Ends the current segment: what has been gathered so far is committed and synced, then the
    /// log goes on in the next one. Later batches wait meanwhile.
    pub fn rotate(&mut self, staging: &Staging) {
        self.rotate_after = Some(staging.last_lsn());
        self.rotate_synced = true;
    }

    /// The cut of a checkpoint: what has been gathered so far ends the current segment, what comes
    /// now begins the next one. Nobody waits: neither for a sync, which the old segment gets as
    /// any other that was left, nor for a write. A cut before the last one has parted the log
    /// takes its place.
    pub fn cut(&mut self, staging: &mut Staging) {
        staging.cut();
        self.rotate_after = Some(staging.last_lsn());
        self.rotate_synced = false;
    }

    /// True until a [`LogWriter::rotate`] or [`LogWriter::cut`] is done.
    pub fn is_rotating(&self) -> bool {
        self.rotate_after.is_some()
    }

    /// Ends the log: a last commit, a last sync. Nothing may be pushed any more.
    pub fn start_finish(&mut self) {
        self.finishing = true;
        self.rotate_after = None;
    }

    /// True when everything is written and synced after [`LogWriter::start_finish`]. The owner then
    /// seals the segment of [`LogWriter::tail`]: cuts the filler off, appends the end-of-log line,
    /// syncs. Never true of a failed log.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// The segment being written: its sequence number, where the log ends in it, the last LSN.
    pub fn tail(&self) -> (u64, u64, Lsn) {
        let current = &self.segments.current;
        (current.open.seq, current.end, self.written)
    }

    /// The segment being written.
    pub fn current(&self) -> &OpenSegment {
        &self.segments.current.open
    }

    /// Highest LSN that has left the process' memory.
    pub fn written(&self) -> Lsn {
        self.written
    }

    /// Highest LSN on stable storage.
    pub fn synced(&self) -> Lsn {
        self.synced
    }

    /// Highest LSN that recovery cannot take back, once what has reached `level` is there.
    pub fn settled(&self, level: Level) -> Lsn {
        self.settled[level as usize]
    }

    /// The first LSN that will never be settled at that level, because the log of another shard
    /// has failed.
    pub fn hopeless(&self, level: Level) -> Option<Lsn> {
        self.ledger.hopeless(level)
    }

    /// The shards whose logs have something to do because of this one since the last call:
    /// something to sync, or replies to let go.
    pub fn take_wake(&mut self) -> Participants {
        self.ledger.take_wake()
    }

    /// Highest LSN whose replies may leave.
    pub fn released(&self) -> Lsn {
        self.released
    }

    /// The error that ended the log. Sticky.
    pub fn failed(&self) -> Option<&StorageError> {
        self.failed.as_ref()
    }

    /// Why no more space can be had at the moment.
    pub fn space_error(&self) -> Option<&StorageError> {
        self.space_error.as_ref()
    }

    /// Counters.
    pub fn stats(&self) -> &LogStats {
        &self.stats
    }

    /// When `pump` must be called even if nothing happens, us; `None`: not at all.
    pub fn next_deadline_us(&self) -> Option<u64> {
        if self.failed.is_some() {
            return None;
        }
        let sync = if self.sync.is_none() && self.segments.current.dirty && !self.flight_syncs() {
            self.policy.sync_due_us(self.ages.oldest_us())
        } else {
            None
        };
        let demand = if self.ledger.is_undemanded() {
            self.policy.sync_due_us(self.oldest_unsettled_us())
        } else {
            None
        };
        let idle = if self.idle_closed || self.flight.is_some() || self.finishing {
            None
        } else {
            self.policy.idle_commit_due_us(self.last_commit_us)
        };
        sync.into_iter().chain(demand).chain(idle).chain(self.lingering_us).min()
    }

    /// Batches that a commit waits for before it starts, at most until
    /// [`LogWriter::next_deadline_us`]: nothing else needs this thread sooner for the log's sake.
    pub fn company_missing(&self, staging: &Staging) -> Option<u64> {
        let staged = staging.last_lsn().saturating_sub(self.written);
        self.lingering_us.map(|_| self.cohort.missing(staged))
    }

    /// The replies that the last commit released have just been handed to the kernel: a commit
    /// that waits for their clients to come back counts from now.
    pub fn replies_left(&mut self, now_us: u64) {
        self.cohort.answered(now_us);
        if self.lingering_us.is_some() {
            self.lingering_us = self.cohort.wait_until_us(0, now_us);
        }
    }

    /// The end of a turn: writes what was gathered, syncs what is due, releases what is reached.
    pub fn pump(&mut self, staging: &mut Staging, now_us: u64, io: &mut impl LogIo) {
        if self.failed.is_some() {
            return;
        }
        self.ages.note(staging.last_lsn(), now_us);
        self.ages.forget(self.synced);
        if !self.ledger.is_empty() || !staging.marks().is_empty() {
            self.follow_transactions(staging, now_us);
        }
        self.write_again(now_us, io);
        self.flip_when_due();
        self.commit(staging, now_us, io);
        self.start_sync_when_due(now_us, io);
        self.settle(staging, now_us);
        self.finished = self.finishing
            && staging.staged_bytes() == 0
            && self.flight.is_none()
            && self.sync.is_none()
            && !self.segments.current.dirty
            && self.segments.unsynced.is_empty()
            && (self.ledger.is_empty() || staging.is_failed())
            && self.failed.is_none();
    }

    /// Takes over the staging's transactions, and has them synced elsewhere if they are waited for.
    fn follow_transactions(&mut self, staging: &mut Staging, now_us: u64) {
        self.ledger.take(staging.marks(), now_us);
        let due = self.policy.sync_due_us(self.oldest_unsettled_us());
        // ORDER: before this log's own sync, so that all run at the same time.
        if self.ledger.is_undemanded()
            && (self.policy.level() == Level::Synced
                || self.sync_asked > self.settled(Level::Synced)
                || due.is_some_and(|t| now_us >= t))
        {
            self.ledger.demand();
        }
        staging.set_stable_below(self.ledger.stable_below());
    }

    /// When the oldest effect that a power cut could take was gathered, us.
    fn oldest_unsettled_us(&self) -> Option<u64> {
        self.ages.oldest_us().into_iter().chain(self.ledger.oldest_us()).min()
    }

    /// Releases what has reached the policy's level, and tells the staging how things stand.
    fn settle(&mut self, staging: &mut Staging, now_us: u64) {
        if let Some(error) = &self.failed {
            if !staging.is_failed() {
                staging.set_failed(error.reason());
            }
            self.ledger.fail();
            return;
        }
        self.settled = self.ledger.settled([self.written, self.synced]);
        let progress = Progress {
            written: self.settled(Level::Written),
            synced: self.settled(Level::Synced),
            oldest_unsynced_us: self.oldest_unsettled_us(),
        };
        self.released = self.released.max(self.policy.reached(progress, now_us));
        staging.set_gating(self.policy.level() == Level::Synced);
        staging.settle(self.settled(self.policy.level()));
        if !self.space_error_told {
            staging.set_space_error(self.space_error.as_ref().map(StorageError::reason));
            self.space_error_told = true;
        }
        let in_flight = self.flight.as_ref().map_or(0, |f| f.buf.len() as u64);
        staging.set_reserved(self.segments.reserved(in_flight));
    }

    fn set_space_error(&mut self, error: Option<StorageError>) {
        if error.is_some() || self.space_error.is_some() {
            self.space_error = error;
            self.space_error_told = false;
        }
    }

    fn error(&self, op: &'static str, errno: i32, offset: Option<u64>) -> StorageError {
        let path = self.segments.current.open.path.clone();
        StorageError { op, path, offset, errno }
    }

    fn fail(&mut self, op: &'static str, errno: i32, offset: Option<u64>) {
        self.failed.get_or_insert(StorageError {
            op,
            path: self.segments.current.open.path.clone(),
            offset,
            errno,
        });
    }

    fn fail_in(&mut self, file: FileId, errno: i32) {
        let left = self.segments.unsynced.iter().find(|s| s.open.file == file);
        let path = left.unwrap_or(&self.segments.current).open.path.clone();
        self.failed.get_or_insert(StorageError { op: "fdatasync", path, offset: None, errno });
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        if let Some(flight) = self.flight.take_if(|f| f.stage == Stage::Writing) {
            // The kernel may still read it.
            std::mem::forget(flight.buf);
        }
    }
}
