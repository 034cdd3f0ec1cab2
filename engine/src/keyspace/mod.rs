//! The keys of one shard: databases, their tables, deadlines, memory.

mod database;
mod key;
mod value;

pub use database::{Database, Entry, EntryMut, OwnedEntry, scan_group, scan_start};
pub use key::{Key, KeyHasher};
pub use value::{Deadline, Str, canonical_int};

/// All databases of one shard.
pub struct Keyspace {
    databases: Vec<Database>,
    hasher: KeyHasher,
}

impl Keyspace {
    /// An empty keyspace of `databases` databases.
    pub fn new(databases: usize, hasher: KeyHasher) -> Self {
        let databases = (0..databases).map(|_| Database::new(hasher.clone())).collect();
        Self { databases, hasher }
    }

    /// The hasher of this server.
    pub fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    /// The key with its hash and slot.
    #[inline]
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        self.hasher.key(bytes)
    }

    /// Number of databases.
    pub fn databases(&self) -> usize {
        self.databases.len()
    }

    /// Database `index`. Panics when there is no such database.
    #[inline]
    pub fn db(&self, index: usize) -> &Database {
        &self.databases[index]
    }

    /// Database `index`, to be changed. Panics when there is no such database.
    #[inline]
    pub fn db_mut(&mut self, index: usize) -> &mut Database {
        &mut self.databases[index]
    }

    /// Swaps the contents of two databases.
    pub fn swap(&mut self, a: usize, b: usize) {
        self.databases.swap(a, b);
    }

    /// Empties a database and returns its old content, detached; the caller decides when the
    /// memory is freed, by dropping it.
    pub fn clear(&mut self, db: usize) -> Database {
        std::mem::replace(&mut self.databases[db], Database::new(self.hasher.clone()))
    }

    /// Keys in all databases.
    pub fn len(&self) -> usize {
        self.databases.iter().map(Database::len).sum()
    }

    /// True when no database has a key.
    pub fn is_empty(&self) -> bool {
        self.databases.iter().all(Database::is_empty)
    }

    /// Bytes of entries, tables and deadline indexes of all databases.
    pub fn memory_bytes(&self) -> usize {
        self.databases.iter().map(Database::memory_bytes).sum()
    }
}
