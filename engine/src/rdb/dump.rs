//! DUMP payloads: `type, value, u16 version, u64 checksum` (both little endian).

use super::{
    crc64,
    encode::Strings,
    event::{Element, KeyHead, Kind, Text},
    opcode::value,
    reader::{Reader, is_known_version},
    writer::{Layout, Unwritable, Writer},
};

/// Version and checksum, bytes.
const FOOTER: usize = 2 + 8;
/// What Redis 7.0 writes.
const VERSION: u16 = 10;
/// The default of `rdbcompression`.
const COMPRESS: bool = true;

/// The payload of a string, as Redis 7.0 makes it with `rdbcompression yes`.
pub fn string(text: &[u8]) -> Vec<u8> {
    let mut payload = vec![value::STRING];
    Strings::default().put(&mut payload, text, COMPRESS);
    sealed(payload)
}

/// The payload of any value, in the encodings of REDIS0010, from its elements: `show` hands over
/// `count` of them (of a stream: nodes, and what follows). A layout other than by size is for
/// hashes, sets and sorted sets.
///
/// # Errors
/// A value that cannot be written.
pub fn elements(
    kind: Kind,
    count: u64,
    layout: Layout,
    show: impl FnOnce(
        &mut dyn FnMut(Element<Text<'_>>) -> Result<(), Unwritable>,
    ) -> Result<(), Unwritable>,
) -> Result<Vec<u8>, Unwritable> {
    let mut writer = Writer::payload(COMPRESS, layout);
    let (db, key) = (0, b"".as_slice());
    let (expires_ms, idle_s, freq) = (None, None, None);
    writer.key(&KeyHead { db, key, kind, count: None, expires_ms, idle_s, freq, offset: 0 }, count);
    show(&mut |element| writer.element(element))?;
    writer.key_end()?;
    Ok(sealed(writer.take()))
}

fn sealed(mut payload: Vec<u8>) -> Vec<u8> {
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
