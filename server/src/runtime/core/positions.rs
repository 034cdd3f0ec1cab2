//! The end of a turn as the log sees it: what was staged is handed to it, and what has become
//! stable is told to everybody who waits for it.

use super::Core;
use crate::{dispatch::switching::LogSwitch, observe::latency::Event};
use quire_engine::{
    aof::{Level, LogWriter},
    manifest::Request,
};
use std::{
    sync::atomic::{Ordering, fence},
    time::Duration,
};

impl Core {
    /// LATENCY's events of the log since the last turn.
    #[inline]
    fn note_log_latency(&mut self) {
        let Some(stats) = self.log.as_ref().map(LogWriter::stats) else { return };
        let (syncs, sync_us) = (stats.syncs, stats.last_sync_us);
        if syncs != self.syncs_seen {
            self.syncs_seen = syncs;
            self.note_latency(Event::AofFsync, Duration::from_micros(sync_us));
        }
        if let Some(time) = self.write.take_longest() {
            self.note_latency(Event::AofWrite, time);
        }
    }

    /// End of turn: staged batches to the log, its positions to everybody.
    pub(super) fn pump_log(&mut self) {
        if matches!(self.switch, LogSwitch::Discards) {
            self.discard_log();
            return;
        }
        let Some(positions) = self.with_log(|log, staging, now, io| {
            log.pump(staging, now, io);
            let taken = staging.staged_bytes() == 0;
            (
                log.written(),
                log.settled(Level::Synced),
                log.released(),
                log.take_want(),
                log.take_retired(),
                log.failed().cloned(),
                taken,
            )
        }) else {
            return;
        };
        let (written, synced, released, want, retired, failed, taken) = positions;
        self.note_log_latency();
        if taken {
            self.receives = 0;
        }
        if let Some(want) = want {
            self.librarian.prepare(self.id, want);
        }
        if let Some(segment) = retired {
            self.librarian.send(Request::Retire { shard: self.id, segment });
        }
        let cell = self.cell();
        let moved = cell.released(Ordering::Relaxed) != released
            || cell.synced.load(Ordering::Relaxed) != synced
            || (failed.is_some() && !cell.failed.load(Ordering::Relaxed));
        if moved {
            cell.written.store(written, Ordering::Release);
            cell.synced.store(synced, Ordering::Release);
            cell.release(released);
            if let Some(error) = failed
                && !cell.failed.swap(true, Ordering::AcqRel)
            {
                self.log_failed(&error);
            }
            self.wake_interested();
        } else if cell.written.load(Ordering::Relaxed) != written {
            cell.written.store(written, Ordering::Release);
        }
        self.follow_frontier();
    }

    /// Wakes the shards that transactions tie to this one and that have something to do; says what
    /// the failure of another log has made hopeless here.
    fn follow_frontier(&mut self) {
        let Some(log) = self.log.as_mut() else { return };
        let wake = log.take_wake();
        if !wake.is_empty() {
            wake.iter().for_each(|shard| self.nudge(shard));
        }
        if self.failure_generation != 0 {
            self.note_hopeless();
        }
    }

    #[cold]
    fn note_hopeless(&mut self) {
        let Some(log) = self.log.as_ref() else { return };
        let from = |level| log.hopeless(level).unwrap_or(u64::MAX);
        let (replies, synced) = (from(log.policy().level()), from(Level::Synced));
        let cell = self.cell();
        let told = cell.hopeless_from.swap(replies, Ordering::AcqRel);
        if cell.never_synced_from.swap(synced, Ordering::AcqRel) != synced || told != replies {
            self.shared.look_at_failure();
        }
    }

    /// Has core `peer` look at positions that have moved, soon.
    fn nudge(&mut self, peer: usize) {
        // ORDER: behind what has moved and before the doorbell; see `is_nudged`.
        self.shared.cores[peer].nudged.store(true, Ordering::Release);
        self.ring_doorbell(peer);
    }

    /// Rings the cores that wait for this shard's positions.
    pub fn wake_interested(&mut self) {
        if self.shards() == 1 {
            return;
        }
        // ORDER: positions are stored, then interest is read; the other side stores interest,
        // then reads positions (see `want_positions`). One of the two sees the other.
        fence(Ordering::SeqCst);
        for peer in 0..self.shards() {
            let cell = self.cell();
            if cell.interest[peer].load(Ordering::Relaxed) {
                cell.interest[peer].store(false, Ordering::Relaxed);
                self.nudge(peer);
            }
        }
    }

    /// Asks shard `shard` to wake this core when its positions move. The caller re-reads the
    /// positions afterwards.
    pub fn want_positions(&self, shard: u16) {
        if shard != self.id {
            self.shared.cores[shard as usize].interest[self.id as usize]
                .store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
        }
    }
}
