//! Parses logged commands: RESP arrays of bulk strings, with annotation lines between them.
//!
//! Strict where stock is lax (the line end behind a bulk string is checked), never panics, never
//! allocates from a number it has read: arguments are spans into the bytes at hand.

use crate::{
    command::{Args, Span},
    limits::ANNOTATION_LINE_BYTES_MAX,
};

/// Digits of the longest count or length accepted.
const DIGITS_MAX: usize = 10;

/// Why bytes are not a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommandFault {
    /// Neither `*` nor `#` where a command or an annotation must begin.
    Start,
    /// A count or length that is not one.
    Number,
    /// No `$` where a bulk string must begin.
    Bulk,
    /// No line end behind a bulk string.
    LineEnd,
    /// An annotation without an end within the longest line stock skips.
    LongLine,
    /// A command longer than 4 GiB.
    TooLong,
    /// The bytes end inside a command or a line.
    Cut,
}

/// What stands at the beginning of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A whole command of this many bytes; its arguments are in the spans.
    Command(usize),
    /// A whole annotation line of this many bytes, newline included.
    Line(usize),
    /// Not all there; at least this many bytes are needed.
    Incomplete(usize),
}

/// Parses what stands at the beginning of `bytes` (not empty). Spans are relative to `bytes`.
pub(super) fn parse(bytes: &[u8], spans: &mut Vec<Span>) -> Result<Parsed, CommandFault> {
    spans.clear();
    match bytes.first() {
        Some(b'#') => parse_line(bytes),
        Some(b'*') => parse_command(bytes, spans),
        _ => Err(CommandFault::Start),
    }
}

/// Length of the annotation line at the beginning of `bytes`.
fn parse_line(bytes: &[u8]) -> Result<Parsed, CommandFault> {
    let window = &bytes[..bytes.len().min(ANNOTATION_LINE_BYTES_MAX)];
    match memchr::memchr(b'\n', window) {
        Some(end) => Ok(Parsed::Line(end + 1)),
        None if window.len() == ANNOTATION_LINE_BYTES_MAX => Err(CommandFault::LongLine),
        None => Ok(Parsed::Incomplete(bytes.len() + 1)),
    }
}

fn parse_command(bytes: &[u8], spans: &mut Vec<Span>) -> Result<Parsed, CommandFault> {
    let Some((count, mut at)) = number(bytes, 1)? else {
        return Ok(Parsed::Incomplete(bytes.len() + 1));
    };
    if count == 0 {
        return Err(CommandFault::Number);
    }
    for _ in 0..count {
        match bytes.get(at) {
            None => return Ok(Parsed::Incomplete(bytes.len() + 1)),
            Some(b'$') => {}
            Some(_) => return Err(CommandFault::Bulk),
        }
        let Some((len, start)) = number(bytes, at + 1)? else {
            return Ok(Parsed::Incomplete(bytes.len() + 1));
        };
        let end = start as u64 + len;
        if end + 2 > u64::from(u32::MAX) {
            return Err(CommandFault::TooLong);
        }
        let end = end as usize;
        match bytes.get(end..end + 2) {
            Some(b"\r\n") => {}
            Some(_) => return Err(CommandFault::LineEnd),
            None => return Ok(Parsed::Incomplete(end + 2)),
        }
        spans.push(Span { start: start as u32, len: len as u32 });
        at = end + 2;
    }
    Ok(Parsed::Command(at))
}

/// The number at `at`, and where the bytes behind its line begin. `None`: not all there.
fn number(bytes: &[u8], at: usize) -> Result<Option<(u64, usize)>, CommandFault> {
    let mut value = 0u64;
    for (i, &b) in bytes[at..].iter().take(DIGITS_MAX + 1).enumerate() {
        match b {
            b'0'..=b'9' if i < DIGITS_MAX => value = value * 10 + u64::from(b - b'0'),
            b'\r' if i > 0 => {
                return match bytes.get(at + i + 1) {
                    Some(b'\n') => Ok(Some((value, at + i + 2))),
                    Some(_) => Err(CommandFault::Number),
                    None => Ok(None),
                };
            }
            _ => return Err(CommandFault::Number),
        }
    }
    Ok(None)
}

/// The commands of a commit's body, in order; MULTI, EXEC and SELECT among them.
pub struct CommandReader<'a> {
    rest: &'a [u8],
    spans: Vec<Span>,
}

impl<'a> CommandReader<'a> {
    /// A reader of a whole body.
    pub fn new(body: &'a [u8]) -> Self {
        Self { rest: body, spans: Vec::new() }
    }

    /// The same reader for another body: keeps its memory.
    pub fn reset<'b>(self, body: &'b [u8]) -> CommandReader<'b> {
        CommandReader { rest: body, spans: self.spans }
    }

    /// Bytes not read yet.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// The next command; `None` at the end. Annotation lines (`#T ..` and whatever later versions
    /// put there) are skipped.
    ///
    /// # Errors
    /// What is wrong with the bytes; the reader stays where it is.
    pub fn next_command(&mut self) -> Result<Option<Args<'_>>, CommandFault> {
        loop {
            if self.rest.is_empty() {
                return Ok(None);
            }
            match parse(self.rest, &mut self.spans)? {
                Parsed::Line(len) => self.rest = &self.rest[len..],
                Parsed::Command(len) => {
                    let (command, rest) = self.rest.split_at(len);
                    self.rest = rest;
                    return Ok(Some(Args::new(command, &self.spans)));
                }
                Parsed::Incomplete(_) => return Err(CommandFault::Cut),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(body: &[u8]) -> Result<Vec<Vec<String>>, CommandFault> {
        let mut reader = CommandReader::new(body);
        let mut commands = Vec::new();
        while let Some(args) = reader.next_command()? {
            let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
            commands.push(args.iter_from(0).map(text).collect());
        }
        Ok(commands)
    }

    #[test]
    fn commands_are_read_and_annotations_skipped() {
        let body = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n#T1 reserved\n*1\r\n$0\r\n\r\n#\n";
        assert_eq!(all(body), Ok(vec![vec!["SELECT".into(), "0".into()], vec![String::new()]]));
        assert_eq!(all(b""), Ok(vec![]));
    }

    #[test]
    fn every_truncation_is_a_cut() {
        let body = b"*2\r\n$3\r\nDEL\r\n$12\r\nabcdefghijkl\r\n";
        for len in 1..body.len() {
            assert_eq!(all(&body[..len]), Err(CommandFault::Cut), "{len}");
        }
    }

    #[test]
    fn what_is_not_a_command_is_refused_with_its_reason() {
        for (bytes, fault) in [
            (b"SET a b\r\n".as_slice(), CommandFault::Start),
            (b"\0", CommandFault::Start),
            (b"*0\r\n", CommandFault::Number),
            (b"*-1\r\n", CommandFault::Number),
            (b"*\r\n", CommandFault::Number),
            (b"*1\n$", CommandFault::Number),
            (b"*12345678901\r\n", CommandFault::Number),
            (b"*1\r\n:1\r\n", CommandFault::Bulk),
            (b"*1\r\n$1\r\nab\r\n", CommandFault::LineEnd),
            (b"*1\r\n$4294967290\r\n", CommandFault::TooLong),
            (&[b'#'; 1023], CommandFault::LongLine),
        ] {
            assert_eq!(all(bytes), Err(fault), "{}", String::from_utf8_lossy(bytes));
        }
    }
}
