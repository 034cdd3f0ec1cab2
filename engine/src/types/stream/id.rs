//! Ids of entries: a time and a number within it.

/// An entry's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Id {
    /// Unix time, ms.
    pub ms: u64,
    /// Number within that millisecond.
    pub seq: u64,
}

/// What XADD may be given as an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// `*`
    Any,
    /// `ms-*`
    Within(u64),
    /// `ms-seq` or `ms`
    Exactly(Id),
}

impl Id {
    /// The lowest; no entry has it.
    pub const MIN: Self = Self { ms: 0, seq: 0 };
    /// The highest.
    pub const MAX: Self = Self { ms: u64::MAX, seq: u64::MAX };

    /// The id above.
    pub fn next(self) -> Option<Self> {
        match self.seq.checked_add(1) {
            Some(seq) => Some(Self { ms: self.ms, seq }),
            None => Some(Self { ms: self.ms.checked_add(1)?, seq: 0 }),
        }
    }

    /// The id below.
    pub fn prev(self) -> Option<Self> {
        match self.seq.checked_sub(1) {
            Some(seq) => Some(Self { ms: self.ms, seq }),
            None => Some(Self { ms: self.ms.checked_sub(1)?, seq: u64::MAX }),
        }
    }

    /// `ms-seq`, or `ms` alone with `missing` as the number.
    pub fn parse(text: &[u8], missing: u64) -> Option<Self> {
        match wish(text, missing)? {
            (id, true) => Some(id),
            (_, false) => None,
        }
    }

    /// As [`Id::parse`]; also `-` for the lowest and `+` for the highest.
    pub fn parse_bound(text: &[u8], missing: u64) -> Option<Self> {
        match text {
            b"-" => Some(Self::MIN),
            b"+" => Some(Self::MAX),
            _ => Self::parse(text, missing),
        }
    }

    /// `ms-seq`
    pub fn text(self) -> String {
        format!("{}-{}", self.ms, self.seq)
    }
}

impl Wish {
    /// From the text in XADD.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text == b"*" {
            return Some(Wish::Any);
        }
        Some(match wish(text, 0)? {
            (id, true) => Wish::Exactly(id),
            (id, false) => Wish::Within(id.ms),
        })
    }
}

/// Longest text that is looked at, bytes.
const TEXT_MAX: usize = 127;

/// The id, and whether its number was given (or may be missing) rather than `*`.
fn wish(text: &[u8], missing: u64) -> Option<(Id, bool)> {
    if text.len() > TEXT_MAX {
        return None;
    }
    // Redis reads up to the first zero byte.
    let text = text.split(|&b| b == 0).next().unwrap_or_default();
    let Some(dash) = text.iter().position(|&b| b == b'-') else {
        return Some((Id { ms: number(text)?, seq: missing }, true));
    };
    let (ms, seq) = (number(&text[..dash])?, &text[dash + 1..]);
    if seq == b"*" {
        return Some((Id { ms, seq: 0 }, false));
    }
    Some((Id { ms, seq: number(seq)? }, true))
}

/// A number as C's `strtoull` takes it, which Redis asks: blanks and a sign may be in front.
fn number(text: &[u8]) -> Option<u64> {
    let text = text.trim_ascii_start();
    let digits = text.strip_prefix(b"+").unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_as_redis_reads_them() {
        let id = |ms, seq| Some(Id { ms, seq });
        assert_eq!(Id::parse(b"5-3", 9), id(5, 3));
        assert_eq!(Id::parse(b"5", 9), id(5, 9));
        assert_eq!(Id::parse(b"007-01", 0), id(7, 1));
        assert_eq!(Id::parse(b"18446744073709551615-18446744073709551615", 0), Some(Id::MAX));
        let long = vec![b'0'; TEXT_MAX + 1];
        for bad in [&b""[..], b"-", b"+", b"x", b"5-", b"-5", b"5-x", b"5-*", b"5-3-1", &long] {
            assert_eq!(Id::parse(bad, 0), None, "{}", bad.escape_ascii());
        }
        assert_eq!(Id::parse(b"18446744073709551616", 0), None);
        assert_eq!(Id::parse_bound(b"-", 0), Some(Id::MIN));
        assert_eq!(Id::parse_bound(b"+", 0), Some(Id::MAX));
        assert_eq!(Wish::parse(b"*"), Some(Wish::Any));
        assert_eq!(Wish::parse(b"5-*"), Some(Wish::Within(5)));
        assert_eq!(Wish::parse(b"5"), Some(Wish::Exactly(Id { ms: 5, seq: 0 })));
    }

    #[test]
    fn neighbours_of_ids_cross_milliseconds() {
        let end = Id { ms: 5, seq: u64::MAX };
        assert_eq!(end.next(), Some(Id { ms: 6, seq: 0 }));
        assert_eq!(Id { ms: 6, seq: 0 }.prev(), Some(end));
        assert_eq!((Id::MAX.next(), Id::MIN.prev()), (None, None));
    }
}
