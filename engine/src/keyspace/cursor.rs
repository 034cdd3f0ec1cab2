//! SCAN, RANDOMKEY and sampling: ways through a database that survive its changes.
//!
//! A cursor is a point: `group << 45 | first 45 bits of a hash`. It depends neither on the
//! number of shards nor on the shape of a table, and is below 2^53, so that clients which keep
//! cursors in doubles keep them right. 0 is the first point, and, returned, the end.
//!
//! **Every key that exists from the start of a full scan to its end is emitted at least once.**
//! Let P(key) be its point; it never changes. A step from cursor c takes the home bucket that
//! contains c under the table's present shape, emits every entry whose home it is, and returns a
//! cursor c' > c that is the first point behind that bucket. Home buckets are intervals of
//! points, in order and without gaps, because within a segment `home = f * buckets / 2^13` grows
//! with `f`, and segments are prefixes. So a step emits every key with c <= P(key) < c' that
//! exists at that moment: also entries that spilled into later buckets, for emission goes by
//! home, not by position. Growing, splitting, merging and shrinking between two steps only move
//! the borders: the next step's bucket may begin before c' (some keys are emitted again), never
//! behind it. The cursors of a full scan rise from 0 and end behind the last point, hence each
//! key's point lies in exactly one step's [c, c'), and that step emits it. Points of groups that
//! another shard owns, or that are empty, hold no key here and are skipped.

use super::{
    entry::EntryPtr,
    group::Group,
    segment::{BUCKET, DEPTH_MAX, HOME_BITS, Segment, Spot},
};

/// Bits of the hash in a cursor: no home bucket is finer.
const POINT_BITS: u32 = DEPTH_MAX + HOME_BITS;

/// The cursor at which the scan of a group begins.
pub fn scan_start(group: usize) -> u64 {
    (group as u64) << POINT_BITS
}

/// The group a cursor points into; not below 256 when the cursor is no cursor.
pub fn scan_group(cursor: u64) -> usize {
    (cursor >> POINT_BITS) as usize
}

/// The point inside its group.
pub(super) fn point_of(cursor: u64) -> u64 {
    cursor & ((1 << POINT_BITS) - 1)
}

impl Group {
    /// Emits the entries of the home bucket that contains `point`; the first point behind it,
    /// None at the end of the group.
    pub(super) fn scan_home(&self, point: u64, emit: &mut dyn FnMut(EntryPtr)) -> Option<u64> {
        let (segment, home, behind) = self.home_at(point)?;
        segment.for_home(home, emit);
        behind
    }

    /// The home bucket that contains `point`, and the first point behind it, None at the end of the
    /// group; None when the group is empty.
    #[inline]
    pub(super) fn home_at(&self, point: u64) -> Option<(Segment, usize, Option<u64>)> {
        let segment = self.segment(point << (64 - POINT_BITS))?;
        let unit = DEPTH_MAX - segment.depth();
        let home = segment.home(segment.fingerprint(point << (64 - POINT_BITS)));
        let segment_start = point >> (unit + HOME_BITS) << (unit + HOME_BITS);
        let behind = segment_start + (segment.fraction_behind(home) << unit);
        Some((segment, home, (behind >> POINT_BITS == 0).then_some(behind)))
    }

    /// An entry, each with the same probability; None when there is none.
    ///
    /// Every word that the table could have, were all segments as deep as the directory and as
    /// wide as the widest, is equally likely to be drawn; drawing goes on until there is an entry.
    pub(super) fn random(&self, random: &mut impl FnMut() -> u64) -> Option<EntryPtr> {
        if self.len() == 0 {
            return None;
        }
        loop {
            let bits = random();
            let index = (bits >> 32 & ((1 << self.depth()) - 1)) as usize;
            let segment = self.at(index)?;
            // Of the directory words of one segment only the first counts.
            if index & ((1 << (self.depth() - segment.depth())) - 1) != 0 {
                continue;
            }
            let bucket = (((bits & 0xFFFF_FFF8) * self.widest() as u64) >> 32) as usize;
            if bucket >= segment.buckets() {
                continue;
            }
            let spot = Spot { bucket, slot: bits as usize % BUCKET };
            let word = segment.word(spot);
            if !word.is_empty() {
                // SAFETY: the word is not empty, its entry lives.
                return Some(unsafe { word.entry() });
            }
        }
    }

    /// Emits up to `count` entries from a random bucket and those behind it. Neighbours have
    /// nothing in common but the beginning of a hash, so they are as good as any; entries of
    /// sparse segments are drawn somewhat more often than others.
    pub(super) fn sample(
        &self,
        random: &mut impl FnMut() -> u64,
        count: usize,
        emit: &mut dyn FnMut(EntryPtr),
    ) -> usize {
        let bits = random();
        let Some(segment) = self.segment(bits) else { return 0 };
        // The directory takes the top of the bits, the bucket and the slot their bottom.
        let start = (bits & 0xFFFF) as usize % segment.buckets();
        let turn = (bits >> 16) as usize % BUCKET;
        let mut emitted = 0;
        for step in 0..segment.buckets() {
            let line = segment.words((start + step) % segment.buckets());
            for slot in 0..BUCKET {
                let word = line[(slot + turn) % BUCKET];
                if emitted == count {
                    return emitted;
                }
                if !word.is_empty() {
                    emitted += 1;
                    // SAFETY: the word is not empty, its entry lives.
                    emit(unsafe { word.entry() });
                }
            }
        }
        emitted
    }
}
