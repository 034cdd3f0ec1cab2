//! Whether keys are as they were at a cut: what makes a read over several shards one of a moment.
//!
//! Such a read takes a number, its *cut*, from a counter that all shards share, and then has every
//! shard read its part and say whether all of the part's keys were last changed before the cut.
//! If all say so, the values are those of the moment at which the number was taken, whenever the
//! parts were read. Every change notes the number that stands then, in a table by hash: an answer
//! may be a needless no, and whoever gets one takes a new number.
//!
//! Why the cut is one moment to everybody: a change that has been answered before the number was
//! taken has seen a lower one. A change that comes after one which has seen the cut, by whatever
//! way a client has learnt of it, sees it too, for nobody sees a counter go back. A transaction
//! over several shards runs while no core takes numbers, so all of its changes note the same. That
//! a deadline passes notes nothing: a key is gone for whoever looks later, however often.
//!
//! Nothing is noted while nobody reads so: the table comes with the first read, which cannot know
//! what has been and says no, and goes after some seconds without one.

use super::{Shard, Watches};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Places of the table, a power of two. Changes of other keys in the moment that a part takes are
/// few beside it.
const PLACES: usize = 4096;
/// Whole seconds without a read after which the table goes.
const IDLE_SECONDS_MAX: u8 = 2;

/// The numbers of all shards' cuts.
#[derive(Debug, Clone, Default)]
pub struct Cuts(Arc<AtomicU64>);

impl Cuts {
    /// A new cut, now. Never 0.
    pub fn take(&self) -> u64 {
        self.0.fetch_add(1, Ordering::AcqRel) + 1
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// When keys were changed last.
#[derive(Debug)]
pub(super) struct Changes {
    cuts: Cuts,
    /// The number that stood at the last change of a key of that place.
    places: Box<[u64; PLACES]>,
    /// All keys may have been changed when this number stood.
    everything: u64,
    idle_seconds: u8,
}

impl Changes {
    fn new(cuts: Cuts) -> Self {
        let everything = cuts.now();
        Self { cuts, places: Box::new([0; PLACES]), everything, idle_seconds: 0 }
    }

    fn place(db: usize, hash: u64) -> usize {
        (hash as usize ^ db.wrapping_mul(0x9e37)) % PLACES
    }

    pub(super) fn note(&mut self, db: usize, hash: u64) {
        self.places[Self::place(db, hash)] = self.cuts.now();
    }

    pub(super) fn note_everything(&mut self) {
        self.everything = self.cuts.now();
    }

    /// A second has gone by: false when the table is not needed any more.
    pub(super) fn is_needed(&mut self) -> bool {
        self.idle_seconds += 1;
        self.idle_seconds <= IDLE_SECONDS_MAX
    }
}

impl Shard {
    /// Uses the numbers that all shards use. Before the first command.
    pub fn share_cuts(&mut self, cuts: Cuts) {
        self.watches = Watches::with_cuts(cuts);
    }

    /// True when none of these keys has been changed since the cut was taken; false as well when
    /// that is not known.
    pub fn is_as_of<'k>(
        &mut self,
        cut: u64,
        db: usize,
        keys: impl IntoIterator<Item = &'k [u8]>,
    ) -> bool {
        let hasher = self.keyspace.hasher();
        let changes = self.watches.changes_noted();
        changes.idle_seconds = 0;
        changes.everything < cut
            && keys
                .into_iter()
                .all(|key| changes.places[Changes::place(db, hasher.hash(key))] < cut)
    }
}

impl Watches {
    /// The table, which is there from now on.
    fn changes_noted(&mut self) -> &mut Changes {
        self.is_attentive = true;
        let cuts = &self.cuts;
        self.changes.get_or_insert_with(|| Box::new(Changes::new(cuts.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{aof::Staging, command::OwnedArgs, families::table, keyspace::KeyHasher};

    const KEYS: [&[u8]; 2] = [b"a", b"b"];

    fn shard(cuts: &Cuts) -> Shard {
        let mut shard = Shard::new(0, 1, 2, KeyHasher::fixed(), Staging::disabled(), 1);
        shard.share_cuts(cuts.clone());
        shard
    }

    fn run(shard: &mut Shard, db: usize, parts: &[&str], now_ms: i64) {
        let spec = table::SPECS[usize::from(table::find(parts[0].as_bytes()).unwrap())];
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
        let args = OwnedArgs::from_slices(&parts);
        shard.execute(spec, db, now_ms, false, args.as_args(), &mut Vec::new());
    }

    #[test]
    fn keys_that_change_after_a_cut_are_not_as_of_it() {
        let cuts = Cuts::default();
        let mut shard = shard(&cuts);
        assert!(!shard.is_as_of(cuts.take(), 0, KEYS), "what has been before is not known");
        assert!(shard.is_as_of(cuts.take(), 0, KEYS));
        for command in [["set", "a", "1"], ["append", "a", "1"], ["rename", "a", "c"]] {
            run(&mut shard, 0, &command, 0);
            let cut = cuts.take();
            assert!(shard.is_as_of(cut, 0, KEYS), "changed before");
            assert!(shard.is_as_of(cut, 1, KEYS));
            run(&mut shard, 0, &["set", "a", "2"], 0);
            assert!(!shard.is_as_of(cut, 0, KEYS), "changed since");
            assert!(shard.is_as_of(cut, 0, [KEYS[1]]));
        }
        let cut = cuts.take();
        run(&mut shard, 0, &["get", "a"], 0);
        run(&mut shard, 0, &["del", "nothing"], 0);
        assert!(shard.is_as_of(cut, 0, KEYS), "nothing has changed");
        run(&mut shard, 0, &["del", "a"], 0);
        assert!(!shard.is_as_of(cut, 0, KEYS));
    }

    #[test]
    fn what_changes_everything_changes_every_key() {
        let cuts = Cuts::default();
        let mut shard = shard(&cuts);
        shard.is_as_of(cuts.take(), 0, KEYS);
        let cut = cuts.take();
        assert!(shard.is_as_of(cut, 0, KEYS));
        shard.forget(0..1, 0, false);
        assert!(!shard.is_as_of(cut, 0, KEYS));
        let cut = cuts.take();
        assert!(shard.is_as_of(cut, 0, KEYS));
        shard.swap_databases(0, 1, 0);
        assert!(!shard.is_as_of(cut, 0, KEYS));
    }

    #[test]
    fn the_table_goes_when_nobody_asks_and_comes_again() {
        let cuts = Cuts::default();
        let mut shard = shard(&cuts);
        shard.is_as_of(cuts.take(), 0, KEYS);
        for second in 1..=10 {
            run(&mut shard, 0, &["set", "a", "1"], second * 1000);
            let is_there = second <= i64::from(IDLE_SECONDS_MAX);
            assert_eq!(shard.watches.changes.is_some(), is_there, "after {second} s");
        }
        assert!(!shard.watches.is_attentive);
        let cut = cuts.take();
        run(&mut shard, 0, &["set", "a", "2"], 10_000);
        assert!(!shard.is_as_of(cut, 0, KEYS), "not noted");
        assert!(shard.is_as_of(cuts.take(), 0, KEYS));
    }
}
