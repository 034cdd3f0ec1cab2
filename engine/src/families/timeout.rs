//! How long a command may wait, as its arguments give it.

use crate::{
    command::CommandError,
    number::{LongDouble, canonical_int},
};

/// Seconds with a fraction; the result in ms, rounded up, 0 = for ever.
///
/// # Errors
/// Redis' texts: no number; below zero, which Redis says of what is too large, too.
pub fn seconds(text: &[u8]) -> Result<u64, CommandError> {
    let no_float = CommandError::new("ERR timeout is not a float or out of range");
    let seconds = LongDouble::parse(text).ok_or(no_float)?;
    from_zero(seconds.thousandfold_up().unwrap_or(-1))
}

/// Whole milliseconds, 0 = for ever.
///
/// # Errors
/// As [`seconds`].
pub fn milliseconds(text: &[u8]) -> Result<u64, CommandError> {
    let no_number = CommandError::new("ERR timeout is not an integer or out of range");
    from_zero(canonical_int(text).ok_or(no_number)?)
}

fn from_zero(ms: i64) -> Result<u64, CommandError> {
    u64::try_from(ms).map_err(|_| CommandError::new("ERR timeout is negative"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What redis-server 7.0.15 waits, or says.
    #[test]
    fn seconds_are_rounded_up_to_milliseconds() {
        for (text, ms) in [
            ("0", 0),
            ("0.1", 100),
            ("0.0000001", 1),
            ("1.0000001", 1001),
            ("3", 3000),
            ("0x10", 16_000),
            ("1e3", 1_000_000),
            ("9223372036854775", 9_223_372_036_854_775_000),
            ("-0.0001", 0),
        ] {
            assert_eq!(seconds(text.as_bytes()), Ok(ms), "{text}");
        }
        for text in ["-1", "-0.5", "inf", "-inf", "1e300", "-1e300", "9223372036854776"] {
            let negative = Err(CommandError::new("ERR timeout is negative"));
            assert_eq!(seconds(text.as_bytes()), negative, "{text}");
        }
        for text in ["", "x", "nan", " 1", "1 "] {
            let no_float = Err(CommandError::new("ERR timeout is not a float or out of range"));
            assert_eq!(seconds(text.as_bytes()), no_float, "{text}");
        }
    }
}
