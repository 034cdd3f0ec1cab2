//! Small collections packed into one string: the four encodings, read element by element.
//!
//! A reader holds a position and no bytes, so whoever owns the bytes can be asked for an element
//! at a time. Every byte is checked on the way; the counts and tails in the headers are checked
//! against what was found when the end is reached. Bad bytes are an error, never a panic.

use super::{intset::Intset, listpack::Listpack, ziplist::Ziplist, zipmap::Zipmap};
use std::ops::Range;

/// An element: an integer, or bytes that lie in the string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// An integer.
    Int(i64),
    /// Bytes, by their place.
    Bytes(Range<usize>),
}

/// What is wrong with a packed string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Offset in the unpacked string.
    pub at: usize,
    /// What was expected there.
    pub expected: &'static str,
}

/// A packed string being read.
#[derive(Debug, Clone)]
pub enum Packed {
    /// Redis 7 on.
    Listpack(Listpack),
    /// Up to Redis 6.2.
    Ziplist(Ziplist),
    /// Sets of integers.
    Intset(Intset),
    /// Hashes up to Redis 2.4.
    Zipmap(Zipmap),
}

impl Packed {
    /// The next element of `bytes`, which are the same every time; `None` at a valid end.
    ///
    /// # Errors
    /// Bytes that are no such encoding.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Option<Item>, Fault> {
        match self {
            Packed::Listpack(listpack) => listpack.next(bytes),
            Packed::Ziplist(ziplist) => ziplist.next(bytes),
            Packed::Intset(intset) => intset.next(bytes),
            Packed::Zipmap(zipmap) => zipmap.next(bytes),
        }
    }

    /// Elements left, as the header says; `None` when it does not.
    pub fn announced(&self) -> Option<u64> {
        match self {
            Packed::Listpack(listpack) => listpack.announced(),
            Packed::Ziplist(ziplist) => ziplist.announced(),
            Packed::Intset(intset) => Some(intset.announced()),
            Packed::Zipmap(_) => None,
        }
    }
}

/// `N` bytes at `at`.
pub(super) fn array<const N: usize>(
    bytes: &[u8],
    at: usize,
    expected: &'static str,
) -> Result<[u8; N], Fault> {
    let found = bytes.get(at..).and_then(|rest| rest.first_chunk::<N>());
    found.copied().ok_or(Fault { at, expected })
}

/// The place of `len` bytes at `at`, of which the last `tail` bytes of `bytes` are no part.
pub(super) fn range(
    bytes: &[u8],
    at: usize,
    len: usize,
    tail: usize,
    expected: &'static str,
) -> Result<Range<usize>, Fault> {
    let end = at.checked_add(len).filter(|&end| end.saturating_add(tail) <= bytes.len());
    end.map(|end| at..end).ok_or(Fault { at, expected })
}
