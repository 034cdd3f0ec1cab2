//! What a core does with its mail, and the slow states a turn checks at its end: frozen,
//! stopping.

use super::{
    control::{Control, Opening},
    core::Core,
    librarian::Retirement,
    log_io::close,
};
use crate::dispatch::switching::LogSwitch;
use quire_engine::{
    aof::{RetiredSegment, Staging},
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
            Control::SegmentReady(segment) => match self.log.as_mut() {
                Some(log) => log.install_next(segment),
                None => close(segment.file),
            },
            Control::SegmentFailed(error) => {
                tracing::warn!(
                    "No next log segment: {error}. Writes go on while reserved space lasts"
                );
                if let Some(log) = self.log.as_mut() {
                    log.next_failed(error);
                }
            }
            Control::Retired(number, error) => self.retired(number, error),
            Control::SyncNow => {
                self.with_log(|log, staging, _, _| log.request_sync(staging));
            }
            Control::Lend(leader) => self.lend(leader),
            Control::AllLent => self.hold_session(),
            Control::LendTurn => self.begin_session(),
            Control::GlobalTurn => self.begin_global(),
            Control::Global(op, origin) => self.global_requested(op, origin),
            Control::Freeze => {
                self.frozen = true;
                self.freeze_reported = false;
                self.with_log(|log, staging, _, _| log.rotate(staging));
            }
            Control::Frozen(report) => self.one_frozen(report),
            Control::Published(result) => self.published(result),
            Control::Thaw(op) => self.thaw(op),
            Control::FlushSmall(op) => self.flush_small(op),
            Control::Flushed { shard, lsn, error } => self.flushed(shard, lsn, error),
            Control::GlobalDone { origin, result, gates } => {
                self.global_done(origin, result, gates);
            }
            Control::Wish(wish, origin) => self.wished(wish, origin),
            Control::CutTurn => self.begin_cut(),
            Control::Cut(order) => self.cut(order),
            Control::GateOpen(id) => self.gate_open(id),
            Control::CutDone(id, report) => self.cut_done(id, report),
            Control::Walked(id, result) => self.walked(id, result),
            Control::Scribed(id, result) => self.scribed(id, result),
            Control::Checkpointed(result) => self.checkpointed(result),
            Control::BaseInForce => self.base_in_force(),
            Control::GiveUpWalk(id) => self.give_up_walk(id),
            Control::BackedUp(result) => self.backed_up(result),
            Control::LogBegun(result) => self.log_begun(result),
            Control::LogSegments(segments) => self.switch = LogSwitch::Begins(segments),
            Control::LogLost(error) => self.log_lost(&error),
            Control::EndLog(discards) => self.end_log(discards),
            Control::LogEnded => self.log_ended(),
            Control::LogLeft => self.log_left(),
            Control::HandOver => self.hand_over(),
            Control::HandedOver(shard, keyspace) => self.handed_over(shard, *keyspace),
            Control::Reread(reread) => self.reread(reread),
            Control::Exchange(keyspace) => self.exchange(*keyspace),
            Control::Answer(origin, reply) => self.answer(origin, &reply, Vec::new()),
            Control::Monitored(lines) => self.monitored(&lines),
            Control::Look => {}
            Control::Listen => self.arm_listeners(),
            Control::Shutdown => self.stop(),
        }
    }

    /// Recovery is done: serve.
    fn open(&mut self, opening: Opening) {
        let n = self.shards();
        let Opening { keyspace, run, segments, seed } = opening;
        let mut staging = match &segments {
            Some(_) => Staging::new(self.id, run),
            None => Staging::off(self.id, run),
        };
        if let Some(segments) = segments {
            self.log = Some(self.make_log(*segments, &mut staging));
        }
        let databases = keyspace.databases();
        let hasher = keyspace.hasher().clone();
        let mut shard = Shard::new(self.id as usize, n, databases, hasher, staging, seed);
        shard.keyspace = keyspace;
        shard.limits = self.live.limits;
        shard.lazy = self.live.lazyfree;
        shard.share_claims(std::sync::Arc::clone(&self.shared.claims));
        shard.share_cuts(self.shared.cuts.clone());
        self.shard = Some(shard);
        self.tell_second();
        self.limit_shard();
        self.publish_key_counts();
        self.execute_deferred();
        if let Some(leader) = self.session.lend_first.take() {
            self.lend(leader);
        }
    }

    /// A log has failed: writes stop on all shards, since transactions tie them together.
    pub fn log_failed(&mut self, error: &StorageError) {
        if self.shared.log_begins.load(Ordering::Acquire) {
            self.shared.cores[0].mailbox.post(Control::LogLost(error.to_string()));
            return;
        }
        tracing::warn!(
            "{error}. Writes are refused on all shards from now on; nothing that was \
             acknowledged is lost. Free space or replace the device, then restart"
        );
        self.shared.fail_log(error);
    }

    /// Stops: no new connections or commands; the log commits and syncs what is staged.
    fn stop(&mut self) {
        if self.stopping {
            return;
        }
        self.stopping = true;
        self.frozen = true;
        self.deliver_deferred();
        if self.id == 0 {
            self.shared.listeners().clear();
        }
        self.next_tick_now();
        if let Some(log) = self.log.as_mut() {
            log.start_finish();
        }
    }

    /// End of turn, after the log was pumped.
    pub fn after_pump(&mut self) {
        self.report_frozen();
        self.after_cut();
        self.after_end();
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
                tracing::warn!("The log is not complete, its writes were refused");
                if !self.shared.forced.load(Ordering::Acquire) {
                    self.shared.exit_code.store(1, Ordering::Release);
                }
                self.log = None;
            }
            Some(_) => self.seal_when_finished(),
        }
    }

    /// Has the log's last segment sealed once everything is in it.
    pub fn seal_when_finished(&mut self) {
        let Some(log) = self.log.as_ref().filter(|log| log.is_finished() && !self.sealing) else {
            return;
        };
        self.sealing = true;
        let (number, end, last_lsn) = log.tail();
        self.sealing_number = number;
        let segment = RetiredSegment { segment: log.current().clone(), end, last_lsn };
        self.librarian.send(Request::Retire { shard: self.id, segment });
    }

    /// Replies have left, or a second has passed since the log was safe.
    fn drained(&mut self) -> bool {
        let since = *self.drain_since.get_or_insert(self.now);
        self.now.duration_since(since) > Duration::from_secs(1)
            || self.conns.iter().flatten().all(|c| c.out.is_drained())
    }

    /// A segment is sealed; the last one of a shutdown closes the log.
    fn retired(&mut self, number: u64, error: Retirement) {
        if !self.sealing || number != self.sealing_number {
            return;
        }
        if let Some(error) = error {
            tracing::warn!("{error}. The log is complete, only not sealed");
            self.shared.exit_code.store(1, Ordering::Release);
        }
        self.sealing = false;
        if matches!(self.switch, LogSwitch::Ends) {
            self.leave_log();
        }
        self.log = None;
    }
}
