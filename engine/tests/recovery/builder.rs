//! What loading a hand-built directory gives.

pub use super::segments::{Directory, Segment, body, resp};

use quire_engine::{
    error::StorageError,
    io::sim::{SimDisk, run},
    keyspace::{KeyHasher, Keyspace, Tracking},
    manifest::Names,
    recovery::{Options, Progress, Readers, RecoveryError, Summary, Team, recover, recover_with},
    types::Limits,
};
use std::collections::BTreeMap;

/// Database and key -> value and deadline.
pub type Keys = BTreeMap<(usize, String), (String, Option<i64>)>;

impl Directory {
    pub fn recover(&self, shards: usize) -> Result<(Keys, Summary), RecoveryError> {
        recover_disk(&self.disk, shards)
    }

    /// Loads, twice, on different numbers of shards, and expects these keys of database 0.
    pub fn expect(&self, expected: &[(&str, &str)]) -> Summary {
        let (keys, summary) =
            self.recover(3).unwrap_or_else(|error| panic!("not recovered: {error}"));
        assert_eq!(flat(&keys), owned(expected));
        let (again, second) =
            self.recover(1).unwrap_or_else(|error| panic!("not recovered again: {error}"));
        assert_eq!(again, keys, "the second recovery differs from the first");
        let (threads, _) = recover_with_threads(&self.disk, 4);
        assert_eq!(threads, keys, "several threads load something else");
        assert!(second.cuts.iter().all(|cut| cut.bytes == 0), "cut again: {:?}", second.cuts);
        summary
    }

    /// Expects a refusal whose sentence contains all of `words`, and an untouched directory.
    pub fn refused(&self, words: &[&str]) {
        let before = contents(&self.disk);
        let Err(error) = self.recover(2) else { panic!("not refused, {words:?}") };
        let text = error.to_string();
        for word in words {
            assert!(text.contains(word), "{word:?} is not in: {text}");
        }
        assert_eq!(contents(&self.disk), before, "a refusal changed the directory");
    }
}

pub fn contents(disk: &SimDisk) -> BTreeMap<String, Vec<u8>> {
    use quire_engine::io::Storage;
    let names = run(disk.list()).unwrap();
    names.into_iter().map(|(name, _)| (name.clone(), disk.bytes(&name).unwrap())).collect()
}

pub fn options(shards: usize) -> Options {
    Options {
        names: Names::default(),
        shards,
        databases: 16,
        hasher: KeyHasher::fixed(),
        limits: Limits::default(),
        tracking: Tracking::Time,
        now_ms: 1_700_000_000_000,
    }
}

pub fn recover_disk(disk: &SimDisk, shards: usize) -> Result<(Keys, Summary), RecoveryError> {
    let recovered = run(recover(disk, &options(shards), &Progress::new()))?;
    Ok((keys_of(&recovered.keyspaces), recovered.summary))
}

/// Every reader reads the simulated disk.
pub struct Simulated<'d>(pub &'d SimDisk);

impl Readers for Simulated<'_> {
    type Storage = SimDisk;

    fn run<T>(&self, work: impl AsyncFnOnce(&SimDisk) -> T) -> Result<T, StorageError> {
        Ok(run(work(self.0)))
    }
}

fn recover_with_threads(disk: &SimDisk, shards: usize) -> (Keys, Summary) {
    let team = Team { readers: &Simulated(disk), threads: 3 };
    let progress = Progress::new();
    let recovered = run(recover_with(disk, Some(&team), &options(shards), &progress)).unwrap();
    (keys_of(&recovered.keyspaces), recovered.summary)
}

pub fn keys_of(keyspaces: &[Keyspace]) -> Keys {
    let mut keys = Keys::new();
    for keyspace in keyspaces {
        for db in 0..keyspace.databases() {
            keyspace.db(db).for_each(&mut |entry| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let mut digits = itoa::Buffer::new();
                let value = text(entry.value().bytes(&mut digits));
                let old = keys.insert((db, text(entry.key())), (value, entry.deadline()));
                assert!(old.is_none(), "a key on two shards");
            });
        }
    }
    keys
}

pub fn flat(keys: &Keys) -> Vec<(String, String)> {
    let mut flat: Vec<_> = keys
        .iter()
        .map(|((db, key), (value, _))| {
            let key = if *db == 0 { key.clone() } else { format!("{db}:{key}") };
            (key, value.clone())
        })
        .collect();
    flat.sort();
    flat
}

pub fn owned(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut owned: Vec<_> =
        expected.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    owned.sort();
    owned
}
