//! Foresight: the table cells of commands that are at hand but not yet run are loaded into the
//! cache together, so that the waits for memory overlap.
//!
//! Every key costs two misses in a row, bucket and entry, in any keyspace larger than the cache.
//! They would be waited for one after the other, because a command is far longer than what the
//! processor looks ahead. Only hints: a wrong guess costs a few nanoseconds and changes nothing.

use crate::{
    net::connection::{Connection, Parked},
    resp::Peek,
    runtime::{
        core::Core,
        ring::{Completion, Op},
    },
};
use quire_engine::{
    keyspace::Key,
    slot::{group_of_slot, shard_of_group},
};

/// Commands looked ahead at a time: about as many loads as a processor has in flight.
pub const WINDOW: usize = 16;
/// Less input than this is not worth looking at.
const BYTES_MIN: usize = 16;

/// A key that will be asked for: database, hash, slot.
pub type Foreseen = (usize, u64, u16);

impl Core {
    /// Before these completions are worked on: looks at the first command of every receive.
    #[inline]
    pub fn foresee_received(&mut self, completions: &[Completion]) {
        if completions.len() < 2 {
            return;
        }
        let mut foreseen = std::mem::take(&mut self.foreseen);
        for c in completions {
            let Some(buffer) = c.buffer() else { continue };
            if c.token.op != Op::Receive || c.result <= 0 {
                continue;
            }
            let Some(conn) = self.conns[c.token.index as usize].as_ref() else { continue };
            if conn.input.is_empty() && conn.parked == Parked::No {
                let data = self.ring.buffers.detach(buffer, c.result as usize);
                let key = Peek::new(data.bytes()).next();
                self.foresee(conn.session.db, key.unwrap_or_default(), &mut foreseen);
            }
        }
        self.fetch_entries(&mut foreseen);
        self.foreseen = foreseen;
    }

    /// Looks ahead over the commands of a pipeline; how many bytes need not be looked at again.
    #[inline]
    pub fn foresee_pipeline(&mut self, conn: &Connection, data: &[u8]) -> usize {
        if data.len() < BYTES_MIN {
            return data.len();
        }
        let mut foreseen = std::mem::take(&mut self.foreseen);
        let mut peek = Peek::new(data);
        let mut left = WINDOW;
        while left > 0
            && let Some(key) = peek.next()
        {
            left -= 1;
            self.foresee(conn.session.db, key, &mut foreseen);
        }
        self.fetch_entries(&mut foreseen);
        self.foreseen = foreseen;
        if left > 0 { data.len() } else { data.len() - peek.rest() }
    }

    #[inline]
    fn foresee(&self, db: usize, key: &[u8], foreseen: &mut Vec<Foreseen>) {
        let Some(shard) = self.shard.as_ref() else { return };
        if key.is_empty() {
            return;
        }
        let key = shard.keyspace.key(key);
        if self.shards() == 1
            || shard_of_group(group_of_slot(key.slot), self.shards()) == usize::from(self.id)
        {
            shard.keyspace.db(db).prefetch(key);
            foreseen.push((db, key.hash, key.slot));
        }
    }

    #[inline]
    fn fetch_entries(&self, foreseen: &mut Vec<Foreseen>) {
        if let Some(shard) = self.shard.as_ref() {
            for &(db, hash, slot) in &*foreseen {
                shard.keyspace.db(db).prefetch_entry(Key { bytes: &[], hash, slot });
            }
        }
        foreseen.clear();
    }
}
