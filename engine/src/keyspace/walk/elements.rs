//! A big value's part in a walk: its elements given out one by one, or node by node.
//!
//! A list is frozen: what the walk gives out is a copy that shares its nodes with the list, until
//! somebody changes those.
//!
//! A table is a group like a database's: its cut moves its stamp on, elements that are about to
//! change or to go are given out first, new ones are out. So each element that the table had when
//! its walk began is given out once, as it was then.

use super::Visit;
use crate::{
    keyspace::{changes::Sieve, group::Place, table::Table, view::Entry},
    types::{list::Frozen, packed::Packed},
};

/// Takes the elements of one big value, each once; those of a table in no order.
pub trait Elements: Send {
    /// The walk has come to the value, and stays with it while it can.
    fn attend(&mut self);
    /// An element: text and value as the type keeps them in its table.
    fn element(&mut self, element: Entry<'_>);
    /// The next node of a list, from the left.
    fn node(&mut self, node: Packed<'_>);
    /// There are no more.
    fn finish(self: Box<Self>);
}

/// What a table knows of the walk that is to pass it.
pub(in crate::keyspace) struct TableWalk {
    /// All points before this one have been passed.
    point: u64,
    to: Box<dyn Elements>,
}

/// A list on its way.
pub(super) struct FrozenList {
    /// What is left of it.
    pub(super) rest: Frozen,
    /// Who takes it.
    pub(super) to: Box<dyn Elements>,
}

impl FrozenList {
    /// Gives out nodes until `goes_on`, told their bytes, says false (then what is left).
    pub(super) fn walk_on(mut self, goes_on: &mut dyn FnMut(usize) -> bool) -> Option<Self> {
        self.to.attend();
        loop {
            let Some(bytes) = self.rest.next(&mut |node| self.to.node(node)) else {
                self.to.finish();
                return None;
            };
            if !goes_on(bytes) {
                return Some(self);
            }
        }
    }
}

impl Table {
    /// From now on, and until [`Table::walk_on`] says that it has come to the end, every entry there
    /// is now is given to `to`.
    pub(super) fn begin_walk(&mut self, to: Box<dyn Elements>) {
        self.group.cut(0);
        self.walk = Some(Box::new(TableWalk { point: 0, to }));
    }

    /// True until all entries are out.
    pub(in crate::keyspace) fn is_walking(&self) -> bool {
        self.walk.is_some()
    }

    /// Gives out entries until `goes_on`, told their bytes, says false; true when all are out.
    pub(super) fn walk_on(&mut self, goes_on: &mut dyn FnMut(usize) -> bool) -> bool {
        let Some(mut walk) = self.walk.take() else { return true };
        walk.to.attend();
        loop {
            let mut stops = false;
            let visit = self.group.visit(walk.point, Sieve::ALL, &mut |entry| {
                // SAFETY: the entry is in the table and does not change during the call.
                walk.to.element(unsafe { Entry::new(entry) });
                stops = !goes_on(entry.memory_bytes());
                !stops
            });
            match visit {
                Visit::End => {
                    self.group.all_out();
                    walk.to.finish();
                    return true;
                }
                Visit::Passed(behind) => walk.point = behind,
                Visit::Stopped => {}
            }
            if stops || !goes_on(0) {
                self.walk = Some(walk);
                return false;
            }
        }
    }

    /// Gives the walk up.
    pub(super) fn give_up_walk(&mut self) {
        self.walk = None;
    }

    /// Gives out the entry at a place if it is not out: it is about to change or to go.
    #[cold]
    #[inline(never)]
    pub(in crate::keyspace) fn give_out(&mut self, place: Place) {
        if let Some(walk) = &mut self.walk
            && place.segment.word(place.spot).stamp() != self.group.stamp()
        {
            // SAFETY: the entry is in the table and does not change during the call.
            walk.to.element(unsafe { Entry::new(place.entry()) });
            place.segment.stamp(place.spot, self.group.stamp());
        }
    }
}
