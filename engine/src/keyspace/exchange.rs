//! One data set in the place of another: what a server does that loads while it runs.
//!
//! Invariant: who waits for keys of a database waits on, whatever it holds. No walk is under way.

use super::Keyspace;

impl Keyspace {
    /// Puts `new`, of the same hasher and as many databases, in the place of this data set, which
    /// is returned.
    pub fn replace(&mut self, mut new: Self) -> Self {
        assert_eq!(self.databases(), new.databases(), "data sets of one server");
        for (old, new) in self.databases.iter_mut().zip(&mut new.databases) {
            old.hand_watch_to(new);
        }
        // What was removed before is freed piece by piece, as it was going to be.
        std::mem::swap(&mut self.trash, &mut new.trash);
        std::mem::replace(self, new)
    }

    /// A key that both data sets have: its database and name.
    pub fn shared_key(&self, other: &Self) -> Option<(usize, Vec<u8>)> {
        let mut found = None;
        for (db, (ours, theirs)) in self.databases.iter().zip(&other.databases).enumerate() {
            theirs.for_each(&mut |entry| {
                if found.is_none() && ours.get(self.hasher.key(entry.key())).is_some() {
                    found = Some((db, entry.key().to_vec()));
                }
            });
        }
        found
    }

    /// Takes over every key of `other`, which has the same hasher; what has the same name here goes.
    pub fn absorb(&mut self, other: &mut Self) {
        for (ours, theirs) in self.databases.iter_mut().zip(&mut other.databases) {
            let mut names: Vec<Vec<u8>> = Vec::with_capacity(theirs.len());
            theirs.for_each(&mut |entry| names.push(entry.key().to_vec()));
            for name in names {
                let key = self.hasher.key(&name);
                if let Some(entry) = theirs.take(key) {
                    ours.remove(key);
                    ours.put(key, entry);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Deadline, KeyHasher};
    use super::*;

    fn of(pairs: &[(usize, &str, &str, Option<i64>)]) -> Keyspace {
        let mut keyspace = Keyspace::new(2, KeyHasher::fixed());
        for &(db, key, value, deadline_ms) in pairs {
            let hasher = keyspace.hasher().clone();
            let deadline = deadline_ms.map_or(Deadline::None, Deadline::At);
            keyspace.db_mut(db).set(hasher.key(key.as_bytes()), value.as_bytes(), deadline);
        }
        keyspace
    }

    fn all(keyspace: &Keyspace) -> Vec<(usize, String, Option<i64>)> {
        let mut found = Vec::new();
        for db in 0..keyspace.databases() {
            keyspace.db(db).for_each(&mut |entry| {
                let mut digits = itoa::Buffer::new();
                let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
                let value = entry.value().bytes(&mut digits).to_vec();
                found.push((
                    db,
                    format!("{}={}", text(entry.key()), text(&value)),
                    entry.deadline(),
                ));
            });
            keyspace.db(db).check();
        }
        found.sort();
        found
    }

    #[test]
    fn what_is_taken_over_keeps_its_database_and_its_deadline_and_wins() {
        let mut ours = of(&[(0, "a", "1", Some(7)), (0, "b", "2", None), (1, "a", "3", None)]);
        let mut theirs = of(&[(0, "a", "4", None), (1, "c", "5", Some(9))]);
        assert_eq!(ours.shared_key(&theirs), Some((0, b"a".to_vec())));
        ours.absorb(&mut theirs);
        let expected = [(0, "a=4", None), (0, "b=2", None), (1, "a=3", None), (1, "c=5", Some(9))];
        let expected: Vec<_> = expected.map(|(db, pair, at)| (db, pair.to_owned(), at)).into();
        assert_eq!(all(&ours), expected);
        assert!(theirs.is_empty());
        assert_eq!(ours.shared_key(&of(&[(1, "b", "", None)])), None, "of another database");
    }

    #[test]
    fn who_waits_for_a_key_waits_in_the_data_set_that_takes_the_place() {
        let mut keyspace = of(&[(0, "a", "1", None)]);
        let hasher = keyspace.hasher().clone();
        keyspace.db_mut(1).watch(hasher.key(b"k"));
        let old = keyspace.replace(of(&[(1, "b", "2", None)]));
        assert_eq!(all(&old).len(), 1);
        assert_eq!(all(&keyspace), [(1, "b=2".to_owned(), None)]);
        keyspace.db_mut(1).signal(hasher.key(b"k"));
        assert_eq!(keyspace.db_mut(1).take_signalled(), [b"k".to_vec().into_boxed_slice()]);
    }
}
