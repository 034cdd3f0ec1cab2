//! For how long memory has been over its limit although shards evicted what they could.
//!
//! Time counts once, however many shards see the same excess: from the first that could not
//! bring the process within the limit to the last that sees it hold again.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

#[derive(Debug, Default)]
struct State {
    /// Shards that see the limit not hold.
    shards: usize,
    /// Since when there are such; meaningless when there is none.
    since: Option<Instant>,
    ended: Duration,
}

/// The time over the limit.
#[derive(Debug, Default)]
pub struct OverLimit(Mutex<State>);

impl OverLimit {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A shard sees the limit not hold any more, or hold again: each time the other than before.
    pub fn note(&self, is_over: bool, now: Instant) {
        let mut state = self.state();
        if is_over {
            state.shards += 1;
            state.since.get_or_insert(now);
            return;
        }
        state.shards = state.shards.saturating_sub(1);
        if state.shards == 0
            && let Some(since) = state.since.take()
        {
            state.ended += now.saturating_duration_since(since);
        }
    }

    /// The time that goes on now (zero when the limit holds), and all of it.
    pub fn times(&self, now: Instant) -> (Duration, Duration) {
        let state = self.state();
        let current =
            state.since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        (current, state.ended + current)
    }

    /// Counts from now on.
    pub fn reset(&self, now: Instant) {
        let mut state = self.state();
        state.ended = Duration::ZERO;
        state.since = state.since.map(|_| now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_several_shards_see_counts_once() {
        let over = OverLimit::default();
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let times = |ms: u64| {
            let (current, all) = over.times(at(ms));
            (current.as_millis(), all.as_millis())
        };
        over.note(true, at(0));
        over.note(true, at(10));
        assert_eq!(times(20), (20, 20));
        over.note(false, at(30));
        assert_eq!(times(40), (40, 40), "one shard still sees it");
        over.note(false, at(50));
        assert_eq!(times(90), (0, 50));
        over.note(true, at(100));
        assert_eq!(times(107), (7, 57));
        over.reset(at(110));
        assert_eq!(times(111), (1, 1));
    }
}
