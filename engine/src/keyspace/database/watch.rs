//! Keys that somebody waits for, and which of them have come or gone.
//!
//! Holds hashes, so that a key nobody waits for costs one look, and none while nobody waits for
//! anything. Two keys of one hash signal each other: whoever is signalled looks at the key itself.

use super::{Database, EntryPtr, Key};
use ahash::{HashMap, HashSet};

/// What is waited for in one database.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Hashes of the keys, each with how many keys have it.
    hashes: HashMap<u64, usize>,
    /// Keys that have come, gone or been signalled, in that order.
    signalled: Vec<Box<[u8]>>,
    /// The same, to be asked.
    known: HashSet<Box<[u8]>>,
}

impl Database {
    /// Somebody waits for a key from now on.
    pub fn watch(&mut self, key: Key<'_>) {
        *self.watch.get_or_insert_default().hashes.entry(key.hash).or_default() += 1;
    }

    /// Nobody waits for it any more.
    pub fn unwatch(&mut self, key: Key<'_>) {
        let Some(watch) = self.watch.as_mut() else { return };
        if let Some(keys) = watch.hashes.get_mut(&key.hash) {
            *keys -= 1;
            if *keys == 0 {
                watch.hashes.remove(&key.hash);
            }
        }
        if watch.hashes.is_empty() {
            self.watch = None;
        }
    }

    /// Notes that something has happened to a key, if somebody waits for it.
    pub fn signal(&mut self, key: Key<'_>) {
        if let Some(watch) = self.watch.as_mut()
            && watch.hashes.contains_key(&key.hash)
            && watch.known.insert(key.bytes.into())
        {
            watch.signalled.push(key.bytes.into());
        }
    }

    /// The same of an entry that is about to go.
    pub(super) fn signal_going(&mut self, entry: EntryPtr) {
        if self.watch.is_some() {
            let hasher = self.hasher.clone();
            self.signal(hasher.key(entry.key()));
        }
    }

    /// The keys that something has happened to since the last call.
    pub fn take_signalled(&mut self) -> Vec<Box<[u8]>> {
        let Some(watch) = self.watch.as_mut() else { return Vec::new() };
        watch.known.clear();
        std::mem::take(&mut watch.signalled)
    }

    /// Moves what is waited for to a database that takes the place of this one; all of it is
    /// signalled by whoever knows the keys.
    pub(in crate::keyspace) fn hand_watch_to(&mut self, successor: &mut Self) {
        std::mem::swap(&mut self.watch, &mut successor.watch);
    }
}
