//! A block: neighbouring entries as one run of bytes.
//!
//! ```text
//! count, fields of the first entry | entry ...
//! entry = length of the rest | flags | ms above the first id | number
//!         | values, if the fields are the first entry's; or else count, field, value ...
//! ```
//! Numbers and lengths of texts are varints. The number is relative to the first id's within its
//! millisecond. Entries that are removed are marked and stay until the whole block goes.

use super::{Id, footprint};

const REMOVED: u8 = 1;
const SAME_FIELDS: u8 = 2;

/// A run of entries.
#[derive(Clone)]
pub(super) struct Block {
    first: Id,
    last: Id,
    bytes: Vec<u8>,
    /// Where the first entry begins.
    entries_at: u32,
    live: u32,
    removed: u32,
}

/// An entry.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its id.
    pub id: Id,
    count: usize,
    /// Fields of the block's first entry, unless fields stand with the values.
    fields: Option<&'a [u8]>,
    texts: &'a [u8],
    flags_at: usize,
    next_at: usize,
    removed: bool,
}

impl<'a> Entry<'a> {
    /// Number of pairs.
    pub fn count(self) -> usize {
        self.count
    }

    /// Fields and values.
    pub fn pairs(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let (mut fields, mut texts) = (self.fields, self.texts);
        (0..self.count).map(move |_| {
            let field = match &mut fields {
                Some(fields) => take_text(fields),
                None => take_text(&mut texts),
            };
            (field, take_text(&mut texts))
        })
    }
}

fn push_number(bytes: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        bytes.push(n as u8 | 0x80);
        n >>= 7;
    }
    bytes.push(n as u8);
}

fn number_bytes(n: u64) -> usize {
    (64 - (n | 1).leading_zeros() as usize).div_ceil(7)
}

fn push_text(bytes: &mut Vec<u8>, text: &[u8]) {
    push_number(bytes, text.len() as u64);
    bytes.extend_from_slice(text);
}

fn text_bytes(text: &[u8]) -> usize {
    number_bytes(text.len() as u64) + text.len()
}

#[inline]
fn take_number(bytes: &mut &[u8]) -> u64 {
    let (mut n, mut shift) = (0, 0);
    loop {
        let byte = bytes[0];
        *bytes = &bytes[1..];
        n |= u64::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return n;
        }
        shift += 7;
    }
}

#[inline]
fn take_text<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let len = take_number(bytes) as usize;
    let (text, rest) = bytes.split_at(len);
    *bytes = rest;
    text
}

impl Block {
    /// A block that begins with this entry.
    pub(super) fn new(id: Id, pairs: &[(&[u8], &[u8])]) -> Self {
        let mut bytes = Vec::new();
        let fields: usize = pairs.iter().map(|(field, _)| text_bytes(field)).sum();
        bytes.reserve_exact(number_bytes(pairs.len() as u64) + fields);
        push_number(&mut bytes, pairs.len() as u64);
        pairs.iter().for_each(|(field, _)| push_text(&mut bytes, field));
        let entries_at = bytes.len() as u32;
        let mut block = Self { first: id, last: id, bytes, entries_at, live: 0, removed: 0 };
        block.push(id, pairs);
        block
    }

    /// Appends an entry whose id is above all.
    pub(super) fn push(&mut self, id: Id, pairs: &[(&[u8], &[u8])]) {
        let mut fields = &self.bytes[..];
        let same = take_number(&mut fields) == pairs.len() as u64
            && pairs.iter().all(|(field, _)| take_text(&mut fields) == *field);
        let (ms, seq) = self.relative(id);
        let flags = if same { SAME_FIELDS } else { 0 };
        let mut len = 1 + number_bytes(ms) + number_bytes(seq);
        len += pairs.iter().map(|(_, value)| text_bytes(value)).sum::<usize>();
        if !same {
            len += number_bytes(pairs.len() as u64);
            len += pairs.iter().map(|(field, _)| text_bytes(field)).sum::<usize>();
        }
        let need = number_bytes(len as u64) + len;
        if self.bytes.capacity() - self.bytes.len() < need {
            // A quarter ahead: little is wasted, and few blocks are not full.
            self.bytes.reserve_exact(need + self.bytes.len() / 4);
        }
        let bytes = &mut self.bytes;
        push_number(bytes, len as u64);
        bytes.push(flags);
        push_number(bytes, ms);
        push_number(bytes, seq);
        if !same {
            push_number(bytes, pairs.len() as u64);
        }
        for (field, value) in pairs {
            if !same {
                push_text(bytes, field);
            }
            push_text(bytes, value);
        }
        self.last = id;
        self.live += 1;
    }

    /// Milliseconds above the first id and the number that is stored.
    fn relative(&self, id: Id) -> (u64, u64) {
        let ms = id.ms - self.first.ms;
        (ms, if ms == 0 { id.seq - self.first.seq } else { id.seq })
    }

    /// The entry at an offset, removed or not.
    fn entry_at(&self, at: usize) -> Option<Entry<'_>> {
        let mut bytes = self.bytes.get(at..).filter(|bytes| !bytes.is_empty())?;
        let len = take_number(&mut bytes) as usize;
        let flags_at = self.bytes.len() - bytes.len();
        let next_at = flags_at + len;
        let flags = bytes[0];
        bytes = &bytes[1..len];
        let (ms, seq) = (take_number(&mut bytes), take_number(&mut bytes));
        let seq = if ms == 0 { self.first.seq + seq } else { seq };
        let id = Id { ms: self.first.ms + ms, seq };
        let mut fields = &self.bytes[..self.entries_at as usize];
        let masters = take_number(&mut fields) as usize;
        let same = flags & SAME_FIELDS != 0;
        let count = if same { masters } else { take_number(&mut bytes) as usize };
        let fields = same.then_some(fields);
        let removed = flags & REMOVED != 0;
        Some(Entry { id, count, fields, texts: bytes, flags_at, next_at, removed })
    }

    fn all(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut at = self.entries_at as usize;
        std::iter::from_fn(move || {
            let entry = self.entry_at(at)?;
            at = entry.next_at;
            Some(entry)
        })
    }

    /// Entries upwards.
    pub(super) fn upwards(&self) -> impl Iterator<Item = Entry<'_>> {
        self.all().filter(|entry| !entry.removed)
    }

    /// Entries downwards.
    pub(super) fn downwards(&self) -> impl Iterator<Item = Entry<'_>> {
        let mut places = Vec::with_capacity(self.live as usize);
        let mut at = self.entries_at as usize;
        while let Some(entry) = self.entry_at(at) {
            if !entry.removed {
                places.push(at as u32);
            }
            at = entry.next_at;
        }
        places.into_iter().rev().filter_map(|at| self.entry_at(at as usize))
    }

    /// Removes an entry; false when it is not there.
    pub(super) fn remove(&mut self, id: Id) -> bool {
        let found = self.upwards().find(|entry| entry.id >= id).filter(|entry| entry.id == id);
        let Some(flags_at) = found.map(|entry| entry.flags_at) else { return false };
        self.mark(flags_at);
        true
    }

    /// Removes entries from the lowest on as long as `go_on` says so of the id.
    pub(super) fn remove_front(&mut self, mut go_on: impl FnMut(Id) -> bool) -> u64 {
        let places: Vec<usize> =
            self.upwards().take_while(|entry| go_on(entry.id)).map(|e| e.flags_at).collect();
        places.iter().for_each(|&at| self.mark(at));
        places.len() as u64
    }

    fn mark(&mut self, flags_at: usize) {
        self.bytes[flags_at] |= REMOVED;
        self.live -= 1;
        self.removed += 1;
    }

    /// Entries.
    pub(super) fn live(&self) -> u64 {
        self.live.into()
    }

    /// Entries, removed ones included.
    pub(super) fn total(&self) -> usize {
        self.live as usize + self.removed as usize
    }

    /// The highest id that was ever in it.
    pub(super) fn last(&self) -> Id {
        self.last
    }

    /// Bytes in use.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Nothing more comes: gives back what is not used.
    pub(super) fn close(&mut self) {
        self.bytes.shrink_to_fit();
    }

    /// Bytes of memory besides itself.
    pub(super) fn memory_bytes(&self) -> usize {
        footprint::text(self.bytes.capacity())
    }
}
