//! Small collections as one run of bytes: Redis' listpack, byte for byte.
//!
//! ```text
//! u32 bytes in all | u16 elements (65535: count them) | element ... | 0xFF
//! element = encoding and data | length of those, readable backwards
//! ```
//! The same bytes go into RDB files and come out of them. Invariants: bytes here were written by
//! this file or checked by whoever read them from elsewhere; a text that is the canonical form of
//! an integer is stored as one. Knows elements only: what they mean is the types' business.

use crate::number::canonical_int;

/// Bytes before the first element.
const HEADER: usize = 6;
/// The byte behind the last element.
const END: u8 = 0xFF;
/// The count that says: count.
const UNCOUNTED: usize = u16::MAX as usize;
/// Most bytes of an element besides its text.
const FRAME_MAX: usize = 10;

/// One element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// A text that is an integer's canonical form.
    Int(i64),
    /// Any other text.
    Bytes(&'a [u8]),
}

impl<'a> Item<'a> {
    /// The text; an integer is written into `digits`.
    #[inline]
    pub fn bytes<'b>(&self, digits: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Item::Int(n) => digits.format(*n).as_bytes(),
            Item::Bytes(bytes) => bytes,
        }
    }

    /// Length of the text, bytes.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Item::Int(n) => itoa::Buffer::new().format(*n).len(),
            Item::Bytes(bytes) => bytes.len(),
        }
    }

    /// True for the empty text.
    #[inline]
    pub fn is_empty(&self) -> bool {
        matches!(self, Item::Bytes([]))
    }

    /// The text, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        self.bytes(&mut itoa::Buffer::new()).to_vec()
    }

    /// True when the text is `other`.
    #[inline]
    pub fn is(&self, other: &Wanted<'_>) -> bool {
        match (self, other.int) {
            (Item::Int(a), Some(b)) => *a == b,
            (Item::Bytes(a), None) => *a == other.bytes,
            _ => false,
        }
    }
}

/// A text to look for, with the integer it may be.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    bytes: &'a [u8],
    int: Option<i64>,
}

impl<'a> Wanted<'a> {
    /// Looks for this text.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, int: canonical_int(bytes) }
    }
}

/// Where an element begins; good until the bytes change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At(usize);

/// Elements to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed<'a>(&'a [u8]);

impl<'a> Packed<'a> {
    /// Elements in these bytes.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        debug_assert!(bytes.len() > HEADER && bytes[bytes.len() - 1] == END);
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Number of elements.
    #[inline]
    pub fn len(self) -> usize {
        match usize::from(u16::from_le_bytes([self.0[4], self.0[5]])) {
            UNCOUNTED => self.iter().count(),
            n => n,
        }
    }

    /// True when there is none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0[HEADER] == END
    }

    /// The first element.
    #[inline]
    pub fn first(self) -> Option<At> {
        (!self.is_empty()).then_some(At(HEADER))
    }

    /// The last element.
    #[inline]
    pub fn last(self) -> Option<At> {
        self.before(self.0.len() - 1)
    }

    /// The element behind.
    #[inline]
    pub fn next(self, at: At) -> Option<At> {
        let next = at.0 + self.size(at.0);
        (self.0[next] != END).then_some(At(next))
    }

    /// The element before.
    #[inline]
    pub fn prev(self, at: At) -> Option<At> {
        self.before(at.0)
    }

    #[inline]
    fn before(self, at: usize) -> Option<At> {
        if at == HEADER {
            return None;
        }
        let (body, frame) = self.back_length(at);
        Some(At(at - body - frame))
    }

    /// The length in front of `at`, read backwards: bytes of the element, bytes of the length.
    #[inline]
    fn back_length(self, at: usize) -> (usize, usize) {
        let (mut value, mut bytes) = (0usize, 0);
        loop {
            let byte = self.0[at - 1 - bytes];
            value |= usize::from(byte & 127) << (7 * bytes);
            bytes += 1;
            if byte & 128 == 0 {
                return (value, bytes);
            }
        }
    }

    /// The element at an index, from the end when negative.
    pub fn nth(self, index: i64) -> Option<At> {
        let (steps, mut at) = if index < 0 {
            (index.unsigned_abs() - 1, self.last()?)
        } else {
            (index.unsigned_abs(), self.first()?)
        };
        for _ in 0..steps {
            at = if index < 0 { self.prev(at)? } else { self.next(at)? };
        }
        Some(at)
    }

    /// The element there.
    #[inline]
    pub fn get(self, at: At) -> Item<'a> {
        let bytes = &self.0[at.0..];
        match bytes[0] {
            b @ 0..=0x7F => Item::Int(i64::from(b)),
            b @ 0x80..=0xBF => Item::Bytes(&bytes[1..1 + usize::from(b & 0x3F)]),
            b @ 0xC0..=0xDF => {
                let raw = u16::from(b & 0x1F) << 8 | u16::from(bytes[1]);
                // 13 bits with a sign.
                Item::Int(i64::from((raw << 3) as i16 >> 3))
            }
            b @ 0xE0..=0xEF => {
                let len = usize::from(b & 0x0F) << 8 | usize::from(bytes[1]);
                Item::Bytes(&bytes[2..2 + len])
            }
            0xF0 => Item::Bytes(&bytes[5..5 + little::<4>(bytes) as usize]),
            0xF1 => Item::Int(signed::<2>(bytes)),
            0xF2 => Item::Int(signed::<3>(bytes)),
            0xF3 => Item::Int(signed::<4>(bytes)),
            _ => Item::Int(signed::<8>(bytes)),
        }
    }

    /// Bytes that the element at `at` takes, its length behind included.
    #[inline]
    fn size(self, at: usize) -> usize {
        let bytes = &self.0[at..];
        let body = match bytes[0] {
            0..=0x7F => 1,
            b @ 0x80..=0xBF => 1 + usize::from(b & 0x3F),
            0xC0..=0xDF => 2,
            b @ 0xE0..=0xEF => 2 + (usize::from(b & 0x0F) << 8 | usize::from(bytes[1])),
            0xF0 => 5 + little::<4>(bytes) as usize,
            0xF1 => 3,
            0xF2 => 4,
            0xF3 => 5,
            _ => 9,
        };
        body + back_bytes(body)
    }

    /// Elements from the first on.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = Item<'a>> {
        self.places().map(move |at| self.get(at))
    }

    /// Where the elements are, from the first on.
    #[inline]
    pub fn places(self) -> impl Iterator<Item = At> {
        let mut next = self.first();
        std::iter::from_fn(move || {
            let at = next?;
            next = self.next(at);
            Some(at)
        })
    }

    /// The first element that is this text, looking at every `step`-th from the first on.
    #[inline]
    pub fn find(self, wanted: &Wanted<'_>, step: usize) -> Option<At> {
        let mut at = self.first()?;
        loop {
            if self.get(at).is(wanted) {
                return Some(at);
            }
            for _ in 0..step {
                at = self.next(at)?;
            }
        }
    }
}

/// `N` bytes behind the first as an unsigned number.
#[inline]
fn little<const N: usize>(bytes: &[u8]) -> u64 {
    bytes[1..=N].iter().rev().fold(0, |n, &b| n << 8 | u64::from(b))
}

/// `N` bytes behind the first as a signed number.
#[inline]
fn signed<const N: usize>(bytes: &[u8]) -> i64 {
    let unused = 64 - 8 * N as u32;
    (little::<N>(bytes) << unused) as i64 >> unused
}

/// Bytes of the length behind an element of `body` bytes.
#[inline]
fn back_bytes(body: usize) -> usize {
    match body {
        0..=127 => 1,
        128..=16_382 => 2,
        16_383..=2_097_150 => 3,
        2_097_151..=268_435_454 => 4,
        _ => 5,
    }
}

/// No elements, in memory that can be used again.
pub fn clear(packed: &mut Vec<u8>) {
    packed.clear();
    packed.extend_from_slice(&(HEADER as u32 + 1).to_le_bytes());
    packed.extend_from_slice(&[0, 0, END]);
}

/// Upper bound of the bytes that elements with so many bytes of text together take.
pub fn bytes_max(elements: usize, text_bytes: usize) -> usize {
    HEADER + 1 + text_bytes + elements * FRAME_MAX
}

/// Appends an element.
#[inline]
pub fn push(packed: &mut Vec<u8>, text: &[u8]) {
    let end = packed.len() - 1;
    splice(packed, end, 0, &[text], 1);
}

/// Puts elements in before the one at `at`; None: at the end.
pub fn insert(packed: &mut Vec<u8>, at: Option<At>, texts: &[&[u8]]) {
    let at = at.map_or(packed.len() - 1, |at| at.0);
    splice(packed, at, 0, texts, texts.len() as isize);
}

/// Replaces an element.
pub fn replace(packed: &mut Vec<u8>, at: At, text: &[u8]) {
    let old = Packed::new(packed).size(at.0);
    splice(packed, at.0, old, &[text], 0);
}

/// Removes `count` elements from `at` on, or as many as there are; where the next one is.
pub fn remove(packed: &mut Vec<u8>, at: At, count: usize) -> Option<At> {
    let view = Packed::new(packed);
    let (mut end, mut removed) = (at.0, 0isize);
    while (removed as usize) < count && packed[end] != END {
        end += view.size(end);
        removed += 1;
    }
    splice(packed, at.0, end - at.0, &[], -removed);
    (packed[at.0] != END).then_some(at)
}

/// Cuts the elements from `at` on off; they are a run of their own.
pub fn split_off(packed: &mut Vec<u8>, at: At) -> Vec<u8> {
    let mut behind = Vec::with_capacity(HEADER + packed.len() - at.0);
    clear(&mut behind);
    behind.truncate(HEADER);
    behind.extend_from_slice(&packed[at.0..]);
    packed.truncate(at.0);
    packed.push(END);
    for part in [packed, &mut behind] {
        let count = Packed::new(part).iter().count();
        write_header(part, count);
    }
    behind
}

/// Appends all elements of another run.
pub fn append(packed: &mut Vec<u8>, more: Packed<'_>) {
    let count = Packed::new(packed).len() + more.len();
    packed.truncate(packed.len() - 1);
    packed.extend_from_slice(&more.0[HEADER..]);
    write_header(packed, count);
}

fn write_header(packed: &mut [u8], count: usize) {
    let total = packed.len() as u32;
    packed[..4].copy_from_slice(&total.to_le_bytes());
    packed[4..6].copy_from_slice(&(count.min(UNCOUNTED) as u16).to_le_bytes());
}

/// Puts the encoded texts in the place of `old` bytes at `at`; `more` elements than before.
fn splice(packed: &mut Vec<u8>, at: usize, old: usize, texts: &[&[u8]], more: isize) {
    let elements = Packed::new(packed).0;
    let count = usize::from(u16::from_le_bytes([elements[4], elements[5]]));
    let new: usize = texts.iter().map(|text| encoded_bytes(text)).sum();
    let len = packed.len();
    if new > old {
        packed.resize(len + new - old, 0);
    }
    packed.copy_within(at + old..len, at + new);
    packed.truncate(len + new - old);
    let mut to = at;
    for text in texts {
        to += encode(&mut packed[to..], text);
    }
    debug_assert_eq!(to, at + new);
    let counted = if count == UNCOUNTED {
        // It was uncounted; it may be countable again.
        Packed(packed).iter().count()
    } else {
        count.wrapping_add_signed(more)
    };
    write_header(packed, counted);
}

/// Bytes of an element's encoding, before the length behind.
#[inline]
fn body_bytes(text: &[u8]) -> usize {
    match canonical_int(text) {
        Some(0..=127) => 1,
        Some(-4096..=4095) => 2,
        Some(-32_768..=32_767) => 3,
        Some(-8_388_608..=8_388_607) => 4,
        Some(n) if i32::try_from(n).is_ok() => 5,
        Some(_) => 9,
        None => match text.len() {
            n @ 0..=63 => 1 + n,
            n @ 64..=4095 => 2 + n,
            n => 5 + n,
        },
    }
}

/// Bytes that an element with this text takes.
#[inline]
pub fn encoded_bytes(text: &[u8]) -> usize {
    let body = body_bytes(text);
    body + back_bytes(body)
}

/// Writes an element; its bytes.
#[inline]
fn encode(to: &mut [u8], text: &[u8]) -> usize {
    let body = body_bytes(text);
    match canonical_int(text) {
        Some(n @ 0..=127) => to[0] = n as u8,
        Some(n @ -4096..=4095) => {
            to[0] = 0xC0 | (n >> 8) as u8 & 0x1F;
            to[1] = n as u8;
        }
        Some(n) => {
            to[0] = match body {
                3 => 0xF1,
                4 => 0xF2,
                5 => 0xF3,
                _ => 0xF4,
            };
            to[1..body].copy_from_slice(&n.to_le_bytes()[..body - 1]);
        }
        None => {
            let n = text.len();
            let frame = body - n;
            match frame {
                1 => to[0] = 0x80 | n as u8,
                2 => {
                    to[0] = 0xE0 | (n >> 8) as u8;
                    to[1] = n as u8;
                }
                _ => {
                    to[0] = 0xF0;
                    to[1..5].copy_from_slice(&(n as u32).to_le_bytes());
                }
            }
            to[frame..body].copy_from_slice(text);
        }
    }
    let back = back_bytes(body);
    for i in 0..back {
        // Most significant seven bits first; all but the first byte say that more come before.
        let seven = (body >> (7 * (back - 1 - i)) & 127) as u8;
        to[body + i] = if i == 0 { seven } else { seven | 128 };
    }
    body + back
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packed(texts: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        clear(&mut bytes);
        texts.iter().for_each(|text| push(&mut bytes, text));
        bytes
    }

    fn texts(bytes: &[u8]) -> Vec<Vec<u8>> {
        Packed::new(bytes).iter().map(|item| item.to_vec()).collect()
    }

    #[test]
    fn bytes_are_redis_listpack() {
        // Taken from DUMP of redis-server 7.0.15: RPUSH-like content of small hashes.
        assert_eq!(packed(&[]), [7, 0, 0, 0, 0, 0, 0xFF]);
        assert_eq!(packed(&[b"1"]), [9, 0, 0, 0, 1, 0, 1, 1, 0xFF]);
        assert_eq!(packed(&[b"a"]), [10, 0, 0, 0, 1, 0, 0x81, b'a', 2, 0xFF]);
        assert_eq!(packed(&[b"-1"]), [10, 0, 0, 0, 1, 0, 0xDF, 0xFF, 2, 0xFF]);
        assert_eq!(packed(&[b"4096"]), [11, 0, 0, 0, 1, 0, 0xF1, 0x00, 0x10, 3, 0xFF]);
    }

    #[test]
    fn every_width_reads_back_in_both_directions() {
        let mut all: Vec<Vec<u8>> = Vec::new();
        for n in [0i64, 127, 128, 4095, 4096, 32_767, 32_768, 8_388_607, 8_388_608] {
            for n in [n, -n, -n - 1] {
                all.push(n.to_string().into_bytes());
            }
        }
        for n in [i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN] {
            all.push(n.to_string().into_bytes());
        }
        for len in [0, 1, 62, 63, 64, 65, 125, 126, 127, 4095, 4096, 16_377, 16_378, 16_400] {
            all.push(vec![b'x'; len]);
        }
        let slices: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
        let bytes = packed(&slices);
        assert_eq!(texts(&bytes), all);
        let view = Packed::new(&bytes);
        let mut backwards = Vec::new();
        let mut at = view.last();
        while let Some(here) = at {
            backwards.push(view.get(here).to_vec());
            at = view.prev(here);
        }
        backwards.reverse();
        assert_eq!(backwards, all);
        assert_eq!(view.len(), all.len());
    }

    #[test]
    fn more_elements_than_the_count_can_say_are_counted() {
        let mut bytes = packed(&[]);
        let one: &[u8] = b"1";
        insert(&mut bytes, None, &vec![one; 65_534]);
        assert_eq!(Packed::new(&bytes).len(), 65_534);
        insert(&mut bytes, None, &[one; 3]);
        assert_eq!((Packed::new(&bytes).len(), bytes[4], bytes[5]), (65_537, 255, 255));
        let first = Packed::new(&bytes).first().unwrap();
        remove(&mut bytes, first, 10);
        assert_eq!(Packed::new(&bytes).len(), 65_527);
        assert_ne!((bytes[4], bytes[5]), (255, 255));
    }

    proptest! {
        #[test]
        fn edits_do_what_they_do_to_a_plain_list(
            edits in prop::collection::vec(
                (0u8..4, any::<prop::sample::Index>(), prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..200),
                    any::<i64>().prop_map(|n| n.to_string().into_bytes()),
                    (-5000i64..5000).prop_map(|n| n.to_string().into_bytes()),
                ], 1usize..4), 1..80)
        ) {
            let mut bytes = packed(&[]);
            let mut model: Vec<Vec<u8>> = Vec::new();
            for (kind, index, text, count) in edits {
                let len = model.len();
                let index = index.index(len + 1);
                let at = Packed::new(&bytes).nth(index as i64);
                prop_assert_eq!(at.is_some(), index < len);
                match (kind, at) {
                    (0, at) => {
                        insert(&mut bytes, at, &[&text, b"2"]);
                        model.insert(index, b"2".to_vec());
                        model.insert(index, text);
                    }
                    (1, Some(at)) => {
                        replace(&mut bytes, at, &text);
                        model[index] = text;
                    }
                    (2, Some(at)) => {
                        let next = remove(&mut bytes, at, count);
                        model.drain(index..(index + count).min(len));
                        prop_assert_eq!(next.is_some(), index < model.len());
                    }
                    _ => {
                        push(&mut bytes, &text);
                        model.push(text);
                    }
                }
                prop_assert_eq!(&texts(&bytes), &model);
                prop_assert_eq!(Packed::new(&bytes).len(), model.len());
                prop_assert_eq!(u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize, bytes.len());
                let from_end = Packed::new(&bytes).nth(-1).map(|at| Packed::new(&bytes).get(at).to_vec());
                prop_assert_eq!(from_end.as_ref(), model.last());
            }
            for text in &model {
                let view = Packed::new(&bytes);
                let found = view.find(&Wanted::new(text), 1).unwrap();
                prop_assert_eq!(&view.get(found).to_vec(), text);
            }
        }
    }
}
