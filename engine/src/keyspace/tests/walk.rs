//! Promises of walks: whatever changes, moves or removes an entry, the walk gives out what was
//! there at the cut.

use super::{
    super::{Copyist, Deadline, Elements, Entry, Given, KeyHasher, Keyspace, Scope, Str, Value},
    dice,
};
use crate::types::{Collection, Hash, HashRef, Limits, View, packed::Packed};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

/// Database and key, value and deadline.
pub(super) type State = BTreeMap<(usize, Vec<u8>), (String, Option<i64>)>;

fn value(entry: Entry<'_>) -> String {
    match entry.content() {
        Value::Str(Str::Int(n)) => n.to_string(),
        Value::Str(Str::Bytes(text)) => text.escape_ascii().to_string(),
        other => {
            let mut fields = Vec::new();
            let hash = HashRef::of(other).unwrap();
            hash.for_each(&mut |field, value| fields.push((field.to_vec(), value.to_vec())));
            fields.sort();
            format!("{fields:?}")
        }
    }
}

fn note(state: &mut State, db: usize, entry: Entry<'_>) {
    let before = state.insert((db, entry.key().to_vec()), (value(entry), entry.deadline()));
    assert_eq!(before, None, "{} twice", entry.key().escape_ascii());
}

pub(super) fn state(keyspace: &Keyspace) -> State {
    let mut state = State::new();
    for db in 0..keyspace.databases() {
        keyspace.db(db).for_each(&mut |entry| note(&mut state, db, entry));
    }
    state
}

/// What a walk has given out, by itself or to copyists.
#[derive(Clone, Default)]
pub(super) struct Notebook(Arc<Mutex<(State, usize)>>);

struct Notes(usize, Notebook);

impl Copyist for Notes {
    fn copy(&mut self, group: usize, entry: Entry<'_>) {
        assert_eq!(group, usize::from(KeyHasher::fixed().key(entry.key()).group()));
        note(&mut self.1.0.lock().unwrap().0, self.0, entry);
    }

    fn begin(&mut self, group: usize, entry: Entry<'_>) -> Box<dyn Elements> {
        assert_eq!(group, usize::from(KeyHasher::fixed().key(entry.key()).group()));
        Box::new(Fields {
            name: (self.0, entry.key().to_vec()),
            deadline: entry.deadline(),
            count: HashRef::of(entry.content()).unwrap().len(),
            fields: Vec::new(),
            to: self.1.clone(),
        })
    }

    fn finish(self: Box<Self>) {
        self.1.0.lock().unwrap().1 += 1;
    }
}

/// A big value on its way.
struct Fields {
    name: (usize, Vec<u8>),
    deadline: Option<i64>,
    count: usize,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
    to: Notebook,
}

impl Elements for Fields {
    fn attend(&mut self) {}

    fn element(&mut self, entry: Entry<'_>) {
        let value = entry.value().bytes(&mut itoa::Buffer::new()).to_vec();
        self.fields.push((entry.key().to_vec(), value));
    }

    fn node(&mut self, _: Packed<'_>) {
        unreachable!("no lists here");
    }

    fn finish(mut self: Box<Self>) {
        assert_eq!(self.fields.len(), self.count);
        self.fields.sort();
        let value = (format!("{:?}", self.fields), self.deadline);
        let before = self.to.0.lock().unwrap().0.insert(self.name, value);
        assert_eq!(before, None);
    }
}

impl Notebook {
    fn begin(keyspace: &mut Keyspace) -> Self {
        Self::begin_of(keyspace, Scope::All)
    }

    pub(super) fn begin_of(keyspace: &mut Keyspace, scope: Scope) -> Self {
        let given = Self::default();
        keyspace.begin_walk(scope, |db| Box::new(Notes(db, given.clone())));
        given
    }

    /// Walks on until so many entries and elements were given out; true at the end.
    pub(super) fn walk(&self, keyspace: &mut Keyspace, mut entries: usize) -> bool {
        keyspace.walk_on(&mut |given| {
            if let Given::Entry(db, _, entry) = given {
                note(&mut self.0.lock().unwrap().0, db, entry);
            }
            entries = entries.saturating_sub(1);
            entries > 0
        })
    }

    pub(super) fn finish(self, keyspace: &mut Keyspace) -> State {
        while !self.walk(keyspace, usize::MAX) {}
        let finished = self.0.lock().unwrap().1;
        assert!(finished > 0, "copyists finish");
        let groups = keyspace.databases.iter().flat_map(|db| &db.groups);
        assert!(groups.into_iter().all(|group| group.len() == 0 || group.behind() == 0));
        self.finish_done()
    }

    /// What a walk has given out that has come to its end.
    pub(super) fn finish_done(self) -> State {
        std::mem::take(&mut *self.0.lock().unwrap()).0
    }
}

pub(super) fn hash(fields: usize) -> Hash {
    let mut hash = Hash::empty(Vec::new());
    let limits = Limits { hash_entries: 16, ..Limits::default() };
    for n in 0..fields {
        hash.set(format!("f{n}").as_bytes(), b"v", &limits, &KeyHasher::fixed());
    }
    hash
}

/// One key of each kind, all with a deadline, and some others.
pub(super) fn filled() -> Keyspace {
    let hasher = KeyHasher::fixed();
    let mut keyspace = Keyspace::new(2, hasher.clone());
    let db = keyspace.db_mut(0);
    db.set(hasher.key(b"text"), b"some text", Deadline::None);
    db.set(hasher.key(b"long"), &[b'x'; 3000], Deadline::None);
    db.set_int(hasher.key(b"int"), 5, Deadline::None);
    db.put_collection(hasher.key(b"small"), hash(3));
    db.put_collection(hasher.key(b"big"), hash(400));
    for key in [&b"text"[..], b"long", b"int", b"small", b"big"] {
        db.set_deadline(hasher.key(key), Some(1000));
    }
    for n in 0..50 {
        db.set_int(hasher.key(format!("other{n}").as_bytes()), n, Deadline::None);
    }
    keyspace
}

pub(super) type Change = fn(&mut Keyspace, &[u8]);

fn with_hash(keyspace: &mut Keyspace, key: &[u8], edit: impl FnOnce(&mut Hash)) {
    let key = keyspace.key(key);
    let _ = keyspace.db_mut(0).edit(key, false, |_| false, edit);
}

/// Every way in which an entry changes, moves or goes.
pub(super) const CHANGES: &[(&str, &[&[u8]], Change)] = &[
    ("set", ALL, |k, key| {
        k.databases[0].set(k.hasher.key(key), b"new", Deadline::Keep);
    }),
    ("set with trash", ALL, |k, key| {
        k.lend_trash(0);
        k.databases[0].set(k.hasher.key(key), b"new", Deadline::None);
        k.take_trash(0);
    }),
    ("set_text", ALL, |k, key| {
        k.databases[0].set_text(k.hasher.key(key), b"7", Deadline::None);
    }),
    ("set_int", ALL, |k, key| {
        k.databases[0].set_int(k.hasher.key(key), 8, Deadline::Keep);
    }),
    ("append", TEXTS, |k, key| {
        k.databases[0].append(k.hasher.key(key), b"tail");
    }),
    ("write_range", TEXTS, |k, key| {
        k.databases[0].write_range(k.hasher.key(key), 2, b"other");
    }),
    ("bytes_mut", TEXTS, |k, key| {
        let mut entry = k.databases[0].get_mut(k.hasher.key(key)).unwrap();
        if !entry.set_int_in_place(77) {
            entry.bytes_mut().unwrap()[0] = b'!';
        }
    }),
    ("get_mut_used", TEXTS, |k, key| {
        let mut entry = k.databases[0].get_mut_used(k.hasher.key(key)).unwrap();
        if !entry.set_int_in_place(77) {
            entry.bytes_mut().unwrap()[0] = b'!';
        }
    }),
    ("set_deadline", ALL, |k, key| {
        k.databases[0].set_deadline(k.hasher.key(key), None);
    }),
    ("edit", HASHES, |k, key| {
        with_hash(k, key, |hash| {
            hash.set(b"f1", b"another", &Limits::default(), &KeyHasher::fixed());
        });
    }),
    ("edit that grows", HASHES, |k, key| {
        with_hash(k, key, |hash| {
            let limits = Limits { hash_entries: 0, ..Limits::default() };
            hash.set(b"more", b"another", &limits, &KeyHasher::fixed());
        });
    }),
    ("edit that empties", HASHES, |k, key| {
        with_hash(k, key, |hash| {
            for n in 0..400 {
                hash.remove(format!("f{n}").as_bytes());
            }
        });
    }),
    ("put_collection", ALL, |k, key| {
        k.databases[0].put_collection(k.hasher.key(key), hash(4));
    }),
    ("remove", ALL, |k, key| {
        k.databases[0].remove(k.hasher.key(key));
    }),
    ("remove to the trash", ALL, |k, key| {
        let key = k.hasher.clone().key(key);
        k.with_db(0, true, |db| db.remove(key));
    }),
    ("remove and set", ALL, |k, key| {
        k.databases[0].remove(k.hasher.key(key));
        k.databases[0].set(k.hasher.key(key), b"again", Deadline::None);
    }),
    ("take and put", ALL, |k, key| {
        let entry = k.databases[0].take(k.hasher.key(key)).unwrap();
        k.databases[0].put(k.hasher.key(b"other7"), entry);
    }),
    ("take and put elsewhere", ALL, |k, key| {
        let entry = k.databases[0].take(k.hasher.key(key)).unwrap();
        k.databases[1].put(k.hasher.key(key), entry);
    }),
    ("due", ALL, |k, _| {
        assert_eq!(k.databases[0].due(5000, 10, &mut |_| {}), 5);
    }),
    ("due with trash", ALL, |k, _| {
        assert_eq!(k.with_db(0, true, |db| db.due(5000, 10, &mut |_| {})), 5);
    }),
    ("evict", ALL, |k, _| {
        let (mut random, mut named) = (dice(3), None);
        while k.databases[0].len() > 20 {
            k.databases[0].sample(&mut random, 1, &mut |_, name| named = Some(name()));
            k.databases[0].evict(named.unwrap(), |_| true, &mut |_, _| {});
        }
    }),
    ("empty", ALL, |k, _| {
        k.empty(0, false);
    }),
    ("empty, lazily, and fill", ALL, |k, key| {
        k.empty(0, true);
        k.databases[0].set(k.hasher.key(key), b"again", Deadline::None);
    }),
    ("swap", ALL, |k, key| {
        k.swap(0, 1);
        k.databases[0].set(k.hasher.key(key), b"again", Deadline::None);
        k.databases[1].set(k.hasher.key(key), b"again", Deadline::None);
    }),
    ("swap and empty", ALL, |k, key| {
        k.swap(0, 1);
        k.empty(1, true);
        k.databases[1].set(k.hasher.key(key), b"again", Deadline::None);
        k.swap(0, 1);
    }),
];

const TEXTS: &[&[u8]] = &[b"text", b"long", b"int"];
const HASHES: &[&[u8]] = &[b"small", b"big"];
pub(super) const ALL: &[&[u8]] = &[b"text", b"long", b"int", b"small", b"big"];

#[test]
fn what_changes_before_the_walk_comes_by_is_given_out_as_it_was() {
    for &(name, keys, change) in CHANGES {
        for key in keys {
            for walked in [0, 10, 30, 54, 200, 400] {
                let mut keyspace = filled();
                let cut = state(&keyspace);
                let given = Notebook::begin(&mut keyspace);
                if walked > 0 {
                    assert!(!given.walk(&mut keyspace, walked));
                }
                change(&mut keyspace, key);
                let after = state(&keyspace);
                assert_ne!(after, cut, "{name} changes something");
                let context = format!("{name} {} {walked}", key.escape_ascii());
                assert_eq!(given.finish(&mut keyspace), cut, "{context}");
                assert_eq!(state(&keyspace), after, "{context}");
                assert!(!keyspace.is_walking());
                keyspace.databases.iter().for_each(|db| db.check());
            }
        }
    }
}

#[test]
fn readers_have_nothing_copied() {
    let mut keyspace = filled();
    let given = Notebook::begin(&mut keyspace);
    for key in ALL {
        let key = keyspace.hasher.key(key);
        assert!(keyspace.databases[0].get(key).is_some());
        assert!(keyspace.databases[0].get_used(key).is_some());
    }
    assert_eq!(keyspace.copied_out(), 0);
    given.finish(&mut keyspace);
}

#[test]
fn a_key_that_changes_twice_is_copied_once_and_a_new_one_never() {
    let mut keyspace = filled();
    let cut = state(&keyspace);
    let given = Notebook::begin(&mut keyspace);
    for n in 0..10 {
        let key = keyspace.hasher.key(b"int");
        keyspace.databases[0].set_int(key, n, Deadline::None);
        let key = keyspace.hasher.key(b"new");
        keyspace.databases[0].set_int(key, n, Deadline::None);
        keyspace.databases[0].remove(key);
    }
    assert_eq!(keyspace.copied_out(), 1);
    assert_eq!(given.finish(&mut keyspace), cut);
}

/// A walk of a table that grows from one segment to hundreds, and shrinks again, between steps.
#[test]
fn entries_are_given_out_once_whatever_happens_to_the_table() {
    let hasher = KeyHasher::fixed();
    let key = |n: usize| format!("{{tag}}{n}").into_bytes();
    for (at_cut, later) in [(50, 40_000), (40_000, 50)] {
        let mut keyspace = Keyspace::new(1, hasher.clone());
        for n in 0..at_cut {
            keyspace.databases[0].set_int(hasher.key(&key(n)), n as i64, Deadline::None);
        }
        let cut = state(&keyspace);
        let given = Notebook::begin(&mut keyspace);
        let steps = 30;
        for step in 0..steps {
            given.walk(&mut keyspace, at_cut / steps / 2);
            let share = |of: usize| of * step / steps..of * (step + 1) / steps;
            if later > at_cut {
                share(later - at_cut).for_each(|n| {
                    let (key, n) = (key(n + at_cut), n as i64);
                    keyspace.databases[0].set_int(hasher.key(&key), n, Deadline::None);
                });
            } else {
                share(at_cut - later).for_each(|n| {
                    keyspace.databases[0].remove(hasher.key(&key(n)));
                });
            }
        }
        keyspace.databases[0].check();
        assert_eq!(given.finish(&mut keyspace), cut);
    }
}

#[test]
fn a_walk_that_is_given_up_frees_what_it_held() {
    let before = super::super::memory::ledger::live();
    let mut keyspace = filled();
    let given = Notebook::begin(&mut keyspace);
    keyspace.empty(0, false);
    assert!(keyspace.trash().is_empty(), "the walk has it");
    keyspace.give_up_walk();
    assert!(!keyspace.is_walking() && given.walk(&mut keyspace, 1), "nothing is left to walk");
    assert!(!keyspace.trash().is_empty());
    while keyspace.free_piece() {}
    drop(keyspace);
    assert_eq!(super::super::memory::ledger::live(), before);
}

/// What an unfinished value may go through.
#[test]
fn a_big_value_is_given_out_as_it_was_wherever_it_goes_meanwhile() {
    let edit = |keyspace: &mut Keyspace, db: usize, key: &[u8], step: usize| {
        let key = keyspace.key(key);
        let _ = keyspace.db_mut(db).edit(
            key,
            false,
            |_| false,
            |hash: &mut Hash| {
                let (limits, hasher) = (Limits::default(), KeyHasher::fixed());
                hash.set(format!("f{}", step * 7).as_bytes(), b"changed", &limits, &hasher);
                hash.set(format!("g{step}").as_bytes(), b"new", &limits, &hasher);
                hash.remove(format!("f{}", step * 11).as_bytes());
            },
        );
    };
    let carry = |keyspace: &mut Keyspace, from: (usize, &[u8]), to: (usize, &[u8])| {
        let (source, target) = (keyspace.key(from.1), keyspace.key(to.1));
        let entry = keyspace.databases[from.0].take(source).unwrap();
        keyspace.databases[to.0].put(target, entry);
    };
    for walked in [0, 20, 100, 300] {
        for end in 0..6 {
            let mut keyspace = filled();
            let cut = state(&keyspace);
            let given = Notebook::begin(&mut keyspace);
            let walk = |keyspace: &mut Keyspace| walked > 0 && given.walk(keyspace, walked);
            edit(&mut keyspace, 0, b"big", 1);
            walk(&mut keyspace);
            carry(&mut keyspace, (0, b"big"), (0, b"text"));
            edit(&mut keyspace, 0, b"text", 2);
            walk(&mut keyspace);
            carry(&mut keyspace, (0, b"text"), (1, b"elsewhere"));
            edit(&mut keyspace, 1, b"elsewhere", 3);
            keyspace.swap(0, 1);
            match end {
                0 => {
                    keyspace.empty(0, true);
                }
                5 => {
                    keyspace.empty(1, true);
                    carry(&mut keyspace, (0, b"elsewhere"), (1, b"big"));
                }
                1 => {
                    keyspace.databases[0].remove(KeyHasher::fixed().key(b"elsewhere"));
                }
                2 => {
                    let key = KeyHasher::fixed().key(b"elsewhere");
                    keyspace.databases[0].set(key, b"over", Deadline::None);
                }
                3 => carry(&mut keyspace, (0, b"elsewhere"), (1, b"big")),
                _ => {}
            }
            edit(&mut keyspace, 1, b"big", 4);
            let after = state(&keyspace);
            assert_eq!(given.finish(&mut keyspace), cut, "{walked} {end}");
            assert_eq!(state(&keyspace), after);
            keyspace.databases.iter().for_each(|db| db.check());
        }
    }
}

#[test]
fn a_big_value_of_a_walk_that_was_given_up_is_whole_in_the_next() {
    let mut keyspace = filled();
    for walked in 1..40 {
        let given = Notebook::begin(&mut keyspace);
        given.walk(&mut keyspace, walked * 11);
        let key = keyspace.key(b"big");
        let field = format!("f{walked}");
        let _ = keyspace.db_mut(0).edit(
            key,
            false,
            |_| false,
            |hash: &mut Hash| {
                hash.set(field.as_bytes(), b"new", &Limits::default(), &KeyHasher::fixed());
            },
        );
        // Now and then one comes to its end.
        if walked % 17 == 0 {
            given.finish(&mut keyspace);
        }
        keyspace.give_up_walk();
        keyspace.databases[0].check();
        let entry = keyspace.databases[0].find(key).unwrap().entry();
        let table = entry.object_mut().unwrap().table_mut().unwrap();
        assert!(!table.is_walking(), "nothing is copied for nobody");
    }
    let cut = state(&keyspace);
    let given = Notebook::begin(&mut keyspace);
    assert_eq!(given.finish(&mut keyspace), cut);
}
