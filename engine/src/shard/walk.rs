//! Snapshots of a shard: the walk that writes one, in slices between commands.

#[cfg(test)]
mod tests;

use super::Shard;
use crate::{
    keyspace::Scope,
    snapshot::{Chunk, ChunkOptions, Walk, WalkStats, Walked},
};
use std::ops::Range;

impl Shard {
    /// The cut: from now on [`Shard::walk_slice`] and [`Shard::take_chunk`] give every key that is
    /// there now, as it is now, or what of it has changed. A walk that is under way is given up.
    pub fn begin_walk(&mut self, scope: Scope, options: &ChunkOptions) {
        self.walk = Some(Walk::begin(&mut self.keyspace, self.id as u16, scope, options));
    }

    /// Walks on for about so many microseconds; for the end of a turn.
    pub fn walk_slice(&mut self, micros: u64) -> Walked {
        let Some(walk) = &mut self.walk else { return Walked::GivenUp };
        let walked = walk.slice(&mut self.keyspace, micros);
        if let Walked::Failed(_) = walked {
            self.walk = None;
        }
        walked
    }

    /// The next chunk that is ready.
    pub fn take_chunk(&mut self) -> Option<Chunk> {
        self.walk.as_mut()?.take_chunk()
    }

    /// Gives up the walk that is under way, and forgets what has not been taken of it or of one that
    /// is done.
    pub fn abort_walk(&mut self) {
        self.keyspace.give_up_walk();
        self.walk = None;
    }

    /// What the walk has done, None when there is none.
    pub fn walk_stats(&self) -> Option<WalkStats> {
        self.walk.as_ref().map(|walk| walk.stats(&self.keyspace))
    }

    /// These databases are about to be emptied. Emptying all gives up the walk, as Redis does: it
    /// would keep everything that was there in memory for a snapshot of what nobody wants. With
    /// single ones it goes on over what they had.
    pub(super) fn flush_begins(&mut self, databases: &Range<usize>) {
        if *databases == (0..self.keyspace.databases()) && self.keyspace.is_walking() {
            self.abort_walk();
        }
    }
}
