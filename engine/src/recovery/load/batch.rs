//! Keys on their way to the shard that owns them: read by whoever reads the file, put in by whoever
//! has the shard.
//!
//! Texts lie end to end in one run of bytes, collections are built already: putting a batch in
//! costs the shard little more than the memory of its entries.

use crate::{
    elements::Built,
    keyspace::{Key, Keyspace, Origin},
};

/// Bytes of keys and texts in a batch, unless a single one has more.
const BYTES_MAX: usize = 64 * 1024;
/// Memory for them is given back when one batch needed more, bytes.
const BYTES_KEPT: usize = 4 * BYTES_MAX;
/// Keys in a batch.
const KEYS_MAX: usize = 1024;
/// Keys that are looked for ahead of the one that is put in.
const AHEAD: usize = 8;

/// How a key was used, as its file says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It says nothing.
    Unsaid,
    /// Seconds since it was used last.
    Idle(u64),
    /// The logarithmic counter.
    Frequency(u8),
}

/// What a key has besides its bytes and its value.
#[derive(Debug, Clone, Copy)]
pub struct About {
    /// Its database.
    pub db: usize,
    /// Unix time, ms.
    pub deadline: Option<i64>,
    /// How it was used.
    pub used: Use,
    /// Where it stands in its file.
    pub offset: u64,
}

enum Content {
    /// The text behind the key.
    Text(u32),
    Int(i64),
    Built(Built),
}

struct Item {
    hash: u64,
    slot: u16,
    key_bytes: u32,
    about: About,
    content: Content,
}

/// A key that is there already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// The key.
    pub key: Vec<u8>,
    /// Its database.
    pub db: usize,
    /// Where it stands in its file.
    pub offset: u64,
}

/// Keys of one shard.
#[derive(Default)]
pub struct Batch {
    bytes: Vec<u8>,
    items: Vec<Item>,
}

impl Batch {
    /// True when it should be put in now.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= BYTES_MAX || self.items.len() >= KEYS_MAX
    }

    /// Number of keys.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// True when there is no key.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    fn push(&mut self, key: Key<'_>, about: About, content: Content) {
        self.bytes.extend_from_slice(key.bytes);
        let Key { bytes, hash, slot } = key;
        self.items.push(Item { hash, slot, key_bytes: bytes.len() as u32, about, content });
    }

    /// Adds a string.
    pub fn push_text(&mut self, key: Key<'_>, about: About, text: &[u8]) {
        self.push(key, about, Content::Text(text.len() as u32));
        self.bytes.extend_from_slice(text);
    }

    /// Adds an integer.
    pub fn push_int(&mut self, key: Key<'_>, about: About, n: i64) {
        self.push(key, about, Content::Int(n));
    }

    /// Adds any value.
    pub fn push_built(&mut self, key: Key<'_>, about: About, value: Built) {
        self.push(key, about, Content::Built(value));
    }

    /// Puts the keys in and empties the batch.
    ///
    /// # Errors
    /// The first key that is there already; those before it are in.
    pub fn put_in(&mut self, keyspace: &mut Keyspace) -> Result<(), Duplicate> {
        let Self { bytes, items } = self;
        let mut ahead = Walk::new(bytes);
        let mut prefetched = 0;
        let mut walk = Walk::new(bytes);
        for at in 0..items.len() {
            while let Some(item) = items.get(prefetched).filter(|_| prefetched < at + AHEAD) {
                let (key, _) = ahead.next(item);
                keyspace.db(item.about.db).prefetch(key);
                prefetched += 1;
            }
            let (key, text) = walk.next(&items[at]);
            let About { db, deadline, used, offset } = items[at].about;
            let access = match used {
                Use::Unsaid => None,
                Use::Idle(seconds) => keyspace.clock().idle_since(seconds),
                Use::Frequency(count) => keyspace.clock().counting_from(count),
            };
            let origin = Origin { deadline, access };
            let database = keyspace.db_mut(db);
            let new = match std::mem::replace(&mut items[at].content, Content::Int(0)) {
                Content::Text(_) => database.load_text(key, text, origin),
                Content::Int(n) => database.load_int(key, n, origin),
                Content::Built(value) => value.load(database, key, origin),
            };
            if !new {
                return Err(Duplicate { key: key.bytes.to_vec(), db, offset });
            }
        }
        bytes.clear();
        items.clear();
        if bytes.capacity() > BYTES_KEPT {
            *bytes = Vec::new();
        }
        Ok(())
    }
}

/// Goes through the bytes of a batch.
struct Walk<'b>(&'b [u8]);

impl<'b> Walk<'b> {
    fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    /// The key of the next item, and its text if it is one.
    fn next(&mut self, item: &Item) -> (Key<'b>, &'b [u8]) {
        let (bytes, rest) = self.0.split_at(item.key_bytes as usize);
        let text_bytes = if let Content::Text(bytes) = item.content { bytes as usize } else { 0 };
        let (text, rest) = rest.split_at(text_bytes);
        self.0 = rest;
        (Key { bytes, hash: item.hash, slot: item.slot }, text)
    }
}
