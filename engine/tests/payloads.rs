//! DUMP's payloads of collections: those of stock Redis where elements have an order, and read by it
//! always.

use super::{
    commands_driver::{Driver, digest},
    commands_oracle::Oracle,
};

/// Lines that make a collection each, in every form: under `k`.
const MAKERS: &[&str] = &[
    "HSET k a 1 b two c -3.5 d 99999999999",
    "SADD k 1 2 3 -40000 9999999999",
    "SADD k 1",
    "SADD k one two 3",
    "ZADD k 1 a 2.5 b -inf c inf d -0 e 1e17 f 10000000000000000 g 4503599627370497 h 0.1 i",
    "ZADD k 3.0000000000000004 a 1e300 b -9223372036854775808 c 9007199254740993 d",
];

/// Whether Redis has an order for its elements, so that the payload is the same.
fn is_ordered(driver: &mut Driver) -> bool {
    !driver.line("OBJECT ENCODING k").contains("hashtable")
}

fn bulk(reply: &[u8]) -> Vec<u8> {
    let start = reply.iter().position(|&b| b == b'\n').expect("a header") + 1;
    reply[start..reply.len() - 2].to_vec()
}

#[test]
fn payloads_of_collections_are_redis_own_and_read_by_it() {
    let mut oracle = Oracle::start();
    let mut lines: Vec<Vec<String>> =
        MAKERS.iter().map(|line| line.split(' ').map(str::to_owned).collect()).collect();
    // The big forms.
    for (name, width) in [("HSET", 2), ("SADD", 1), ("ZADD", 2)] {
        let mut line = vec![name.to_owned(), "k".to_owned()];
        for n in 0..600 {
            line.extend((0..width).map(|_| (n * 7 % 601).to_string()));
        }
        line.extend((0..width).map(|_| "5".to_owned()));
        lines.push(line.clone());
        *line.last_mut().expect("it has words") = "x".repeat(70);
        lines.extend((name != "ZADD").then_some(line));
    }
    for line in lines {
        let mut driver = Driver::new(false);
        let mut both = |line: &[&[u8]]| {
            oracle.send(line);
            (driver.execute(line), oracle.receive())
        };
        let (ours, theirs) = both(&line.iter().map(String::as_bytes).collect::<Vec<_>>());
        assert_eq!(ours, theirs, "{line:?}");
        let (ours, theirs) = both(&[b"DUMP", b"k"]);
        let (ours, theirs) = (bulk(&ours), bulk(&theirs));
        // Theirs is read here.
        let restored = driver.execute(&[b"RESTORE".as_slice(), b"k2", b"0", &theirs]);
        assert_eq!(restored, b"+OK\r\n", "{line:?}");
        if is_ordered(&mut driver) {
            assert_eq!(ours.escape_ascii().to_string(), theirs.escape_ascii().to_string());
        }
        // Ours is read there.
        oracle.send(&[b"RESTORE".as_slice(), b"k2", b"0", &ours]);
        assert_eq!(oracle.receive(), b"+OK\r\n", "{line:?}");
        let theirs = oracle.line("DEBUG DIGEST");
        assert_eq!(theirs.trim_end(), format!("+{}", digest(&driver.shard)), "{line:?}");
        let encoding = driver.line("OBJECT ENCODING k2");
        assert_eq!(encoding, oracle.line("OBJECT ENCODING k2"), "{line:?}");
        oracle.line("FLUSHALL");
    }
}

/// XINFO STREAM .. FULL without how blocks lie in the tree of blocks.
pub fn full(reply: &[u8]) -> String {
    let text = reply.escape_ascii().to_string();
    let nodes = "radix-tree-nodes\\r\\n:";
    let Some(at) = text.find(nodes) else { return text };
    let rest = &text[at + nodes.len()..];
    format!("{}{}", &text[..at], rest.trim_start_matches(|c: char| c.is_ascii_digit()))
}

/// A key that both servers have goes from each to the other with all that XINFO tells, times of
/// delivery and blocks included; false when there is none.
pub fn stream_goes_both_ways(oracle: &mut Oracle, driver: &mut Driver, key: &str) -> bool {
    if oracle.line(&format!("EXISTS {key}")) != ":1\r\n" {
        return false;
    }
    oracle.send(&["DUMP", key]);
    let theirs = oracle.receive();
    let info: [&[u8]; 5] = [b"XINFO", b"STREAM", b"copy", b"FULL", b"COUNT"];
    let info = [&info[..], &[b"100000"]].concat();
    let ours = bulk(&driver.execute(&["DUMP", key]));
    for payload in [&bulk(&theirs), &ours] {
        let restore: [&[u8]; 5] = [b"RESTORE", b"copy", b"0", payload, b"REPLACE"];
        oracle.send(&restore);
        assert_eq!(oracle.receive(), b"+OK\r\n");
        assert_eq!(driver.execute(&restore), b"+OK\r\n");
        oracle.send(&info);
        assert_eq!(full(&driver.execute(&info)), full(&oracle.receive()));
    }
    let (theirs, mine) = (oracle.line("DEL copy"), driver.line("DEL copy"));
    theirs == mine
}

/// Lines, and the limits under which what DUMP then gives is restored: entries, length of one.
const RESTORED: &[(&str, usize, usize)] = &[
    ("HSET k field a-value-of-some-length", 4, 3),
    ("HSET k a 1 b 2 c 3", 2, 64),
    ("ZADD k 1 a-member-of-some-length", 4, 3),
    ("ZADD k 1 a 2 b 3 c", 2, 64),
    ("SADD k 1 2 3", 2, 64),
    ("SADD k a b c", 2, 64),
];

#[test]
fn packed_payloads_stay_small_unless_they_have_too_many_elements() {
    let mut oracle = Oracle::start();
    let entries = ["hash-max-listpack-entries", "zset-max-listpack-entries"];
    let values = ["hash-max-listpack-value", "zset-max-listpack-value"];
    for &(line, most, longest) in RESTORED {
        // What is small becomes big or not; what is big becomes small or not.
        for begins_small in [true, false] {
            let mut driver = Driver::new(false);
            let limit = |oracle: &mut Oracle, driver: &mut Driver, most: usize, longest: usize| {
                for name in entries.into_iter().chain(["set-max-intset-entries"]) {
                    oracle.line(&format!("CONFIG SET {name} {most}"));
                }
                for name in values {
                    oracle.line(&format!("CONFIG SET {name} {longest}"));
                }
                let limits = &mut driver.shard.limits;
                (limits.hash_entries, limits.zset_entries, limits.set_ints) = (most, most, most);
                (limits.hash_value, limits.zset_value) = (longest, longest);
            };
            let (n, length) = if begins_small { (128, 64) } else { (0, 0) };
            limit(&mut oracle, &mut driver, n, length);
            assert_eq!(driver.line(line), oracle.line(line), "{line}");
            oracle.send(&["DUMP", "k"]);
            let (theirs, ours) = (oracle.receive(), driver.execute(&["DUMP", "k"]));
            limit(&mut oracle, &mut driver, most, longest);
            for payload in [bulk(&theirs), bulk(&ours)] {
                let restore: [&[u8]; 5] = [b"RESTORE", b"copy", b"0", &payload, b"REPLACE"];
                oracle.send(&restore);
                assert_eq!(driver.execute(&restore), oracle.receive(), "{line}");
                let encoding = driver.line("OBJECT ENCODING copy");
                assert_eq!(encoding, oracle.line("OBJECT ENCODING copy"), "{line} {begins_small}");
            }
            oracle.line("FLUSHALL");
        }
    }
}
