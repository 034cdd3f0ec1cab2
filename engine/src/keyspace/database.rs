//! One SELECT database (ordered map; the table comes).

use super::{Deadline, Key, KeyHasher, Str, canonical_int};
use std::{collections::BTreeMap, ops::Range};

const PREFIX_BITS: u32 = 40;

/// The cursor at which the scan of a group begins.
pub fn scan_start(group: usize) -> u64 {
    (group as u64) << PREFIX_BITS
}

/// The group a cursor points into.
pub fn scan_group(cursor: u64) -> usize {
    (cursor >> PREFIX_BITS) as usize
}

#[derive(Debug, Clone)]
enum Stored {
    Int(i64),
    Bytes { bytes: Vec<u8>, raw: bool },
}

impl Stored {
    fn parse(value: &[u8]) -> Self {
        match canonical_int(value) {
            Some(n) => Stored::Int(n),
            None => Stored::Bytes { bytes: value.to_vec(), raw: false },
        }
    }

    fn edit(&mut self) -> &mut Vec<u8> {
        if let Stored::Int(n) = self {
            *self = Stored::Bytes { bytes: n.to_string().into_bytes(), raw: true };
        }
        match self {
            Stored::Bytes { bytes, raw } => {
                *raw = true;
                bytes
            }
            Stored::Int(_) => unreachable!("made bytes above"),
        }
    }
}

/// Value, deadline and access bits without a key: what MOVE, RENAME and COPY carry.
#[derive(Debug, Clone)]
pub struct OwnedEntry {
    value: Stored,
    deadline: Option<i64>,
    access: u32,
}

impl OwnedEntry {
    /// The value.
    pub fn value(&self) -> Str<'_> {
        match &self.value {
            Stored::Int(n) => Str::Int(*n),
            Stored::Bytes { bytes, .. } => Str::Bytes(bytes),
        }
    }

    /// Unix time, ms.
    pub fn deadline(&self) -> Option<i64> {
        self.deadline
    }

    /// Replaces the deadline.
    pub fn set_deadline(&mut self, at_ms: Option<i64>) {
        self.deadline = at_ms;
    }

    /// The 24 access bits.
    pub fn access(&self) -> u32 {
        self.access
    }
}

/// A key and its value, to be read.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    key: &'a [u8],
    entry: &'a OwnedEntry,
}

impl<'a> Entry<'a> {
    /// The key.
    pub fn key(&self) -> &'a [u8] {
        self.key
    }

    /// The value.
    pub fn value(&self) -> Str<'a> {
        self.entry.value()
    }

    /// Unix time, ms, after which the key no longer exists.
    pub fn deadline(&self) -> Option<i64> {
        self.entry.deadline
    }

    /// True when the deadline has passed, as Redis decides it: strictly before now.
    pub fn is_expired(&self, now_ms: i64) -> bool {
        self.entry.deadline.is_some_and(|at| now_ms > at)
    }

    /// As OBJECT ENCODING says it: `int`, `embstr` or `raw`.
    pub fn encoding(&self) -> &'static str {
        match &self.entry.value {
            Stored::Int(_) => "int",
            Stored::Bytes { bytes, raw: false } if bytes.len() <= 44 => "embstr",
            Stored::Bytes { .. } => "raw",
        }
    }

    /// Bytes of memory the entry takes.
    pub fn memory_bytes(&self) -> usize {
        self.key.len() + self.value().len() + 24
    }

    /// The 24 access bits (idle clock or frequency).
    pub fn access(&self) -> u32 {
        self.entry.access
    }

    /// As TYPE says it.
    pub fn type_name(&self) -> &'static str {
        "string"
    }

    /// Value, deadline and access bits, copied.
    pub fn to_owned_entry(&self) -> OwnedEntry {
        self.entry.clone()
    }
}

/// A key and its value, to be changed in place.
pub struct EntryMut<'a> {
    key: &'a [u8],
    entry: &'a mut OwnedEntry,
}

impl EntryMut<'_> {
    /// The same, to be read.
    pub fn as_entry(&self) -> Entry<'_> {
        Entry { key: self.key, entry: self.entry }
    }

    /// The key.
    pub fn key(&self) -> &[u8] {
        self.key
    }

    /// The value.
    pub fn value(&self) -> Str<'_> {
        self.entry.value()
    }

    /// Unix time, ms.
    pub fn deadline(&self) -> Option<i64> {
        self.entry.deadline
    }

    /// True when the deadline has passed.
    pub fn is_expired(&self, now_ms: i64) -> bool {
        self.as_entry().is_expired(now_ms)
    }

    /// The 24 access bits.
    pub fn access(&self) -> u32 {
        self.entry.access
    }

    /// Replaces an integer value; false (and no change) when the value is not an integer.
    pub fn set_int_in_place(&mut self, n: i64) -> bool {
        match &mut self.entry.value {
            Stored::Int(old) => {
                *old = n;
                true
            }
            Stored::Bytes { .. } => false,
        }
    }

    /// The value's bytes, for edits that keep the length; None when it is an integer.
    pub fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        match &mut self.entry.value {
            Stored::Int(_) => None,
            Stored::Bytes { bytes, raw } => {
                *raw = true;
                Some(bytes)
            }
        }
    }

    /// Sets the 24 access bits.
    pub fn touch(&mut self, access: u32) {
        self.entry.access = access & 0xFF_FFFF;
    }
}

type Place = (u8, u64, Vec<u8>);

fn place(key: Key<'_>) -> Place {
    (key.group(), key.hash, key.bytes.to_vec())
}

/// One database.
pub struct Database {
    map: BTreeMap<Place, OwnedEntry>,
    hasher: KeyHasher,
}

impl Database {
    /// An empty database.
    pub fn new(hasher: KeyHasher) -> Self {
        Self { map: BTreeMap::new(), hasher }
    }

    /// Number of keys, expired ones included.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// True when there is no key.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// Number of keys with a deadline.
    pub fn with_deadline(&self) -> usize {
        self.map.values().filter(|e| e.deadline.is_some()).count()
    }

    /// Bytes of entries, tables and deadline index.
    pub fn memory_bytes(&self) -> usize {
        let mut bytes = 0;
        self.for_each(&mut |e| bytes += e.memory_bytes());
        bytes
    }

    /// Starts loading the key's bucket into the cache.
    pub fn prefetch(&self, key: Key<'_>) {
        let _ = key;
    }

    /// The entry of a key; expired entries are returned too.
    pub fn get(&self, key: Key<'_>) -> Option<Entry<'_>> {
        let (place, entry) = self.map.get_key_value(&place(key))?;
        Some(Entry { key: &place.2, entry })
    }

    /// The entry of a key, to be changed in place.
    pub fn get_mut(&mut self, key: Key<'_>) -> Option<EntryMut<'_>> {
        let (place, entry) = self.map.range_mut(place(key)..).next()?;
        (place.0 == key.group() && place.2 == key.bytes)
            .then_some(EntryMut { key: &place.2, entry })
    }

    fn store(&mut self, key: Key<'_>, value: Stored, deadline: Deadline) -> bool {
        let before = self.get(key).and_then(|e| e.deadline());
        let access = self.get(key).map_or(0, |e| e.access());
        let entry = OwnedEntry { value, deadline: deadline.resolve(before), access };
        self.map.insert(place(key), entry).is_none()
    }

    /// Inserts or overwrites a string; canonical integers are stored as such. True when the key
    /// is new.
    pub fn set(&mut self, key: Key<'_>, value: &[u8], deadline: Deadline) -> bool {
        self.store(key, Stored::parse(value), deadline)
    }

    /// Inserts or overwrites an integer. True when the key is new.
    pub fn set_int(&mut self, key: Key<'_>, n: i64, deadline: Deadline) -> bool {
        self.store(key, Stored::Int(n), deadline)
    }

    /// Appends to a string, creates it when missing; the new length.
    pub fn append(&mut self, key: Key<'_>, tail: &[u8]) -> usize {
        match self.get_mut(key) {
            Some(e) => {
                let bytes = e.entry.value.edit();
                bytes.extend_from_slice(tail);
                bytes.len()
            }
            None => {
                self.set(key, tail, Deadline::None);
                tail.len()
            }
        }
    }

    /// Overwrites part of a string, padding with zero bytes; creates it when missing. The new
    /// length. Does nothing when `bytes` is empty.
    pub fn write_range(&mut self, key: Key<'_>, offset: usize, bytes: &[u8]) -> usize {
        if bytes.is_empty() {
            return self.get(key).map_or(0, |e| e.value().len());
        }
        if self.get(key).is_none() {
            let value = Stored::Bytes { bytes: Vec::new(), raw: true };
            self.store(key, value, Deadline::None);
        }
        let Some(e) = self.get_mut(key) else { return 0 };
        let value = e.entry.value.edit();
        if value.len() < offset + bytes.len() {
            value.resize(offset + bytes.len(), 0);
        }
        value[offset..offset + bytes.len()].copy_from_slice(bytes);
        value.len()
    }

    /// Removes a key; false when there was none.
    pub fn remove(&mut self, key: Key<'_>) -> bool {
        self.map.remove(&place(key)).is_some()
    }

    /// Sets or removes a deadline; false when there is no such key.
    pub fn set_deadline(&mut self, key: Key<'_>, at_ms: Option<i64>) -> bool {
        self.get_mut(key).map(|e| e.entry.deadline = at_ms).is_some()
    }

    /// Takes an entry out.
    pub fn take(&mut self, key: Key<'_>) -> Option<OwnedEntry> {
        self.map.remove(&place(key))
    }

    /// Puts an entry in under this key, replacing what was there.
    pub fn put(&mut self, key: Key<'_>, entry: OwnedEntry) {
        self.map.insert(place(key), entry);
    }

    /// Emits whole home buckets from `cursor` on until at least `min_entries` were emitted;
    /// the next cursor, 0 when the groups are done. A cursor before the range starts there.
    pub fn scan(
        &self,
        cursor: u64,
        groups: Range<usize>,
        min_entries: usize,
        emit: &mut dyn FnMut(Entry<'_>),
    ) -> u64 {
        let cursor = cursor.max(scan_start(groups.start));
        let shift = 64 - PREFIX_BITS;
        let prefix = cursor & ((1 << PREFIX_BITS) - 1);
        let mut emitted = 0;
        let mut last = None;
        let from = (scan_group(cursor) as u8, prefix << shift, Vec::new());
        if scan_group(cursor) >= groups.end {
            return 0;
        }
        for (place, entry) in self.map.range(from..) {
            if place.0 as usize >= groups.end {
                return 0;
            }
            let here = scan_start(place.0 as usize) | (place.1 >> shift);
            if emitted >= min_entries.max(1) && last != Some(here) {
                return here;
            }
            emit(Entry { key: &place.2, entry });
            emitted += 1;
            last = Some(here);
        }
        0
    }

    /// A random entry, every one equally likely.
    pub fn random(&self, random: &mut impl FnMut() -> u64) -> Option<Entry<'_>> {
        if self.map.is_empty() {
            return None;
        }
        let nth = random() as usize % self.map.len();
        self.map.iter().nth(nth).map(|(place, entry)| Entry { key: &place.2, entry })
    }

    /// Removes up to `limit` keys whose deadline has passed; `emit` sees each before it is
    /// freed. The number removed.
    pub fn due(&mut self, now_ms: i64, limit: usize, emit: &mut dyn FnMut(&[u8])) -> usize {
        let expired: Vec<Place> = self
            .map
            .iter()
            .filter(|(_, e)| e.deadline.is_some_and(|at| now_ms > at))
            .take(limit)
            .map(|(place, _)| place.clone())
            .collect();
        for place in &expired {
            emit(&place.2);
            self.map.remove(place);
        }
        expired.len()
    }

    /// When the next key may become due, Unix time in ms; never later than the truth.
    pub fn next_due_ms(&self) -> Option<i64> {
        self.map.values().filter_map(|e| e.deadline).min()
    }

    /// Every entry.
    pub fn for_each(&self, f: &mut dyn FnMut(Entry<'_>)) {
        for (place, entry) in &self.map {
            f(Entry { key: &place.2, entry });
        }
    }

    /// The hasher of this server.
    pub fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }
}
