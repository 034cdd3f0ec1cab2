//! A base as commands (`aof-use-rdb-preamble no`): chunks in, one file of RESP out, as Redis itself
//! rewrites its log without a preamble.
//!
//! Chunks are what shards send whatever the file will be; here they are read again and every value
//! becomes the commands that make it, at most 64 elements in one. Memory: one value. The file has
//! neither index nor checksum, as Redis' has none; whoever loads it executes it.

use super::{Chunk, DraftOptions, Facts, Written};
use crate::{
    elements::Builder,
    error::StorageError,
    io::Storage,
    keyspace::{Database, KeyHasher, Origin},
    rdb::{Event, Reader},
    types::{Limits, rewrite},
};

/// Version of RDB that chunks are of.
const VERSION: u32 = 10;
/// Bytes written at once, at least.
const PIECE_BYTES: usize = 256 * 1024;
/// Bytes after which the file is synced, if that is wanted.
const SYNC_EVERY_BYTES: u64 = 32 << 20;

/// The key whose value is being read.
struct Open {
    key: Vec<u8>,
    deadline: Option<i64>,
}

/// A base of commands that is being written.
pub struct CommandDraft<'s, S: Storage> {
    storage: &'s S,
    name: String,
    file: S::File,
    sync_as_it_grows: bool,
    unsynced: u64,
    at: u64,
    out: Vec<u8>,
    /// A shard's value is in the middle: its next chunk goes on here.
    reader: Option<(u16, Reader)>,
    maker: Maker,
    keys: u64,
}

impl<'s, S: Storage> CommandDraft<'s, S> {
    /// Begins in a file of its own, which is created or emptied.
    ///
    /// # Errors
    /// The storage's.
    pub async fn begin(
        storage: &'s S,
        name: String,
        options: DraftOptions,
    ) -> Result<Self, StorageError> {
        let file = storage.create(&name).await?;
        Ok(Self {
            storage,
            name,
            file,
            sync_as_it_grows: options.sync_as_it_grows,
            unsynced: 0,
            at: 0,
            out: Vec::new(),
            reader: None,
            maker: Maker::new(),
            keys: 0,
        })
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.at
    }

    /// The only shard whose chunk can be taken next; None: any.
    pub fn awaits(&self) -> Option<u16> {
        self.reader.as_ref().map(|(shard, _)| *shard)
    }

    /// Takes a chunk, of a shard that is not waited out.
    ///
    /// # Errors
    /// The storage's: the draft is worth nothing any more.
    pub async fn put(&mut self, chunk: Chunk) -> Result<(), StorageError> {
        self.keys += chunk.keys();
        let mut reader = match self.reader.take() {
            Some((shard, reader)) => {
                assert_eq!(shard, chunk.shard, "only its shard can go on with a value");
                reader
            }
            None => {
                self.maker.db = None;
                Reader::part(VERSION, 0)
            }
        };
        reader.feed(&chunk.bytes);
        if !chunk.continues {
            reader.end();
        }
        while self.maker.step(&mut reader, &mut self.out).ok_or_else(|| self.unreadable())? {
            if self.out.len() >= PIECE_BYTES {
                self.write().await?;
            }
        }
        if chunk.continues {
            self.reader = Some((chunk.shard, reader));
        }
        Ok(())
    }

    fn unreadable(&self) -> StorageError {
        let path = self.name.clone().into();
        StorageError { op: "turning keys into commands", path, offset: None, errno: libc::EINVAL }
    }

    async fn write(&mut self) -> Result<(), StorageError> {
        self.storage.write_at(&self.file, self.at, &self.out).await?;
        self.at += self.out.len() as u64;
        self.unsynced += self.out.len() as u64;
        self.out.clear();
        if self.sync_as_it_grows && self.unsynced >= SYNC_EVERY_BYTES {
            self.unsynced = 0;
            self.storage.sync(&self.file).await?;
        }
        Ok(())
    }

    /// Writes what is left and makes the file's bytes stable; its name is not.
    ///
    /// # Errors
    /// The storage's: the file is worth nothing.
    pub async fn finish(&mut self, facts: &Facts) -> Result<Written, StorageError> {
        assert!(self.reader.is_none(), "a value has been left in the middle");
        for source in &facts.functions {
            command(&mut self.out, &[b"FUNCTION", b"LOAD", source]);
        }
        self.write().await?;
        // ORDER: the bytes before any name that says they are a base.
        self.storage.sync(&self.file).await?;
        Ok(Written { bytes: self.at, keys: self.keys })
    }

    /// Removes the file: nothing of it is wanted any more.
    ///
    /// # Errors
    /// The storage's.
    pub async fn abandon(self) -> Result<(), StorageError> {
        self.storage.remove(&self.name).await
    }
}

/// Makes values of events, and commands of values.
struct Maker {
    builder: Builder,
    limits: Limits,
    hasher: KeyHasher,
    /// Holds the one value that is being written.
    scratch: Database,
    open: Option<Open>,
    /// Selected in the file, since the last chunk began.
    db: Option<u64>,
}

impl Maker {
    fn new() -> Self {
        let hasher = KeyHasher::random();
        Self {
            builder: Builder::new(),
            limits: Limits::default(),
            scratch: Database::new(hasher.clone()),
            hasher,
            open: None,
            db: None,
        }
    }

    /// Takes the next event; false when there is none at the moment, None when it makes no sense.
    fn step(&mut self, reader: &mut Reader, out: &mut Vec<u8>) -> Option<bool> {
        match reader.next().ok()? {
            Event::More | Event::End { .. } => return Some(false),
            Event::Key(head) => {
                if self.db != Some(head.db) {
                    command(out, &[b"SELECT", head.db.to_string().as_bytes()]);
                    self.db = Some(head.db);
                }
                self.open = Some(Open { key: head.key.to_vec(), deadline: head.expires_ms });
                self.builder.begin(head.kind, head.packed);
            }
            Event::Element(element) => {
                self.builder.take(element, &self.limits, &self.hasher).ok()?;
            }
            Event::KeyEnd => {
                let value = self.builder.finish().ok()?;
                let Open { key, deadline } = self.open.take()?;
                if let Some(value) = value {
                    self.write(value, &key, deadline, out);
                }
            }
            Event::Aux(..) | Event::Resize { .. } | Event::Slot { .. } | Event::Function(_) => {}
        }
        Some(true)
    }

    fn write(
        &mut self,
        value: crate::elements::Built,
        key: &[u8],
        deadline: Option<i64>,
        out: &mut Vec<u8>,
    ) {
        if let crate::elements::Built::Text(text) = &value {
            command(out, &[b"SET", key, text]);
        } else {
            let hashed = self.hasher.key(key);
            value.load(&mut self.scratch, hashed, Origin::default());
            if let Some(entry) = self.scratch.get(hashed) {
                rewrite(entry.content(), key, &mut |parts| command(out, parts));
            }
            self.scratch.remove(hashed);
        }
        if let Some(at_ms) = deadline {
            command(out, &[b"PEXPIREAT", key, at_ms.to_string().as_bytes()]);
        }
    }
}

/// Appends a command as RESP.
fn command(out: &mut Vec<u8>, parts: &[&[u8]]) {
    let mut digits = itoa::Buffer::new();
    out.push(b'*');
    out.extend_from_slice(digits.format(parts.len()).as_bytes());
    out.extend_from_slice(b"\r\n");
    for part in parts {
        out.push(b'$');
        out.extend_from_slice(digits.format(part.len()).as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(part);
        out.extend_from_slice(b"\r\n");
    }
}
