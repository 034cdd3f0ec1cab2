//! The writer's commits: what is taken out of the staging, where it goes, how it is written.
//!
//! Owns: the one write in flight and its buffer, which stays untouched from the start of the write
//! to its completion; going on after a short write; waiting for space. A write that failed for
//! lack of space may be tried again from memory; nothing else may.

use super::LogWriter;
use crate::{
    aof::{
        Level, Lsn, Staging,
        buffer::AlignedBuf,
        header::{HEADER_BYTES, Header, pad_to_block, padded_bytes},
    },
    io::{LogFault, LogIo, Method, WriteSync},
    limits::LOG_BLOCK_BYTES,
};
use std::ops::Range;

/// Commits above this are not written in the calling thread, bytes: copying them would keep the
/// shard from its clients.
const WRITE_NOW_BYTES_MAX: usize = 1024 * 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The kernel has it: the buffer must stay.
    Writing,
    /// Met a full disk; waits to be told.
    NoSpace,
    /// Has been told.
    Again,
}

/// A commit that is being written, or waits for space.
pub(super) struct Flight {
    pub(super) buf: AlignedBuf,
    offset: u64,
    /// Bytes of `buf` written already.
    done: usize,
    last_lsn: Lsn,
    pub(super) then_sync: bool,
    started_us: u64,
    pub(super) stage: Stage,
}

impl LogWriter {
    pub(super) fn commit(&mut self, staging: &mut Staging, now_us: u64, io: &mut impl LogIo) {
        self.lingering_us = None;
        if self.failed.is_some() || self.flight.is_some() {
            return;
        }
        let body = staging.staged_bytes() > 0;
        if !body && !self.idle_commit_due(now_us) {
            self.lingering_us = self.company_until_us(staging, now_us);
            return;
        }
        if self.rotate_after.is_some_and(|lsn| self.written >= lsn) {
            // What comes now belongs behind the rotation.
            return;
        }
        if !self.make_room(staging.next_bytes().max(HEADER_BYTES)) {
            // An empty commit is worth no segment of its own.
            self.idle_closed |= !body;
            return;
        }
        if self.policy.level() == Level::Synced && !self.segments.unsynced.is_empty() {
            // ORDER: the old segment's last sync comes before a commit here may count as synced.
            return;
        }
        if body {
            self.lingering_us = self.company_until_us(staging, now_us);
            if self.lingering_us.is_some() {
                return;
            }
            self.cohort.started(staging.last_lsn().saturating_sub(self.written), now_us);
        }
        self.last_commit_us = now_us;
        self.idle_closed = !body;
        let flight = self.build(staging, now_us);
        self.write(flight, now_us, io);
    }

    /// Until when a synced commit should let the clients come back that were just answered.
    fn company_until_us(&self, staging: &Staging, now_us: u64) -> Option<u64> {
        let in_a_hurry = self.finishing
            || self.rotate_after.is_some()
            || self.sync_asked > self.synced
            || self.policy.level() != Level::Synced;
        let staged = staging.last_lsn().saturating_sub(self.written);
        if in_a_hurry { None } else { self.cohort.wait_until_us(staged, now_us) }
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

    pub(super) fn flip(&mut self) -> bool {
        let flipped = self.segments.flip();
        self.stats.rotations += u64::from(flipped);
        flipped
    }

    fn build(&mut self, staging: &mut Staging, now_us: u64) -> Flight {
        let current = &self.segments.current;
        let mut gathered = staging.take(std::mem::take(&mut self.spare));
        let last_lsn = gathered.last_lsn();
        debug_assert_eq!(gathered.first_lsn, self.written + 1, "LSNs are contiguous");
        self.stats.batches += u64::from(gathered.batches);
        let starts = std::mem::take(&mut gathered.starts);
        let mut rest = gathered.buf.as_mut_slice();
        let mut first_lsn = gathered.first_lsn;
        let mut before = 0;
        for start in &starts {
            let (commit, behind) = rest.split_at_mut(start.at - before);
            self.stats.body_bytes += self.head(commit, first_lsn..start.first_lsn);
            (rest, first_lsn, before) = (behind, start.first_lsn, start.at);
        }
        self.stats.body_bytes += self.head(rest, first_lsn..last_lsn + 1);
        self.stats.commits += starts.len() as u64 + 1;
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

    /// Writes the header of a commit that holds the batches `lsns`; bytes of its body.
    fn head(&self, commit: &mut [u8], lsns: Range<Lsn>) -> u64 {
        let (line, body) = commit
            .split_first_chunk_mut::<HEADER_BYTES>()
            .expect("a commit begins with room for its header");
        let header = Header {
            run: self.run,
            shard: self.shard,
            seq: self.segments.current.open.seq,
            first_lsn: lsns.start,
            batches: (lsns.end - lsns.start) as u32,
            body_bytes: body.len() as u64,
            synced: self.synced,
        };
        header.encode(line, body);
        header.body_bytes
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
        let current = &self.segments.current;
        let (file, offset) = (current.open.file, flight.offset + flight.done as u64);
        // ORDER: a write that syncs itself covers nothing else of the file: not what the page
        // cache or the device still has of an earlier policy, nor the first part of a write that
        // was cut short.
        let alone = current.open.method == Method::Direct && !current.dirty && flight.done == 0;
        let sync = match (flight.then_sync, alone) {
            (false, _) => WriteSync::None,
            (true, true) => WriteSync::Itself,
            (true, false) => WriteSync::File,
        };
        // SAFETY: the buffer is kept in `self.flight`, untouched, until the completion has been
        // reported to `on_write_done` (or for ever, see `drop`); moving it does not move its
        // memory.
        unsafe { io.start_write(file, offset, bytes.as_ptr(), bytes.len(), sync) };
        self.flight = Some(flight);
    }

    pub(super) fn write_again(&mut self, now_us: u64, io: &mut impl LogIo) {
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
        let before = self.synced;
        self.write_done(result, now_us, io);
        if self.synced > before {
            let staged = staging.last_lsn().saturating_sub(self.written);
            let flight_us = now_us.saturating_sub(self.last_commit_us);
            self.cohort.completed(self.synced - before, staged, flight_us, now_us);
        }
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
            // The file is synced whole, or nothing else in it was unsynced.
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
}
