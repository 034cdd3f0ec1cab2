//! Counters of one shard's log; plain integers, published by whoever runs the shard.

use hdrhistogram::Histogram;

/// Longest duration told apart, us: an hour.
const LONGEST_US: u64 = 3_600_000_000;
/// Digits a duration is kept to.
const DIGITS: u8 = 2;

/// How long many things took, us.
#[derive(Debug, Clone)]
pub struct Durations(Histogram<u64>);

impl Durations {
    /// Adds one.
    pub fn add(&mut self, us: u64) {
        self.0.saturating_record(us.clamp(1, LONGEST_US));
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The duration, us, that this many percent of them do not exceed; 0 without any.
    pub fn percentile(&self, percent: f64) -> u64 {
        if self.0.is_empty() { 0 } else { self.0.value_at_percentile(percent) }
    }
}

impl Default for Durations {
    #[expect(clippy::expect_used, reason = "the bounds are constants that are valid")]
    fn default() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST_US, DIGITS).expect("valid bounds"))
    }
}

/// What the log has done since it was opened.
#[derive(Debug, Clone, Default)]
pub struct LogStats {
    /// Commits written, empty ones included.
    pub commits: u64,
    /// Batches in them.
    pub batches: u64,
    /// Bytes written, header lines and padding included.
    pub bytes: u64,
    /// Bytes of commands alone.
    pub body_bytes: u64,
    /// Syncs that succeeded, those linked to a write included.
    pub syncs: u64,
    /// Duration of the last sync (with its write, when linked), us.
    pub last_sync_us: u64,
    /// Longest such duration, us.
    pub longest_sync_us: u64,
    /// Durations of syncs.
    pub sync_us: Durations,
    /// Times a segment was left for the next.
    pub rotations: u64,
    /// Writes that met a full disk.
    pub full_disk_writes: u64,
}

impl LogStats {
    pub(super) fn synced(&mut self, duration_us: u64) {
        self.syncs += 1;
        self.last_sync_us = duration_us;
        self.longest_sync_us = self.longest_sync_us.max(duration_us);
        self.sync_us.add(duration_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_apart_by_two_digits() {
        let mut durations = Durations::default();
        assert_eq!((durations.count(), durations.percentile(99.0)), (0, 0));
        (0..98).for_each(|_| durations.add(300));
        durations.add(5_000);
        durations.add(u64::MAX);
        assert!((300..303).contains(&durations.percentile(50.0)));
        assert!((5_000..5_050).contains(&durations.percentile(99.0)));
        assert!(durations.percentile(100.0) >= LONGEST_US);
    }
}
