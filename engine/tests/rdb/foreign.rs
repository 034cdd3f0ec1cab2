//! Encodings of other versions, older and newer than the one that is written.

use super::{
    PACKED,
    builder::{Packed, file, intset, key, len, listpack, raw_id, s, text, ziplist, zipmap},
    written,
};
use crate::{commands_driver::Driver, commands_oracle::Oracle, payloads::full};
use quire_engine::rdb::{Problem, RdbFile, RdbKey, RdbStream, RdbValue, StreamId, crc64};

fn read(bytes: &[u8]) -> RdbFile {
    let whole = RdbFile::read(bytes, usize::MAX).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(RdbFile::read(bytes, 1).unwrap(), whole, "byte by byte");
    whole
}

fn value(magic: &str, value_type: u8, body: &[u8]) -> RdbValue {
    let mut file = read(&file(magic, &key(value_type, "k", body)));
    assert_eq!(file.keys.len(), 1);
    file.keys.remove(0).value
}

fn texts(elements: &[Packed]) -> Vec<Vec<u8>> {
    let text = |element: &Packed| match element {
        Packed::Int(n) => n.to_string().into_bytes(),
        Packed::Text(text) => text.clone(),
    };
    elements.iter().map(text).collect()
}

/// Every form that an element of a packed collection has.
fn elements() -> Vec<Packed> {
    let mut all = vec![s(""), s("a"), s(&"b".repeat(63)), s(&"c".repeat(64))];
    all.extend([s(&"d".repeat(253)), s("after long"), s(&"e".repeat(4095)), s(&"f".repeat(4096))]);
    all.push(s(&"g".repeat(20_000)));
    for bits in [3, 7, 8, 11, 12, 13, 15, 16, 23, 24, 31, 32, 62] {
        let n = 1i64 << bits;
        all.extend([n, n - 1, -n, -n - 1].map(Packed::Int));
    }
    all.extend([0, 1, 12, 13, 127, 128, i64::MAX, i64::MIN].map(Packed::Int));
    all
}

fn pairs() -> [Packed; 6] {
    [s("one"), Packed::Int(1), s("half"), s("0.5"), Packed::Int(-7), s("-inf")]
}

fn scored(value: RdbValue) -> Vec<(String, f64)> {
    let RdbValue::Zset(members) = value else { panic!("{value:?}") };
    members.into_iter().map(|(m, score)| (String::from_utf8(m).unwrap(), score)).collect()
}

#[test]
fn packed_collections_of_every_age_are_read() {
    let all = elements();
    let expected = texts(&all);
    assert_eq!(value("REDIS0006", 10, &text(&ziplist(&all))), RdbValue::List(expected.clone()));
    let (first, rest) = all.split_at(9);
    let nodes = [len(2), text(&ziplist(first)), text(&ziplist(rest))].concat();
    assert_eq!(value("REDIS0007", 14, &nodes), RdbValue::List(expected.clone()));
    let nodes = [len(3), len(2), text(&listpack(first)), len(1), text(b"plain"), len(2)];
    let nodes = [nodes.concat(), text(&listpack(rest))].concat();
    let mut with_plain = expected.clone();
    with_plain.insert(9, b"plain".to_vec());
    assert_eq!(value("REDIS0010", 18, &nodes), RdbValue::List(with_plain));
    assert_eq!(value("REDIS0011", 20, &text(&listpack(&all))), RdbValue::Set(expected));
    for (value_type, packed) in [(12, ziplist(&pairs())), (17, listpack(&pairs()))] {
        let scores = scored(value("REDIS0010", value_type, &text(&packed)));
        let half = ("half".to_owned(), 0.5);
        assert_eq!(scores, [("one".to_owned(), 1.0), half, ("-7".to_owned(), f64::NEG_INFINITY)]);
    }
    let fields = RdbValue::Hash(vec![
        (b"one".to_vec(), b"1".to_vec(), None),
        (b"half".to_vec(), b"0.5".to_vec(), None),
        (b"-7".to_vec(), b"-inf".to_vec(), None),
    ]);
    for (value_type, packed) in [(13, ziplist(&pairs())), (16, listpack(&pairs()))] {
        assert_eq!(value("REDIS0009", value_type, &text(&packed)), fields);
    }
}

#[test]
fn zipmaps_intsets_and_textual_scores_are_read() {
    let long = "v".repeat(300);
    for unused in [0, 3] {
        let packed = zipmap(&[("f", "v"), ("g", &long), (&long, "")], unused);
        let RdbValue::Hash(fields) = value("REDIS0006", 9, &text(&packed)) else { panic!() };
        let fields: Vec<_> = fields.iter().map(|(f, v, _)| (f.len(), v.len())).collect();
        assert_eq!(fields, [(1, 1), (1, 300), (300, 0)]);
    }
    for (width, integers) in
        [(2, vec![-32_768, 0, 5, 32_767]), (4, vec![-70_000, 1]), (8, vec![i64::MIN, i64::MAX])]
    {
        let expected = integers.iter().map(|n| n.to_string().into_bytes()).collect();
        let packed = intset(width, &integers);
        assert_eq!(value("REDIS0006", 11, &text(&packed)), RdbValue::Set(expected));
    }
    let body = [len(4), text(b"a"), b"\x043.25".to_vec(), text(b"b"), b"\xfe".to_vec()].concat();
    let body = [body, text(b"c"), b"\xff".to_vec(), text(b"d"), b"\x051e+17".to_vec()].concat();
    let scores: Vec<f64> = scored(value("REDIS0007", 3, &body)).iter().map(|m| m.1).collect();
    assert_eq!(scores, [3.25, f64::INFINITY, f64::NEG_INFINITY, 1e17]);
}

#[test]
fn deadlines_of_fields_are_kept() {
    let at = 1_900_000_000_000i64;
    let deadlines = |value| match value {
        RdbValue::Hash(fields) => fields.into_iter().map(|(_, _, ms)| ms).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let first = at.to_le_bytes().to_vec();
    let expected = [None, Some(at), Some(at + 41)];
    let field = |ttl: usize| [len(ttl), text(b"f"), text(b"v")].concat();
    let body = [first.clone(), len(3), field(0), field(1), field(42)].concat();
    assert_eq!(deadlines(value("REDIS0012", 24, &body)), expected);
    let packed = [s("f"), s("v"), Packed::Int(0), s("g"), s("v"), Packed::Int(at)];
    let packed = [&packed[..], &[s("h"), s("v"), Packed::Int(at + 41)]].concat();
    let body = [first, text(&listpack(&packed))].concat();
    assert_eq!(deadlines(value("REDIS0012", 25, &body)), expected);
    let field = |ms: i64| [text(b"f"), text(b"v"), ms.to_le_bytes().to_vec()].concat();
    let body = [len(3), field(-1), field(at), field(at + 41)].concat();
    assert_eq!(deadlines(value("VALKEY080", 22, &body)), expected);
}

/// A stream's nodes: two live entries and a deleted one, in two shapes.
fn nodes() -> Vec<u8> {
    use Packed::Int;
    let node = listpack(&[
        Int(2),
        Int(1),
        Int(1),
        s("f"),
        Int(0),
        Int(2),
        Int(0),
        Int(0),
        s("first"),
        Int(4),
        Int(3),
        Int(1),
        Int(-4),
        s("gone"),
        Int(4),
        Int(0),
        Int(2),
        Int(-5),
        Int(2),
        s("g"),
        Int(7),
        s("h"),
        s(""),
        Int(8),
    ]);
    [len(1), text(&raw_id(1000, 5)), text(&node)].concat()
}

/// A stream of this version.
fn stream(value_type: u8) -> Vec<u8> {
    let mut body = [nodes(), len(2), len(1005), len(0)].concat();
    if value_type >= 19 {
        body.extend([len(1000), len(5), len(1001), len(1), len(4)].concat());
    }
    body.extend([len(1), text(b"group"), len(1000), len(5)].concat());
    if value_type >= 19 {
        body.extend([&[0x81][..], &u64::MAX.to_be_bytes()].concat());
    }
    body.extend([len(1), raw_id(1000, 5), 77i64.to_le_bytes().to_vec(), len(3)].concat());
    body.extend([len(1), text(b"consumer"), 78i64.to_le_bytes().to_vec()].concat());
    if value_type >= 21 {
        body.extend(79i64.to_le_bytes());
    }
    body.extend([len(1), raw_id(1000, 5)].concat());
    if value_type == 26 {
        body.extend([len(100), len(50), len(0), len(9), len(1)].concat());
    }
    body
}

#[test]
fn streams_of_every_version_are_read() {
    for (magic, value_type) in [
        ("REDIS0009", 15),
        ("REDIS0010", 19),
        ("REDIS0011", 21),
        ("VALKEY080", 21),
        ("REDIS0013", 26),
    ] {
        let RdbValue::Stream(RdbStream { nodes, head, groups }) =
            value(magic, value_type, &stream(value_type))
        else {
            panic!("a stream")
        };
        let id = |ms, seq| StreamId { ms, seq };
        let text = |s: &str| s.as_bytes().to_vec();
        assert_eq!(nodes.len(), 1);
        let entries = &nodes[0].1;
        assert_eq!(entries[0], (id(1000, 5), vec![(text("f"), text("first"))]));
        let pairs = vec![(text("g"), text("7")), (text("h"), text(""))];
        assert_eq!(entries[1], (id(1002, 0), pairs));
        assert_eq!(entries.len(), 2);
        assert_eq!((head.length, head.last_id), (2, id(1005, 0)));
        let counted = value_type >= 19;
        assert_eq!(head.entries_added, counted.then_some(4));
        assert_eq!(head.max_deleted_id, counted.then_some(id(1001, 1)));
        let group = &groups[0];
        assert_eq!(group.head.entries_read, counted.then_some(-1));
        assert_eq!(group.pending, [(id(1000, 5), 77, 3)]);
        let (consumer, owned) = &group.consumers[0];
        assert_eq!((consumer.seen_ms, consumer.active_ms), (78, (value_type >= 21).then_some(79)));
        assert_eq!(owned, &[id(1000, 5)]);
    }
}

#[test]
fn opcodes_of_every_version_are_read_or_passed_over() {
    let module_aux = [
        &[247u8][..],
        &[0x81, 0, 0, 0, 0, 0, 0, 0, 1],
        &[2, 2, 1, 5, 2, 6, 4, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 5, 3],
        b"abc",
        &[0],
    ]
    .concat();
    let content = [
        b"\xfa\x03pad\x00".to_vec(),
        module_aux,
        b"\xf4\x05\x01\x00".to_vec(),
        [&[245][..], &text(b"#!lua")].concat(),
        b"\xfe\x03\xfb\x40\x64\x02".to_vec(),
        b"\xfd\xff\xff\xff\x7f\xf8\x07\xfa\x00\x00".to_vec(),
        key(0, "seconds", &text(b"v")),
        b"\xfc\x01\x02\x03\x04\x05\x06\x07\x00\xf9\x09".to_vec(),
        key(0, "millis", b"\xc1\x00\x80"),
        b"\xfe\x00".to_vec(),
        key(0, "plain", b"\xc3\x05\x0a\x00a\xe0\x00\x00"),
    ]
    .concat();
    for version in 5..=13 {
        let file = read(&file(&format!("REDIS{version:04}"), &content));
        assert_eq!((file.version, file.functions.len(), file.aux.len()), (version, 1, 2));
        let [seconds, millis, plain] = file.keys.try_into().unwrap();
        let RdbKey { head, value } = seconds;
        assert_eq!((head.db, head.expires_ms), (3, Some(i64::from(i32::MAX) * 1000)));
        assert_eq!((head.idle_s, head.freq), (Some(7), None));
        assert_eq!(value, RdbValue::String(b"v".to_vec()));
        let RdbKey { head, value } = millis;
        assert_eq!((head.expires_ms, head.freq), (Some(0x07_0605_0403_0201), Some(9)));
        assert_eq!(value, RdbValue::String(b"-32768".to_vec()));
        let RdbKey { head, value } = plain;
        assert_eq!((head.db, head.expires_ms, head.idle_s), (0, None, None));
        assert_eq!(value, RdbValue::String(b"aaaaaaaaaa".to_vec()));
    }
    // Without a checksum: none before version 5, one of 0 later.
    let old = [b"REDIS0004".as_slice(), &key(0, "k", &text(b"v")), b"\xff"].concat();
    assert_eq!(read(&old).keys.len(), 1);
    let unchecked = [b"REDIS0009".as_slice(), b"\xff", &[0; 8], b"*1\r\n"].concat();
    assert_eq!(read(&unchecked).bytes, 18);
}

#[test]
fn what_is_not_read_is_refused_by_name() {
    let module = [&[0x81][..], &[0x35, 0xd7, 0x1a, 0x9d, 0xf2, 0xc1, 0x8c, 0x00]].concat();
    for (magic, content, said) in [
        ("REDIS0014", vec![], "the format is REDIS0014"),
        ("VALKEY081", vec![], "the format is VALKEY081"),
        ("REDIS0010", b"\xf6".to_vec(), "7.0 release candidate"),
        ("REDIS0013", b"\xf3".to_vec(), "metadata of a key (Redis 8.6)"),
        ("VALKEY080", b"\xf3".to_vec(), "slot import"),
        ("REDIS0010", key(7, "m", &module), "module type"),
        ("REDIS0010", key(6, "m", &[0; 9]), "4.0 release candidate"),
        ("REDIS0012", key(22, "h", &[0; 9]), "7.4 release candidate"),
        ("REDIS0012", key(23, "h", &[0; 9]), "7.4 release candidate"),
        ("REDIS0010", key(8, "x", &[0; 9]), "no known type of value: 8"),
        ("REDIS0010", key(99, "x", &[0; 9]), "no known type of value: 99"),
    ] {
        let error = RdbFile::read(&file(magic, &content), 100).unwrap_err();
        assert!(matches!(error.kind, Problem::Unsupported(_)), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
    let named = [b"\xfe\x05".to_vec(), key(7, "a key", &module)].concat();
    let error = RdbFile::read(&file("REDIS0010", &named), 100).unwrap_err().to_string();
    assert!(error.contains("key 'a key' of database 5, value of type 7"), "{error}");
    let mut producers = stream(26);
    let at = producers.len() - 3;
    producers[at] = 1;
    let error = RdbFile::read(&file("REDIS0013", &key(26, "k", &producers)), 9).unwrap_err();
    assert!(error.to_string().contains("idempotent producers"), "{error}");
}

#[test]
fn stock_agrees_on_what_the_old_encodings_hold() {
    let (first, rest) = (elements(), elements());
    let nodes = [len(2), text(&ziplist(&first)), text(&ziplist(&rest))].concat();
    let content = [
        key(10, "list", &text(&ziplist(&elements()))),
        key(14, "nodes", &nodes),
        key(9, "map", &text(&zipmap(&[("f", "v"), ("g", &"w".repeat(300))], 2))),
        key(11, "ints", &text(&intset(4, &[-70_000, 1, 99]))),
        key(12, "zset", &text(&ziplist(&[Packed::Int(-7), s("-inf"), s("x"), s("0.5")]))),
        key(13, "hash", &text(&ziplist(&pairs()))),
        key(15, "stream", &stream(15)),
        key(19, "counted", &stream(19)),
        key(3, "scores", &[len(1), text(b"a"), b"\x043.25".to_vec()].concat()),
    ]
    .concat();
    let theirs = file("REDIS0009", &content);
    let ours = written(&read(&theirs).keys, PACKED).unwrap();
    let mut redis = Oracle::start();
    let mut digests = Vec::new();
    for bytes in [theirs, ours] {
        std::fs::write(redis.folder().join("dump.rdb"), bytes).unwrap();
        assert_eq!(redis.line("DEBUG RELOAD NOSAVE"), "+OK\r\n");
        assert_eq!(redis.line("DBSIZE"), ":9\r\n");
        digests.push(redis.line("DEBUG DIGEST"));
    }
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn streams_of_every_version_are_restored_with_all_that_stock_makes_of_them() {
    let (mut redis, mut ours) = (Oracle::start(), Driver::new(false));
    let payload = |value_type: u8, version: u16| {
        let mut bytes = [&[value_type][..], &stream(value_type), &version.to_le_bytes()].concat();
        bytes.extend(crc64::update(0, &bytes).to_le_bytes());
        bytes
    };
    let info = ["XINFO", "STREAM", "s", "FULL"];
    for (value_type, version) in [(15, 9), (19, 10), (21, 11)] {
        let payload = payload(value_type, version);
        let restore: [&[u8]; 5] = [b"RESTORE", b"s", b"0", &payload, b"REPLACE"];
        assert_eq!(ours.execute(&restore), b"+OK\r\n", "type {value_type}");
        if value_type < 21 {
            redis.send(&restore);
            assert_eq!(redis.receive(), b"+OK\r\n", "type {value_type}");
        }
        // What 7.0 does not know of type 21 it passes over here, so that is type 19.
        redis.send(&info);
        assert_eq!(full(&ours.execute(&info)), full(&redis.receive()), "type {value_type}");
    }
}
