//! Keys of this shard that clients WATCH.
//!
//! Owns: how often each watched key has been changed since somebody began to watch it. A client
//! remembers what it saw ([`Seen`]) and asks before EXEC whether that still holds. Invariant: a
//! key is here as long as somebody watches it, and every effect on it is counted (but those on the
//! groups of a stream and its counters, of which Redis tells nobody), so nothing is compared by
//! value and a value that came back is a change too, as in Redis.
//! Knows no client. Costs one branch per effect while nobody watches, which is also that of `cuts.rs`.

use super::{
    Shard,
    cuts::{Changes, Cuts},
};
use crate::keyspace::Keyspace;
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
    /// An exchange of databases has put an expired key where none was: that is no change.
    is_excused: bool,
}

/// The watched keys, by database and hash.
#[derive(Debug, Default)]
pub struct Watches {
    /// Somebody wants to know of changes.
    pub(super) is_attentive: bool,
    keys: HashMap<(u16, u64), Watched>,
    /// When keys were changed last, while reads over several shards ask for it.
    pub(super) changes: Option<Box<Changes>>,
    pub(super) cuts: Cuts,
}

impl Watches {
    /// Nobody watches; cuts are counted so.
    pub(super) fn with_cuts(cuts: Cuts) -> Self {
        Self { cuts, ..Self::default() }
    }

    /// The key of that hash has been changed.
    #[inline]
    pub fn changed(&mut self, db: usize, hash: u64) {
        if self.is_attentive {
            self.note_change(db, hash);
        }
    }

    /// The same of a change that clients who watch the key are not told.
    pub fn changed_aside(&mut self, db: usize, hash: u64) {
        if let Some(changes) = self.changes.as_mut() {
            changes.note(db, hash);
        }
    }

    #[cold]
    #[inline(never)]
    fn note_change(&mut self, db: usize, hash: u64) {
        if let Some(watched) = self.keys.get_mut(&(db as u16, hash)) {
            watched.changes += 1;
        }
        if let Some(changes) = self.changes.as_mut() {
            changes.note(db, hash);
        }
    }

    /// A second has gone by.
    pub(super) fn second(&mut self) {
        if self.changes.as_mut().is_some_and(|changes| !changes.is_needed()) {
            self.changes = None;
            self.settle();
        }
    }

    /// Pays attention as long as somebody wants it.
    fn settle(&mut self) {
        self.is_attentive = !self.keys.is_empty() || self.changes.is_some();
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
}

impl Shard {
    /// A client begins to watch a key.
    pub fn watch(&mut self, db: usize, key: &[u8], now_ms: i64) -> Seen {
        let was_expired = self.has_expired(db, key, now_ms);
        let hash = self.keyspace.hasher().hash(key);
        self.watches.is_attentive = true;
        let watched = self.watches.keys.entry((db as u16, hash)).or_insert_with(|| Watched {
            key: key.into(),
            watchers: 0,
            changes: 0,
            expiries: 0,
            is_excused: false,
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
                self.watches.settle();
            }
        }
    }

    /// True when nobody has changed a watched key since it was seen so, nor has it expired.
    pub fn is_as_seen(&self, db: usize, key: &[u8], seen: Seen, now_ms: i64) -> bool {
        let at = (db as u16, self.keyspace.hasher().hash(key));
        let Some(watched) = self.watches.keys.get(&at) else { return false };
        let is_gone = watched.expiries != seen.expiries
            || (!watched.is_excused && self.has_expired(db, key, now_ms));
        watched.changes == seen.changes && (seen.was_expired || !is_gone)
    }

    /// The databases are about to be emptied: keys that are there change.
    pub(super) fn note_emptied(&mut self, databases: std::ops::Range<usize>, now_ms: i64) {
        if let Some(changes) = self.watches.changes.as_mut() {
            changes.note_everything();
        }
        if self.watches.is_empty() {
            return;
        }
        let keyspace = &self.keyspace;
        for ((db, _), watched) in &mut self.watches.keys {
            if databases.contains(&usize::from(*db)) {
                match presence(keyspace, usize::from(*db), &watched.key, now_ms) {
                    Presence::Live => watched.changes += 1,
                    Presence::Expired => watched.expiries += 1,
                    Presence::None => {}
                }
            }
        }
    }

    /// Exchanges two databases: keys that are in one of them change in both. What stood there
    /// expired, or is replaced by nothing or by something expired, is no change to who knew it so.
    pub fn swap_databases(&mut self, a: usize, b: usize, now_ms: i64) {
        if let Some(changes) = self.watches.changes.as_mut() {
            changes.note_everything();
        }
        let keyspace = &self.keyspace;
        for ((db, _), watched) in &mut self.watches.keys {
            let other = match usize::from(*db) {
                db if db == a => b,
                db if db == b => a,
                _ => continue,
            };
            let old = presence(keyspace, usize::from(*db), &watched.key, now_ms);
            match (old, presence(keyspace, other, &watched.key, now_ms)) {
                (Presence::None, Presence::None) => {}
                (_, Presence::Live) => watched.changes += 1,
                (Presence::None, Presence::Expired) => watched.is_excused = true,
                (_, Presence::None | Presence::Expired) => watched.expiries += 1,
            }
        }
        self.keyspace.swap(a, b);
        // Clients that wait in one of them wait for what it holds now.
        self.signal_all(a);
        self.signal_all(b);
    }

    fn has_expired(&self, db: usize, key: &[u8], now_ms: i64) -> bool {
        presence(&self.keyspace, db, key, now_ms) == Presence::Expired
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    None,
    Live,
    Expired,
}

fn presence(keyspace: &Keyspace, db: usize, key: &[u8], now_ms: i64) -> Presence {
    match keyspace.db(db).get(keyspace.key(key)) {
        None => Presence::None,
        Some(entry) if entry.deadline().is_some_and(|at_ms| now_ms > at_ms) => Presence::Expired,
        Some(_) => Presence::Live,
    }
}
