//! What is removed lazily: out of the keyspace at once, freed in bounded pieces, all of it.

use super::super::{Deadline, KeyHasher, Keyspace, memory::ledger};
use crate::types::{Hash, Limits, List, Set, Zset, list::End};

const ELEMENTS: usize = 20_000;
/// More than any piece frees: segments have at most 16 buckets of 8 words.
const PIECE_BYTES_MAX: usize = 32 * 1024;

fn fill(keyspace: &mut Keyspace) {
    let (limits, hasher) = (Limits::default(), KeyHasher::fixed());
    let texts: Vec<String> = (0..ELEMENTS).map(|n| format!("element:{n}")).collect();
    let database = keyspace.db_mut(0);
    database.edit(
        hasher.key(b"hash"),
        true,
        |_| false,
        |hash: &mut Hash| {
            for text in &texts {
                hash.set(text.as_bytes(), b"v", &limits, &hasher);
            }
        },
    );
    database.edit(
        hasher.key(b"set"),
        true,
        |_| false,
        |set: &mut Set| {
            for text in &texts {
                set.add(text.as_bytes(), &limits, &hasher);
            }
        },
    );
    database.edit(
        hasher.key(b"zset"),
        true,
        |_| false,
        |zset: &mut Zset| {
            for (score, text) in (0..).zip(&texts) {
                zset.set(text.as_bytes(), f64::from(score), &limits, &hasher);
            }
        },
    );
    for text in &texts {
        database.set(hasher.key(text.as_bytes()), b"value", Deadline::At(1));
    }
}

/// Frees everything; checks that no piece is large.
fn free_all(keyspace: &mut Keyspace) {
    let mut before = ledger::live();
    while keyspace.free_piece() {
        assert!(before - ledger::live() <= PIECE_BYTES_MAX, "{} bytes", before - ledger::live());
        before = ledger::live();
    }
}

#[test]
fn values_removed_lazily_are_freed_in_bounded_pieces() {
    let before = ledger::live();
    let hasher = KeyHasher::fixed();
    let mut keyspace = Keyspace::new(1, hasher.clone());
    fill(&mut keyspace);
    for (at, key) in [&b"hash"[..], b"set", b"zset"].into_iter().enumerate() {
        let full = ledger::live();
        let accounted = keyspace.memory_bytes();
        keyspace.with_db(0, true, |database| assert!(database.remove(hasher.key(key))));
        keyspace.db(0).check();
        assert!(keyspace.memory_bytes() < accounted - 20 * ELEMENTS);
        assert!(full - ledger::live() < 1000, "not yet");
        assert_eq!((keyspace.trash().pending(), keyspace.trash().freed()), (1, at as u64));
        free_all(&mut keyspace);
        assert_eq!((keyspace.trash().pending(), keyspace.trash().freed()), (0, at as u64 + 1));
        assert!(full - ledger::live() > 20 * ELEMENTS);
    }
    drop(keyspace);
    assert_eq!(ledger::live(), before);
}

#[test]
fn a_database_with_big_values_is_freed_in_bounded_pieces() {
    let before = ledger::live();
    let mut keyspace = Keyspace::new(2, KeyHasher::fixed());
    fill(&mut keyspace);
    keyspace.empty(0, true);
    assert_eq!(keyspace.trash().pending(), ELEMENTS as u64 + 3);
    free_all(&mut keyspace);
    // Big values count once more, when they are freed themselves.
    assert_eq!((keyspace.trash().pending(), keyspace.trash().freed()), (0, ELEMENTS as u64 + 6));
    assert_eq!(ledger::live(), before);
}

#[test]
fn what_is_overwritten_goes_to_the_trash_only_while_that_is_lent() {
    let hasher = KeyHasher::fixed();
    let key = hasher.key(b"hash");
    let mut keyspace = Keyspace::new(1, hasher.clone());
    fill(&mut keyspace);
    keyspace.db_mut(0).set(key, b"text", Deadline::None);
    assert!(keyspace.trash().is_empty());
    fill_again(&mut keyspace);
    keyspace.lend_trash(0);
    keyspace.db_mut(0).set(key, b"text", Deadline::None);
    // As DEL without its directive inside a command that lends.
    keyspace.with_db(0, false, |database| database.remove(hasher.key(b"set")));
    keyspace.take_trash(0);
    assert_eq!(keyspace.trash().pending(), 1);
    keyspace.db(0).check();
    let before = ledger::live();
    drop(keyspace);
    assert!(before > ledger::live(), "what is pending goes with the keyspace");
}

fn fill_again(keyspace: &mut Keyspace) {
    keyspace.empty(0, false);
    fill(keyspace);
}

#[test]
fn a_long_list_is_freed_node_by_node() {
    let (limits, hasher) = (Limits::default(), KeyHasher::fixed());
    let key = hasher.key(b"list");
    let mut keyspace = Keyspace::new(1, hasher.clone());
    let _ = keyspace.db_mut(0).edit(
        key,
        true,
        |_| false,
        |list: &mut List| {
            (0..ELEMENTS).for_each(|_| list.push(End::Right, &[b'v'; 100], &limits));
        },
    );
    keyspace.with_db(0, true, |database| assert!(database.remove(key)));
    let pieces = std::iter::from_fn(|| keyspace.free_piece().then_some(())).count();
    assert!(pieces > ELEMENTS * 100 / (16 << 10), "{pieces}");
    assert_eq!((keyspace.trash().pending(), keyspace.trash().freed()), (0, 1));
}
