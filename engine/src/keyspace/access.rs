//! When, or how often, a key was used: what the 24 access bits of an entry say.
//!
//! ```text
//! Tracking::Time       24 bits  seconds of Unix time when the key was last used
//! Tracking::Frequency  16 bits  minutes of Unix time when the counter was last looked at
//!                       8 bits  logarithmic counter of uses (Morris), 5 for a new key
//! ```
//! Both are Redis' (LRU clock and LFU counter), so that OBJECT IDLETIME and FREQ mean the same.
//! Bits written under one tracking are misread under the other for a while, as in Redis. Times
//! wrap around; a key that nobody used for half a year may look fresh.
//!
//! Knows no entries and no policy; time comes in as an argument.

const BITS: u32 = 0xFF_FFFF;
/// Counter of a key that has just been made: it must survive until it is used again.
const FREQUENCY_NEW: u8 = 5;
/// No entry's bits: keeps [`AccessClock::is_current`] false while uses are counted.
const NEVER: u32 = u32::MAX;

/// What is kept about the use of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracking {
    /// The time of the last use.
    Time,
    /// How often, growing slower the more often and fading with time.
    Frequency {
        /// `lfu-log-factor`: the greater, the more uses it takes to grow the counter.
        log_factor: u32,
        /// `lfu-decay-time`: minutes for the counter to lose one; 0 = it never does.
        decay_minutes: u32,
    },
}

/// A reading of the clock that access bits are made from, and the rule how.
#[derive(Debug, Clone)]
pub struct AccessClock {
    tracking: Tracking,
    /// Bits of a key that was used now; [`NEVER`] while uses are counted.
    current: u32,
    seconds: u32,
    minutes: u32,
    /// State of the counter's dice; they decide nothing that is logged.
    dice: u32,
}

impl AccessClock {
    /// A clock at the beginning of Unix time that tracks the time of the last use.
    pub fn new() -> Self {
        let mut clock = Self {
            tracking: Tracking::Time,
            current: 0,
            seconds: 0,
            minutes: 0,
            dice: 0x9E37_79B9,
        };
        clock.set(0, Tracking::Time);
        clock
    }

    /// Sets time (Unix, ms) and rule.
    pub fn set(&mut self, now_ms: i64, tracking: Tracking) {
        let seconds = now_ms / 1000;
        self.seconds = seconds as u32 & BITS;
        self.minutes = (seconds / 60) as u32 & 0xFFFF;
        self.tracking = tracking;
        self.current = match tracking {
            Tracking::Time => self.seconds,
            Tracking::Frequency { .. } => NEVER,
        };
    }

    /// The rule.
    pub fn tracking(&self) -> Tracking {
        self.tracking
    }

    /// True when a use now need not be noted: the bits say it already.
    #[inline]
    pub fn is_current(&self, bits: u32) -> bool {
        bits == self.current
    }

    /// Bits of a new key.
    #[inline]
    pub fn fresh(&self) -> u32 {
        match self.tracking {
            Tracking::Time => self.seconds,
            Tracking::Frequency { .. } => self.minutes << 8 | u32::from(FREQUENCY_NEW),
        }
    }

    /// Bits of a key that had these and is used now.
    #[inline]
    pub fn used(&mut self, bits: u32) -> u32 {
        match self.tracking {
            Tracking::Time => self.seconds,
            Tracking::Frequency { log_factor, .. } => self.counted(bits, log_factor),
        }
    }

    #[cold]
    fn counted(&mut self, bits: u32, log_factor: u32) -> u32 {
        let counter = self.frequency(bits);
        let above = u64::from(counter.saturating_sub(FREQUENCY_NEW));
        // Grows with probability 1 / (above * factor + 1).
        let grows = u64::from(self.roll()) * (above * u64::from(log_factor) + 1) < 1 << 32;
        let counter = counter.saturating_add(u8::from(grows));
        self.minutes << 8 | u32::from(counter)
    }

    /// 32 random bits (xorshift, Marsaglia 2003).
    fn roll(&mut self) -> u32 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 17;
        self.dice ^= self.dice << 5;
        self.dice
    }

    /// Bits of a key that was last used so many seconds ago; `None`: uses are counted.
    pub fn idle_since(&self, seconds: u64) -> Option<u32> {
        let seconds = seconds.min(u64::from(BITS)) as u32;
        (self.tracking == Tracking::Time).then(|| self.seconds.wrapping_sub(seconds) & BITS)
    }

    /// Bits of a key whose counter stands at this; `None`: times are kept.
    pub fn counting_from(&self, counter: u8) -> Option<u32> {
        (self.tracking != Tracking::Time).then(|| self.minutes << 8 | u32::from(counter))
    }

    /// Seconds since a key with these bits was used, under [`Tracking::Time`].
    pub fn idle_seconds(&self, bits: u32) -> u32 {
        self.seconds.wrapping_sub(bits) & BITS
    }

    /// The counter of a key with these bits, faded, under [`Tracking::Frequency`].
    pub fn frequency(&self, bits: u32) -> u8 {
        let counter = bits as u8;
        let Tracking::Frequency { decay_minutes: decay @ 1.., .. } = self.tracking else {
            return counter;
        };
        let elapsed = self.minutes.wrapping_sub(bits >> 8) & 0xFFFF;
        counter.saturating_sub((elapsed / decay).min(255) as u8)
    }
}

impl Default for AccessClock {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_700_000_000_000;
    const MINUTE_MS: i64 = 60_000;

    fn counting(log_factor: u32, decay_minutes: u32) -> AccessClock {
        let mut clock = AccessClock::new();
        clock.set(NOW_MS, Tracking::Frequency { log_factor, decay_minutes });
        clock
    }

    #[test]
    fn a_use_within_the_same_second_changes_nothing() {
        let mut clock = AccessClock::new();
        clock.set(NOW_MS, Tracking::Time);
        let bits = clock.fresh();
        clock.set(NOW_MS + 999, Tracking::Time);
        assert!(clock.is_current(bits));
        clock.set(NOW_MS + 7000, Tracking::Time);
        assert!(!clock.is_current(bits));
        assert_eq!(clock.idle_seconds(bits), 7);
        assert_eq!(clock.idle_seconds(clock.clone().used(bits)), 0);
    }

    #[test]
    fn idle_time_survives_the_wrap_of_the_clock() {
        let mut clock = AccessClock::new();
        clock.set(i64::from(BITS) * 1000, Tracking::Time);
        let bits = clock.fresh();
        clock.set((i64::from(BITS) + 5) * 1000, Tracking::Time);
        assert_eq!(clock.idle_seconds(bits), 5);
    }

    /// The table in redis.conf: what the counter says after so many hits.
    #[test]
    fn counters_grow_as_the_log_factor_says() {
        for (factor, hits, least, most) in [
            (0, 100, 105, 105),
            (0, 1000, 255, 255),
            (1, 100, 13, 24),
            (1, 1000, 42, 60),
            (10, 1000, 15, 25),
            (10, 100_000, 125, 160),
            (100, 100_000, 40, 60),
        ] {
            let mut clock = counting(factor, 1);
            let bits = (0..hits).fold(clock.fresh(), |bits, _| clock.used(bits));
            let counter = clock.frequency(bits);
            assert!((least..=most).contains(&counter), "{factor} {hits}: {counter}");
        }
    }

    #[test]
    fn counters_fade_by_one_per_decay_time() {
        let mut clock = counting(0, 2);
        let bits = (0..10).fold(clock.fresh(), |bits, _| clock.used(bits));
        assert_eq!(clock.frequency(bits), 15);
        for (minutes, counter) in [(1, 15), (2, 14), (9, 11), (30, 0), (4000, 0)] {
            clock.set(NOW_MS + minutes * MINUTE_MS, clock.tracking());
            assert_eq!(clock.frequency(bits), counter, "{minutes} minutes");
        }
        clock.set(NOW_MS + 4 * MINUTE_MS, clock.tracking());
        let bits = clock.used(bits);
        assert_eq!(clock.frequency(bits), 14, "faded by two, then used once");
        let clock = counting(0, 0);
        assert_eq!(clock.frequency(clock.fresh() ^ 0x10_0000), 5, "no decay");
    }
}
