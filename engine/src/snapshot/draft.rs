//! A snapshot that is being written: chunks in, one file out.
//!
//! Chunks are placed in the order in which they come, each at the next multiple of 4096. A value that
//! comes in parts is one extent: until its last part has come only its shard's chunks can be
//! taken ([`Draft::awaits`]). Header and end are written last; before that the file begins with
//! zeros and nobody takes it for a snapshot.
//!
//! Knows nothing of walks, manifests or what the file is for. An error ends the draft; its file goes
//! with [`Draft::abandon`].

use super::{
    Chunk, Count,
    file::{self, BLOCK_BYTES, Facts, Sum},
    index::{Index, Indexed},
    packing::{self, Packer},
};
use crate::{error::StorageError, io::Storage, rdb::crc64};

/// Bytes after which a draft is synced, if that is wanted (`rdb-save-incremental-fsync`).
pub(super) const SYNC_EVERY_BYTES: u64 = 32 << 20;

/// How a snapshot is written.
#[derive(Debug, Clone, Copy)]
pub struct DraftOptions {
    /// Shards and databases there are: bounds the header.
    pub shards: usize,
    /// As above.
    pub databases: usize,
    /// The file and its chunks have checksums (`rdbchecksum`).
    pub summed: bool,
    /// Its parts are packed with zstd: smaller, and not for stock Redis.
    pub packed: bool,
    /// Synced every 32 MiB, so that the last sync is a short one.
    pub sync_as_it_grows: bool,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Length of the file.
    pub bytes: u64,
    /// Keys in it.
    pub keys: u64,
}

/// A snapshot that is being written.
pub struct Draft<'s, S: Storage> {
    storage: &'s S,
    name: String,
    file: S::File,
    summed: bool,
    packing: Option<Packing>,
    sync_as_it_grows: bool,
    unsynced: u64,
    header_bytes: u64,
    /// Where the next chunk goes.
    next: u64,
    chunks: Vec<Indexed>,
    counts: Vec<Count>,
    open: Option<Open>,
}

/// How a packed snapshot is made.
struct Packing {
    packer: Packer,
    /// Of the chunks as they are unpacked, and their length.
    plain: (Sum, u64),
}

impl Packing {
    /// Packs a chunk.
    fn chunk(&mut self, plain: &[u8], summed: bool) -> Vec<u8> {
        let (sum, bytes) = &mut self.plain;
        if summed {
            sum.bytes(plain);
        }
        *bytes += plain.len() as u64;
        self.packer.pack(plain)
    }

    /// Packs the header; what stands behind the chunks, which end at `at`.
    fn ends(&mut self, header: &mut Vec<u8>, bytes: usize, index: &Index, at: u64) -> Vec<u8> {
        let (chunks, chunks_bytes) = self.plain;
        let mut sum = Sum::default();
        if index.summed {
            sum.bytes(header);
            sum.part(chunks.get(), chunks_bytes);
            sum.bytes(&[file::EOF]);
        }
        *header = self.packer.pack(header);
        packing::fill(header, bytes);
        packing::tail(index, at, sum.get(), &mut self.packer)
    }
}

/// Fills up the header; what stands behind the chunks, which end at `at`.
fn plain_ends(header: &mut Vec<u8>, bytes: usize, index: &Index, at: u64) -> Vec<u8> {
    file::fill(header, bytes);
    let mut tail = file::tail(index, at);
    let mut sum = Sum::default();
    if index.summed {
        sum.bytes(header);
        index.chunks.iter().for_each(|chunk| sum.part(chunk.crc, chunk.padded_bytes()));
        sum.bytes(&tail);
    }
    tail.extend(sum.get().to_le_bytes());
    tail
}

/// A value that comes in parts.
struct Open {
    shard: u16,
    /// What is written of it, whole blocks; its checksum so far is in there.
    entry: Indexed,
    /// What did not fill a block.
    rest: Vec<u8>,
}

impl<'s, S: Storage> Draft<'s, S> {
    /// Begins a snapshot in a file of its own, which is created or emptied.
    ///
    /// # Errors
    /// The storage's.
    pub async fn begin(
        storage: &'s S,
        name: String,
        options: DraftOptions,
    ) -> Result<Self, StorageError> {
        let file = storage.create(&name).await?;
        let header_bytes = file::header_bytes(options.shards, options.databases) as u64;
        Ok(Self {
            storage,
            name,
            file,
            summed: options.summed,
            packing: options.packed.then(|| Packing {
                packer: Packer::new(options.summed),
                plain: (Sum::default(), 0),
            }),
            sync_as_it_grows: options.sync_as_it_grows,
            unsynced: 0,
            header_bytes,
            next: header_bytes,
            chunks: Vec::new(),
            counts: Vec::new(),
            open: None,
        })
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.next - self.header_bytes
    }

    /// The only shard whose chunk can be taken next; None: any.
    pub fn awaits(&self) -> Option<u16> {
        self.open.as_ref().map(|open| open.shard)
    }

    /// Takes a chunk, of a shard that is not waited out.
    ///
    /// # Errors
    /// The storage's: the draft is worth nothing any more.
    pub async fn put(&mut self, mut chunk: Chunk) -> Result<(), StorageError> {
        if let Some(packing) = &mut self.packing {
            chunk.bytes = packing.chunk(&chunk.bytes, self.summed);
        }
        for count in &chunk.counts {
            match self.counts.iter_mut().find(|known| known.db == count.db) {
                Some(known) => {
                    known.keys += count.keys;
                    known.with_deadline += count.with_deadline;
                }
                None => self.counts.push(*count),
            }
        }
        let entry = Indexed {
            offset: self.next,
            bytes: chunk.bytes.len() as u64,
            crc: 0,
            keys: chunk.keys(),
            db: chunk.counts.first().map_or(0, |count| count.db),
            first_group: chunk.groups.0,
            last_group: chunk.groups.1,
        };
        match self.open.take() {
            None if chunk.continues => self.part(chunk, entry, Vec::new()).await,
            None => self.end(chunk.bytes, entry).await,
            Some(open) => {
                assert_eq!(open.shard, chunk.shard, "only its shard can go on with a value");
                let entry = joined(open.entry, &entry);
                if chunk.continues {
                    return self.part(chunk, entry, open.rest).await;
                }
                let mut bytes = open.rest;
                bytes.extend(chunk.bytes);
                self.end(bytes, entry).await
            }
        }
    }

    /// Writes the last (or only) bytes of an extent, and its filler.
    async fn end(&mut self, mut bytes: Vec<u8>, mut entry: Indexed) -> Result<(), StorageError> {
        let before = entry.bytes - bytes.len() as u64;
        // Blocks written before do not matter: they are whole.
        let padded = file::padded_bytes(bytes.len());
        match self.packing {
            Some(_) => packing::fill(&mut bytes, padded),
            None => file::fill(&mut bytes, padded),
        }
        debug_assert_eq!(before % BLOCK_BYTES as u64, 0, "parts are written in whole blocks");
        if self.summed {
            entry.crc = crc64::update(entry.crc, &bytes);
        }
        self.write(&bytes).await?;
        self.chunks.push(entry);
        Ok(())
    }

    /// Writes the whole blocks of an extent that goes on.
    async fn part(
        &mut self,
        chunk: Chunk,
        mut entry: Indexed,
        mut bytes: Vec<u8>,
    ) -> Result<(), StorageError> {
        bytes.extend(chunk.bytes);
        let rest = bytes.split_off(bytes.len() / BLOCK_BYTES * BLOCK_BYTES);
        if self.summed {
            entry.crc = crc64::update(entry.crc, &bytes);
        }
        self.write(&bytes).await?;
        self.open = Some(Open { shard: chunk.shard, entry, rest });
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.storage.write_at(&self.file, self.next, bytes).await?;
        self.next += bytes.len() as u64;
        self.unsynced += bytes.len() as u64;
        if self.sync_as_it_grows && self.unsynced >= SYNC_EVERY_BYTES {
            self.unsynced = 0;
            self.storage.sync(&self.file).await?;
        }
        Ok(())
    }

    /// Writes what is missing and makes the file's bytes stable; its name is not.
    ///
    /// # Errors
    /// The storage's: the file is worth nothing.
    pub async fn finish(&mut self, facts: &Facts) -> Result<Written, StorageError> {
        assert!(self.open.is_none(), "a value has been left in the middle");
        if !facts.functions.is_empty() {
            self.put(Chunk::of_functions(&facts.functions)).await?;
        }
        self.counts.sort_by_key(|count| count.db);
        let index = Index {
            header_bytes: self.header_bytes,
            summed: self.summed,
            packed: self.packing.is_some(),
            chunks: std::mem::take(&mut self.chunks),
        };
        let mut header = file::header(facts, &self.counts);
        let header_bytes = self.header_bytes as usize;
        let tail = match &mut self.packing {
            Some(packing) => packing.ends(&mut header, header_bytes, &index, self.next),
            None => plain_ends(&mut header, header_bytes, &index, self.next),
        };
        self.storage.write_at(&self.file, self.next, &tail).await?;
        self.storage.write_at(&self.file, 0, &header).await?;
        // ORDER: the bytes before any name that says they are a snapshot.
        self.storage.sync(&self.file).await?;
        let keys = self.counts.iter().map(|count| count.keys).sum();
        Ok(Written { bytes: self.next + tail.len() as u64, keys })
    }

    /// Removes the file: nothing of it is wanted any more.
    ///
    /// # Errors
    /// The storage's.
    pub async fn abandon(self) -> Result<(), StorageError> {
        self.storage.remove(&self.name).await
    }
}

/// The extent of a value and of what has come of it now.
fn joined(before: Indexed, now: &Indexed) -> Indexed {
    Indexed {
        bytes: before.bytes + now.bytes,
        keys: before.keys + now.keys,
        first_group: before.first_group.min(now.first_group),
        last_group: before.last_group.max(now.last_group),
        ..before
    }
}

/// Puts a finished snapshot in the place of another, or where there was none.
///
/// # Errors
/// The storage's. Which of them a crash leaves is unknown when the directory's sync failed.
pub async fn replace<S: Storage>(storage: &S, new: &str, name: &str) -> Result<(), StorageError> {
    // ORDER: the new bytes are stable (`Draft::finish`): whatever of the names survives a crash,
    // a whole snapshot has this one.
    storage.rename(new, name).await?;
    // ORDER: before anybody is told that it is saved.
    storage.sync_dir().await
}
