//! What eviction asks of a database: some keys to choose from, and the removal of one.
//!
//! A key on its way to be chosen is a [`Sampled`]: where it is and what its choice hangs on, but
//! not its name; a key that has gone meanwhile is simply not found again. Knows no
//! policy: who samples, judges.

use super::Database;
use crate::keyspace::{deadlines::Reference, view::Entry};

/// A key that may be evicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampled {
    group: u8,
    hash: u64,
}

/// References drawn at a time where few keys have a deadline: a draw passes over the index.
const DRAWN: usize = 64;

impl Database {
    /// Emits about `count` keys of a random place.
    pub fn sample(
        &self,
        random: &mut impl FnMut() -> u64,
        count: usize,
        emit: &mut dyn FnMut(Entry<'_>, &dyn Fn() -> Sampled),
    ) {
        if self.keys == 0 {
            return;
        }
        let mut nth = ((u128::from(random()) * self.keys as u128) >> 64) as usize;
        let group = self.groups.iter().position(|group| {
            let here = nth < group.len();
            if !here {
                nth -= group.len();
            }
            here
        });
        let Some(group) = group else { return };
        self.groups[group].sample(random, count, &mut |entry| {
            let name = || Sampled { group: group as u8, hash: self.hasher.hash(entry.key()) };
            // SAFETY: the entry is in the table, which is borrowed during the call.
            emit(unsafe { Entry::new(entry) }, &name);
        });
    }

    /// Emits about `count` random keys that have a deadline. `drawn` keeps what one pass over
    /// the deadline index has found beyond that; the caller keeps it for this database.
    pub fn sample_with_deadline(
        &self,
        random: &mut impl FnMut() -> u64,
        count: usize,
        drawn: &mut Vec<Sampled>,
        emit: &mut dyn FnMut(Entry<'_>, &dyn Fn() -> Sampled),
    ) {
        if self.with_deadline == 0 {
            return;
        }
        if self.with_deadline >= self.keys / 2 {
            // Most keys will do: look at twice as many.
            self.sample(random, 2 * count, &mut |entry, name| {
                if entry.deadline().is_some() {
                    emit(entry, name);
                }
            });
            return;
        }
        if drawn.is_empty() {
            let references = self.deadlines.draw(random, DRAWN.max(count));
            drawn.extend(
                references.iter().map(|r| Sampled { group: r.group() as u8, hash: r.hash() }),
            );
        }
        for sampled in drawn.drain(drawn.len().saturating_sub(count)..) {
            self.look(Reference::new(sampled.group, sampled.hash), emit);
        }
    }

    /// Emits the keys with a deadline that a reference means.
    fn look(&self, reference: Reference, emit: &mut dyn FnMut(Entry<'_>, &dyn Fn() -> Sampled)) {
        let Some(group) = self.groups.get(reference.group()) else { return };
        group.find_where(reference.hash(), |entry| {
            let hash = self.hasher.hash(entry.key());
            if entry.deadline().is_some() && reference.is_to(hash) {
                let name = || Sampled { group: reference.group() as u8, hash };
                // SAFETY: the entry is in the table, which is borrowed during the call.
                emit(unsafe { Entry::new(entry) }, &name);
            }
            false
        });
    }

    /// Emits `count` of the keys that have least time to live, more or less: the first of the
    /// deadline index, which is coarse for times far away.
    pub fn sample_ending(
        &mut self,
        count: usize,
        emit: &mut dyn FnMut(Entry<'_>, &dyn Fn() -> Sampled),
    ) {
        let mut seen = Vec::with_capacity(count);
        // Stale references are dropped on the way: each is met once.
        while seen.len() < count {
            let Some(reference) = self.deadlines.pop_earliest() else { break };
            let mut earliest: Option<i64> = None;
            self.look(reference, &mut |entry, name| {
                let at = entry.deadline().unwrap_or(i64::MAX);
                earliest = Some(earliest.map_or(at, |other| other.min(at)));
                emit(entry, name);
            });
            seen.extend(earliest.map(|at| (reference, at)));
        }
        for (reference, at_ms) in seen {
            self.deadlines.file(reference, at_ms);
        }
    }

    /// Removes a key that was sampled, if `still` says yes to it; `emit` sees it and its hash
    /// before it is freed. The bytes it held, None when nothing was removed.
    pub fn evict(
        &mut self,
        sampled: Sampled,
        still: impl Fn(Entry<'_>) -> bool,
        emit: &mut dyn FnMut(&[u8], u64),
    ) -> Option<usize> {
        let Sampled { group, hash } = sampled;
        let place = self.groups.get(usize::from(group))?.find_where(hash, |entry| {
            // SAFETY: the entry is in the table, which is borrowed during the call.
            self.hasher.hash(entry.key()) == hash && still(unsafe { Entry::new(entry) })
        })?;
        let bytes = place.entry().memory_bytes();
        self.spare(usize::from(group), place);
        let entry = self.detach(usize::from(group), hash, place);
        emit(entry.key(), hash);
        // SAFETY: the table has forgotten the entry.
        unsafe { entry.free() };
        self.tidy_deadlines();
        Some(bytes)
    }
}
