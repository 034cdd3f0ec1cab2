//! Which keys have changed since the base, noted where they change: `keyspace/changes.rs` says how.

use super::{Database, Place};

impl Database {
    /// The entry at a place changes: its word says so. Whoever walks has been given it before.
    #[inline]
    pub(super) fn mark(&mut self, place: Place) {
        if place.segment.word(place.spot).mark() != self.marks.now {
            self.mark_first(place);
        }
    }

    #[inline(never)]
    fn mark_first(&mut self, place: Place) {
        let was = place.segment.word(place.spot).mark();
        self.gone.changed += usize::from(!self.marks.is_live(was));
        self.gone.changed_now += 1;
        place.segment.mark(place.spot, self.marks.now);
        // ORDER: with the mark: an entry from before this era must leave its name when it goes.
        place.entry().set_grown();
    }

    /// The entry at a place goes.
    #[inline]
    pub(super) fn note_gone(&mut self, place: Place) {
        let (mark, entry) = (place.segment.word(place.spot).mark(), place.entry());
        let (is_live, is_now) = (self.marks.is_live(mark), mark == self.marks.now);
        self.gone.changed = self.gone.changed.saturating_sub(usize::from(is_live));
        self.gone.changed_now = self.gone.changed_now.saturating_sub(usize::from(is_now));
        if !(self.gone.is_deaf() || is_now && entry.is_born()) {
            self.gone.push(entry.key());
        }
    }
}
