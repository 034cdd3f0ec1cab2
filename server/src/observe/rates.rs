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

/// Counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Commands executed.
    pub commands: u64,
    /// Bytes received.
    pub input_bytes: u64,
    /// Bytes sent.
    pub output_bytes: u64,
}

/// Samples of the last moments.
#[derive(Debug, Default)]
pub struct Rates(Mutex<VecDeque<(Instant, Counts)>>);

impl Rates {
    /// Notes the counters; called a few times a second.
    pub fn sample(&self, now: Instant, counts: Counts) {
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
    pub fn per_second(&self) -> Counts {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (Some((from, first)), Some((to, last))) = (samples.front(), samples.back()) else {
            return Counts::default();
        };
        let seconds = to.saturating_duration_since(*from).as_secs_f64();
        let rate = |first: u64, last: u64| match last.saturating_sub(first) {
            0 => 0,
            n => (n as f64 / seconds.max(STEP.as_secs_f64())) as u64,
        };
        Counts {
            commands: rate(first.commands, last.commands),
            input_bytes: rate(first.input_bytes, last.input_bytes),
            output_bytes: rate(first.output_bytes, last.output_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_last_moments() {
        let rates = Rates::default();
        assert_eq!(rates.per_second(), Counts::default());
        let start = Instant::now();
        // 1,000 commands a second for five seconds, then nothing.
        for tick in 0..=100_u64 {
            let counts = Counts { commands: 100 * tick.min(50), ..Counts::default() };
            rates.sample(start + Duration::from_millis(100 * tick), counts);
            let expected = match tick {
                0 => 0..=0,
                1..=50 => 999..=1001,
                51..=65 => 1..=999,
                _ => 0..=0,
            };
            let rate = rates.per_second().commands;
            assert!(expected.contains(&rate), "{rate} at tick {tick}");
        }
    }

    #[test]
    fn samples_are_few_however_often_they_are_offered() {
        let rates = Rates::default();
        let start = Instant::now();
        for ms in 0..10_000 {
            rates.sample(start + Duration::from_millis(ms), Counts::default());
        }
        assert!(rates.0.lock().unwrap().len() <= 18);
    }
}
