//! WATCH: what a connection has seen of which keys.
//!
//! The shard that owns a key counts its changes while it is watched; the connection remembers the
//! count it was told. It is told to forget when the connection no longer watches, through the same
//! queue as everything else, so it never forgets too early.

use super::super::{
    everywhere::Task,
    hop::{RequestHead, Return},
};
use crate::{net::connection::Connection, runtime::core::Core};
use quire_engine::{
    command::{Args, OwnedArgs, Reply},
    shard::{Seen, Shard},
};

/// A key a connection watches.
#[derive(Debug, Clone)]
pub struct WatchedKey {
    /// Database.
    pub db: u16,
    /// Key.
    pub key: Vec<u8>,
    /// The shard that owns it.
    pub shard: u16,
    /// What was seen; none while the shard has not answered.
    pub seen: Option<Seen>,
}

impl WatchedKey {
    /// Bytes of memory that the connection keeps of it.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.key.len()
    }

    /// True when the shard that owns it finds it as it was seen.
    pub fn holds(&self, shard: &Shard, now_ms: i64) -> bool {
        let db = usize::from(self.db);
        self.seen.is_some_and(|seen| shard.is_as_seen(db, &self.key, seen, now_ms))
    }
}

/// Numbers of [`Seen`] as arguments.
pub(super) fn seen_words(seen: Seen) -> [u64; 3] {
    [seen.changes, seen.expiries, u64::from(seen.was_expired)]
}

/// Back from such numbers.
pub(super) fn seen_from(words: [u64; 3]) -> Seen {
    Seen { changes: words[0], expiries: words[1], was_expired: words[2] != 0 }
}

/// Runs WATCH's part for one key where it lives.
pub fn watch_here(shard: &mut Shard, db: usize, key: &[u8], now_ms: i64, out: &mut Vec<u8>) {
    for word in seen_words(shard.watch(db, key, now_ms)) {
        out.extend_from_slice(&word.to_ne_bytes());
    }
}

impl Core {
    /// WATCH: asks the shards that own the keys.
    pub fn watch_keys(&mut self, conn: &mut Connection, args: Args<'_>) {
        let db = conn.session.db as u16;
        let mut fresh = Vec::new();
        for key in args.iter_from(1) {
            let multi = conn.multi.get_or_insert_default();
            if multi.watched.iter().any(|watched| watched.db == db && watched.key == key) {
                continue;
            }
            let shard = self.owner_of(key);
            multi.watch(WatchedKey { db, key: key.to_vec(), shard, seen: None });
            fresh.push((shard, key));
        }
        if fresh.is_empty() {
            self.append_reply(conn, b"+OK\r\n");
            return;
        }
        let owned = OwnedArgs::from_slices(&fresh.iter().map(|(_, key)| key).collect::<Vec<_>>());
        let seq = self.open_task(conn, Task::Watch, owned, fresh.len());
        for (part, (shard, key)) in fresh.into_iter().enumerate() {
            let one = OwnedArgs::from_slices(&[key]);
            self.task_at(conn, shard, Task::Watch, seq, part as u16, db, one.as_args());
        }
    }

    /// The shards no longer need to count changes of these keys.
    pub fn unwatch(&mut self, keys: &[WatchedKey]) {
        for key in keys {
            if key.shard == self.id {
                if let Some(shard) = self.shard.as_mut() {
                    shard.unwatch(usize::from(key.db), &key.key);
                }
                continue;
            }
            // Nobody waits for the answer: it is for a connection that does not exist.
            let to = Return { conn: u32::MAX, generation: 0, seq: 0, part: 0 };
            let head = RequestHead {
                to,
                what: Task::Unwatch.number(),
                db: key.db,
                resp3: false,
                no_touch: false,
                is_part: true,
                cut: 0,
            };
            self.mesh.stage(key.shard, head, std::iter::once(&key.key));
        }
    }
}

/// All keys of a WATCH have been seen.
pub fn join_watched(conn: &mut Connection, parts: &[Vec<u8>], out: &mut Vec<u8>) {
    let unseen = conn.multi.iter_mut().flat_map(|multi| &mut multi.watched);
    for (watched, part) in unseen.filter(|watched| watched.seen.is_none()).zip(parts) {
        let mut words = [0; 3];
        for (word, bytes) in words.iter_mut().zip(part.chunks_exact(8)) {
            *word = u64::from_ne_bytes(bytes.try_into().unwrap_or_default());
        }
        watched.seen = Some(seen_from(words));
    }
    Reply::new(out, false).ok();
}
