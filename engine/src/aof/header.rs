//! The annotation lines of a segment: commit header, end of log, filler.
//!
//! Grammar (docs/formats/aof.md); every line starts with `#`, ends in `\n`, is at most 1023 bytes,
//! and stands between commands only, so stock Redis skips it:
//! ```text
//! #Q1 run16 shard4 seq16 lsn16 n8 len16 synced16 crc8\n     one commit, its body of len bytes behind it
//! #E1 run16 shard4 seq16 lsn16 crc8\n                       clean end of a run's log on a shard
//! #T1 ...\n                                                 inside a body: transaction.rs
//! #....\n                                                   filler: `#` and NON-`#` bytes
//! ```
//! Numbers are lower-case hexadecimal of fixed width. The CRC32C covers the line up to the space
//! before the CRC field and the body, so it is bound to run, shard, file and LSN: bytes of another
//! run, of a recycled file or of a copied one never pass.

use super::{Lsn, buffer::AlignedBuf};
use crate::limits::{ANNOTATION_LINE_BYTES_MAX, LOG_BLOCK_BYTES};

/// Length of a commit's header line, newline included, bytes.
pub const HEADER_BYTES: usize = 4 + 17 + 5 + 17 + 17 + 9 + 17 + 17 + 8 + 1;
/// Length of an end-of-log line, newline included, bytes.
pub const END_BYTES: usize = 4 + 17 + 5 + 17 + 17 + 8 + 1;
/// How a commit's header line begins.
pub const HEADER_MAGIC: &[u8; 4] = b"#Q1 ";
/// How an end-of-log line begins.
pub const END_MAGIC: &[u8; 4] = b"#E1 ";
/// Length of a whole filler line, bytes. A divisor of the block and of a disk sector: however a
/// write is torn, what lies behind it begins with a whole line. Long, because a torn bulk that
/// runs into filler must not land on a line's start: stock would then load it in silence.
pub const FILLER_LINE_BYTES: usize = 512;

const CRC_FIELD_BYTES: usize = 8 + 1;

const _: () = assert!(HEADER_BYTES <= 192);
const _: () = assert!(LOG_BLOCK_BYTES.is_multiple_of(FILLER_LINE_BYTES));
const _: () = assert!(FILLER_LINE_BYTES * 2 <= ANNOTATION_LINE_BYTES_MAX + 1);

/// One commit's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Random id of the server run that wrote it.
    pub run: u64,
    /// The shard that wrote it.
    pub shard: u16,
    /// Sequence number of the file it was written to.
    pub seq: u64,
    /// LSN of its first batch; of the batch that would come next when there is none.
    pub first_lsn: Lsn,
    /// Number of batches; 0 in the empty commit that closes an idle second.
    pub batches: u32,
    /// Length of the body behind the line, filler not included, bytes.
    pub body_bytes: u64,
    /// Highest LSN known synced on this shard when the commit was built.
    pub synced: Lsn,
}

/// A header as read, with the checksum its body must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadHeader {
    /// The fields.
    pub header: Header,
    /// CRC32C that line and body must have together.
    pub crc: u32,
    /// CRC32C of the line's covered part: where the body's checksum goes on.
    pub line_crc: u32,
}

impl Header {
    /// LSN of the batch behind this commit's last.
    pub fn next_lsn(&self) -> Lsn {
        self.first_lsn.saturating_add(u64::from(self.batches))
    }

    /// LSN of its last batch; `first_lsn - 1` when it has none.
    pub fn last_lsn(&self) -> Lsn {
        self.next_lsn() - 1
    }

    /// Writes the line, with the checksum over line and `body`.
    pub fn encode(&self, line: &mut [u8; HEADER_BYTES], body: &[u8]) {
        debug_assert_eq!(self.body_bytes, body.len() as u64);
        let mut at = LineWriter::new(line, HEADER_MAGIC);
        at.hex::<16>(self.run);
        at.hex::<4>(u64::from(self.shard));
        at.hex::<16>(self.seq);
        at.hex::<16>(self.first_lsn);
        at.hex::<8>(u64::from(self.batches));
        at.hex::<16>(self.body_bytes);
        at.hex::<16>(self.synced);
        let crc = crc32c::crc32c_append(at.crc(), body);
        at.finish(crc);
    }

    /// Reads a line, newline included. `None`: not a header this version writes.
    pub fn parse(line: &[u8]) -> Option<ReadHeader> {
        let mut at = LineReader::new(line, HEADER_BYTES, HEADER_MAGIC)?;
        let header = Header {
            run: at.hex::<16>()?,
            shard: at.hex::<4>()? as u16,
            seq: at.hex::<16>()?,
            first_lsn: at.hex::<16>()?,
            batches: at.hex::<8>()? as u32,
            body_bytes: at.hex::<16>()?,
            synced: at.hex::<16>()?,
        };
        let crc = at.finish()?;
        // LSNs start at 1; a header that would wrap around is damage.
        if header.first_lsn == 0 || header.first_lsn.checked_add(header.batches.into()).is_none() {
            return None;
        }
        let line_crc = crc32c::crc32c(&line[..HEADER_BYTES - CRC_FIELD_BYTES]);
        Some(ReadHeader { header, crc, line_crc })
    }
}

impl ReadHeader {
    /// True when `body` is what the header was written with.
    pub fn covers(&self, body: &[u8]) -> bool {
        body.len() as u64 == self.header.body_bytes
            && crc32c::crc32c_append(self.line_crc, body) == self.crc
    }
}

/// The end-of-log line: nothing of this run follows on this shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EndLine {
    /// Id of the run that ended (or was recovered).
    pub run: u64,
    /// The shard.
    pub shard: u16,
    /// Sequence number of the file the line is in.
    pub seq: u64,
    /// LSN of the run's last batch on this shard; 0 when there is none.
    pub last_lsn: Lsn,
}

impl EndLine {
    /// The line, newline included.
    pub fn encode(&self) -> [u8; END_BYTES] {
        let mut line = [0; END_BYTES];
        let mut at = LineWriter::new(&mut line, END_MAGIC);
        at.hex::<16>(self.run);
        at.hex::<4>(u64::from(self.shard));
        at.hex::<16>(self.seq);
        at.hex::<16>(self.last_lsn);
        let crc = at.crc();
        at.finish(crc);
        line
    }

    /// Reads a line, newline included. `None`: damaged, or not such a line.
    pub fn parse(line: &[u8]) -> Option<EndLine> {
        let mut at = LineReader::new(line, END_BYTES, END_MAGIC)?;
        let end = EndLine {
            run: at.hex::<16>()?,
            shard: at.hex::<4>()? as u16,
            seq: at.hex::<16>()?,
            last_lsn: at.hex::<16>()?,
        };
        let crc = at.finish()?;
        let whole = crc32c::crc32c(&line[..END_BYTES - CRC_FIELD_BYTES]) == crc;
        // As in commits: an LSN that nothing can follow is damage.
        (whole && end.last_lsn < Lsn::MAX).then_some(end)
    }
}

/// Length a commit of this many bytes has once padded to the block.
pub fn padded_bytes(bytes: usize) -> usize {
    let target = bytes.next_multiple_of(LOG_BLOCK_BYTES);
    // The shortest line is `#\n`; a gap of one byte takes a block more.
    if target - bytes == 1 { target + LOG_BLOCK_BYTES } else { target }
}

/// Appends filler lines until the buffer's length is a multiple of the block.
pub fn pad_to_block(buf: &mut AlignedBuf) {
    let target = padded_bytes(buf.len());
    while buf.len() < target {
        // Up to the next line boundary; one further when that leaves no room for a line.
        let mut bytes = FILLER_LINE_BYTES - buf.len() % FILLER_LINE_BYTES;
        if bytes == 1 {
            bytes += FILLER_LINE_BYTES;
        }
        buf.extend_from_slice(&FILLER_LINE[..1]);
        buf.extend_from_slice(&FILLER_LINE[FILLER_LINE.len() - (bytes - 1)..]);
    }
}

/// Longest line `pad_to_block` writes: a gap of one byte and the line behind it.
const FILLER_LINE: [u8; FILLER_LINE_BYTES + 1] = {
    let mut line = [b'.'; FILLER_LINE_BYTES + 1];
    line[0] = b'#';
    line[FILLER_LINE_BYTES] = b'\n';
    line
};

/// `bytes` of whole filler lines; `bytes` is a multiple of [`FILLER_LINE_BYTES`].
pub fn filler(bytes: usize) -> Vec<u8> {
    debug_assert_eq!(bytes % FILLER_LINE_BYTES, 0);
    let mut line = [b'.'; FILLER_LINE_BYTES];
    line[0] = b'#';
    line[FILLER_LINE_BYTES - 1] = b'\n';
    line.iter().copied().cycle().take(bytes).collect()
}

/// Writes a line of fixed length, field by field.
pub(super) struct LineWriter<'a> {
    line: &'a mut [u8],
    at: usize,
}

impl<'a> LineWriter<'a> {
    pub(super) fn new(line: &'a mut [u8], magic: &[u8; 4]) -> Self {
        line[..4].copy_from_slice(magic);
        Self { line, at: 4 }
    }

    pub(super) fn hex<const WIDTH: usize>(&mut self, value: u64) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let field = &mut self.line[self.at..self.at + WIDTH + 1];
        for (i, digit) in field[..WIDTH].iter_mut().enumerate() {
            *digit = DIGITS[(value >> (4 * (WIDTH - 1 - i)) & 15) as usize];
        }
        field[WIDTH] = b' ';
        self.at += WIDTH + 1;
    }

    fn crc(&self) -> u32 {
        crc32c::crc32c(&self.line[..self.at])
    }

    fn finish(mut self, crc: u32) {
        self.hex::<8>(u64::from(crc));
        self.end();
    }

    pub(super) fn end(self) {
        debug_assert_eq!(self.at, self.line.len());
        self.line[self.at - 1] = b'\n';
    }
}

/// Reads a line of fixed length, field by field; `None` from the first that is none.
pub(super) struct LineReader<'a> {
    rest: &'a [u8],
}

impl<'a> LineReader<'a> {
    pub(super) fn new(line: &'a [u8], len: usize, magic: &[u8; 4]) -> Option<Self> {
        if line.len() != len || line.last() != Some(&b'\n') {
            return None;
        }
        Some(Self { rest: line.strip_prefix(magic)? })
    }

    pub(super) fn digits<const WIDTH: usize>(&mut self) -> Option<u64> {
        let (field, rest) = self.rest.split_at_checked(WIDTH)?;
        self.rest = rest;
        field.iter().try_fold(0u64, |value, &b| {
            let digit = match b {
                b'0'..=b'9' => b - b'0',
                b'a'..=b'f' => b - b'a' + 10,
                _ => return None,
            };
            Some(value << 4 | u64::from(digit))
        })
    }

    pub(super) fn hex<const WIDTH: usize>(&mut self) -> Option<u64> {
        let value = self.digits::<WIDTH>()?;
        self.rest = self.rest.strip_prefix(b" ")?;
        Some(value)
    }

    fn finish(mut self) -> Option<u32> {
        let crc = self.digits::<8>()? as u32;
        self.end()?;
        Some(crc)
    }

    pub(super) fn end(self) -> Option<()> {
        (self.rest == b"\n").then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        run: 0x0123_4567_89ab_cdef,
        shard: 7,
        seq: 126,
        first_lsn: 4711,
        batches: 3,
        body_bytes: 5,
        synced: 4700,
    };

    fn line() -> [u8; HEADER_BYTES] {
        let mut line = [0; HEADER_BYTES];
        HEADER.encode(&mut line, b"hello");
        line
    }

    #[test]
    fn a_header_line_is_what_the_format_page_shows() {
        assert_eq!(
            std::str::from_utf8(&line()).unwrap(),
            "#Q1 0123456789abcdef 0007 000000000000007e 0000000000001267 00000003 \
             0000000000000005 000000000000125c 395ca93d\n"
        );
    }

    #[test]
    fn every_changed_byte_of_line_or_body_is_noticed() {
        let read = Header::parse(&line()).unwrap();
        assert_eq!(read.header, HEADER);
        assert!(read.covers(b"hello"));
        assert!(!read.covers(b"hellp") && !read.covers(b"hell"));
        for at in 0..HEADER_BYTES {
            for bit in 0..8 {
                let mut bad = line();
                bad[at] ^= 1 << bit;
                assert!(!Header::parse(&bad).is_some_and(|h| h.covers(b"hello")), "byte {at}");
            }
        }
    }

    #[test]
    fn an_end_line_is_bound_to_run_shard_and_file() {
        let end = EndLine { run: 9, shard: 255, seq: 3, last_lsn: 0 };
        let line = end.encode();
        assert_eq!(EndLine::parse(&line), Some(end));
        for at in 0..END_BYTES {
            let mut bad = line;
            bad[at] ^= 1;
            assert_eq!(EndLine::parse(&bad), None, "byte {at}");
        }
    }

    #[test]
    fn filler_is_short_lines_without_runs_of_hashes_whatever_it_follows() {
        for used in 1..=2 * LOG_BLOCK_BYTES {
            let mut buf = AlignedBuf::new();
            buf.extend_from_slice(&vec![b'x'; used]);
            pad_to_block(&mut buf);
            assert_eq!(buf.len() % LOG_BLOCK_BYTES, 0);
            assert!(buf.len() - used <= LOG_BLOCK_BYTES + 1);
            let pad = &buf.as_slice()[used..];
            for line in pad.split_inclusive(|&b| b == b'\n') {
                assert!(line.len() >= 2 && line.len() <= ANNOTATION_LINE_BYTES_MAX);
                assert!(line.starts_with(b"#") && line.ends_with(b"\n"), "used {used}");
                assert!(line[1..line.len() - 1].iter().all(|&b| b == b'.'));
            }
            // Every sector behind the first boundary begins with a whole line.
            for at in (0..buf.len()).step_by(FILLER_LINE_BYTES) {
                assert!(at <= used + 1 || buf.as_slice()[at] == b'#', "used {used}, at {at}");
            }
        }
    }
}
