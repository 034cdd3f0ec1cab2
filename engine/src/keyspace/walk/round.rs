//! A database's part in a walk: entries given out in order, or when they are about to change.

use super::{Copyist, Emit, Given, Visit, elements::FrozenList};
use crate::{
    keyspace::{
        changes::Sieve,
        cursor::{point_of, scan_group, scan_start},
        database::Database,
        entry::EntryPtr,
        group::Place,
        key::Key,
        table::Table,
        value::Value,
        view::Entry,
    },
    types::{ListRef, Object, View, list::Frozen},
};

/// Values with fewer elements are given out whole; tests have few.
const ELEMENTS_MIN: usize = if cfg!(test) { 12 } else { 256 };

/// The same of lists and their nodes.
const NODES_MIN: usize = if cfg!(test) { 2 } else { 4 };

/// What a database knows of the walk that is under way.
pub(in crate::keyspace) struct Round {
    /// Its number at the cut.
    db: usize,
    /// All points before this one have been passed; a scan cursor.
    cursor: u64,
    is_passed: bool,
    sieve: Sieve,
    /// None if the database had no key at the cut.
    copyist: Option<Box<dyn Copyist>>,
    copied: u64,
    /// Keys whose values are unfinished, or were when they had that name.
    unfinished: Vec<Box<[u8]>>,
    /// Unfinished values that have been removed or overwritten.
    orphans: Vec<Object>,
    /// Orphans that are out.
    freed: Vec<Object>,
    /// Lists as they were.
    lists: Vec<FrozenList>,
}

/// The table of a value that is given out element by element.
fn big<'a>(entry: EntryPtr) -> Option<&'a mut Table> {
    let table = entry.object_mut()?.table_mut()?;
    (table.len() >= ELEMENTS_MIN).then_some(table)
}

/// A list that is given out node by node.
fn long(entry: EntryPtr) -> Option<Frozen> {
    let Value::Object(_) = entry.content() else { return None };
    match ListRef::of(entry.content()) {
        Some(ListRef::Big(deque)) if deque.nodes_len() >= NODES_MIN => Some(deque.freeze()),
        _ => None,
    }
}

/// The table of an unfinished value.
fn unfinished<'a>(entry: EntryPtr) -> Option<&'a mut Table> {
    entry.object_mut()?.table_mut().filter(|table| table.is_walking())
}

impl Round {
    /// Gives a big value's entry out, if it is one.
    fn begin(&mut self, group: usize, entry: EntryPtr) -> bool {
        let Some(copyist) = &mut self.copyist else { return false };
        // SAFETY: the entry lives and does not change during the call.
        let mut begin = || copyist.begin(group, unsafe { Entry::new(entry) });
        if let Some(rest) = long(entry) {
            self.lists.push(FrozenList { rest, to: begin() });
            return true;
        }
        if big(entry).is_none() {
            return false;
        }
        let to = begin();
        if let Some(table) = big(entry) {
            table.begin_walk(to);
        }
        self.unfinished.push(entry.key().into());
        true
    }
}

impl Database {
    /// The cut. A database without keys has no copyist.
    pub(super) fn begin_round(
        &mut self,
        db: usize,
        sieve: Sieve,
        copyist: Option<Box<dyn Copyist>>,
    ) {
        let is_passed = copyist.is_none();
        if !is_passed {
            self.groups.iter_mut().enumerate().for_each(|(index, group)| group.cut(index));
        }
        self.round = Some(Box::new(Round {
            db,
            cursor: 0,
            is_passed,
            sieve,
            copyist,
            copied: 0,
            unfinished: Vec::new(),
            orphans: Vec::new(),
            freed: Vec::new(),
            lists: Vec::new(),
        }));
    }

    /// A database that is new since the cut: unfinished values may come to it.
    pub(super) fn begin_late(&mut self, db: usize) {
        self.begin_round(db, Sieve::ALL, None);
    }

    /// The database's number at the cut, if the walk has something to do here.
    pub(super) fn walks_as(&self) -> Option<usize> {
        let round = self.round.as_ref()?;
        let is_done = round.is_passed
            && round.unfinished.is_empty()
            && round.orphans.is_empty()
            && round.lists.is_empty();
        (!is_done).then_some(round.db)
    }

    /// Gives out the entry at a place if it is not out: it is about to change or to go.
    #[cold]
    #[inline(never)]
    pub(in crate::keyspace) fn give_out(&mut self, group: usize, place: Place) {
        let (Some(round), stamp) = (self.round.as_mut(), self.groups[group].stamp()) else {
            return;
        };
        let word = place.segment.word(place.spot);
        if word.stamp() == stamp {
            return;
        }
        // ORDER: before the change marks it: what it was at the cut decides.
        place.segment.pass(place.spot, stamp, round.sieve.becomes(word.mark()));
        if !round.sieve.wants(word.mark()) {
            return;
        }
        round.copied += 1;
        if !round.begin(group, place.entry())
            && let Some(copyist) = &mut round.copyist
        {
            // SAFETY: the entry is in the table and does not change during the call.
            copyist.copy(group, unsafe { Entry::new(place.entry()) });
        }
    }

    /// Takes an unfinished value out of its entry, which is about to be freed or overwritten; false
    /// when it is none.
    #[cold]
    #[inline(never)]
    pub(in crate::keyspace) fn rescue(&mut self, entry: EntryPtr) -> bool {
        let before = entry.memory_bytes();
        if unfinished(entry).is_none() {
            return false;
        }
        if let (Some(object), Some(round)) = (entry.object_mut(), self.round.as_mut()) {
            round.orphans.push(std::mem::replace(object, Object::nothing()));
            self.entry_bytes = self.entry_bytes - before + entry.memory_bytes();
        }
        true
    }

    /// A value has come to this key from another: it may be unfinished.
    #[cold]
    #[inline(never)]
    pub(in crate::keyspace) fn receive(&mut self, key: Key<'_>) {
        if let (Some(place), Some(round)) = (self.find(key), self.round.as_mut())
            && unfinished(place.entry()).is_some()
        {
            round.unfinished.push(key.bytes.into());
        }
    }

    /// Goes on until the end (then true), or until `emit` says false or the buckets are used up.
    pub(super) fn walk_on(&mut self, buckets: &mut usize, emit: &mut Emit<'_>) -> bool {
        let mut goes_on = true;
        while self.walk_values(emit) {
            let Some(round) = self.round.as_mut().filter(|round| !round.is_passed) else {
                return true;
            };
            if !goes_on || *buckets == 0 {
                return false;
            }
            *buckets -= 1;
            let (mut group, mut point) = (scan_group(round.cursor), point_of(round.cursor));
            let Some(table) = self.groups.get_mut(group) else {
                round.is_passed = true;
                continue;
            };
            let visit = table.visit(point, round.sieve, &mut |entry| {
                if round.begin(group, entry) {
                    emit(Given::Begun);
                    // Its elements come first.
                    return false;
                }
                // SAFETY: the entry is in the table and does not change during the call.
                goes_on = emit(Given::Entry(round.db, group, unsafe { Entry::new(entry) }));
                goes_on
            });
            match visit {
                Visit::Stopped => {}
                Visit::Passed(behind) => point = behind,
                Visit::End => {
                    table.all_out();
                    (group, point) = (group + 1, 0);
                }
            }
            round.cursor = scan_start(group) | point;
        }
        false
    }

    /// Goes on with unfinished values; true when there is none any more.
    fn walk_values(&mut self, emit: &mut Emit<'_>) -> bool {
        let mut goes_on = |bytes| emit(Given::Element(bytes));
        while let Some(round) = self.round.as_mut() {
            if let Some(mut object) = round.orphans.pop() {
                if !object.table_mut().is_none_or(|table| table.walk_on(&mut goes_on)) {
                    round.orphans.push(object);
                    return false;
                }
                round.freed.push(object);
                continue;
            }
            if let Some(list) = round.lists.pop() {
                if let Some(rest) = list.walk_on(&mut goes_on) {
                    round.lists.push(rest);
                    return false;
                }
                continue;
            }
            let Some(name) = round.unfinished.pop() else { break };
            let place = self.find(self.hasher.key(&name));
            let table = place.and_then(|place| unfinished(place.entry()));
            if !table.is_none_or(|table| table.walk_on(&mut goes_on)) {
                if let Some(round) = self.round.as_mut() {
                    round.unfinished.push(name);
                }
                return false;
            }
        }
        true
    }

    /// Removed values that the walk has done with, to be freed.
    pub(super) fn freed_orphans(&mut self) -> impl Iterator<Item = Object> + use<> {
        let freed = self.round.as_mut().map(|round| std::mem::take(&mut round.freed));
        freed.into_iter().flatten()
    }

    /// Ends the database's part; the entries that were copied.
    pub(super) fn end_round(&mut self) -> u64 {
        let Some(round) = self.round.take() else { return 0 };
        if let Some(copyist) = round.copyist {
            copyist.finish();
        }
        round.copied
    }

    /// Gives the database's part up; what is to be freed.
    pub(super) fn give_up_round(&mut self) -> Vec<Object> {
        let Some(round) = self.round.take() else { return Vec::new() };
        for name in round.unfinished {
            let place = self.find(self.hasher.key(&name));
            if let Some(table) = place.and_then(|place| unfinished(place.entry())) {
                table.give_up_walk();
            }
        }
        let mut orphans = round.orphans;
        orphans.iter_mut().filter_map(Object::table_mut).for_each(Table::give_up_walk);
        orphans.extend(round.freed);
        orphans
    }

    /// Entries given to the copyist so far.
    pub(super) fn copied_out(&self) -> u64 {
        self.round.as_ref().map_or(0, |round| round.copied)
    }
}
