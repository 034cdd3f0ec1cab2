//! Promises about what has changed: a base, what has gone since and what has changed since are the
//! keys at the cut, whatever happened in between.

use super::{
    super::{Deadline, KeyHasher, Keyspace, Scope, names},
    dice,
    walk::{ALL, CHANGES, Notebook, State, filled, hash, state},
};

/// A base as the state it has.
fn base(keyspace: &mut Keyspace) -> State {
    let cut = state(keyspace);
    let given = Notebook::begin_of(keyspace, Scope::Base);
    assert_eq!(given.finish(keyspace), cut, "a base is everything");
    keyspace.base_in_force();
    cut
}

fn without_gone(mut base: State, keyspace: &mut Keyspace) -> State {
    for (db, piece) in keyspace.gone() {
        names(&piece).for_each(|name| {
            base.remove(&(db, name.to_vec()));
        });
    }
    base
}

#[test]
fn whatever_changes_is_known_to_have_changed_and_nothing_else() {
    for &(name, keys, change) in CHANGES {
        for key in keys {
            for before in [true, false] {
                let mut keyspace = filled();
                let base = base(&mut keyspace);
                if before {
                    change(&mut keyspace, key);
                }
                let Some(changes) = keyspace.changes() else {
                    assert!(name.starts_with("swap") || name.starts_with("empty"), "{name}");
                    continue;
                };
                let cut = state(&keyspace);
                let mut found = without_gone(base.clone(), &mut keyspace);
                let given = Notebook::begin_of(&mut keyspace, Scope::Changes);
                if !before {
                    // Nothing has changed yet: this is none of the walk's business.
                    change(&mut keyspace, key);
                }
                let given = given.finish(&mut keyspace);
                assert_eq!(given.len(), changes.keys, "{name}");
                assert_eq!(given.is_empty(), !before || !found.is_empty() && changes.keys == 0);
                found.extend(given);
                assert_eq!(found, cut, "{name} {before}");
            }
        }
    }
}

#[test]
fn keys_that_come_and_go_leave_nothing() {
    let mut keyspace = filled();
    base(&mut keyspace);
    let hasher = KeyHasher::fixed();
    for n in 0..20 {
        for key in [format!("new{n}"), "again".to_owned()] {
            let key = hasher.key(key.as_bytes());
            keyspace.databases[0].set(key, b"v", Deadline::None);
            keyspace.databases[0].append(key, b"w");
            keyspace.databases[0].set_deadline(key, Some(7));
            keyspace.databases[0].remove(key);
        }
        // The base has this one: the first time counts.
        keyspace.databases[0].remove(hasher.key(b"int"));
        keyspace.databases[0].set_int(hasher.key(b"int"), n, Deadline::None);
    }
    let changes = keyspace.changes().unwrap();
    assert_eq!((changes.keys, changes.names_bytes), (1, 4 + 3));
}

/// Bases that succeed and fail at any moment, walks over changes, and changes all the time.
fn life(seed: u64) -> [usize; 3] {
    let hasher = KeyHasher::fixed();
    let mut random = dice(seed);
    let mut keyspace = Keyspace::new(2, hasher.clone());
    let (mut in_force, mut pending): (Option<State>, Option<State>) = (None, None);
    let mut walking: Option<(Scope, State, State, Notebook)> = None;
    let mut done = [0; 3];
    for step in 0..1500 {
        let name = format!("{{tag}}{}", random() % 60);
        let (key, db) = (hasher.key(name.as_bytes()), (random() % 5 / 4) as usize);
        let database = &mut keyspace.databases[db];
        match random() % 40 {
            0..12 => {
                database.set_int(key, step, Deadline::Keep);
            }
            12..15 => {
                if database.get(key).is_none_or(|entry| entry.is_string()) {
                    database.append(key, b"x");
                }
            }
            15..22 => {
                database.remove(key);
            }
            22 => {
                database.set_deadline(key, Some(step));
            }
            23 => {
                database.due(step, 3, &mut |_| {});
            }
            24 => {
                database.put_collection(key, hash(random() as usize % 30));
            }
            25 => {
                if let Some(entry) = database.take(key) {
                    database.put(hasher.key(format!("to{}", random() % 9).as_bytes()), entry);
                }
            }
            26 if random().is_multiple_of(30) => {
                keyspace.swap(0, 1);
            }
            27 if random().is_multiple_of(30) => {
                keyspace.empty(db, true);
            }
            28 if walking.is_none() && pending.is_none() => {
                let scope = [Scope::Base, Scope::Changes, Scope::All][random() as usize % 3];
                if scope == Scope::Changes && keyspace.changes().is_none() {
                    continue;
                }
                let cut = state(&keyspace);
                let found = match (scope, &in_force) {
                    (Scope::Changes, Some(base)) => without_gone(base.clone(), &mut keyspace),
                    _ => State::new(),
                };
                let given = Notebook::begin_of(&mut keyspace, scope);
                walking = Some((scope, cut, found, given));
            }
            29 if random().is_multiple_of(4) => {
                keyspace.give_up_walk();
                if walking.take().is_some_and(|(scope, ..)| scope == Scope::Base) {
                    keyspace.base_failed();
                }
            }
            30 => match pending.take() {
                Some(_) if random().is_multiple_of(3) => keyspace.base_failed(),
                Some(cut) => {
                    keyspace.base_in_force();
                    in_force = Some(cut);
                    done[0] += 1;
                }
                None => {}
            },
            _ => {
                if let Some((.., given)) = &walking {
                    given.walk(&mut keyspace, random() as usize % 6 + 1);
                }
                if !keyspace.is_walking()
                    && let Some((scope, cut, mut found, given)) = walking.take()
                {
                    found.extend(given.finish_done());
                    assert_eq!(found, cut, "seed {seed} step {step} {scope:?}");
                    match scope {
                        Scope::Base => pending = Some(cut),
                        Scope::Changes => done[1] += 1,
                        Scope::All => done[2] += 1,
                    }
                }
            }
        }
    }
    keyspace.databases.iter().for_each(|db| db.check());
    done
}

#[test]
fn base_and_changes_are_the_keys_at_every_cut() {
    let mut done = [0; 3];
    for seed in 1..80 {
        let more = life(seed * 7919);
        (0..3).for_each(|at| done[at] += more[at]);
    }
    assert!(done.iter().all(|times| *times > 50), "{done:?}");
}

#[test]
fn a_base_that_fails_loses_nothing() {
    for key in ALL {
        let mut keyspace = filled();
        let base = base(&mut keyspace);
        let changed = keyspace.hasher.key(key);
        keyspace.databases[0].set(changed, b"before", Deadline::None);
        for walked in [1, 10, 100, 1000] {
            let given = Notebook::begin_of(&mut keyspace, Scope::Base);
            given.walk(&mut keyspace, walked);
            keyspace.databases[0].set_int(changed, walked as i64, Deadline::None);
            let other = keyspace.hasher.key(b"other3");
            keyspace.databases[0].remove(other);
            keyspace.give_up_walk();
            keyspace.base_failed();
        }
        let cut = state(&keyspace);
        let mut found = without_gone(base, &mut keyspace);
        let given = Notebook::begin_of(&mut keyspace, Scope::Changes);
        let given = given.finish(&mut keyspace);
        assert_eq!(given.len(), 1);
        found.extend(given);
        assert_eq!(found, cut);
    }
}
