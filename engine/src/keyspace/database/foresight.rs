//! Loading into the cache what commands that wait are going to touch. Changes nothing.

use super::Database;
use crate::keyspace::{key::Key, segment::Segment};

/// Bytes that the processor loads at a time.
const CACHE_LINE: usize = 64;

impl Database {
    /// Starts loading the key's bucket into the cache.
    #[inline]
    pub fn prefetch(&self, key: Key<'_>) {
        if let Some(segment) = self.segment(key) {
            prefetch(segment.addresses(key.hash).0);
        }
    }

    /// Starts loading the key's entry into the cache, if its bucket has one that looks like it:
    /// its first two lines, which hold a short key and a short value. Best some time after
    /// [`Database::prefetch`].
    #[inline]
    pub fn prefetch_entry(&self, key: Key<'_>) {
        if let Some(segment) = self.segment(key)
            && let Some(address) = segment.addresses(key.hash).1()
        {
            let entry: *const u8 = std::ptr::without_provenance(address as usize);
            prefetch(entry);
            prefetch(entry.wrapping_add(CACHE_LINE));
        }
    }

    #[inline]
    fn segment(&self, key: Key<'_>) -> Option<Segment> {
        self.groups.get(usize::from(key.group()))?.segment(key.hash)
    }
}

/// Starts loading a cache line; any address will do.
#[inline]
fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing and cannot fault.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}
