//! The 80-bit floating point of x86 (`long double`) in software, because INCRBYFLOAT's results
//! are defined by it: 64-bit mantissa, round to nearest even, denormals.
//!
//! Owns: reading (what `strtold` accepts and Redis lets through), the sum, and Redis'
//! human-friendly text (`%.17Lf` without trailing zeros). Each is exactly rounded: decimals are
//! converted over natural numbers of any size unless they fit in 128 bits.

use super::natural::Natural;

/// Longer texts are no numbers to Redis, bytes.
const TEXT_BYTES_MAX: usize = 5 * 1024 - 1;
/// Exponent of the last bit of the smallest numbers.
const EXPONENT_MIN: i32 = -16445;
/// Exponent of the last bit of the largest numbers.
const EXPONENT_MAX: i32 = 16383 - 63;
/// Digits after the point in texts.
const FRACTION_DIGITS: usize = 17;
/// Largest power of five that fits in 63 bits.
const FIVE_EXPONENT_MAX: i32 = 27;
/// Exponents in texts are cut off here: far beyond every number.
const TEXT_EXPONENT_MAX: i64 = 1_000_000;

/// `mantissa * 2^exponent`, negated or not. The top bit of the mantissa is set unless the number
/// is zero or the exponent is the smallest there is. Infinity has its own exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongDouble {
    negative: bool,
    exponent: i32,
    mantissa: u64,
}

impl LongDouble {
    const INFINITY: Self = Self { negative: false, exponent: i32::MAX, mantissa: 1 << 63 };
    const ZERO: Self = Self { negative: false, exponent: EXPONENT_MIN, mantissa: 0 };

    /// The number nearest to `(mantissa + a little if sticky) * 2^exponent`. The mantissa must
    /// not be zero, and have at least 65 bits if `sticky`.
    fn rounded(mantissa: u128, exponent: i32, sticky: bool) -> Self {
        let zeros = mantissa.leading_zeros();
        let mantissa = mantissa << zeros;
        let exponent = exponent - zeros as i32;
        let drop = 64.max(EXPONENT_MIN - exponent) as u32;
        if drop > 128 {
            return Self::ZERO;
        }
        let kept = mantissa.checked_shr(drop).unwrap_or(0);
        let half = 1u128 << (drop - 1);
        let rest = mantissa & (half | (half - 1));
        let up = rest > half || (rest == half && (sticky || kept & 1 == 1));
        let (kept, exponent) = (kept + u128::from(up), exponent + drop as i32);
        let (kept, exponent) =
            if kept >> 64 == 0 { (kept, exponent) } else { (kept / 2, exponent + 1) };
        if exponent > EXPONENT_MAX {
            return Self::INFINITY;
        }
        Self { negative: false, exponent, mantissa: kept as u64 }
    }

    /// The number a text stands for. Accepts what `strtold` takes whole (decimal, hexadecimal,
    /// `inf`), except not-a-number, leading blanks, and what is too large or too small.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() > TEXT_BYTES_MAX {
            return None;
        }
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let number = match text {
            _ if text.eq_ignore_ascii_case(b"inf") => Self::INFINITY,
            _ if text.eq_ignore_ascii_case(b"infinity") => Self::INFINITY,
            [b'0', b'x' | b'X', digits @ ..] => parse_hexadecimal(digits)?,
            _ => parse_decimal(text)?,
        };
        Some(Self { negative, ..number })
    }

    /// True unless infinite.
    pub fn is_finite(self) -> bool {
        self.exponent != Self::INFINITY.exponent
    }

    /// A thousand times as much, rounded up to a whole number; below zero a number below zero
    /// that may be another. None above the range.
    pub fn thousandfold_up(self) -> Option<i64> {
        if self.mantissa == 0 {
            return Some(0);
        }
        // Infinity has no exponent to reckon with.
        let finite = self.is_finite().then_some(self);
        let product =
            finite.map(|n| Self::rounded(u128::from(n.mantissa) * 1000, n.exponent, false));
        let product = product.filter(|product| product.is_finite());
        let Some(product) = product else {
            return self.negative.then_some(i64::MIN);
        };
        let magnitude = if let Ok(shift) = u32::try_from(product.exponent) {
            let shifted = u128::from(product.mantissa).checked_shl(shift);
            shifted
                .filter(|whole| shift < 64 && *whole <= i64::MAX as u128)
                .map(|whole| whole as i64)
        } else {
            let shift = product.exponent.unsigned_abs();
            let whole = product.mantissa.checked_shr(shift).unwrap_or(0);
            let is_more = whole.checked_shl(shift).unwrap_or(0) != product.mantissa;
            i64::try_from(whole + u64::from(is_more && !self.negative)).ok()
        };
        if self.negative { Some(magnitude.map_or(i64::MIN, |whole| -whole)) } else { magnitude }
    }

    /// The sum; None when it is not a number or infinite.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if !self.is_finite() || !other.is_finite() {
            return None;
        }
        let sum = self.add_finite(other);
        sum.is_finite().then_some(sum)
    }

    fn add_finite(self, other: Self) -> Self {
        let (high, low) =
            if self.exponent >= other.exponent { (self, other) } else { (other, self) };
        let distance = (high.exponent - low.exponent) as u32;
        // 63 bits below the mantissas: within that distance nothing of the lower one is lost.
        let (upper, lower) = (u128::from(high.mantissa) << 63, u128::from(low.mantissa) << 63);
        let shifted = lower.checked_shr(distance).unwrap_or(0);
        let lost = shifted.checked_shl(distance).unwrap_or(0) != lower;
        let exponent = high.exponent - 63;
        if high.negative == low.negative {
            let sum = upper + shifted;
            if sum == 0 && !lost {
                return Self { negative: high.negative, ..Self::ZERO };
            }
            return Self { negative: high.negative, ..Self::rounded(sum, exponent, lost) };
        }
        // What was lost of the smaller number makes the difference a little smaller.
        let (difference, negative) = if upper >= shifted {
            (upper - shifted - u128::from(lost), high.negative)
        } else {
            (shifted - upper, low.negative)
        };
        if difference == 0 {
            return Self::ZERO;
        }
        Self { negative, ..Self::rounded(difference, exponent, lost) }
    }

    /// As Redis prints it: 17 digits after the point at most, no trailing zeros, no minus zero.
    /// The number must be finite.
    pub fn text(self) -> Vec<u8> {
        debug_assert!(self.is_finite());
        let mut out = Vec::with_capacity(40);
        if self.negative {
            out.push(b'-');
        }
        if self.exponent >= 0 {
            Natural::shifted(self.mantissa, self.exponent as usize).write_digits(&mut out);
            return out;
        }
        let shift = self.exponent.unsigned_abs();
        let whole = self.mantissa.checked_shr(shift).unwrap_or(0);
        let fraction = self.mantissa - whole.checked_shl(shift).unwrap_or(0);
        // Below 2^64 * 10^17 < 2^121.
        let scaled = u128::from(fraction) * 10u128.pow(FRACTION_DIGITS as u32);
        let digits = scaled.checked_shr(shift).unwrap_or(0);
        let rest = scaled - digits.checked_shl(shift).unwrap_or(0);
        let half = 1u128.checked_shl(shift - 1).unwrap_or(u128::MAX);
        let digits = digits + u128::from(rest > half || (rest == half && digits & 1 == 1));
        let carry = digits / 10u128.pow(FRACTION_DIGITS as u32);
        let digits = digits % 10u128.pow(FRACTION_DIGITS as u32);
        let whole = whole + carry as u64;
        if whole == 0 && digits == 0 {
            return b"0".to_vec();
        }
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
        if digits > 0 {
            let digits = format!(".{digits:0width$}", width = FRACTION_DIGITS);
            out.extend_from_slice(digits.trim_end_matches('0').as_bytes());
        }
        out
    }
}

impl From<i64> for LongDouble {
    fn from(n: i64) -> Self {
        if n == 0 {
            return Self::ZERO;
        }
        Self { negative: n < 0, ..Self::rounded(u128::from(n.unsigned_abs()), 0, false) }
    }
}

/// The digits of a mantissa and what stands behind them. `digits` is without the point and
/// without leading zeros; `fraction` counts the digits that stood behind the point.
struct Scanned<'a> {
    digits: Vec<u8>,
    fraction: i64,
    rest: &'a [u8],
}

fn scan(text: &[u8], is_digit: fn(&u8) -> bool) -> Option<Scanned<'_>> {
    let (mut digits, mut fraction, mut at) = (Vec::new(), 0, 0);
    let (mut any, mut point) = (false, false);
    while let Some(byte) = text.get(at) {
        if *byte == b'.' && !point {
            point = true;
        } else if is_digit(byte) {
            any = true;
            fraction += i64::from(point);
            if *byte != b'0' || !digits.is_empty() {
                digits.push(*byte);
            }
        } else {
            break;
        }
        at += 1;
    }
    any.then_some(Scanned { digits, fraction, rest: &text[at..] })
}

/// An exponent with its letter, or nothing; None when there is something else.
fn parse_exponent(text: &[u8], letter: u8) -> Option<i64> {
    let Some((first, text)) = text.split_first() else { return Some(0) };
    if first.to_ascii_lowercase() != letter {
        return None;
    }
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude =
        digits.iter().fold(0, |n, digit| (n * 10 + i64::from(digit - b'0')).min(TEXT_EXPONENT_MAX));
    Some(if negative { -magnitude } else { magnitude })
}

/// Redis takes neither infinity nor zero for a text that means another number.
fn in_range(number: LongDouble) -> Option<LongDouble> {
    (number.is_finite() && number.mantissa != 0).then_some(number)
}

fn parse_hexadecimal(text: &[u8]) -> Option<LongDouble> {
    let scanned = scan(text, u8::is_ascii_hexdigit)?;
    let exponent = parse_exponent(scanned.rest, b'p')? - 4 * scanned.fraction;
    if scanned.digits.is_empty() {
        return Some(LongDouble::ZERO);
    }
    // 31 digits have at least 121 bits; the rest only tells whether there is more.
    let (head, tail) = scanned.digits.split_at(scanned.digits.len().min(31));
    let mantissa = head
        .iter()
        .fold(0u128, |n, digit| n << 4 | u128::from((*digit as char).to_digit(16).unwrap_or(0)));
    let sticky = tail.iter().any(|digit| *digit != b'0');
    let exponent = exponent + 4 * tail.len() as i64;
    in_range(LongDouble::rounded(mantissa, exponent as i32, sticky))
}

fn parse_decimal(text: &[u8]) -> Option<LongDouble> {
    let mut scanned = scan(text, u8::is_ascii_digit)?;
    let mut exponent = parse_exponent(scanned.rest, b'e')? - scanned.fraction;
    while scanned.digits.last() == Some(&b'0') {
        scanned.digits.pop();
        exponent += 1;
    }
    let digits = &scanned.digits[..];
    if digits.is_empty() {
        return Some(LongDouble::ZERO);
    }
    // 0.d * 10^magnitude: the largest number is about 1.2e4932, the smallest about 3.6e-4951.
    let magnitude = digits.len() as i64 + exponent;
    if !(-4960..=4940).contains(&magnitude) {
        return None;
    }
    let exponent = exponent as i32;
    in_range(if digits.len() <= 19 && exponent.abs() <= FIVE_EXPONENT_MAX {
        from_short_decimal(digits, exponent)
    } else {
        from_long_decimal(digits, exponent)
    })
}

/// Both the digits and the power of ten, which is one of five shifted, fit in a word.
fn from_short_decimal(digits: &[u8], exponent: i32) -> LongDouble {
    let n = digits.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0'));
    let five = 5u64.pow(exponent.unsigned_abs());
    if exponent >= 0 {
        return LongDouble::rounded(u128::from(n) * u128::from(five), exponent, false);
    }
    // The quotient has at least 65 bits: 128 bits divided by less than 64.
    let zeros = n.leading_zeros();
    let dividend = u128::from(n << zeros) << 64;
    let (quotient, rest) = (dividend / u128::from(five), dividend % u128::from(five));
    LongDouble::rounded(quotient, exponent - 64 - zeros as i32, rest != 0)
}

fn from_long_decimal(digits: &[u8], exponent: i32) -> LongDouble {
    const QUOTIENT_BITS: i32 = 67;
    let mut n = Natural::from_digits(digits);
    let five_exponent = exponent.unsigned_abs() as usize;
    if exponent >= 0 {
        n.multiply_by_power_of_five(five_exponent);
        let (top, below, lost) = n.top();
        return LongDouble::rounded(top, exponent + below as i32, lost);
    }
    let mut divisor = Natural::power_of_five(five_exponent);
    // Both to the same length: the quotient is between 1/2 and 2. Then one bit at a time.
    let longer = n.bits() as i32 - divisor.bits() as i32;
    n.shift_left((-longer).max(0) as usize);
    divisor.shift_left(longer.max(0) as usize);
    let mut quotient = 0u128;
    for _ in 0..QUOTIENT_BITS {
        quotient = quotient << 1 | u128::from(n.subtract_if_fits(&divisor));
        n.shift_left(1);
    }
    LongDouble::rounded(quotient, exponent + longer - (QUOTIENT_BITS - 1), !n.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What INCRBYFLOAT makes of a value and an increment.
    fn sum(value: &str, increment: &str) -> Option<String> {
        let sum = LongDouble::parse(value.as_bytes())?
            .checked_add(LongDouble::parse(increment.as_bytes())?)?;
        Some(String::from_utf8(sum.text()).unwrap())
    }

    #[test]
    fn sums_are_those_of_redis() {
        // redis-server 7.0.15 on x86-64: SET k value, INCRBYFLOAT k increment.
        for (value, increment, expected) in [
            ("10.50", "0.1", Some("10.6")),
            ("5.0e3", "2.0e2", Some("5200")),
            ("0.1", "0.2", Some("0.3")),
            ("3", "-3", Some("0")),
            ("-0", "0", Some("0")),
            ("1e-20", "-2e-20", Some("0")),
            ("1e-17", "0", Some("0.00000000000000001")),
            ("5e-18", "0", Some("0")),
            ("15e-18", "0", Some("0.00000000000000002")),
            ("1.5e-17", "1e-17", Some("0.00000000000000003")),
            ("0.999999999999999999", "0", Some("1")),
            ("1.19e4932", "0", None),
            ("1e4932", "1e4932", None),
            ("3.6e-4951", "1", Some("1")),
            ("1e-4952", "1", None),
            ("1e-5000", "1", None),
            ("0e-99999", "1", Some("1")),
            ("0x1.8p3", "0x.8", Some("12.5")),
            ("0x", "1", None),
            ("0x1p", "1", None),
            ("0xg", "1", None),
            ("0x1p-16445", "0", Some("0")),
            ("0x1p-16446", "0", None),
            ("0x1.8p-16446", "0", Some("0")),
            ("inf", "1", None),
            ("nan", "1", None),
            ("infinit", "1", None),
            ("1e", "1", None),
            ("1e+", "1", None),
            (".5", "5.", Some("5.5")),
            (".", "1", None),
            ("", "1", None),
            ("+1", "+1", Some("2")),
            ("--1", "1", None),
            (" 1", "1", None),
            ("1 ", "1", None),
            ("18446744073709551615", "1", Some("18446744073709551616")),
            ("18446744073709551616", "1", Some("18446744073709551616")),
            ("9007199254740993", "0.5", Some("9007199254740993.5")),
            ("36893488147419103233", "0", Some("36893488147419103232")),
            ("123456789012345678901234567890", "0.1", Some("123456789012345678899921813504")),
            ("18446744073709551617.5", "0", Some("18446744073709551618")),
            ("18446744073709551619", "0", Some("18446744073709551620")),
            (
                "0.111111111111111111111111111111111111111111111111111111111111",
                "0",
                Some("0.11111111111111111"),
            ),
            ("1e99999999999999999999", "0", None),
            ("0e99999999999999999999", "0", Some("0")),
            (
                "0x10000000000000000800000000000000000001",
                "0",
                Some("356811923176489970264571492362373784095686656"),
            ),
            ("0x100000000000000008", "0", Some("295147905179352825856")),
        ] {
            assert_eq!(sum(value, increment).as_deref(), expected, "{value} + {increment}");
        }
    }

    #[test]
    fn integers_are_exact() {
        for n in [0, 1, -1, i64::MAX, i64::MIN, 1 << 53] {
            assert_eq!(LongDouble::from(n).text(), n.to_string().into_bytes());
            assert_eq!(LongDouble::parse(n.to_string().as_bytes()), Some(LongDouble::from(n)));
        }
    }
}
