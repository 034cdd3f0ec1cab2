//! DUMP payloads: `type, value, u16 version, u64 checksum` (both little endian).

use super::{
    crc64,
    encode::Strings,
    event::{Element, Event, KeyHead, Kind, Text},
    opcode::value,
    reader::{Reader, is_known_version},
    writer::{Layout, Options, Unwritable, Version, Writer},
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
    let (db, key, packed) = (0, b"".as_slice(), false);
    let (expires_ms, idle_s, freq) = (None, None, None);
    writer.key(
        &KeyHead { db, key, kind, packed, count: None, expires_ms, idle_s, freq, offset: 0 },
        count,
    );
    show(&mut |element| writer.element(element))?;
    writer.key_end()?;
    Ok(sealed(writer.take()))
}

/// The payload of function libraries, as FUNCTION DUMP gives it.
pub fn functions<'s>(sources: impl Iterator<Item = &'s [u8]>) -> Vec<u8> {
    let mut writer =
        Writer::middle(Options { version: Version::Ten, compress: COMPRESS, checksum: false });
    for source in sources {
        // Only REDIS0009 has none.
        let _ = writer.function(source);
    }
    sealed(writer.take())
}

/// What a payload of function libraries holds; `None`: version or checksum are wrong. An error is a
/// payload of something else.
pub fn read_functions(payload: &[u8]) -> Option<Result<Vec<Vec<u8>>, &'static str>> {
    open(payload)?;
    let (body, _) = payload.split_last_chunk::<FOOTER>()?;
    // As a part of a file.
    let mut reader = Reader::part(u32::from(VERSION), 0);
    reader.feed(body);
    reader.end();
    let mut sources = Vec::new();
    loop {
        match reader.next() {
            Ok(Event::Function(source)) => sources.push(source.to_vec()),
            Ok(Event::More | Event::End { .. }) => return Some(Ok(sources)),
            Ok(_) => return Some(Err("given type is not a function")),
            Err(_) => return Some(Err("failed loading the given functions payload")),
        }
    }
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
