//! How far scripts reach: whether their keys are those they have declared. Learned from their runs.
//!
//! A script that keeps to its KEYS (or to keys of their slots) runs on their shards alone. One that
//! does not may want another shard in the middle of its work, and once it has written it cannot be
//! run again. So one that has not written yet, as far as anybody knows, is begun again with all
//! shards where it would write first; and one that has been seen to reach further holds all of them
//! from its beginning, for ever. With few runs behind it each is looked at, then no longer.
//!
//! The table is a cache of one word per script: what falls out of it, or comes in between two cores,
//! is learned again. Where that is too late the script gets an error, once (`call.rs`).

use super::registry::Sha;
use quire_engine::slot::slot_of;
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::atomic::{AtomicU64, Ordering},
};

/// Words in the table.
const PLACES: usize = 4096;
/// Runs that are looked at.
const RUNS: u8 = 100;
/// The state of a script that needs all shards.
const FAR: u8 = 0xFF;
/// It has written with all shards at hand, and kept to its keys.
const HAS_WRITTEN: u8 = 0x80;

/// What is known of a script: in the lowest byte, below the script's own number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach(u64);

impl Reach {
    /// Of a script, before anything is known.
    fn of_script(sha: &Sha) -> Self {
        let word = sha.first_chunk().copied().map_or(0, u64::from_ne_bytes);
        Self(word & !0xFF)
    }

    /// Of a function in that generation of libraries.
    fn of_function(name: &[u8], generation: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        generation.hash(&mut hasher);
        name.to_ascii_lowercase().hash(&mut hasher);
        Self(hasher.finish() & !0xFF)
    }

    fn state(self) -> u8 {
        self.0 as u8
    }

    fn with(self, state: u8) -> Self {
        Self(self.0 & !0xFF | u64::from(state))
    }

    /// It needs all shards.
    pub fn is_far(self) -> bool {
        self.state() == FAR
    }
}

/// What is known of all scripts.
#[derive(Debug)]
pub struct Reaches {
    places: Box<[AtomicU64]>,
}

impl Default for Reaches {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Reaches {
    fn place(&self, reach: Reach) -> &AtomicU64 {
        &self.places[(reach.0 >> 8) as usize % PLACES]
    }

    fn known(&self, new: Reach) -> Reach {
        let word = self.place(new).load(Ordering::Relaxed);
        if word & !0xFF == new.0 { Reach(word) } else { new }
    }

    /// What is known of a script.
    pub fn of_script(&self, sha: &Sha) -> Reach {
        self.known(Reach::of_script(sha))
    }

    /// What is known of a function.
    pub fn of_function(&self, name: &[u8], generation: u64) -> Reach {
        self.known(Reach::of_function(name, generation))
    }

    fn note(&self, reach: Reach) {
        self.place(reach).store(reach.0, Ordering::Relaxed);
    }
}

/// What one run teaches.
#[derive(Debug)]
pub struct Lesson {
    reach: Reach,
    is_looked_at: bool,
    has_gone_far: bool,
    /// Slots of KEYS.
    slots: Vec<u16>,
}

impl Lesson {
    /// Of a run with these KEYS; without `looks` nothing is learned. With all shards at hand it may
    /// write although nobody has seen it do so. `slots` is memory to use.
    pub fn new<'k>(
        reach: Reach,
        looks: bool,
        holds_all: bool,
        keys: impl Iterator<Item = &'k [u8]>,
        mut slots: Vec<u16>,
    ) -> Self {
        let state = reach.state();
        let is_first = holds_all && state & HAS_WRITTEN == 0;
        let is_looked_at = looks && (is_first || state & !HAS_WRITTEN < RUNS);
        slots.clear();
        if is_looked_at {
            slots.extend(keys.map(slot_of));
        }
        Self { reach, is_looked_at, has_gone_far: false, slots }
    }

    /// A command of the script touches these keys.
    #[inline]
    pub fn touches<'k>(&mut self, mut keys: impl Iterator<Item = &'k [u8]>) {
        if self.is_open() {
            self.has_gone_far = keys.any(|key| !self.slots.contains(&slot_of(key)));
        }
    }

    /// True while the commands of the run are of interest.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.is_looked_at && !self.has_gone_far
    }

    /// It wants shards that KEYS do not name.
    pub fn goes_far(&mut self) {
        self.has_gone_far = true;
    }

    /// Nobody has seen it write and keep to its keys.
    pub fn may_go_far(&self) -> bool {
        self.reach.state() & HAS_WRITTEN == 0
    }

    /// The run is over: `is_whole` when it came to its end, `has_written` when it wrote. Gives the
    /// memory back.
    pub fn learn(self, reaches: &Reaches, is_whole: bool, has_written: bool) -> Vec<u16> {
        let state = self.reach.state();
        if self.has_gone_far {
            if state != FAR {
                reaches.note(self.reach.with(FAR));
            }
        } else if self.is_looked_at && is_whole {
            // With its first write the count begins anew.
            let next = match has_written && state & HAS_WRITTEN == 0 {
                true => HAS_WRITTEN | 1,
                false => state & HAS_WRITTEN | (state & !HAS_WRITTEN).saturating_add(1).min(RUNS),
            };
            reaches.note(self.reach.with(next));
        }
        self.slots
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(reaches: &Reaches, sha: &Sha, touched: &[&str], has_written: bool) -> bool {
        let reach = reaches.of_script(sha);
        let keys: [&[u8]; 2] = [b"a", b"{b}1"];
        let mut lesson = Lesson::new(reach, true, true, keys.into_iter(), Vec::new());
        lesson.touches(touched.iter().map(|key| key.as_bytes()));
        let may_go_far = lesson.may_go_far();
        lesson.learn(reaches, true, has_written);
        may_go_far
    }

    #[test]
    fn who_keeps_to_the_slots_of_its_keys_is_trusted_after_a_write() {
        let (reaches, sha) = (Reaches::default(), [1; 20]);
        assert!(run(&reaches, &sha, &["a"], false));
        assert!(run(&reaches, &sha, &["a", "{b}2"], true));
        for _ in 0..1000 {
            assert!(!run(&reaches, &sha, &["a"], true));
        }
        assert!(!reaches.of_script(&sha).is_far());
        let lesson =
            Lesson::new(reaches.of_script(&sha), true, true, std::iter::empty(), Vec::new());
        assert!(!lesson.is_looked_at, "it has been looked at often enough");
    }

    #[test]
    fn who_has_gone_far_once_is_remembered() {
        let (reaches, sha) = (Reaches::default(), [2; 20]);
        assert!(run(&reaches, &sha, &["a"], true));
        run(&reaches, &sha, &["a", "elsewhere"], true);
        assert!(reaches.of_script(&sha).is_far());
        run(&reaches, &sha, &["a"], true);
        assert!(reaches.of_script(&sha).is_far());
        assert!(!reaches.of_script(&[3; 20]).is_far());
    }

    #[test]
    fn a_script_that_only_reads_is_looked_at_a_while() {
        let (reaches, sha) = (Reaches::default(), [4; 20]);
        for _ in 0..1000 {
            assert!(run(&reaches, &sha, &["a"], false));
        }
        assert!(!reaches.of_script(&sha).is_far());
        assert!(run(&reaches, &sha, &["a"], true));
        assert!(!run(&reaches, &sha, &["a", "elsewhere"], true), "it writes: looked at again");
        assert!(reaches.of_script(&sha).is_far());
    }

    #[test]
    fn functions_are_told_apart_by_name_and_generation() {
        let reaches = Reaches::default();
        let reach = reaches.of_function(b"Work", 1);
        reaches.note(reach.with(FAR));
        assert!(reaches.of_function(b"wORK", 1).is_far());
        assert!(!reaches.of_function(b"work", 2).is_far());
    }
}
