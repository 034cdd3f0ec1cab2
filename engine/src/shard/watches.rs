//! Keys of this shard that clients WATCH.
//!
//! Owns: how often each watched key has been changed since somebody began to watch it. A client
//! remembers what it saw ([`Seen`]) and asks before EXEC whether that still holds. Invariant: a
//! key is here as long as somebody watches it, and every effect on it is counted, so nothing is
//! compared by value and a value that came back is a change too, as in Redis.
//! Knows no client. Costs one branch per effect while nobody watches.

use super::Shard;
use std::collections::HashMap;

/// What a client saw of a key when it began to watch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Changes counted so far.
    pub changes: u64,
    /// Deletions because its deadline had passed, counted so far.
    pub expiries: u64,
    /// Its deadline had passed already: that it goes is no change.
    pub was_expired: bool,
}

#[derive(Debug)]
struct Watched {
    key: Box<[u8]>,
    watchers: usize,
    changes: u64,
    expiries: u64,
}

/// The watched keys, by database and hash.
#[derive(Debug, Default)]
pub struct Watches {
    keys: HashMap<(u16, u64), Watched>,
}

impl Watches {
    /// The key of that hash has been changed.
    #[inline]
    pub fn changed(&mut self, db: usize, hash: u64) {
        if !self.keys.is_empty()
            && let Some(watched) = self.keys.get_mut(&(db as u16, hash))
        {
            watched.changes += 1;
        }
    }

    /// The key of that hash has gone because its deadline had passed.
    #[inline]
    pub fn expired(&mut self, db: usize, hash: u64) {
        if !self.keys.is_empty()
            && let Some(watched) = self.keys.get_mut(&(db as u16, hash))
        {
            watched.expiries += 1;
        }
    }

    /// True while nobody watches anything.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Counts a change of every watched key of a database that `is_touched` is true of.
    pub fn changed_where(&mut self, db: usize, is_touched: impl Fn(&[u8]) -> bool) {
        for ((of, _), watched) in &mut self.keys {
            if usize::from(*of) == db && is_touched(&watched.key) {
                watched.changes += 1;
            }
        }
    }
}

impl Shard {
    /// A client begins to watch a key.
    pub fn watch(&mut self, db: usize, key: &[u8], now_ms: i64) -> Seen {
        let was_expired = self.has_expired(db, key, now_ms);
        let hash = self.keyspace.hasher().hash(key);
        let watched = self.watches.keys.entry((db as u16, hash)).or_insert_with(|| Watched {
            key: key.into(),
            watchers: 0,
            changes: 0,
            expiries: 0,
        });
        watched.watchers += 1;
        Seen { changes: watched.changes, expiries: watched.expiries, was_expired }
    }

    /// A client watches a key no longer.
    pub fn unwatch(&mut self, db: usize, key: &[u8]) {
        let at = (db as u16, self.keyspace.hasher().hash(key));
        if let Some(watched) = self.watches.keys.get_mut(&at) {
            watched.watchers -= 1;
            if watched.watchers == 0 {
                self.watches.keys.remove(&at);
            }
        }
    }

    /// True when nobody has changed a watched key since it was seen so, nor has it expired.
    pub fn is_as_seen(&self, db: usize, key: &[u8], seen: Seen, now_ms: i64) -> bool {
        let at = (db as u16, self.keyspace.hasher().hash(key));
        let Some(watched) = self.watches.keys.get(&at) else { return false };
        let is_gone = watched.expiries != seen.expiries || self.has_expired(db, key, now_ms);
        watched.changes == seen.changes && (seen.was_expired || !is_gone)
    }

    /// The databases are about to be emptied: keys that are there change.
    pub(super) fn note_emptied(&mut self, databases: std::ops::Range<usize>) {
        if self.watches.is_empty() {
            return;
        }
        let keyspace = &self.keyspace;
        for db in databases {
            self.watches.changed_where(db, |key| keyspace.db(db).get(keyspace.key(key)).is_some());
        }
    }

    /// Exchanges two databases: keys that are in one of them change in both.
    pub fn swap_databases(&mut self, a: usize, b: usize) {
        if !self.watches.is_empty() {
            let keyspace = &self.keyspace;
            let is_touched = |key: &[u8]| {
                let key = keyspace.key(key);
                keyspace.db(a).get(key).is_some() || keyspace.db(b).get(key).is_some()
            };
            self.watches.changed_where(a, is_touched);
            self.watches.changed_where(b, is_touched);
        }
        self.keyspace.swap(a, b);
    }

    fn has_expired(&self, db: usize, key: &[u8], now_ms: i64) -> bool {
        let entry = self.keyspace.db(db).get(self.keyspace.key(key));
        entry.is_some_and(|entry| entry.deadline().is_some_and(|at_ms| now_ms > at_ms))
    }
}
