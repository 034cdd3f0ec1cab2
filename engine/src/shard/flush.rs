//! Emptying databases: key by key as one logged batch, or at once after the librarian has
//! published the change for all shards.

use super::Shard;
use crate::{aof::Lsn, command::CommandError, effect::Effect};
use std::ops::Range;

impl Shard {
    /// Deletes every key of `databases` as one batch; the LSN to wait for. With `lazily` their
    /// memory is freed later, piece by piece.
    ///
    /// # Errors
    /// `-MISCONF` when the log has failed or has no room; nothing has changed then.
    pub fn flush(
        &mut self,
        databases: Range<usize>,
        now_ms: i64,
        lazily: bool,
    ) -> Result<Lsn, CommandError> {
        if self.staging.enabled() {
            let mut bytes = 0;
            for db in databases.clone() {
                self.keyspace.db(db).for_each(&mut |e| bytes += e.key().len() + 64);
            }
            self.staging.admit(bytes)?;
        }
        self.flush_begins(&databases);
        self.note_emptied(databases.clone(), now_ms);
        self.staging.begin();
        for db in databases.clone() {
            if self.staging.enabled() {
                let hasher = self.keyspace.hasher();
                self.keyspace.db(db).for_each(&mut |e| {
                    self.staging.touch_write(hasher.hash(e.key()));
                    self.staging.push(db as u16, Effect::Del { key: e.key() });
                });
            }
            self.stats.changes += self.keyspace.empty(db, lazily) as u64;
        }
        let own = self.staging.end();
        databases.for_each(|db| self.signal_all(db));
        Ok(own.max(self.staging.gate()))
    }

    /// Empties databases without logging it: the manifest already says so.
    /// With `lazily` their memory is freed later, piece by piece.
    pub fn forget(&mut self, databases: Range<usize>, now_ms: i64, lazily: bool) {
        self.flush_begins(&databases);
        self.note_emptied(databases.clone(), now_ms);
        for db in databases {
            self.stats.changes += self.keyspace.empty(db, lazily) as u64;
            self.signal_all(db);
        }
    }
}
