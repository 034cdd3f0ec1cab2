//! The shard thread's io_uring: submission, one `enter` per turn, completions.
//!
//! Invariants: SINGLE_ISSUER + DEFER_TASKRUN, so only the owning thread touches it and
//! completions appear only inside `enter`; there is one place to sleep. Knows operations only by
//! their [`Token`].

use super::buffers::ReceiveBuffers;
use io_uring::{IoUring, cqueue, squeue, types};
use std::{
    io,
    os::fd::{AsRawFd, RawFd},
    time::Duration,
};

/// What an operation was started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Op {
    /// Result of no interest.
    Ignore = 0,
    /// Multishot accept on listener `index`.
    Accept,
    /// Multishot receive of connection `index`.
    Receive,
    /// Send of connection `index`.
    Send,
    /// Log write.
    LogWrite,
    /// Log sync (alone or linked behind a write).
    LogSync,
    /// Read of the mailbox' eventfd.
    Mailbox,
    /// A peer's doorbell.
    Doorbell,
}

/// User data of an operation: what for and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// What for.
    pub op: Op,
    /// Which connection, listener ...
    pub index: u32,
}

impl Token {
    /// A token.
    pub const fn new(op: Op, index: u32) -> Self {
        Self { op, index }
    }

    /// As the kernel carries it.
    pub const fn to_user_data(self) -> u64 {
        (self.op as u64) << 32 | self.index as u64
    }

    fn decode(data: u64) -> Self {
        let op = match (data >> 32) as u8 {
            1 => Op::Accept,
            2 => Op::Receive,
            3 => Op::Send,
            4 => Op::LogWrite,
            5 => Op::LogSync,
            6 => Op::Mailbox,
            7 => Op::Doorbell,
            _ => Op::Ignore,
        };
        Self { op, index: data as u32 }
    }
}

/// A finished operation, or one shot of a multishot.
#[derive(Debug, Clone, Copy)]
pub struct Completion {
    /// What it was started for.
    pub token: Token,
    /// Result: bytes or a descriptor, or minus the error number.
    pub result: i32,
    flags: u32,
}

impl Completion {
    /// The provided buffer it filled.
    pub fn buffer(&self) -> Option<u16> {
        cqueue::buffer_select(self.flags)
    }

    /// True while a multishot goes on.
    pub fn more(&self) -> bool {
        cqueue::more(self.flags)
    }
}

/// The ring and its receive buffers.
pub struct Ring {
    // Dropped before `buffers`: the kernel may write into them while the ring lives.
    uring: IoUring,
    /// Memory of multishot receives.
    pub buffers: ReceiveBuffers,
    /// `enter` calls so far.
    pub enters: u64,
}

/// Submission queue entries.
const SUBMISSIONS: u32 = 1024;
/// Completion queue entries; more completions than that wait in the kernel's overflow list.
const COMPLETIONS: u32 = 8192;
/// Receive buffers: 256 x 16 KiB = 4 MiB a shard, touched by use.
const BUFFERS: u16 = 256;
const BUFFER_BYTES: usize = 16 * 1024;

impl Ring {
    /// Sets the ring up on the calling thread, which becomes its only issuer.
    pub fn new() -> io::Result<Self> {
        let mut builder = IoUring::builder();
        builder
            .setup_cqsize(COMPLETIONS)
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all();
        let uring = builder.build(SUBMISSIONS)?;
        let mut buffers = ReceiveBuffers::new(BUFFERS, BUFFER_BYTES)?;
        buffers.register(&uring.submitter())?;
        Ok(Self { uring, buffers, enters: 0 })
    }

    /// The ring's descriptor, for doorbells of peers.
    pub fn fd(&self) -> RawFd {
        self.uring.as_raw_fd()
    }

    /// Queues an operation; it starts at the next `enter` (or now, when the queue is full).
    ///
    /// # Safety
    /// Memory the entry points to must stay valid and unchanged until its completion.
    pub unsafe fn push(&mut self, entry: squeue::Entry, token: Token) {
        let entry = entry.user_data(token.to_user_data());
        loop {
            // SAFETY: passed on from the caller.
            if unsafe { self.uring.submission().push(&entry) }.is_ok() {
                return;
            }
            self.submit_now();
        }
    }

    /// Queues two operations, the second started only when the first succeeded in full.
    ///
    /// # Safety
    /// As [`Ring::push`], for both.
    pub unsafe fn push_linked(
        &mut self,
        first: (squeue::Entry, Token),
        second: (squeue::Entry, Token),
    ) {
        // Both must go in one submission, or the link would be cut.
        let room = {
            let queue = self.uring.submission();
            queue.capacity() - queue.len()
        };
        if room < 2 {
            self.submit_now();
        }
        // SAFETY: passed on from the caller.
        unsafe {
            self.push(first.0.flags(squeue::Flags::IO_LINK), first.1);
            self.push(second.0, second.1);
        }
    }

    /// Starts what is queued without looking for completions; sends are then mostly done.
    pub fn submit_now(&mut self) {
        self.enters += 1;
        loop {
            match self.uring.submit() {
                Ok(_) => return,
                Err(e)
                    if matches!(
                        e.raw_os_error(),
                        Some(libc::EINTR | libc::EBUSY | libc::EAGAIN)
                    ) => {}
                // A ring that refuses submissions cannot keep any promise.
                Err(e) => panic!("io_uring_enter failed: {e}"),
            }
        }
    }

    /// Submits what is queued; sleeps up to `wait` for `want` completions (`None`: does not sleep).
    pub fn enter(&mut self, wait: Option<Duration>, want: usize) {
        self.enters += 1;
        // Waiting for one completion with a zero timeout runs deferred work without sleeping.
        let time = wait.map_or(types::Timespec::new(), types::Timespec::from);
        let args = types::SubmitArgs::new().timespec(&time);
        match self.uring.submitter().submit_with_args(want, &args) {
            Ok(_) => {}
            Err(e)
                if matches!(
                    e.raw_os_error(),
                    Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN)
                ) => {}
            Err(e) => panic!("io_uring_enter failed: {e}"),
        }
    }

    /// True when completions are at hand.
    pub fn has_completions(&mut self) -> bool {
        !self.uring.completion().is_empty()
    }

    /// Moves the completions at hand into `into`.
    pub fn completions(&mut self, into: &mut Vec<Completion>) {
        for c in self.uring.completion() {
            into.push(Completion {
                token: Token::decode(c.user_data()),
                result: c.result(),
                flags: c.flags(),
            });
        }
    }
}
