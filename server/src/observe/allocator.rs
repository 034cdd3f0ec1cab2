//! What only the allocator itself can do: give pages back, and describe itself.

use std::{
    ffi::{CStr, c_char, c_void},
    ptr,
};
use tikv_jemalloc_sys as jemalloc;

/// Gives back to the arenas what the calling thread keeps for its next allocations.
pub fn flush_thread_cache() {
    command(c"thread.tcache.flush");
}

/// Gives unused pages of all arenas back to the kernel.
pub fn purge() {
    // 4096 stands for all arenas (MALLCTL_ARENAS_ALL).
    command(c"arena.4096.purge");
}

/// Runs a control that takes and returns nothing. It can fail only where there is nothing to do.
fn command(name: &CStr) {
    // SAFETY: the name ends in a zero byte; no value goes in or out.
    unsafe {
        jemalloc::mallctl(name.as_ptr(), ptr::null_mut(), ptr::null_mut(), ptr::null_mut(), 0);
    }
}

/// Appends a piece of the report to the vector that `text` points to.
unsafe extern "C" fn append(text: *mut c_void, piece: *const c_char) {
    // SAFETY: `report` hands in its vector, which nobody else uses meanwhile; the allocator hands
    // in text that ends in a zero byte.
    unsafe { (*text.cast::<Vec<u8>>()).extend_from_slice(CStr::from_ptr(piece).to_bytes()) };
}

/// The allocator's own report, for people.
pub fn report() -> Vec<u8> {
    let mut text: Vec<u8> = Vec::with_capacity(64 * 1024);
    // SAFETY: the callback gets the vector, which outlives the call.
    unsafe {
        jemalloc::malloc_stats_print(Some(append), (&raw mut text).cast(), ptr::null());
    }
    text
}
