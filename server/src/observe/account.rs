//! The account of memory: what the process has allocated, to the byte, at any moment.
//!
//! Every allocation and release is booked in its size class, which is what the allocator really
//! takes for it. A shard's thread books into a cell of its own, with plain loads and stores; all
//! other threads share a few cells with atomic additions. A thread may free what another has
//! allocated: cells go below zero, only their sum means something. Reading the sum costs a load
//! per shard, and no lock.
//!
//! The allocator's own figures (`memory.rs`) lag behind, since they count what threads cache.

use quire_engine::{aof, keyspace::size_class, limits::SHARDS_MAX};
use std::{
    alloc::{GlobalAlloc, Layout},
    cell::Cell,
    sync::atomic::{AtomicI64, AtomicUsize, Ordering},
};
use tikv_jemallocator::Jemalloc;

/// Cells for threads that are no shards'.
const STRIPES: usize = 16;
/// A thread that has no cell yet.
const UNKNOWN: usize = usize::MAX;

/// One cell, alone on its cache lines.
#[repr(align(128))]
struct Balance(AtomicI64);

static CELLS: [Balance; STRIPES + SHARDS_MAX] =
    [const { Balance(AtomicI64::new(0)) }; STRIPES + SHARDS_MAX];
/// Cells in use.
static USED_CELLS: AtomicUsize = AtomicUsize::new(STRIPES);
/// Threads that are no shards', so far.
static STRANGERS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static CELL: Cell<usize> = const { Cell::new(UNKNOWN) };
}

/// The allocator, with the account.
pub struct Counted;

/// Makes the calling thread the one that books into shard `id`'s cell.
pub fn claim(id: usize) {
    CELL.set(STRIPES + id);
    USED_CELLS.fetch_max(STRIPES + id + 1, Ordering::Relaxed);
}

#[inline]
fn book(bytes: i64) {
    let at = CELL.get();
    if at < STRIPES || at == UNKNOWN {
        return book_shared(at, bytes);
    }
    let cell = &CELLS[at].0;
    // Only this thread writes the cell.
    cell.store(cell.load(Ordering::Relaxed) + bytes, Ordering::Relaxed);
}

#[cold]
fn book_shared(mut at: usize, bytes: i64) {
    if at == UNKNOWN {
        at = STRANGERS.fetch_add(1, Ordering::Relaxed) % STRIPES;
        CELL.set(at);
    }
    CELLS[at].0.fetch_add(bytes, Ordering::Relaxed);
}

#[inline]
fn taken(bytes: usize) -> i64 {
    size_class(bytes) as i64
}

// SAFETY: every call is passed on unchanged; booking allocates nothing and touches no memory but
// its own cells.
unsafe impl GlobalAlloc for Counted {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        book(taken(layout.size()));
        // SAFETY: the caller's promise.
        unsafe { Jemalloc.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        book(taken(layout.size()));
        // SAFETY: the caller's promise.
        unsafe { Jemalloc.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        book(-taken(layout.size()));
        // SAFETY: the caller's promise.
        unsafe { Jemalloc.dealloc(pointer, layout) };
    }

    #[inline]
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        book(taken(new_size) - taken(layout.size()));
        // SAFETY: the caller's promise.
        unsafe { Jemalloc.realloc(pointer, layout, new_size) }
    }
}

/// Bytes allocated now.
pub fn allocated() -> u64 {
    let cells = &CELLS[..USED_CELLS.load(Ordering::Relaxed)];
    let sum: i64 = cells.iter().map(|cell| cell.0.load(Ordering::Relaxed)).sum();
    sum.max(0) as u64
}

/// Bytes that count against `maxmemory`: all but the log's buffers. What eviction deletes is
/// logged, so counting them would make it feed on itself; Redis leaves them out too.
pub fn limited() -> u64 {
    allocated().saturating_sub(aof::buffer_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    /// The tests' allocator is another one: book by hand.
    #[test]
    fn what_one_thread_takes_and_another_gives_back_is_nothing() {
        let before = allocated();
        for id in 0..3 {
            thread::spawn(move || {
                claim(id);
                (0..1000).for_each(|n| book(taken(n)));
            })
            .join()
            .expect("the thread only adds");
        }
        assert_eq!(allocated() - before, 3 * (0..1000).map(|n| taken(n) as u64).sum::<u64>());
        let threads: Vec<_> =
            (0..3).map(|_| thread::spawn(|| (0..1000).for_each(|n| book(-taken(n))))).collect();
        threads.into_iter().for_each(|t| t.join().expect("the thread only adds"));
        assert_eq!(allocated(), before);
    }
}
