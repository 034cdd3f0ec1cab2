//! The best keys to evict among all that have been looked at, as in Redis: a few random keys are
//! sampled for each eviction, and the best of earlier samples are not forgotten. That brings
//! sampling close to exact order at the price of a handful of looks.
//!
//! Invariant: candidates are sorted by score, the best one last. Scores are of the time of the
//! sample; whoever takes one checks it again.

use super::policy::Choice;
use crate::{
    keyspace::{Entry, Keyspace, Sampled},
    shard::Random,
};

/// Candidates kept.
const POOL: usize = 16;
/// Rounds of sampling by chance. Where hardly any key has a deadline they may find none; then
/// those with the nearest deadlines are looked at.
const ROUNDS: usize = 8;

/// Where the next key to evict comes from.
#[derive(Debug, Default)]
pub(super) struct Pool {
    candidates: Vec<Candidate>,
    /// Per database: keys with a deadline, drawn and not yet looked at.
    drawn: Vec<Vec<Sampled>>,
    /// The database that a key chosen by chance came from last.
    last_db: usize,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) score: u64,
    pub(super) db: usize,
    pub(super) key: Sampled,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) choice: Choice,
    pub(super) is_volatile: bool,
    /// Keys sampled per database and eviction.
    pub(super) samples: usize,
}

impl Pool {
    /// Forgets everything: scores of one policy mean nothing to another.
    pub(super) fn clear(&mut self) {
        self.candidates.clear();
        self.drawn.clear();
    }

    /// The next key to evict; None when none was found.
    pub(super) fn next(
        &mut self,
        keyspace: &mut Keyspace,
        random: &mut Random,
        wish: Wish,
    ) -> Option<Candidate> {
        self.drawn.resize(keyspace.databases(), Vec::new());
        let eligible = |db: usize| {
            let database = keyspace.db(db);
            if wish.is_volatile { database.with_deadline() } else { database.len() }
        };
        if (0..keyspace.databases()).all(|db| eligible(db) == 0) {
            return None;
        }
        for _ in 0..ROUNDS {
            let found = match wish.choice {
                Choice::None => return None,
                Choice::Any => self.any(keyspace, random, wish),
                Choice::Ending => ending(keyspace, wish),
                Choice::Best(score) => {
                    self.fill(keyspace, random, wish, score);
                    self.candidates.pop()
                }
            };
            if found.is_some() {
                return found;
            }
        }
        if wish.is_volatile { ending(keyspace, wish) } else { None }
    }

    /// A key by chance, from the databases in turn.
    fn any(&mut self, keyspace: &Keyspace, random: &mut Random, wish: Wish) -> Option<Candidate> {
        for _ in 0..keyspace.databases() {
            self.last_db = (self.last_db + 1) % keyspace.databases();
            let db = self.last_db;
            let mut found = None;
            self.sample(keyspace, random, db, wish.is_volatile, 1, &mut |_, name| {
                found.get_or_insert_with(|| Candidate { score: 0, db, key: name() });
            });
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn fill(
        &mut self,
        keyspace: &Keyspace,
        random: &mut Random,
        wish: Wish,
        score: fn(&crate::keyspace::AccessClock, &Entry<'_>) -> u64,
    ) {
        let mut candidates = std::mem::take(&mut self.candidates);
        for db in 0..keyspace.databases() {
            self.sample(
                keyspace,
                random,
                db,
                wish.is_volatile,
                wish.samples,
                &mut |entry, name| {
                    let score = score(keyspace.clock(), &entry);
                    if candidates.len() == POOL && candidates[0].score >= score {
                        return;
                    }
                    let key = name();
                    if candidates.iter().any(|known| known.db == db && known.key == key) {
                        return;
                    }
                    // Among equals the one that was found first goes first.
                    let at = candidates.partition_point(|known| known.score < score);
                    candidates.insert(at, Candidate { score, db, key });
                    if candidates.len() > POOL {
                        candidates.remove(0);
                    }
                },
            );
        }
        self.candidates = candidates;
    }

    fn sample(
        &mut self,
        keyspace: &Keyspace,
        random: &mut Random,
        db: usize,
        is_volatile: bool,
        count: usize,
        emit: &mut dyn FnMut(Entry<'_>, &dyn Fn() -> Sampled),
    ) {
        let mut dice = || random.next();
        if is_volatile {
            keyspace.db(db).sample_with_deadline(&mut dice, count, &mut self.drawn[db], emit);
        } else {
            keyspace.db(db).sample(&mut dice, count, emit);
        }
    }
}

/// The key whose deadline is nearest, among the first of all databases.
fn ending(keyspace: &mut Keyspace, wish: Wish) -> Option<Candidate> {
    let mut best: Option<(i64, Candidate)> = None;
    for db in 0..keyspace.databases() {
        keyspace.db_mut(db).sample_ending(wish.samples, &mut |entry, name| {
            let at = entry.deadline().unwrap_or(i64::MAX);
            if best.is_none_or(|(earliest, _)| at < earliest) {
                best = Some((at, Candidate { score: 0, db, key: name() }));
            }
        });
    }
    best.map(|(_, candidate)| candidate)
}
