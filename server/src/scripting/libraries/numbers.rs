//! Numbers as the C library makes them, where scripts can see it: conversions out of range, `%.14g`,
//! `strtod`.
//!
//! A script sees what the processor's instructions gave stock Redis, so out-of-range conversions
//! follow x86-64: they give the smallest integer, they do not saturate.

use std::io::Write;

/// Cuts a number off to 64 bits; out of range: `i64::MIN`.
pub(super) fn to_i64(value: f64) -> i64 {
    const END: f64 = 9_223_372_036_854_775_808.0;
    if (-END..END).contains(&value) { value as i64 } else { i64::MIN }
}

/// Cuts a number off to 32 bits; out of range: `i32::MIN`.
pub(super) fn to_i32(value: f64) -> i32 {
    let wide = to_i64(value);
    i32::try_from(wide).unwrap_or(i32::MIN)
}

/// Cuts a number off to 64 bits without sign; what is too large for that, or no number, gives what two signed
/// conversions give.
pub(super) fn to_u64(value: f64) -> u64 {
    const HALF: f64 = 9_223_372_036_854_775_808.0;
    if value >= HALF { (to_i64(value - HALF) as u64) ^ (1 << 63) } else { to_i64(value) as u64 }
}

/// Appends `value` as `printf("%.<precision>g")` writes it.
pub(super) fn append_general(out: &mut Vec<u8>, value: f64, precision: usize) {
    if !value.is_finite() {
        let sign: &[u8] = if value.is_sign_negative() { b"-" } else { b"" };
        out.extend_from_slice(sign);
        out.extend_from_slice(if value.is_nan() { b"nan" } else { b"inf" });
        return;
    }
    let precision = precision.max(1);
    // One digit, a point, the others, `e`, the exponent: rounded once, at the right place.
    let mut text = [0_u8; 48];
    let mut rest = &mut text[..];
    // LIMIT: precision is at most 17, so 17 digits, sign, point and exponent fit.
    if write!(rest, "{value:.*e}", precision.min(17) - 1).is_err() {
        return;
    }
    let left = rest.len();
    let text = &text[..text.len() - left];
    let Some(split) = text.iter().position(|byte| *byte == b'e') else {
        return;
    };
    let exponent = std::str::from_utf8(&text[split + 1..])
        .ok()
        .and_then(|digits| digits.parse::<i32>().ok())
        .unwrap_or(0);
    let mut mantissa = &text[..split];
    if let [b'-', digits @ ..] = mantissa {
        out.push(b'-');
        mantissa = digits;
    }
    let mut digits = [0_u8; 24];
    let mut count = 0;
    for digit in mantissa.iter().filter(|byte| byte.is_ascii_digit()) {
        digits[count] = *digit;
        count += 1;
    }
    while count > 1 && digits[count - 1] == b'0' {
        count -= 1;
    }
    let digits = &digits[..count];
    if exponent < -4 || exponent >= precision as i32 {
        out.push(digits[0]);
        if digits.len() > 1 {
            out.push(b'.');
            out.extend_from_slice(&digits[1..]);
        }
        let sign = if exponent < 0 { '-' } else { '+' };
        // Writing into a vector does not fail.
        let _ = write!(out, "e{sign}{:02}", exponent.unsigned_abs());
    } else if exponent < 0 {
        out.extend_from_slice(b"0.");
        out.resize(out.len() + exponent.unsigned_abs() as usize - 1, b'0');
        out.extend_from_slice(digits);
    } else {
        let whole = exponent as usize + 1;
        for place in 0..whole.max(digits.len()) {
            if place == whole {
                out.push(b'.');
            }
            out.push(digits.get(place).copied().unwrap_or(b'0'));
        }
    }
}

/// Reads the longest number at the start of `text` as `strtod` does (decimal, hexadecimal, `inf`,
/// `nan`); gives it with its length, `None` if there is none.
pub(super) fn parse_prefix(text: &[u8]) -> Option<(f64, usize)> {
    let signed = matches!(text.first(), Some(b'-' | b'+'));
    let negative = text.first() == Some(&b'-');
    let body = &text[usize::from(signed)..];
    let (value, length) = parse_unsigned(body)?;
    let value = if negative { -value } else { value };
    Some((value, length + usize::from(signed)))
}

fn starts_with(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

fn parse_unsigned(text: &[u8]) -> Option<(f64, usize)> {
    if starts_with(text, b"infinity") {
        return Some((f64::INFINITY, 8));
    }
    if starts_with(text, b"inf") {
        return Some((f64::INFINITY, 3));
    }
    if starts_with(text, b"nan") {
        let note = text.get(3..).unwrap_or_default();
        let word = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
        if note.first() == Some(&b'(') {
            let length = note[1..].iter().take_while(word).count();
            if note.get(length + 1) == Some(&b')') {
                return Some((f64::NAN, 3 + length + 2));
            }
        }
        return Some((f64::NAN, 3));
    }
    if starts_with(text, b"0x")
        && let Some((value, length)) = parse_hexadecimal(&text[2..])
    {
        return Some((value, length + 2));
    }
    parse_decimal(text)
}

fn count_digits(text: &[u8]) -> usize {
    text.iter().take_while(|byte| byte.is_ascii_digit()).count()
}

/// Length of an exponent (`e-5`, `p+3`) at the start of `text`, 0 if there is none.
fn exponent_length(text: &[u8], letter: u8) -> usize {
    if text.first().map(u8::to_ascii_lowercase) != Some(letter) {
        return 0;
    }
    let sign = usize::from(matches!(text.get(1), Some(b'-' | b'+')));
    match count_digits(text.get(1 + sign..).unwrap_or_default()) {
        0 => 0,
        digits => 1 + sign + digits,
    }
}

fn parse_decimal(text: &[u8]) -> Option<(f64, usize)> {
    let whole = count_digits(text);
    let mut length = whole;
    let mut fraction = 0;
    if text.get(whole) == Some(&b'.') {
        fraction = count_digits(&text[whole + 1..]);
        length += 1 + fraction;
    }
    if whole + fraction == 0 {
        return None;
    }
    length += exponent_length(&text[length..], b'e');
    let number = std::str::from_utf8(&text[..length]).ok()?.parse().ok()?;
    Some((number, length))
}

/// Hexadecimal digits with a point and a binary exponent, behind the `0x`.
fn parse_hexadecimal(text: &[u8]) -> Option<(f64, usize)> {
    let mut mantissa = 0_u64;
    let mut scale = 0_i64; // binary places that the mantissa is short of
    let mut sticky = false;
    let mut digits = 0;
    let mut point = false;
    let mut length = 0;
    for byte in text {
        if *byte == b'.' && !point {
            point = true;
            length += 1;
            continue;
        }
        let Some(digit) = char::from(*byte).to_digit(16) else {
            break;
        };
        digits += 1;
        length += 1;
        if mantissa >> 59 == 0 {
            mantissa = mantissa << 4 | u64::from(digit);
            scale -= if point { 4 } else { 0 };
        } else {
            sticky |= digit != 0;
            scale += if point { 0 } else { 4 };
        }
    }
    if digits == 0 {
        return None;
    }
    let exponent = exponent_length(&text[length..], b'p');
    if exponent > 0 {
        let digits = std::str::from_utf8(&text[length + 1..length + exponent]).ok()?;
        // LIMIT: whatever is larger gives 0 or infinity anyway.
        let power = digits.parse::<i64>().unwrap_or(if digits.starts_with('-') {
            -(1 << 40)
        } else {
            1 << 40
        });
        scale = scale.saturating_add(power.clamp(-(1 << 40), 1 << 40));
        length += exponent;
    }
    Some((scaled(mantissa, scale, sticky), length))
}

/// `mantissa * 2^scale`, rounded once to the nearest, ties to even.
fn scaled(mantissa: u64, scale: i64, sticky: bool) -> f64 {
    if mantissa == 0 {
        return 0.0;
    }
    let bits = 64 - i64::from(mantissa.leading_zeros());
    let top = scale + bits; // the value is below 2^top
    if top > 1024 {
        return f64::INFINITY;
    }
    // 53 bits, fewer where the result is subnormal.
    let keep = 53.min(top + 1074);
    if keep < 0 {
        return 0.0;
    }
    let drop = bits - keep;
    let (mut kept, power) = if drop <= 0 {
        (u128::from(mantissa), scale)
    } else {
        let wide = u128::from(mantissa);
        let rest = wide & ((1 << drop) - 1);
        let half = 1_u128 << (drop - 1);
        let kept = wide >> drop;
        let up = rest > half || (rest == half && (sticky || kept & 1 == 1));
        (kept + u128::from(up), scale + drop)
    };
    let mut power = power;
    while kept > 0 && kept & 1 == 0 && power < -1074 {
        kept >>= 1;
        power += 1;
    }
    // Exact now: at most 53 bits times a power of two, in two steps so that neither over- nor
    // underflows on its own.
    let first = power.clamp(-1000, 900);
    kept as f64 * 2_f64.powi(first as i32) * 2_f64.powi((power - first) as i32)
}

#[cfg(test)]
mod tests {
    use super::{append_general, parse_prefix, to_i32, to_u64};

    #[test]
    fn numbers_are_written_as_printf_writes_them() {
        let facts = [
            (0.1, 14, "0.1"),
            (100_000.0, 14, "100000"),
            (1e14, 14, "1e+14"),
            (123_456_789_012_345.0, 14, "1.2345678901234e+14"),
            (1e-5, 14, "1e-05"),
            (0.000_123, 14, "0.000123"),
            (-2.5, 1, "-2"),
            (9.99, 1, "1e+01"),
            (-0.0, 14, "-0"),
            (1e300, 3, "1e+300"),
            (f64::NEG_INFINITY, 14, "-inf"),
        ];
        for (value, precision, text) in facts {
            let mut out = Vec::new();
            append_general(&mut out, value, precision);
            assert_eq!(String::from_utf8_lossy(&out), text, "{value}");
        }
    }

    #[test]
    fn numbers_are_read_as_strtod_reads_them() {
        let facts: [(&str, f64, usize); 9] = [
            ("12.5e1x", 125.0, 6),
            ("1e", 1.0, 1),
            ("-.5", -0.5, 3),
            ("0x1p4", 16.0, 5),
            ("0x.8", 0.5, 4),
            ("0x", 0.0, 1),
            ("-inFinitY", f64::NEG_INFINITY, 9),
            ("0x1p-1074", 5e-324, 9),
            ("0x1.fffffffffffff8p1023", f64::INFINITY, 23),
        ];
        for (text, value, length) in facts {
            assert_eq!(parse_prefix(text.as_bytes()), Some((value, length)), "{text}");
        }
        assert_eq!(parse_prefix(b"-x"), None);
    }

    #[test]
    fn conversions_out_of_range_are_the_processors() {
        assert_eq!(to_i32(3e9), i32::MIN);
        assert_eq!(to_u64(1.8e19), 18_000_000_000_000_000_000);
        assert_eq!(to_u64(1e30), 0);
        assert_eq!(to_u64(f64::NAN), 1 << 63);
    }
}
