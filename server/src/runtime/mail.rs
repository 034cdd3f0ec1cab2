//! What a core does with its mail, and the slow states a turn checks at its end: frozen,
//! stopping.

use super::{
    control::{Control, Opening},
    core::Core,
};
use quire_engine::{
    aof::{LogWriter, Staging},
    error::StorageError,
    manifest::Request,
    shard::Shard,
};
use std::{sync::atomic::Ordering, time::Duration};

impl Core {
    /// One message.
    pub fn handle_control(&mut self, message: Control) {
        match message {
            Control::Connection { fd, unix } => self.adopt(fd, unix),
            Control::Open(opening) => self.open(*opening),
            Control::SegmentReady(segment) => {
                if let Some(log) = self.log.as_mut() {
                    log.install_next(segment);
                }
                // What waited for space is retried from the buffer.
                self.with_log(|log, staging, now, io| log.retry(staging, now, io));
            }
            Control::SegmentFailed(error) => {
                tracing::warn!(
                    "Shard {}: no next log segment: {error}. Writes go on while reserved space lasts",
                    self.id
                );
                self.with_log(|log, staging, _, _| log.next_failed(error, staging));
            }
            Control::Sealed(result) => self.sealed(result),
            Control::SyncNow => {
                if let Some(log) = self.log.as_mut() {
                    log.request_sync();
                }
            }
            Control::Global(op, origin) => self.global_requested(op, origin),
            Control::Freeze => {
                self.frozen = true;
                self.freeze_reported = false;
                if let Some(log) = self.log.as_mut() {
                    log.rotate();
                }
            }
            Control::Frozen(report) => self.one_frozen(report),
            Control::Published(result) => self.published(result),
            Control::Thaw(op) => self.thaw(op),
            Control::FlushSmall(op) => self.flush_small(op),
            Control::Flushed { shard, lsn, error } => self.flushed(shard, lsn, error),
            Control::GlobalDone { origin, result, gates } => {
                self.global_done(origin, result, gates);
            }
            Control::Shutdown => self.stop(),
            Control::InjectFault(fault) => self.fault = fault,
        }
    }

    /// Recovery is done: serve.
    fn open(&mut self, opening: Opening) {
        let n = self.shards();
        let Opening { keyspace, run, first, seed } = opening;
        let staging = match &first {
            Some(_) => Staging::new(self.id, run),
            None => Staging::disabled(),
        };
        if let Some(first) = first {
            let policy = self.live.fsync_policies()[self.id as usize];
            let max = self.shared.options.segment_bytes_max;
            self.log = Some(LogWriter::new(self.id, run, policy, first, max));
        }
        self.shard = Some(Shard::with_keyspace(self.id as usize, n, keyspace, staging, seed));
        self.publish_key_counts();
        self.execute_deferred();
    }

    /// A log has failed: writes stop on all shards, since transactions tie them together.
    pub fn log_failed(&mut self, error: &StorageError) {
        tracing::warn!(
            "Shard {}: {error}. Writes are refused on all shards from now on; nothing that was \
             acknowledged is lost. Free space or replace the device, then restart",
            self.id
        );
        let mut failure = self.shared.log_failure.lock().unwrap_or_else(|e| e.into_inner());
        failure.get_or_insert_with(|| error.clone());
        drop(failure);
        self.shared.failure_generation.fetch_add(1, Ordering::AcqRel);
        for peer in 0..self.shards() {
            if peer != self.id as usize {
                self.ring_doorbell(peer);
            }
        }
    }

    /// Stops: no new connections or commands; the log commits and syncs what is staged.
    fn stop(&mut self) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        self.frozen = true;
        self.listeners.clear();
        self.next_tick_now();
        if let Some(log) = self.log.as_mut() {
            log.start_finish();
        }
    }

    /// End of turn, after the log was pumped.
    pub fn after_pump(&mut self) {
        self.report_frozen();
        self.check_aof_waits();
        self.advance_stop();
    }

    /// Shutdown, step by step: log finished -> sealed -> replies sent -> leave.
    pub fn advance_stop(&mut self) {
        if !self.stopping || self.done {
            return;
        }
        match self.log.as_ref() {
            None => self.done = !self.sealing && self.drained(),
            Some(log) if log.failed().is_some() => {
                tracing::warn!("Shard {}: the log is not complete, its writes were refused", self.id);
                if !self.shared.forced.load(Ordering::Acquire) {
                    self.shared.exit_code.store(1, Ordering::Release);
                }
                self.log = None;
            }
            Some(log) if log.is_finished() && !self.sealing => {
                self.sealing = true;
                let last_lsn = self.shard.as_ref().map_or(0, |s| s.staging.last_lsn());
                if let Some((number, end, file)) = log.seal_position() {
                    let shard = self.id;
                    self.librarian.send(Request::Seal { shard, number, end, last_lsn, file: Some(file) });
                }
            }
            Some(_) => {}
        }
    }

    /// Replies have left, or a second has passed since the log was safe.
    fn drained(&mut self) -> bool {
        let since = *self.drain_since.get_or_insert(self.now);
        self.now.duration_since(since) > Duration::from_secs(1)
            || self.conns.iter().flatten().all(|c| c.out.is_drained())
    }

    fn sealed(&mut self, result: Result<(), StorageError>) {
        if let Err(error) = result {
            tracing::warn!("Shard {}: {error}. The log is complete, only not sealed", self.id);
            self.shared.exit_code.store(1, Ordering::Release);
        }
        self.log = None;
        self.sealing = false;
    }
}
