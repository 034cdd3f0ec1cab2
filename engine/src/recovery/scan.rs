//! One pass over one file: what stands in it, verified, as a short list of pieces.
//!
//! A piece is a stretch of commits with contiguous LSNs, a stretch of commands without
//! annotation, an end-of-log line, or damage. Filler is no piece. What the pieces mean, together
//! with those of the shard's other files, is `chain.rs`'s to say.

pub use crate::aof::reader::Fault;

use super::{Progress, RecoveryError, transactions::Parts};
use crate::{
    aof::{
        Lsn,
        header::{END_BYTES, END_MAGIC, EndLine, HEADER_BYTES, Header},
        reader::{Expect, Item, SegmentReader},
    },
    command::Args,
    io::Storage,
};
use std::ops::Range;

/// Bytes of annotation that a stock server may put between two commands (`#TS:` lines).
pub const STOCK_ANNOTATION_BYTES_MAX: u64 = 64;
/// Bytes read at once when looking for an end-of-log line behind damage.
const SEARCH_BYTES: usize = 1 << 20;

/// Valid commits with contiguous LSNs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commits {
    /// Where the first header begins.
    pub start: u64,
    /// Behind the last body.
    pub end: u64,
    /// LSN of the first batch.
    pub first: Lsn,
    /// LSN of the batch that must follow.
    pub next: Lsn,
    /// Number of commits.
    pub count: u64,
    /// Highest `synced` among them.
    pub synced: Lsn,
    /// Where the commit begins that said so.
    pub synced_at: u64,
}

/// Commands without annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commands {
    /// Where the first begins.
    pub start: u64,
    /// Behind the last.
    pub end: u64,
    /// Behind the last that is not inside an open MULTI.
    pub whole_end: u64,
    /// They begin with SELECT (or MULTI, SELECT), as a server that has just started writes.
    pub selects: bool,
    /// There is a SELECT further on.
    pub selects_again: bool,
}

/// What can stand in a file, in file order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// Valid commits.
    Commits(Commits),
    /// Commands without annotation.
    Commands(Commands),
    /// An end-of-log line.
    End {
        /// Where it begins.
        offset: u64,
        /// What it says.
        line: EndLine,
    },
    /// Nothing acceptable, up to the next piece.
    Damage {
        /// Where it begins.
        offset: u64,
        /// What it is.
        fault: Fault,
    },
}

/// What one file holds.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    /// The run that wrote it, if anything says.
    pub run: Option<u64>,
    /// Its pieces.
    pub pieces: Vec<Piece>,
    /// Damage at the end that a stock server has appended to: where it begins.
    pub overwritten: Option<u64>,
    /// Its parts of transactions over several shards.
    pub parts: Parts,
    /// The whole, valid commit of another run, shard or file that it begins with.
    pub stranger: Option<Header>,
}

impl Scan {
    /// Where the first damage is.
    pub fn damage(&self) -> Option<(u64, Fault)> {
        self.pieces.iter().find_map(|piece| match piece {
            Piece::Damage { offset, fault } => Some((*offset, *fault)),
            Piece::Commits(_) | Piece::Commands(_) | Piece::End { .. } => None,
        })
    }
}

/// Reads `range` of a file, which reaches to its end. Commands with at most `gap_max` bytes of annotation
/// between them form one piece.
///
/// # Errors
/// The storage's; damage is no error.
pub async fn scan<S: Storage>(
    storage: &S,
    name: &str,
    range: Range<u64>,
    expect: Expect,
    gap_max: u64,
    progress: &Progress,
) -> Result<Scan, RecoveryError> {
    let (from, bytes) = (range.start, range.end);
    let file = storage.open(name).await?;
    let mut reader = SegmentReader::new(expect, bytes).starting_at(from);
    let mut builder = Builder { pieces: Vec::new(), in_multi: false, commands: 0, gap_max };
    let (mut parts, mut commits) = (Parts::default(), 0);
    loop {
        let damaged = match reader.next_item() {
            Item::More => {
                let before = reader.fed();
                reader.feed_from(storage, &file).await?;
                progress.scanned(reader.fed() - before);
                continue;
            }
            Item::End => break,
            Item::Commit { offset, header, body } => {
                let end = offset + HEADER_BYTES as u64 + body.len() as u64;
                parts.note(body, header.first_lsn, offset, commits);
                commits += 1;
                builder.commit(Commits {
                    start: offset,
                    end,
                    first: header.first_lsn,
                    next: header.next_lsn(),
                    count: 1,
                    synced: header.synced,
                    synced_at: offset,
                });
                continue;
            }
            Item::EndOfLog { offset, end } => {
                builder.pieces.push(Piece::End { offset, line: end });
                continue;
            }
            Item::Command { offset, bytes, args } => {
                builder.command(offset, bytes, args);
                continue;
            }
            Item::Bad { offset, fault } => Piece::Damage { offset, fault },
        };
        builder.pieces.push(damaged);
        reader.resync();
    }
    let mut scan = Scan { run: reader.run(), pieces: builder.pieces, parts, ..Scan::default() };
    if let Some(&Piece::Damage { offset: 0, fault: Fault::Foreign }) = scan.pieces.first() {
        scan.stranger = stranger(storage, &file, bytes).await?;
    }
    if let Some((offset, _)) = scan.damage() {
        let sealed = scan.pieces.iter().any(|piece| matches!(piece, Piece::End { .. }));
        let expect = Expect { run: scan.run, ..expect };
        if !sealed && let Some(end) = find_end(storage, &file, offset, bytes, expect).await? {
            scan.run = scan.run.or(Some(end.1.run));
            scan.pieces.push(Piece::End { offset: end.0, line: end.1 });
        }
    }
    Ok(scan)
}

/// The header of the whole, valid commit a file begins with, whatever that is bound to.
async fn stranger<S: Storage>(
    storage: &S,
    file: &S::File,
    bytes: u64,
) -> Result<Option<Header>, RecoveryError> {
    let line = storage.read_at(file, 0, HEADER_BYTES).await?;
    let Some(read) = Header::parse(&line) else { return Ok(None) };
    let body_bytes = read.header.body_bytes;
    if body_bytes > bytes.saturating_sub(HEADER_BYTES as u64) {
        return Ok(None);
    }
    let body = storage.read_at(file, HEADER_BYTES as u64, body_bytes as usize).await?;
    Ok(read.covers(&body).then_some(read.header))
}

/// Whether a stock server has appended behind damage at the end of the last listed file. `made` is
/// the length the file was made, if it is known and that was its length when we wrote to it.
///
/// It loads what only our checksums find damaged, and of a torn commit it keeps the whole
/// commands. Then it appends, SELECT first: behind what the file was made; or behind the commit;
/// or, having cut it, somewhere in it. A commit that was torn and nothing else ends inside a
/// command, or where its header says.
///
/// # Errors
/// The storage's.
pub async fn find_overwritten<S: Storage>(
    storage: &S,
    name: &str,
    bytes: u64,
    made: Option<u64>,
    scan: &mut Scan,
    progress: &Progress,
) -> Result<(), RecoveryError> {
    let Some(&Piece::Damage { offset, fault }) = scan.pieces.last() else { return Ok(()) };
    if scan.pieces.iter().any(|p| matches!(p, Piece::Commands(_) | Piece::End { .. })) {
        // Seen already.
        return Ok(());
    }
    let (mut starts, mut inside) = (vec![made], None);
    if let Fault::Short(header) | Fault::Checksum(header) = fault {
        let body = offset + HEADER_BYTES as u64;
        starts.push(body.checked_add(header.body_bytes));
        inside = Some(body);
    }
    for start in starts.into_iter().flatten().filter(|&start| start < bytes) {
        let appended = commands_from(storage, name, start..bytes, progress).await?;
        if appended.is_some_and(|commands| commands.selects) {
            scan.overwritten = Some(offset);
            return Ok(());
        }
    }
    let ends_with_commit = matches!(fault, Fault::Checksum(header)
        if offset + HEADER_BYTES as u64 + header.body_bytes == bytes);
    if let Some(body) = inside
        && !ends_with_commit
    {
        let rest = commands_from(storage, name, body..bytes, progress).await?;
        if rest.is_some_and(|commands| commands.end == bytes && commands.selects_again) {
            scan.overwritten = Some(offset);
        }
    }
    Ok(())
}

/// The commands a range begins with.
async fn commands_from<S: Storage>(
    storage: &S,
    name: &str,
    range: Range<u64>,
    progress: &Progress,
) -> Result<Option<Commands>, RecoveryError> {
    let start = range.start;
    let nobody = Expect { shard: u16::MAX, seq: 0, run: None, next_lsn: None };
    let scan = self::scan(storage, name, range, nobody, u64::MAX, progress).await?;
    Ok(match scan.pieces.first() {
        Some(Piece::Commands(commands)) if commands.start == start => Some(*commands),
        _ => None,
    })
}

/// Looks for an end-of-log line behind damage: it proves what had been stable.
async fn find_end<S: Storage>(
    storage: &S,
    file: &S::File,
    from: u64,
    bytes: u64,
    expect: Expect,
) -> Result<Option<(u64, EndLine)>, RecoveryError> {
    let mut at = from;
    while at < bytes {
        let window = storage.read_at(file, at, SEARCH_BYTES + END_BYTES).await?;
        for found in memchr::memmem::find_iter(&window, END_MAGIC) {
            let line = window.get(found..found + END_BYTES).and_then(EndLine::parse);
            if let Some(line) = line
                && line.shard == expect.shard
                && line.seq == expect.seq
                && expect.run.is_none_or(|run| run == line.run)
            {
                return Ok(Some((at + found as u64, line)));
            }
        }
        at += SEARCH_BYTES as u64;
    }
    Ok(None)
}

struct Builder {
    pieces: Vec<Piece>,
    in_multi: bool,
    /// Commands in the last piece.
    commands: u64,
    gap_max: u64,
}

impl Builder {
    fn commit(&mut self, commit: Commits) {
        if let Some(Piece::Commits(last)) = self.pieces.last_mut()
            && last.next == commit.first
        {
            last.end = commit.end;
            last.next = commit.next;
            last.count += 1;
            if commit.synced > last.synced {
                (last.synced, last.synced_at) = (commit.synced, commit.synced_at);
            }
            return;
        }
        self.pieces.push(Piece::Commits(commit));
    }

    fn command(&mut self, offset: u64, bytes: u64, args: Args<'_>) {
        let is = |name: &str| args.get(0).eq_ignore_ascii_case(name.as_bytes());
        let follows = match self.pieces.last() {
            Some(Piece::Commands(last)) => offset - last.end <= self.gap_max,
            _ => false,
        };
        if !follows {
            self.pieces.push(Piece::Commands(Commands {
                start: offset,
                end: offset,
                whole_end: offset,
                selects: false,
                selects_again: false,
            }));
            (self.in_multi, self.commands) = (false, 0);
        }
        let Some(Piece::Commands(last)) = self.pieces.last_mut() else { return };
        let first = self.commands == 0 || self.commands == 1 && self.in_multi;
        last.selects |= is("select") && first;
        last.selects_again |= is("select") && !first;
        self.in_multi = is("multi") || self.in_multi && !is("exec");
        last.end = offset + bytes;
        if !self.in_multi {
            last.whole_end = last.end;
        }
        self.commands += 1;
    }
}
