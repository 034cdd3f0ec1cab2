//! Any bytes are a manifest or are refused with a line; what is read is printed so that it is read
//! again.

use quire_engine::manifest::{Manifest, Trailer, parse};

/// Takes any bytes; an odd first byte asks for a checksum line that is right.
///
/// # Panics
/// When a promise is broken.
pub fn any_bytes(data: &[u8]) {
    let Some((&how, text)) = data.split_first() else { return };
    let mut text = text.to_vec();
    if how & 1 != 0 {
        text.extend_from_slice(&trailer_for(&text));
    }
    match parse(&text) {
        Ok((manifest, trailer)) => {
            let again = parse(&manifest.print());
            let mut expected = manifest;
            if trailer != Trailer::Valid {
                // These two come from the last line only.
                (expected.next_number, expected.epoch) = (0, 0);
            }
            assert_eq!(again, Ok((expected, Trailer::Valid)));
        }
        Err(error) => {
            let lines = text.split(|&b| b == b'\n').count();
            assert!(error.line <= lines, "{error}");
        }
    }
}

/// The last line of a manifest that begins with `text`.
fn trailer_for(text: &[u8]) -> Vec<u8> {
    // The line of an empty manifest, with another checksum.
    let empty = Manifest { next_number: 7, epoch: 3, ..Manifest::default() }.print();
    let line = String::from_utf8_lossy(&empty);
    let (fields, _) = line.rsplit_once(' ').unwrap_or_default();
    format!("{fields} {:08x}\n", crc32c::crc32c(text)).into_bytes()
}
