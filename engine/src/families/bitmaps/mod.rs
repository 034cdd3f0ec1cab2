//! The commands that see strings as arrays of bits. Bit 0 is the highest bit of the first byte.

mod counting;
pub mod fields;
pub mod read;
pub mod write;

use crate::{
    command::{CommandError, Ctx},
    keyspace::{Key, canonical_int},
    limits::STRING_BYTES_MAX,
};

const OFFSET: CommandError = CommandError::new("ERR bit offset is not an integer or out of range");

/// The offset of a bit, as clients write it: within the longest string there may be.
fn offset(text: &[u8]) -> Result<u64, CommandError> {
    within_limit(canonical_int(text).ok_or(OFFSET)?)
}

fn within_limit(offset: i64) -> Result<u64, CommandError> {
    match u64::try_from(offset) {
        Ok(offset) if offset >> 3 < STRING_BYTES_MAX as u64 => Ok(offset),
        Ok(_) | Err(_) => Err(OFFSET),
    }
}

/// Makes a string of raw bytes out of what the key holds, which is a string or nothing, long
/// enough for the byte at `last`; true when it grew.
fn make_room(cx: &mut Ctx<'_>, key: Key<'_>, last: usize) -> Result<bool, CommandError> {
    let (len, byte) = match cx.find_string(key)? {
        Some(entry) => {
            let mut digits = itoa::Buffer::new();
            let value = entry.value();
            let bytes = value.bytes(&mut digits);
            (bytes.len(), bytes.get(last).copied().unwrap_or(0))
        }
        None => (0, 0),
    };
    cx.database().write_range(key, last, &[byte]);
    Ok(last >= len)
}
