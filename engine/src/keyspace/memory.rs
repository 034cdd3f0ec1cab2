//! Allocation in whole size classes, so that what is asked for is what is used.
//!
//! The classes are jemalloc's: 16, 32 .. 128, then four per doubling. Every allocation of this
//! folder is made with a class as its size: an edit that stays within the class needs no
//! allocation, and accounted bytes are the bytes really taken. Under another allocator the
//! rounding is merely a good growth rule. Knows nothing of what is stored.

use std::{
    alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error, realloc},
    ptr::NonNull,
};

/// Alignment of entries: four low bits of their addresses are free.
pub(super) const ENTRY_ALIGN: usize = 16;
/// Alignment of segments: a bucket is a cache line.
pub(super) const LINE: usize = 64;

/// The allocator's size class that serves `bytes`, at least 16.
#[inline]
pub const fn size_class(bytes: usize) -> usize {
    if bytes <= 128 {
        return if bytes <= 16 { 16 } else { (bytes + 15) & !15 };
    }
    // Between two powers of two lie four classes.
    let spacing = 1usize << (usize::BITS - 1 - (bytes - 1).leading_zeros() - 2);
    (bytes + spacing - 1) & !(spacing - 1)
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("sizes stay far below isize::MAX")
}

/// Uninitialised memory. `size` must not be zero.
pub(super) fn allocate(size: usize, align: usize) -> NonNull<u8> {
    let layout = layout(size, align);
    debug_assert!(size > 0);
    // SAFETY: the size is not zero.
    let memory = unsafe { alloc(layout) };
    ledger::took(size);
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Memory filled with zero bytes. `size` must not be zero.
pub(super) fn allocate_zeroed(size: usize, align: usize) -> NonNull<u8> {
    let layout = layout(size, align);
    debug_assert!(size > 0);
    // SAFETY: the size is not zero.
    let memory = unsafe { alloc_zeroed(layout) };
    ledger::took(size);
    NonNull::new(memory).unwrap_or_else(|| handle_alloc_error(layout))
}

/// Moves an allocation to another size, keeping the bytes both sizes have.
///
/// # Safety
/// `memory` came from this module with `old` and `align`; nobody uses the old address again.
pub(super) unsafe fn resize(
    memory: NonNull<u8>,
    old: usize,
    new: usize,
    align: usize,
) -> NonNull<u8> {
    debug_assert!(new > 0);
    // SAFETY: the caller's promise; the new size is not zero and far below isize::MAX.
    let moved = unsafe { realloc(memory.as_ptr(), layout(old, align), new) };
    ledger::gave(old);
    ledger::took(new);
    NonNull::new(moved).unwrap_or_else(|| handle_alloc_error(layout(new, align)))
}

/// Gives memory back.
///
/// # Safety
/// `memory` came from this module with this size and alignment, and nobody uses it again.
pub(super) unsafe fn release(memory: NonNull<u8>, size: usize, align: usize) {
    // SAFETY: the caller's promise.
    unsafe { dealloc(memory.as_ptr(), layout(size, align)) };
    ledger::gave(size);
}

/// Counts live bytes of the current thread, so that tests can prove that nothing leaks.
pub(super) mod ledger {
    #[cfg(test)]
    thread_local! {
        static LIVE: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
        static TAKEN: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    /// Bytes were allocated.
    #[inline]
    pub(in super::super) fn took(bytes: usize) {
        #[cfg(test)]
        {
            LIVE.with(|live| live.set(live.get() + bytes));
            TAKEN.with(|taken| taken.set(taken.get() + 1));
        }
        #[cfg(not(test))]
        let _ = bytes;
    }

    /// Bytes were freed.
    #[inline]
    pub(in super::super) fn gave(bytes: usize) {
        #[cfg(test)]
        LIVE.with(|live| live.set(live.get() - bytes));
        #[cfg(not(test))]
        let _ = bytes;
    }

    /// Bytes allocated and not freed by this thread.
    #[cfg(test)]
    pub(in super::super) fn live() -> usize {
        LIVE.with(std::cell::Cell::get)
    }

    /// Allocations this thread has made.
    #[cfg(test)]
    pub(in super::super) fn taken() -> usize {
        TAKEN.with(std::cell::Cell::get)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_classes_are_jemallocs() {
        let mut classes: Vec<usize> = (1..=3000).map(size_class).collect();
        classes.dedup();
        let expected = [
            16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768,
            896, 1024, 1280, 1536, 1792, 2048, 2560, 3072,
        ];
        assert_eq!(classes, expected);
        for bytes in 1..100_000 {
            assert!(size_class(bytes) >= bytes);
            assert_eq!(size_class(size_class(bytes)), size_class(bytes));
        }
    }
}
