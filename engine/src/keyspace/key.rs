//! A key with everything derived from it, computed once per command: hash and slot.
//!
//! The hash is keyed (nobody can choose keys that collide) and the same on every shard of a
//! server. Its top bits choose the place in the table, its low 16 bits are the fingerprint.

use crate::slot;
use ahash::RandomState;

/// Hashes keys; clones hash alike.
#[derive(Clone, Debug)]
pub struct KeyHasher {
    state: RandomState,
    /// Which bits of the hash tests let through.
    #[cfg(test)]
    keep: u64,
}

impl KeyHasher {
    /// Fresh random seeds: one per server run.
    pub fn random() -> Self {
        Self::with(RandomState::new())
    }

    /// Always the same seeds: for tests that must be repeatable.
    pub fn fixed() -> Self {
        Self::with(RandomState::with_seeds(
            0x243F_6A88_85A3_08D3,
            0x1319_8A2E_0370_7344,
            0xA409_3822_299F_31D0,
            0x082E_FA98_EC4E_6C89,
        ))
    }

    fn with(state: RandomState) -> Self {
        Self {
            state,
            #[cfg(test)]
            keep: u64::MAX,
        }
    }

    /// A bad hash: only the bits of `keep` differ between keys.
    #[cfg(test)]
    pub(super) fn degenerate(keep: u64) -> Self {
        Self { keep, ..Self::fixed() }
    }

    /// The key with its hash and its slot.
    #[inline]
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        Key { bytes, hash: self.hash(bytes), slot: slot::slot_of(bytes) }
    }

    /// The hash alone.
    #[inline]
    pub fn hash(&self, bytes: &[u8]) -> u64 {
        let hash = self.state.hash_one(bytes);
        #[cfg(test)]
        let hash = hash & self.keep;
        hash
    }
}

/// A key, hashed.
#[derive(Debug, Clone, Copy)]
pub struct Key<'k> {
    /// The key itself.
    pub bytes: &'k [u8],
    /// Keyed 64-bit hash.
    pub hash: u64,
    /// Slot, 0..16384.
    pub slot: u16,
}

impl Key<'_> {
    /// The slot group, 0..256.
    #[inline]
    pub fn group(&self) -> u8 {
        slot::group_of_slot(self.slot)
    }
}
