//! The table of one slot group: an extendible hash table of segments.
//!
//! The directory has `2^depth` words, chosen by the first `depth` bits of the hash; a segment
//! whose own depth is `d` fills `2^(depth - d)` consecutive words. Nothing is allocated before
//! the first key and nothing is left after the last one.
//!
//! * Growth: a segment that is full enough gets a quarter more buckets, up to 16; then it splits
//!   in two, and only when it is as deep as the directory does that double (a copy of words).
//!   The directory stays within 16 words per segment; where it may not grow, segments do.
//! * Shrinking: a segment that has become sparse merges with its sibling or loses buckets; a
//!   directory that nobody needs at its depth halves.
//! * One operation moves the entries of one segment (or of two that merge), never more.
//!
//! How full is full enough differs from group to group, so that they do not all grow at once.

use super::{
    entry::EntryPtr,
    key::{Key, KeyHasher},
    segment::{BUCKET, BUCKETS_MAX, DEPTH_MAX, Segment, Spot, next_size},
    word::Word,
};

/// Fill at which the first and the last group grow, in 256ths.
const FILL_LEAST: usize = 212;
const FILL_SPREAD: usize = 28;
/// Directory words there may be for each segment.
const DIRECTORY_SPAN_MAX: usize = 16;
/// Siblings merge when together they have at most this many entries: half of what makes one split.
const MERGE_MAX: usize = BUCKETS_MAX * BUCKET / 2;
/// A bucket left with so few words is the occasion to ask whether the segment is sparse.
const SPARSE_BUCKET: usize = 1;

/// The table of one slot group.
pub(super) struct Group {
    directory: Box<[Segment]>,
    /// `log2` of the directory's length.
    depth: u32,
    /// Segments as deep as the directory.
    deepest: u32,
    segments: u32,
    /// No segment has ever had more buckets.
    widest: u32,
    /// Entries inserted now get this stamp.
    stamp: u8,
    /// How often the stamp has moved on since all words had the same (`walk.rs`).
    behind: u8,
    /// Fill at which segments grow, in 256ths.
    fill: u8,
    keys: usize,
    /// Bytes of the segments.
    segment_bytes: usize,
}

/// Where an entry is; good until the group changes.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) segment: Segment,
    pub(super) spot: Spot,
}

impl Place {
    /// The entry there.
    #[inline]
    pub(super) fn entry(self) -> EntryPtr {
        self.segment.entry(self.spot)
    }
}

impl Group {
    /// An empty table; `index` staggers the fill.
    pub(super) fn new(index: usize) -> Self {
        // Consecutive groups differ much: multiples of the golden ratio.
        let spread = (index * 158) % 256 * FILL_SPREAD / 256;
        Self {
            directory: Box::default(),
            depth: 0,
            deepest: 0,
            segments: 0,
            widest: 0,
            stamp: 0,
            behind: 0,
            fill: (FILL_LEAST + spread) as u8,
            keys: 0,
            segment_bytes: 0,
        }
    }

    /// Number of entries.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.keys
    }

    /// Bytes of directory and segments.
    #[inline]
    pub(super) fn memory_bytes(&self) -> usize {
        self.segment_bytes + size_of_val(&*self.directory)
    }

    /// Bytes of the segments alone.
    #[cfg(test)]
    pub(super) fn segment_bytes(&self) -> usize {
        self.segment_bytes
    }

    /// The stamp of entries that a walk need not give out any more.
    #[inline]
    pub(super) fn stamp(&self) -> u8 {
        self.stamp
    }

    /// How often the stamp has moved on since all words had the same.
    pub(super) fn behind(&self) -> u8 {
        self.behind
    }

    /// Sets the stamp, and how far words may be behind it.
    pub(super) fn set_stamp(&mut self, stamp: u8, behind: u8) {
        (self.stamp, self.behind) = (stamp, behind);
    }

    /// Depth of the directory.
    pub(super) fn depth(&self) -> u32 {
        self.depth
    }

    /// No segment has more buckets.
    pub(super) fn widest(&self) -> usize {
        self.widest as usize
    }

    #[inline]
    fn index(&self, hash: u64) -> usize {
        ((hash >> 1) >> (63 - self.depth)) as usize
    }

    /// The segment for this hash; None when the group is empty.
    #[inline]
    pub(super) fn segment(&self, hash: u64) -> Option<Segment> {
        self.directory.get(self.index(hash)).copied()
    }

    /// Directory word `index`.
    pub(super) fn at(&self, index: usize) -> Option<Segment> {
        self.directory.get(index).copied()
    }

    /// Each segment once, in order of the hash, with the index of its first directory word.
    pub(super) fn segments(&self) -> impl Iterator<Item = (usize, Segment)> {
        let mut next = 0;
        std::iter::from_fn(move || {
            let index = next;
            let segment = *self.directory.get(index)?;
            next += self.span(segment);
            Some((index, segment))
        })
    }

    /// Where the key's entry is.
    #[inline]
    pub(super) fn find(&self, key: Key<'_>) -> Option<Place> {
        let segment = self.segment(key.hash)?;
        Some(Place { segment, spot: segment.find(key)? })
    }

    /// Where the entry is that has this hash's fingerprint and satisfies `wanted`.
    pub(super) fn find_where(
        &self,
        hash: u64,
        wanted: impl FnMut(EntryPtr) -> bool,
    ) -> Option<Place> {
        let segment = self.segment(hash)?;
        Some(Place { segment, spot: segment.find_where(hash, wanted)? })
    }

    /// Puts an entry in, its word with this mark. Its key must not be there yet.
    #[inline]
    pub(super) fn insert(&mut self, hash: u64, entry: EntryPtr, mark: u8, hasher: &KeyHasher) {
        self.keys += 1;
        if let Some(segment) = self.segment(hash)
            && segment.insert_near(Word::new(entry, segment.fingerprint(hash), mark, self.stamp))
        {
            return;
        }
        self.insert_crowded(hash, entry, mark, hasher);
    }

    /// Puts an entry in where two buckets in a row are full, or into an empty group.
    #[cold]
    fn insert_crowded(&mut self, hash: u64, entry: EntryPtr, mark: u8, hasher: &KeyHasher) {
        if self.directory.is_empty() {
            let first = self.new_segment(0, 1);
            self.directory = Box::new([first]);
            self.deepest = 1;
        }
        loop {
            let index = self.index(hash);
            let segment = self.directory[index];
            let word = Word::new(entry, segment.fingerprint(hash), mark, self.stamp);
            if segment.insert_near(word) {
                return;
            }
            let count = segment.count();
            if count < self.limit(segment.buckets()) {
                return segment.insert(word);
            }
            self.grow(index, count, hasher);
        }
    }

    /// Entries at which a segment of so many buckets grows; the last bucket only when all full.
    fn limit(&self, buckets: usize) -> usize {
        let words = buckets * BUCKET;
        if buckets == 1 { words } else { words * usize::from(self.fill) / 256 }
    }

    /// The smallest segment that takes `count` entries and some more.
    fn fitting(&self, count: usize) -> usize {
        let mut buckets = 1;
        while self.limit(buckets) <= count {
            buckets = next_size(buckets);
        }
        buckets
    }

    /// Directory words of a segment.
    #[inline]
    fn span(&self, segment: Segment) -> usize {
        1 << (self.depth - segment.depth())
    }

    /// First directory word of the segment that word `index` names.
    fn first_index(&self, index: usize) -> usize {
        index & !(self.span(self.directory[index]) - 1)
    }

    fn new_segment(&mut self, depth: u32, buckets: usize) -> Segment {
        let segment = Segment::allocate(depth, buckets);
        self.segments += 1;
        self.segment_bytes += segment.memory_bytes();
        self.widest = self.widest.max(buckets as u32);
        segment
    }

    /// Frees a segment whose words are all elsewhere by now.
    ///
    /// # Safety
    /// The directory does not name it any more.
    unsafe fn free_segment(&mut self, segment: Segment) {
        self.segments -= 1;
        self.segment_bytes -= segment.memory_bytes();
        // SAFETY: the caller's promise.
        unsafe { segment.free() };
    }

    fn grow(&mut self, index: usize, count: usize, hasher: &KeyHasher) {
        let segment = self.directory[index];
        if segment.buckets() < BUCKETS_MAX || !self.may_split(segment) {
            let buckets = next_size(segment.buckets()).max(self.fitting(count));
            self.resize(index, buckets);
        } else {
            self.split(index, count, hasher);
        }
    }

    fn may_split(&self, segment: Segment) -> bool {
        let room = self.directory.len() * 2 <= self.segments as usize * DIRECTORY_SPAN_MAX;
        segment.depth() < DEPTH_MAX && (segment.depth() < self.depth || room)
    }

    /// Gives a segment another number of buckets.
    fn resize(&mut self, index: usize, buckets: usize) {
        let old = self.directory[index];
        let (first, span) = (self.first_index(index), self.span(old));
        let new = self.new_segment(old.depth(), buckets);
        old.all().for_each(|word| new.insert(word));
        self.directory[first..first + span].fill(new);
        // SAFETY: all its words of the directory were overwritten.
        unsafe { self.free_segment(old) };
    }

    /// Replaces a segment by two that are one deeper.
    fn split(&mut self, index: usize, count: usize, hasher: &KeyHasher) {
        let old = self.directory[index];
        let mut first = self.first_index(index);
        if old.depth() == self.depth {
            self.double();
            first *= 2;
        }
        let half = self.span(old) / 2;
        let depth = old.depth() + 1;
        let upper_count = old.count_upper();
        let (lower_size, upper_size) =
            (self.fitting(count - upper_count), self.fitting(upper_count));
        let lower = self.new_segment(depth, lower_size);
        let upper = self.new_segment(depth, upper_size);
        for word in old.all() {
            let target = if old.upper(word) { upper } else { lower };
            target.insert(old.translate(word, depth, hasher));
        }
        self.directory[first..first + half].fill(lower);
        self.directory[first + half..first + 2 * half].fill(upper);
        if depth == self.depth {
            self.deepest += 2;
        }
        // SAFETY: all its words of the directory were overwritten.
        unsafe { self.free_segment(old) };
    }

    fn double(&mut self) {
        self.directory = self.directory.iter().flat_map(|&segment| [segment, segment]).collect();
        self.depth += 1;
        self.deepest = 0;
    }

    /// Takes an entry out of the table; the caller frees it.
    pub(super) fn remove(&mut self, hash: u64, place: Place, hasher: &KeyHasher) -> EntryPtr {
        let entry = place.entry();
        let left = place.segment.remove(place.spot);
        self.keys -= 1;
        if self.keys == 0 {
            self.free_table();
        } else if left <= SPARSE_BUCKET {
            self.shrink(self.index(hash), hasher);
        }
        entry
    }

    /// Merges a sparse segment with its sibling, or makes it smaller.
    #[cold]
    fn shrink(&mut self, index: usize, hasher: &KeyHasher) {
        let segment = self.directory[index];
        let count = segment.count();
        if segment.depth() > 0 {
            let span = self.span(segment);
            let sibling = self.directory[self.first_index(index) ^ span];
            if sibling.depth() == segment.depth() && count <= MERGE_MAX {
                let together = count + sibling.count();
                if together <= MERGE_MAX {
                    self.merge(index, together, hasher);
                    return;
                }
            }
        }
        if segment.buckets() > 1 && count * 2 < self.limit(segment.buckets()) {
            // A fifth more than there is, so that the next inserts do not undo it.
            let buckets = self.fitting(count + count / 5);
            if buckets < segment.buckets() {
                self.resize(index, buckets);
            }
        }
    }

    /// Replaces a segment and its sibling by one that is less deep.
    fn merge(&mut self, index: usize, together: usize, hasher: &KeyHasher) {
        let span = self.span(self.directory[index]);
        let first = index & !(2 * span - 1);
        let (lower, upper) = (self.directory[first], self.directory[first + span]);
        let depth = lower.depth() - 1;
        let merged = self.new_segment(depth, self.fitting(together + together / 5));
        for old in [lower, upper] {
            old.all().for_each(|word| merged.insert(old.translate(word, depth, hasher)));
        }
        self.directory[first..first + 2 * span].fill(merged);
        if lower.depth() == self.depth {
            self.deepest -= 2;
        }
        // SAFETY: all their words of the directory were overwritten.
        unsafe {
            self.free_segment(lower);
            self.free_segment(upper);
        }
        while self.deepest == 0 && self.depth > 0 {
            self.halve();
        }
    }

    /// Halves a directory none of whose segments needs its full depth.
    fn halve(&mut self) {
        self.directory = self.directory.iter().copied().step_by(2).collect();
        self.depth -= 1;
        let depth = self.depth;
        self.deepest = self.segments().filter(|(_, s)| s.depth() == depth).count() as u32;
    }

    /// Frees directory and segments of a group without entries.
    fn free_table(&mut self) {
        let old: Vec<Segment> = self.segments().map(|(_, segment)| segment).collect();
        self.directory = Box::default();
        for segment in old {
            // SAFETY: the directory is gone.
            unsafe { self.free_segment(segment) };
        }
        (self.depth, self.deepest, self.widest) = (0, 0, 0);
    }

    /// The table to be freed bit by bit.
    pub(super) fn into_remains(mut self) -> Remains {
        let directory = std::mem::take(&mut self.directory).into_vec();
        Remains { directory, depth: self.depth }
    }

    /// Every entry.
    pub(super) fn entries(&self) -> impl Iterator<Item = EntryPtr> {
        self.segments().flat_map(|(_, segment)| segment.all()).map(|word| {
            // SAFETY: the word is not empty, its entry lives.
            unsafe { word.entry() }
        })
    }

    /// Panics when an invariant of the table does not hold.
    #[cfg(any(test, debug_assertions))]
    pub(super) fn check(&self, hasher: &KeyHasher) {
        let (mut keys, mut bytes, mut count, mut deepest, mut end) = (0, 0, 0, 0, 0);
        for (index, segment) in self.segments() {
            assert_eq!(index, end, "segments follow each other");
            end = index + self.span(segment);
            assert!(segment.depth() <= self.depth);
            assert_eq!(index % self.span(segment), 0, "segments lie at multiples of their span");
            assert!(self.directory[index..end].iter().all(|s| *s == segment), "whole span");
            for word in segment.all() {
                let behind = self.stamp.wrapping_sub(word.stamp()) % super::word::STAMPS;
                assert!(behind <= self.behind, "stamps are those of the last cuts");
            }
            segment.check(index as u64 >> (self.depth - segment.depth()), hasher);
            keys += segment.count();
            bytes += segment.memory_bytes();
            count += 1;
            deepest += u32::from(segment.depth() == self.depth);
            assert!(segment.buckets() <= self.widest());
        }
        assert_eq!(end, self.directory.len());
        assert_eq!((keys, bytes, count), (self.keys, self.segment_bytes, self.segments));
        assert_eq!(deepest, self.deepest, "segments at the directory's depth");
        assert!(self.depth == 0 || deepest > 0, "the directory is as small as it can be");
        assert_eq!(self.keys == 0, self.directory.is_empty(), "empty groups hold no memory");
    }
}

/// A table that is freed segment by segment, from its end. Nothing is looked up in it any more.
pub(super) struct Remains {
    directory: Vec<Segment>,
    depth: u32,
}

impl Remains {
    /// True when nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.directory.is_empty()
    }

    /// Frees a segment with its entries, each of which `last_look` sees before; their number.
    pub(super) fn shed(&mut self, last_look: &mut dyn FnMut(EntryPtr)) -> usize {
        let Some(&segment) = self.directory.last() else { return 0 };
        let span = 1 << (self.depth - segment.depth());
        self.directory.truncate(self.directory.len() - span);
        let mut entries = 0;
        for word in segment.all() {
            entries += 1;
            // SAFETY: the word is not empty; nobody else has found the entry since the table was
            // taken apart, and its word is gone with the segment.
            unsafe {
                let entry = word.entry();
                last_look(entry);
                entry.free();
            }
        }
        // SAFETY: the directory has forgotten the segment.
        unsafe { segment.free() };
        entries
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        while !self.is_empty() {
            self.shed(&mut |_| {});
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for entry in self.entries() {
            // SAFETY: each entry is in the table once; the table is freed next.
            unsafe { entry.free() };
        }
        self.free_table();
    }
}
