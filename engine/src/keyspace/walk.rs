//! A walk: every key given out once, as it is at one moment, the cut, while commands go on.
//!
//! A word is **out** when its stamp equals its group's. The cut moves the stamps of all groups on;
//! then the walk visits home bucket after home bucket and gives out what is not out yet, and
//! whatever is about to change or remove an entry that is not out gives out that one entry first
//! ([`Copyist`]). Giving out makes the word out.
//!
//! **Every entry of the cut is given out exactly once, with key, value and deadline as they were.**
//! 1. At the cut no word is out (stamps, below).
//! 2. An entry that is not out is as it was at the cut: all changes and removals go through
//!    `Database::change`, `spare`, `detach` and `get_mut`, which give it out first.
//! 3. An entry put in after the cut is out: inserting writes the group's stamp. Words keep their
//!    stamp where they are moved: to other slots of a segment, to other segments (growing,
//!    splitting, merging), to another address of the entry.
//! 4. Hence what is given out belongs to the cut (2, 3), and is given out once: it is out then and
//!    never becomes anything else before the next cut.
//! 5. An entry of the cut that nobody changes is in the table when the walk comes by. The cursors
//!    of a walk rise from the first point to the last, and a step gives out every entry of the home
//!    bucket that contains the cursor before it moves behind that bucket; so each key's point is
//!    passed, and at that moment its entry is out. That home buckets are intervals of points
//!    whatever happens to the table in between is the argument of `cursor.rs`.
//!
//! When the walk has passed a group, all its words have its stamp.
//!
//! **Stamps.** There are 16, used in turn. `behind` is how often a group's stamp `s` has moved on
//! since all words had the same, so words have stamps among `s - behind ..= s`: a cut adds one to
//! both, inserting writes `s`, passing a group makes `behind` 0; a walk that is given up leaves it.
//! While `behind < 15` the next stamp is different from all of these, so (1) holds. Before it can
//! be 15 a cut writes one stamp into all words of the group first: that takes seven walks given up
//! in a row, and only an eighth of the groups are due at the same cut.
//!
//! **Databases.** A walk belongs to databases, not to their numbers: each keeps its number of the
//! cut, wherever SWAPDB moves it. FLUSHDB detaches the database from its number; the walk goes on
//! over it and hands it to the trash afterwards. Whoever flushes everything should give up the
//! walk first. Databases that had no key at the cut take no part.
//!
//! Access bits are not part of the cut. Knows neither time nor what becomes of entries.

use super::{
    Keyspace,
    cursor::{point_of, scan_group, scan_start},
    database::Database,
    group::{Group, Place},
    view::Entry,
    word::STAMPS,
};

/// Home buckets that one call of [`Keyspace::walk_on`] visits at most.
const BUCKETS_PER_STEP: usize = 512;

/// Takes entries that are about to change, before the walk comes to them.
pub trait Copyist: Send {
    /// An entry of this slot group.
    fn copy(&mut self, group: usize, entry: Entry<'_>);
    /// The walk has passed the database: nothing more comes.
    fn finish(self: Box<Self>);
}

/// What a database knows of the walk that is to pass it.
pub(super) struct Round {
    /// Its number at the cut.
    db: usize,
    /// All points before this one have been passed; a scan cursor.
    cursor: u64,
    copyist: Box<dyn Copyist>,
    copied: u64,
}

/// The walk that is under way, if any.
#[derive(Default)]
pub(super) struct Walk {
    /// Databases that are nobody's any more.
    detached: Vec<Database>,
    is_on: bool,
    /// Entries copied in databases that have been passed.
    copied: u64,
}

/// How a visit of a home bucket ended.
enum Visit {
    /// This is the first point behind it.
    Passed(u64),
    /// It was the group's last.
    End,
    /// Whoever takes the entries has enough.
    Stopped,
}

impl Group {
    /// The cut: no entry is out any more.
    fn cut(&mut self, index: usize) {
        let limit = STAMPS / 2 + (index % usize::from(STAMPS / 2)) as u8;
        let mut behind = if self.len() == 0 { 0 } else { self.behind() };
        if behind + 1 >= limit {
            self.segments().for_each(|(_, segment)| segment.stamp_all(self.stamp()));
            behind = 0;
        }
        self.set_stamp((self.stamp() + 1) % STAMPS, behind + 1);
    }

    /// Gives out what is not out of the home bucket that contains `point`.
    fn visit(&self, point: u64, emit: &mut dyn FnMut(Entry<'_>) -> bool) -> Visit {
        let Some((segment, home, behind)) = self.home_at(point) else { return Visit::End };
        let stamp = self.stamp();
        let passed = segment.spots_of_home(home, &mut |spot, word| {
            if word.stamp() == stamp {
                return true;
            }
            // SAFETY: the word is not empty, and nobody changes its entry during the call.
            let goes_on = emit(unsafe { Entry::new(word.entry()) });
            segment.stamp(spot, stamp);
            goes_on
        });
        match behind {
            _ if !passed => Visit::Stopped,
            Some(point) => Visit::Passed(point),
            None => Visit::End,
        }
    }
}

impl Database {
    /// The cut of a database that has keys.
    fn begin_round(&mut self, db: usize, copyist: Box<dyn Copyist>) {
        self.groups.iter_mut().enumerate().for_each(|(index, group)| group.cut(index));
        self.round = Some(Box::new(Round { db, cursor: 0, copyist, copied: 0 }));
    }

    /// The database's number at the cut, if the walk has not passed it.
    fn round_of(&self) -> Option<usize> {
        self.round.as_ref().map(|round| round.db)
    }

    /// Gives out the entry at a place if it is not out: it is about to change or to go.
    #[cold]
    #[inline(never)]
    pub(super) fn give_out(&mut self, group: usize, place: Place) {
        let (Some(round), stamp) = (self.round.as_mut(), self.groups[group].stamp()) else {
            return;
        };
        if place.segment.word(place.spot).stamp() != stamp {
            // SAFETY: the entry is in the table and does not change during the call.
            round.copyist.copy(group, unsafe { Entry::new(place.entry()) });
            round.copied += 1;
            place.segment.stamp(place.spot, stamp);
        }
    }

    /// Goes on until the end (then true), or until `emit` says false or the buckets are used up.
    fn walk_on(
        &mut self,
        buckets: &mut usize,
        emit: &mut dyn FnMut(usize, usize, Entry<'_>) -> bool,
    ) -> bool {
        let Some(round) = self.round.as_mut() else { return true };
        let (mut group, mut point) = (scan_group(round.cursor), point_of(round.cursor));
        let mut goes_on = true;
        while let (true, Some(table)) = (goes_on && *buckets > 0, self.groups.get_mut(group)) {
            *buckets -= 1;
            let visit = table.visit(point, &mut |entry| {
                goes_on = emit(round.db, group, entry);
                goes_on
            });
            match visit {
                Visit::Stopped => {}
                Visit::Passed(behind) => point = behind,
                Visit::End => {
                    table.set_stamp(table.stamp(), 0);
                    (group, point) = (group + 1, 0);
                }
            }
        }
        round.cursor = scan_start(group) | point;
        group >= self.groups.len()
    }

    /// Ends the round; the entries that were copied.
    fn end_round(&mut self) -> u64 {
        let Some(round) = self.round.take() else { return 0 };
        round.copyist.finish();
        round.copied
    }
}

impl Keyspace {
    /// The cut: from now on, and until [`Keyspace::walk_on`] says that it has come to the end,
    /// every entry there is now is given out, either by that or to its database's copyist. A walk
    /// that is under way is given up.
    pub fn begin_walk(&mut self, mut copyist: impl FnMut(usize) -> Box<dyn Copyist>) {
        self.give_up_walk();
        for (db, database) in self.databases.iter_mut().enumerate() {
            if !database.is_empty() {
                database.begin_round(db, copyist(db));
            }
        }
        self.walk.is_on = true;
        self.walk.copied = 0;
    }

    /// True from the cut until the walk has come to its end or is given up.
    pub fn is_walking(&self) -> bool {
        self.walk.is_on
    }

    /// Gives out entries with the number that their database had at the cut and their slot group,
    /// until `emit` says false or the call has taken long enough. True when all are out; then all
    /// copyists have finished.
    pub fn walk_on(&mut self, emit: &mut dyn FnMut(usize, usize, Entry<'_>) -> bool) -> bool {
        let mut buckets = BUCKETS_PER_STEP;
        while self.walk.is_on {
            let numbered = |(at, database): (usize, &Database)| Some((database.round_of()?, at));
            let here = self.databases.iter().enumerate().filter_map(numbered).min();
            let gone = self.walk.detached.iter().enumerate().filter_map(numbered).min();
            let is_gone = here.is_none() || gone.is_some_and(|gone| Some(gone) < here);
            let Some((_, at)) = (if is_gone { gone } else { here }) else {
                self.walk.is_on = false;
                break;
            };
            let all = if is_gone { &mut self.walk.detached } else { &mut self.databases };
            if !all[at].walk_on(&mut buckets, emit) {
                return false;
            }
            self.walk.copied += all[at].end_round();
            if is_gone {
                let passed = self.walk.detached.swap_remove(at);
                self.discard(passed);
            }
        }
        true
    }

    /// Gives up the walk that is under way, if any.
    pub fn give_up_walk(&mut self) {
        self.walk.is_on = false;
        self.databases.iter_mut().for_each(|database| database.round = None);
        for mut database in std::mem::take(&mut self.walk.detached) {
            database.round = None;
            self.discard(database);
        }
    }

    /// Entries given to copyists since the last cut.
    pub fn copied_out(&self) -> u64 {
        let rounds = self.databases.iter().chain(&self.walk.detached);
        let copied = |database: &Database| database.round.as_ref().map(|round| round.copied);
        self.walk.copied + rounds.filter_map(copied).sum::<u64>()
    }

    /// Empties a database; the keys it had. With `lazily` its memory is freed later, by
    /// [`Keyspace::free_piece`]; so it is too when a walk has still to pass it.
    pub fn empty(&mut self, db: usize, lazily: bool) -> usize {
        let old = self.clear(db);
        let keys = old.len();
        if old.round.is_some() {
            self.walk.detached.push(old);
        } else if lazily {
            self.discard(old);
        }
        keys
    }
}
