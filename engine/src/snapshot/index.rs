//! The index of a snapshot: where its chunks are, so that they can be read in parallel.
//!
//! ```text
//! u32 version, 1 | u32 flags: 1 = chunks have checksums, 2 = parts are packed
//! u64 bytes of the header | u64 chunks
//! per chunk, by offset: u64 offset | u64 bytes without filler | u64 CRC64 with filler, 0: none
//!                       u64 keys | u16 first database | u16 lowest, u16 highest slot group
//! u64 CRC64 of all this
//! ```
//! Little endian. Chunks follow each other without gaps from the header to the index.
//!
//! What is read is taken for hostile: nothing is believed that the file's own length and the
//! index's checksum do not bear out, and no memory is reserved for what is merely claimed.

use super::{
    file::{
        self, AUX, BLOCK_BYTES, END_BYTES, INDEX_AT_BYTES, INDEX_AT_NAME, INDEX_NAME, padded_bytes,
    },
    packing::{self, TRAILER_BYTES},
};
use crate::{error::StorageError, io::Storage, limits::GROUPS, rdb::crc64};
use std::fmt;

const VERSION: u32 = 1;
/// Chunks have checksums.
const SUMMED: u32 = 1;
/// The parts of the file are packed (`packing.rs`).
const PACKED: u32 = 2;
const HEAD_BYTES: usize = 24;
const CHUNK_BYTES: usize = 38;
const SUM_BYTES: usize = 8;
/// Bytes of the index's field in front of its value: opcode, name, a length of nine bytes.
const FIELD_BYTES: usize = 2 + INDEX_NAME.len() + 9;

/// A chunk in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Indexed {
    /// Where it begins, a multiple of 4096.
    pub offset: u64,
    /// Its length without filler, bytes.
    pub bytes: u64,
    /// CRC64 with filler; 0 in a file without checksums.
    pub crc: u64,
    /// Keys that begin in it.
    pub keys: u64,
    /// Database of its first key.
    pub db: u16,
    /// Lowest slot group of its keys.
    pub first_group: u16,
    /// Highest slot group of its keys.
    pub last_group: u16,
}

impl Indexed {
    /// Its length with filler, bytes.
    pub fn padded_bytes(&self) -> u64 {
        padded_bytes(self.bytes as usize) as u64
    }
}

/// Where the chunks of a snapshot are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Bytes of the header: where the first chunk begins.
    pub header_bytes: u64,
    /// Chunks have checksums, and so has the file.
    pub summed: bool,
    /// Its parts are packed with zstd.
    pub packed: bool,
    /// The chunks, by offset.
    pub chunks: Vec<Indexed>,
}

/// What is wrong with an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexError {
    /// Byte in the file.
    pub offset: u64,
    /// What was expected there.
    pub expected: &'static str,
}

impl fmt::Display for IndexError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the index of the snapshot is damaged: expected {}", self.expected)
    }
}

impl std::error::Error for IndexError {}

/// What the end of a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// There is no index: another server's file.
    None,
    /// There is one, and it fits the file.
    Index {
        /// The index.
        index: Index,
        /// Where its field begins: the end of the chunks.
        at: u64,
    },
    /// There is one and it cannot be right.
    Damaged(IndexError),
}

impl Index {
    /// Its bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEAD_BYTES + self.chunks.len() * CHUNK_BYTES + SUM_BYTES);
        out.extend(VERSION.to_le_bytes());
        let flags = (u32::from(self.summed) * SUMMED) | (u32::from(self.packed) * PACKED);
        out.extend(flags.to_le_bytes());
        out.extend(self.header_bytes.to_le_bytes());
        out.extend((self.chunks.len() as u64).to_le_bytes());
        for chunk in &self.chunks {
            out.extend(chunk.offset.to_le_bytes());
            out.extend(chunk.bytes.to_le_bytes());
            out.extend(chunk.crc.to_le_bytes());
            out.extend(chunk.keys.to_le_bytes());
            out.extend(chunk.db.to_le_bytes());
            out.extend(chunk.first_group.to_le_bytes());
            out.extend(chunk.last_group.to_le_bytes());
        }
        let sum = crc64::update(0, &out);
        out.extend(sum.to_le_bytes());
        out
    }

    /// The index in these bytes, which stand at `offset` in a file whose chunks end at `end`.
    ///
    /// # Errors
    /// They are none, or say what the file cannot be.
    pub fn decode(bytes: &[u8], offset: u64, end: u64) -> Result<Self, IndexError> {
        let wrong = |expected| IndexError { offset, expected };
        let (body, sum) = bytes.split_last_chunk::<SUM_BYTES>().ok_or(wrong("a checksum"))?;
        if crc64::update(0, body) != u64::from_le_bytes(*sum) {
            return Err(wrong("bytes that have its checksum"));
        }
        let mut fields = Fields(body);
        let head = (fields.u32(), fields.u32(), fields.u64(), fields.u64());
        let (Some(version), Some(flags), Some(header_bytes), Some(count)) = head else {
            return Err(wrong("a version, flags and counts"));
        };
        if version != VERSION || flags & !(SUMMED | PACKED) != 0 {
            return Err(wrong("version 1"));
        }
        if Some(fields.0.len() as u64) != count.checked_mul(CHUNK_BYTES as u64) {
            return Err(wrong("as many chunks as it says"));
        }
        let mut next = header_bytes;
        if !next.is_multiple_of(BLOCK_BYTES as u64) || next == 0 {
            return Err(wrong("a header of whole blocks"));
        }
        let mut chunks = Vec::with_capacity(fields.0.len() / CHUNK_BYTES);
        while let Some(chunk) = fields.chunk() {
            if chunk.offset != next || chunk.bytes == 0 || chunk.bytes > end {
                return Err(wrong("chunks that follow each other"));
            }
            let groups = chunk.first_group <= chunk.last_group;
            if !groups || usize::from(chunk.last_group) >= GROUPS {
                return Err(wrong("slot groups of a chunk"));
            }
            // Both are below the file's length.
            next += chunk.padded_bytes();
            if next > end {
                return Err(wrong("chunks that end before the index"));
            }
            chunks.push(chunk);
        }
        if next != end {
            return Err(wrong("chunks up to the index"));
        }
        let (summed, packed) = (flags & SUMMED != 0, flags & PACKED != 0);
        Ok(Self { header_bytes, summed, packed, chunks })
    }

    /// True for what may stand between the end of a chunk and the next block: nothing, or filler.
    pub fn is_filler(&self, bytes: &[u8]) -> bool {
        if self.packed { packing::is_filler(bytes) } else { file::is_filler(bytes) }
    }

    /// Looks for the index of a file of `file_bytes` bytes.
    ///
    /// # Errors
    /// The storage's.
    pub async fn find<S: Storage>(
        storage: &S,
        file: &S::File,
        file_bytes: u64,
    ) -> Result<Found, StorageError> {
        if let Some(found) = find_packed(storage, file, file_bytes).await? {
            return Ok(found);
        }
        let end_bytes = (INDEX_AT_BYTES + END_BYTES) as u64;
        let Some(end) = file_bytes.checked_sub(end_bytes) else { return Ok(Found::None) };
        let last = storage.read_at(file, end, end_bytes as usize).await?;
        let Some(at) = index_at(&last) else { return Ok(Found::None) };
        let damaged = |expected| Ok(Found::Damaged(IndexError { offset: at, expected }));
        if at.checked_add(FIELD_BYTES as u64).is_none_or(|value| value > end) {
            return damaged("an index before the end of the file");
        }
        // As long as the file at most.
        let field = storage.read_at(file, at, (end - at) as usize).await?;
        let Some((name, value)) = field.split_at_checked(FIELD_BYTES) else {
            return damaged("an index before the end of the file");
        };
        let mut expected = vec![AUX, INDEX_NAME.len() as u8];
        expected.extend(INDEX_NAME);
        expected.push(0x81);
        expected.extend((value.len() as u64).to_be_bytes());
        if name != expected {
            return damaged("the field of the index");
        }
        Ok(found(value, at, at, false))
    }
}

/// The index in these bytes, if it is one of a file that is packed, or not, as this one is.
fn found(value: &[u8], offset: u64, end: u64, packed: bool) -> Found {
    match Index::decode(value, offset, end) {
        Ok(index) if index.packed == packed => Found::Index { index, at: end },
        Ok(_) => Found::Damaged(IndexError { offset, expected: "flags that fit the file" }),
        Err(error) => Found::Damaged(error),
    }
}

/// Looks for the index of a packed file; `None` when this is none.
async fn find_packed<S: Storage>(
    storage: &S,
    file: &S::File,
    file_bytes: u64,
) -> Result<Option<Found>, StorageError> {
    let Some(end) = file_bytes.checked_sub(TRAILER_BYTES as u64) else { return Ok(None) };
    let last = storage.read_at(file, end, TRAILER_BYTES).await?;
    let Some((chunks_end, at)) = packing::index_at(&last) else { return Ok(None) };
    let damaged = |expected| Ok(Some(Found::Damaged(IndexError { offset: at, expected })));
    if chunks_end > at || at > end {
        return damaged("an index before the end of the file");
    }
    // As long as the file at most.
    let frame = storage.read_at(file, at, (file_bytes - at) as usize).await?;
    let Some(value) = packing::index_of(&frame) else {
        return damaged("the frame of the index");
    };
    Ok(Some(found(value, at, chunks_end, true)))
}

/// Where the last bytes of a file say that the index is.
fn index_at(last: &[u8]) -> Option<u64> {
    let rest = last.strip_prefix(&[AUX, INDEX_AT_NAME.len() as u8])?;
    let rest = rest.strip_prefix(INDEX_AT_NAME)?.strip_prefix(&[8])?;
    let (at, end) = rest.split_first_chunk::<8>()?;
    (end.len() == END_BYTES && end[0] == 0xFF).then(|| u64::from_le_bytes(*at))
}

/// Numbers from the front of bytes.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*first)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    fn chunk(&mut self) -> Option<Indexed> {
        Some(Indexed {
            offset: self.u64()?,
            bytes: self.u64()?,
            crc: self.u64()?,
            keys: self.u64()?,
            db: self.u16()?,
            first_group: self.u16()?,
            last_group: self.u16()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn index() -> Index {
        let chunk = |offset, bytes, group| Indexed {
            offset,
            bytes,
            crc: 7,
            keys: 2,
            db: 3,
            first_group: group,
            last_group: 255,
        };
        let chunks = vec![chunk(8192, 4096, 0), chunk(12288, 4090, 9), chunk(20480, 1, 255)];
        Index { header_bytes: 8192, summed: true, packed: false, chunks }
    }

    /// Where the chunks of [`index`] end.
    const END: u64 = 24576;

    fn expected(index: &Index) -> &'static str {
        Index::decode(&index.encode(), 0, END).expect_err("it is wrong").expected
    }

    #[test]
    fn an_index_is_read_as_it_was_written() {
        assert_eq!(Index::decode(&index().encode(), 0, END), Ok(index()));
        let none = Index { header_bytes: 4096, summed: false, packed: true, chunks: Vec::new() };
        assert_eq!(Index::decode(&none.encode(), 0, 4096), Ok(none));
    }

    #[test]
    fn an_index_that_its_file_cannot_have_is_refused() {
        let change = |f: &dyn Fn(&mut Index)| {
            let mut wrong = index();
            f(&mut wrong);
            expected(&wrong)
        };
        let follow = "chunks that follow each other";
        assert_eq!(change(&|i| i.header_bytes = 0), "a header of whole blocks");
        assert_eq!(change(&|i| i.header_bytes = 4096), follow);
        assert_eq!(change(&|i| i.chunks[1].offset += 4096), follow);
        assert_eq!(change(&|i| i.chunks[2].bytes = u64::MAX), follow);
        assert_eq!(change(&|i| i.chunks[1].bytes = 0), follow);
        assert_eq!(change(&|i| i.chunks[1].last_group = 256), "slot groups of a chunk");
        assert_eq!(change(&|i| i.chunks[1].first_group = 256), "slot groups of a chunk");
        assert_eq!(change(&|i| i.chunks[2].bytes = 4097), "chunks that end before the index");
        assert_eq!(change(&|i| i.chunks.truncate(2)), "chunks up to the index");
        let mut bytes = index().encode();
        bytes[30] ^= 1;
        assert!(Index::decode(&bytes, 0, END).is_err());
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_refused_and_never_panic(
            mut body in prop::collection::vec(any::<u8>(), 0..200),
            version in any::<bool>(),
            count in any::<u64>(),
        ) {
            if version && body.len() >= HEAD_BYTES {
                body[..8].copy_from_slice(&[1, 0, 0, 0, 1, 0, 0, 0]);
                body[16..24].copy_from_slice(&count.to_le_bytes());
            }
            let sum = crc64::update(0, &body);
            body.extend(sum.to_le_bytes());
            prop_assert!(Index::decode(&body, 0, 1 << 50).is_err());
        }
    }
}
