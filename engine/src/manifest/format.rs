//! The text of the manifest: parse and print, byte for byte. Touches no file.
//!
//! It is Redis 7's multi-part manifest, so stock Redis loads the directory: one line per file,
//! `file <name> seq <n> type b|i|h`, pairs in any order, unknown pairs allowed, comments at
//! column 0. Ours adds the pairs `q-epoch`, `q-run`, `q-method`, `q-bytes`, `q-first` and a last
//! comment with the next free number and a checksum. All of that is *advisory*: stock servers drop it
//! when they rewrite the manifest, and recovery must do without. The parser refuses what stock
//! refuses, and says in which line.

use super::quoting;
use crate::io::Method;
use std::{
    collections::HashSet,
    fmt::{self, Write as _},
};

/// Longest line, newline included, bytes (`MANIFEST_MAX_LINE`).
const LINE_BYTES_MAX: usize = 1024;
/// How the last line begins.
const TRAILER: &str = "# quire ";

/// Redis' file types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `b`: the state everything else builds on, at most one.
    Base,
    /// `h`: replaced, to be deleted.
    History,
    /// `i`: commands, replayed in list order.
    Incr,
}

impl Kind {
    fn letter(self) -> char {
        match self {
            Kind::Base => 'b',
            Kind::History => 'h',
            Kind::Incr => 'i',
        }
    }
}

/// One line of the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// File name, never a path.
    pub name: String,
    /// Place in Redis' order; increases strictly among type i. Equal to the number in the name of
    /// one of our files unless a global command moved the (empty) file behind itself.
    pub seq: u64,
    /// Type.
    pub kind: Kind,
    /// Epoch, advisory.
    pub epoch: Option<u64>,
    /// The run that wrote or will write it, advisory.
    pub run: Option<u64>,
    /// How it is written, advisory.
    pub method: Option<Method>,
    /// Length it was prefilled or reserved to, bytes, advisory.
    pub bytes: Option<u64>,
    /// First LSN it can hold, where that is known to be more than what the files before it say,
    /// advisory.
    pub first_lsn: Option<u64>,
    /// Pairs of other writers (Redis 8: `startoffset`, `endoffset`), kept as they came.
    pub extra: Vec<(String, String)>,
}

impl Entry {
    /// A line without advisory pairs.
    pub fn new(name: impl Into<String>, seq: u64, kind: Kind) -> Self {
        Self {
            name: name.into(),
            seq,
            kind,
            epoch: None,
            run: None,
            method: None,
            bytes: None,
            first_lsn: None,
            extra: Vec::new(),
        }
    }
}

/// What the last comment line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trailer {
    /// There is none: written by stock Redis or by hand.
    Missing,
    /// It is ours and the checksum holds.
    Valid,
    /// The lines before it are not those it was made for.
    Mismatch,
}

/// A manifest in memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Manifest {
    /// The files, in list order.
    pub files: Vec<Entry>,
    /// The next free number; at least 1 once something was listed.
    pub next_number: u64,
    /// The highest epoch ever used.
    pub epoch: u64,
}

/// A manifest that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatError {
    /// Line, counted from 1; 0 = the whole file.
    pub line: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(self.what),
            line => write!(f, "line {line}: {}", self.what),
        }
    }
}

impl Manifest {
    /// Position of a file in the list.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.files.iter().position(|entry| entry.name == name)
    }

    /// True when `name` is listed.
    pub fn lists(&self, name: &str) -> bool {
        self.position(name).is_some()
    }

    /// The file's text. [`parse`] gives the same manifest back.
    pub fn print(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(128 * (self.files.len() + 1));
        for entry in &self.files {
            print_entry(&mut text, entry);
        }
        let crc = crc32c::crc32c(&text);
        let (next, epoch) = (self.next_number, self.epoch);
        let trailer = format!("{TRAILER}next {next} epoch {epoch} crc32c {crc:08x}\n");
        text.extend_from_slice(trailer.as_bytes());
        text
    }
}

fn print_entry(text: &mut Vec<u8>, entry: &Entry) {
    text.extend_from_slice(b"file ");
    quoting::push(text, &entry.name);
    let mut rest = format!(" seq {} type {}", entry.seq, entry.kind.letter());
    // Writing into a String cannot fail.
    if let Some(epoch) = entry.epoch {
        let _ = write!(rest, " q-epoch {epoch}");
    }
    if let Some(run) = entry.run {
        let _ = write!(rest, " q-run {run:016x}");
    }
    if let Some(method) = entry.method {
        let _ = write!(rest, " q-method {}", method_name(method));
    }
    if let Some(bytes) = entry.bytes {
        let _ = write!(rest, " q-bytes {bytes}");
    }
    if let Some(lsn) = entry.first_lsn {
        let _ = write!(rest, " q-first {lsn}");
    }
    text.extend_from_slice(rest.as_bytes());
    for (key, value) in &entry.extra {
        text.push(b' ');
        quoting::push(text, key);
        text.push(b' ');
        quoting::push(text, value);
    }
    text.push(b'\n');
}

fn method_name(method: Method) -> &'static str {
    match method {
        Method::Buffered => "buffered",
        Method::Direct => "direct",
    }
}

/// Reads a manifest. A trailer that does not match is reported, not refused: what to do about it
/// is recovery's decision.
pub fn parse(text: &[u8]) -> Result<(Manifest, Trailer), FormatError> {
    if text.is_empty() {
        return Err(FormatError { line: 0, what: "Found an empty AOF manifest" });
    }
    let mut manifest = Manifest::default();
    let mut trailer = Trailer::Missing;
    let (mut line_number, mut at) = (0, 0);
    let mut order = Order::default();
    while at < text.len() {
        line_number += 1;
        let fail = |what| FormatError { line: line_number, what };
        let rest = text.get(at..).unwrap_or_default();
        let end = memchr::memchr(b'\n', rest).map(|n| n + 1);
        let line = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        if line.len() > LINE_BYTES_MAX {
            return Err(fail("The AOF manifest file contains too long line"));
        }
        if line.first() == Some(&b'#') {
            if line.starts_with(TRAILER.as_bytes()) {
                let covered = text.get(..at).unwrap_or_default();
                let last = at + line.len() == text.len();
                trailer = read_trailer(line, covered, last, &mut manifest);
            }
        } else {
            if end.is_none() {
                return Err(fail("the line has no end: the file is cut short"));
            }
            let entry = parse_entry(line).map_err(fail)?;
            order.check(&entry).map_err(fail)?;
            // Escapes can make a line longer than it came: better refused now than by the start
            // after the next switch.
            let mut printed = Vec::new();
            print_entry(&mut printed, &entry);
            if printed.len() > LINE_BYTES_MAX {
                return Err(fail("the line is too long when it is written again: shorten it"));
            }
            manifest.files.push(entry);
        }
        at += line.len();
    }
    Ok((manifest, trailer))
}

fn read_trailer(line: &[u8], covered: &[u8], last: bool, manifest: &mut Manifest) -> Trailer {
    let fields = std::str::from_utf8(line).ok().and_then(|line| {
        let words: Vec<&str> = line.strip_prefix(TRAILER)?.split_ascii_whitespace().collect();
        match words.as_slice() {
            ["next", next, "epoch", epoch, "crc32c", crc] => Some((
                next.parse::<u64>().ok()?,
                epoch.parse::<u64>().ok()?,
                u32::from_str_radix(crc, 16).ok()?,
            )),
            _ => None,
        }
    });
    match fields {
        Some((next, epoch, crc)) if last && crc == crc32c::crc32c(covered) => {
            manifest.next_number = next;
            manifest.epoch = epoch;
            Trailer::Valid
        }
        _ => Trailer::Mismatch,
    }
}

fn parse_entry(line: &[u8]) -> Result<Entry, &'static str> {
    const INVALID: &str = "Invalid AOF manifest file format";
    let words = quoting::split(line).ok_or(INVALID)?;
    if words.len() < 6 || words.len() % 2 != 0 {
        return Err(INVALID);
    }
    let mut words = words
        .into_iter()
        .map(|word| String::from_utf8(word).map_err(|_| "names and values must be UTF-8"));
    let (mut name, mut seq, mut kind) = (None, None, None);
    let mut entry = Entry::new("", 0, Kind::Incr);
    while let (Some(key), Some(value)) = (words.next(), words.next()) {
        let (key, value) = (key?, value?);
        match key.to_ascii_lowercase().as_str() {
            "file" => name = Some(value),
            "seq" => seq = Some(parse_seq(&value).ok_or(INVALID)?),
            "type" => kind = Some(parse_kind(&value)?),
            "q-epoch" => entry.epoch = value.parse().ok(),
            "q-run" => entry.run = u64::from_str_radix(&value, 16).ok(),
            "q-method" => entry.method = parse_method(&value),
            "q-bytes" => entry.bytes = value.parse().ok(),
            "q-first" => entry.first_lsn = value.parse().ok().filter(|&lsn| lsn > 0),
            _ => entry.extra.push((key, value)),
        }
    }
    entry.name = name.ok_or(INVALID)?;
    entry.seq = seq.ok_or(INVALID)?;
    entry.kind = kind.ok_or(INVALID)?;
    if entry.name.contains(['/', '\\']) || matches!(entry.name.as_str(), "" | "." | "..") {
        return Err("File can't be a path, just a filename");
    }
    Ok(entry)
}

fn parse_seq(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let seq = text.parse().ok().filter(|_| digits)?;
    (1..=super::NUMBER_MAX).contains(&seq).then_some(seq)
}

fn parse_kind(text: &str) -> Result<Kind, &'static str> {
    match text.as_bytes().first() {
        Some(b'b') => Ok(Kind::Base),
        Some(b'h') => Ok(Kind::History),
        Some(b'i') => Ok(Kind::Incr),
        _ => Err("Unknown AOF file type"),
    }
}

fn parse_method(text: &str) -> Option<Method> {
    [Method::Buffered, Method::Direct].into_iter().find(|&m| method_name(m) == text)
}

/// What the lines so far say about those that may follow.
#[derive(Default)]
struct Order {
    names: HashSet<String>,
    has_base: bool,
    seq_max: u64,
}

impl Order {
    fn check(&mut self, entry: &Entry) -> Result<(), &'static str> {
        match entry.kind {
            Kind::Base if self.has_base => return Err("Found duplicate base file information"),
            Kind::Incr if entry.seq <= self.seq_max => {
                return Err("Found a non-monotonic sequence number");
            }
            Kind::Incr => self.seq_max = entry.seq,
            Kind::Base => self.has_base = true,
            Kind::History => {}
        }
        // Stock replays a file that is listed twice two times; increments would count double.
        let new = self.names.insert(entry.name.clone());
        new.then_some(()).ok_or("the file is listed twice")
    }
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
