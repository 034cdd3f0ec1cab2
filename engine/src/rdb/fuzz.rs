//! What a fuzzer calls: any bytes are a file or a payload that is read or refused, and what is read
//! can be written and read again.

use super::{
    crc64, dump,
    event::KeyHead,
    model::{RdbFile, RdbKey, RdbValue},
    reader::Reader,
    writer::{Options, Version, Writer},
};

/// Takes any bytes. The first chooses what they are: whether a file or a payload, the size of the
/// pieces, whether the checksum is made right.
///
/// # Panics
/// When the codec breaks a promise.
pub fn any_bytes(data: &[u8]) {
    let Some((&how, bytes)) = data.split_first() else { return };
    let mut bytes = bytes.to_vec();
    if how & 1 != 0 && bytes.len() >= 8 {
        let body = bytes.len() - 8;
        let crc = crc64::update(0, &bytes[..body]);
        bytes[body..].copy_from_slice(&crc.to_le_bytes());
    }
    if how & 2 != 0 {
        if let Some(reader) = dump::open(&bytes) {
            drain(reader);
        }
        return;
    }
    let read = RdbFile::read(&bytes, usize::from(how >> 2) + 1);
    assert_eq!(read, RdbFile::read(&bytes, bytes.len().max(1)), "pieces do not matter");
    let Ok(file) = read else { return };
    for version in [Version::Nine, Version::Ten] {
        rewrite(&file, version);
    }
}

/// Reads to the end or to an error.
fn drain(mut reader: Reader) {
    let end = loop {
        match reader.next() {
            Ok(super::Event::More) => reader.end(),
            Ok(super::Event::End { bytes }) => break Ok(bytes),
            Ok(_) => {}
            Err(error) => break Err(error),
        }
    };
    let again = reader.next();
    match end {
        Ok(bytes) => assert_eq!(again, Ok(super::Event::End { bytes })),
        Err(error) => assert_eq!(again, Err(error)),
    }
}

/// Writes every key that can be written and reads it again.
fn rewrite(file: &RdbFile, version: Version) {
    let options = Options { version, compress: true, checksum: true };
    for RdbKey { head, value } in &file.keys {
        let mut writer = Writer::new(options);
        let KeyHead { db, kind, packed, count, expires_ms, idle_s, freq, offset, .. } = *head;
        let key = head.key.as_slice();
        let head = KeyHead { db, key, kind, packed, count, expires_ms, idle_s, freq, offset };
        if writer.value(&head, value).is_err() {
            continue;
        }
        writer.finish();
        let again = RdbFile::read(&writer.take(), 64).expect("what is written can be read");
        assert_eq!(again.keys.len(), 1);
        assert_eq!(again.keys[0].head.key, head.key);
        assert_eq!(again.keys[0].head.expires_ms, head.expires_ms);
        if let (RdbValue::String(_) | RdbValue::List(_), again) = (value, &again.keys[0].value) {
            assert_eq!(value, again);
        }
    }
}
