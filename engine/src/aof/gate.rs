//! The read gate: which keys have values that recovery could still take back.
//!
//! Holds hashes of unsettled keys only, in two generations: the commit being gathered and the one
//! in flight. A command that touches such a key, found or not, waits for the last LSN its
//! generation had then. A collision of two hashes makes a reply wait for nothing; it never lets
//! one go. Under policies whose replies wait for the write alone nothing is gated; the hashes of
//! the commit being gathered are still listed, for the case that it cannot be written.

use super::Lsn;
use hashbrown::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

/// Sets above this are given back when emptied, entries.
const ENTRIES_KEPT: usize = 64 * 1024;

/// Key hashes are well mixed already.
#[derive(Default, Clone, Copy)]
pub struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Only u64 is ever hashed here; anything else must still be a valid hash.
        for &b in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(b);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Hashes of the keys of one commit.
#[derive(Default)]
struct Generation {
    keys: HashSet<u64, BuildHasherDefault<Identity>>,
    /// Keys not put into the set, because nothing is gated on them.
    listed: Vec<u64>,
}

impl Generation {
    fn clear(&mut self) {
        if self.keys.capacity() > ENTRIES_KEPT || self.listed.capacity() > ENTRIES_KEPT {
            *self = Self::default();
        }
        self.keys.clear();
        self.listed.clear();
    }

    fn absorb(&mut self, other: &mut Generation) {
        self.keys.extend(other.keys.drain());
        self.listed.append(&mut other.listed);
    }

    fn names(&self, hash: u64) -> bool {
        self.keys.contains(&hash) || self.listed.contains(&hash)
    }
}

/// Unsettled keys of one shard.
#[derive(Default)]
pub struct ReadGate {
    /// True while replies wait for the sync.
    gating: bool,
    /// Everything up to here counts as unsettled whatever its key: set when gating begins.
    floor: Lsn,
    gathering: Generation,
    flight: Generation,
    /// Last LSN of the flight generation; 0 when there is none.
    flight_last: Lsn,
    /// Keys the current batch looked up for writing.
    batch: Vec<u64>,
    gate: Lsn,
}

impl ReadGate {
    /// Forgets the previous command.
    #[inline]
    pub fn begin(&mut self) {
        self.gate = self.floor;
        self.batch.clear();
    }

    /// What the command's reply must wait for; 0: nothing.
    #[inline]
    pub fn gate(&self) -> Lsn {
        self.gate
    }

    /// A key was looked up. `last` is the last LSN given so far.
    #[inline]
    pub fn read(&mut self, hash: u64, last: Lsn) {
        if self.gating {
            self.raise(hash, last);
        }
    }

    #[inline]
    fn raise(&mut self, hash: u64, last: Lsn) {
        if !self.gathering.keys.is_empty() && self.gathering.keys.contains(&hash) {
            self.gate = self.gate.max(last);
        } else if !self.flight.keys.is_empty() && self.flight.keys.contains(&hash) {
            self.gate = self.gate.max(self.flight_last);
        }
    }

    /// A key was looked up by a command that may change it.
    #[inline]
    pub fn write(&mut self, hash: u64, last: Lsn) {
        self.read(hash, last);
        self.batch.push(hash);
    }

    /// The command looked at more than its keys.
    pub fn everything(&mut self, last: Lsn) {
        if self.gating {
            self.gate = self.gate.max(last);
        }
    }

    /// The batch is complete; with effects, its keys are unsettled now.
    #[inline]
    pub fn end(&mut self, with_effects: bool) {
        if with_effects {
            if self.gating {
                self.gathering.keys.extend(self.batch.drain(..));
            } else {
                self.gathering.listed.append(&mut self.batch);
            }
        }
    }

    /// The gathered commit is taken to be written; `last` is its last LSN.
    pub fn take(&mut self, last: Lsn) {
        if self.flight_last == 0 {
            std::mem::swap(&mut self.gathering, &mut self.flight);
        } else {
            // Written but not settled: one generation more. Its keys wait a little too long.
            self.flight.absorb(&mut self.gathering);
        }
        self.flight_last = last;
        self.gathering.clear();
    }

    /// Everything up to `settled` will survive recovery.
    #[inline]
    pub fn settle(&mut self, settled: Lsn) {
        if self.flight_last != 0 && self.flight_last <= settled {
            self.flight.clear();
            self.flight_last = 0;
        }
        if self.floor <= settled {
            self.floor = 0;
        }
    }

    /// Replies wait for the sync from now on, or no longer. `last` is the last LSN given so far.
    pub fn set_gating(&mut self, gating: bool, last: Lsn) {
        if gating && !self.gating {
            // ORDER: earlier keys were only listed; until all of them are settled every command
            // waits for all of them.
            self.floor = last;
        }
        if !gating {
            self.floor = 0;
        }
        self.gating = gating;
    }

    /// True when the key has a value that may not have reached the disk.
    pub fn unsettled(&self, hash: u64) -> bool {
        self.gathering.names(hash) || self.flight.names(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate_of_read(gate: &mut ReadGate, hash: u64, last: Lsn) -> Lsn {
        gate.begin();
        gate.read(hash, last);
        gate.end(false);
        gate.gate()
    }

    fn write(gate: &mut ReadGate, hash: u64) {
        gate.begin();
        gate.write(hash, 0);
        gate.end(true);
    }

    #[test]
    fn a_reader_waits_for_the_generation_its_key_is_in() {
        let mut gate = ReadGate::default();
        gate.set_gating(true, 0);
        write(&mut gate, 10);
        assert_eq!(gate_of_read(&mut gate, 10, 3), 3);
        assert_eq!(gate_of_read(&mut gate, 11, 3), 0);
        gate.take(5);
        write(&mut gate, 20);
        assert_eq!(gate_of_read(&mut gate, 10, 9), 5, "in flight");
        assert_eq!(gate_of_read(&mut gate, 20, 9), 9, "gathered");
        gate.settle(4);
        assert_eq!(gate_of_read(&mut gate, 10, 9), 5);
        gate.settle(5);
        assert_eq!(gate_of_read(&mut gate, 10, 9), 0);
        assert_eq!(gate_of_read(&mut gate, 20, 9), 9);
    }

    #[test]
    fn a_write_without_effect_waits_but_unsettles_nothing() {
        let mut gate = ReadGate::default();
        gate.set_gating(true, 0);
        write(&mut gate, 10);
        gate.begin();
        gate.write(10, 1);
        gate.write(11, 1);
        gate.end(false);
        assert_eq!(gate.gate(), 1);
        assert_eq!(gate_of_read(&mut gate, 11, 1), 0);
    }

    #[test]
    fn a_commit_taken_before_the_last_settled_keeps_both_gated() {
        let mut gate = ReadGate::default();
        gate.set_gating(true, 0);
        write(&mut gate, 10);
        gate.take(1);
        write(&mut gate, 20);
        gate.take(2);
        gate.settle(1);
        assert_eq!(gate_of_read(&mut gate, 10, 2), 2);
        assert_eq!(gate_of_read(&mut gate, 20, 2), 2);
        gate.settle(2);
        assert!(!gate.unsettled(10) && !gate.unsettled(20));
    }

    #[test]
    fn gating_begins_with_everything_unsettled_so_far() {
        let mut gate = ReadGate::default();
        write(&mut gate, 10);
        assert_eq!(gate_of_read(&mut gate, 10, 7), 0, "not gated yet");
        assert!(gate.unsettled(10), "but known, should the log fail");
        gate.set_gating(true, 7);
        assert_eq!(gate_of_read(&mut gate, 99, 7), 7);
        gate.settle(7);
        assert_eq!(gate_of_read(&mut gate, 99, 7), 0);
    }
}
