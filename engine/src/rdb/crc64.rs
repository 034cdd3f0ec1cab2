//! CRC-64/REDIS (the Jones polynomial, reflected, starting at 0, nothing added at the end), eight
//! bytes at a time, and the checksum of two pieces put together.
//!
//! Since the register starts at 0 and nothing is added, the checksum of `a` followed by `b` is
//! `crc(a) * x^(8 len b) + crc(b)` in the field of polynomials: pieces of a file can be summed
//! where they are made, in any order.

/// The polynomial, lowest power in the highest bit.
const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;
/// x^0 and x^8 in that representation.
const ONE: u64 = 1 << 63;
const X8: u64 = 1 << 55;

/// `TABLES[k][b]`: what byte `b` adds when `k` more bytes follow it.
static TABLES: [[u64; 256]; 8] = tables();

const fn tables() -> [[u64; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u64;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ POLYNOMIAL };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut k = 1;
    while k < 8 {
        let mut byte = 0;
        while byte < 256 {
            let crc = tables[k - 1][byte];
            tables[k][byte] = crc >> 8 ^ tables[0][(crc & 0xff) as usize];
            byte += 1;
        }
        k += 1;
    }
    tables
}

/// The checksum of what `crc` is the checksum of, followed by `bytes`. Starts with 0.
#[must_use]
pub fn update(mut crc: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let mixed = (crc ^ u64::from_le_bytes(*word)).to_le_bytes();
        crc = 0;
        for (k, &byte) in mixed.iter().enumerate() {
            crc ^= TABLES[7 - k][usize::from(byte)];
        }
    }
    for &byte in rest {
        crc = crc >> 8 ^ TABLES[0][usize::from(crc as u8 ^ byte)];
    }
    crc
}

/// The checksum of two pieces put together: `first` and `second` are theirs, the second piece is
/// `second_bytes` long.
#[must_use]
pub fn combine(first: u64, second: u64, second_bytes: u64) -> u64 {
    multiply(first, power_of_x8(second_bytes)) ^ second
}

/// The product of two polynomials modulo the polynomial.
fn multiply(mut a: u64, mut b: u64) -> u64 {
    let mut product = 0;
    while a != 0 {
        if a & ONE != 0 {
            product ^= b;
        }
        a <<= 1;
        b = if b & 1 == 0 { b >> 1 } else { b >> 1 ^ POLYNOMIAL };
    }
    product
}

/// x^(8n) modulo the polynomial, by squaring.
fn power_of_x8(mut n: u64) -> u64 {
    let (mut power, mut square) = (ONE, X8);
    while n != 0 {
        if n & 1 != 0 {
            power = multiply(power, square);
        }
        square = multiply(square, square);
        n >>= 1;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_checksum_is_redis() {
        for (text, crc) in [
            ("", 0),
            ("123456789", 0xe9c6_d914_c4b8_d9ca),
            ("hello ", 0x60ca_c264_dceb_bd31),
            ("hello world", 0x50dc_ed42_e0e1_e618),
        ] {
            assert_eq!(update(0, text.as_bytes()), crc, "{text}");
        }
        assert_eq!(power_of_x8(4096), 0x99d0_e734_88b6_5b59);
    }

    /// Bit by bit, as the definition has it.
    fn slow(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0, |crc, &byte| {
            let mut crc = crc ^ u64::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ POLYNOMIAL };
            }
            crc
        })
    }

    proptest! {
        #[test]
        fn pieces_add_up_however_they_are_cut(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            cut in any::<prop::sample::Index>(),
        ) {
            let whole = slow(&bytes);
            let (a, b) = bytes.split_at(cut.index(bytes.len() + 1));
            prop_assert_eq!(update(0, &bytes), whole);
            prop_assert_eq!(update(update(0, a), b), whole);
            prop_assert_eq!(combine(update(0, a), update(0, b), b.len() as u64), whole);
        }
    }
}
