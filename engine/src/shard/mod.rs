//! The owner of one part of the keyspace: a synchronous state machine, never shared, never awaits.

/// Counters of one shard, plain integers; the server publishes them.
#[derive(Debug, Default, Clone)]
pub struct ShardStats {
    /// Lookups by reading commands that found the key.
    pub keyspace_hits: u64,
    /// Lookups by reading commands that did not.
    pub keyspace_misses: u64,
    /// Keys deleted because their deadline passed.
    pub expired_keys: u64,
    /// Commands executed.
    pub commands: u64,
}

/// Pseudo-random bits of one shard (splitmix64: Steele, Lea, Flood, OOPSLA 2014).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// A generator from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
