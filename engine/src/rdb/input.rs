//! Bytes of a file on their way through the reader, and the smallest things they are made of.
//!
//! Owns the window: what was fed and is not used up, its place in the file, the checksum of what is
//! used up. Whatever is announced is read only when its bytes are there; nothing is reserved for a
//! length that a file claims. A string is handed out as its place, since the window moves.

use super::{
    crc64,
    error::Problem,
    lzf,
    opcode::{length, string},
};
use std::ops::Range;

/// Longest string, bytes: what a length of the keyspace holds.
const STRING_BYTES_MAX: u64 = u32::MAX as u64;
/// A window that has grown beyond this for one long string is given back, bytes.
const WINDOW_KEPT: usize = 1 << 20;

/// A string, by its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The text of an integer.
    Int(i64),
    /// In the window.
    Window(Range<usize>),
    /// Among the unpacked strings of this event.
    Unpacked(Range<usize>),
    /// In the packed collection.
    Blob(Range<usize>),
}

/// Why a step cannot be taken.
#[derive(Debug)]
pub enum Stop {
    /// The window must reach to `need` first.
    Short {
        /// Index in the window.
        need: usize,
        /// What would be there.
        expected: &'static str,
    },
    /// Bad bytes at this place of the file.
    Wrong(u64, Problem),
}

/// What was fed and is not used up.
#[derive(Debug, Default)]
pub struct Window {
    bytes: Vec<u8>,
    /// Bytes that are used up.
    at: usize,
    /// Place of the window in the file.
    base: u64,
    /// The last step stopped for want of bytes up to here.
    need: usize,
    ended: bool,
    /// No checksum is made.
    unsummed: bool,
    crc: u64,
}

impl Window {
    /// A window that begins at `base` of the file, whose checksum nobody asks for.
    pub fn unsummed(base: u64) -> Self {
        Self { base, unsummed: true, ..Self::default() }
    }

    /// True when everything is used up and nothing will follow.
    pub fn is_used_up(&self) -> bool {
        self.ended && self.at == self.bytes.len()
    }

    /// Appends bytes of the file.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.at > 0 {
            self.bytes.drain(..self.at);
            self.base += self.at as u64;
            self.need = self.need.saturating_sub(self.at);
            self.at = 0;
            if self.bytes.capacity() > WINDOW_KEPT && self.bytes.len() < WINDOW_KEPT / 2 {
                self.bytes.shrink_to(WINDOW_KEPT);
            }
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Says that nothing will follow.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// True when nothing will follow.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// True when a step would stop again.
    pub fn is_short(&self) -> bool {
        !self.ended && self.bytes.len() < self.need
    }

    /// Notes what a step lacked.
    pub fn lacks(&mut self, need: usize) {
        self.need = need;
    }

    /// Place in the file behind everything that was fed.
    pub fn end_offset(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// Bytes of the file used up.
    pub fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// The checksum of what is used up.
    pub fn crc(&self) -> u64 {
        self.crc
    }

    /// Uses bytes up to an index up.
    pub fn commit(&mut self, to: usize) {
        if !self.unsummed {
            self.crc = crc64::update(self.crc, &self.bytes[self.at..to]);
        }
        self.at = to;
        self.need = 0;
    }

    /// A cursor at the first byte that is not used up.
    pub fn cursor(&self) -> Cursor<'_> {
        Cursor { bytes: &self.bytes, at: self.at, base: self.base }
    }

    /// The bytes at a place.
    pub fn slice(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }
}

/// Reads the window without using it up.
#[derive(Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    base: u64,
}

impl<'a> Cursor<'a> {
    /// Index of the next byte.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Place in the file of the next byte.
    pub fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// The bytes at a place.
    pub fn slice(&self, range: Range<usize>) -> &'a [u8] {
        &self.bytes[range]
    }

    /// Bad bytes at index `at`.
    fn wrong<T>(&self, at: usize, expected: &'static str) -> Result<T, Stop> {
        Err(Stop::Wrong(self.base + at as u64, Problem::Expected(expected)))
    }

    /// The next byte.
    pub fn byte(&mut self, expected: &'static str) -> Result<u8, Stop> {
        self.array::<1>(expected).map(|[byte]| byte)
    }

    /// The next `N` bytes.
    pub fn array<const N: usize>(&mut self, expected: &'static str) -> Result<[u8; N], Stop> {
        match self.bytes.get(self.at..).and_then(|rest| rest.first_chunk::<N>()) {
            Some(found) => {
                self.at += N;
                Ok(*found)
            }
            None => Err(Stop::Short { need: self.at + N, expected }),
        }
    }

    /// The place of the next `len` bytes.
    pub fn take(&mut self, len: u64, expected: &'static str) -> Result<Range<usize>, Stop> {
        if len > STRING_BYTES_MAX {
            return self.wrong(self.at, "a string of less than 4 GiB");
        }
        let range = self.at..self.at + len as usize;
        if range.end > self.bytes.len() {
            return Err(Stop::Short { need: range.end, expected });
        }
        self.at = range.end;
        Ok(range)
    }

    /// A number of variable size.
    pub fn length(&mut self, expected: &'static str) -> Result<u64, Stop> {
        let start = self.at;
        let first = self.byte(expected)?;
        Ok(match first >> 6 {
            0 => u64::from(first),
            1 => u64::from(first & 63) << 8 | u64::from(self.byte(expected)?),
            _ if first == length::U32 => u64::from(u32::from_be_bytes(self.array(expected)?)),
            _ if first == length::U64 => u64::from_be_bytes(self.array(expected)?),
            _ => return self.wrong(start, expected),
        })
    }

    /// A string; one that is packed is unpacked to the end of `unpacked`.
    pub fn text(&mut self, unpacked: &mut Vec<u8>, expected: &'static str) -> Result<Part, Stop> {
        let start = self.at;
        match self.bytes.get(start) {
            Some(first) if *first >= 0xc0 => {}
            _ => {
                let len = self.length(expected)?;
                return Ok(Part::Window(self.take(len, expected)?));
            }
        }
        Ok(match self.byte(expected)? {
            string::INT8 => Part::Int(i64::from(i8::from_le_bytes(self.array(expected)?))),
            string::INT16 => Part::Int(i64::from(i16::from_le_bytes(self.array(expected)?))),
            string::INT32 => Part::Int(i64::from(i32::from_le_bytes(self.array(expected)?))),
            string::LZF => {
                let packed = self.length(expected)?;
                let len = self.length(expected)?;
                let packed = self.take(packed, expected)?;
                let from = unpacked.len();
                if len > STRING_BYTES_MAX
                    || !lzf::decompress(&self.bytes[packed], len as usize, unpacked)
                {
                    return self.wrong(start, "a compressed string of the length it announces");
                }
                Part::Unpacked(from..unpacked.len())
            }
            _ => return self.wrong(start, expected),
        })
    }

    /// A point in time, ms.
    pub fn millis(&mut self, expected: &'static str) -> Result<i64, Stop> {
        Ok(i64::from_le_bytes(self.array(expected)?))
    }
}
