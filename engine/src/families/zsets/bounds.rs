//! The ends of ranges as clients write them.

use crate::{
    command::CommandError,
    number::{canonical_int, parse_double},
    types::zset::{LexBound, ScoreBound},
};

const NOT_A_FLOAT: CommandError = CommandError::new("ERR min or max is not a float");
const NOT_A_TEXT: CommandError = CommandError::new("ERR min or max not valid string range item");

/// `1.5`, `(1.5`, `-inf` ...
pub(super) fn score(text: &[u8]) -> Result<ScoreBound, CommandError> {
    let (text, exclusive) = match text {
        [b'(', rest @ ..] => (rest, true),
        _ => (text, false),
    };
    // As C's `strtod`: blanks may come before, nothing is zero, too much is infinite.
    let blanks = text.iter().take_while(|&&b| b == 0x0b || b.is_ascii_whitespace()).count();
    let text = &text[blanks..];
    let plain = || std::str::from_utf8(text).ok()?.parse::<f64>().ok().filter(|n| !n.is_nan());
    let score = match text {
        [] if blanks == 0 => Some(0.0),
        _ => parse_double(text).or_else(plain),
    };
    score.map(|score| ScoreBound { score, exclusive }).ok_or(NOT_A_FLOAT)
}

/// `-`, `+`, `[text`, `(text`
pub(super) fn text(text: &[u8]) -> Result<LexBound<'_>, CommandError> {
    match text {
        b"-" => Ok(LexBound::Lowest),
        b"+" => Ok(LexBound::Highest),
        [b'[', rest @ ..] => Ok(LexBound::Inclusive(rest)),
        [b'(', rest @ ..] => Ok(LexBound::Exclusive(rest)),
        _ => Err(NOT_A_TEXT),
    }
}

/// Ranks from `start` to `end`, both included and counted from the end when negative: the first,
/// and how many.
pub(super) fn ranks(start: i64, end: i64, len: usize) -> (usize, usize) {
    let len = len as i64;
    let from_end = |at: i64| if at < 0 { at.saturating_add(len) } else { at };
    let (start, end) = (from_end(start).max(0), from_end(end).min(len - 1));
    if start > end || start >= len { (0, 0) } else { (start as usize, (end - start) as usize + 1) }
}

/// An index as clients write it.
pub(super) fn index(text: &[u8]) -> Result<i64, CommandError> {
    canonical_int(text).ok_or(CommandError::NOT_AN_INTEGER)
}
