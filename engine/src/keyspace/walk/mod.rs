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
//!    `Database::change`, `spare`, `take`, `get_mut` and `get_mut_used`, which give it out first.
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
//! **Stamps.** There are 4, used in turn. `behind` is how often a group's stamp `s` has moved on
//! since all words had the same, so words have stamps among `s - behind ..= s`: a cut adds one to
//! both, inserting writes `s`, passing a group makes `behind` 0; a walk that is given up leaves it.
//! While `behind < 3` the next stamp is different from all of these, so (1) holds. Before it can
//! be 3 at a cut, that cut writes one stamp into all words of the group first: that takes two walks
//! given up in a row for half of the groups, three for the others.
//!
//! **What has changed.** A walk may want only entries with certain marks (`changes.rs`): those it gives
//! out, the others it only passes. A mark is as it was at the cut while its word is not out (2), so
//! what is wanted is what had the mark at the cut.
//!
//! **Big values** whose elements are in a table (hashes, sets, sorted sets) are given out element by element ([`Elements`]),
//! so that nobody's work is more than an element's or a bucket's. Giving out such an entry is to
//! begin that: its number of elements is told, its table's stamps move on, and from now on the table
//! does for its elements what the database does for entries (`elements.rs`; the argument is the
//! same). The word is out, the value is *unfinished*: the walk comes back to it, and says that it is
//! at its end only when there is no unfinished value. One is found again wherever it goes:
//! * under its key, whose name the database keeps in a list;
//! * under another key or in another database, for RENAME and MOVE (`take`, then `put`): `put` notes
//!   the name;
//! * among the orphans of its database, when it is removed or overwritten: `spare` takes it out of
//!   the entry first. Orphans that are out go to the trash.
//!
//! Long lists are frozen when they are given out: their nodes are shared with a copy that the walk
//! keeps, and whoever changes one copies it. Such a copy knows nothing of keys any more.
//!
//! **Databases.** A walk belongs to databases, not to their numbers: each keeps its number of the
//! cut, wherever SWAPDB moves it. FLUSHDB detaches the database from its number; the walk goes on
//! over it and hands it to the trash afterwards. Whoever flushes everything should give up the
//! walk first.
//!
//! Access bits are not part of the cut. Knows neither time nor what becomes of entries.

mod elements;
mod round;

pub use elements::Elements;
pub(super) use elements::TableWalk;
pub(super) use round::Round;

use super::{
    Keyspace, changes::Sieve, database::Database, entry::EntryPtr, group::Group, view::Entry,
    word::STAMPS,
};

/// Home buckets that one call of [`Keyspace::walk_on`] visits at most.
const BUCKETS_PER_STEP: usize = 512;

/// Takes entries that are about to change, before the walk comes to them.
pub trait Copyist: Send {
    /// An entry of this slot group.
    fn copy(&mut self, group: usize, entry: Entry<'_>);
    /// The entry of a big value, of this slot group, whose elements follow, as many as it has now;
    /// who takes them. The walk has one begun too when it comes to it.
    fn begin(&mut self, group: usize, entry: Entry<'_>) -> Box<dyn Elements>;
    /// The walk is at its end: nothing more comes.
    fn finish(self: Box<Self>);
}

/// What the walk gives out itself.
pub enum Given<'a> {
    /// An entry, with the number that its database had at the cut and its slot group.
    Entry(usize, usize, Entry<'a>),
    /// The entry of a big value, which the copyist has begun.
    Begun,
    /// An element of a big value, given to whom the copyist named, of about so many bytes.
    Element(usize),
}

/// What a walk gives out, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scope {
    /// Everything, for a copy.
    #[default]
    All,
    /// Everything, for a base that changes are counted from.
    Base,
    /// What has changed since the base in force.
    Changes,
}

/// Whether the walk is to go on.
type Emit<'a> = dyn FnMut(Given<'_>) -> bool + 'a;

/// The walk that is under way, if any.
#[derive(Default)]
pub(super) struct Walk {
    /// Databases that are nobody's any more.
    detached: Vec<Database>,
    is_on: bool,
    scope: Scope,
    /// Entries copied in databases whose part in it has ended.
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
    /// The cut: no entry is out any more. Groups whose `index` differs do not write all their words
    /// at the same cut.
    fn cut(&mut self, index: usize) {
        let limit = STAMPS - 1 + (index % 2) as u8;
        let mut behind = if self.len() == 0 { 0 } else { self.behind() };
        if behind + 1 >= limit {
            self.segments().for_each(|(_, segment)| segment.stamp_all(self.stamp()));
            behind = 0;
        }
        self.set_stamp((self.stamp() + 1) % STAMPS, behind + 1);
    }

    /// The walk has passed the last entry.
    fn all_out(&mut self) {
        self.set_stamp(self.stamp(), 0);
    }

    /// Gives out what is not out of the home bucket that contains `point`.
    fn visit(&self, point: u64, sieve: Sieve, emit: &mut dyn FnMut(EntryPtr) -> bool) -> Visit {
        let Some((segment, home, behind)) = self.home_at(point) else { return Visit::End };
        let stamp = self.stamp();
        let passed = segment.spots_of_home(home, &mut |spot, word| {
            if word.stamp() == stamp {
                return true;
            }
            segment.pass(spot, stamp, sieve.becomes(word.mark()));
            if !sieve.wants(word.mark()) {
                return true;
            }
            // SAFETY: the word is not empty, and nobody changes its entry during the call.
            emit(unsafe { word.entry() })
        });
        match behind {
            _ if !passed => Visit::Stopped,
            Some(point) => Visit::Passed(point),
            None => Visit::End,
        }
    }
}

impl Keyspace {
    /// The cut: from now on, and until [`Keyspace::walk_on`] says that it has come to the end,
    /// every entry there is now is given out, either by that or to its database's copyist. A walk
    /// that is under way is given up. Of a base: what has changed is counted anew from here, once
    /// [`Keyspace::base_in_force`] is told; with changes alone: entries that have not changed since
    /// the base in force are not given out.
    pub fn begin_walk(&mut self, scope: Scope, mut copyist: impl FnMut(usize) -> Box<dyn Copyist>) {
        self.give_up_walk();
        let sieve = match scope {
            Scope::All => Sieve::ALL,
            Scope::Base => self.begin_era(),
            Scope::Changes => self.marks.changed(),
        };
        self.walk.scope = scope;
        for (db, database) in self.databases.iter_mut().enumerate() {
            let copyist = (!database.is_empty()).then(|| copyist(db));
            database.begin_round(db, sieve, copyist);
        }
        self.walk.is_on = true;
        self.walk.copied = 0;
    }

    /// True from the cut until the walk has come to its end or is given up.
    pub fn is_walking(&self) -> bool {
        self.walk.is_on
    }

    /// Walks on until `emit` says false or the call has taken long enough. True when all is out;
    /// then all copyists have finished.
    pub fn walk_on(&mut self, emit: &mut dyn FnMut(Given<'_>) -> bool) -> bool {
        let mut buckets = BUCKETS_PER_STEP;
        while self.walk.is_on {
            let numbered = |(at, database): (usize, &Database)| Some((database.walks_as()?, at));
            let here = self.databases.iter().enumerate().filter_map(numbered).min();
            let gone = self.walk.detached.iter().enumerate().filter_map(numbered).min();
            let is_gone = here.is_none() || gone.is_some_and(|gone| Some(gone) < here);
            let Some((_, at)) = (if is_gone { gone } else { here }) else {
                self.end_walk();
                break;
            };
            let all = if is_gone { &mut self.walk.detached } else { &mut self.databases };
            let passed = all[at].walk_on(&mut buckets, emit);
            all[at].freed_orphans().for_each(|object| self.trash.add_object(object));
            if !passed {
                return false;
            }
            if is_gone {
                let mut old = self.walk.detached.swap_remove(at);
                self.walk.copied += old.end_round();
                self.discard(old);
            }
        }
        true
    }

    fn end_walk(&mut self) {
        self.walk.is_on = false;
        if self.walk.scope == Scope::Base {
            self.all_passed();
        }
        for database in &mut self.databases {
            self.walk.copied += database.end_round();
        }
    }

    /// Gives up the walk that is under way, if any.
    pub fn give_up_walk(&mut self) {
        if !self.walk.is_on {
            return;
        }
        self.walk.is_on = false;
        for database in self.databases.iter_mut().chain(&mut self.walk.detached) {
            let orphans = database.give_up_round();
            orphans.into_iter().for_each(|object| self.trash.add_object(object));
        }
        for database in std::mem::take(&mut self.walk.detached) {
            self.discard(database);
        }
    }

    /// Entries given to copyists since the last cut.
    pub fn copied_out(&self) -> u64 {
        let rounds = self.databases.iter().chain(&self.walk.detached);
        self.walk.copied + rounds.map(Database::copied_out).sum::<u64>()
    }

    /// Empties a database; the keys it had. With `lazily` its memory is freed later, by
    /// [`Keyspace::free_piece`]; so it is too when a walk has still to pass it.
    pub fn empty(&mut self, db: usize, lazily: bool) -> usize {
        let mut old = self.clear(db);
        let keys = old.len();
        if self.walk.is_on {
            self.databases[db].begin_late(db);
        }
        if old.walks_as().is_some() {
            self.walk.detached.push(old);
            return keys;
        }
        self.walk.copied += old.end_round();
        if lazily {
            self.discard(old);
        }
        keys
    }
}
