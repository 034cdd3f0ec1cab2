//! Zipmaps: how Redis up to 2.4 packed small hashes.
//!
//! ```text
//! u8 pairs (254 or more: unknown) | pairs | FF
//! pair: length, field | length, u8 unused bytes behind the value, value, unused bytes
//! length: u8 up to 253, or FE u32 (little endian)
//! ```

use super::packed::{Fault, Item, array, range};

const END: u8 = 0xff;
const LONG: u8 = 0xfe;

/// A zipmap being read: field, value, field ..
#[derive(Debug, Clone)]
pub struct Zipmap {
    at: usize,
    seen: u64,
    /// The next element is a value.
    value: bool,
}

impl Zipmap {
    /// Checks the frame.
    ///
    /// # Errors
    /// Bytes that are no zipmap.
    pub fn open(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() < 2 || bytes.last() != Some(&END) {
            return Err(Fault { at: bytes.len(), expected: "the end of a zipmap" });
        }
        Ok(Self { at: 1, seen: 0, value: false })
    }

    /// The next field or value; `None` at the end.
    ///
    /// # Errors
    /// Bytes that are no zipmap.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Option<Item>, Fault> {
        let at = self.at;
        let first = array::<1>(bytes, at, "a zipmap's length")?[0];
        if first == END {
            if self.value || at + 1 != bytes.len() {
                return Err(Fault { at, expected: "a zipmap's length" });
            }
            let announced = array::<1>(bytes, 0, "a zipmap's number of pairs")?[0];
            if announced < LONG && u64::from(announced) != self.seen {
                return Err(Fault { at, expected: "as many pairs as the zipmap announces" });
            }
            return Ok(None);
        }
        let (len, mut from) = if first == LONG {
            let len = u32::from_le_bytes(array(bytes, at + 1, "a zipmap's length")?);
            (len as usize, at + 5)
        } else {
            (usize::from(first), at + 1)
        };
        let mut unused = 0;
        if self.value {
            unused = usize::from(array::<1>(bytes, from, "a zipmap's value")?[0]);
            from += 1;
            self.seen += 1;
        }
        let found = range(bytes, from, len, unused + 1, "a zipmap's string")?;
        self.at = found.end + unused;
        self.value = !self.value;
        Ok(Some(Item::Bytes(found)))
    }
}
