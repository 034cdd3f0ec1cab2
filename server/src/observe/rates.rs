//! How much happens per second, right now: averages over the last seconds, as Redis shows them.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The averages are over this much time.
const WINDOW: Duration = Duration::from_millis(1600);
/// Samples that come closer than this to the one before are not taken.
const STEP: Duration = Duration::from_millis(100);

/// Samples of `N` counters at the last moments.
#[derive(Debug)]
pub struct Rates<const N: usize>(Mutex<VecDeque<(Instant, [u64; N])>>);

impl<const N: usize> Default for Rates<N> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<const N: usize> Rates<N> {
    /// Notes the counters; called a few times a second.
    pub fn sample(&self, now: Instant, counts: [u64; N]) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.back().is_some_and(|(last, _)| now.saturating_duration_since(*last) < STEP) {
            return;
        }
        samples.push_back((now, counts));
        // One sample at or before the window's start is kept to count from.
        while samples.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= WINDOW) {
            samples.pop_front();
        }
    }

    /// Counts per second.
    pub fn per_second(&self) -> [u64; N] {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some((from, first)), Some((to, last))) = (samples.front(), samples.back()) else {
            return [0; N];
        };
        let seconds = to.saturating_duration_since(*from).as_secs_f64();
        std::array::from_fn(|i| match last[i].saturating_sub(first[i]) {
            0 => 0,
            n => (n as f64 / seconds.max(STEP.as_secs_f64())) as u64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_last_moments() {
        let rates = Rates::default();
        assert_eq!(rates.per_second(), [0; 2]);
        let start = Instant::now();
        // 1,000 commands a second for five seconds, then nothing.
        for tick in 0..=100_u64 {
            rates.sample(start + Duration::from_millis(100 * tick), [0, 100 * tick.min(50)]);
            let expected = match tick {
                0 => 0..=0,
                1..=50 => 999..=1001,
                51..=65 => 1..=999,
                _ => 0..=0,
            };
            let [_, rate] = rates.per_second();
            assert!(expected.contains(&rate), "{rate} at tick {tick}");
        }
    }

    #[test]
    fn samples_are_few_however_often_they_are_offered() {
        let rates = Rates::default();
        let start = Instant::now();
        for ms in 0..10_000 {
            rates.sample(start + Duration::from_millis(ms), [0]);
        }
        assert!(rates.0.lock().unwrap().len() <= 18);
    }
}
