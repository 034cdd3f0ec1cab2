//! Ziplists: how Redis up to 6.2 packed small collections and the nodes of lists.
//!
//! ```text
//! u32 bytes in all | u32 offset of the last entry | u16 entries (65535: unknown) | entries | FF
//! entry: length of the entry before (u8, or FE u32) | encoding | data
//! 00xxxxxx bytes             string         C0 D0 E0 F0 FE    integers of 16, 32, 64, 24, 8 bits
//! 01xxxxxx yyyyyyyy bytes    string         F1..FD            0..12
//! 80 u32 (big endian) bytes  string
//! ```

use super::{
    listpack::i24,
    packed::{Fault, Item, array, range},
};

const HEADER: usize = 10;
const END: u8 = 0xff;
const LONG: u8 = 0xfe;
const COUNT_UNKNOWN: u16 = u16::MAX;

/// A ziplist being read.
#[derive(Debug, Clone)]
pub struct Ziplist {
    at: usize,
    /// Where the entry before begins; its own place for the first one.
    before: usize,
    seen: u64,
    count: Option<u16>,
    tail: usize,
}

impl Ziplist {
    /// Checks the header.
    ///
    /// # Errors
    /// Bytes that are no ziplist.
    pub fn open(bytes: &[u8]) -> Result<Self, Fault> {
        let total = u32::from_le_bytes(array(bytes, 0, "a ziplist's length")?);
        if total as usize != bytes.len() {
            return Err(Fault { at: 0, expected: "a ziplist's length" });
        }
        let tail = u32::from_le_bytes(array(bytes, 4, "the place of a ziplist's last entry")?);
        let count = u16::from_le_bytes(array(bytes, 8, "a ziplist's number of entries")?);
        if bytes.len() <= HEADER || bytes.last() != Some(&END) {
            return Err(Fault { at: bytes.len(), expected: "the end of a ziplist" });
        }
        Ok(Self {
            at: HEADER,
            before: HEADER,
            seen: 0,
            count: (count != COUNT_UNKNOWN).then_some(count),
            tail: tail as usize,
        })
    }

    /// Entries, as the header says.
    pub fn announced(&self) -> Option<u64> {
        self.count.map(u64::from)
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// Bytes that are no ziplist.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Option<Item>, Fault> {
        let at = self.at;
        let first = array::<1>(bytes, at, "a ziplist's entry")?[0];
        if first == END {
            return self.end(bytes).map(|()| None);
        }
        let (before, body) = if first == LONG {
            let len = u32::from_le_bytes(array(bytes, at + 1, "a ziplist's entry")?);
            (len as usize, at + 5)
        } else {
            (usize::from(first), at + 1)
        };
        if before != at - self.before {
            return Err(Fault { at, expected: "the length of the ziplist entry before" });
        }
        let (item, end) = entry(bytes, body)?;
        self.before = at;
        self.at = end;
        self.seen += 1;
        Ok(Some(item))
    }

    fn end(&self, bytes: &[u8]) -> Result<(), Fault> {
        let at = self.at;
        if at + 1 != bytes.len() {
            return Err(Fault { at, expected: "a ziplist's entry" });
        }
        if self.count.is_some_and(|count| u64::from(count) != self.seen) {
            return Err(Fault { at, expected: "as many entries as the ziplist announces" });
        }
        if self.tail != self.before {
            return Err(Fault { at: 4, expected: "the place of a ziplist's last entry" });
        }
        Ok(())
    }
}

/// The entry whose encoding is at `at`, and where it ends.
fn entry(bytes: &[u8], at: usize) -> Result<(Item, usize), Fault> {
    const NUMBER: &str = "a ziplist's integer";
    const STRING: &str = "a ziplist's string";
    let tag = array::<1>(bytes, at, "a ziplist's entry")?[0];
    let string = |from: usize, len: usize| {
        let found = range(bytes, from, len, 1, STRING)?;
        let end = found.end;
        Ok((Item::Bytes(found), end))
    };
    let int = |n: i64, len: usize| Ok((Item::Int(n), at + 1 + len));
    match tag {
        0..=0x3f => string(at + 1, usize::from(tag)),
        0x40..=0x7f => {
            let low = array::<1>(bytes, at + 1, STRING)?[0];
            string(at + 2, usize::from(tag & 0x3f) << 8 | usize::from(low))
        }
        0x80 => string(at + 5, u32::from_be_bytes(array(bytes, at + 1, STRING)?) as usize),
        0xc0 => int(i64::from(i16::from_le_bytes(array(bytes, at + 1, NUMBER)?)), 2),
        0xd0 => int(i64::from(i32::from_le_bytes(array(bytes, at + 1, NUMBER)?)), 4),
        0xe0 => int(i64::from_le_bytes(array(bytes, at + 1, NUMBER)?), 8),
        0xf0 => int(i64::from(i24(array(bytes, at + 1, NUMBER)?)), 3),
        0xfe => int(i64::from(i8::from_le_bytes(array(bytes, at + 1, NUMBER)?)), 1),
        0xf1..=0xfd => int(i64::from(tag - 0xf1), 0),
        _ => Err(Fault { at, expected: "a ziplist's encoding" }),
    }
}
