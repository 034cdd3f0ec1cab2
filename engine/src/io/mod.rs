//! The only door to the disk. One narrow seam, two implementations: the real one (glommio, on
//! storage executors) and a seeded in-memory disk with faults.
//!
//! Durability contract: bytes of a file are stable after [`Storage::sync`] of that file returned;
//! names (create, rename, remove) are stable after [`Storage::sync_dir`] returned. Nothing else is.

pub mod glommio;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod system;

use crate::error::StorageError;

/// A file as the shard's own ring sees it: a raw descriptor, or the simulator's number.
pub type FileId = i32;

/// How a log segment is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Through the page cache into reserved (fallocate KEEP_SIZE) space, commits not padded.
    Buffered,
    /// O_DIRECT into a segment written through once with filler; commits padded to 4096.
    Direct,
}

/// Which half of a write with a linked sync failed: a write may be tried again, a sync never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFault {
    /// The write, with this error number. A sync linked behind it was not carried out.
    Write(i32),
    /// The sync, with this error number.
    Sync(i32),
}

/// Files of one directory, by name. Implementations run on a storage executor; calls may take as
/// long as the disk does.
#[expect(async_fn_in_trait, reason = "used through generics only, never as a trait object")]
pub trait Storage {
    /// An open file.
    type File;

    /// Creates (or empties) `name`, read-write.
    async fn create(&self, name: &str) -> Result<Self::File, StorageError>;
    /// Opens an existing file, read-write.
    async fn open(&self, name: &str) -> Result<Self::File, StorageError>;
    /// Current length, bytes.
    async fn len(&self, file: &Self::File) -> Result<u64, StorageError>;
    /// Reads up to `len` bytes at `offset`; shorter only at the end of the file.
    async fn read_at(
        &self,
        file: &Self::File,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, StorageError>;
    /// Writes all of `bytes` at `offset`, any alignment.
    async fn write_at(
        &self,
        file: &Self::File,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), StorageError>;
    /// Cuts or extends to `len` bytes.
    async fn truncate(&self, file: &Self::File, len: u64) -> Result<(), StorageError>;
    /// Reserves space up to `len` bytes without changing the length.
    async fn reserve(&self, file: &Self::File, len: u64) -> Result<(), StorageError>;
    /// Makes the file's bytes and length stable.
    async fn sync(&self, file: &Self::File) -> Result<(), StorageError>;
    /// Renames within the directory, replacing `to`.
    async fn rename(&self, from: &str, to: &str) -> Result<(), StorageError>;
    /// Removes a file.
    async fn remove(&self, name: &str) -> Result<(), StorageError>;
    /// Makes names stable.
    async fn sync_dir(&self) -> Result<(), StorageError>;
    /// Names and lengths of all files.
    async fn list(&self) -> Result<Vec<(String, u64)>, StorageError>;
    /// Opens `name` for a shard's own ring with the given write method.
    fn open_for_ring(&self, name: &str, method: Method) -> Result<FileId, StorageError>;
    /// Closes what [`Storage::open_for_ring`] gave.
    fn close_for_ring(&self, file: FileId);
}

/// What a completed write has made stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteSync {
    /// Nothing.
    None,
    /// The bytes written and what is needed to read them, but nothing written before: the device
    /// may have been told of these bytes alone. A write cut short may have made stable less.
    Itself,
    /// Everything written to the file.
    File,
}

/// What a shard's log needs from whoever runs its I/O: the shard's ring, or the simulator.
/// At most one write and one sync are in flight; their bytes stay put until completion.
pub trait LogIo {
    /// Writes all bytes now, in the calling thread. Only for buffered files with no sync running.
    fn write_now(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), i32>;
    /// Starts an asynchronous write of `len` bytes at `bytes`; its completion is that of the write
    /// and of what `sync` asks for.
    ///
    /// # Safety
    /// `bytes` must stay valid and unchanged until the completion of the write was reported.
    unsafe fn start_write(
        &mut self,
        file: FileId,
        offset: u64,
        bytes: *const u8,
        len: usize,
        sync: WriteSync,
    );
    /// Starts an fdatasync.
    fn start_sync(&mut self, file: FileId);
}
