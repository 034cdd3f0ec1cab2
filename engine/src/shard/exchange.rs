//! Another data set in the place of a shard's own, while it executes nothing.

use super::Shard;
use crate::keyspace::Keyspace;

impl Shard {
    /// Goes on with these keys, whatever the log says: whoever does this makes the log agree. The
    /// keys there were are returned. For clients all keys have changed that they watch, and all
    /// keys that they wait for are looked at again.
    pub fn exchange(&mut self, keyspace: Keyspace, now_ms: i64) -> Keyspace {
        let databases = 0..self.keyspace.databases();
        self.note_emptied(databases.clone(), now_ms);
        self.abort_walk();
        let old = self.keyspace.replace(keyspace);
        self.advance_clock(now_ms);
        databases.for_each(|db| self.signal_all(db));
        old
    }
}
