//! Who is expected back: lets a synced commit wait a moment for the clients that the last one has
//! just answered.
//!
//! With closed-loop clients a sync answers a crowd at once, and the crowd's next writes arrive in
//! a burst a little later. A commit that starts with the first of them syncs one write and makes
//! all others wait for a second sync. Waiting a fraction of a sync's duration gathers the burst:
//! fewer syncs, each for more clients (measured: docs/design/0002). It is bounded by half of the
//! usual sync, ends as soon as most of the crowd is there, and is given up for a while when it
//! does not pay, as with clients that do not wait for replies. One client alone never waits.
//!
//! Knows no policy and no file: the writer asks it where every commit brings its own sync.

/// A commit waits at most this part of the usual sync ...
const WAIT_DIVISOR: u64 = 2;
/// ... and at most this long, us.
const WAIT_US_MAX: u64 = 1_000;
/// Waits in a row that did not pay before waiting is given up ...
const MISSES_MAX: u32 = 4;
/// ... for so many commits.
const PAUSE_COMMITS: u32 = 100;

/// The crowd of one log.
#[derive(Debug, Default)]
pub struct Cohort {
    /// Batches that will come if everybody answered comes back.
    expected: u64,
    /// Batches that were there when the last commit completed.
    at_completion: u64,
    completed_us: u64,
    /// Duration of the last sync, and the moving average, us.
    flight_us: u64,
    usual_us: u64,
    misses: u32,
    pause: u32,
}

impl Cohort {
    /// A commit that answers `answered` batches has completed after `flight_us`; `staged` batches
    /// have been gathered meanwhile.
    pub fn completed(&mut self, answered: u64, staged: u64, flight_us: u64, now_us: u64) {
        self.usual_us = if self.usual_us == 0 {
            flight_us
        } else {
            (7 * self.usual_us + flight_us.min(8 * self.usual_us.max(1))) / 8
        };
        self.flight_us = flight_us;
        self.expected = answered + staged;
        self.at_completion = staged;
        self.completed_us = now_us;
        self.pause = self.pause.saturating_sub(1);
    }

    /// The replies of the last commit have left: the wait for their clients is counted from here.
    pub fn answered(&mut self, now_us: u64) {
        self.completed_us = now_us;
    }

    /// Until when a commit of `staged` batches should wait, us; `None`: start it.
    pub fn wait_until_us(&self, staged: u64, now_us: u64) -> Option<u64> {
        // Most of them: the last few would keep everybody waiting.
        if self.pause > 0 || staged * 8 >= self.expected * 7 {
            return None;
        }
        let until = self.completed_us + (self.usual_us / WAIT_DIVISOR).min(WAIT_US_MAX);
        (now_us < until).then_some(until)
    }

    /// Batches that are waited for while [`Cohort::wait_until_us`] says so, `staged` being there.
    pub fn missing(&self, staged: u64) -> u64 {
        (self.expected * 7).div_ceil(8).saturating_sub(staged)
    }

    /// A commit of `staged` batches starts: did waiting pay?
    pub fn started(&mut self, staged: u64, now_us: u64) {
        let waited_us = now_us.saturating_sub(self.completed_us);
        if self.expected == 0 || self.pause > 0 || waited_us == 0 {
            return;
        }
        let gained = staged.saturating_sub(self.at_completion);
        // Twice the rate at which batches came during the sync is a burst.
        if gained > 0 && gained * self.flight_us >= 2 * self.at_completion * waited_us {
            self.misses = 0;
        } else {
            self.misses += 1;
            if self.misses >= MISSES_MAX {
                self.misses = 0;
                self.pause = PAUSE_COMMITS;
            }
        }
        self.expected = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_alone_never_waits() {
        let mut cohort = Cohort::default();
        for round in 0..10 {
            let now = round * 1_000;
            assert_eq!(cohort.wait_until_us(1, now), None);
            cohort.started(1, now);
            cohort.completed(1, 0, 130, now + 130);
        }
    }

    #[test]
    fn a_crowd_just_answered_is_waited_for_and_not_longer_than_half_a_sync() {
        let mut cohort = Cohort::default();
        cohort.completed(50, 0, 400, 10_000);
        assert_eq!(cohort.wait_until_us(1, 10_020), Some(10_200));
        assert_eq!(cohort.wait_until_us(40, 10_100), Some(10_200));
        assert_eq!(cohort.wait_until_us(44, 10_100), None);
        assert_eq!(cohort.wait_until_us(1, 10_200), None);
    }

    #[test]
    fn a_slow_disk_does_not_make_the_wait_long() {
        let mut cohort = Cohort::default();
        cohort.completed(50, 0, 1_000_000, 0);
        assert_eq!(cohort.wait_until_us(1, 10), Some(WAIT_US_MAX));
    }

    #[test]
    fn waiting_that_does_not_pay_is_given_up_for_a_while() {
        let mut cohort = Cohort::default();
        let mut now = 0;
        let mut waits = 0;
        // A steady stream: 10 batches every 100 us, whatever is answered.
        for _ in 0..50 {
            now += 100;
            cohort.completed(10, 10, 100, now);
            if let Some(until) = cohort.wait_until_us(10, now) {
                waits += 1;
                now = until;
            }
            cohort.started(10 + (now % 100) / 10, now);
        }
        assert_eq!(waits, MISSES_MAX);
    }

    #[test]
    fn waiting_that_pays_goes_on() {
        let mut cohort = Cohort::default();
        let mut now = 0;
        for _ in 0..50 {
            now += 130;
            cohort.completed(50, 0, 130, now);
            assert!(cohort.wait_until_us(1, now).is_some());
            now += 60;
            cohort.started(45, now);
        }
    }
}
