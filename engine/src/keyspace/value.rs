//! String values as the keyspace hands them out, and the rule which strings are integers.
//!
//! Knows no table and no allocation of entries.

/// What a write does to a key's deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// The key has none afterwards.
    None,
    /// The key keeps the one it had.
    Keep,
    /// Unix time, ms.
    At(i64),
}

impl Deadline {
    /// The deadline afterwards, given the one before.
    #[inline]
    pub fn resolve(self, before: Option<i64>) -> Option<i64> {
        match self {
            Deadline::None => None,
            Deadline::Keep => before,
            Deadline::At(ms) => Some(ms),
        }
    }
}

/// A string value as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Str<'a> {
    /// A canonical 64-bit integer.
    Int(i64),
    /// Any bytes.
    Bytes(&'a [u8]),
}

impl<'a> Str<'a> {
    /// Length of the text, bytes.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Str::Int(n) => itoa::Buffer::new().format(*n).len(),
            Str::Bytes(bytes) => bytes.len(),
        }
    }

    /// True for the empty string.
    #[inline]
    pub fn is_empty(&self) -> bool {
        matches!(self, Str::Bytes(bytes) if bytes.is_empty())
    }

    /// The text; an integer is written into `digits`.
    #[inline]
    pub fn bytes<'b>(&self, digits: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Str::Int(n) => digits.format(*n).as_bytes(),
            Str::Bytes(bytes) => bytes,
        }
    }

    /// The text, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        self.bytes(&mut itoa::Buffer::new()).to_vec()
    }
}

/// The integer this text is the canonical form of: no sign but a leading minus, no leading
/// zeros, no minus zero, in the range of i64. What Redis stores with encoding `int`.
#[inline]
pub fn canonical_int(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    match digits {
        [b'0'] => return (!negative).then_some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    let mut magnitude = 0u64;
    for &digit in digits {
        let value = digit.wrapping_sub(b'0');
        if value > 9 {
            return None;
        }
        // 19 digits are below 10^19 < 2^64: no overflow.
        magnitude = magnitude * 10 + u64::from(value);
    }
    if negative {
        (magnitude <= i64::MIN.unsigned_abs()).then(|| (magnitude as i64).wrapping_neg())
    } else {
        i64::try_from(magnitude).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_an_integer_prints_as_is_canonical() {
        for n in [0, 1, -1, 9, 10, i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1] {
            assert_eq!(canonical_int(n.to_string().as_bytes()), Some(n));
        }
        for text in [
            "",
            "-",
            "-0",
            "00",
            "01",
            "+1",
            " 1",
            "1 ",
            "1a",
            "a",
            "9223372036854775808",
            "-9223372036854775809",
            "99999999999999999999",
            "18446744073709551616",
            "1.0",
            "--1",
        ] {
            assert_eq!(canonical_int(text.as_bytes()), None, "{text:?}");
        }
    }
}
