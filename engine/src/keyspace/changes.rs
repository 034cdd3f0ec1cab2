//! What has changed since the base: a mark in the word of each key that is there, names of those
//! that are gone.
//!
//! **Marks.** There are four. 0 says nothing; of the others, some are *live*: they mean "changed since
//! the base in force", and one of these is *now*'s, which every change and every insertion writes.
//! The cut of a base begins an era: `now` becomes another mark. Until the base is in force both mean
//! "changed" ([`Marks::live`]), so a base that fails loses nothing; when it is in force only the new one
//! does. Nobody writes all words for that: the walk of a base passes every word anyway and turns
//! marks that mean nothing (*stale*) to 0 and all live ones to the last era's ([`Sieve`]). Hence
//!
//! 1. a key that has changed since the base in force has a live mark;
//! 2. when a base is in force, words have only three marks: 0, its era's, and a stale one, so that a
//!    third is free for the next era. Where walks were given up there may be none: then a live one is
//!    taken for the new era, never a stale one. Words that have it already count as changed then;
//!    a walk that comes to its end has corrected them (it passes what has not changed, and what
//!    changes is passed first).
//!
//! **Names.** A key that is taken out leaves its name, unless it came in the same era (its entry says
//! [`EntryPtr::is_born`](super::entry::EntryPtr::is_born), which the first change in a later era takes
//! back): then the base cannot have it. So each key of the base leaves one name at most per era,
//! and keys that come and go leave none.
//! Names are bounded by [`NAMES_BYTES_MAX`]; beyond, or after FLUSHDB or SWAPDB, nobody knows what is
//! gone ([`Gone::is_known`]), and only a base helps.
//!
//! Knows neither files nor when a base is in force: it is told.

use super::Keyspace;
use std::{mem, sync::Arc};

/// Bytes of names that a database of a shard keeps at most; tests keep few.
const NAMES_BYTES_MAX: usize = if cfg!(test) { 4096 } else { 16 << 20 };
/// Bytes of names that are kept in one piece.
const PIECE_BYTES: usize = if cfg!(test) { 128 } else { 16 * 1024 };
/// Marks there are, 0 included.
const MARKS: u8 = 4;

/// What marks mean at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks {
    /// What changes get; never 0.
    pub(super) now: u8,
    /// A bit for each mark that means "changed since the base in force".
    pub(super) live: u8,
    /// A bit for each other one that words may have.
    stale: u8,
    /// What it was before the cut of the base that is being written.
    before: Option<u8>,
}

impl Default for Marks {
    fn default() -> Self {
        Self { now: 1, live: 1 << 1, stale: 0, before: None }
    }
}

impl Marks {
    /// True when this mark says that a key has changed since the base in force.
    #[inline]
    pub(super) fn is_live(self, mark: u8) -> bool {
        self.live >> mark & 1 == 1
    }

    /// The cut of a base; what its walk does to marks.
    pub(super) fn begin_era(&mut self) -> Sieve {
        let keep = self.now;
        let taken = |mark: &u8, by: u8| by >> mark & 1 == 1;
        let mut others = (1..MARKS).filter(|mark| *mark != keep);
        let free = others.clone().find(|mark| !taken(mark, self.live | self.stale));
        // Three marks, of which one is free or two are live.
        let next = free.or_else(|| others.find(|mark| taken(mark, self.live))).unwrap_or(keep);
        let mut becomes = [0; MARKS as usize];
        for mark in 1..MARKS {
            if self.is_live(mark) {
                becomes[usize::from(mark)] = keep;
            }
        }
        self.live |= 1 << next;
        (self.now, self.before) = (next, Some(keep));
        Sieve { wanted: u8::MAX, becomes }
    }

    /// The walk of that base has passed every word.
    pub(super) fn passed(&mut self) {
        if let Some(keep) = self.before {
            self.live = 1 << keep | 1 << self.now;
            self.stale = 0;
        }
    }

    /// That base is in force.
    pub(super) fn rebase(&mut self) {
        self.stale |= self.live & !(1 << self.now);
        self.live = 1 << self.now;
        self.before = None;
    }

    /// It never will be.
    pub(super) fn forget_era(&mut self) {
        self.before = None;
    }

    /// A base is being written.
    pub(super) fn is_pending(self) -> bool {
        self.before.is_some()
    }

    /// What a walk over changed keys wants.
    pub(super) fn changed(self) -> Sieve {
        Sieve { wanted: self.live, ..Sieve::ALL }
    }
}

/// What a walk does with words by their marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sieve {
    /// A bit for each mark whose entries are given out.
    wanted: u8,
    /// What marks become.
    becomes: [u8; MARKS as usize],
}

impl Sieve {
    /// Everything, as it is.
    pub(super) const ALL: Sieve = Sieve { wanted: u8::MAX, becomes: [0, 1, 2, 3] };

    #[inline]
    pub(super) fn wants(&self, mark: u8) -> bool {
        self.wanted >> mark & 1 == 1
    }

    #[inline]
    pub(super) fn becomes(&self, mark: u8) -> u8 {
        self.becomes[usize::from(mark & (MARKS - 1))]
    }
}

/// Names of keys that are gone: each behind its length. Pieces are never changed once shared.
pub type Names = Arc<Vec<u8>>;

/// The names in a piece.
pub fn names(piece: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = piece;
    std::iter::from_fn(move || {
        let (len, behind) = rest.split_first_chunk::<4>()?;
        let (name, behind) = behind.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        rest = behind;
        Some(name)
    })
}

/// Names of one era.
#[derive(Debug, Default)]
struct Era {
    pieces: Vec<Names>,
    last: Vec<u8>,
    bytes: usize,
}

impl Era {
    fn push(&mut self, name: &[u8]) {
        if self.last.len() + name.len() + 4 > PIECE_BYTES {
            self.close();
        }
        self.last.extend((name.len() as u32).to_le_bytes());
        self.last.extend_from_slice(name);
        self.bytes += name.len() + 4;
    }

    fn close(&mut self) {
        if !self.last.is_empty() {
            self.pieces.push(Arc::new(mem::take(&mut self.last)));
        }
    }

    fn add(&mut self, mut later: Era) {
        self.close();
        self.bytes += later.bytes;
        self.pieces.append(&mut later.pieces);
        self.last = later.last;
    }
}

/// What is gone from one database, and how many of its words have a live mark.
#[derive(Debug, Default)]
pub(super) struct Gone {
    /// Since the base in force, up to the cut of the one that is being written, if one is; None:
    /// nobody knows.
    base: Option<Era>,
    /// Since the cut of the one that is being written; None as well.
    cut: Option<Era>,
    is_pending: bool,
    /// Words whose mark is live; about, after walks were given up.
    pub(super) changed: usize,
    /// Words whose mark is now's; about, as well.
    pub(super) changed_now: usize,
}

impl Gone {
    /// True when the names are all there are.
    pub(super) fn is_known(&self) -> bool {
        self.base.is_some() && (!self.is_pending || self.cut.is_some())
    }

    /// Bytes of names.
    pub(super) fn bytes(&self) -> usize {
        let bytes = |era: &Option<Era>| era.as_ref().map_or(0, |era| era.bytes);
        bytes(&self.base) + bytes(&self.cut)
    }

    /// True when nobody wants names.
    #[inline]
    pub(super) fn is_deaf(&self) -> bool {
        if self.is_pending { self.cut.is_none() } else { self.base.is_none() }
    }

    /// A key is gone that the base may have.
    pub(super) fn push(&mut self, name: &[u8]) {
        let bytes = self.bytes();
        let era = if self.is_pending { &mut self.cut } else { &mut self.base };
        let Some(open) = era else { return };
        if bytes + name.len() < NAMES_BYTES_MAX {
            open.push(name);
        } else if self.is_pending && open.bytes + name.len() < NAMES_BYTES_MAX {
            // Better the base that is being written than the one before.
            open.push(name);
            self.base = None;
        } else {
            *era = None;
        }
    }

    /// The database was emptied or has another number now.
    pub(super) fn lose(&mut self) {
        (self.base, self.cut) = (None, None);
    }

    /// An empty database's in the place of this one.
    pub(super) fn successor(&self) -> Self {
        Self { is_pending: self.is_pending, ..Self::default() }
    }

    pub(super) fn begin_era(&mut self) {
        self.changed_now = 0;
        (self.cut, self.is_pending) = (Some(Era::default()), true);
    }

    pub(super) fn rebase(&mut self) {
        self.base = self.cut.take();
        self.is_pending = false;
        self.changed = self.changed_now;
    }

    pub(super) fn forget_era(&mut self) {
        if !mem::take(&mut self.is_pending) {
            return;
        }
        match (&mut self.base, self.cut.take()) {
            (Some(base), Some(cut)) => base.add(cut),
            _ => self.base = None,
        }
    }

    /// All names, in pieces.
    pub(super) fn names(&mut self) -> Vec<Names> {
        let eras = [&mut self.base, &mut self.cut].into_iter().flatten();
        eras.flat_map(|era| {
            era.close();
            era.pieces.clone()
        })
        .collect()
    }
}

impl Keyspace {
    /// The cut of a base.
    pub(super) fn begin_era(&mut self) -> Sieve {
        self.base_failed();
        let sieve = self.marks.begin_era();
        self.tell_marks(Gone::begin_era);
        sieve
    }

    /// The walk of a base has passed everything.
    pub(super) fn all_passed(&mut self) {
        self.marks.passed();
        self.tell_marks(|_| {});
    }

    /// The base of the last [`begin_walk`](Keyspace::begin_walk) is in force: only what has changed
    /// since its cut has changed. Nothing is done when there is none or it has failed.
    pub fn base_in_force(&mut self) {
        if self.marks.is_pending() {
            self.marks.rebase();
            self.tell_marks(Gone::rebase);
        }
    }

    /// That base never will be in force. As [`Keyspace::base_in_force`], nothing else is done.
    pub fn base_failed(&mut self) {
        if self.marks.is_pending() {
            self.marks.forget_era();
            self.tell_marks(Gone::forget_era);
        }
    }

    /// All keys there are have been loaded, and what they were loaded from is the base in force.
    pub fn is_base(&mut self) {
        self.marks.begin_era();
        self.tell_marks(Gone::begin_era);
        self.base_in_force();
    }

    /// Nobody knows any more what is gone: only a base helps.
    pub fn lose_changes(&mut self) {
        self.tell_marks(Gone::lose);
    }

    fn tell_marks(&mut self, tell: impl Fn(&mut Gone)) {
        for database in &mut self.databases {
            database.marks = self.marks;
            tell(&mut database.gone);
        }
    }

    /// What has changed since the base in force; None: nobody knows all of it.
    pub fn changes(&self) -> Option<Changes> {
        let mut all = Changes::default();
        for database in &self.databases {
            if !database.gone.is_known() {
                return None;
            }
            all.keys += database.gone.changed;
            all.names_bytes += database.gone.bytes();
        }
        Some(all)
    }

    /// Names of keys that the base may have and that have been taken out since, with their database;
    /// some may be there again.
    pub fn gone(&mut self) -> Vec<(usize, Names)> {
        let databases = self.databases.iter_mut().enumerate();
        databases
            .flat_map(|(db, database)| {
                database.gone.names().into_iter().map(move |names| (db, names))
            })
            .collect()
    }
}

/// How much has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Changes {
    /// Keys that are there.
    pub keys: usize,
    /// Bytes of the names of those that are gone.
    pub names_bytes: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bases(marks: &mut Marks, count: usize) {
        for _ in 0..count {
            marks.begin_era();
            marks.passed();
            marks.rebase();
        }
    }

    #[test]
    fn an_era_has_a_mark_of_its_own_unless_walks_were_given_up() {
        let mut marks = Marks::default();
        for _ in 0..7 {
            let before = marks;
            let sieve = marks.begin_era();
            assert!(!before.is_live(marks.now), "no word has it");
            assert_eq!(sieve.becomes(before.now), before.now);
            assert_eq!(before.stale >> marks.now & 1, 0, "no word has it");
            marks.passed();
            marks.rebase();
            assert_eq!((marks.live, marks.stale), (1 << marks.now, 1 << before.now));
        }
    }

    #[test]
    fn a_mark_that_means_nothing_is_never_taken_while_words_may_have_it() {
        let mut marks = Marks::default();
        bases(&mut marks, 2);
        let stale = marks.stale;
        for _ in 0..9 {
            let before = marks;
            let sieve = marks.begin_era();
            assert_eq!(stale >> marks.now & 1, 0);
            assert_ne!(marks.now, before.now);
            for mark in 0..MARKS {
                let expected = if before.is_live(mark) { before.now } else { 0 };
                assert_eq!(sieve.becomes(mark), expected);
            }
            marks.forget_era();
            assert_eq!(marks.stale, stale);
            assert_eq!(marks.live & before.live, before.live, "nothing is lost");
        }
        bases(&mut marks, 1);
        assert_eq!(marks.live.count_ones(), 1);
    }

    fn listed(gone: &mut Gone) -> Vec<String> {
        let pieces = gone.names();
        let all = pieces.iter().flat_map(|piece| names(piece));
        all.map(|name| String::from_utf8_lossy(name).into_owned()).collect()
    }

    #[test]
    fn names_of_a_base_that_failed_are_kept_and_those_before_one_in_force_are_not() {
        let mut gone = Gone::default();
        gone.push(b"nobody asks");
        assert!(!gone.is_known());
        gone.begin_era();
        gone.rebase();
        gone.push(b"a");
        gone.begin_era();
        gone.push(b"b");
        assert_eq!(listed(&mut gone), ["a", "b"]);
        gone.forget_era();
        gone.push(b"c");
        assert_eq!(listed(&mut gone), ["a", "b", "c"]);
        gone.begin_era();
        gone.push(b"d");
        gone.rebase();
        gone.push(b"");
        assert_eq!(listed(&mut gone), ["d", ""]);
        assert!(gone.is_known());
    }

    #[test]
    fn too_many_names_are_none_and_the_next_base_helps() {
        let mut gone = Gone::default();
        gone.begin_era();
        gone.rebase();
        let long = [b'x'; 1000];
        (0..3).for_each(|_| gone.push(&long));
        assert!(gone.is_known());
        gone.begin_era();
        (0..3).for_each(|_| gone.push(&long));
        assert!(!gone.is_known(), "of the old base");
        gone.rebase();
        assert!(gone.is_known());
        (0..3).for_each(|_| gone.push(&long));
        assert!(!gone.is_known());
        assert_eq!(gone.bytes(), 0);
        gone.begin_era();
        gone.rebase();
        assert!(gone.is_known());
    }
}
