//! Words of a line: inline commands, lines of redis.conf, values of CONFIG SET with several words.
//!
//! Redis' quoting: words are separated by blanks; in "double quotes" `\n \r \t \b \a \\ \"` and
//! `\xHH` are escapes; in 'single quotes' only `\'` is. A closing quote must end the word. Unlike
//! Redis, a NUL byte is a byte like any other.

use quire_engine::command::OwnedArgs;
use std::fmt;

/// A quote was opened and not closed, or closed in the middle of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnbalancedQuotes;

impl fmt::Display for UnbalancedQuotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unbalanced quotes")
    }
}

impl std::error::Error for UnbalancedQuotes {}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// What ends an unquoted word; vertical tab and form feed do not, as in Redis.
fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Appends the words of `line` to `words`, unquoted.
///
/// # Errors
/// [`UnbalancedQuotes`]; `words` may then hold some of the words.
pub fn split_args(line: &[u8], words: &mut OwnedArgs) -> Result<(), UnbalancedQuotes> {
    let mut at = 0;
    let mut quoted = Vec::new();
    loop {
        while line.get(at).is_some_and(|&b| is_space(b)) {
            at += 1;
        }
        if at == line.len() {
            return Ok(());
        }
        let plain = line[at..].iter().position(|&b| ends_word(b) || b == b'"' || b == b'\'');
        let end = plain.map_or(line.len(), |len| at + len);
        match line.get(end) {
            Some(&quote @ (b'"' | b'\'')) => {
                quoted.clear();
                quoted.extend_from_slice(&line[at..end]);
                at = unquote(line, end + 1, quote, &mut quoted)?;
                words.push(&quoted);
            }
            _ => {
                words.push(&line[at..end]);
                at = end;
            }
        }
    }
}

/// Appends what stands between the quote that ends at `at` and its counterpart; returns the
/// position behind that.
fn unquote(
    line: &[u8],
    mut at: usize,
    quote: u8,
    out: &mut Vec<u8>,
) -> Result<usize, UnbalancedQuotes> {
    loop {
        let byte = *line.get(at).ok_or(UnbalancedQuotes)?;
        at += 1;
        if byte == quote {
            return match line.get(at) {
                Some(&next) if !is_space(next) => Err(UnbalancedQuotes),
                _ => Ok(at),
            };
        }
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match (quote, line.get(at)) {
            (b'\'', Some(b'\'')) => {
                out.push(b'\'');
                at += 1;
            }
            (b'"', Some(&escaped)) => {
                if escaped == b'x'
                    && let Some(value) = line.get(at + 1..at + 3).and_then(hex_byte)
                {
                    out.push(value);
                    at += 3;
                } else {
                    out.push(match escaped {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'b' => 0x08,
                        b'a' => 0x07,
                        other => other,
                    });
                    at += 1;
                }
            }
            _ => out.push(b'\\'),
        }
    }
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let high = char::from(digits[0]).to_digit(16)?;
    let low = char::from(digits[1]).to_digit(16)?;
    Some((high * 16 + low) as u8)
}

/// `bytes` in double quotes, so that [`split_args`] gives them back as one word.
pub fn quote(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            0x07 => out.push_str("\\a"),
            0x08 => out.push_str("\\b"),
            0x20..=0x7e => out.push(char::from(byte)),
            other => {
                use fmt::Write;
                // Writing to a String cannot fail.
                let _ = write!(out, "\\x{other:02x}");
            }
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &[u8]) -> Result<Vec<Vec<u8>>, UnbalancedQuotes> {
        let mut out = OwnedArgs::new();
        split_args(line, &mut out)?;
        Ok(out.as_args().iter_from(0).map(<[u8]>::to_vec).collect())
    }

    #[test]
    fn quotes_and_escapes_are_redis_own() {
        // Each pair was asked of redis-server 7.0.15 as an inline ECHO or as an unknown command.
        let cases: &[(&[u8], &[&[u8]])] = &[
            (b"", &[]),
            (b"  \t ", &[]),
            (b"a b", &[b"a", b"b"]),
            (b" a\t\tb ", &[b"a", b"b"]),
            (b"\"\" foo", &[b"", b"foo"]),
            (b"'a\\'b' \"\\x41\\n\\q\"", &[b"a'b", b"A\nq"]),
            (b"ab\"c d\" e", &[b"abc d", b"e"]),
            (b"'\\n\\x41'", &[b"\\n\\x41"]),
            (b"\"\\x4\" \"\\xzz\"", &[b"x4", b"xzz"]),
            (b"a\\nb", &[b"a\\nb"]),
            (b"a\x0bb \x0b c", &[b"a\x0bb", b"c"]),
            (b"PI\rNG", &[b"PI", b"NG"]),
            (b"a\0b", &[b"a\0b"]),
        ];
        for (line, expected) in cases {
            let got = words(line).unwrap();
            assert_eq!(got, *expected, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn odd_quotes_are_refused() {
        for line in [&b"\"abc"[..], b"'abc", b"\"abc\"d", b"'a'b", b"\"abc\\", b"a\"", b"\"a\\\""] {
            assert_eq!(words(line), Err(UnbalancedQuotes), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn quoting_and_splitting_are_inverse() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(words(quote(&all).as_bytes()).unwrap(), [all]);
    }
}
