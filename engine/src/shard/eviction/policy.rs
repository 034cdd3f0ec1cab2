//! The eviction policies: which keys may go, and which of them first. This is the only place
//! that knows their names and what they mean.

use crate::keyspace::{AccessClock, Entry};

/// `maxmemory-policy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EvictionPolicy {
    /// Of the keys with a deadline, the one not used for longest.
    VolatileLru,
    /// Of the keys with a deadline, the one used least often.
    VolatileLfu,
    /// Of the keys with a deadline, any.
    VolatileRandom,
    /// The key that has least time to live.
    VolatileTtl,
    /// The key not used for longest.
    AllkeysLru,
    /// The key used least often.
    AllkeysLfu,
    /// Any key.
    AllkeysRandom,
    /// None: writes are refused.
    #[default]
    NoEviction,
}

impl EvictionPolicy {
    /// Every policy, in the order in which Redis lists them.
    pub const ALL: [EvictionPolicy; 8] = [
        Self::VolatileLru,
        Self::VolatileLfu,
        Self::VolatileRandom,
        Self::VolatileTtl,
        Self::AllkeysLru,
        Self::AllkeysLfu,
        Self::AllkeysRandom,
        Self::NoEviction,
    ];
    /// Their names in the configuration, in the order of [`Self::ALL`].
    pub const NAMES: [&'static str; 8] = [
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "noeviction",
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// True when uses are counted instead of timed.
    pub fn counts_uses(self) -> bool {
        matches!(self, Self::VolatileLfu | Self::AllkeysLfu)
    }

    /// True when keys go by how, or how long ago, they were used.
    pub fn goes_by_use(self) -> bool {
        self.counts_uses() || matches!(self, Self::VolatileLru | Self::AllkeysLru)
    }

    /// True when only keys with a deadline may go.
    pub fn is_volatile(self) -> bool {
        matches!(
            self,
            Self::VolatileLru | Self::VolatileLfu | Self::VolatileRandom | Self::VolatileTtl
        )
    }

    /// How the next key is found.
    pub(super) fn choice(self) -> Choice {
        match self {
            Self::VolatileLru | Self::AllkeysLru => {
                Choice::Best(|clock, entry| u64::from(clock.idle_seconds(entry.access())))
            }
            Self::VolatileLfu | Self::AllkeysLfu => {
                Choice::Best(|clock, entry| u64::from(u8::MAX - clock.frequency(entry.access())))
            }
            Self::VolatileRandom | Self::AllkeysRandom => Choice::Any,
            Self::VolatileTtl => Choice::Ending,
            Self::NoEviction => Choice::None,
        }
    }
}

/// How the next key is found.
#[derive(Debug, Clone, Copy)]
pub(super) enum Choice {
    /// The one with the highest score, of some.
    Best(fn(&AccessClock, &Entry<'_>) -> u64),
    /// Any.
    Any,
    /// The one whose deadline is nearest.
    Ending,
    /// There is none.
    None,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_policies_are_in_the_same_order() {
        for (policy, name) in EvictionPolicy::ALL.into_iter().zip(EvictionPolicy::NAMES) {
            assert_eq!(policy.name(), name);
            assert_eq!(policy.is_volatile(), name.starts_with("volatile"));
            assert_eq!(policy.counts_uses(), name.ends_with("lfu"));
            assert_eq!(policy.goes_by_use(), name.ends_with("lfu") || name.ends_with("lru"));
        }
    }
}
