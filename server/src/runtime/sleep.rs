//! How a core sleeps: the one place, for how long, and for how many completions; and how another
//! is woken.
//!
//! Owns the order of announcing sleep and looking at the mesh. Knows nothing of what it wakes for.

use super::{
    core::Core,
    ring::{Op, Token},
};
use io_uring::{opcode, types};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

/// Most completions slept for at a time.
const WAKE_COMPLETIONS_MAX: u64 = 16;

impl Core {
    /// One `enter`: sleeps unless there is work at hand.
    pub(super) fn sleep(&mut self) {
        if self.has_work() {
            self.ring.enter(None, 1);
            return;
        }
        let sends = self.let_replies_leave();
        let until = Instant::now();
        let mut wake = self.next_tick;
        if let Some(wait) = self.waits_until {
            wake = wake.min(wait);
        }
        if let Some((end, ..)) = self.wait_ends.first() {
            wake = wake.min(*end);
        }
        if let Some(pause) = self.watch.pause {
            wake = wake.min(pause.until);
        }
        if let Some(us) = self.log.as_ref().and_then(|l| l.next_deadline_us()) {
            wake = wake.min(self.epoch + Duration::from_micros(us));
        }
        if self.live.spin > 0 {
            let spin_end = until + Duration::from_micros(u64::from(self.live.spin));
            while Instant::now() < spin_end {
                self.ring.enter(None, 1);
                if self.ring.has_completions() || self.has_work() {
                    return;
                }
            }
        }
        // ORDER: announce sleep, then look at the mesh and at positions once more; a peer publishes
        // first and looks at the announcement after. One of the two sees the other.
        self.shared.cores[self.id as usize].doorbell.prepare_sleep();
        if self.mesh.has_mail() || self.is_nudged() {
            self.shared.cores[self.id as usize].doorbell.awake();
            self.ring.enter(None, 1);
            return;
        }
        let wait = wake.saturating_duration_since(Instant::now());
        let want = sends + self.completions_worth_waking();
        self.ring.enter(Some(wait.max(Duration::from_micros(1))), want);
        self.shared.cores[self.id as usize].doorbell.awake();
    }

    /// Whether positions have moved that this core waits for since it looked last.
    fn is_nudged(&self) -> bool {
        let nudged = &self.cell().nudged;
        // ORDER: taken back before the positions are read again, so that none is missed.
        nudged.load(Ordering::Relaxed) && nudged.swap(false, Ordering::AcqRel)
    }

    /// When a commit waits for the clients that are answered in this turn: sends the answers, so
    /// that the wait is counted from here. How many completions of sends are due at once.
    fn let_replies_leave(&mut self) -> usize {
        let sends = std::mem::take(&mut self.sends_queued);
        let (Some(log), Some(shard)) = (self.log.as_mut(), self.shard.as_ref()) else { return 0 };
        if sends == 0 || log.company_missing(&shard.staging).is_none() {
            return 0;
        }
        self.ring.submit_now();
        log.replies_left(self.epoch.elapsed().as_micros() as u64);
        sends
    }

    /// How many completions to sleep for: one, unless a commit waits for clients to come back.
    /// Then waking for each of them would cost more than it brings; the wait is bounded by the
    /// commit's own deadline.
    fn completions_worth_waking(&self) -> usize {
        let (Some(log), Some(shard)) = (self.log.as_ref(), self.shard.as_ref()) else { return 1 };
        let Some(missing) = log.company_missing(&shard.staging) else { return 1 };
        let staged = shard.staging.last_lsn().saturating_sub(log.written());
        let per_receive = staged.div_ceil(self.receives.max(1)).max(1);
        (missing / per_receive).clamp(1, WAKE_COMPLETIONS_MAX) as usize
    }

    /// Wakes core `peer` if it sleeps: one operation, part of the next `enter`.
    pub fn ring_doorbell(&mut self, peer: usize) {
        let cell = &self.shared.cores[peer];
        if !cell.doorbell.ring() {
            return;
        }
        let fd = cell.ring_fd.load(Ordering::Acquire);
        if fd < 0 {
            return;
        }
        let data = Token::new(Op::Doorbell, u32::from(self.id)).to_user_data();
        let entry = opcode::MsgRingData::new(types::Fd(fd), 0, data, None)
            .build()
            .flags(io_uring::squeue::Flags::SKIP_SUCCESS);
        // SAFETY: the operation points to no memory.
        unsafe { self.ring.push(entry, Token::new(Op::Ignore, 0)) };
    }

    fn has_work(&mut self) -> bool {
        !self.resume.is_empty()
            || !self.completions.is_empty()
            || self.evicting
            || self.has_served
            || self.walking.has_more()
            || self.has_trash()
            || self.mesh.has_mail()
    }
}
