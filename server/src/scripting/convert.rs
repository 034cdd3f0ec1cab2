//! Replies become Lua values, Lua values become replies: Redis' rules for both.
//!
//! | RESP | Lua | back |
//! |---|---|---|
//! | integer | number | integer (cut) |
//! | bulk string | string | bulk string |
//! | array | table | array, up to the first nil |
//! | simple string | table, `ok` | simple string |
//! | error | table, `err` | error |
//! | null of RESP2 | false | null |
//! | null of RESP3 | nil | null |
//! | truth value | truth value | RESP2: 1 or null; after `setresp(3)`: truth value |
//! | double, big number | table, `double`, `big_number` | the same |
//! | map, set | table, `map`, `set` | the same |
//! | verbatim string | table, `verbatim_string` with `string` and `format` | the same |
//!
//! Tables are read raw: no metamethod of a script runs after the script.

use super::stack::{Kind, Stack};
use quire_engine::command::{Reply, quoted};
use std::ffi::c_int;

/// Pushes an error as scripts see it: a table with the text in `err`. A text that starts with `-`
/// has its code in front; others are given the code `ERR`.
pub fn push_error(stack: &mut Stack, text: &[u8]) {
    // Errors are C strings in Redis: they end at their first zero.
    let text = quoted(text, usize::MAX);
    let (code, message) = match text.strip_prefix(b"-") {
        None => (&b"ERR"[..], text),
        Some(rest) => match memchr::memchr(b' ', rest) {
            None => (&b"ERR"[..], rest),
            Some(at) => (&rest[..at], &rest[at + 1..]),
        },
    };
    let is_end = |b: &u8| matches!(b, b'\r' | b'\n');
    let start = message.iter().position(|b| !is_end(b)).unwrap_or(message.len());
    let end = message.iter().rposition(|b| !is_end(b)).map_or(start, |last| last + 1);
    stack.push_table(0, 2);
    stack.push_bytes(&[code, b" ", &message[start..end]].concat());
    stack.set_raw_field(-2, b"err");
}

/// Marks the error on top as one that has been counted already.
pub fn mark_counted(stack: &mut Stack) {
    stack.push_bool(true);
    stack.set_raw_field(-2, b"ignore_error_stats_update");
}

/// A reply being read: well formed, for this server has written it.
struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    fn line(&mut self) -> &'a [u8] {
        let end = memchr::memchr(b'\n', self.bytes).unwrap_or(self.bytes.len());
        let line = &self.bytes[..end.saturating_sub(1)];
        self.bytes = &self.bytes[(end + 1).min(self.bytes.len())..];
        line
    }

    fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(len.min(self.bytes.len()));
        // The line end behind it.
        self.bytes = rest.get(2..).unwrap_or_default();
        taken
    }
}

fn number(digits: &[u8]) -> i64 {
    std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).unwrap_or(-1)
}

/// Pushes a whole reply as a Lua value. False when the stack of the script has no room for it.
pub fn push_reply(stack: &mut Stack, reply: &[u8]) -> bool {
    push_next(stack, &mut Reader { bytes: reply })
}

fn push_next(stack: &mut Stack, reader: &mut Reader<'_>) -> bool {
    if !stack.reserve(6) {
        return false;
    }
    let line = reader.line();
    let (kind, rest) = line.split_first().unwrap_or((&b'_', &[]));
    match kind {
        b'+' => {
            stack.push_table(0, 1);
            stack.push_bytes(rest);
            stack.set_raw_field(-2, b"ok");
        }
        b'-' => {
            push_error(stack, line);
            mark_counted(stack);
        }
        b':' => stack.push_number(number(rest) as f64),
        b'$' => match usize::try_from(number(rest)) {
            Ok(len) => stack.push_bytes(reader.take(len)),
            Err(_) => stack.push_bool(false),
        },
        b'*' | b'>' => match usize::try_from(number(rest)) {
            Err(_) => stack.push_bool(false),
            Ok(len) => {
                stack.push_table(len, 0);
                for n in 1..=len {
                    if !push_next(stack, reader) {
                        return false;
                    }
                    stack.set_raw_element(-2, c_int::try_from(n).unwrap_or(c_int::MAX));
                }
            }
        },
        b'|' => {
            // An attribute stands before a reply; scripts do not see it.
            for _ in 0..2 * number(rest) {
                if !push_next(stack, reader) {
                    return false;
                }
                stack.pop(1);
            }
            return push_next(stack, reader);
        }
        b'%' | b'~' => return push_fields(stack, reader, *kind, number(rest)),
        b',' => {
            stack.push_table(0, 1);
            stack.push_number(double(rest));
            stack.set_raw_field(-2, b"double");
        }
        b'#' => stack.push_bool(rest == b"t"),
        b'(' => {
            stack.push_table(0, 1);
            stack.push_bytes(rest);
            stack.set_raw_field(-2, b"big_number");
        }
        b'=' => {
            let text = reader.take(usize::try_from(number(rest)).unwrap_or(0));
            stack.push_table(0, 1);
            stack.push_table(0, 2);
            stack.push_bytes(text.get(4..).unwrap_or_default());
            stack.set_raw_field(-2, b"string");
            stack.push_bytes(text.get(..3).unwrap_or_default());
            stack.set_raw_field(-2, b"format");
            stack.set_raw_field(-2, b"verbatim_string");
        }
        _ => stack.push_nil(),
    }
    true
}

/// A map or a set: a table of its own within a table that says which.
fn push_fields(stack: &mut Stack, reader: &mut Reader<'_>, kind: u8, len: i64) -> bool {
    let len = usize::try_from(len).unwrap_or(0);
    stack.push_table(0, 1);
    stack.push_table(0, len);
    for _ in 0..len {
        if !push_next(stack, reader) {
            return false;
        }
        if kind == b'%' {
            if !push_next(stack, reader) {
                return false;
            }
        } else {
            stack.push_bool(true);
        }
        // Nothing is kept under nil: Lua has no such key.
        match stack.kind(-2) {
            Kind::Nil => stack.pop(2),
            _ => stack.raw_set(-3),
        }
    }
    stack.set_raw_field(-2, if kind == b'%' { b"map" } else { b"set" });
    true
}

fn double(text: &[u8]) -> f64 {
    match text {
        b"inf" => f64::INFINITY,
        b"-inf" => f64::NEG_INFINITY,
        b"nan" | b"-nan" => f64::NAN,
        _ => std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).unwrap_or(0.0),
    }
}

/// Tables within tables that are written; a script may return one that contains itself. Redis gives
/// up where Lua's stack ends, which is deeper: this is what a thread's stack bears in any build.
const DEPTH_MAX: usize = 1000;

/// What is known of an error that a script ended with, or that it returns.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Failure {
    /// The text, with its code.
    pub text: Vec<u8>,
    /// Where: source and line.
    pub place: Option<(Vec<u8>, Vec<u8>)>,
    /// It has been counted already.
    pub is_counted: bool,
}

/// Reads the error table on top.
pub fn failure(stack: &mut Stack) -> Failure {
    let mut field = |name: &[u8]| {
        stack.raw_field(-1, name);
        let text = stack.text(-1).map(<[u8]>::to_vec);
        let is_true = stack.kind(-1) == Kind::Boolean && stack.boolean(-1);
        stack.pop(1);
        (text, is_true)
    };
    let (text, _) = field(b"err");
    let (source, _) = field(b"source");
    let (line, _) = field(b"line");
    let (_, is_counted) = field(b"ignore_error_stats_update");
    let text = quoted(&text.unwrap_or_default(), usize::MAX).to_vec();
    Failure { text, place: source.zip(line), is_counted }
}

/// Writes the value on top as a reply and takes it off. `is_new` after `setresp(3)`. An error that is
/// returned is given to `failed`.
pub fn write_value(
    stack: &mut Stack,
    out: &mut Vec<u8>,
    resp3: bool,
    is_new: bool,
    failed: &mut dyn FnMut(&Failure),
) {
    let mut writer = Writer { out, resp3, is_new, failed, depth: 0 };
    writer.value(stack);
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    resp3: bool,
    is_new: bool,
    failed: &'a mut dyn FnMut(&Failure),
    /// Tables around the value.
    depth: usize,
}

impl Writer<'_> {
    fn reply(&mut self) -> Reply<'_> {
        Reply::new(self.out, self.resp3)
    }

    fn value(&mut self, stack: &mut Stack) {
        if self.depth == DEPTH_MAX || !stack.reserve(4) {
            self.reply().error("ERR reached lua stack limit");
            stack.pop(1);
            return;
        }
        match stack.kind(-1) {
            Kind::Text => self.reply().bulk(stack.bytes(-1).unwrap_or_default()),
            Kind::Boolean => {
                let yes = stack.boolean(-1);
                match (self.is_new, yes) {
                    (true, _) => self.reply().bool(yes),
                    (false, true) => self.reply().int(1),
                    (false, false) => self.reply().null(),
                }
            }
            Kind::Number => {
                let number = stack.number(-1);
                self.reply().int(truncated(number));
            }
            Kind::Table => {
                self.depth += 1;
                self.table(stack);
                self.depth -= 1;
            }
            _ => self.reply().null(),
        }
        stack.pop(1);
    }

    /// The table on top, which stays.
    fn table(&mut self, stack: &mut Stack) {
        for (name, kind) in [
            (&b"err"[..], Kind::Text),
            (b"ok", Kind::Text),
            (b"double", Kind::Number),
            (b"big_number", Kind::Text),
            (b"verbatim_string", Kind::Table),
            (b"map", Kind::Table),
            (b"set", Kind::Table),
        ] {
            stack.raw_field(-1, name);
            let is_it = stack.kind(-1) == kind && self.special(stack, name);
            stack.pop(1);
            if is_it {
                return;
            }
        }
        let at = self.out.len();
        let mut n = 0;
        loop {
            stack.raw_element(-1, n + 1);
            if stack.kind(-1) == Kind::Nil {
                stack.pop(1);
                break;
            }
            self.value(stack);
            n += 1;
        }
        self.head(at, |reply, n| reply.array(n), n as usize);
    }

    /// A value of a kind that RESP has and Lua does not; it is on top, in its table, and stays.
    fn special(&mut self, stack: &mut Stack, name: &[u8]) -> bool {
        match name {
            b"err" => {
                stack.push_copy(-2);
                let failure = failure(stack);
                stack.pop(1);
                (self.failed)(&failure);
                self.reply().error(&failure.text);
            }
            b"ok" => {
                let text = one_line(quoted(stack.bytes(-1).unwrap_or_default(), usize::MAX));
                self.out.push(b'+');
                self.out.extend_from_slice(&text);
                self.out.extend_from_slice(b"\r\n");
            }
            b"double" => {
                let number = stack.number(-1);
                self.reply().double(number);
            }
            b"big_number" => {
                let digits = one_line(stack.bytes(-1).unwrap_or_default());
                if self.resp3 {
                    self.out.push(b'(');
                    self.out.extend_from_slice(&digits);
                    self.out.extend_from_slice(b"\r\n");
                } else {
                    self.reply().bulk(&digits);
                }
            }
            b"verbatim_string" => return self.verbatim(stack),
            b"map" => self.fields(stack, true),
            _ => self.fields(stack, false),
        }
        true
    }

    fn verbatim(&mut self, stack: &mut Stack) -> bool {
        stack.raw_field(-1, b"format");
        stack.raw_field(-2, b"string");
        let parts = (stack.bytes(-2).map(<[u8]>::to_vec), stack.bytes(-1).map(<[u8]>::to_vec));
        stack.pop(2);
        let (Some(mut format), Some(text)) = parts else { return false };
        format.resize(3, b' ');
        self.reply().verbatim(&String::from_utf8_lossy(&format), &text);
        true
    }

    /// The map or set on top.
    fn fields(&mut self, stack: &mut Stack, is_map: bool) {
        let at = self.out.len();
        let mut n = 0;
        stack.push_nil();
        while stack.next(-2) {
            if is_map {
                // Key and value: a copy of the key is written, then the value.
                stack.push_copy(-2);
                self.value(stack);
                self.value(stack);
            } else {
                stack.pop(1);
                stack.push_copy(-1);
                self.value(stack);
            }
            n += 1;
        }
        self.head(at, |reply, n| if is_map { reply.map(n) } else { reply.set(n) }, n);
    }

    /// Writes the head of what has been written from `at` on.
    fn head(&mut self, at: usize, write: impl FnOnce(&mut Reply<'_>, usize), n: usize) {
        let behind = self.out.len();
        write(&mut self.reply(), n);
        let len = self.out.len() - behind;
        self.out[at..].rotate_right(len);
    }
}

/// Line ends become spaces.
fn one_line(text: &[u8]) -> Vec<u8> {
    text.iter().map(|&b| if matches!(b, b'\r' | b'\n') { b' ' } else { b }).collect()
}

/// A number cut to an integer, as the processors Redis runs on do it.
pub fn truncated(number: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if (-LIMIT..LIMIT).contains(&number) { number as i64 } else { i64::MIN }
}
