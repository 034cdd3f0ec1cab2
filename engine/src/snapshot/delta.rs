//! A delta that is being written: chunks of commands in, one log file out.
//!
//! ```text
//! #Q1 header, commands of one chunk      any number, numbered from 1
//! #E1 end-of-log line                    says how many
//! ```
//! The file is what a segment is: commits with checksums that stock Redis passes over, closed by an
//! end-of-log line. So whatever is missing or changed is found by who reads it. Commits are bound to
//! the run and to [`DELTA_SHARD`]; not to the file's number, which it gets when it is finished.
//!
//! An error ends the draft; its file goes with [`DeltaDraft::abandon`].

use super::{Chunk, Written, draft::SYNC_EVERY_BYTES};
use crate::{
    aof::header::{EndLine, HEADER_BYTES, Header},
    error::StorageError,
    io::Storage,
    limits::DELTA_SHARD,
};

/// The number that commits of a delta are bound to in place of their file's.
pub const DELTA_NUMBER: u64 = 0;

/// A delta that is being written.
pub struct DeltaDraft<'s, S: Storage> {
    storage: &'s S,
    name: String,
    file: S::File,
    run: u64,
    sync_as_it_grows: bool,
    unsynced: u64,
    next: u64,
    chunks: u64,
    keys: u64,
}

impl<'s, S: Storage> DeltaDraft<'s, S> {
    /// Begins a delta of a run in a file of its own, which is created or emptied.
    ///
    /// # Errors
    /// The storage's.
    pub async fn begin(
        storage: &'s S,
        name: String,
        run: u64,
        sync_as_it_grows: bool,
    ) -> Result<Self, StorageError> {
        let file = storage.create(&name).await?;
        let (unsynced, next, chunks, keys) = (0, 0, 0, 0);
        Ok(Self { storage, name, file, run, sync_as_it_grows, unsynced, next, chunks, keys })
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.next
    }

    /// Takes a chunk of commands; those of one shard in the order in which it gives them.
    ///
    /// # Errors
    /// The storage's: the draft is worth nothing any more.
    pub async fn put(&mut self, chunk: Chunk) -> Result<(), StorageError> {
        self.chunks += 1;
        self.keys += chunk.keys();
        let header = Header {
            run: self.run,
            shard: DELTA_SHARD,
            seq: DELTA_NUMBER,
            first_lsn: self.chunks,
            batches: 1,
            body_bytes: chunk.bytes.len() as u64,
            synced: 0,
        };
        let mut line = [0; HEADER_BYTES];
        header.encode(&mut line, &chunk.bytes);
        self.write(&line).await?;
        self.write(&chunk.bytes).await?;
        if self.sync_as_it_grows && self.unsynced >= SYNC_EVERY_BYTES {
            self.unsynced = 0;
            self.storage.sync(&self.file).await?;
        }
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        self.storage.write_at(&self.file, self.next, bytes).await?;
        self.next += bytes.len() as u64;
        self.unsynced += bytes.len() as u64;
        Ok(())
    }

    /// Writes the end and makes the file's bytes stable; its name is not.
    ///
    /// # Errors
    /// The storage's: the file is worth nothing.
    pub async fn finish(&mut self) -> Result<Written, StorageError> {
        let end =
            EndLine { run: self.run, shard: DELTA_SHARD, seq: DELTA_NUMBER, last_lsn: self.chunks };
        self.write(&end.encode()).await?;
        // ORDER: the bytes before any name that says they are a delta.
        self.storage.sync(&self.file).await?;
        Ok(Written { bytes: self.next, keys: self.keys })
    }

    /// Removes the file: nothing of it is wanted any more.
    ///
    /// # Errors
    /// The storage's.
    pub async fn abandon(self) -> Result<(), StorageError> {
        self.storage.remove(&self.name).await
    }
}
