//! Reads a segment, piece by piece: commits, the end-of-log line, commands without annotation.
//!
//! Owns: what makes bytes acceptable (identity, contiguous LSNs, checksum). Invariants: never
//! panics, never allocates from a number it has not verified against the file's length, hands out
//! a commit only whole and checksummed. Does not decide what damage means: a torn tail and rot
//! look alike here; [`SegmentReader::resync`] finds the later commits recovery judges by.

use super::{
    Lsn,
    command_reader::{CommandFault, Parsed, parse},
    header::{END_MAGIC, EndLine, HEADER_BYTES, HEADER_MAGIC, Header},
};
use crate::{
    command::{Args, Span},
    error::StorageError,
    io::Storage,
};
use std::{fmt, ops::Range};

/// Bytes read from storage at once.
const CHUNK_BYTES: usize = 1024 * 1024;

/// What a segment must be to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expect {
    /// The shard its name says.
    pub shard: u16,
    /// The sequence number its name says.
    pub seq: u64,
    /// The run that wrote it; `None`: the one its first commit names.
    pub run: Option<u64>,
    /// LSN its first batch must have; `None`: any.
    pub next_lsn: Option<Lsn>,
}

/// What stands next in the segment. Filler is skipped.
#[derive(Debug)]
pub enum Item<'a> {
    /// Nothing to say before more bytes are fed.
    More,
    /// A whole, verified commit.
    Commit {
        /// Where its header begins.
        offset: u64,
        /// Its header.
        header: Header,
        /// Its body, for a [`super::CommandReader`].
        body: &'a [u8],
    },
    /// The run ended here.
    EndOfLog {
        /// Where the line begins.
        offset: u64,
        /// The line.
        end: EndLine,
    },
    /// A command outside any commit: stock's, or the rest of a torn commit.
    Command {
        /// Where it begins.
        offset: u64,
        /// Its length, bytes.
        bytes: u64,
        /// The command.
        args: Args<'a>,
    },
    /// What stands here cannot be accepted. Said again until [`SegmentReader::resync`].
    Bad {
        /// Where it begins.
        offset: u64,
        /// Why.
        fault: Fault,
    },
    /// The end of the file.
    End,
}

/// Why bytes of a segment are not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A commit's header line that cannot be read.
    Header,
    /// A commit (or end line) of another run, shard or file.
    Foreign,
    /// A commit that does not follow the one before.
    Gap {
        /// LSN that was due.
        expected: Lsn,
        /// LSN it begins with.
        found: Lsn,
    },
    /// A commit whose body reaches past the end of the file.
    Short(Header),
    /// A commit whose checksum does not match.
    Checksum(Header),
    /// An end-of-log line that cannot be read, or that names another last LSN.
    EndLine,
    /// A commit behind the end-of-log line.
    AfterEnd,
    /// Neither annotation nor command.
    Command(CommandFault),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Header => f.write_str("unreadable commit header"),
            Fault::Foreign => f.write_str("commit of another run, shard or file"),
            Fault::Gap { expected, found } => {
                write!(f, "commit with LSN {found} where LSN {expected} was due")
            }
            Fault::Short(h) => write!(f, "commit of LSN {} is cut off", h.first_lsn),
            Fault::Checksum(h) => write!(f, "commit of LSN {} has a bad checksum", h.first_lsn),
            Fault::EndLine => f.write_str("unreadable end-of-log line"),
            Fault::AfterEnd => f.write_str("commit behind the end-of-log line"),
            Fault::Command(CommandFault::Cut) => f.write_str("command or line is cut off"),
            Fault::Command(_) => f.write_str("neither annotation nor command"),
        }
    }
}

/// Positions only, so that looking for an item does not hold on to the buffer.
enum Found {
    More,
    Commit { at: usize, header: Header, body: Range<usize> },
    EndOfLog { at: usize, end: EndLine },
    Command { at: usize, bytes: usize },
    Bad { offset: u64, fault: Fault },
    End,
}

/// What a header line turned out to be.
enum Candidate {
    Commit(Header),
    Incomplete(usize),
    Bad(Fault),
}

/// An incremental reader of one segment.
pub struct SegmentReader {
    expect: Expect,
    file_bytes: u64,
    buf: Vec<u8>,
    /// File offset of `buf[0]`.
    base: u64,
    /// Where the next item begins in `buf`.
    pos: usize,
    /// Bytes from `pos` on that are needed before it is worth looking again.
    needed: usize,
    spans: Vec<Span>,
    bad: Option<(u64, Fault)>,
    /// Looking for a valid commit behind damage.
    seeking: bool,
    ended: bool,
    accepted_end: u64,
}

impl SegmentReader {
    /// A reader of a segment that is `file_bytes` long.
    pub fn new(expect: Expect, file_bytes: u64) -> Self {
        Self {
            expect,
            file_bytes,
            buf: Vec::new(),
            base: 0,
            pos: 0,
            needed: 1,
            spans: Vec::new(),
            bad: None,
            seeking: false,
            ended: false,
            accepted_end: 0,
        }
    }

    /// The same, beginning at `offset`: behind something else that has been read.
    pub fn starting_at(mut self, offset: u64) -> Self {
        self.base = offset;
        self.accepted_end = offset;
        self
    }

    /// File offset of the byte to be fed next.
    pub fn fed(&self) -> u64 {
        self.base + self.buf.len() as u64
    }

    /// Bytes that should be fed at least before the next item can be told; 0 at the end.
    pub fn wanted(&self) -> u64 {
        let missing = self.needed.saturating_sub(self.buf.len() - self.pos).max(1) as u64;
        missing.min(self.file_bytes - self.fed())
    }

    /// The next bytes of the file; what reaches past its length is ignored.
    pub fn feed(&mut self, bytes: &[u8]) {
        let room = self.file_bytes - self.fed();
        let bytes = &bytes[..bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX))];
        if self.pos > 0 && (self.pos == self.buf.len() || self.pos > CHUNK_BYTES) {
            self.buf.drain(..self.pos);
            self.base += self.pos as u64;
            self.pos = 0;
        }
        self.buf.extend_from_slice(bytes);
    }

    /// Reads the next chunk from storage and feeds it. False at the end of the file.
    ///
    /// # Errors
    /// The storage's.
    pub async fn feed_from<S: Storage>(
        &mut self,
        storage: &S,
        file: &S::File,
    ) -> Result<bool, StorageError> {
        let wanted = self.wanted().max(CHUNK_BYTES as u64).min(self.file_bytes - self.fed());
        if wanted == 0 {
            return Ok(false);
        }
        let len = usize::try_from(wanted).unwrap_or(usize::MAX).min(64 * CHUNK_BYTES);
        let bytes = storage.read_at(file, self.fed(), len).await?;
        if bytes.is_empty() {
            // Shorter than it was when its length was taken: what is missing counts as cut off.
            self.file_bytes = self.fed();
            return Ok(false);
        }
        self.feed(&bytes);
        Ok(true)
    }

    /// Offset behind the last accepted commit, command or end line: where a cut would be made.
    pub fn accepted_end(&self) -> u64 {
        self.accepted_end
    }

    /// LSN the next commit must begin with, if anything says.
    pub fn next_lsn(&self) -> Option<Lsn> {
        self.expect.next_lsn
    }

    /// Run that wrote the segment, once known.
    pub fn run(&self) -> Option<u64> {
        self.expect.run
    }

    /// After [`Item::Bad`]: goes on with the next commit that is valid by itself (identity,
    /// checksum) and not older than the LSN that was due, wherever it begins.
    pub fn resync(&mut self) {
        let Some((offset, fault)) = self.bad.take() else { return };
        self.seeking = true;
        self.needed = 1;
        // A commit behind a gap is itself the next valid one.
        let skip = u64::from(!matches!(fault, Fault::Gap { .. } | Fault::AfterEnd));
        self.ended = false;
        self.pos = (offset + skip - self.base) as usize;
    }

    /// What stands next.
    pub fn next_item(&mut self) -> Item<'_> {
        match self.find() {
            Found::More => Item::More,
            Found::End => Item::End,
            Found::Bad { offset, fault } => Item::Bad { offset, fault },
            Found::EndOfLog { at, end } => Item::EndOfLog { offset: self.base + at as u64, end },
            Found::Commit { at, header, body } => {
                Item::Commit { offset: self.base + at as u64, header, body: &self.buf[body] }
            }
            Found::Command { at, bytes } => Item::Command {
                offset: self.base + at as u64,
                bytes: bytes as u64,
                args: Args::new(&self.buf[at..at + bytes], &self.spans),
            },
        }
    }

    fn find(&mut self) -> Found {
        if let Some((offset, fault)) = self.bad {
            return Found::Bad { offset, fault };
        }
        loop {
            let rest = &self.buf[self.pos..];
            let all_fed = self.base + self.buf.len() as u64 >= self.file_bytes;
            if rest.is_empty() {
                return if all_fed { Found::End } else { self.more(1) };
            }
            if rest.len() < self.needed && !all_fed {
                return Found::More;
            }
            let found = if self.seeking { self.seek(all_fed) } else { self.step(all_fed) };
            if let Some(found) = found {
                return found;
            }
        }
    }

    fn more(&mut self, needed: usize) -> Found {
        self.needed = needed;
        Found::More
    }

    fn fail(&mut self, fault: Fault) -> Option<Found> {
        let offset = self.base + self.pos as u64;
        self.bad = Some((offset, fault));
        Some(Found::Bad { offset, fault })
    }

    fn advance(&mut self, bytes: usize) {
        self.pos += bytes;
        self.needed = 1;
    }

    /// One item at `pos`; `None` when it was filler.
    fn step(&mut self, all_fed: bool) -> Option<Found> {
        let rest = &self.buf[self.pos..];
        match parse(rest, &mut self.spans) {
            Err(fault) => self.fail(Fault::Command(fault)),
            Ok(Parsed::Incomplete(_)) if all_fed => self.fail(Fault::Command(CommandFault::Cut)),
            Ok(Parsed::Incomplete(needed)) => {
                if needed as u64 > self.file_bytes - self.base - self.pos as u64 {
                    // No need to gather what cannot come.
                    return self.fail(Fault::Command(CommandFault::Cut));
                }
                Some(self.more(needed))
            }
            Ok(Parsed::Command(bytes)) => {
                let at = self.pos;
                self.advance(bytes);
                self.accepted_end = self.base + self.pos as u64;
                Some(Found::Command { at, bytes })
            }
            Ok(Parsed::Line(len)) => match &rest[..len] {
                line if line.starts_with(&HEADER_MAGIC[..2]) => self.commit(len),
                line if line.starts_with(&END_MAGIC[..2]) => {
                    let end = EndLine::parse(line);
                    self.end_line(end, len)
                }
                _ => {
                    self.advance(len);
                    None
                }
            },
        }
    }

    fn commit(&mut self, line_bytes: usize) -> Option<Found> {
        let header = match self.candidate(self.pos, line_bytes) {
            Candidate::Bad(fault) => return self.fail(fault),
            Candidate::Incomplete(needed) => return Some(self.more(needed)),
            Candidate::Commit(header) => header,
        };
        if self.ended {
            return self.fail(Fault::AfterEnd);
        }
        if let Some(expected) = self.expect.next_lsn
            && expected != header.first_lsn
        {
            return self.fail(Fault::Gap { expected, found: header.first_lsn });
        }
        Some(self.accept(header))
    }

    fn accept(&mut self, header: Header) -> Found {
        let at = self.pos;
        let body = at + HEADER_BYTES..at + HEADER_BYTES + header.body_bytes as usize;
        self.expect.run = Some(header.run);
        self.expect.next_lsn = Some(header.next_lsn());
        self.advance(body.end - at);
        self.accepted_end = self.base + self.pos as u64;
        Found::Commit { at, header, body }
    }

    /// Whether a valid commit of this segment begins at `at`, its line being `line_bytes` long.
    fn candidate(&self, at: usize, line_bytes: usize) -> Candidate {
        let rest = &self.buf[at..];
        let Some(read) = Header::parse(&rest[..line_bytes]) else {
            return Candidate::Bad(Fault::Header);
        };
        let header = read.header;
        if !self.is_ours(header.run, header.shard, header.seq) {
            return Candidate::Bad(Fault::Foreign);
        }
        let body_offset = self.base + at as u64 + HEADER_BYTES as u64;
        if header.body_bytes > self.file_bytes.saturating_sub(body_offset) {
            return Candidate::Bad(Fault::Short(header));
        }
        // It fits into the file; what is gathered for it is bounded by that.
        let body_bytes = header.body_bytes as usize;
        match rest.get(HEADER_BYTES..HEADER_BYTES + body_bytes) {
            None => Candidate::Incomplete(HEADER_BYTES + body_bytes),
            Some(body) if read.covers(body) => Candidate::Commit(header),
            Some(_) => Candidate::Bad(Fault::Checksum(header)),
        }
    }

    fn is_ours(&self, run: u64, shard: u16, seq: u64) -> bool {
        shard == self.expect.shard
            && seq == self.expect.seq
            && self.expect.run.is_none_or(|expected| expected == run)
    }

    fn end_line(&mut self, end: Option<EndLine>, line_bytes: usize) -> Option<Found> {
        let Some(end) = end else { return self.fail(Fault::EndLine) };
        if !self.is_ours(end.run, end.shard, end.seq) {
            return self.fail(Fault::Foreign);
        }
        if self.ended || self.expect.next_lsn.is_some_and(|next| next != end.last_lsn + 1) {
            return self.fail(Fault::EndLine);
        }
        let at = self.pos;
        self.ended = true;
        self.expect.run = Some(end.run);
        self.expect.next_lsn = Some(end.last_lsn + 1);
        self.advance(line_bytes);
        self.accepted_end = self.base + self.pos as u64;
        Some(Found::EndOfLog { at, end })
    }

    /// Looks for a commit that is valid by itself, from `pos` on.
    fn seek(&mut self, all_fed: bool) -> Option<Found> {
        let rest = &self.buf[self.pos..];
        if rest.len() < HEADER_BYTES {
            if all_fed {
                self.advance(rest.len());
                return None;
            }
            return Some(self.more(HEADER_BYTES));
        }
        let starts = rest.starts_with(HEADER_MAGIC) && rest[HEADER_BYTES - 1] == b'\n';
        if starts {
            match self.candidate(self.pos, HEADER_BYTES) {
                Candidate::Incomplete(needed) => return Some(self.more(needed)),
                // Older ones are copies of this log inside a value.
                Candidate::Commit(header)
                    if self.expect.next_lsn.is_none_or(|due| header.first_lsn >= due) =>
                {
                    self.seeking = false;
                    return Some(self.accept(header));
                }
                Candidate::Commit(_) | Candidate::Bad(_) => {}
            }
        }
        let skip = memchr::memchr(b'#', &self.buf[self.pos + 1..]);
        self.advance(skip.map_or(self.buf.len() - self.pos, |n| n + 1));
        None
    }
}

#[cfg(test)]
mod tests;
