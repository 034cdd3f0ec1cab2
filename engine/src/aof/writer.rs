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
//! Released means *settled*: will survive recovery. Without transactions over several shards an
//! LSN is settled as soon as it has reached its level. With them the releasing step takes the
//! minimum with the lowest transaction not reached by all its participants: it goes into
//! [`LogWriter::settle`], and nothing else changes.

use super::{
    Lsn, Staging,
    buffer::AlignedBuf,
    header::{HEADER_BYTES, Header, pad_to_block, padded_bytes},
    policy::{Ages, FsyncPolicy, Level, Progress},
    segment::{OpenSegment, RetiredSegment, Segments, WantSegment},
    stats::LogStats,
};
use crate::{
    error::StorageError,
    io::{FileId, LogFault, LogIo, Method},
    limits::LOG_BLOCK_BYTES,
};
/// Commits above this are not written in the calling thread, bytes: copying them would keep the
/// shard from its clients.
const WRITE_NOW_BYTES_MAX: usize = 1024 * 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The kernel has it: the buffer must stay.
    Writing,
    /// Met a full disk; waits to be told.
    NoSpace,
    /// Has been told.
    Again,
}

/// A commit that is being written, or waits for space.
struct Flight {
    buf: AlignedBuf,
    offset: u64,
    /// Bytes of `buf` written already.
    done: usize,
    last_lsn: Lsn,
    then_sync: bool,
    started_us: u64,
    stage: Stage,
}

struct SyncFlight {
    file: FileId,
    /// Last LSN it makes stable.
    covers: Lsn,
    /// End of what it makes stable in its segment.
    end: u64,
    started_us: u64,
}

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
    released: Lsn,
    ages: Ages,
    /// Somebody wants everything up to here synced now.
    sync_asked: Lsn,
    last_commit_us: u64,
    /// Nothing but an empty commit followed the last one, or there was none.
    idle_closed: bool,
    rotate_after: Option<Lsn>,
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
            released: 0,
            ages: Ages::default(),
            sync_asked: 0,
            last_commit_us: 0,
            idle_closed: true,
            rotate_after: None,
            finishing: false,
            finished: false,
            space_error: None,
            space_error_told: false,
            failed: None,
            stats: LogStats::default(),
        }
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
            self.released = self.synced;
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
        self.segments.take_retired()
    }

    /// Wants everything that has been gathered so far synced now (WAITAOF, SYNC NOW), whatever the
    /// policy; done when [`LogWriter::synced`] has reached the staging's last LSN of now.
    pub fn request_sync(&mut self, staging: &Staging) {
        self.sync_asked = staging.last_lsn();
    }

    /// Ends the current segment: what has been gathered so far is committed and synced, then the
    /// log goes on in the next one. Later batches wait meanwhile.
    pub fn rotate(&mut self, staging: &Staging) {
        self.rotate_after = Some(staging.last_lsn());
    }

    /// True until a [`LogWriter::rotate`] is done.
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
        let idle = if self.idle_closed || self.flight.is_some() || self.finishing {
            None
        } else {
            self.policy.idle_commit_due_us(self.last_commit_us)
        };
        sync.into_iter().chain(idle).min()
    }

    /// The end of a turn: writes what was gathered, syncs what is due, releases what is reached.
    pub fn pump(&mut self, staging: &mut Staging, now_us: u64, io: &mut impl LogIo) {
        if self.failed.is_some() {
            return;
        }
        self.ages.note(staging.last_lsn(), now_us);
        self.ages.forget(self.synced);
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
            && self.failed.is_none();
    }

    // Commits.

    fn commit(&mut self, staging: &mut Staging, now_us: u64, io: &mut impl LogIo) {
        if self.failed.is_some() || self.flight.is_some() {
            return;
        }
        let body = staging.staged_bytes() > 0;
        if !body && !self.idle_commit_due(now_us) {
            return;
        }
        if self.rotate_after.is_some_and(|lsn| self.written >= lsn) {
            // What comes now belongs behind the rotation.
            return;
        }
        if !self.make_room(staging.staged_bytes().max(HEADER_BYTES)) {
            // An empty commit is worth no segment of its own.
            self.idle_closed |= !body;
            return;
        }
        if self.policy.level() == Level::Synced && !self.segments.unsynced.is_empty() {
            // ORDER: the old segment's last sync comes before a commit here may count as synced.
            return;
        }
        self.last_commit_us = now_us;
        self.idle_closed = !body;
        let flight = self.build(staging, now_us);
        self.write(flight, now_us, io);
    }

    fn idle_commit_due(&self, now_us: u64) -> bool {
        !self.idle_closed
            && !self.finishing
            && self.policy.idle_commit_due_us(self.last_commit_us).is_some_and(|t| now_us >= t)
    }

    /// True when a commit of this many bytes can go into the current segment. One larger than any
    /// segment goes into a fresh one and beyond its end.
    fn make_room(&mut self, bytes: usize) -> bool {
        let current = &self.segments.current;
        let len = self.padded(bytes);
        if len <= current.remaining() || current.end == 0 {
            return true;
        }
        self.segments.need(len);
        self.flip()
    }

    /// Bytes a commit takes in the current segment.
    fn padded(&self, bytes: usize) -> u64 {
        match self.segments.current.open.method {
            Method::Buffered => bytes as u64,
            Method::Direct => padded_bytes(bytes) as u64,
        }
    }

    fn flip(&mut self) -> bool {
        let flipped = self.segments.flip();
        self.stats.rotations += u64::from(flipped);
        flipped
    }

    fn build(&mut self, staging: &mut Staging, now_us: u64) -> Flight {
        let current = &self.segments.current;
        let mut gathered = staging.take(std::mem::take(&mut self.spare));
        let last_lsn = gathered.last_lsn();
        debug_assert_eq!(gathered.first_lsn, self.written + 1, "LSNs are contiguous");
        let (line, body) = gathered
            .buf
            .as_mut_slice()
            .split_first_chunk_mut::<HEADER_BYTES>()
            .expect("a commit begins with room for its header");
        let header = Header {
            run: self.run,
            shard: self.shard,
            seq: current.open.seq,
            first_lsn: gathered.first_lsn,
            batches: gathered.batches,
            body_bytes: body.len() as u64,
            synced: self.synced,
        };
        header.encode(line, body);
        self.stats.commits += 1;
        self.stats.batches += u64::from(gathered.batches);
        self.stats.body_bytes += header.body_bytes;
        if current.open.method == Method::Direct {
            pad_to_block(&mut gathered.buf);
        }
        self.stats.bytes += gathered.buf.len() as u64;
        Flight {
            buf: gathered.buf,
            offset: current.end,
            done: 0,
            last_lsn,
            then_sync: self.policy.level() == Level::Synced,
            started_us: now_us,
            stage: Stage::Writing,
        }
    }

    fn write(&mut self, flight: Flight, now_us: u64, io: &mut impl LogIo) {
        let open = &self.segments.current.open;
        let syncing = self.sync.as_ref().is_some_and(|s| s.file == open.file);
        // ORDER: beside a running sync of the file a write may block for as long as the sync
        // takes: then it is started and its replies wait, not the shard.
        let at_once = open.method == Method::Buffered
            && !flight.then_sync
            && !syncing
            && flight.buf.len() <= WRITE_NOW_BYTES_MAX;
        if at_once {
            let bytes = &flight.buf.as_slice()[flight.done..];
            let result = io.write_now(open.file, flight.offset + flight.done as u64, bytes);
            let result = result.map(|()| bytes.len()).map_err(LogFault::Write);
            self.flight = Some(flight);
            self.write_done(result, now_us, io);
        } else {
            self.start(flight, io);
        }
    }

    fn start(&mut self, mut flight: Flight, io: &mut impl LogIo) {
        flight.stage = Stage::Writing;
        let bytes = &flight.buf.as_slice()[flight.done..];
        let (file, offset) = (self.segments.current.open.file, flight.offset + flight.done as u64);
        // SAFETY: the buffer is kept in `self.flight`, untouched, until the completion has been
        // reported to `on_write_done` (or for ever, see `drop`); moving it does not move its
        // memory.
        unsafe { io.start_write(file, offset, bytes.as_ptr(), bytes.len(), flight.then_sync) };
        self.flight = Some(flight);
    }

    fn write_again(&mut self, now_us: u64, io: &mut impl LogIo) {
        if let Some(flight) = self.flight.take_if(|f| f.stage == Stage::Again) {
            self.write(flight, now_us, io);
        }
    }

    /// The write that was started is done: how many bytes, or what failed. `pump` must follow
    /// before the turn ends.
    pub fn on_write_done(
        &mut self,
        result: Result<usize, LogFault>,
        staging: &mut Staging,
        now_us: u64,
        io: &mut impl LogIo,
    ) {
        self.write_done(result, now_us, io);
        self.settle(staging, now_us);
    }

    fn write_done(&mut self, result: Result<usize, LogFault>, now_us: u64, io: &mut impl LogIo) {
        let Some(mut flight) = self.flight.take() else { return };
        if self.failed.is_some() {
            return;
        }
        match result {
            Ok(0) => self.fail("write", libc::EIO, Some(flight.offset)),
            Ok(bytes) if flight.done + bytes < flight.buf.len() => {
                // Written in part: on from the last whole block.
                flight.done = (flight.done + bytes) / LOG_BLOCK_BYTES * LOG_BLOCK_BYTES;
                self.start(flight, io);
            }
            Ok(_) => self.written_whole(flight, now_us),
            Err(LogFault::Write(libc::ENOSPC)) => {
                flight.stage = Stage::NoSpace;
                self.stats.full_disk_writes += 1;
                let error = self.error("write", libc::ENOSPC, Some(flight.offset));
                self.set_space_error(Some(error));
                self.flight = Some(flight);
            }
            Err(LogFault::Write(errno)) => self.fail("write", errno, Some(flight.offset)),
            Err(LogFault::Sync(errno)) => self.fail("fdatasync", errno, None),
        }
    }

    fn written_whole(&mut self, flight: Flight, now_us: u64) {
        let current = &mut self.segments.current;
        current.end = flight.offset + flight.buf.len() as u64;
        current.written = flight.last_lsn;
        self.written = flight.last_lsn;
        if flight.then_sync {
            // The file is synced whole, what was written to it before included.
            current.dirty = false;
            self.synced = flight.last_lsn;
            self.stats.synced(now_us.saturating_sub(flight.started_us));
        } else {
            current.dirty = true;
        }
        self.spare = flight.buf;
        if !self.segments.is_refused() {
            self.set_space_error(None);
        }
    }

    // Rotation and syncs.

    fn flip_when_due(&mut self) {
        if self.flight.is_some() || self.finishing {
            return;
        }
        if let Some(lsn) = self.rotate_after {
            // ORDER: what the rotation ends is synced before the log goes on behind it.
            let ended = self.written >= lsn
                && !self.segments.current.dirty
                && self.segments.unsynced.is_empty();
            if ended && self.flip() {
                self.rotate_after = None;
            }
        } else if self.segments.current.open.method != self.policy.method() {
            self.flip();
        }
    }

    fn flight_syncs(&self) -> bool {
        self.flight.as_ref().is_some_and(|f| f.then_sync)
    }

    fn start_sync_when_due(&mut self, now_us: u64, io: &mut impl LogIo) {
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
        let asked = self.sync_asked > self.synced && self.written >= self.sync_asked;
        let ending = self.rotate_after.is_some_and(|lsn| self.written >= lsn)
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
        let whole = |s: &super::segment::Segment| s.open.file == sync.file && s.end == sync.end;
        if self.segments.unsynced.front().is_some_and(whole) {
            self.segments.retire_front();
        } else if whole(&self.segments.current) {
            self.segments.current.dirty = false;
        }
    }

    // What others learn.

    /// Releases what has reached the policy's level, and tells the staging how things stand.
    fn settle(&mut self, staging: &mut Staging, now_us: u64) {
        if let Some(error) = &self.failed {
            if !staging.is_failed() {
                staging.set_failed(error.reason());
            }
            return;
        }
        let progress = Progress {
            written: self.written,
            synced: self.synced,
            oldest_unsynced_us: self.ages.oldest_us(),
        };
        self.released = self.released.max(self.policy.reached(progress, now_us));
        staging.set_gating(self.policy.level() == Level::Synced);
        staging.settle(match self.policy.level() {
            Level::Written => self.written,
            Level::Synced => self.synced,
        });
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
