//! How single values are stored: memory, encodings, edits in place.

use super::super::{Database, Deadline, KeyHasher, Str, memory::ledger};
use proptest::prelude::*;

fn database() -> (Database, KeyHasher) {
    let hasher = KeyHasher::fixed();
    (Database::new(hasher.clone()), hasher)
}

#[test]
fn a_key_of_16_and_a_value_of_64_bytes_take_96() {
    let (mut db, hasher) = database();
    let key = hasher.key(b"0123456789abcdef");
    db.set(key, &[b'v'; 64], Deadline::None);
    assert_eq!(db.get(key).map(|e| e.memory_bytes()), Some(96));
    db.set_deadline(key, Some(1));
    assert_eq!(db.get(key).map(|e| e.memory_bytes()), Some(112));
    db.set_int(key, 5, Deadline::None);
    assert_eq!(db.get(key).map(|e| e.memory_bytes()), Some(32));
}

#[test]
fn overwriting_within_a_size_class_allocates_nothing() {
    let (mut db, hasher) = database();
    let key = hasher.key(b"0123456789abcdef");
    let address = |db: &Database| db.get(key).map(|e| e.key().as_ptr().addr());
    db.set(key, &[b'v'; 53], Deadline::None);
    let before = address(&db);
    for len in 53..=68 {
        db.set(key, &vec![b'w'; len], Deadline::None);
        assert_eq!(address(&db), before, "length {len}");
    }
    // A deadline moves the key by eight bytes, within the same allocation.
    db.set(key, &[b'x'; 60], Deadline::At(77));
    assert_eq!(address(&db), before.map(|at| at + 8));
    db.set_deadline(key, None);
    assert_eq!(address(&db), before);
    let entry = db.get(key).expect("was set");
    assert_eq!((entry.key(), entry.value()), (key.bytes, Str::Bytes(&[b'x'; 60])));
    // Long values: their own memory is used again too.
    let value = |db: &Database| match db.get(key).map(|e| e.value()) {
        Some(Str::Bytes(bytes)) => bytes.as_ptr().addr(),
        _ => 0,
    };
    db.set(key, &[b'y'; 5000], Deadline::None);
    let before = value(&db);
    db.set(key, &[b'z'; 4900], Deadline::None);
    assert_eq!(value(&db), before);
}

#[test]
fn encodings_are_what_redis_says() {
    // Asked of redis-server 7.0.15 with OBJECT ENCODING after the same commands.
    let (mut db, hasher) = database();
    let key = hasher.key(b"k");
    let encoding = |db: &Database| db.get(key).map(|e| e.encoding());
    for (value, expected) in [
        ("12345", "int"),
        ("-9223372036854775808", "int"),
        ("9223372036854775807", "int"),
        ("9223372036854775808", "embstr"),
        ("007", "embstr"),
        ("-0", "embstr"),
        ("", "embstr"),
        ("12345678901234567890123456789012345678901234", "embstr"),
        ("123456789012345678901234567890123456789012345", "raw"),
    ] {
        db.set(key, value.as_bytes(), Deadline::None);
        assert_eq!(encoding(&db), Some(expected), "{value}");
    }
    db.set(key, b"ab", Deadline::None);
    db.append(key, b"c");
    assert_eq!(encoding(&db), Some("raw"));
    db.set(key, b"12", Deadline::None);
    db.append(key, b"3");
    assert_eq!(encoding(&db), Some("raw"));
    db.remove(key);
    db.append(key, b"12");
    assert_eq!(encoding(&db), Some("int"));
    db.remove(key);
    db.write_range(key, 0, b"12");
    assert_eq!(encoding(&db), Some("raw"));
    let taken = db.take(key).expect("is there");
    db.put(key, taken);
    assert_eq!(encoding(&db), Some("raw"));
    db.set(key, b"12", Deadline::None);
    assert_eq!(encoding(&db), Some("int"));
}

#[test]
fn appending_byte_by_byte_moves_the_value_rarely() {
    let (mut db, hasher) = database();
    let key = hasher.key(b"log");
    let (mut moves, mut address, mut waste) = (0, 0, 0f64);
    for n in 1..=300_000usize {
        assert_eq!(db.append(key, b"x"), n);
        let entry = db.get(key).expect("was appended to");
        let Str::Bytes(bytes) = entry.value() else { panic!("not an integer") };
        moves += usize::from(bytes.as_ptr().addr() != address);
        address = bytes.as_ptr().addr();
        waste = waste.max(entry.memory_bytes() as f64 / (n + 200) as f64);
    }
    assert!(moves < 50, "{moves} moves");
    assert!(waste < 2.7, "{waste} times the bytes");
}

#[test]
fn access_bits_are_the_keys_own() {
    let (mut db, hasher) = database();
    let key = hasher.key(b"k");
    db.set(key, b"v", Deadline::At(9));
    db.get_mut(key).expect("was set").touch(0xFFAB_CDEF);
    let entry = db.get(key).expect("was set");
    assert_eq!(entry.access(), 0xAB_CDEF);
    assert_eq!(
        (entry.key(), entry.value(), entry.deadline()),
        (&b"k"[..], Str::Bytes(b"v"), Some(9))
    );
    assert_eq!((entry.encoding(), entry.kind()), ("embstr", crate::types::ValueType::String));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..Default::default() })]
    #[test]
    fn keys_and_values_of_any_length_are_stored(
        key in prop::collection::vec(any::<u8>(), 0..300),
        lengths in prop::collection::vec(0usize..4000, 1..6),
        deadlines in prop::collection::vec(prop::option::of(any::<i64>()), 6),
    ) {
        let (mut db, hasher) = database();
        let key = hasher.key(&key);
        for (len, at) in lengths.iter().zip(deadlines) {
            let value: Vec<u8> = (0..*len).map(|n| (n % 251) as u8).collect();
            db.set(key, &value, at.map_or(Deadline::None, Deadline::At));
            let entry = db.get(key).expect("was set");
            prop_assert_eq!((entry.key(), entry.deadline()), (key.bytes, at));
            prop_assert_eq!(entry.value().to_vec(), value);
            db.set_deadline(key, at.map_or(Some(1), |_| None));
            let entry = db.get(key).expect("was set");
            prop_assert_eq!((entry.key(), entry.value().len()), (key.bytes, *len));
        }
        drop(db);
        prop_assert_eq!(ledger::live(), 0);
    }
}

#[test]
fn a_string_that_a_range_makes_takes_no_more_than_one_that_is_set() {
    let (mut db, hasher) = database();
    let key = hasher.key(b"range");
    for len in [1usize, 100, 5_000, 100_001] {
        db.remove(key);
        assert_eq!(db.write_range(key, len - 1, b"x"), len);
        let ranged = db.get(key).map(|entry| entry.memory_bytes());
        let text = [vec![0; len - 1], b"x".to_vec()].concat();
        assert_eq!(db.get(key).map(|entry| entry.value() == Str::Bytes(&text)), Some(true));
        db.set(key, &text, Deadline::None);
        assert_eq!(db.get(key).map(|entry| entry.memory_bytes()), ranged, "{len} bytes");
    }
}
