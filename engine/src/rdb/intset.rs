//! Intsets: sets of integers, `u32 width (2, 4, 8) | u32 count | integers, ascending`, all little
//! endian.

use super::packed::{Fault, Item, array};

const HEADER: usize = 8;

/// An intset being read.
#[derive(Debug, Clone)]
pub struct Intset {
    at: usize,
    width: usize,
    last: Option<i64>,
    count: u64,
}

impl Intset {
    /// Checks the header.
    ///
    /// # Errors
    /// Bytes that are no intset.
    pub fn open(bytes: &[u8]) -> Result<Self, Fault> {
        let width = u32::from_le_bytes(array(bytes, 0, "an intset's width of 2, 4 or 8")?);
        if !matches!(width, 2 | 4 | 8) {
            return Err(Fault { at: 0, expected: "an intset's width of 2, 4 or 8" });
        }
        let count = u32::from_le_bytes(array(bytes, 4, "an intset's number of elements")?);
        if u64::from(count) * u64::from(width) + HEADER as u64 != bytes.len() as u64 {
            return Err(Fault { at: 4, expected: "as many elements as the intset announces" });
        }
        Ok(Self { at: HEADER, width: width as usize, last: None, count: u64::from(count) })
    }

    /// Elements, as the header says.
    pub fn announced(&self) -> u64 {
        self.count
    }

    /// The next element; `None` at the end.
    ///
    /// # Errors
    /// Integers that do not ascend.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Option<Item>, Fault> {
        const INTEGER: &str = "an intset's integer";
        let at = self.at;
        if at >= bytes.len() {
            return Ok(None);
        }
        let n = match self.width {
            2 => i64::from(i16::from_le_bytes(array(bytes, at, INTEGER)?)),
            4 => i64::from(i32::from_le_bytes(array(bytes, at, INTEGER)?)),
            _ => i64::from_le_bytes(array(bytes, at, INTEGER)?),
        };
        if self.last.is_some_and(|last| last >= n) {
            return Err(Fault { at, expected: "an integer above the one before" });
        }
        self.last = Some(n);
        self.at += self.width;
        Ok(Some(Item::Int(n)))
    }
}

/// An intset of these integers, in any order; each must be there once.
pub fn write(integers: &mut [i64]) -> Vec<u8> {
    integers.sort_unstable();
    let fits = |n: &i64, bits: u32| (*n << (64 - bits)) >> (64 - bits) == *n;
    let width = [2, 4]
        .into_iter()
        .find(|width| integers.iter().all(|n| fits(n, width * 8)))
        .unwrap_or(8usize as u32);
    let mut bytes = Vec::with_capacity(HEADER + integers.len() * width as usize);
    bytes.extend(width.to_le_bytes());
    bytes.extend((integers.len() as u32).to_le_bytes());
    for n in integers {
        bytes.extend_from_slice(&n.to_le_bytes()[..width as usize]);
    }
    bytes
}
