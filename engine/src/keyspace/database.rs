//! One SELECT database: 256 group tables, a deadline index, and the sums over them.
//!
//! Every change of an entry goes through here, so that memory, the number of keys and the
//! deadline index stay true. Expired entries are entries like others: who reads decides.

use super::{
    access::{AccessClock, Tracking},
    changes::{Gone, Marks},
    cursor::{point_of, scan_group, scan_start},
    deadlines::{Deadlines, Reference},
    entry::{EntryPtr, Meta, NewValue},
    group::{Group, Place},
    key::{Key, KeyHasher},
    memory::size_class,
    trash::Trash,
    value::Deadline,
    view::{Entry, EntryMut, OwnedEntry},
    walk::Round,
};
use crate::{limits::GROUPS, number::canonical_int, types::Form};
use std::ops::Range;

mod changes;
mod collections;
mod eviction;
mod foresight;
mod load;
mod removal;
mod watch;

pub use collections::Edited;
pub use eviction::Sampled;
pub use load::Origin;

/// References that one call of [`Database::due`] resolves for each key it may remove.
const LOOKS_PER_KEY: usize = 4;
/// Home buckets that one step of the deadline index's walk visits.
const WALK_BUCKETS: usize = 16;

/// One database.
pub struct Database {
    /// All groups, or none before the first key.
    pub(super) groups: Vec<Group>,
    deadlines: Deadlines,
    pub(super) hasher: KeyHasher,
    /// Makes the access bits of entries that are used.
    clock: AccessClock,
    keys: usize,
    with_deadline: usize,
    /// Bytes of all entries.
    pub(super) entry_bytes: usize,
    /// Bytes of directories and segments of all groups.
    table_bytes: usize,
    /// Memory in which small collections are edited.
    scratch: Vec<u8>,
    /// Where removed big values go, while that is not to be freed at once.
    trash: Option<Trash>,
    /// The walk that is still to pass this database.
    pub(super) round: Option<Box<Round>>,
    /// Which keys somebody waits for, if somebody does.
    watch: Option<Box<watch::Watch>>,
    /// What the marks of words mean; the same in all databases.
    pub(super) marks: Marks,
    /// What is gone, and how much has changed.
    pub(super) gone: Gone,
}

impl Database {
    /// An empty database.
    pub fn new(hasher: KeyHasher) -> Self {
        Self {
            groups: Vec::new(),
            deadlines: Deadlines::default(),
            hasher,
            clock: AccessClock::new(),
            keys: 0,
            with_deadline: 0,
            entry_bytes: 0,
            table_bytes: 0,
            scratch: Vec::new(),
            trash: None,
            round: None,
            watch: None,
            marks: Marks::default(),
            gone: Gone::default(),
        }
    }

    /// Sets time (Unix, ms) and rule of access bits. The deadline index files more finely when
    /// it knows the time.
    pub(super) fn set_clock(&mut self, now_ms: i64, tracking: Tracking) {
        self.clock.set(now_ms, tracking);
        self.deadlines.set_now(now_ms);
    }

    /// Takes over another database's clock.
    pub(super) fn clock_from(&mut self, other: &Self) {
        self.clock.clone_from(&other.clock);
        self.deadlines.set_now(other.deadlines.now_ms());
    }

    /// Number of keys, expired ones included.
    #[inline]
    pub fn len(&self) -> usize {
        self.keys
    }

    /// True when there is no key.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.keys == 0
    }

    /// Number of keys with a deadline.
    #[inline]
    pub fn with_deadline(&self) -> usize {
        self.with_deadline
    }

    /// How long keys with a deadline have left on average, ms: an estimate from the index.
    pub fn mean_time_left_ms(&self, now_ms: i64) -> u64 {
        self.deadlines.mean_distance_ms(now_ms)
    }

    /// Bytes of entries, tables and deadline index.
    pub fn memory_bytes(&self) -> usize {
        self.entry_bytes + self.table_memory_bytes() + self.deadlines.memory_bytes()
    }

    /// Bytes of the tables alone.
    pub fn table_memory_bytes(&self) -> usize {
        self.table_bytes + self.groups.capacity() * size_of::<Group>()
    }

    /// Bytes of the deadline index alone.
    pub fn deadline_memory_bytes(&self) -> usize {
        self.deadlines.memory_bytes()
    }

    #[inline]
    pub(super) fn find(&self, key: Key<'_>) -> Option<Place> {
        self.groups.get(usize::from(key.group()))?.find(key)
    }

    /// The entry of a key; expired entries are returned too.
    #[inline]
    pub fn get(&self, key: Key<'_>) -> Option<Entry<'_>> {
        // SAFETY: the entry is in the table, which is borrowed as long as the result.
        self.find(key).map(|place| unsafe { Entry::new(place.entry()) })
    }

    /// The entry of a key, to be changed in place; expired entries are returned too.
    #[inline]
    pub fn get_mut(&mut self, key: Key<'_>) -> Option<EntryMut<'_>> {
        let place = self.find(key)?;
        self.preserve(usize::from(key.group()), place);
        self.mark(place);
        // SAFETY: the entry is in the table, which is borrowed exclusively as long as the result.
        Some(unsafe { EntryMut::new(place.entry()) })
    }

    /// As [`Database::get`], and notes that the key is used.
    #[inline]
    pub fn get_used(&mut self, key: Key<'_>) -> Option<Entry<'_>> {
        let entry = self.find(key)?.entry();
        self.note_use(entry);
        // SAFETY: the entry is in the table, which is borrowed as long as the result.
        Some(unsafe { Entry::new(entry) })
    }

    /// As [`Database::get_mut`], and notes that the key is used.
    #[inline]
    pub fn get_mut_used(&mut self, key: Key<'_>) -> Option<EntryMut<'_>> {
        let place = self.find(key)?;
        self.preserve(usize::from(key.group()), place);
        self.mark(place);
        self.note_use(place.entry());
        // SAFETY: the entry is in the table, which is borrowed exclusively as long as the result.
        Some(unsafe { EntryMut::new(place.entry()) })
    }

    #[inline]
    fn note_use(&mut self, entry: EntryPtr) {
        if !self.clock.is_current(entry.access()) {
            entry.set_access(self.clock.used(entry.access()));
        }
    }

    /// Inserts or overwrites a string; canonical integers are stored as such. True when the key
    /// is new.
    #[inline]
    pub fn set(&mut self, key: Key<'_>, value: &[u8], deadline: Deadline) -> bool {
        self.store(key, parsed(value), deadline)
    }

    /// Inserts or overwrites a string that stays text even when it is a canonical integer: what
    /// INCRBYFLOAT makes, until it is loaded again. True when the key is new.
    pub fn set_text(&mut self, key: Key<'_>, text: &[u8], deadline: Deadline) -> bool {
        self.store(key, NewValue::Bytes(Form::Text, text), deadline)
    }

    /// Inserts or overwrites an integer. True when the key is new.
    #[inline]
    pub fn set_int(&mut self, key: Key<'_>, n: i64, deadline: Deadline) -> bool {
        self.store(key, NewValue::Int(n), deadline)
    }

    #[inline]
    fn store(&mut self, key: Key<'_>, value: NewValue<'_>, deadline: Deadline) -> bool {
        match self.find(key) {
            Some(place) => {
                let entry = place.entry();
                self.spare(usize::from(key.group()), place);
                let deadline = deadline.resolve(entry.deadline());
                let access = self.clock.used(entry.access());
                let meta = Meta { deadline, access, raw: false, born: false };
                // SAFETY: `change_spared` forgets the old address.
                self.change_spared(key, place, |entry| unsafe { entry.overwrite(value, meta) });
                false
            }
            None => {
                let access = self.clock.fresh();
                let meta =
                    Meta { deadline: deadline.resolve(None), access, raw: false, born: false };
                self.insert(key, value, meta);
                true
            }
        }
    }

    /// Edits the entry at a place with a function that may move it.
    #[inline]
    fn change(&mut self, key: Key<'_>, place: Place, edit: impl FnOnce(EntryPtr) -> EntryPtr) {
        self.preserve(usize::from(key.group()), place);
        self.change_spared(key, place, edit);
    }

    /// As [`Database::change`], behind [`Database::spare`].
    #[inline]
    fn change_spared(
        &mut self,
        key: Key<'_>,
        place: Place,
        edit: impl FnOnce(EntryPtr) -> EntryPtr,
    ) {
        self.mark(place);
        let entry = place.entry();
        let (bytes, deadline) = (entry.memory_bytes(), entry.deadline());
        let moved = edit(entry);
        if moved != entry {
            place.segment.relocate(place.spot, moved);
        }
        self.entry_bytes = self.entry_bytes - bytes + moved.memory_bytes();
        self.note_deadline(key, deadline, moved.deadline());
    }

    /// Puts in an entry for a key that is not there.
    fn insert(&mut self, key: Key<'_>, value: NewValue<'_>, meta: Meta) {
        self.gone.changed += 1;
        self.gone.changed_now += 1;
        self.insert_marked(key, value, Meta { born: true, ..meta }, self.marks.now);
    }

    /// The same, with the mark as given and nothing counted as changed.
    fn insert_marked(&mut self, key: Key<'_>, value: NewValue<'_>, meta: Meta, mark: u8) {
        if self.watch.is_some() {
            self.signal(key);
        }
        let entry = EntryPtr::create(key.bytes, value, meta);
        if self.groups.is_empty() {
            self.groups = (0..GROUPS).map(Group::new).collect();
        }
        let group = &mut self.groups[usize::from(key.group())];
        let before = group.memory_bytes();
        group.insert(key.hash, entry, mark, &self.hasher);
        self.table_bytes = self.table_bytes - before + group.memory_bytes();
        self.entry_bytes += entry.memory_bytes();
        self.keys += 1;
        self.note_deadline(key, None, meta.deadline);
    }

    /// Keeps count and index of deadlines true. A deadline that moves further away needs no new
    /// reference: the one there is will be looked at in time.
    #[inline]
    fn note_deadline(&mut self, key: Key<'_>, before: Option<i64>, after: Option<i64>) {
        match (before, after) {
            (None, None) => return,
            (Some(_), None) => self.with_deadline -= 1,
            (Some(before), Some(after)) if after >= before => return,
            (_, Some(after)) => {
                self.with_deadline += usize::from(before.is_none());
                self.deadlines.file(Reference::of(key), after);
            }
        }
        self.tidy_deadlines();
    }

    /// Appends to a string, creates it when missing; the new length.
    pub fn append(&mut self, key: Key<'_>, tail: &[u8]) -> usize {
        match self.find(key) {
            // SAFETY: `change` forgets the old address.
            Some(place) => self.change(key, place, |entry| unsafe { entry.extend(0, tail) }),
            None => {
                let meta =
                    Meta { deadline: None, access: self.clock.fresh(), raw: false, born: false };
                self.insert(key, parsed(tail), meta);
            }
        }
        self.get(key).map_or(0, |entry| entry.value().len())
    }

    /// Overwrites part of a string, padding with zero bytes up to `offset`; creates it when
    /// missing. The new length. Does nothing when `bytes` is empty.
    pub fn write_range(&mut self, key: Key<'_>, offset: usize, bytes: &[u8]) -> usize {
        let Some(place) = self.find(key) else {
            if bytes.is_empty() {
                return 0;
            }
            // As large as it is: it grows in leaps only when it grows again.
            let len = offset + bytes.len();
            let mut value = vec![0; size_class(len)];
            value.truncate(len);
            value[offset..].copy_from_slice(bytes);
            let meta = Meta { deadline: None, access: self.clock.fresh(), raw: true, born: false };
            self.insert(key, NewValue::Owned(Form::Text, value), meta);
            return len;
        };
        let len = place.entry().value().len();
        if bytes.is_empty() {
            return len;
        }
        let inside = len.saturating_sub(offset).min(bytes.len());
        let (over, tail) = bytes.split_at(inside);
        self.change(key, place, |entry| {
            // SAFETY: `change` forgets the old address.
            let entry = unsafe { entry.extend(offset.saturating_sub(len), tail) };
            if let Some(value) = entry.bytes_mut() {
                value[offset..offset + over.len()].copy_from_slice(over);
            }
            entry
        });
        len.max(offset + bytes.len())
    }

    /// Sets or removes a deadline (Unix time, ms); false when there is no such key.
    pub fn set_deadline(&mut self, key: Key<'_>, at_ms: Option<i64>) -> bool {
        let Some(place) = self.find(key) else { return false };
        // SAFETY: `change` forgets the old address.
        self.change(key, place, |entry| unsafe { entry.set_deadline(at_ms) });
        true
    }

    /// Puts an entry in under this key, replacing what was there.
    pub fn put(&mut self, key: Key<'_>, entry: OwnedEntry) {
        let (value, meta) = entry.into_parts();
        match self.find(key) {
            Some(place) => {
                self.spare(usize::from(key.group()), place);
                // SAFETY: `change_spared` forgets the old address.
                self.change_spared(key, place, |entry| unsafe { entry.overwrite(value, meta) });
            }
            None => self.insert(key, value, meta),
        }
        if self.round.is_some() {
            self.receive(key);
        }
    }

    /// Emits the entries of whole home buckets from `cursor` on, inside `groups`, until at least
    /// `min_entries` were emitted; the next cursor, 0 when the groups are done. A cursor before
    /// the first group starts there. What a scan guarantees: see `cursor.rs`.
    pub fn scan(
        &self,
        cursor: u64,
        groups: Range<usize>,
        min_entries: usize,
        emit: &mut dyn FnMut(Entry<'_>),
    ) -> u64 {
        let mut emitted = 0;
        self.visit(cursor, groups, emit, &mut |entries| {
            emitted += entries;
            emitted >= min_entries.max(1)
        })
    }

    /// Emits home bucket after home bucket, until `enough`, told how many entries the last one
    /// had, says so.
    fn visit(
        &self,
        cursor: u64,
        groups: Range<usize>,
        emit: &mut dyn FnMut(Entry<'_>),
        enough: &mut dyn FnMut(usize) -> bool,
    ) -> u64 {
        let cursor = cursor.max(scan_start(groups.start));
        let (mut group, mut point) = (scan_group(cursor), point_of(cursor));
        let end = groups.end.min(self.groups.len());
        while group < end {
            let mut entries = 0;
            let next = self.groups[group].scan_home(point, &mut |entry| {
                entries += 1;
                // SAFETY: the entry is in the table, which is borrowed during the call.
                emit(unsafe { Entry::new(entry) });
            });
            (group, point) = next.map_or((group + 1, 0), |behind| (group, behind));
            // Groups without keys cost nothing, but must not end a scan's step.
            while group < end && self.groups[group].len() == 0 {
                (group, point) = (group + 1, 0);
            }
            if enough(entries) && group < end {
                return scan_start(group) | point;
            }
        }
        0
    }

    /// A random entry, every one equally likely; None when there is none.
    pub fn random(&self, random: &mut impl FnMut() -> u64) -> Option<Entry<'_>> {
        if self.keys == 0 {
            return None;
        }
        let mut nth = ((u128::from(random()) * self.keys as u128) >> 64) as usize;
        let group = self.groups.iter().find(|group| {
            let here = nth < group.len();
            if !here {
                nth -= group.len();
            }
            here
        })?;
        // SAFETY: the entry is in the table, which is borrowed as long as the result.
        group.random(random).map(|entry| unsafe { Entry::new(entry) })
    }

    /// Removes up to `limit` keys whose deadline has passed; `emit` sees each key before it is
    /// freed. The number removed.
    ///
    /// The work of one call is bounded, so fewer than `limit` may be removed although more are
    /// due: then [`Database::next_due_ms`] is not in the future. Called again and again it
    /// removes every expired key.
    pub fn due(&mut self, now_ms: i64, limit: usize, emit: &mut dyn FnMut(&[u8])) -> usize {
        self.deadlines.set_now(now_ms);
        self.tidy_deadlines();
        let mut removed = 0;
        for _ in 0..limit.saturating_mul(LOOKS_PER_KEY) {
            if removed >= limit {
                break;
            }
            let Some(reference) = self.deadlines.pop() else { break };
            removed += self.resolve(reference, now_ms, emit);
        }
        removed
    }

    /// Looks at the keys a reference may mean (they are two when 56 bits of their hashes agree).
    fn resolve(&mut self, reference: Reference, now_ms: i64, emit: &mut dyn FnMut(&[u8])) -> usize {
        let mut removed = 0;
        let mut later: Option<i64>;
        loop {
            later = None;
            let place = self.groups.get(reference.group()).and_then(|group| {
                group.find_where(reference.hash(), |entry| {
                    let at =
                        entry.deadline().filter(|_| reference.is_to(self.hasher.hash(entry.key())));
                    let due = at.is_some_and(|at| now_ms > at);
                    if let Some(at) = at.filter(|_| !due) {
                        later = Some(later.map_or(at, |other| other.min(at)));
                    }
                    due
                })
            });
            let Some(place) = place else { break };
            self.spare(reference.group(), place);
            let entry = self.detach(reference.group(), reference.hash(), place);
            emit(entry.key());
            // SAFETY: the table has forgotten the entry.
            unsafe { entry.free() };
            removed += 1;
        }
        if let Some(at) = later {
            self.deadlines.file(reference, at);
        }
        removed
    }

    /// When [`Database::due`] has something to look at next, Unix time in ms: at most 128 ms
    /// after the earliest deadline, often before it; None when there is nothing.
    pub fn next_due_ms(&self) -> Option<i64> {
        self.deadlines.next_ms()
    }

    /// A step towards a deadline index without stale references, when there are too many.
    #[inline]
    fn tidy_deadlines(&mut self) {
        if let Some(cursor) = self.deadlines.walk(self.with_deadline, self.keys) {
            self.walk_deadlines(cursor);
        }
    }

    #[cold]
    fn walk_deadlines(&mut self, cursor: u64) {
        let mut found = Vec::new();
        let mut buckets = 0;
        let next = self.visit(
            cursor,
            0..GROUPS,
            &mut |entry| found.extend(entry.deadline().map(|at| (self.reference(entry.key()), at))),
            &mut |_| {
                buckets += 1;
                buckets >= WALK_BUCKETS
            },
        );
        for (reference, at_ms) in found {
            self.deadlines.file(reference, at_ms);
        }
        self.deadlines.walked(next);
    }

    fn reference(&self, key: &[u8]) -> Reference {
        Reference::of(self.hasher.key(key))
    }

    /// Every entry.
    pub fn for_each(&self, f: &mut dyn FnMut(Entry<'_>)) {
        for entry in self.groups.iter().flat_map(Group::entries) {
            // SAFETY: the entry is in the table, which is borrowed during the call.
            f(unsafe { Entry::new(entry) });
        }
    }

    /// Bytes that entries and segments have allocated, as accounted.
    #[cfg(test)]
    pub(super) fn entry_and_segment_bytes(&self) -> usize {
        self.entry_bytes + self.groups.iter().map(Group::segment_bytes).sum::<usize>()
    }

    /// Depths that segments of a group have.
    #[cfg(test)]
    pub(super) fn group_depths(&self, group: usize) -> std::collections::BTreeSet<u32> {
        self.groups[group].segments().map(|(_, segment)| segment.depth()).collect()
    }

    /// References in the deadline index, stale ones included.
    #[cfg(test)]
    pub(super) fn references(&self) -> usize {
        self.deadlines.len()
    }

    /// Panics when an invariant does not hold; reads everything.
    #[cfg(any(test, debug_assertions))]
    pub fn check(&self) {
        use std::collections::HashMap;
        let (mut keys, mut with_deadline, mut bytes) = (0, 0, 0);
        let mut filed: HashMap<Reference, i64> = HashMap::new();
        let mut count = 0;
        for (at, reference) in self.deadlines.filed() {
            let first = filed.entry(reference);
            first.and_modify(|slot| *slot = (*slot).min(at)).or_insert(at);
            count += 1;
        }
        assert_eq!(count, self.deadlines.len(), "references");
        for (index, group) in self.groups.iter().enumerate() {
            group.check(&self.hasher);
            for entry in group.entries() {
                let hash = self.hasher.hash(entry.key());
                keys += 1;
                bytes += entry.memory_bytes();
                let found = group.find_where(hash, |other| other.key() == entry.key());
                assert!(found.is_some_and(|place| place.entry() == entry), "found again, once");
                if let Some(at) = entry.deadline() {
                    with_deadline += 1;
                    let slot = filed.get(&Reference::new(index as u8, hash));
                    let latest = at.saturating_add(super::deadlines::GRAIN_MS);
                    assert!(slot.is_some_and(|slot| *slot <= latest), "a deadline is filed");
                }
            }
        }
        let table: usize = self.groups.iter().map(Group::memory_bytes).sum();
        assert_eq!(
            (keys, with_deadline, bytes, table),
            (self.keys, self.with_deadline, self.entry_bytes, self.table_bytes)
        );
    }
}

/// A value as SET stores it.
#[inline]
fn parsed(value: &[u8]) -> NewValue<'_> {
    canonical_int(value).map_or(NewValue::Bytes(Form::Text, value), NewValue::Int)
}

const _: fn() = || {
    // Threads hand databases over, when a shard is built by one and run by another.
    fn sendable<T: Send>() {}
    sendable::<Database>();
};
