//! The open loop's clock: when each request is meant to be sent.
//!
//! Request k of a role is due at start + k / rate, whatever the server does. Its latency counts
//! from then, not from when a connection was free for it: a server that stalls for a second is
//! seen by all requests that were due in that second (no coordinated omission). Times are
//! computed from k, so nothing drifts.

use std::time::{Duration, Instant};

/// The schedule of one role in one load thread; threads take turns.
#[derive(Debug, Clone)]
pub struct Schedule {
    start: Instant,
    interval_ns: f64,
    first: u64,
    step: u64,
    issued: u64,
}

impl Schedule {
    /// For thread `index` of `threads` that share `rate` requests per second.
    pub fn new(start: Instant, rate: f64, index: usize, threads: usize) -> Self {
        let (first, step) = (index as u64, threads.max(1) as u64);
        Self { start, interval_ns: 1e9 / rate, first, step, issued: 0 }
    }

    /// When the next request is due.
    pub fn next(&self) -> Instant {
        let k = self.first + self.issued * self.step;
        self.start + Duration::from_nanos((k as f64 * self.interval_ns) as u64)
    }

    /// Takes the next request, if it is due at `now` and before `end`.
    pub fn take(&mut self, now: Instant, end: Instant) -> Option<Instant> {
        let next = self.next();
        (next <= now && next < end).then(|| {
            self.issued += 1;
            next
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(schedule: &mut Schedule, now: Instant, end: Instant) -> Vec<Instant> {
        std::iter::from_fn(|| schedule.take(now, end)).collect()
    }

    #[test]
    fn requests_are_due_at_the_rate_whatever_happened_meanwhile() {
        let start = Instant::now();
        let at = |us| start + Duration::from_micros(us);
        let far = start + Duration::from_secs(100);
        let mut schedule = Schedule::new(start, 1000.0, 0, 1);
        assert_eq!(all(&mut schedule, at(0), far), [start]);
        assert_eq!(all(&mut schedule, at(999), far), []);
        // Nobody looked for four milliseconds: four requests have waited, each since its own time.
        assert_eq!(all(&mut schedule, at(4500), far), [at(1000), at(2000), at(3000), at(4000)]);
        assert_eq!(schedule.next(), at(5000));
        // Nothing is due at or behind the end.
        assert_eq!(all(&mut schedule, far, at(7000)), [at(5000), at(6000)]);
    }

    #[test]
    fn threads_share_a_rate_and_nothing_drifts() {
        let start = Instant::now();
        let second = start + Duration::from_secs(1);
        let mut due: Vec<Instant> = (0..3)
            .flat_map(|index| all(&mut Schedule::new(start, 7777.0, index, 3), second, second))
            .collect();
        due.sort_unstable();
        assert_eq!(due.len(), 7777);
        let gaps = due.windows(2).map(|w| w[1] - w[0]);
        let wanted = Duration::from_nanos(1_000_000_000 / 7777);
        assert!(gaps.into_iter().all(|gap| gap.abs_diff(wanted) < Duration::from_nanos(3)));
    }
}
