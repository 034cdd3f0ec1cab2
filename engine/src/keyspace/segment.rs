//! One segment: up to a few hundred entries whose hashes share a prefix.
//!
//! A segment is an array of buckets, a bucket is a cache line of eight words. Its directory word
//! carries everything else: number of buckets, depth (how many bits of the hash its entries
//! share) and address. The number of buckets need not be a power of two: with `f` the 13 bits of
//! the hash behind the depth, the home bucket is `f * buckets / 2^13`. So
//!
//! * home buckets are ordered by hash, whatever the number of buckets (SCAN rests on this), and
//! * a segment grows by a quarter or less, so that tables stay about 80 % full at every size.
//!
//! A full bucket spills into the next one, cyclically. Invariants:
//! 1. words of a bucket are packed to its front: it is full iff its last word is not empty;
//! 2. an entry in bucket `b` with home `h`: every bucket from `h` up to but not including `b`
//!    is full. Hence a lookup ends at the first bucket that is not full;
//! 3. the fingerprint is the 16 bits of the hash from bit `depth & !3` on (bit 0 the topmost).
//!    It holds the 13 bits of the home, so growing, shrinking and removing read no entry;
//!    splitting and merging do only where the depth crosses a multiple of four.
//!
//! Whoever has a `Segment` of the directory may use it: the directory frees segments, and only
//! after it has forgotten them. Entries of a segment live as long as their words are in it.

use super::{
    entry::EntryPtr,
    key::{Key, KeyHasher},
    memory::{LINE, allocate_zeroed, release, size_class},
    word::Word,
};
use std::ptr::{self, NonNull};

/// Words of a bucket.
pub(super) const BUCKET: usize = LINE / size_of::<Word>();
/// Bits of the hash that choose the home bucket.
pub(super) const HOME_BITS: u32 = 13;
/// Greatest depth: depth and home bits together fit SCAN's cursor.
pub(super) const DEPTH_MAX: u32 = 32;
/// A segment this large splits instead of growing, if the directory permits.
pub(super) const BUCKETS_MAX: usize = 16;

const DEPTH_MASK: u64 = 0x3F;
const ADDRESS_MASK: u64 = 0x0000_FFFF_FFFF_FFC0;
const BUCKETS_SHIFT: u32 = 48;

type Line = [Word; BUCKET];

/// A directory word: buckets 16 | address, low 6 bits zero | depth 6.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Segment(u64);

/// Where in a segment a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) bucket: usize,
    pub(super) slot: usize,
}

/// One bit per word that has this fingerprint.
#[inline]
fn matches(line: &Line, fingerprint: u16) -> u32 {
    let mut hits = 0;
    for (slot, word) in line.iter().enumerate() {
        hits |= u32::from(word.fingerprint() == fingerprint) << slot;
    }
    hits
}

#[inline]
fn used(line: &Line) -> usize {
    line.iter().filter(|word| !word.is_empty()).count()
}

/// The next larger number of buckets that wastes no memory of its size class.
pub(super) fn next_size(buckets: usize) -> usize {
    size_class((buckets + 1) * LINE) / LINE
}

/// The first bit of the hash that fingerprints at this depth hold.
#[inline]
fn window(depth: u32) -> u32 {
    depth & !3
}

impl Segment {
    /// A segment without entries.
    pub(super) fn allocate(depth: u32, buckets: usize) -> Self {
        assert!(buckets <= usize::from(u16::MAX), "more than 500,000 keys whose hashes agree");
        let address = allocate_zeroed(buckets * LINE, LINE).as_ptr().expose_provenance() as u64;
        assert!(address & !ADDRESS_MASK == 0, "segment outside the 48-bit address space");
        Segment((buckets as u64) << BUCKETS_SHIFT | address | u64::from(depth))
    }

    /// Frees the segment, not its entries.
    ///
    /// # Safety
    /// Nobody uses the segment again.
    pub(super) unsafe fn free(self) {
        // SAFETY: the caller's promise; this is what `allocate` allocated.
        unsafe {
            let memory = NonNull::new_unchecked(self.line(0).cast::<u8>());
            release(memory, self.memory_bytes(), LINE);
        }
    }

    /// How many leading bits of the hash all entries share.
    #[inline]
    pub(super) fn depth(self) -> u32 {
        (self.0 & DEPTH_MASK) as u32
    }

    /// Number of buckets.
    #[inline]
    pub(super) fn buckets(self) -> usize {
        (self.0 >> BUCKETS_SHIFT) as usize
    }

    /// Bytes of the segment itself.
    pub(super) fn memory_bytes(self) -> usize {
        self.buckets() * LINE
    }

    #[inline]
    fn line(self, bucket: usize) -> *mut Line {
        debug_assert!(bucket < self.buckets());
        let first = ptr::with_exposed_provenance_mut::<Line>((self.0 & ADDRESS_MASK) as usize);
        // SAFETY: the bucket is inside the segment's allocation.
        unsafe { first.add(bucket) }
    }

    /// The words of a bucket.
    #[inline]
    pub(super) fn words(self, bucket: usize) -> Line {
        // SAFETY: a bucket of a live segment; all of its words are initialised.
        unsafe { self.line(bucket).read() }
    }

    #[inline]
    fn write(self, spot: Spot, word: Word) {
        // SAFETY: a word of a live segment; nobody holds a reference into segments.
        unsafe { self.line(spot.bucket).cast::<Word>().add(spot.slot).write(word) };
    }

    /// The word at a spot.
    #[inline]
    pub(super) fn word(self, spot: Spot) -> Word {
        self.words(spot.bucket)[spot.slot]
    }

    /// The entry at a spot that `find` gave.
    #[inline]
    pub(super) fn entry(self, spot: Spot) -> EntryPtr {
        // SAFETY: spots that were found hold an entry; it lives while its word is here.
        unsafe { self.word(spot).entry() }
    }

    /// The entry at this spot has moved to another address.
    #[inline]
    pub(super) fn relocate(self, spot: Spot, entry: EntryPtr) {
        let word = self.word(spot);
        self.write(spot, word.with_entry(entry));
    }

    /// The word at this spot gets another stamp.
    #[inline]
    pub(super) fn stamp(self, spot: Spot, stamp: u8) {
        self.write(spot, self.word(spot).with_stamp(stamp));
    }

    /// The word at this spot gets another mark.
    #[inline]
    pub(super) fn mark(self, spot: Spot, mark: u8) {
        self.write(spot, self.word(spot).with_mark(mark));
    }

    /// Stamp and mark of the word at this spot become others.
    #[inline]
    pub(super) fn pass(self, spot: Spot, stamp: u8, mark: u8) {
        self.write(spot, self.word(spot).with_stamp(stamp).with_mark(mark));
    }

    /// Every word gets this stamp.
    pub(super) fn stamp_all(self, stamp: u8) {
        for bucket in 0..self.buckets() {
            for slot in 0..used(&self.words(bucket)) {
                self.stamp(Spot { bucket, slot }, stamp);
            }
        }
    }

    /// The 16 bits of the hash that words of this segment hold.
    #[inline]
    pub(super) fn fingerprint(self, hash: u64) -> u16 {
        (hash << window(self.depth()) >> 48) as u16
    }

    /// The home bucket of the entries with this fingerprint.
    #[inline]
    pub(super) fn home(self, fingerprint: u16) -> usize {
        let shift = self.depth() - window(self.depth());
        let fraction = usize::from(fingerprint << shift >> (16 - HOME_BITS));
        (fraction * self.buckets()) >> HOME_BITS
    }

    /// The least fraction (the 13 bits that choose the home) whose home comes after `home`;
    /// 2^13, which no hash has, after the last one that can be a home.
    pub(super) fn fraction_behind(self, home: usize) -> u64 {
        (((home + 1) << HOME_BITS).div_ceil(self.buckets())) as u64
    }

    #[inline]
    fn after(self, bucket: usize) -> usize {
        if bucket + 1 == self.buckets() { 0 } else { bucket + 1 }
    }

    /// How many buckets lie from `from` to `to`, going forward.
    #[inline]
    fn distance(self, from: usize, to: usize) -> usize {
        if to >= from { to - from } else { to + self.buckets() - from }
    }

    /// Where the entry is that has this hash's fingerprint and satisfies `wanted`.
    #[inline]
    pub(super) fn find_where(
        self,
        hash: u64,
        mut wanted: impl FnMut(EntryPtr) -> bool,
    ) -> Option<Spot> {
        let fingerprint = self.fingerprint(hash);
        let mut bucket = self.home(fingerprint);
        for _ in 0..self.buckets() {
            let line = self.words(bucket);
            let mut hits = matches(&line, fingerprint);
            while hits != 0 {
                let slot = hits.trailing_zeros() as usize;
                hits &= hits - 1;
                // SAFETY: the word is not empty, its entry lives.
                if !line[slot].is_empty() && wanted(unsafe { line[slot].entry() }) {
                    return Some(Spot { bucket, slot });
                }
            }
            if line[BUCKET - 1].is_empty() {
                return None;
            }
            bucket = self.after(bucket);
        }
        None
    }

    /// Where the key's entry is.
    #[inline]
    pub(super) fn find(self, key: Key<'_>) -> Option<Spot> {
        self.find_where(key.hash, |entry| entry.key() == key.bytes)
    }

    /// Address of the home bucket, and of the first entry in it with this fingerprint.
    #[inline]
    pub(super) fn addresses(self, hash: u64) -> (*const u8, impl FnOnce() -> Option<u64>) {
        let fingerprint = self.fingerprint(hash);
        let home = self.home(fingerprint);
        (self.line(home).cast::<u8>(), move || {
            let line = self.words(home);
            let hits = matches(&line, fingerprint);
            (hits != 0).then(|| line[hits.trailing_zeros() as usize].address())
        })
    }

    /// Puts a word in its home bucket or the one behind it; false when both are full.
    #[inline]
    pub(super) fn insert_near(self, word: Word) -> bool {
        self.insert_within(word, 2)
    }

    /// Puts a word where it belongs. The segment must have a free word.
    pub(super) fn insert(self, word: Word) {
        let done = self.insert_within(word, self.buckets());
        assert!(done, "a segment is never filled beyond its size");
    }

    #[inline]
    fn insert_within(self, word: Word, buckets: usize) -> bool {
        let mut bucket = self.home(word.fingerprint());
        for _ in 0..buckets.min(self.buckets()) {
            let line = self.words(bucket);
            if line[BUCKET - 1].is_empty() {
                self.write(Spot { bucket, slot: used(&line) }, word);
                return true;
            }
            bucket = self.after(bucket);
        }
        false
    }

    /// Takes a word out; returns how many words the bucket still has that lost one in the end.
    ///
    /// A bucket that was full may have let entries spill; one of those takes the free place, and
    /// so on, until a bucket loses a word that had spilled none (invariant 2).
    pub(super) fn remove(self, spot: Spot) -> usize {
        let mut hole = spot;
        loop {
            let line = self.words(hole.bucket);
            let last = used(&line) - 1;
            let was_full = last == BUCKET - 1;
            self.write(hole, line[last]);
            let end = Spot { bucket: hole.bucket, slot: last };
            self.write(end, Word::EMPTY);
            let Some(spilled) = was_full.then(|| self.spilled_past(hole.bucket)).flatten() else {
                return last;
            };
            self.write(end, self.word(spilled));
            hole = spilled;
        }
    }

    /// An entry in a later bucket that had to go past `bucket`.
    fn spilled_past(self, bucket: usize) -> Option<Spot> {
        let mut at = self.after(bucket);
        while at != bucket {
            let line = self.words(at);
            let far = self.distance(bucket, at);
            for (slot, word) in line.iter().take(used(&line)).enumerate() {
                if self.distance(self.home(word.fingerprint()), at) >= far {
                    return Some(Spot { bucket: at, slot });
                }
            }
            if line[BUCKET - 1].is_empty() {
                return None;
            }
            at = self.after(at);
        }
        None
    }

    /// Calls `emit` for each entry whose home is `home`.
    pub(super) fn for_home(self, home: usize, emit: &mut dyn FnMut(EntryPtr)) {
        let mut bucket = home;
        for _ in 0..self.buckets() {
            let line = self.words(bucket);
            for word in line.iter().take(used(&line)) {
                if self.home(word.fingerprint()) == home {
                    // SAFETY: the word is not empty, its entry lives.
                    emit(unsafe { word.entry() });
                }
            }
            if line[BUCKET - 1].is_empty() {
                break;
            }
            bucket = self.after(bucket);
        }
    }

    /// Calls `see` for each entry whose home is `home`, until it says false; whether it never did.
    pub(super) fn spots_of_home(
        self,
        home: usize,
        see: &mut dyn FnMut(Spot, Word) -> bool,
    ) -> bool {
        let mut bucket = home;
        for _ in 0..self.buckets() {
            let line = self.words(bucket);
            for (slot, word) in line.iter().take(used(&line)).enumerate() {
                let is_here = self.home(word.fingerprint()) == home;
                if is_here && !see(Spot { bucket, slot }, *word) {
                    return false;
                }
            }
            if line[BUCKET - 1].is_empty() {
                break;
            }
            bucket = self.after(bucket);
        }
        true
    }

    /// All words that are not empty, bucket by bucket.
    pub(super) fn all(self) -> impl Iterator<Item = Word> {
        (0..self.buckets())
            .flat_map(move |bucket| self.words(bucket))
            .filter(|word| !word.is_empty())
    }

    /// Number of entries.
    pub(super) fn count(self) -> usize {
        (0..self.buckets()).map(|bucket| used(&self.words(bucket))).sum()
    }

    /// How many entries have a one as the first bit of the hash that they need not share.
    pub(super) fn count_upper(self) -> usize {
        self.all().filter(|word| self.upper(*word)).count()
    }

    /// The first bit of the hash that the entries need not share.
    #[inline]
    pub(super) fn upper(self, word: Word) -> bool {
        let bit = 15 - (self.depth() - window(self.depth()));
        word.fingerprint() >> bit & 1 == 1
    }

    /// A word of this segment as a segment of depth `depth` holds it.
    #[inline]
    pub(super) fn translate(self, word: Word, depth: u32, hasher: &KeyHasher) -> Word {
        if window(depth) == window(self.depth()) {
            return word;
        }
        // SAFETY: words of the segment that are not empty have a live entry.
        let hash = hasher.hash(unsafe { word.entry() }.key());
        word.with_fingerprint((hash << window(depth) >> 48) as u16)
    }

    /// Panics when an invariant of the segment does not hold; `prefix` is the hash prefix its
    /// entries must have, in the low `depth` bits.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn check(self, prefix: u64, hasher: &KeyHasher) {
        for bucket in 0..self.buckets() {
            let line = self.words(bucket);
            let used = used(&line);
            assert!(line.iter().take(used).all(|w| !w.is_empty()), "words are packed");
            for word in line.iter().take(used) {
                // SAFETY: the word is not empty, its entry lives.
                let hash = hasher.hash(unsafe { word.entry() }.key());
                assert_eq!(word.fingerprint(), self.fingerprint(hash), "fingerprint");
                assert_eq!((hash >> 1) >> (63 - self.depth()), prefix, "hash prefix");
                let mut at = self.home(word.fingerprint());
                while at != bucket {
                    assert!(!self.words(at)[BUCKET - 1].is_empty(), "spilled past free words");
                    at = self.after(at);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_buckets_are_intervals_of_the_hash_in_order() {
        for depth in [0, 1, 2, 3, 4, 7, 31, 32] {
            for buckets in [1, 2, 3, 5, 7, 8, 10, 12, 14, 16, 20, 64, 9_000] {
                let segment = Segment::allocate(depth, buckets);
                let home = |fraction: u64| {
                    let hash = fraction << (64 - HOME_BITS) >> depth;
                    segment.home(segment.fingerprint(hash))
                };
                for fraction in 0..1u64 << HOME_BITS {
                    let here = home(fraction);
                    assert!(here < buckets);
                    let behind = segment.fraction_behind(here);
                    assert!(behind > fraction);
                    assert_eq!(home(behind - 1), here, "the last of its interval");
                    assert!(behind == 1 << HOME_BITS || home(behind) > here, "not beyond it");
                }
                // SAFETY: nobody else knows the segment.
                unsafe { segment.free() };
            }
        }
    }
}
