//! A growable byte buffer whose memory is aligned to the log block, so that O_DIRECT can write
//! straight from it.
//!
//! Owns its allocation; reusable; gives memory back after a huge commit. Knows nothing of what
//! the bytes mean.

use crate::limits::LOG_BLOCK_BYTES;
use std::{
    alloc::{Layout, alloc, dealloc, handle_alloc_error, realloc},
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

/// Smallest allocation, bytes.
const CAPACITY_MIN: usize = 64 * 1024;
/// Above this a cleared buffer is given back, bytes: one huge commit must not pin its memory.
const CAPACITY_KEPT: usize = 4 * 1024 * 1024;

/// Bytes of all buffers of the process.
static ALLOCATED: AtomicU64 = AtomicU64::new(0);

/// Bytes that the log's buffers take in this process.
pub fn buffer_bytes() -> u64 {
    ALLOCATED.load(Ordering::Relaxed)
}

/// Bytes in memory aligned to [`LOG_BLOCK_BYTES`].
pub struct AlignedBuf {
    ptr: NonNull<u8>,
    len: usize,
    /// 0, or a multiple of the block.
    capacity: usize,
}

// SAFETY: the buffer owns its allocation exclusively, as `Vec<u8>` does.
unsafe impl Send for AlignedBuf {}

impl AlignedBuf {
    /// An empty buffer; allocates nothing yet.
    pub const fn new() -> Self {
        // The address of an empty buffer is never read; it is aligned all the same, since an
        // empty slice needs no more.
        Self { ptr: NonNull::dangling(), len: 0, capacity: 0 }
    }

    /// Bytes in the buffer.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when nothing is in it.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes it holds without growing.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The bytes.
    #[inline]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: the first `len` bytes are initialised and belong to this buffer.
        unsafe { std::slice::from_raw_parts(self.ptr.as_ptr(), self.len) }
    }

    /// The bytes, to change in place.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: as in `as_slice`, and `&mut self` makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.ptr.as_ptr(), self.len) }
    }

    /// Makes room for `more` bytes behind the last.
    #[inline]
    pub fn reserve(&mut self, more: usize) {
        if self.capacity - self.len < more {
            self.grow(more);
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, more: usize) {
        let needed = self.len.checked_add(more).expect("a buffer cannot exceed the address space");
        let target = needed
            .max(self.capacity.saturating_mul(2))
            .max(CAPACITY_MIN)
            .next_multiple_of(LOG_BLOCK_BYTES);
        let layout = Self::layout(target);
        // SAFETY: the layout is not empty; with a capacity, `ptr` came from this allocator with
        // the layout of that capacity.
        let raw = unsafe {
            if self.capacity == 0 {
                alloc(layout)
            } else {
                realloc(self.ptr.as_ptr(), Self::layout(self.capacity), target)
            }
        };
        let Some(ptr) = NonNull::new(raw) else { handle_alloc_error(layout) };
        ALLOCATED.fetch_add((target - self.capacity) as u64, Ordering::Relaxed);
        self.ptr = ptr;
        self.capacity = target;
    }

    fn layout(capacity: usize) -> Layout {
        Layout::from_size_align(capacity, LOG_BLOCK_BYTES)
            .expect("a multiple of the block below the address space is a valid layout")
    }

    /// Appends bytes.
    #[inline]
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        let mut spare = self.spare(bytes.len());
        // SAFETY: room for exactly these bytes was asked for.
        unsafe { spare.put(bytes) };
        spare.finish();
    }

    /// Inserts bytes at `at`, moving what follows.
    pub fn insert(&mut self, at: usize, bytes: &[u8]) {
        let old_len = self.len;
        assert!(at <= old_len, "insertion behind the end");
        self.extend_from_slice(bytes);
        let all = self.as_mut_slice();
        all.copy_within(at..old_len, at + bytes.len());
        all[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Forgets everything; keeps the memory unless a huge commit went through it.
    pub fn clear(&mut self) {
        self.len = 0;
        if self.capacity > CAPACITY_KEPT {
            *self = Self::new();
        }
    }

    /// Room for at most `max` bytes, to be filled piece by piece without further checks.
    #[inline]
    pub(super) fn spare(&mut self, max: usize) -> Spare<'_> {
        self.reserve(max);
        // SAFETY: `len <= capacity`, so the end of the bytes is inside or one past the allocation.
        let at = unsafe { self.ptr.as_ptr().add(self.len) };
        Spare { at, max, buf: self }
    }
}

impl Default for AlignedBuf {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for AlignedBuf {
    fn drop(&mut self) {
        if self.capacity > 0 {
            ALLOCATED.fetch_sub(self.capacity as u64, Ordering::Relaxed);
            // SAFETY: `ptr` came from this allocator with exactly this layout.
            unsafe { dealloc(self.ptr.as_ptr(), Self::layout(self.capacity)) };
        }
    }
}

/// Reserved room at the end of a buffer. Nothing counts before [`Spare::finish`].
pub(super) struct Spare<'a> {
    at: *mut u8,
    max: usize,
    buf: &'a mut AlignedBuf,
}

impl Spare<'_> {
    /// Writes a piece.
    ///
    /// # Safety
    /// All pieces together must not exceed the `max` the room was asked with.
    #[inline(always)]
    pub(super) unsafe fn put(&mut self, bytes: &[u8]) {
        debug_assert!(self.filled() + bytes.len() <= self.max, "more than was reserved");
        // SAFETY: the caller keeps all pieces within the reserved room; source and destination
        // cannot overlap, since the room is exclusively ours and not yet part of any slice.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.at, bytes.len());
            self.at = self.at.add(bytes.len());
        }
    }

    #[inline(always)]
    fn filled(&self) -> usize {
        self.at as usize - self.buf.ptr.as_ptr() as usize - self.buf.len
    }

    /// Makes what was written part of the buffer.
    #[inline(always)]
    pub(super) fn finish(self) {
        self.buf.len += self.filled();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_aligned_through_every_growth() {
        let mut buf = AlignedBuf::new();
        let mut plain = Vec::new();
        for i in 0..300_000u32 {
            buf.extend_from_slice(&i.to_le_bytes());
            plain.extend_from_slice(&i.to_le_bytes());
            assert_eq!(buf.as_slice().as_ptr() as usize % LOG_BLOCK_BYTES, 0);
        }
        assert_eq!(buf.as_slice(), plain);
        buf.insert(4, b"abc");
        assert_eq!(&buf.as_slice()[..11], [0, 0, 0, 0, b'a', b'b', b'c', 1, 0, 0, 0]);
        assert_eq!(buf.len(), plain.len() + 3);
    }

    #[test]
    fn a_huge_commit_does_not_pin_its_memory() {
        let mut buf = AlignedBuf::new();
        buf.reserve(CAPACITY_KEPT / 2);
        buf.clear();
        assert!(buf.capacity() >= CAPACITY_KEPT / 2, "ordinary memory is kept");
        buf.reserve(CAPACITY_KEPT + 1);
        buf.clear();
        assert_eq!(buf.capacity(), 0);
    }
}
