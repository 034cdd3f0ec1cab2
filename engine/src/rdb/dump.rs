//! DUMP payloads: `type, value, u16 version, u64 checksum` (both little endian).

use super::{
    crc64,
    encode::Strings,
    opcode::value,
    reader::{Reader, is_known_version},
};

/// Version and checksum, bytes.
const FOOTER: usize = 2 + 8;
/// What Redis 7.0 writes.
const VERSION: u16 = 10;
/// Values that are compressed grow and shrink their table once per call: DUMP is no hot path.
const COMPRESS: bool = true;

/// The payload of a string, as Redis 7.0 makes it with `rdbcompression yes`.
pub fn string(text: &[u8]) -> Vec<u8> {
    let mut payload = vec![value::STRING];
    Strings::default().put(&mut payload, text, COMPRESS);
    payload.extend(VERSION.to_le_bytes());
    let crc = crc64::update(0, &payload);
    payload.extend(crc.to_le_bytes());
    payload
}

/// A reader of a payload's value; `None`: version or checksum are wrong. A checksum of 0 is not
/// looked at in files, here it must be right.
pub fn open(payload: &[u8]) -> Option<Reader> {
    let (body, footer) = payload.split_last_chunk::<FOOTER>()?;
    let (version, crc) = footer.split_first_chunk::<2>()?;
    let version = u32::from(u16::from_le_bytes(*version));
    let sum = crc64::update(0, payload.get(..payload.len() - 8)?);
    let right = is_known_version(version) && crc == sum.to_le_bytes();
    right.then(|| Reader::payload(body, version))
}
