//! Every command of the engine answers as `redis-server` 7.0 does.

use super::{
    commands_driver::{Driver, content, digest, now_ms},
    commands_generator::{Agreement, Generator},
    commands_oracle::Oracle,
};

/// Lines sent before replies are read.
const PIPELINE: usize = 64;
/// How far apart the two servers execute the same line at most, ms.
const SKEW_MS: i64 = 5_000;

/// Seed of the first run; another one by the environment.
fn seed() -> u64 {
    std::env::var("QUIRE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

fn integer(reply: &[u8]) -> Option<i64> {
    std::str::from_utf8(reply).ok()?.trim_end().strip_prefix(':')?.parse().ok()
}

/// The elements of a flat array of bulk strings, sorted. A bulk may hold line ends, so they are
/// cut by their lengths.
fn elements(reply: &[u8]) -> Vec<Vec<u8>> {
    let line_end = |at: usize| {
        at + reply[at..].windows(2).position(|w| w == b"\r\n").expect("lines have ends")
    };
    let mut at = line_end(0) + 2;
    let mut found = Vec::new();
    while at < reply.len() {
        let end = line_end(at);
        let len: usize = String::from_utf8_lossy(&reply[at + 1..end]).parse().expect("a length");
        found.push(reply[end + 2..end + 2 + len].to_vec());
        at = end + 2 + len + 2;
    }
    found.sort();
    found
}

fn agree(how: Agreement, redis: &[u8], ours: &[u8]) -> bool {
    let near = |tolerance: i64| match (integer(redis), integer(ours)) {
        (Some(a), Some(b)) => a == b || (a.min(b) > 0 && (a - b).abs() <= tolerance),
        _ => redis == ours,
    };
    match how {
        Agreement::Exact => redis == ours,
        Agreement::Seconds => near(SKEW_MS / 1000),
        Agreement::Milliseconds => near(SKEW_MS),
        Agreement::Null => redis.starts_with(b"$-1") == ours.starts_with(b"$-1"),
        Agreement::Unordered => {
            redis == ours
                || (redis.starts_with(b"*")
                    && ours.starts_with(b"*")
                    && elements(redis) == elements(ours))
        }
    }
}

/// Runs `lines` random lines on both; panics at the first difference.
fn compare(oracle: &mut Oracle, seed: u64, resp3: bool, lines: usize) {
    oracle.line("FLUSHALL");
    oracle.line(if resp3 { "HELLO 3" } else { "HELLO 2" });
    oracle.line("SELECT 0");
    let mut ours = Driver::new(resp3);
    let mut generator = Generator::new(seed);
    let mut history = Vec::new();
    let mut done = 0;
    while done < lines {
        let mut expected = Vec::new();
        for _ in 0..PIPELINE {
            if generator.below(50) == 0 {
                ours.db = generator.below(3);
                oracle.send(&["SELECT".to_owned(), ours.db.to_string()]);
                expected.push((vec![], Agreement::Exact, b"+OK\r\n".to_vec()));
            }
            let (line, agreement) = generator.line(now_ms());
            oracle.send(&line);
            let reply = ours.execute(&line);
            expected.push((line, agreement, reply));
        }
        for (line, agreement, reply) in expected {
            done += 1;
            let shown: Vec<String> = line.iter().map(|arg| text(arg)).collect();
            let redis = oracle.receive();
            history.push(shown.join(" "));
            assert!(
                agree(agreement, &redis, &reply),
                "seed {seed}, line {done}: {}\nredis: {}\n ours: {}\nbefore: {:#?}",
                shown.join(" "),
                text(&redis),
                text(&reply),
                &history[history.len().saturating_sub(30)..],
            );
        }
    }
    // Deadlines that have passed: SCAN removes such keys in Redis, a cycle does here.
    ours.shard.expire_cycle(now_ms(), usize::MAX);
    for db in 0..3 {
        ours.db = db;
        oracle.line(&format!("SELECT {db}"));
        oracle.line("SCAN 0 COUNT 100000");
        for key in elements(&ours.execute(&["KEYS", "*"])) {
            oracle.send(&[b"DEBUG".to_vec(), b"DIGEST-VALUE".to_vec(), key.clone()]);
            let value = text(&oracle.receive());
            let digest = ours.shard.digest_value(db, &key).hex();
            assert!(value.contains(&digest), "seed {seed}, db {db}, key {}", text(&key));
        }
    }
    let redis = oracle.line("DEBUG DIGEST");
    assert_eq!(redis.trim_end(), format!("+{}", ours.digest()), "seed {seed}");
    let replayed = ours.replayed();
    assert_eq!(digest(&replayed), ours.digest(), "seed {seed}: the log makes the same state");
    assert_eq!(content(&replayed), content(&ours.shard), "seed {seed}");
}

#[test]
fn random_commands_answer_as_redis_does_in_both_protocols() {
    let mut oracle = Oracle::start();
    for run in 0..4 {
        compare(&mut oracle, seed() + run, run >= 2, 5_000);
    }
}

#[test]
fn a_string_grows_to_the_limit_and_not_beyond() {
    let mut oracle = Oracle::start();
    let mut ours = Driver::new(false);
    for line in [
        "SETRANGE k 536870911 x",
        "STRLEN k",
        "APPEND k y",
        "SETRANGE k 536870912 y",
        "SETRANGE k 536870912 ",
        "LCS k none",
        "DEL k",
    ] {
        assert_eq!(oracle.line(line), ours.line(line), "{line}");
    }
}

/// Lines whose replies chance would rarely bring about, executed in this order.
const EDGES: &[&str] = &[
    "BITFIELD sat OVERFLOW SAT SET i9 0 -9223372036854775808 GET i9 0 SET i9 0 -9223372036854775300 GET i9 0",
    "BITFIELD sat OVERFLOW SAT SET i9 0 -9223372036854775553 GET i9 0 SET i9 0 -9223372036854775552 GET i9 0",
    "BITFIELD sat OVERFLOW SAT SET i64 0 -9223372036854775808 GET i64 0 INCRBY i64 0 -1 SET i63 0 -9223372036854775808 GET i63 0",
    "BITFIELD sat SET i9 0 1 OVERFLOW SAT INCRBY i9 0 -9223372036854775808 SET i9 0 -256 INCRBY i9 0 -9223372036854775808",
    "DEL sat",
    // A number that is stored as text keeps its deadline when it is counted up.
    "SET k 1 PXAT 4102444800000",
    "APPEND k 0",
    "OBJECT ENCODING k",
    "INCR k",
    "OBJECT ENCODING k",
    "PEXPIRETIME k",
    "SETRANGE k 0 x",
    "INCR k",
    "INCRBYFLOAT k 1",
    "SET k 9223372036854775807",
    "INCR k",
    "DECRBY k -9223372036854775808",
    "DECRBY k -1",
    "SET k 3.0e3",
    "INCRBYFLOAT k 2",
    "GET k",
    "SET k  5",
    "INCR k",
    "SETRANGE k 9999999999 ",
    "SETRANGE nokey 9999999999 ",
    "EXISTS nokey",
    "SETRANGE k -1 x",
    "APPEND e ",
    "EXISTS e",
    "GET e",
    "OBJECT ENCODING e",
    "STRLEN e",
    "GETRANGE e 0 -1",
    "SET s hello",
    "GETRANGE s -9223372036854775808 9223372036854775807",
    "GETRANGE s 3 -9223372036854775808",
    "GETRANGE s 5 5",
    "GETRANGE s -1 -9223372036854775808",
    // Deadlines.
    "EXPIRE s 9223372036854775",
    "EXPIRE s 9223372036854776",
    "EXPIRE s -9223372036854776",
    "PEXPIREAT s 9223372036854775807",
    "PEXPIRETIME s",
    "EXPIRETIME nokey",
    "PEXPIRE s 9223372036854775807",
    "EXPIREAT s 9223372036854775",
    "EXPIRE nokey x",
    "EXPIRE s 10 NX XX GT",
    "EXPIRE s 10 GT LT",
    "EXPIRE s 10 nonsense",
    "PERSIST s",
    "PERSIST s",
    "EXPIRE s 10 XX GT",
    "EXPIRE s -1 NX",
    "EXISTS s",
    "TTL s",
    "SET s v EXAT 9223372036854775",
    "SET s v EXAT 9223372036854776",
    "SET s v PXAT 0",
    "SET s v EX 1 PX 1",
    "SET s v KEEPTTL PXAT 1",
    "SET s v NX XX",
    "SET s v GET NX",
    "GET s",
    "SET new v NX GET",
    "SET new v2 NX GET",
    "GET new",
    "SETEX s 0 v",
    "SETEX s 9223372036854775807 v",
    "PSETEX s 9223372036854775807 v",
    "GETEX nokey EX 0",
    "GETEX new EX 0",
    "GETEX new PERSIST EX 1",
    "GETEX new KEEPTTL",
    "GETEX new PXAT 1",
    "EXISTS new",
    // Places.
    "RENAME nokey nokey",
    "SET r 1 PXAT 4102444800000",
    "RENAME r r",
    "RENAMENX r r",
    "SET t 2",
    "RENAMENX r t",
    "RENAME r t",
    "PEXPIRETIME t",
    "MOVE t 0",
    "MOVE t 2147483648",
    "MOVE t -1",
    "COPY t t",
    "COPY t t DB 0",
    "COPY t t DB 1",
    "COPY t t DB 1",
    "COPY t t DB 1 REPLACE",
    "MOVE t 1",
    "COPY t u DB",
    "COPY t u REPLACE DB 16",
    "COPY nokey nokey",
    "COPY nokey u nonsense",
    // Odds and ends.
    "MSETNX a 1 a 2",
    "GET a",
    "MSET a 1 b",
    "MGET a nokey b",
    "DEL a a",
    "LCS ohmytext none",
    "MSET x ohmytext y mynewtext",
    "LCS x y IDX MINMATCHLEN 4 WITHMATCHLEN",
    "LCS x y IDX MINMATCHLEN -4",
    "LCS x y LEN IDX",
    "LCS x y MINMATCHLEN",
    "OBJECT HELP",
    "OBJECT NOPE",
    "OBJECT ENCODING",
    "OBJECT FREQ x",
    "OBJECT REFCOUNT nokey",
    "SET shared 9999",
    "OBJECT REFCOUNT shared",
    "INCR shared",
    "OBJECT REFCOUNT shared",
    "MEMORY USAGE nokey",
    "MEMORY USAGE x SAMPLES -1",
    "MEMORY USAGE x SAMPLES",
    "MEMORY NOPE",
    "SCAN nonsense",
    "SCAN 18446744073709551616",
    "SCAN 0 COUNT 0",
    "SCAN 0 COUNT x",
    "SCAN 0 MATCH",
    "SCAN 0 COUNT 1000 MATCH x*",
    "SCAN 0 COUNT 1000 TYPE hash",
    "SCAN 0 COUNT 1000 TYPE STRING MATCH [yz]",
    "SCAN 0 NOPE 1",
];

#[test]
fn edge_cases_answer_as_redis_does() {
    let mut oracle = Oracle::start();
    for resp3 in [false, true] {
        oracle.line("FLUSHALL");
        oracle.line(if resp3 { "HELLO 3" } else { "HELLO 2" });
        let mut ours = Driver::new(resp3);
        for line in EDGES {
            assert_eq!(oracle.line(line), ours.line(line), "{line}");
        }
        let digest = oracle.line("DEBUG DIGEST");
        assert_eq!(digest.trim_end(), format!("+{}", ours.digest()));
        assert_eq!(content(&ours.replayed()), content(&ours.shard));
    }
}

/// A random text of a number: of any length and size, decimal or hexadecimal.
fn float(generator: &mut Generator) -> String {
    let mut text = ["", "-", "+"][generator.below(3)].to_owned();
    let hexadecimal = generator.below(8) == 0;
    let base = if hexadecimal { 16 } else { 10 };
    text.push_str(if hexadecimal { "0x" } else { "" });
    let longest = [4, 22, 60, 400][generator.below(4)];
    let len = 1 + generator.below(longest);
    let point = generator.below(len + 3);
    for at in 0..len {
        if at == point {
            text.push('.');
        }
        text.push(char::from_digit(generator.below(base) as u32, base as u32).expect("a digit"));
    }
    let largest = [1, 30, 100, 5000, 17_000][generator.below(5)];
    if largest > 1 {
        let exponent = generator.below(2 * largest) as i64 - largest as i64;
        text.push_str(&format!("{}{exponent}", if hexadecimal { 'p' } else { 'e' }));
    }
    text
}

#[test]
fn sums_of_random_floats_are_those_of_redis() {
    const PAIRS: usize = 6_000;
    let mut oracle = Oracle::start();
    let mut ours = Driver::new(false);
    let mut generator = Generator::new(seed());
    let mut accepted = 0;
    for _ in 0..PAIRS {
        let value = float(&mut generator);
        // Often of a similar size, so that digits cancel and halves meet.
        let by = match generator.below(3) {
            0 => float(&mut generator),
            1 => format!("{value}1").replacen('+', "-", 1),
            _ => "0.000000000000000005".to_owned(),
        };
        for line in [["SET", "k", &value], ["INCRBYFLOAT", "k", &by]] {
            oracle.send(&line);
            let (redis, reply) = (text(&oracle.receive()), text(&ours.execute(&line)));
            assert_eq!(redis, reply, "{value} + {by}");
            accepted += usize::from(reply.starts_with('$'));
        }
    }
    assert!(accepted > PAIRS / 4, "most sums are refused: {accepted}");
}

#[test]
fn what_a_broken_sketch_takes_before_it_is_found_out_counts_as_in_redis() {
    let mut oracle = Oracle::start();
    oracle.line("CONFIG SET hll-sparse-max-bytes 40");
    let mut ours = Driver::new(false);
    ours.shard.limits.hll_sparse_bytes = 40;
    for line in [
        "PFADD broken 144 1680",
        "APPEND broken bbaaca",
        "PFADD broken 761 1556 2128 464",
        "GET broken",
        "PFADD broken 464",
        "GET broken",
    ] {
        assert_eq!(oracle.line(line), ours.line(line), "{line}");
    }
    assert_eq!(content(&ours.replayed()), content(&ours.shard));
}
