//! Numbers as text, the way RDB files and packed collections hold them.

/// The integer that prints as exactly these bytes.
pub fn canonical(text: &[u8]) -> Option<i64> {
    // The longest is -9223372036854775808.
    if text.is_empty() || text.len() > 20 || !matches!(text[0], b'-' | b'0'..=b'9') {
        return None;
    }
    let n: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (itoa::Buffer::new().format(n).as_bytes() == text).then_some(n)
}

/// A score from its text; any that C's `strtod` writes with `%.17g`. No NaN.
pub fn score(text: &[u8]) -> Option<f64> {
    let score: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (!score.is_nan()).then_some(score)
}

/// A score as text that reads back as the same number: `%.17g` as in Redis 7.0. Integers that a
/// double holds exactly are written as such.
pub fn score_text(score: f64) -> String {
    const EXACT: f64 = (1u64 << 52) as f64;
    if score.is_infinite() {
        return if score > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    if score == score.trunc() && score.abs() < EXACT {
        return itoa::Buffer::new().format(score as i64).to_owned();
    }
    general(score)
}

/// `%.17g` of a number that is neither infinite nor NaN.
fn general(score: f64) -> String {
    const DIGITS: i32 = 17;
    let scientific = format!("{score:.16e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |text: &str| {
        let text = if text.contains('.') { text.trim_end_matches('0') } else { text };
        text.trim_end_matches('.').to_owned()
    };
    if (-4..DIGITS).contains(&exponent) {
        let decimals = (DIGITS - 1 - exponent) as usize;
        return trimmed(&format!("{score:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_integer_prints_as_is_one() {
        for n in [0, 1, -1, i64::MAX, i64::MIN] {
            assert_eq!(canonical(n.to_string().as_bytes()), Some(n));
        }
        for text in ["", "-", "-0", "01", "+1", " 1", "1.0", "9223372036854775808"] {
            assert_eq!(canonical(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn scores_are_printed_as_c_does() {
        for (score, text) in [
            (0.0, "0"),
            (-3.0, "-3"),
            (1.5, "1.5"),
            (0.1, "0.10000000000000001"),
            (1e-5, "1.0000000000000001e-05"),
            (1e300, "1.0000000000000001e+300"),
            (1e22, "1e+22"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
        ] {
            assert_eq!(score_text(score), text);
            assert_eq!(super::score(text.as_bytes()), Some(score));
        }
        assert_eq!(super::score(b"nan"), None);
        assert_eq!(super::score(b""), None);
    }
}
