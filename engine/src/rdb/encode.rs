//! The smallest things an RDB file is made of, written: lengths, strings.

use super::{
    lzf::Compressor,
    number,
    opcode::{length, string},
};

/// Shorter strings are not worth packing, bytes; as in Redis.
const COMPRESSED_MIN: usize = 21;
/// Packing must save this much, bytes; as in Redis.
const SAVED_MIN: usize = 4;
/// Longest text of an integer that is looked for, bytes: those of four bytes.
const INTEGER_TEXT_MAX: usize = 11;

/// Appends a number of variable size.
pub fn put_length(out: &mut Vec<u8>, n: u64) {
    match n {
        0..=0x3f => out.push(n as u8),
        0x40..=0x3fff => out.extend([0x40 | (n >> 8) as u8, n as u8]),
        0x4000..=0xffff_ffff => {
            out.push(length::U32);
            out.extend((n as u32).to_be_bytes());
        }
        _ => {
            out.push(length::U64);
            out.extend(n.to_be_bytes());
        }
    }
}

/// Writes strings the way Redis does: integers of up to four bytes as such, long texts packed
/// when that is asked for and saves something, all others as they are.
#[derive(Default)]
pub struct Strings {
    compressor: Option<Compressor>,
    packed: Vec<u8>,
}

impl Strings {
    /// Appends a string.
    pub fn put(&mut self, out: &mut Vec<u8>, bytes: &[u8], compress: bool) {
        if bytes.len() <= INTEGER_TEXT_MAX
            && let Some(n) = number::canonical(bytes)
            && put_integer(out, n)
        {
            return;
        }
        if compress && bytes.len() >= COMPRESSED_MIN {
            let compressor = self.compressor.get_or_insert_default();
            if compressor.compress(bytes, bytes.len() - SAVED_MIN, &mut self.packed) {
                out.push(string::LZF);
                put_length(out, self.packed.len() as u64);
                put_length(out, bytes.len() as u64);
                out.extend_from_slice(&self.packed);
                return;
            }
        }
        put_length(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
}

/// Appends an integer of up to four bytes; false: it needs more.
fn put_integer(out: &mut Vec<u8>, n: i64) -> bool {
    if let Ok(n) = i8::try_from(n) {
        out.push(string::INT8);
        out.extend(n.to_le_bytes());
    } else if let Ok(n) = i16::try_from(n) {
        out.push(string::INT16);
        out.extend(n.to_le_bytes());
    } else if let Ok(n) = i32::try_from(n) {
        out.push(string::INT32);
        out.extend(n.to_le_bytes());
    } else {
        return false;
    }
    true
}
