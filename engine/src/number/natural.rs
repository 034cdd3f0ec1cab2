//! Natural numbers of any size: just what exact conversion of decimals needs.

/// Largest power of ten in a limb, and its exponent.
const TEN_POWER: (u64, usize) = (10_000_000_000_000_000_000, 19);
/// Largest power of five in a limb, and its exponent.
const FIVE_POWER: (u64, usize) = (7_450_580_596_923_828_125, 27);

/// A natural number: limbs of 64 bits, the lowest first, no zero limb at the top.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Natural(Vec<u64>);

impl Natural {
    /// The number of these decimal digits, which must be ASCII digits.
    pub fn from_digits(digits: &[u8]) -> Self {
        let mut number = Self(Vec::new());
        for chunk in digits.chunks(TEN_POWER.1) {
            let value = chunk.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0'));
            number.multiply_add(10u64.pow(chunk.len() as u32), value);
        }
        number
    }

    /// `5^exponent`
    pub fn power_of_five(exponent: usize) -> Self {
        let mut number = Self(vec![1]);
        number.multiply_by_power_of_five(exponent);
        number
    }

    /// `mantissa * 2^exponent`
    pub fn shifted(mantissa: u64, exponent: usize) -> Self {
        let mut number = Self(if mantissa == 0 { Vec::new() } else { vec![mantissa] });
        number.shift_left(exponent);
        number
    }

    fn multiply_add(&mut self, factor: u64, summand: u64) {
        let mut carry = u128::from(summand);
        for limb in &mut self.0 {
            carry += u128::from(*limb) * u128::from(factor);
            *limb = carry as u64;
            carry >>= 64;
        }
        if carry > 0 {
            self.0.push(carry as u64);
        }
    }

    /// Multiplies by `5^exponent`.
    pub fn multiply_by_power_of_five(&mut self, exponent: usize) {
        for _ in 0..exponent / FIVE_POWER.1 {
            self.multiply_add(FIVE_POWER.0, 0);
        }
        self.multiply_add(5u64.pow((exponent % FIVE_POWER.1) as u32), 0);
    }

    /// Multiplies by `2^bits`.
    pub fn shift_left(&mut self, bits: usize) {
        if self.0.is_empty() {
            return;
        }
        self.multiply_add(1 << (bits % 64), 0);
        self.0.splice(..0, std::iter::repeat_n(0, bits / 64));
    }

    /// Number of bits up to the highest one.
    pub fn bits(&self) -> usize {
        self.0.last().map_or(0, |top| self.0.len() * 64 - top.leading_zeros() as usize)
    }

    /// True for zero.
    pub fn is_zero(&self) -> bool {
        self.0.is_empty()
    }

    /// Subtracts `other` if it is not larger; whether it was subtracted.
    pub fn subtract_if_fits(&mut self, other: &Natural) -> bool {
        let smaller = self.0.len().cmp(&other.0.len());
        if smaller.then_with(|| self.0.iter().rev().cmp(other.0.iter().rev())).is_lt() {
            return false;
        }
        let mut borrow = false;
        for (at, limb) in self.0.iter_mut().enumerate() {
            let subtrahend = other.0.get(at).copied().unwrap_or(0);
            (*limb, borrow) = limb.borrowing_sub(subtrahend, borrow);
        }
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
        true
    }

    /// The 128 highest bits, how many bits lie below them, and whether any of those is set.
    pub fn top(&self) -> (u128, usize, bool) {
        let below = self.bits().saturating_sub(128);
        let (skip, shift) = (below / 64, below % 64);
        let limb = |at: usize| u128::from(self.0.get(skip + at).copied().unwrap_or(0));
        let low = limb(0) | limb(1) << 64;
        let top = if shift == 0 { low } else { low >> shift | limb(2) << (128 - shift) };
        let lost = self.0[..skip].iter().any(|&l| l != 0) || limb(0) & ((1 << shift) - 1) != 0;
        (top, below, lost)
    }

    /// The decimal digits, appended; `0` for zero.
    pub fn write_digits(mut self, out: &mut Vec<u8>) {
        let mut chunks = Vec::new();
        while !self.0.is_empty() {
            let mut remainder = 0u128;
            for limb in self.0.iter_mut().rev() {
                let n = remainder << 64 | u128::from(*limb);
                *limb = (n / u128::from(TEN_POWER.0)) as u64;
                remainder = n % u128::from(TEN_POWER.0);
            }
            if self.0.last() == Some(&0) {
                self.0.pop();
            }
            chunks.push(remainder as u64);
        }
        let mut digits = itoa::Buffer::new();
        out.extend_from_slice(digits.format(chunks.pop().unwrap_or(0)).as_bytes());
        for chunk in chunks.into_iter().rev() {
            let text = digits.format(chunk).as_bytes();
            out.extend(std::iter::repeat_n(b'0', TEN_POWER.1 - text.len()));
            out.extend_from_slice(text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_survive_the_way_in_and_out() {
        for text in [
            "0",
            "1",
            "18446744073709551615",
            "18446744073709551616",
            &"9".repeat(500),
            &"10".repeat(300),
        ] {
            let mut out = Vec::new();
            Natural::from_digits(text.as_bytes()).write_digits(&mut out);
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }

    #[test]
    fn shifts_powers_and_differences_agree() {
        let mut ten_to_the_60 = Natural::power_of_five(60);
        ten_to_the_60.shift_left(60);
        assert_eq!(ten_to_the_60, Natural::from_digits(format!("1{}", "0".repeat(60)).as_bytes()));
        let mut rest = ten_to_the_60.clone();
        assert!(rest.subtract_if_fits(&Natural::from_digits(b"1")));
        assert_eq!(rest, Natural::from_digits("9".repeat(60).as_bytes()));
        assert!(!rest.subtract_if_fits(&ten_to_the_60));
        assert_eq!(Natural::shifted(1, 200).top(), (1 << 127, 73, false));
        let mut odd = Natural::shifted(1, 200);
        odd.multiply_add(1, 1);
        assert_eq!((odd.bits(), odd.top()), (201, (1 << 127, 73, true)));
    }
}
