//! Taking entries out of a database, and where their memory goes.
//!
//! A removed entry is freed at once, unless the database has been lent a [`Trash`]: then a value
//! that takes long to free goes there, out of an entry that stays whole until it is freed, so
//! whoever removes or overwrites entries need not know. Accounted bytes are true either way.

use super::{Database, EntryPtr, Key, OwnedEntry, Place};
use crate::keyspace::{
    group::Group,
    trash::{Trash, hollow},
};

impl Database {
    /// Takes the entry at a place out, behind [`Database::spare`] or [`Database::preserve`]; the caller
    /// frees it.
    pub(super) fn detach(&mut self, group: usize, hash: u64, place: Place) -> EntryPtr {
        self.note_gone(place);
        let group = &mut self.groups[group];
        let before = group.memory_bytes();
        let entry = group.remove(hash, place, &self.hasher);
        self.table_bytes = self.table_bytes - before + group.memory_bytes();
        self.entry_bytes -= entry.memory_bytes();
        self.keys -= 1;
        self.with_deadline -= usize::from(entry.deadline().is_some());
        entry
    }

    /// Removes a key; false when there was none.
    pub fn remove(&mut self, key: Key<'_>) -> bool {
        let Some(place) = self.find(key) else { return false };
        self.spare(usize::from(key.group()), place);
        let entry = self.detach(usize::from(key.group()), key.hash, place);
        // SAFETY: the table has forgotten the entry.
        unsafe { entry.free() };
        self.tidy_deadlines();
        true
    }

    /// Takes an entry out.
    pub fn take(&mut self, key: Key<'_>) -> Option<OwnedEntry> {
        let place = self.find(key)?;
        if self.watch.is_some() {
            self.signal(key);
        }
        self.preserve(usize::from(key.group()), place);
        let entry = self.detach(usize::from(key.group()), key.hash, place);
        // SAFETY: the table has forgotten the entry.
        Some(unsafe { OwnedEntry::dissolve(entry) })
    }

    /// Big values that are removed from now on go to the trash.
    pub(in crate::keyspace) fn lend(&mut self, trash: Trash) {
        self.trash = Some(trash);
    }

    /// Values are freed at once again; the trash that was lent.
    pub(in crate::keyspace) fn give_back(&mut self) -> Option<Trash> {
        self.trash.take()
    }

    /// The tables alone, to be freed; what else there is is small.
    pub(in crate::keyspace) fn into_groups(self) -> Vec<Group> {
        self.groups
    }

    /// The entry at a place is about to change or to go: a walk may have to give it out before.
    #[inline]
    pub(super) fn preserve(&mut self, group: usize, place: Place) {
        if self.round.is_some() {
            self.give_out(group, place);
        }
    }

    /// The entry at a place is about to be freed or overwritten: a walk may have to give it out
    /// before, and its value is saved from being freed now if it is worth it.
    #[inline]
    pub(super) fn spare(&mut self, group: usize, place: Place) {
        if self.round.is_some() | self.trash.is_some() | self.watch.is_some() {
            self.spare_attended(group, place);
        }
    }

    #[cold]
    #[inline(never)]
    fn spare_attended(&mut self, group: usize, place: Place) {
        let entry = place.entry();
        if self.watch.is_some() {
            self.signal_going(entry);
        }
        if self.round.is_some() {
            self.give_out(group, place);
            if self.rescue(entry) {
                return;
            }
        }
        if self.trash.is_none() {
            return;
        }
        let before = entry.memory_bytes();
        let Some(object) = hollow(entry) else { return };
        self.entry_bytes = self.entry_bytes - before + entry.memory_bytes();
        if let Some(trash) = self.trash.as_mut() {
            trash.add_object(object);
        }
    }
}
