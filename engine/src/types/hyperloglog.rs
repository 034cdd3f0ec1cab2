//! HyperLogLog: how many different elements there are, about, in at most 12 KiB.
//!
//! A value is a string, byte for byte as Redis 7.0 writes it:
//! ```text
//! "HYLL"  encoding u8  3 zero bytes  cardinality u64 (little-endian; top bit: out of date)
//! dense:  16384 registers of 6 bits, lowest bits first
//! sparse: runs of registers of the same value                       sparse.rs
//! ```
//! Owns the bytes and the estimate (Ertl, "New cardinality estimation algorithms for HyperLogLog
//! sketches", arXiv:1702.01284). Knows no key; changes are deterministic.

pub mod sparse;

#[cfg(test)]
mod tests;

use sparse::Run;

/// Bits of the hash that choose a register.
const INDEX_BITS: u32 = 14;
/// Registers of one value.
pub const REGISTERS: usize = 1 << INDEX_BITS;
/// Bits of the hash in which leading zeros are counted.
const COUNTED_BITS: u32 = 64 - INDEX_BITS;
/// Bits of a dense register.
const REGISTER_BITS: usize = 6;
/// Bytes before the registers.
pub const HEADER_BYTES: usize = 16;
/// Length of a dense value, bytes.
pub const DENSE_BYTES: usize = HEADER_BYTES + REGISTERS * REGISTER_BITS / 8;

const MAGIC: &[u8] = b"HYLL";
const DENSE: u8 = 0;
const SPARSE: u8 = 1;
/// In the last byte of the header: the cardinality there is out of date.
const STALE: u8 = 0x80;
/// 0.5 / ln 2
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// A sparse value whose runs make no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Corrupt;

/// How the registers are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// 6 bits each.
    Dense,
    /// In runs.
    Sparse,
}

/// The encoding that the header of a value says; None when the bytes are no HyperLogLog.
pub fn encoding(bytes: &[u8]) -> Option<Encoding> {
    if bytes.len() < HEADER_BYTES || !bytes.starts_with(MAGIC) {
        return None;
    }
    match bytes[4] {
        DENSE if bytes.len() == DENSE_BYTES => Some(Encoding::Dense),
        SPARSE => Some(Encoding::Sparse),
        _ => None,
    }
}

/// A value without elements.
pub fn empty() -> Vec<u8> {
    let mut bytes = vec![0; HEADER_BYTES];
    bytes[..4].copy_from_slice(MAGIC);
    bytes[4] = SPARSE;
    sparse::push_zeros(&mut bytes, REGISTERS);
    bytes
}

/// The cardinality in the header, None when it is out of date.
pub fn cached(bytes: &[u8]) -> Option<u64> {
    let card = bytes.get(8..HEADER_BYTES)?.first_chunk::<8>()?;
    (card[7] & STALE == 0).then(|| u64::from_le_bytes(*card))
}

/// Marks the cardinality in the header as out of date.
pub fn forget_cached(bytes: &mut [u8]) {
    bytes[HEADER_BYTES - 1] |= STALE;
}

/// MurmurHash64A (Appleby): what Redis hashes elements with.
fn murmur(bytes: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const R: u32 = 47;
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(M);
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let mut k = u64::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> R;
        hash = (hash ^ k.wrapping_mul(M)).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(M);
    }
    hash ^= hash >> R;
    hash = hash.wrapping_mul(M);
    hash ^ hash >> R
}

/// The register of an element, and the value it asks of it: 1 to 51.
pub fn place(element: &[u8]) -> (usize, u8) {
    let hash = murmur(element, 0xadc8_3b19);
    let rest = hash >> INDEX_BITS | 1 << COUNTED_BITS;
    (hash as usize & (REGISTERS - 1), rest.trailing_zeros() as u8 + 1)
}

/// A register of a dense value.
#[inline]
pub fn dense_get(bytes: &[u8], index: usize) -> u8 {
    let (at, shift) = dense_place(index);
    let behind = bytes.get(at + 1).copied().unwrap_or(0);
    (u16::from_le_bytes([bytes[at], behind]) >> shift) as u8 & 63
}

#[inline]
fn dense_place(index: usize) -> (usize, usize) {
    let bit = index * REGISTER_BITS;
    (HEADER_BYTES + bit / 8, bit % 8)
}

/// Raises a register of a dense value to `value`, at most 63; false when it is not lower.
#[inline]
pub fn dense_raise(bytes: &mut [u8], index: usize, value: u8) -> bool {
    if dense_get(bytes, index) >= value {
        return false;
    }
    dense_put(bytes, index, value);
    true
}

#[inline]
fn dense_put(bytes: &mut [u8], index: usize, value: u8) {
    let (at, shift) = dense_place(index);
    let keep = !(63u16 << shift);
    let behind = bytes.get(at + 1).copied().unwrap_or(0);
    let both = u16::from_le_bytes([bytes[at], behind]) & keep | u16::from(value) << shift;
    let [low, high] = both.to_le_bytes();
    bytes[at] = low;
    if let Some(behind) = bytes.get_mut(at + 1) {
        *behind = high;
    }
}

/// The dense form of a value; its cached cardinality stays.
///
/// # Errors
/// The value is sparse and makes no sense.
pub fn to_dense(bytes: &[u8]) -> Result<Vec<u8>, Corrupt> {
    let mut dense = vec![0; DENSE_BYTES];
    dense[..HEADER_BYTES].copy_from_slice(&bytes[..HEADER_BYTES]);
    if bytes[4] == DENSE {
        dense.copy_from_slice(bytes);
        return Ok(dense);
    }
    dense[4] = DENSE;
    for_each_run(bytes, &mut |first, run| {
        if run.value > 0 {
            (first..first + run.len).for_each(|index| dense_put(&mut dense, index, run.value));
        }
    })?;
    Ok(dense)
}

/// The runs of a sparse value, each with its first register.
fn for_each_run(bytes: &[u8], emit: &mut dyn FnMut(usize, Run)) -> Result<(), Corrupt> {
    let mut first = 0;
    for run in sparse::runs(bytes) {
        if first + run.len > REGISTERS {
            return Err(Corrupt);
        }
        emit(first, run);
        first += run.len;
    }
    if first == REGISTERS { Ok(()) } else { Err(Corrupt) }
}

/// Raises `registers` to those of a value.
///
/// # Errors
/// The value is sparse and makes no sense; `registers` may have been raised then.
pub fn merge(registers: &mut [u8; REGISTERS], bytes: &[u8]) -> Result<(), Corrupt> {
    if bytes[4] == DENSE {
        for (index, register) in registers.iter_mut().enumerate() {
            *register = (*register).max(dense_get(bytes, index));
        }
        return Ok(());
    }
    for_each_run(bytes, &mut |first, run| {
        for register in &mut registers[first..first + run.len] {
            *register = (*register).max(run.value);
        }
    })
}

/// How many different elements were added, about.
///
/// # Errors
/// The value is sparse and makes no sense.
pub fn count(bytes: &[u8]) -> Result<u64, Corrupt> {
    let mut histogram = [0u32; 64];
    if bytes[4] == DENSE {
        for index in 0..REGISTERS {
            histogram[usize::from(dense_get(bytes, index))] += 1;
        }
    } else {
        for_each_run(bytes, &mut |_, run| histogram[usize::from(run.value)] += run.len as u32)?;
    }
    Ok(estimate(&histogram))
}

/// As [`count`], of registers that are bytes.
pub fn count_registers(registers: &[u8; REGISTERS]) -> u64 {
    let mut histogram = [0u32; 64];
    registers.iter().for_each(|value| histogram[usize::from(value & 63)] += 1);
    estimate(&histogram)
}

fn estimate(histogram: &[u32; 64]) -> u64 {
    let m = REGISTERS as f64;
    let highest = COUNTED_BITS as usize;
    let mut z = m * tau((m - f64::from(histogram[highest + 1])) / m);
    for value in (1..=highest).rev() {
        z += f64::from(histogram[value]);
        z *= 0.5;
    }
    z += m * sigma(f64::from(histogram[0]) / m);
    (ALPHA * m * m / z).round() as u64
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

/// What raising a register did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Raised {
    /// Nothing: it was not lower.
    No,
    /// It is raised now.
    Yes,
    /// It is raised, and the value dense since it would have been too long otherwise.
    TooLong,
}

/// Raises a register of a value, which becomes dense when it must: when its runs cannot hold the
/// register's value, or would grow beyond `sparse_bytes_max`.
///
/// # Errors
/// The value is sparse and makes no sense; nothing was done.
pub fn raise(
    bytes: &mut Vec<u8>,
    index: usize,
    value: u8,
    sparse_bytes_max: usize,
) -> Result<Raised, Corrupt> {
    if bytes[4] == DENSE {
        let raised = dense_raise(bytes, index, value);
        return Ok(if raised { Raised::Yes } else { Raised::No });
    }
    let too_long = if value > sparse::VALUE_MAX {
        false
    } else {
        match sparse::raise(bytes, index, value, sparse_bytes_max)? {
            sparse::Outcome::NotLower => return Ok(Raised::No),
            sparse::Outcome::Raised => {
                forget_cached(bytes);
                return Ok(Raised::Yes);
            }
            sparse::Outcome::TooLong => true,
        }
    };
    *bytes = to_dense(bytes)?;
    dense_raise(bytes, index, value);
    Ok(if too_long { Raised::TooLong } else { Raised::Yes })
}
