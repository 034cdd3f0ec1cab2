//! `CONFIG SET appendonly yes|no`: a log that begins, or ends, while the server runs.
//!
//! ```text
//! yes: directory opened, segments made -> cut: every log begins there -> walk -> base
//!      -> one manifest rename: only now a start finds base and logs -> the reply
//! no:  freeze -> every log is synced, finished and sealed -> directory left -> thaw
//! ```
//! Until the rename the manifest that was there before is in force, nothing of the new log is listed,
//! and whatever fails (a full disk, a log, FLUSHALL, the end of the server) leaves what there was: a
//! server without a log, whose replies wait for nothing. What `no` leaves behind is a directory as
//! after a stop in order.

use super::checkpoint::Then;
use crate::runtime::{
    control::{Control, GlobalOp, Origin, Purpose},
    core::Core,
    librarian::Segments,
    log_io::close,
};
use quire_engine::{
    aof::{LogWriter, Staging},
    manifest::{Position, Request},
};
use std::sync::{
    Arc,
    atomic::Ordering::{Acquire, Release},
};

/// What Redis says.
const NOT_ON: &[u8] = b"-ERR CONFIG SET failed (possibly related to argument 'appendonly') - \
                        Unable to turn on AOF. Check server logs.\r\n";

/// What a core's log is about to do.
pub enum LogSwitch {
    /// To go on as it is, or not to be.
    Rests,
    /// To begin with these segments at the next cut.
    Begins(Box<Segments>),
    /// To end in order.
    Ends,
    /// To go as soon as the kernel has no part of it in hand.
    Discards,
}

/// What core 0 knows of a log that begins or ends.
pub(super) struct Switching {
    origin: Origin,
    /// Cores that still have a log that is to go.
    missing: usize,
}

impl Core {
    /// Core 0: somebody wants a log, or none. No snapshot is running.
    pub(super) fn switch_log(&mut self, on: bool, origin: Origin) {
        if on == self.shared.has_log() {
            self.answer_later(origin, b"+OK\r\n".to_vec());
            self.next_checkpoint();
            return;
        }
        self.checkpoints.is_reserved = true;
        self.checkpoints.switching = Some(Switching { origin, missing: self.shards() });
        if on {
            self.shared.log_begins.store(true, Release);
            self.librarian.begin();
        } else {
            self.global_requested(GlobalOp::EndLog, origin);
        }
    }

    /// Core 0: the directory is open, or could not be.
    pub fn log_begun(&mut self, result: Result<Vec<Segments>, String>) {
        match result {
            Ok(segments) => {
                for (core, segments) in self.shared.cores.iter().zip(segments) {
                    core.mailbox.post(Control::LogSegments(Box::new(segments)));
                }
                self.start_checkpoint(Purpose::Base, None, Then::Log);
            }
            Err(error) => {
                tracing::warn!("The log cannot be switched on: {error}");
                self.log_left();
            }
        }
    }

    /// This core's log begins, if it is to, behind what has been done: where it does.
    pub(super) fn begin_log(&mut self) -> Option<Position> {
        let LogSwitch::Begins(segments) = std::mem::replace(&mut self.switch, LogSwitch::Rests)
        else {
            return None;
        };
        let mut staging = std::mem::replace(&mut self.shard.as_mut()?.staging, Staging::disabled());
        staging.switch_on();
        let log = self.make_log(*segments, &mut staging);
        let position =
            Position { shard: self.id, last_lsn: staging.last_lsn(), next: log.current().seq };
        self.log = Some(log);
        self.shard.as_mut()?.staging = staging;
        Some(position)
    }

    /// A log that begins with these segments behind what has been staged.
    pub fn make_log(&self, (first, next): Segments, staging: &mut Staging) -> LogWriter {
        let policy = self.live.fsync_policies()[self.id as usize];
        let mut log = LogWriter::new(self.id, staging.run(), policy, first);
        log.begin_after(staging.last_lsn());
        log.set_frontier(Arc::clone(&self.shared.frontier));
        log.set_segment_bytes_max(self.shared.options.segment_bytes_max);
        log.set_policy(policy, staging);
        log.install_next(next);
        log
    }

    /// Core 0: the base is in force, and with it the log.
    pub(super) fn log_is_on(&mut self) {
        self.shared.log_begins.store(false, Release);
        self.set_log(true);
        if let Some(Switching { origin, .. }) = self.checkpoints.switching.take() {
            self.answer_later(origin, b"+OK\r\n".to_vec());
        }
        self.checkpoints.is_reserved = false;
        tracing::info!("The log is on: data is in {}", self.shared.log_dir().display());
    }

    fn set_log(&self, on: bool) {
        self.shared.has_log.store(on, Release);
        let value: &[u8] = if on { b"yes" } else { b"no" };
        if let Err(error) = self.shared.config.set(&[(b"appendonly", value)], true, |_, _| Ok(())) {
            tracing::warn!("appendonly is {on} now, which CONFIG GET does not say: {error}");
        }
    }

    /// Core 0: a log that nobody relies on yet has failed.
    pub fn log_lost(&mut self, error: &str) {
        if self.comes_then() == Some(Then::Log) {
            self.give_up_checkpoint(Some(error));
        }
    }

    /// Core 0: the log that begins is given up.
    pub(super) fn abandon_log(&self) {
        self.shared.broadcast(|| Control::EndLog(true));
    }

    /// Any core: its log ends; or goes, because it never took effect.
    pub fn end_log(&mut self, discards: bool) {
        if let LogSwitch::Begins(segments) = std::mem::replace(&mut self.switch, LogSwitch::Rests) {
            close(segments.0.file);
            close(segments.1.file);
        }
        if discards {
            // Nobody was promised a log: replies that wait for it leave.
            self.stop_logging();
            self.switch = LogSwitch::Discards;
            self.discard_log();
        } else {
            self.switch = LogSwitch::Ends;
            if let Some(log) = self.log.as_mut() {
                log.start_finish();
            }
        }
    }

    /// End of turn: a log that goes is gone when the kernel has no part of it in hand.
    #[cold]
    pub fn discard_log(&mut self) {
        // ORDER: the kernel may still read buffers of the log, and say something of it that another
        // log must not hear.
        if self.log.as_ref().is_some_and(LogWriter::is_in_kernel) {
            return;
        }
        if let Some(log) = self.log.take() {
            log.files().into_iter().for_each(close);
        }
        // What the kernel said last may have been an error.
        self.stop_logging();
        self.switch = LogSwitch::Rests;
        self.shared.cores[0].mailbox.post(Control::LogEnded);
    }

    /// End of turn: a log that ends in order is sealed when everything is in it.
    #[inline]
    pub fn after_end(&mut self) {
        if matches!(self.switch, LogSwitch::Ends) {
            self.seal_when_finished();
        }
    }

    /// The log that ended in order is sealed.
    pub fn leave_log(&mut self) {
        self.stop_logging();
        if let Some(log) = self.log.take() {
            // The librarian has closed the one that it sealed.
            let sealed = log.current().file;
            log.files().into_iter().filter(|&file| file != sealed).for_each(close);
        }
        self.switch = LogSwitch::Rests;
        self.shared.cores[0].mailbox.post(Control::LogEnded);
    }

    fn stop_logging(&mut self) {
        let Some(shard) = self.shard.as_mut() else { return };
        shard.staging.switch_off();
        let last = shard.staging.last_lsn();
        let cell = self.cell();
        cell.written.store(last, Release);
        cell.synced.store(last, Release);
        cell.release(last);
        cell.failed.store(false, Release);
        cell.hopeless_from.store(u64::MAX, Release);
        cell.never_synced_from.store(u64::MAX, Release);
        self.wake_interested();
    }

    /// Core 0: a core has no log any more.
    pub fn log_ended(&mut self) {
        let Some(switching) = self.checkpoints.switching.as_mut() else { return };
        switching.missing -= 1;
        if switching.missing > 0 {
            return;
        }
        self.shared.frontier.forget();
        if self.shared.log_begins.load(Acquire) {
            self.librarian.send(Request::Discard);
        }
        self.librarian.leave();
    }

    /// Core 0: the directory is nobody's any more.
    pub fn log_left(&mut self) {
        let Some(Switching { origin, .. }) = self.checkpoints.switching.take() else { return };
        if self.shared.log_begins.swap(false, Release) {
            tracing::warn!("The log is off, as it was");
            self.answer_later(origin, NOT_ON.to_vec());
            self.checkpoints.is_reserved = false;
            self.next_checkpoint();
            return;
        }
        // ORDER: before anybody goes on: what is written from here on is not logged.
        self.set_log(false);
        tracing::info!("The log is off");
        self.thaw_all();
    }
}
