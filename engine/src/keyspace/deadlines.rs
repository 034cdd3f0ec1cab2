//! When to look at which keys for expiry: an index of hints, not of truths.
//!
//! A reference is 8 bytes, slot group and 56 bits of the hash, filed under a time at which the
//! key must be looked at. **For every key with a deadline there is a reference filed no later
//! than [`GRAIN_MS`] after the deadline.** Nothing is removed when a key or its deadline goes,
//! and nothing is added when a deadline moves further away: a reference whose time has come is
//! resolved against the table, which drops it, files it again, or finds a key that is due.
//!
//! Slots are coarse when far away, a 128th to a 64th of the distance, rounded down; within 8 s
//! they are [`GRAIN_MS`] wide, rounded up, so that everything in them is due when they are
//! opened. Hence there are at most some 2,000 slots, and a reference is looked at four or five
//! times in its life.
//!
//! When too many references are stale the index is made again beside the old one, by a walk
//! over the table in small steps; the walk's guarantee is SCAN's, so at its end the old index,
//! whatever is still in it, can be dropped. Knows no entries: the database resolves.

use super::key::Key;
use std::collections::BTreeMap;

/// Width of the finest slots, ms: no key is noticed later than this after its deadline.
pub(super) const GRAIN_MS: i64 = 128;
/// Stale references there may always be.
const SLACK: usize = 1024;

/// From here on a slot grows by an eighth, references.
const GENTLE_GROWTH: usize = 4096;

type Slots = BTreeMap<i64, Vec<u64>>;

/// The index of one database.
#[derive(Default)]
pub(super) struct Deadlines {
    slots: Slots,
    /// What the walk is replacing.
    old: Slots,
    /// Where the walk is, a scan cursor.
    walk: Option<u64>,
    /// References in both.
    references: usize,
    /// The last time heard of, Unix time, ms.
    now_ms: i64,
    /// Bytes of the vectors' buffers.
    bytes: usize,
}

/// What the index keeps of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Reference(u64);

impl Reference {
    #[inline]
    pub(super) fn new(group: u8, hash: u64) -> Self {
        Self(u64::from(group) << 56 | hash >> 8)
    }

    #[inline]
    pub(super) fn of(key: Key<'_>) -> Self {
        Self::new(key.group(), key.hash)
    }

    pub(super) fn group(self) -> usize {
        (self.0 >> 56) as usize
    }

    /// The hash without its last 8 bits.
    pub(super) fn hash(self) -> u64 {
        self.0 << 8
    }

    /// True when the reference is to this hash.
    pub(super) fn is_to(self, hash: u64) -> bool {
        hash >> 8 == self.0 & (u64::MAX >> 8)
    }
}

impl Deadlines {
    /// The slot for a deadline, seen from `now_ms`.
    fn slot(&self, at_ms: i64) -> i64 {
        let distance = at_ms.saturating_sub(self.now_ms);
        if distance < 64 * GRAIN_MS {
            return at_ms.saturating_add(GRAIN_MS) & !(GRAIN_MS - 1);
        }
        let width = 1i64 << (distance.ilog2() - 6);
        at_ms & !(width - 1)
    }

    /// Files a reference to a key that has this deadline.
    pub(super) fn file(&mut self, reference: Reference, at_ms: i64) {
        let slot = self.slots.entry(self.slot(at_ms)).or_default();
        // A key that is referred to twice is often looked at twice in a row.
        if slot.last() == Some(&reference.0) {
            return;
        }
        let before = slot.capacity();
        if slot.len() == before && before >= GENTLE_GROWTH {
            // Not doubled: one key's deadline must not take megabytes at once.
            slot.reserve_exact(before / 8);
        }
        slot.push(reference.0);
        self.bytes += (slot.capacity() - before) * size_of::<u64>();
        self.references += 1;
    }

    /// Tells the time.
    pub(super) fn set_now(&mut self, now_ms: i64) {
        self.now_ms = now_ms;
    }

    /// The last time heard of.
    pub(super) fn now_ms(&self) -> i64 {
        self.now_ms
    }

    /// Takes a reference whose time has come.
    pub(super) fn pop(&mut self) -> Option<Reference> {
        for slots in [&mut self.old, &mut self.slots] {
            while let Some(mut first) = slots.first_entry() {
                if *first.key() > self.now_ms {
                    break;
                }
                if let Some(reference) = first.get_mut().pop() {
                    self.references -= 1;
                    return Some(Reference(reference));
                }
                self.bytes -= first.remove().capacity() * size_of::<u64>();
            }
        }
        None
    }

    /// Mean distance of what is filed from `now_ms`, ms; what lies in the past counts as now.
    /// Good to the width of the slots, and as far as references are not stale.
    pub(super) fn mean_distance_ms(&self, now_ms: i64) -> u64 {
        let (mut total, mut count) = (0u128, 0u128);
        for (at_ms, slot) in self.slots.iter().chain(&self.old) {
            let distance = at_ms.saturating_sub(now_ms).max(0) as u128;
            total += distance * slot.len() as u128;
            count += slot.len() as u128;
        }
        total.checked_div(count).unwrap_or(0) as u64
    }

    /// Takes a reference of the earliest slot, whether its time has come or not.
    pub(super) fn pop_earliest(&mut self) -> Option<Reference> {
        loop {
            let first = |slots: &Slots| slots.first_key_value().map_or(i64::MAX, |(at, _)| *at);
            let from_old = !self.old.is_empty() && first(&self.old) <= first(&self.slots);
            let slots = if from_old { &mut self.old } else { &mut self.slots };
            let mut slot = slots.first_entry()?;
            if let Some(reference) = slot.get_mut().pop() {
                self.references -= 1;
                return Some(Reference(reference));
            }
            self.bytes -= slot.remove().capacity() * size_of::<u64>();
        }
    }

    /// Up to `count` references, each drawn with the same probability (and perhaps twice), in
    /// one pass over the slots.
    pub(super) fn draw(&self, random: &mut impl FnMut() -> u64, count: usize) -> Vec<Reference> {
        if self.references == 0 {
            return Vec::new();
        }
        let mut nth: Vec<usize> = (0..count)
            .map(|_| ((u128::from(random()) * self.references as u128) >> 64) as usize)
            .collect();
        nth.sort_unstable();
        let mut drawn = Vec::with_capacity(count);
        let (mut wanted, mut before) = (nth.into_iter().peekable(), 0);
        for slot in self.slots.values().chain(self.old.values()) {
            while let Some(at) = wanted.next_if(|&at| at - before < slot.len()) {
                drawn.push(Reference(slot[at - before]));
            }
            if wanted.peek().is_none() {
                break;
            }
            before += slot.len();
        }
        drawn
    }

    /// When `pop` has something next, Unix time, ms.
    pub(super) fn next_ms(&self) -> Option<i64> {
        let first = |slots: &Slots| slots.first_key_value().map(|(at, _)| *at);
        [first(&self.slots), first(&self.old)].into_iter().flatten().min()
    }

    /// Bytes the index takes.
    pub(super) fn memory_bytes(&self) -> usize {
        // A tree node of 11 slots takes 368 bytes and is two thirds full.
        self.bytes + (self.slots.len() + self.old.len()) * 50
    }

    /// Where the walk that makes the index again stands; starts one when too much is stale, for
    /// `keys` keys of which `with_deadline` have one.
    ///
    /// A walk visits every key, so a share of them is allowed to be stale too.
    pub(super) fn walk(&mut self, with_deadline: usize, keys: usize) -> Option<u64> {
        if self.walk.is_none() && self.references > 3 * with_deadline + keys / 8 + SLACK {
            // ORDER: what is filed from now on goes into the new index; only then does the walk
            // read the table.
            self.old = std::mem::take(&mut self.slots);
            self.walk = Some(0);
        }
        self.walk
    }

    /// The walk has come to `cursor`; 0: to the end.
    pub(super) fn walked(&mut self, cursor: u64) {
        self.walk = (cursor != 0).then_some(cursor);
        if self.walk.is_none() {
            for slot in std::mem::take(&mut self.old).into_values() {
                self.references -= slot.len();
                self.bytes -= slot.capacity() * size_of::<u64>();
            }
        }
    }

    /// Every slot with its time, for checks.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn filed(&self) -> impl Iterator<Item = (i64, Reference)> {
        let both = self.slots.iter().chain(&self.old);
        both.flat_map(|(at, slot)| slot.iter().map(|r| (*at, Reference(*r))))
    }

    /// References filed, stale ones included.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn len(&self) -> usize {
        self.references
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_opens_no_later_than_a_grain_after_the_deadline() {
        let mut index = Deadlines::default();
        for now in [i64::MIN, -5_000, 0, 1_700_000_000_000, i64::MAX] {
            index.set_now(now);
            for at in [i64::MIN, -1, 0, 1, 127, 128, 1_700_000_000_123, i64::MAX - 1, i64::MAX] {
                let slot = index.slot(at);
                assert!(slot <= at.saturating_add(GRAIN_MS), "now {now} at {at} slot {slot}");
            }
        }
        index.set_now(1_000_000);
        for distance in 0..20_000_000 / 7 {
            let at = 1_000_000 + distance * 7;
            let slot = index.slot(at);
            assert!(slot <= at + GRAIN_MS);
            assert!(slot > 1_000_000, "a key that is not due is not looked at now");
            assert!(at - slot <= distance * 7 / 64, "coarse only when far");
        }
    }

    #[test]
    fn what_the_finest_slots_hold_is_due_when_they_open() {
        let mut index = Deadlines::default();
        index.set_now(1_000);
        for at in 1_000..1_000 + 64 * GRAIN_MS {
            assert!(index.slot(at) > at);
        }
    }
}
