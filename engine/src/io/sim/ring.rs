//! The simulated disk as [`LogIo`]: what a shard's ring does, completed when the test says so.
//! Checks what the trait demands of its caller: one write and one sync at a time, bytes that stay
//! put, aligned direct writes, no blocking write beside a sync.

use super::{Change, SimDisk};
use crate::{
    io::{FileId, LogFault, LogIo, Method, WriteSync},
    limits::LOG_BLOCK_BYTES,
};

struct Write {
    file: FileId,
    offset: u64,
    at: *const u8,
    bytes: Vec<u8>,
    sync: WriteSync,
}

/// The ring of one simulated shard.
pub struct SimRing {
    disk: SimDisk,
    write: Option<Write>,
    sync: Option<FileId>,
}

impl SimRing {
    /// A ring on this disk.
    pub fn new(disk: &SimDisk) -> Self {
        Self { disk: disk.clone(), write: None, sync: None }
    }

    /// True while a write is in flight.
    pub fn is_writing(&self) -> bool {
        self.write.is_some()
    }

    /// True while a sync of its own is in flight.
    pub fn is_syncing(&self) -> bool {
        self.sync.is_some()
    }

    /// Completes the write in flight, with the sync linked behind it: bytes written.
    ///
    /// # Errors
    /// Which of the two failed, and how.
    pub fn complete_write(&mut self) -> Option<Result<usize, LogFault>> {
        let write = self.write.take()?;
        // SAFETY: the caller of `start_write` promised the bytes until this completion.
        let now = unsafe { std::slice::from_raw_parts(write.at, write.bytes.len()) };
        assert!(now == write.bytes, "the bytes of a write in flight have changed");
        Some(self.perform(&write))
    }

    fn perform(&self, write: &Write) -> Result<usize, LogFault> {
        let (number, method) = self.disk.ring_file(write.file).map_err(LogFault::Write)?;
        let aligned = |n: u64| n.is_multiple_of(LOG_BLOCK_BYTES as u64);
        if method == Method::Direct
            && !(aligned(write.offset)
                && aligned(write.bytes.len() as u64)
                && aligned(write.at as u64))
        {
            return Err(LogFault::Write(libc::EINVAL));
        }
        let short = self.disk.lock().short_write.take();
        let len = write.bytes.len().min(short.map_or(usize::MAX, |n| n as usize));
        let change = Change::Write { offset: write.offset, bytes: write.bytes[..len].to_vec() };
        self.disk.lock().change(number, change).map_err(LogFault::Write)?;
        if len == write.bytes.len() {
            match write.sync {
                WriteSync::None => {}
                WriteSync::Itself => self.disk.lock().sync_last(number).map_err(LogFault::Sync)?,
                WriteSync::File => self.disk.lock().sync(number).map_err(LogFault::Sync)?,
            }
        }
        Ok(len)
    }

    /// Completes the sync in flight.
    ///
    /// # Errors
    /// The error number.
    pub fn complete_sync(&mut self) -> Option<Result<(), i32>> {
        let file = self.sync.take()?;
        let number = match self.disk.ring_file(file) {
            Ok((number, _)) => number,
            Err(errno) => return Some(Err(errno)),
        };
        Some(self.disk.lock().sync(number))
    }

    /// The process is gone: what was in flight may have been carried out or not.
    pub fn abandon(&mut self, carried_out: bool) {
        if let Some(write) = self.write.take()
            && carried_out
            && let Ok((number, _)) = self.disk.ring_file(write.file)
        {
            let change = Change::Write { offset: write.offset, bytes: write.bytes };
            self.disk.lock().inode(number).change(change);
        }
        self.sync = None;
    }
}

impl LogIo for SimRing {
    fn write_now(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), i32> {
        assert_ne!(self.sync, Some(file), "a blocking write beside a sync of the same file");
        assert!(self.write.is_none(), "a blocking write overtakes the one in flight");
        let (number, method) = self.disk.ring_file(file)?;
        assert_eq!(method, Method::Buffered, "a blocking write to a direct file");
        self.disk.lock().change(number, Change::Write { offset, bytes: bytes.to_vec() })
    }

    unsafe fn start_write(
        &mut self,
        file: FileId,
        offset: u64,
        bytes: *const u8,
        len: usize,
        sync: WriteSync,
    ) {
        assert!(self.write.is_none(), "two writes in flight");
        // SAFETY: the caller promises `len` bytes at `bytes` until completion.
        let copy = unsafe { std::slice::from_raw_parts(bytes, len) }.to_vec();
        self.write = Some(Write { file, offset, at: bytes, bytes: copy, sync });
    }

    fn start_sync(&mut self, file: FileId) {
        assert!(self.sync.is_none(), "two syncs in flight");
        self.sync = Some(file);
    }
}
