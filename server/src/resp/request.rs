//! Reads commands from the bytes of a connection, in place and resumable.
//!
//! Owns the grammar `*<n>\r\n ($<len>\r\n<bytes>\r\n){n}` and its limits; anything that does not
//! start with `*` is an inline command. Invariants:
//! * `buf[0]` is the first byte of the current command in every call until the command is over;
//!   the parser keeps how far it got, so no byte of an argument is looked at twice.
//! * What comes out does not depend on how the stream was cut into pieces.
//! * Arguments are spans into `buf`; only inline commands, which need unquoting, are copied.
//!
//! Like Redis it looks at `\r` only and takes the byte behind it for `\n`.
//! It knows nothing of sockets, commands or replies.

use super::{ProtocolError, split_args};
use quire_engine::command::{Args, OwnedArgs, Span};

/// Longest inline command and longest header line, bytes.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// Most arguments of one command.
const ARGS_MAX: u32 = i32::MAX as u32;
/// Most arguments of one command before authentication.
const ARGS_MAX_UNAUTHENTICATED: u32 = 10;
/// Longest argument before authentication, bytes.
const BULK_BYTES_MAX_UNAUTHENTICATED: u32 = 16 * 1024;
/// Spans are 32 bits wide.
const COMMAND_BYTES_MAX: usize = u32::MAX as usize;
/// Room for spans is made for at most this many arguments ahead of their arrival: the announced
/// number is the client's word only.
const SPANS_RESERVED_MAX: u32 = 1024;
/// Spans of an unfinished command are copied aside up to this many, and swapped aside beyond.
const SPANS_COPIED_MAX: usize = 64;

/// What a call of [`RequestParser::parse`] found at the start of the buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// A whole command, its arguments at the spans.
    Complete {
        /// Bytes the command takes.
        consumed: usize,
    },
    /// A whole inline command, its arguments at [`RequestParser::inline_args`].
    Inline {
        /// Bytes the command takes.
        consumed: usize,
    },
    /// An empty line or an empty array: there is nothing to run and nothing to answer.
    Nothing {
        /// Bytes to skip.
        consumed: usize,
    },
    /// The command is not whole yet: keep the bytes, call again with more behind them.
    Incomplete {
        /// At least this many bytes are missing.
        need: usize,
    },
    /// Answer with the error and close.
    Error(ProtocolError),
}

/// The reading side of one connection.
#[derive(Debug)]
pub struct RequestParser {
    /// Arguments of the current command that are still to come; 0 = its header is.
    remaining: u32,
    /// Where the next argument's `$` is, in an unfinished command.
    at: u32,
    /// Bytes of the unfinished line known to hold no line end, from the command's start.
    scanned: u32,
    /// Most arguments now.
    args_max: u32,
    /// Longest argument now, authentication considered.
    bulk_bytes_max: u32,
    /// Longest argument for those who have authenticated.
    proto_max_bulk_len: u32,
    /// Arguments of the unfinished command that are whole.
    partial: Vec<Span>,
    /// Arguments of the last inline command. Boxed: hardly any connection has one.
    inline: Option<Box<OwnedArgs>>,
}

/// What a length line says.
enum Line {
    /// A number, and where the line behind it starts.
    Number(i64, usize),
    /// A whole line that is not a number.
    NotANumber,
    /// The line has no end yet.
    Unfinished,
    /// The line has no end where it must have one.
    TooLong,
}

/// Digits up to `\r`, without leading zero, at most nine: nearly all lengths there are.
#[inline(always)]
pub(super) fn short_length(buf: &[u8], from: usize) -> Option<(u32, usize)> {
    let mut value = u32::from(buf.get(from)?.wrapping_sub(b'1'));
    if value > 8 {
        return None;
    }
    value += 1;
    let mut at = from + 1;
    loop {
        let byte = *buf.get(at)?;
        let digit = byte.wrapping_sub(b'0');
        at += 1;
        if digit > 9 {
            return (byte == b'\r' && at < buf.len()).then_some((value, at + 1));
        }
        if at - from > 9 {
            return None;
        }
        value = value * 10 + u32::from(digit);
    }
}

/// A number in the only spelling Redis takes: no sign but `-`, no leading zero, no `-0`.
pub(crate) fn strict_number(text: &[u8]) -> Option<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    match digits {
        [] => None,
        [b'0'] => (text.len() == 1).then_some(0),
        [b'1'..=b'9', rest @ ..] if rest.iter().all(u8::is_ascii_digit) => {
            std::str::from_utf8(text).ok()?.parse().ok()
        }
        _ => None,
    }
}

impl RequestParser {
    /// A parser at the start of a stream. `authenticated`: see [`Self::set_authenticated`];
    /// `proto_max_bulk_len`: longest argument, bytes.
    pub fn new(authenticated: bool, proto_max_bulk_len: u32) -> Self {
        let mut parser = Self {
            remaining: 0,
            at: 0,
            scanned: 0,
            args_max: 0,
            bulk_bytes_max: 0,
            proto_max_bulk_len,
            partial: Vec::new(),
            inline: None,
        };
        parser.set_authenticated(authenticated);
        parser
    }

    /// Before authentication (where a password is asked for) a client may send only small
    /// commands: 10 arguments of 16 KiB.
    pub fn set_authenticated(&mut self, authenticated: bool) {
        if authenticated {
            self.args_max = ARGS_MAX;
            self.bulk_bytes_max = self.proto_max_bulk_len;
        } else {
            self.args_max = ARGS_MAX_UNAUTHENTICATED;
            self.bulk_bytes_max = self.proto_max_bulk_len.min(BULK_BYTES_MAX_UNAUTHENTICATED);
        }
    }

    /// Changes the longest argument, bytes.
    pub fn set_proto_max_bulk_len(&mut self, bytes: u32) {
        self.proto_max_bulk_len = bytes;
        self.set_authenticated(self.args_max == ARGS_MAX);
    }

    /// True while a command has begun and is not whole.
    pub fn is_inside_command(&self) -> bool {
        self.remaining > 0 || self.scanned > 0
    }

    /// The arguments of the inline command that [`Parsed::Inline`] reported last.
    pub fn inline_args(&self) -> Args<'_> {
        self.inline.as_ref().map_or(Args::new(&[], &[]), |owned| owned.as_args())
    }

    /// Reads one command from the start of `buf`.
    ///
    /// After [`Parsed::Incomplete`] call again with the same bytes and more behind them (they may
    /// have moved). `spans` is the caller's to reuse between any connections: its content is
    /// meaningful only right after [`Parsed::Complete`].
    #[inline]
    pub fn parse(&mut self, buf: &[u8], spans: &mut Vec<Span>) -> Parsed {
        // LIMIT: spans are 32 bits wide, so nothing beyond 4 GiB is looked at.
        let buf = &buf[..buf.len().min(COMMAND_BYTES_MAX)];
        if self.remaining > 0 {
            return self.resume(buf, spans);
        }
        if buf.first() != Some(&b'*') {
            return self.parse_inline(buf);
        }
        spans.clear();
        match short_length(buf, 1) {
            Some((count, at)) if count <= self.args_max => self.parse_bulks(buf, spans, at, count),
            _ => self.parse_header(buf, spans),
        }
    }

    /// The arguments from `at` on, `remaining` of them.
    #[inline]
    fn parse_bulks(
        &mut self,
        buf: &[u8],
        spans: &mut Vec<Span>,
        mut at: usize,
        mut remaining: u32,
    ) -> Parsed {
        spans.reserve(remaining.min(SPANS_RESERVED_MAX) as usize);
        while remaining > 0 {
            let short = if buf.get(at) == Some(&b'$') { short_length(buf, at + 1) } else { None };
            let (len, start) = match short {
                Some((len, start)) if len <= self.bulk_bytes_max => (len, start),
                _ => match self.bulk_line(buf, at) {
                    Ok(Some(found)) => found,
                    Ok(None) => return self.suspend(at, remaining, spans, 1),
                    Err(error) => return Parsed::Error(error),
                },
            };
            let end = start + len as usize + 2;
            if end > buf.len() {
                return self.suspend(at, remaining, spans, end - buf.len());
            }
            spans.push(Span { start: start as u32, len });
            at = end;
            remaining -= 1;
        }
        self.remaining = 0;
        self.scanned = 0;
        Parsed::Complete { consumed: at }
    }

    /// Keeps what is needed to go on at `at` once at least `need` more bytes are there.
    #[cold]
    fn suspend(&mut self, at: usize, remaining: u32, spans: &mut Vec<Span>, need: usize) -> Parsed {
        // The bytes seen so far are at most COMMAND_BYTES_MAX.
        if at + need > COMMAND_BYTES_MAX {
            return Parsed::Error(ProtocolError::CommandTooBig);
        }
        self.at = at as u32;
        self.remaining = remaining;
        if spans.len() <= SPANS_COPIED_MAX {
            self.partial.clear();
            self.partial.extend_from_slice(spans);
        } else {
            std::mem::swap(&mut self.partial, spans);
        }
        Parsed::Incomplete { need }
    }

    #[cold]
    fn resume(&mut self, buf: &[u8], spans: &mut Vec<Span>) -> Parsed {
        if self.partial.len() <= SPANS_COPIED_MAX {
            spans.clear();
            spans.extend_from_slice(&self.partial);
        } else {
            std::mem::swap(&mut self.partial, spans);
        }
        self.partial.clear();
        if self.partial.capacity() > SPANS_RESERVED_MAX as usize {
            self.partial = Vec::new();
        }
        self.parse_bulks(buf, spans, self.at as usize, self.remaining)
    }

    /// The command's header where the short way did not do: big, odd, or unfinished.
    #[cold]
    fn parse_header(&mut self, buf: &[u8], spans: &mut Vec<Span>) -> Parsed {
        let (count, at) = match self.number_line(buf, 0) {
            Line::Number(count, at) => (count, at),
            Line::NotANumber => return Parsed::Error(ProtocolError::InvalidMultibulkLength),
            Line::Unfinished => return Parsed::Incomplete { need: 1 },
            Line::TooLong => return Parsed::Error(ProtocolError::TooBigMultibulkCount),
        };
        if count > i64::from(ARGS_MAX) {
            Parsed::Error(ProtocolError::InvalidMultibulkLength)
        } else if count > i64::from(self.args_max) {
            Parsed::Error(ProtocolError::UnauthenticatedMultibulkLength)
        } else if count <= 0 {
            Parsed::Nothing { consumed: at }
        } else {
            self.parse_bulks(buf, spans, at, count as u32)
        }
    }

    /// An argument's header where the short way did not do: its length and where its bytes start,
    /// or nothing if it is unfinished.
    #[cold]
    fn bulk_line(&mut self, buf: &[u8], at: usize) -> Result<Option<(u32, usize)>, ProtocolError> {
        let line = self.number_line(buf, at);
        if let (Line::Number(..) | Line::NotANumber, Some(&first)) = (&line, buf.get(at))
            && first != b'$'
        {
            return Err(ProtocolError::ExpectedDollar(first));
        }
        match line {
            Line::Number(len, start) if len >= 0 => {
                if len > i64::from(self.proto_max_bulk_len) {
                    Err(ProtocolError::InvalidBulkLength)
                } else if len > i64::from(self.bulk_bytes_max) {
                    Err(ProtocolError::UnauthenticatedBulkLength)
                } else {
                    Ok(Some((len as u32, start)))
                }
            }
            Line::Number(..) | Line::NotANumber => Err(ProtocolError::InvalidBulkLength),
            Line::Unfinished => Ok(None),
            Line::TooLong => Err(ProtocolError::TooBigBulkCount),
        }
    }

    /// The number on the line that starts at `at` with a type byte.
    fn number_line(&mut self, buf: &[u8], at: usize) -> Line {
        // Of two unfinished lines the second starts behind what the first one scanned.
        let from = (self.scanned as usize).max(at);
        let Some(found) = memchr::memchr(b'\r', &buf[from..]) else {
            self.scanned = buf.len() as u32;
            return if buf.len() - at > LINE_BYTES_MAX { Line::TooLong } else { Line::Unfinished };
        };
        let end = from + found;
        if end - at > LINE_BYTES_MAX {
            return Line::TooLong;
        }
        if end + 1 >= buf.len() {
            self.scanned = end as u32;
            return Line::Unfinished;
        }
        self.scanned = 0;
        // A line of a lone `\r` has not even a type byte.
        match buf.get(at + 1..end).and_then(strict_number) {
            Some(number) => Line::Number(number, end + 2),
            None => Line::NotANumber,
        }
    }

    #[cold]
    fn parse_inline(&mut self, buf: &[u8]) -> Parsed {
        let from = self.scanned as usize;
        let Some(found) = memchr::memchr(b'\n', &buf[from.min(buf.len())..]) else {
            self.scanned = buf.len() as u32;
            if buf.len() > LINE_BYTES_MAX {
                return Parsed::Error(ProtocolError::TooBigInline);
            }
            return Parsed::Incomplete { need: 1 };
        };
        self.scanned = 0;
        let end = from + found;
        if end > LINE_BYTES_MAX {
            return Parsed::Error(ProtocolError::TooBigInline);
        }
        let line = &buf[..end];
        let words = self.inline.get_or_insert_default();
        words.clear();
        if split_args(line.strip_suffix(b"\r").unwrap_or(line), words).is_err() {
            return Parsed::Error(ProtocolError::UnbalancedQuotes);
        }
        let consumed = end + 1;
        if words.as_args().is_empty() {
            Parsed::Nothing { consumed }
        } else {
            Parsed::Inline { consumed }
        }
    }
}

#[cfg(test)]
mod tests;
