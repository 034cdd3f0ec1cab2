//! What has been removed and is not freed yet: freed piece by piece, so that nobody waits.
//!
//! A piece is never more than one segment with its entries, one node of a tree, or what a type
//! calls small. Every piece is freed once; dropping the trash frees all of it. Counts what Redis
//! calls lazily freed objects: values, and the keys of databases.

use super::{
    entry::EntryPtr,
    group::{Group, Remains},
    table::Table,
};
use crate::types::Object;

/// Which removals leave the freeing of big values for later; Redis' `lazyfree-lazy-*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LazyFree {
    /// Evictions.
    pub eviction: bool,
    /// Expiry.
    pub expire: bool,
    /// What commands overwrite or remove besides what they are for.
    pub server_del: bool,
    /// DEL.
    pub user_del: bool,
    /// FLUSHALL and FLUSHDB that do not say which.
    pub user_flush: bool,
}

/// A part of a value that can be freed bit by bit.
pub trait Shed: Send {
    /// Frees a bounded part; false when nothing is left.
    fn shed(&mut self) -> bool;
}

enum Piece {
    Object(Object),
    Part(Box<dyn Shed>),
    /// A table; true when its entries are keys, which count.
    Remains(Remains, bool),
    Groups(Vec<Group>),
    /// All parts of a value are freed.
    End,
}

/// Removed values and databases.
#[derive(Default)]
pub struct Trash {
    /// The next is the last.
    pieces: Vec<Piece>,
    pending: u64,
    freed: u64,
}

impl Trash {
    /// True when there is nothing to free.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Values and keys that are still to be freed.
    pub fn pending(&self) -> u64 {
        self.pending
    }

    /// Values and keys freed so far.
    pub fn freed(&self) -> u64 {
        self.freed
    }

    /// Takes a value.
    pub(super) fn add_object(&mut self, object: Object) {
        self.pending += 1;
        self.pieces.push(Piece::Object(object));
    }

    /// Takes the tables of a database.
    pub(super) fn add_groups(&mut self, groups: Vec<Group>) {
        self.pending += groups.iter().map(|group| group.len() as u64).sum::<u64>();
        self.pieces.push(Piece::Groups(groups));
    }

    /// Takes a table that is part of the value being taken apart.
    pub fn table(&mut self, table: Table) {
        self.pieces.push(Piece::Remains(table.into_group().into_remains(), false));
    }

    /// Takes another part of it.
    pub fn part(&mut self, part: Box<dyn Shed>) {
        self.pieces.push(Piece::Part(part));
    }

    /// Frees a piece; false when there is none.
    pub fn free_piece(&mut self) -> bool {
        match self.pieces.pop() {
            None => return false,
            Some(Piece::End) => self.count(1),
            Some(Piece::Object(object)) => {
                self.pieces.push(Piece::End);
                object.dismantle(self);
            }
            Some(Piece::Part(mut part)) => {
                if part.shed() {
                    self.pieces.push(Piece::Part(part));
                }
            }
            Some(Piece::Groups(mut groups)) => {
                if let Some(group) = groups.pop() {
                    self.pieces.push(Piece::Groups(groups));
                    self.pieces.push(Piece::Remains(group.into_remains(), true));
                }
            }
            Some(Piece::Remains(mut remains, are_keys)) => {
                let mut objects = Vec::new();
                let entries = remains.shed(&mut |entry| objects.extend(hollow(entry)));
                if !remains.is_empty() {
                    self.pieces.push(Piece::Remains(remains, are_keys));
                }
                // Big values of the entries are not freed with them.
                objects.into_iter().for_each(|object| self.add_object(object));
                if are_keys {
                    self.count(entries);
                }
            }
        }
        true
    }

    fn count(&mut self, freed: usize) {
        self.freed += freed as u64;
        self.pending -= freed as u64;
    }
}

/// Takes a value that is worth being freed in pieces out of its entry, which stays whole, with an
/// empty value in its place.
pub(super) fn hollow(entry: EntryPtr) -> Option<Object> {
    let object = entry.object_mut()?;
    object.is_laborious().then(|| std::mem::replace(object, Object::nothing()))
}
