//! Counters of one shard's log; plain integers, published by whoever runs the shard.

/// Counts by powers of two: bucket `i` holds samples of `2^i ..= 2^(i+1)-1` us.
pub const LATENCY_BUCKETS: usize = 32;

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
    /// Durations of syncs, by power of two.
    pub sync_us: [u64; LATENCY_BUCKETS],
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
        let bucket = duration_us.max(1).ilog2() as usize;
        self.sync_us[bucket.min(LATENCY_BUCKETS - 1)] += 1;
    }
}
