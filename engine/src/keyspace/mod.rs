//! The keys of one shard: databases, their tables, deadlines, memory.
//!
//! ```text
//! Keyspace -> Database -> Group (256, one per slot group) -> Segment -> Word -> entry
//!                      -> Deadlines (when to look at which key)
//! ```
//! Per database and slot group there is an extendible hash table of small segments, allocated
//! with the first key; growing and shrinking move the entries of one segment at a time
//! (`group.rs`, `segment.rs`). Key, value and deadline of an entry are one allocation
//! (`entry.rs`). SCAN's guarantee is proven in `cursor.rs`, what snapshots need in `walk.rs`, and
//! how it is known what has changed since the last one in `changes.rs`.
//!
//! Knows neither clock nor clients: expired entries are there until somebody removes them, and
//! time comes in as an argument. Everything is `Send` and nothing is shared: addresses are kept
//! as integers in words and directories, and each belongs to one database.

mod access;
mod changes;
mod cursor;
mod database;
mod deadlines;
mod entry;
mod exchange;
mod group;
mod key;
mod memory;
mod segment;
mod table;
mod trash;
mod value;
mod view;
mod walk;
mod word;

#[cfg(test)]
mod tests;

pub use crate::number::canonical_int;
pub use access::{AccessClock, Tracking};
pub use changes::{Changes, Names, names};
pub use cursor::{scan_group, scan_start};
pub use database::{Database, Edited, Origin, Sampled};
pub use key::{Key, KeyHasher};
pub use memory::size_class;
pub use table::{Handle, Table};
pub use trash::{LazyFree, Shed, Trash};
pub use value::{Deadline, Str, Value};
pub use view::{Entry, EntryMut, OwnedEntry};
pub use walk::{Copyist, Elements, Given, Scope};

/// All databases of one shard.
pub struct Keyspace {
    databases: Vec<Database>,
    hasher: KeyHasher,
    clock: AccessClock,
    trash: Trash,
    walk: walk::Walk,
    /// What the marks of words mean.
    marks: changes::Marks,
}

impl Keyspace {
    /// An empty keyspace of `databases` databases.
    pub fn new(databases: usize, hasher: KeyHasher) -> Self {
        let databases = (0..databases).map(|_| Database::new(hasher.clone())).collect();
        Self {
            databases,
            hasher,
            clock: AccessClock::new(),
            trash: Trash::default(),
            walk: walk::Walk::default(),
            marks: changes::Marks::default(),
        }
    }

    /// Sets time (Unix, ms) and rule of the access bits that entries get when they are used.
    pub fn set_clock(&mut self, now_ms: i64, tracking: Tracking) {
        self.clock.set(now_ms, tracking);
        self.databases.iter_mut().for_each(|database| database.set_clock(now_ms, tracking));
    }

    /// The clock that access bits are read by.
    pub fn clock(&self) -> &AccessClock {
        &self.clock
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

    /// Swaps the contents of two databases, and with them their part in a walk.
    pub fn swap(&mut self, a: usize, b: usize) {
        self.databases.swap(a, b);
        // Clients wait for keys of a database, whatever it holds.
        if let Ok([a, b]) = self.databases.get_disjoint_mut([a, b]) {
            a.hand_watch_to(b);
            // What is known to have changed is so under the other number.
            [a, b].into_iter().for_each(|database| database.gone.lose());
        }
    }

    /// Puts an empty database in the place of one and returns that, detached.
    fn clear(&mut self, db: usize) -> Database {
        let mut empty = Database::new(self.hasher.clone());
        empty.clock_from(&self.databases[db]);
        self.databases[db].hand_watch_to(&mut empty);
        (empty.marks, empty.gone) = (self.marks, self.databases[db].gone.successor());
        std::mem::replace(&mut self.databases[db], empty)
    }

    /// Works on a database; with `lazily`, big values that this removes are freed by
    /// [`Keyspace::free_piece`], else at once.
    #[inline]
    pub fn with_db<R>(
        &mut self,
        db: usize,
        lazily: bool,
        work: impl FnOnce(&mut Database) -> R,
    ) -> R {
        let lent = self.databases[db].give_back();
        let is_lent = lent.is_some();
        self.trash = lent.unwrap_or_else(|| std::mem::take(&mut self.trash));
        if lazily {
            self.lend_trash(db);
        }
        let result = work(&mut self.databases[db]);
        match (lazily, is_lent) {
            (true, false) => self.take_trash(db),
            (false, true) => self.lend_trash(db),
            _ => {}
        }
        result
    }

    /// From now on big values that are removed from this database are not freed at once.
    pub fn lend_trash(&mut self, db: usize) {
        self.databases[db].lend(std::mem::take(&mut self.trash));
    }

    /// Ends [`Keyspace::lend_trash`].
    pub fn take_trash(&mut self, db: usize) {
        if let Some(trash) = self.databases[db].give_back() {
            self.trash = trash;
        }
    }

    /// Takes a detached database, to be freed in pieces.
    fn discard(&mut self, old: Database) {
        self.trash.add_groups(old.into_groups());
    }

    /// What has been removed and is not freed yet.
    #[inline]
    pub fn trash(&self) -> &Trash {
        &self.trash
    }

    /// Frees a piece of it; false when there is none.
    pub fn free_piece(&mut self) -> bool {
        self.trash.free_piece()
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
