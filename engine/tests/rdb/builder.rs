//! RDB files put together byte by byte, from the format's description and by no code of ours.

use quire_engine::rdb::crc64;

/// Length in the smallest form there is.
pub fn len(n: usize) -> Vec<u8> {
    match n {
        0..=63 => vec![n as u8],
        64..=16_383 => vec![0x40 | (n >> 8) as u8, n as u8],
        _ => [&[0x80][..], &(n as u32).to_be_bytes()].concat(),
    }
}

/// A string as it is.
pub fn text(bytes: &[u8]) -> Vec<u8> {
    [len(bytes.len()), bytes.to_vec()].concat()
}

/// A file of this magic with this content, and its checksum.
pub fn file(magic: &str, content: &[u8]) -> Vec<u8> {
    let body = [magic.as_bytes(), content, b"\xff"].concat();
    let crc = crc64::update(0, &body);
    [&body, &crc.to_le_bytes()[..]].concat()
}

/// A key of this type.
pub fn key(value_type: u8, name: &str, value: &[u8]) -> Vec<u8> {
    [&[value_type][..], &text(name.as_bytes()), value].concat()
}

/// What a packed collection's element is.
#[derive(Debug, Clone)]
pub enum Packed {
    /// An integer.
    Int(i64),
    /// A string.
    Text(Vec<u8>),
}

pub fn s(text: &str) -> Packed {
    Packed::Text(text.as_bytes().to_vec())
}

/// A ziplist.
pub fn ziplist(elements: &[Packed]) -> Vec<u8> {
    let mut body: Vec<u8> = Vec::new();
    let (mut before, mut tail) = (0usize, 10usize);
    for element in elements {
        tail = 10 + body.len();
        let start = body.len();
        if before < 254 {
            body.push(before as u8);
        } else {
            body.push(254);
            body.extend((before as u32).to_le_bytes());
        }
        match element {
            Packed::Int(n @ 0..=12) => body.push(0xf1 + *n as u8),
            Packed::Int(n) if i8::try_from(*n).is_ok() => body.extend([0xfe, *n as u8]),
            Packed::Int(n) if i16::try_from(*n).is_ok() => {
                body.push(0xc0);
                body.extend((*n as i16).to_le_bytes());
            }
            Packed::Int(n) if (-(1 << 23)..1 << 23).contains(n) => {
                body.push(0xf0);
                body.extend(&n.to_le_bytes()[..3]);
            }
            Packed::Int(n) if i32::try_from(*n).is_ok() => {
                body.push(0xd0);
                body.extend((*n as i32).to_le_bytes());
            }
            Packed::Int(n) => {
                body.push(0xe0);
                body.extend(n.to_le_bytes());
            }
            Packed::Text(text) => {
                match text.len() {
                    n @ 0..=63 => body.push(n as u8),
                    n @ 64..=16_383 => body.extend([0x40 | (n >> 8) as u8, n as u8]),
                    n => {
                        body.push(0x80);
                        body.extend((n as u32).to_be_bytes());
                    }
                }
                body.extend(text);
            }
        }
        before = body.len() - start;
    }
    let total = 10 + body.len() + 1;
    let count = elements.len().min(65_535) as u16;
    [
        &(total as u32).to_le_bytes()[..],
        &(tail as u32).to_le_bytes(),
        &count.to_le_bytes(),
        &body,
        &[0xff],
    ]
    .concat()
}

/// A listpack with every integer in the widest form that is usual for it.
pub fn listpack(elements: &[Packed]) -> Vec<u8> {
    let mut body: Vec<u8> = Vec::new();
    for element in elements {
        let start = body.len();
        match element {
            Packed::Int(n @ 0..=127) => body.push(*n as u8),
            Packed::Int(n @ -4096..=4095) => {
                let n = (*n & 0x1fff) as u16;
                body.extend([0xc0 | (n >> 8) as u8, n as u8]);
            }
            Packed::Int(n) if i16::try_from(*n).is_ok() => {
                body.push(0xf1);
                body.extend((*n as i16).to_le_bytes());
            }
            Packed::Int(n) if (-(1 << 23)..1 << 23).contains(n) => {
                body.push(0xf2);
                body.extend(&n.to_le_bytes()[..3]);
            }
            Packed::Int(n) if i32::try_from(*n).is_ok() => {
                body.push(0xf3);
                body.extend((*n as i32).to_le_bytes());
            }
            Packed::Int(n) => {
                body.push(0xf4);
                body.extend(n.to_le_bytes());
            }
            Packed::Text(text) => {
                match text.len() {
                    n @ 0..=63 => body.push(0x80 | n as u8),
                    n @ 64..=4095 => body.extend([0xe0 | (n >> 8) as u8, n as u8]),
                    n => {
                        body.push(0xf0);
                        body.extend((n as u32).to_le_bytes());
                    }
                }
                body.extend(text);
            }
        }
        let n = body.len() - start;
        match n {
            0..=127 => body.push(n as u8),
            128..=16_382 => body.extend([(n >> 7) as u8, n as u8 & 127 | 128]),
            _ => body.extend([(n >> 14) as u8, (n >> 7) as u8 & 127 | 128, n as u8 & 127 | 128]),
        }
    }
    let total = 6 + body.len() + 1;
    let count = elements.len().min(65_535) as u16;
    [&(total as u32).to_le_bytes()[..], &count.to_le_bytes(), &body, &[0xff]].concat()
}

/// A zipmap with `unused` bytes behind every value.
pub fn zipmap(pairs: &[(&str, &str)], unused: u8) -> Vec<u8> {
    let length = |n: usize| match n {
        0..=253 => vec![n as u8],
        _ => [&[254][..], &(n as u32).to_le_bytes()].concat(),
    };
    let mut bytes = vec![pairs.len() as u8];
    for (field, value) in pairs {
        bytes.extend(length(field.len()));
        bytes.extend(field.as_bytes());
        bytes.extend(length(value.len()));
        bytes.push(unused);
        bytes.extend(value.as_bytes());
        bytes.extend(vec![0; usize::from(unused)]);
    }
    bytes.push(0xff);
    bytes
}

/// An intset.
pub fn intset(width: u32, integers: &[i64]) -> Vec<u8> {
    let mut bytes = [width.to_le_bytes(), (integers.len() as u32).to_le_bytes()].concat();
    for n in integers {
        bytes.extend(&n.to_le_bytes()[..width as usize]);
    }
    bytes
}

/// An entry's id where it is not a length.
pub fn raw_id(ms: u64, seq: u64) -> Vec<u8> {
    [ms.to_be_bytes(), seq.to_be_bytes()].concat()
}
