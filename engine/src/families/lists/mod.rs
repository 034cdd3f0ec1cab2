//! Commands on lists.

pub mod blocking;
pub mod ends;
pub mod middle;
pub mod read;
pub mod transfer;

use crate::{command::CommandError, keyspace::canonical_int, types::list::End};

/// LEFT or RIGHT.
fn parse_end(text: &[u8]) -> Result<End, CommandError> {
    if text.eq_ignore_ascii_case(b"left") {
        Ok(End::Left)
    } else if text.eq_ignore_ascii_case(b"right") {
        Ok(End::Right)
    } else {
        Err(CommandError::SYNTAX)
    }
}

/// A number from `min` on; `error` when it is anything else.
fn parse_from(text: &[u8], min: i64, error: &'static str) -> Result<i64, CommandError> {
    canonical_int(text).filter(|&n| n >= min).ok_or(CommandError::new(error))
}

fn parse_int(text: &[u8]) -> Result<i64, CommandError> {
    canonical_int(text).ok_or(CommandError::NOT_AN_INTEGER)
}

/// An index that may count from the end, None when it is outside of `len` elements.
fn index_of(index: i64, len: usize) -> Option<usize> {
    let from_left = if index < 0 { (len as i64).checked_add(index)? } else { index };
    usize::try_from(from_left).ok().filter(|&index| index < len)
}

/// The elements from `start` to `stop`, both included: index of the first, and how many.
fn span(start: i64, stop: i64, len: usize) -> (usize, usize) {
    let len = len as i64;
    let absolute = |index: i64| if index < 0 { len.saturating_add(index) } else { index };
    let (start, stop) = (absolute(start).max(0), absolute(stop).min(len - 1));
    if start > stop || start >= len {
        (0, 0)
    } else {
        (start as usize, (stop - start + 1) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_count_from_both_ends() {
        assert_eq!((index_of(0, 3), index_of(-1, 3), index_of(-3, 3)), (Some(0), Some(2), Some(0)));
        assert_eq!((index_of(3, 3), index_of(-4, 3), index_of(i64::MIN, 3)), (None, None, None));
        assert_eq!(span(0, -1, 3), (0, 3));
        assert_eq!(span(-2, 9, 3), (1, 2));
        assert_eq!(span(i64::MIN, i64::MAX, 3), (0, 3));
        assert_eq!(span(2, 1, 3), (0, 0));
        assert_eq!(span(3, 5, 3), (0, 0));
        assert_eq!(span(0, i64::MIN, 3), (0, 0));
    }
}
