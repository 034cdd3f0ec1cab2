//! The provided-buffer ring that multishot receives take their memory from.
//!
//! Invariant: a buffer is either in the kernel's ring or being read by this thread; it goes back
//! with [`ReceiveBuffers::give_back`] before the next `enter`. Knows nothing of connections.
//! Layout and protocol: io_uring_register_buf_ring(3).

use io_uring::{Submitter, types::BufRingEntry};
use std::{
    io,
    sync::atomic::{AtomicU16, Ordering},
};

/// The buffer group id used in receive operations.
pub const GROUP: u16 = 7;

/// Memory for receives, shared with the kernel.
pub struct ReceiveBuffers {
    ring: *mut BufRingEntry,
    ring_bytes: usize,
    memory: *mut u8,
    memory_bytes: usize,
    buffer_bytes: usize,
    count: u16,
    tail: u16,
}

fn map_anonymous(bytes: usize) -> io::Result<*mut u8> {
    // SAFETY: an anonymous private mapping with no address hint touches no existing memory.
    let p = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if p == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(p.cast()) }
}

impl ReceiveBuffers {
    /// Maps `count` buffers (a power of two) of `buffer_bytes` each; pages are touched by use.
    pub fn new(count: u16, buffer_bytes: usize) -> io::Result<Self> {
        assert!(count.is_power_of_two(), "the kernel masks indices");
        let ring_bytes = count as usize * size_of::<BufRingEntry>();
        let memory_bytes = count as usize * buffer_bytes;
        let ring = map_anonymous(ring_bytes)?.cast::<BufRingEntry>();
        let memory = map_anonymous(memory_bytes)?;
        Ok(Self { ring, ring_bytes, memory, memory_bytes, buffer_bytes, count, tail: 0 })
    }

    /// Registers the ring and hands all buffers to the kernel.
    pub fn register(&mut self, submitter: &Submitter<'_>) -> io::Result<()> {
        // SAFETY: `ring` is page aligned, zeroed, `count` entries long, and lives until drop,
        // which happens after the io_uring is gone (field order in `Ring`).
        unsafe { submitter.register_buf_ring_with_flags(self.ring as u64, self.count, GROUP, 0)? };
        for id in 0..self.count {
            self.add(id);
        }
        self.publish();
        Ok(())
    }

    /// The received bytes of buffer `id`, to be worked on while the rest of the core is
    /// borrowed. Must be dropped before [`ReceiveBuffers::give_back`] of the same buffer.
    pub fn detach(&self, id: u16, len: usize) -> Received {
        assert!(id < self.count && len <= self.buffer_bytes);
        // SAFETY: id < count, so the address is inside the mapping.
        Received { start: unsafe { self.memory.add(id as usize * self.buffer_bytes) }, len }
    }

    fn add(&mut self, id: u16) {
        let index = (self.tail & (self.count - 1)) as usize;
        // SAFETY: index < count entries; this thread alone writes entries at the tail. The tail
        // field overlays entry 0's reserved bytes, which the setters do not touch.
        let entry = unsafe { &mut *self.ring.add(index) };
        // SAFETY: id < count, so the address is inside the mapping.
        entry.set_addr(unsafe { self.memory.add(id as usize * self.buffer_bytes) } as u64);
        entry.set_len(self.buffer_bytes as u32);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&self) {
        // SAFETY: the tail field is part of the mapped ring, 2-byte aligned, and only accessed
        // atomically by both sides.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.ring).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    /// Returns buffer `id` to the kernel.
    pub fn give_back(&mut self, id: u16) {
        self.add(id);
        self.publish();
    }
}

/// Bytes of one filled buffer, which the kernel does not write until it is given back.
pub struct Received {
    start: *const u8,
    len: usize,
}

impl Received {
    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: made by `detach` with a length inside the buffer; the mapping lives as long as
        // the ring, and the kernel owns the buffer only after `give_back`.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl Drop for ReceiveBuffers {
    fn drop(&mut self) {
        // SAFETY: both are whole mappings made by `new`, unused from here on.
        unsafe {
            libc::munmap(self.ring.cast(), self.ring_bytes);
            libc::munmap(self.memory.cast(), self.memory_bytes);
        }
    }
}
