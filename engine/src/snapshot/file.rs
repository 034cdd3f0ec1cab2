//! The layout of a snapshot: a plain RDB file whose parts begin at multiples of 4096.
//!
//! ```text
//! header   first line, AUX fields, sizes of the databases, filler
//! chunk    whole keys of one shard, filler                        any number, any order
//! tail     AUX quire-index, AUX quire-index-at, EOF, checksum
//! ```
//! Filler is an AUX field named `pad`. The header is written last, since only then its counts are
//! known; its length is settled before. Any Redis since 7.0 reads the file; whoever knows the index
//! (`index.rs`) reads its chunks in parallel. A packed file has the same parts as frames
//! (`packing.rs`). docs/formats/snapshot.md has the details.
//!
//! Pure: makes and measures bytes.

use super::{Count, index::Index};
use crate::{
    limits::LOG_BLOCK_BYTES,
    rdb::{Info, Options, Version, Writer, crc64},
};

/// What parts of the file begin at multiples of, bytes.
pub const BLOCK_BYTES: usize = LOG_BLOCK_BYTES;
/// What filler begins with: AUX, its name, the kind of its length.
const FILLER: &[u8] = b"\xFA\x03pad\x80";
/// Bytes of a filler without its value.
const FILLER_BYTES_MIN: usize = 10;
/// Bytes of a header that do not depend on shards and databases, at most.
const HEADER_FIXED_BYTES: usize = 512;
/// Bytes that a shard's cut takes in the header, at most: number, LSN, punctuation.
const CUT_BYTES_MAX: usize = 32;
/// Bytes that a database takes in the header, at most.
const DATABASE_BYTES_MAX: usize = 32;

/// The name of the index's field.
pub(super) const INDEX_NAME: &[u8] = b"quire-index";
/// The name of the field that says where the index begins.
pub(super) const INDEX_AT_NAME: &[u8] = b"quire-index-at";
/// Bytes of that field: opcode, name, eight bytes.
pub(super) const INDEX_AT_BYTES: usize = 1 + 1 + INDEX_AT_NAME.len() + 1 + 8;
/// Bytes of EOF and checksum.
pub(super) const END_BYTES: usize = 9;

/// AUX, as opcode.
pub(super) const AUX: u8 = 0xFA;
/// End of the keys, as opcode.
pub(super) const EOF: u8 = 0xFF;

/// What a snapshot says of itself.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Version of Redis this server stands for.
    pub redis_version: String,
    /// Unix time, s.
    pub created_s: i64,
    /// Memory in use, bytes.
    pub used_memory: u64,
    /// It is the base of a log directory, whose run this is.
    pub run: Option<u64>,
    /// Last LSN of each shard that is in it; empty without a log.
    pub cut: Vec<u64>,
    /// Texts of the function libraries.
    pub functions: Vec<Box<[u8]>>,
}

/// Bytes that the header of a snapshot of so many shards and databases takes.
pub fn header_bytes(shards: usize, databases: usize) -> usize {
    let most = HEADER_FIXED_BYTES + shards * CUT_BYTES_MAX + databases * DATABASE_BYTES_MAX;
    padded_bytes(most)
}

/// The header, which is as long as [`header_bytes`] has told at most.
pub(super) fn header(facts: &Facts, counts: &[Count]) -> Vec<u8> {
    let options = Options { version: Version::Ten, compress: false, checksum: false };
    let mut writer = Writer::new(options);
    writer.info(&Info {
        redis_version: &facts.redis_version,
        created_s: facts.created_s,
        used_memory: facts.used_memory,
        aof_base: facts.run.is_some(),
    });
    if let Some(run) = facts.run {
        writer.aux(b"quire-run", format!("{run:016x}").as_bytes());
        let cut: Vec<String> = facts.cut.iter().map(u64::to_string).collect();
        writer.aux(b"quire-cut", cut.join(",").as_bytes());
    }
    for count in counts.iter().filter(|count| count.keys > 0) {
        writer.database(u64::from(count.db), count.keys, count.with_deadline);
    }
    writer.take()
}

/// Bytes of a part of `bytes` bytes with its filler.
pub fn padded_bytes(bytes: usize) -> usize {
    let padded = bytes.next_multiple_of(BLOCK_BYTES);
    match padded - bytes {
        0 => padded,
        1..FILLER_BYTES_MIN => padded + BLOCK_BYTES,
        _ => padded,
    }
}

/// Appends filler: the part is `bytes` long afterwards, the same or at least ten more than now.
pub(super) fn fill(part: &mut Vec<u8>, bytes: usize) {
    pad_to(part, bytes, FILLER_BYTES_MIN, |value| [FILLER, &value.to_be_bytes()].concat());
}

/// True for nothing, and for one field that nobody reads.
pub(super) fn is_filler(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(FILLER) else { return bytes.is_empty() };
    let Some((length, rest)) = rest.split_first_chunk::<4>() else { return false };
    u32::from_be_bytes(*length) as usize == rest.len()
}

/// Makes a part `bytes` long, by `head` bytes that announce a number of zeros, and the zeros.
pub(super) fn pad_to(
    part: &mut Vec<u8>,
    bytes: usize,
    head: usize,
    announce: impl FnOnce(u32) -> Vec<u8>,
) {
    if part.len() == bytes {
        return;
    }
    let value = (bytes - part.len())
        .checked_sub(head)
        .and_then(|value| u32::try_from(value).ok())
        .expect("the part was measured with `padded_bytes` or `header_bytes`");
    part.extend(announce(value));
    part.resize(bytes, 0);
}

/// What stands behind the chunks, the checksum apart. The index lies at `at`.
pub(super) fn tail(index: &Index, at: u64) -> Vec<u8> {
    let value = index.encode();
    let mut tail = Vec::with_capacity(value.len() + 64);
    tail.extend([AUX, INDEX_NAME.len() as u8]);
    tail.extend(INDEX_NAME);
    tail.push(0x81);
    tail.extend((value.len() as u64).to_be_bytes());
    tail.extend(&value);
    tail.extend([AUX, INDEX_AT_NAME.len() as u8]);
    tail.extend(INDEX_AT_NAME);
    tail.push(8);
    tail.extend(at.to_le_bytes());
    tail.push(EOF);
    tail
}

/// A checksum that grows by parts in the order of the file.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sum(u64);

impl Sum {
    /// The next part, whose own checksum is `crc`.
    pub fn part(&mut self, crc: u64, bytes: u64) {
        self.0 = crc64::combine(self.0, crc, bytes);
    }

    /// The next bytes.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.0 = crc64::update(self.0, bytes);
    }

    /// The checksum of all of it.
    pub fn get(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_ends_at_a_block_and_filler_is_a_field() {
        for len in (0..3 * BLOCK_BYTES).step_by(7).chain(BLOCK_BYTES - 12..BLOCK_BYTES + 12) {
            let mut part = vec![1; len];
            fill(&mut part, padded_bytes(len));
            assert!(part.len().is_multiple_of(BLOCK_BYTES), "{len}");
            assert!(part.len() == len || part[len..].starts_with(b"\xFA\x03pad\x80"), "{len}");
        }
    }

    #[test]
    fn the_header_has_room_for_everything_it_may_say() {
        let facts = Facts {
            redis_version: "7.0.15".to_owned(),
            created_s: i64::MAX,
            used_memory: u64::MAX,
            run: Some(u64::MAX),
            cut: vec![u64::MAX; 256],
            functions: Vec::new(),
        };
        let count = |db| Count { db, keys: u64::MAX, with_deadline: u64::MAX };
        let counts: Vec<Count> = (u16::MAX - 99..=u16::MAX).map(count).collect();
        let mut header = header(&facts, &counts);
        fill(&mut header, header_bytes(256, 100));
        assert_eq!(header.len(), header_bytes(256, 100));
    }
}
