//! Counting and finding bits in runs of bytes, a word at a time.

use std::ops::Range;

/// How many bits are set.
pub(super) fn ones(bytes: &[u8]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("popcnt") {
        // SAFETY: the processor has the instruction.
        return unsafe { ones_by_instruction(bytes) };
    }
    count(bytes)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "popcnt")]
fn ones_by_instruction(bytes: &[u8]) -> u64 {
    count(bytes)
}

#[inline(always)]
fn count(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    // Four sums, so that no addition waits for the one before.
    let mut sums = [0u64; 4];
    let (fours, last) = words.as_chunks::<4>();
    for four in fours {
        for (sum, word) in sums.iter_mut().zip(four) {
            *sum += u64::from(u64::from_ne_bytes(*word).count_ones());
        }
    }
    let words = last.iter().map(|word| u64::from(u64::from_ne_bytes(*word).count_ones()));
    let bytes = rest.iter().map(|byte| u64::from(byte.count_ones()));
    sums.iter().sum::<u64>() + words.sum::<u64>() + bytes.sum::<u64>()
}

/// How many bits of a range are set; the range lies within the bytes.
pub(super) fn ones_of(bytes: &[u8], range: Range<u64>) -> u64 {
    if range.is_empty() {
        return 0;
    }
    let (first, last) = ((range.start >> 3) as usize, ((range.end - 1) >> 3) as usize);
    let before = bytes[first] & !(0xff >> (range.start & 7));
    let behind = bytes[last] & !(0xff_u8 << (7 - ((range.end - 1) & 7)));
    ones(&bytes[first..=last]) - u64::from(before.count_ones() + behind.count_ones())
}

/// The first bit of a range that is set, or clear; the range lies within the bytes.
pub(super) fn find(bytes: &[u8], range: Range<u64>, set: bool) -> Option<u64> {
    if range.is_empty() {
        return None;
    }
    // What is looked for becomes a one, whatever it was.
    let flip = if set { 0 } else { 0xff };
    let (first, last) = ((range.start >> 3) as usize, ((range.end - 1) >> 3) as usize);
    let head = (bytes[first] ^ flip) & (0xff >> (range.start & 7));
    let position = |at: usize, byte: u8| ((at as u64) << 3) + u64::from(byte.leading_zeros());
    let found = if head != 0 {
        Some(position(first, head))
    } else {
        let rest = bytes.get(first + 1..=last).unwrap_or_default();
        let (words, _) = rest.as_chunks::<8>();
        let dull = if set { 0 } else { u64::MAX };
        let skipped = 8 * words.iter().take_while(|w| u64::from_ne_bytes(**w) == dull).count();
        let hit = rest[skipped..].iter().position(|byte| byte ^ flip != 0);
        hit.map(|at| position(first + 1 + skipped + at, rest[skipped + at] ^ flip))
    };
    found.filter(|at| *at < range.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn counts_and_finds_as_bit_by_bit(
            bytes in prop::collection::vec(prop_oneof![Just(0u8), Just(255), any::<u8>()], 1..80),
            from in 0u64..640,
            to in 0u64..640,
        ) {
            let bits = bytes.len() as u64 * 8;
            let range = from.min(bits)..to.min(bits);
            let bit = |at: &u64| bytes[(at >> 3) as usize] >> (7 - (at & 7)) & 1 == 1;
            prop_assert_eq!(ones_of(&bytes, range.clone()), range.clone().filter(bit).count() as u64);
            prop_assert_eq!(ones(&bytes), (0..bits).filter(bit).count() as u64);
            prop_assert_eq!(count(&bytes), ones(&bytes));
            prop_assert_eq!(find(&bytes, range.clone(), true), range.clone().find(bit));
            let clear = find(&bytes, range.clone(), false);
            prop_assert_eq!(clear, { range }.find(|at| !bit(at)));
        }
    }
}
