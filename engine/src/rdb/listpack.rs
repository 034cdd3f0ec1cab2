//! Listpacks: how Redis 7 packs small collections and the nodes of lists and streams.
//!
//! ```text
//! u32 bytes in all | u16 elements (65535: unknown) | elements | FF
//! element: encoding and data | length of that, seven bits a byte, most significant first
//! 0xxxxxxx                 0..127        110xxxxx yyyyyyyy    13 bit signed integer
//! 10xxxxxx bytes           string        1110xxxx yyyyyyyy bytes    string, 12 bit length
//! F0 u32 bytes             string        F1 F2 F3 F4    integers of 16, 24, 32, 64 bits
//! ```
//! Numbers of more than one byte are little endian, except where bits are shared with the tag.

use super::packed::{Fault, Item, array, range};

const HEADER: usize = 6;
const END: u8 = 0xff;
const COUNT_UNKNOWN: u16 = u16::MAX;

/// A listpack being read.
#[derive(Debug, Clone)]
pub struct Listpack {
    at: usize,
    seen: u64,
    count: Option<u16>,
}

impl Listpack {
    /// Checks the header.
    ///
    /// # Errors
    /// Bytes that are no listpack.
    pub fn open(bytes: &[u8]) -> Result<Self, Fault> {
        let total = u32::from_le_bytes(array(bytes, 0, "a listpack's length")?);
        if total as usize != bytes.len() {
            return Err(Fault { at: 0, expected: "a listpack's length" });
        }
        let count = u16::from_le_bytes(array(bytes, 4, "a listpack's number of elements")?);
        if bytes.len() <= HEADER || bytes.last() != Some(&END) {
            return Err(Fault { at: bytes.len(), expected: "the end of a listpack" });
        }
        Ok(Self { at: HEADER, seen: 0, count: (count != COUNT_UNKNOWN).then_some(count) })
    }

    /// Elements, as the header says.
    pub fn announced(&self) -> Option<u64> {
        self.count.map(u64::from)
    }

    /// Where the next element begins.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The next element; `None` at the end.
    ///
    /// # Errors
    /// Bytes that are no listpack.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Option<Item>, Fault> {
        let at = self.at;
        let tag = array::<1>(bytes, at, "a listpack's element")?[0];
        if tag == END {
            if at + 1 != bytes.len() {
                return Err(Fault { at, expected: "a listpack's element" });
            }
            if self.count.is_some_and(|count| u64::from(count) != self.seen) {
                return Err(Fault { at, expected: "as many elements as the listpack announces" });
            }
            return Ok(None);
        }
        let (item, end) = element(bytes, at, tag)?;
        let back = back_length(end - at);
        if bytes.get(end..).and_then(|rest| rest.get(..back.1)) != Some(&back.0[..back.1]) {
            return Err(Fault { at: end, expected: "the length of a listpack's element" });
        }
        self.at = end + back.1;
        self.seen += 1;
        Ok(Some(item))
    }
}

/// The element at `at` and where its data ends.
fn element(bytes: &[u8], at: usize, tag: u8) -> Result<(Item, usize), Fault> {
    const NUMBER: &str = "a listpack's integer";
    const STRING: &str = "a listpack's string";
    let string = |from: usize, len: usize| {
        let found = range(bytes, from, len, 1, STRING)?;
        let end = found.end;
        Ok((Item::Bytes(found), end))
    };
    let low = |bits: u8| -> Result<usize, Fault> {
        let second = array::<1>(bytes, at + 1, STRING)?[0];
        Ok(usize::from(tag & bits) << 8 | usize::from(second))
    };
    let int = |n: i64, len: usize| Ok((Item::Int(n), at + 1 + len));
    match tag {
        0..=0x7f => int(i64::from(tag), 0),
        0x80..=0xbf => string(at + 1, usize::from(tag & 0x3f)),
        0xc0..=0xdf => {
            let n = low(0x1f)? as i64;
            int(if n >= 1 << 12 { n - (1 << 13) } else { n }, 1)
        }
        0xe0..=0xef => string(at + 2, low(0x0f)?),
        0xf0 => string(at + 5, u32::from_le_bytes(array(bytes, at + 1, STRING)?) as usize),
        0xf1 => int(i64::from(i16::from_le_bytes(array(bytes, at + 1, NUMBER)?)), 2),
        0xf2 => int(i64::from(i24(array(bytes, at + 1, NUMBER)?)), 3),
        0xf3 => int(i64::from(i32::from_le_bytes(array(bytes, at + 1, NUMBER)?)), 4),
        0xf4 => int(i64::from_le_bytes(array(bytes, at + 1, NUMBER)?), 8),
        _ => Err(Fault { at, expected: "a listpack's element" }),
    }
}

/// A signed integer of three bytes.
pub(super) fn i24(bytes: [u8; 3]) -> i32 {
    i32::from_le_bytes([0, bytes[0], bytes[1], bytes[2]]) >> 8
}

/// How the length of an element is written behind it, and in how many bytes.
fn back_length(len: usize) -> ([u8; 5], usize) {
    let size = match len {
        0..=127 => 1,
        128..=16_382 => 2,
        16_383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    };
    let mut back = [0; 5];
    for (k, byte) in back[..size].iter_mut().enumerate() {
        *byte = (len >> (7 * (size - 1 - k))) as u8 & 0x7f | if k == 0 { 0 } else { 0x80 };
    }
    (back, size)
}

/// A listpack being made.
#[derive(Debug)]
pub struct ListpackWriter {
    bytes: Vec<u8>,
    count: u64,
}

impl Default for ListpackWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl ListpackWriter {
    /// An empty one.
    pub fn new() -> Self {
        Self { bytes: vec![0; HEADER], count: 0 }
    }

    /// Appends an integer.
    pub fn push_int(&mut self, n: i64) {
        let start = self.bytes.len();
        let little = n.to_le_bytes();
        match n {
            0..=127 => self.bytes.push(n as u8),
            -4096..=4095 => {
                self.bytes.extend([0xc0 | (n >> 8) as u8 & 0x1f, n as u8]);
            }
            -0x8000..=0x7fff => self.tagged(0xf1, &little[..2]),
            -0x80_0000..=0x7f_ffff => self.tagged(0xf2, &little[..3]),
            -0x8000_0000..=0x7fff_ffff => self.tagged(0xf3, &little[..4]),
            _ => self.tagged(0xf4, &little),
        }
        self.close(start);
    }

    /// Appends bytes; those that an integer prints as become one, as in Redis.
    pub fn push(&mut self, bytes: &[u8]) {
        if let Some(n) = super::number::canonical(bytes) {
            return self.push_int(n);
        }
        let (start, len) = (self.bytes.len(), bytes.len());
        match len {
            0..=63 => self.bytes.push(0x80 | len as u8),
            64..=4095 => self.bytes.extend([0xe0 | (len >> 8) as u8, len as u8]),
            _ => self.tagged(0xf0, &(len as u32).to_le_bytes()),
        }
        self.bytes.extend_from_slice(bytes);
        self.close(start);
    }

    fn tagged(&mut self, tag: u8, data: &[u8]) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(data);
    }

    fn close(&mut self, start: usize) {
        let (back, size) = back_length(self.bytes.len() - start);
        self.bytes.extend_from_slice(&back[..size]);
        self.count += 1;
    }

    /// Appends all elements of another.
    pub fn append(&mut self, other: &Self) {
        self.bytes.extend_from_slice(&other.bytes[HEADER..]);
        self.count += other.count;
    }

    /// The finished listpack; the writer is empty again afterwards.
    pub fn finish(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::replace(&mut self.bytes, vec![0; HEADER]);
        bytes.push(END);
        let total = bytes.len() as u32;
        let count = u16::try_from(self.count).unwrap_or(COUNT_UNKNOWN);
        bytes[..4].copy_from_slice(&total.to_le_bytes());
        bytes[4..HEADER].copy_from_slice(&count.to_le_bytes());
        self.count = 0;
        bytes
    }
}
