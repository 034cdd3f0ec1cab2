//! LZF, the compression of strings in RDB files.
//!
//! ```text
//! 000LLLLL              literal run: the L + 1 bytes that follow
//! LLLooooo oooooooo     the L + 2 bytes that begin o + 1 bytes back (L 1..6)
//! 111ooooo LLLLLLLL oooooooo   the same with 9 + L bytes
//! ```
//! The decoder never reads outside its input and never makes more than it was asked for. The
//! encoder takes the same decisions as liblzf does in Redis (fast mode, 16 bit table), because
//! DUMP payloads are compared byte by byte: a greedy search through a table of where each three
//! bytes were last seen, of which every second or so position inside a match is left out.

/// Longest literal run, bytes.
const LITERALS_MAX: usize = 32;
/// Furthest a match can reach back, bytes.
const OFFSET_MAX: usize = 1 << 13;
/// Longest match, bytes.
const MATCH_MAX: usize = (1 << 8) + (1 << 3);
/// Bytes a match takes at least: every match is of three or more.
const MATCH_BYTES: usize = 3;
/// Bits of a position in the table.
const TABLE_BITS: u32 = 16;
/// A match is compared this far without looking at its limit, as liblzf does: near the end it
/// may thus become one or two bytes longer than the limit says.
const UNCHECKED: usize = 16;

/// The most one byte of compressed input can become.
pub const EXPANSION_MAX: usize = MATCH_MAX.div_ceil(MATCH_BYTES);

/// Appends what `input` unpacks to, which must be `len` bytes; false (and some of it appended)
/// when it is not.
#[must_use]
pub fn decompress(input: &[u8], len: usize, out: &mut Vec<u8>) -> bool {
    if len > input.len().saturating_mul(EXPANSION_MAX) {
        return false;
    }
    out.reserve(len);
    let start = out.len();
    let mut at = 0;
    while let Some(&control) = input.get(at) {
        at += 1;
        let control = usize::from(control);
        if control < LITERALS_MAX {
            let Some(run) = input.get(at..=at + control) else { return false };
            if out.len() - start + run.len() > len {
                return false;
            }
            out.extend_from_slice(run);
            at += control + 1;
            continue;
        }
        let mut count = (control >> 5) + 2;
        if control >> 5 == 7 {
            let Some(&more) = input.get(at) else { return false };
            count += usize::from(more);
            at += 1;
        }
        let Some(&low) = input.get(at) else { return false };
        at += 1;
        let back = ((control & 0x1f) << 8 | usize::from(low)) + 1;
        let made = out.len() - start;
        if back > made || made + count > len {
            return false;
        }
        let from = out.len() - back;
        if back >= count {
            out.extend_from_within(from..from + count);
        } else {
            // The match overlaps what it makes.
            for k in from..from + count {
                out.push(out[k]);
            }
        }
    }
    out.len() - start == len
}

/// Packs strings; reusable, because its table is large.
pub struct Compressor {
    /// Where three bytes with this hash were last seen, plus `base`; less than `base`: not in
    /// this input.
    table: Vec<u32>,
    base: u32,
}

impl Default for Compressor {
    fn default() -> Self {
        Self::new()
    }
}

impl Compressor {
    /// A compressor that has seen nothing.
    pub fn new() -> Self {
        Self { table: vec![0; 1 << TABLE_BITS], base: 1 }
    }

    /// Packs `input` into `out` (emptied first); false when that would take more than `max` bytes.
    #[must_use]
    pub fn compress(&mut self, input: &[u8], max: usize, out: &mut Vec<u8>) -> bool {
        out.clear();
        if input.len() < MATCH_BYTES || input.len() >= u32::MAX as usize / 2 {
            return false;
        }
        if self.base.checked_add(input.len() as u32 + 1).is_none() {
            self.table.fill(0);
            self.base = 1;
        }
        let packed = pack(input, max, out, &mut self.table, self.base);
        self.base += input.len() as u32 + 1;
        packed
    }
}

/// Where the table keeps these three bytes.
fn slot(at: &[u8]) -> usize {
    let three = u32::from(at[0]) << 16 | u32::from(at[1]) << 8 | u32::from(at[2]);
    let hash = (three >> (24 - TABLE_BITS)).wrapping_sub(three.wrapping_mul(5));
    hash as usize & ((1 << TABLE_BITS) - 1)
}

/// Notes that the bytes at `at` begin there; where the last such bytes began.
fn note(table: &mut [u32], base: u32, input: &[u8], at: usize) -> Option<usize> {
    let place = &mut table[slot(&input[at..])];
    let before = place.checked_sub(base).map(|before| before as usize);
    *place = base + at as u32;
    before
}

/// Length of the match of `at` with `from`, whose first three bytes are equal.
fn match_len(input: &[u8], from: usize, at: usize) -> usize {
    let limit = (input.len() - at - 2).min(MATCH_MAX);
    let same = |len: usize| input[from + len] == input[at + len];
    let mut len = 2;
    if limit > UNCHECKED {
        for _ in 0..UNCHECKED {
            len += 1;
            if !same(len) {
                return len;
            }
        }
    }
    loop {
        len += 1;
        if len >= limit || !same(len) {
            return len;
        }
    }
}

fn pack(input: &[u8], max: usize, out: &mut Vec<u8>, table: &mut [u32], base: u32) -> bool {
    // The run of literals that is open: where its control byte is. It costs its byte at once.
    let mut run = 0;
    out.push(0);
    let close = |out: &mut Vec<u8>, run: usize| match out.len() - run - 1 {
        0 => drop(out.pop()),
        literals => out[run] = literals as u8 - 1,
    };
    let mut at = 0;
    while at + 2 < input.len() {
        let found = note(table, base, input, at).filter(|&from| {
            // The very first byte is never matched, as in liblzf.
            from > 0
                && at - from <= OFFSET_MAX
                && input[from..from + MATCH_BYTES] == input[at..at + MATCH_BYTES]
        });
        let Some(from) = found else {
            if out.len() >= max {
                return false;
            }
            out.push(input[at]);
            at += 1;
            if out.len() - run - 1 == LITERALS_MAX {
                close(out, run);
                run = out.len();
                out.push(0);
            }
            continue;
        };
        let empty_run = usize::from(out.len() == run + 1);
        if out.len() - empty_run + MATCH_BYTES + 1 >= max {
            return false;
        }
        close(out, run);
        let (len, back) = (match_len(input, from, at), at - from - 1);
        let code = len - 2;
        if code < 7 {
            out.push((code << 5 | back >> 8) as u8);
        } else {
            out.push((7 << 5 | back >> 8) as u8);
            out.push((code - 7) as u8);
        }
        out.push(back as u8);
        run = out.len();
        out.push(0);
        at += len;
        if at + 2 >= input.len() {
            break;
        }
        // The two positions before the next one are noted, the others inside the match are not.
        note(table, base, input, at - 2);
        note(table, base, input, at - 1);
    }
    if out.len() + MATCH_BYTES > max {
        return false;
    }
    for &byte in &input[at.min(input.len())..] {
        out.push(byte);
        if out.len() - run - 1 == LITERALS_MAX {
            close(out, run);
            run = out.len();
            out.push(0);
        }
    }
    close(out, run);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unpacked(input: &[u8], len: usize) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decompress(input, len, &mut out).then_some(out)
    }

    #[test]
    fn hand_made_input_unpacks() {
        assert_eq!(unpacked(b"\x02abc", 3).unwrap(), b"abc");
        // One literal, then a match of nine that overlaps itself.
        assert_eq!(unpacked(b"\x00a\xe0\x00\x00", 10).unwrap(), b"aaaaaaaaaa");
        assert_eq!(unpacked(b"", 0).unwrap(), b"");
    }

    #[test]
    fn damaged_input_is_refused() {
        for (input, len) in [
            (b"\x02ab".as_slice(), 3),   // a run that is cut off
            (b"\x02abc", 2),             // more than announced
            (b"\x02abc", 4),             // less
            (b"\x20\x00", 3),            // a match before the beginning
            (b"\x00a\x20\x01", 4),       // the same
            (b"\x00a\xe0", 10),          // no length
            (b"\x00a\xe0\x00", 10),      // no offset
            (b"\x00a\xe0\xff\x00", 100), // a match that is too long
            (b"\x02abc", usize::MAX),    // a length nothing can become
        ] {
            assert_eq!(unpacked(input, len), None, "{input:?}");
        }
    }

    /// Text with repetitions near and far.
    fn texts() -> impl Strategy<Value = Vec<u8>> {
        let word = prop::collection::vec(b'a'..b'e', 1..6);
        let words = prop::collection::vec((word, 1usize..40), 0..60);
        words.prop_map(|words| words.into_iter().flat_map(|(word, n)| word.repeat(n)).collect())
    }

    proptest! {
        #[test]
        fn what_is_packed_unpacks_to_itself(first in texts(), second in texts()) {
            let mut compressor = Compressor::new();
            let mut packed = Vec::new();
            // The table is not emptied in between.
            for text in [&first, &second, &first] {
                if compressor.compress(text, text.len() + text.len() / 16 + 8, &mut packed) {
                    let unpacked = unpacked(&packed, text.len());
                    prop_assert_eq!(unpacked.as_ref(), Some(text));
                    let fits = compressor.compress(text, packed.len() / 2, &mut packed);
                    prop_assert!(!fits || packed.len() <= text.len() / 2);
                }
            }
        }

        #[test]
        fn any_input_is_unpacked_or_refused(
            input in prop::collection::vec(any::<u8>(), 0..300),
            len in 0usize..30_000,
        ) {
            let mut out = Vec::new();
            let whole = decompress(&input, len, &mut out);
            prop_assert!(out.len() <= len && whole == (out.len() == len) || !whole);
            prop_assert!(out.capacity() <= input.len() * EXPANSION_MAX + 8);
        }
    }
}
