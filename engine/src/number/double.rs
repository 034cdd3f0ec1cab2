//! 64-bit floating point numbers as Redis reads and writes them: scores.

/// Integers up to here are written without a fraction and exactly.
const INTEGERS_MAX: f64 = (1u64 << 52) as f64;

/// The number a text is, as C's `strtod` reads it whole: no spaces, no NaN, nothing behind, and
/// nothing so large or small that it is lost.
pub fn parse_double(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = match digits.get(..2) {
        Some("0x" | "0X") => hexadecimal(&digits[2..])?,
        _ => digits.parse::<f64>().ok()?,
    };
    let named = digits.starts_with(['i', 'I']);
    let lost = (magnitude.is_infinite() && !named)
        || (magnitude == 0.0
            && digits
                .bytes()
                .take_while(|b| !matches!(b, b'e' | b'E' | b'p' | b'P'))
                .any(|b| matches!(b, b'1'..=b'9')));
    if magnitude.is_nan() || lost {
        return None;
    }
    Some(if negative { -magnitude } else { magnitude })
}

/// `hex[.hex][p exponent]`, at most one bit off the nearest in the last place of long inputs.
fn hexadecimal(text: &str) -> Option<f64> {
    let (mantissa, exponent) = match text.split_once(['p', 'P']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut value = 0.0f64;
    for digit in whole.chars().chain(fraction.chars()) {
        value = value * 16.0 + f64::from(digit.to_digit(16)?);
    }
    let exponent = exponent.saturating_sub(4 * fraction.len() as i32).clamp(-5000, 5000);
    // In steps, so that no intermediate power overflows.
    let (mut left, step) = (exponent, if exponent < 0 { -512 } else { 512 });
    while left.abs() > 512 {
        value *= 2f64.powi(step);
        left -= step;
    }
    Some(value * 2f64.powi(left))
}

/// Writes a number with up to 17 significant digits, as Redis replies and stores scores
/// (`%.17g`).
pub fn write_double(to: &mut Vec<u8>, d: f64) {
    use std::io::Write as _;
    if d.is_infinite() {
        to.extend_from_slice(if d > 0.0 { b"inf" } else { b"-inf" });
        return;
    }
    if d == d.trunc() && d.abs() < INTEGERS_MAX && !(d == 0.0 && d.is_sign_negative()) {
        to.extend_from_slice(itoa::Buffer::new().format(d as i64).as_bytes());
        return;
    }
    // 17 significant digits, correctly rounded: d.ddddddddddddddddde[-]n
    let text = format!("{d:.16e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_end_matches('0');
    let digits = if digits.is_empty() { "0" } else { digits };
    to.extend_from_slice(sign.as_bytes());
    let written = if !(-4..17).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let side = if exponent < 0 { '-' } else { '+' };
        write!(to, "{first}{point}{rest}e{side}{:02}", exponent.abs())
    } else if exponent < 0 {
        write!(to, "0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1))
    } else {
        let whole = exponent as usize + 1;
        if digits.len() <= whole {
            write!(to, "{digits}{}", "0".repeat(whole - digits.len()))
        } else {
            write!(to, "{}.{}", &digits[..whole], &digits[whole..])
        }
    };
    written.expect("writing to memory cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(d: f64) -> String {
        let mut text = Vec::new();
        write_double(&mut text, d);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn numbers_look_as_redis_writes_them() {
        // ZSCORE of redis-server 7.0.15.
        for (given, expected) in [
            (0.1, "0.10000000000000001"),
            (1.5, "1.5"),
            (3.0, "3"),
            (-3.25, "-3.25"),
            (1e17, "1e+17"),
            (1e16, "10000000000000000"),
            (123_456_789_012_345_680.0, "1.2345678901234568e+17"),
            (1e300, "1.0000000000000001e+300"),
            (1e-5, "1.0000000000000001e-05"),
            (0.0001, "0.0001"),
            (5e-324, "4.9406564584124654e-324"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (-0.0, "-0"),
        ] {
            assert_eq!(text(given), expected);
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut bits = 1u64;
        for _ in 0..20_000 {
            bits = bits
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let d = f64::from_bits(bits);
            if d.is_finite() {
                assert_eq!(
                    parse_double(text(d).as_bytes()).map(f64::to_bits),
                    Some(d.to_bits()),
                    "{d}"
                );
            }
        }
    }

    #[test]
    fn texts_are_numbers_where_redis_says_so() {
        for (given, expected) in [
            ("1", Some(1.0)),
            ("+1.5e3", Some(1500.0)),
            (".5", Some(0.5)),
            ("5.", Some(5.0)),
            ("inf", Some(f64::INFINITY)),
            ("-Infinity", Some(f64::NEG_INFINITY)),
            ("0x1p-3", Some(0.125)),
            ("0x10", Some(16.0)),
            ("1e400", None),
            ("1e-400", None),
            ("0e-400", Some(0.0)),
            ("nan", None),
            ("", None),
            (" 1", None),
            ("1 ", None),
            ("--1", None),
            ("1x", None),
        ] {
            assert_eq!(parse_double(given.as_bytes()), expected, "{given}");
        }
    }
}
