//! Bytes that are no RDB file, or not quite: refused with a place, never a panic, and with no more
//! memory than the bytes themselves warrant.

use super::{
    PACKED,
    allocations::peak_of,
    builder::{Packed, file, intset, key, len, listpack, raw_id, s, text, ziplist, zipmap},
    written,
};
use proptest::prelude::*;
use quire_engine::rdb::{KeyHead, Kind, Problem, RdbFile, RdbKey, RdbValue, dump, fuzz};

/// A file with something of everything.
fn everything() -> Vec<u8> {
    let stream = listpack(&[
        Packed::Int(1),
        Packed::Int(0),
        Packed::Int(1),
        s("f"),
        Packed::Int(0),
        Packed::Int(2),
        Packed::Int(0),
        Packed::Int(0),
        s("v"),
        Packed::Int(4),
    ]);
    let counters = [1, 5, 0, 5, 0, 0, 0, 1, 1].map(len).concat();
    let group = [text(b"g"), len(5), len(0), len(1), len(1), raw_id(5, 0), vec![0; 8], len(1)];
    let consumer = [len(1), text(b"c"), vec![0; 8], len(1), raw_id(5, 0)].concat();
    let stream = [len(1), text(&raw_id(5, 0)), text(&stream), counters, group.concat(), consumer];
    let some = [s("a"), Packed::Int(1), s("long enough"), Packed::Int(-70_000)];
    let content = [
        b"\xfa\x03abc\xc0\x07\xfe\x01\xfb\x05\x00".to_vec(),
        b"\xfc\x00\x00\x00\x00\x00\x00\x00\x00\xf8\x03".to_vec(),
        key(0, "s", b"\xc3\x05\x0a\x00a\xe0\x00\x00"),
        key(1, "l", &[len(2), text(b"x"), text(b"yy")].concat()),
        key(3, "z", &[len(1), text(b"m"), b"\x013".to_vec()].concat()),
        key(5, "zz", &[len(1), text(b"m"), 1.5f64.to_le_bytes().to_vec()].concat()),
        key(4, "h", &[len(1), text(b"f"), text(b"v")].concat()),
        key(9, "zm", &text(&zipmap(&[("f", "v")], 1))),
        key(10, "zl", &text(&ziplist(&some))),
        key(11, "is", &text(&intset(2, &[1, 2, 3]))),
        key(14, "q1", &[len(1), text(&ziplist(&some))].concat()),
        key(16, "hl", &text(&listpack(&some))),
        key(17, "zl", &text(&listpack(&some))),
        key(18, "q2", &[len(2), len(1), text(b"p"), len(2), text(&listpack(&some))].concat()),
        key(20, "sl", &text(&listpack(&some))),
        key(19, "st", &stream.concat()),
        key(25, "hx", &[vec![0; 8], text(&listpack(&[s("f"), s("v"), Packed::Int(9)]))].concat()),
        b"\xf5\x01f\xf4\x01\x01\x01".to_vec(),
    ]
    .concat();
    file("REDIS0012", &content)
}

#[test]
fn a_file_that_is_cut_off_anywhere_says_so() {
    let whole = everything();
    assert_eq!(RdbFile::read(&whole, 3).unwrap().keys.len(), 15);
    for cut in 0..whole.len() {
        let error = RdbFile::read(&whole[..cut], 7).unwrap_err();
        assert!(matches!(error.kind, Problem::CutOff { .. }), "{cut}: {error}");
        assert_eq!(error.offset, cut as u64, "{error}");
    }
}

#[test]
fn a_changed_bit_is_found_by_the_checksum_at_least() {
    let whole = everything();
    for bit in 72..(whole.len() - 8) * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(RdbFile::read(&bytes, 64).is_err(), "bit {bit}");
    }
}

#[test]
fn packed_collections_are_checked_byte_for_byte() {
    let some = [s("a"), Packed::Int(300), s("some text"), Packed::Int(-70_000)];
    for (value_type, packed) in
        [(10, ziplist(&some)), (16, listpack(&some)), (11, intset(4, &[1, 2, 70_000]))]
    {
        let errors = (0..packed.len()).filter(|&at| {
            let mut bytes = packed.clone();
            bytes[at] = bytes[at].wrapping_add(0x80);
            RdbFile::read(&file("REDIS0010", &key(value_type, "k", &text(&bytes))), 99).is_err()
        });
        // What no check can find: letters, and digits that stay in order.
        let text_bytes = 10 + 8;
        assert!(errors.count() + text_bytes >= packed.len(), "type {value_type}");
        let longer = [&packed[..], &[0xff]].concat();
        for bytes in [&packed[..packed.len() - 1], &longer] {
            let bytes = file("REDIS0010", &key(value_type, "k", &text(bytes)));
            let error = RdbFile::read(&bytes, 99).unwrap_err();
            assert!(matches!(error.kind, Problem::Packed(_)), "{error}");
        }
    }
    for (value_type, packed, said) in [
        (11, intset(2, &[2, 1]), "an integer above the one before"),
        (11, intset(2, &[1, 1]), "an integer above the one before"),
        (16, listpack(&[s("f")]), "a field's value"),
        (17, listpack(&[s("m"), s("nan")]), "a score that is a number"),
        (17, listpack(&[s("m"), s("1x")]), "a score that is a number"),
        (25, [vec![0; 8], listpack(&[s("f"), s("v")])].concat(), "a listpack's length"),
    ] {
        let error = RdbFile::read(&file("REDIS0012", &key(value_type, "k", &text(&packed))), 9);
        let error = error.unwrap_err().to_string();
        assert!(error.contains(said) || value_type == 25, "{error}");
    }
}

#[test]
fn lengths_that_a_file_only_claims_take_no_memory() {
    let huge = [&[0x81][..], &(u64::MAX / 2).to_be_bytes()].concat();
    let long = [&[0x80][..], &u32::MAX.to_be_bytes()].concat();
    for (value_type, body) in [
        (0, huge.clone()),
        (0, long.clone()),
        (0, [b"\xc3\x03".to_vec(), long.clone(), b"\x02abc".to_vec()].concat()),
        (0, [b"\xc3".to_vec(), long.clone(), long.clone()].concat()),
        (1, huge.clone()),
        (4, huge.clone()),
        (14, huge.clone()),
        (15, huge.clone()),
        (16, long),
        (24, [vec![0; 8], huge].concat()),
    ] {
        let bytes = file("REDIS0012", &key(value_type, "k", &body));
        let (read, peak) = peak_of(|| RdbFile::read(&bytes, 64));
        assert!(read.unwrap_err().offset <= bytes.len() as u64);
        assert!(peak < 4096 + 8 * bytes.len(), "{peak} bytes for {}", bytes.len());
    }
    // What compression promises at best, and the string itself.
    let bomb = [b"\x00a".to_vec(), b"\xe0\xff\x00".repeat(1000)].concat();
    let value = [b"\xc3".to_vec(), len(bomb.len()), len(1 + 264 * 1000), bomb].concat();
    let bytes = file("REDIS0010", &key(0, "k", &value));
    let (read, peak) = peak_of(|| RdbFile::read(&bytes, 64));
    assert!(read.is_ok() && peak < 300 * bytes.len(), "{peak} bytes for {}", bytes.len());
}

fn keys() -> impl Strategy<Value = Vec<RdbKey>> {
    let text = || {
        prop_oneof![
            4 => prop::collection::vec(any::<u8>(), 0..12),
            2 => any::<i32>().prop_map(|n| n.to_string().into_bytes()),
            1 => (any::<u8>(), 1usize..3000).prop_map(|(byte, n)| vec![byte; n]),
        ]
    };
    let score = prop_oneof![any::<i32>().prop_map(f64::from), -1e300..1e300, Just(f64::INFINITY)];
    let value = prop_oneof![
        text().prop_map(RdbValue::String),
        prop::collection::vec(text(), 0..20).prop_map(RdbValue::List),
        prop::collection::btree_set(text(), 0..20)
            .prop_map(|members| RdbValue::Set(members.into_iter().collect())),
        prop::collection::vec(any::<i64>(), 0..20).prop_map(|mut members| {
            members.sort_unstable();
            members.dedup();
            RdbValue::Set(members.iter().map(|n| n.to_string().into_bytes()).collect())
        }),
        prop::collection::btree_map(text(), text(), 0..20).prop_map(|fields| {
            RdbValue::Hash(fields.into_iter().map(|(f, v)| (f, v, None)).collect())
        }),
        prop::collection::btree_map(text(), score, 0..20)
            .prop_map(|members| { RdbValue::Zset(members.into_iter().collect()) }),
    ];
    let head = (0u64..16, text(), prop::option::of(any::<i64>()), prop::option::of(any::<u8>()));
    let key = (head, value).prop_map(|((db, key, expires_ms, freq), value)| {
        let kind: Kind = value.kind();
        let head = KeyHead {
            db,
            key,
            kind,
            packed: false,
            count: None,
            expires_ms,
            idle_s: None,
            freq,
            offset: 0,
        };
        RdbKey { head, value }
    });
    prop::collection::vec(key, 0..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn what_is_written_is_read_again(keys in keys(), piece in 1usize..5000) {
        let bytes = written(&keys, PACKED).unwrap();
        let file = RdbFile::read(&bytes, piece).unwrap();
        prop_assert_eq!(file.keys.len(), keys.len());
        // The reader knows the order within a database as it was written.
        let order = super::neutral(&RdbFile { keys, ..RdbFile::default() });
        prop_assert_eq!(super::neutral(&file), order);
    }

    #[test]
    fn changed_files_are_read_or_refused(
        how in any::<u8>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = everything();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.insert(0, how | 1);
        fuzz::any_bytes(&bytes);
    }

    #[test]
    fn any_payload_is_read_or_refused(
        value_type in 0u8..30,
        version in prop_oneof![6u16..14, Just(80u16)],
        body in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let bytes = [&[3, value_type][..], &body, &version.to_le_bytes(), &[0; 8]].concat();
        fuzz::any_bytes(&bytes);
    }
}

#[test]
fn a_payload_with_a_wrong_footer_is_none() {
    let right = dump::string(b"value");
    assert!(dump::open(&right).is_some());
    for at in 0..right.len() {
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        assert!(dump::open(&wrong).is_none(), "byte {at}");
        assert!(dump::open(&right[..at]).is_none(), "length {at}");
    }
}
