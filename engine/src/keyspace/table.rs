//! A table of texts with values, for big collections: a database's machinery on a small scale.
//!
//! The same extendible hash table of small segments, the same entries (with room for a deadline
//! each), the same scan guarantee and stamps as databases have; no operation moves the entries of
//! more than one segment. Owns its entries. Knows no type: what values mean is the owner's.

use super::{
    cursor::point_of,
    entry::{EntryPtr, Meta, NewValue},
    group::{Group, Place},
    key::{Key, KeyHasher},
    value::Str,
    view::Entry,
    walk::TableWalk,
};
use crate::types::Form;

/// An entry of a table by its address; good until the entry is removed or gets a value of another
/// length or deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handle(u64);

impl Handle {
    /// The entry's text.
    ///
    /// # Safety
    /// The entry lives during `'a`.
    #[inline]
    pub unsafe fn text<'a>(self) -> &'a [u8] {
        // SAFETY: the caller's promise.
        unsafe { EntryPtr::from_address(self.0) }.key()
    }
}

/// Texts with values.
pub struct Table {
    pub(super) group: Group,
    hasher: KeyHasher,
    entry_bytes: usize,
    /// The walk that is still to pass this table.
    pub(super) walk: Option<Box<TableWalk>>,
}

impl Table {
    /// An empty table. Tables whose `which` differs do not grow at the same moment.
    pub fn new(hasher: &KeyHasher, which: usize) -> Self {
        Self { group: Group::new(which % 256), hasher: hasher.clone(), entry_bytes: 0, walk: None }
    }

    /// An empty table with the hash of another.
    pub fn empty_like(other: &Table) -> Self {
        Self::new(&other.hasher, other.len())
    }

    pub(super) fn into_group(self) -> Group {
        self.group
    }

    /// The handle of a text's entry.
    pub fn handle(&self, text: &[u8]) -> Option<Handle> {
        self.group.find(self.key(text)).map(|place| Handle(place.entry().address()))
    }

    /// Number of entries.
    #[inline]
    pub fn len(&self) -> usize {
        self.group.len()
    }

    /// True when there is none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory besides `self`; constant time.
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        self.group.memory_bytes() + self.entry_bytes
    }

    #[inline]
    fn key<'k>(&self, text: &'k [u8]) -> Key<'k> {
        // The slot plays no part in a single group.
        Key { bytes: text, hash: self.hasher.hash(text), slot: 0 }
    }

    /// The entry of a text.
    #[inline]
    pub fn get(&self, text: &[u8]) -> Option<Entry<'_>> {
        // SAFETY: the entry is in the table, which is borrowed as long as the result.
        self.group.find(self.key(text)).map(|place| unsafe { Entry::new(place.entry()) })
    }

    /// Puts a text with a value in, or gives it another value; true when it is new. A deadline
    /// that was there is gone.
    #[inline]
    pub fn set(&mut self, text: &[u8], value: Str<'_>) -> bool {
        let value = match value {
            Str::Int(n) => NewValue::Int(n),
            Str::Bytes(bytes) => NewValue::Bytes(Form::Text, bytes),
        };
        let meta = Meta { deadline: None, access: 0, raw: false, born: false };
        let key = self.key(text);
        match self.group.find(key) {
            Some(place) => {
                // SAFETY: `change` forgets the old address.
                self.change(place, |entry| unsafe { entry.overwrite(value, meta) });
                false
            }
            None => {
                let entry = EntryPtr::create(text, value, meta);
                self.entry_bytes += entry.memory_bytes();
                self.group.insert(key.hash, entry, 0, &self.hasher);
                true
            }
        }
    }

    /// Sets or removes the deadline (Unix time, ms) of a text; false when it is not there.
    pub fn set_deadline(&mut self, text: &[u8], at_ms: Option<i64>) -> bool {
        let Some(place) = self.group.find(self.key(text)) else { return false };
        // SAFETY: `change` forgets the old address.
        self.change(place, |entry| unsafe { entry.set_deadline(at_ms) });
        true
    }

    #[inline]
    fn change(&mut self, place: Place, edit: impl FnOnce(EntryPtr) -> EntryPtr) {
        self.preserve(place);
        let entry = place.entry();
        let bytes = entry.memory_bytes();
        let moved = edit(entry);
        if moved != entry {
            place.segment.relocate(place.spot, moved);
        }
        self.entry_bytes = self.entry_bytes - bytes + moved.memory_bytes();
    }

    /// The entry at a place is about to change or to go: a walk may have to give it out before.
    #[inline]
    fn preserve(&mut self, place: Place) {
        if self.walk.is_some() {
            self.give_out(place);
        }
    }

    /// Removes a text; false when it was not there.
    pub fn remove(&mut self, text: &[u8]) -> bool {
        let key = self.key(text);
        let Some(place) = self.group.find(key) else { return false };
        self.preserve(place);
        let entry = self.group.remove(key.hash, place, &self.hasher);
        self.entry_bytes -= entry.memory_bytes();
        // SAFETY: the table has forgotten the entry.
        unsafe { entry.free() };
        true
    }

    /// A random entry, each equally likely; None when there is none.
    pub fn random(&self, random: &mut impl FnMut() -> u64) -> Option<Entry<'_>> {
        // SAFETY: the entry is in the table, which is borrowed as long as the result.
        self.group.random(random).map(|entry| unsafe { Entry::new(entry) })
    }

    /// Emits the entries of whole home buckets from `cursor` on until at least `min_entries` were
    /// emitted or `buckets` buckets visited; the next cursor, 0 at the end. The guarantee is
    /// SCAN's (`cursor.rs`).
    pub fn scan<'a>(
        &'a self,
        cursor: u64,
        min_entries: usize,
        buckets: usize,
        emit: &mut dyn FnMut(Entry<'a>),
    ) -> u64 {
        let mut point = point_of(cursor);
        let mut emitted = 0;
        for _ in 0..buckets.max(1) {
            let next = self.group.scan_home(point, &mut |entry| {
                emitted += 1;
                // SAFETY: the entry is in the table, which is borrowed as long as what is emitted.
                emit(unsafe { Entry::new(entry) });
            });
            match next {
                None => return 0,
                Some(behind) => point = behind,
            }
            if emitted >= min_entries.max(1) {
                break;
            }
        }
        point
    }

    /// Every entry, in no order.
    pub fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        // SAFETY: the entries are in the table, which is borrowed as long as the iterator.
        self.group.entries().map(|entry| unsafe { Entry::new(entry) })
    }

    /// Panics when an invariant does not hold; reads everything.
    #[cfg(any(test, debug_assertions))]
    pub fn check(&self) {
        self.group.check(&self.hasher);
        let bytes: usize = self.group.entries().map(EntryPtr::memory_bytes).sum();
        assert_eq!(bytes, self.entry_bytes);
    }
}

impl Clone for Table {
    fn clone(&self) -> Self {
        let mut copy = Self::new(&self.hasher, self.len());
        for entry in self.iter() {
            copy.set(entry.key(), entry.value());
            if entry.deadline().is_some() {
                copy.set_deadline(entry.key(), entry.deadline());
            }
        }
        copy
    }
}
