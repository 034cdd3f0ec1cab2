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
    let line_end = |at: usize| at + reply[at..].windows(2).position(|w| w == b"\r\n").unwrap();
    let mut at = line_end(0) + 2;
    let mut found = Vec::new();
    while at < reply.len() {
        let end = line_end(at);
        let len: usize = std::str::from_utf8(&reply[at + 1..end]).unwrap().parse().unwrap();
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
    // A look at every key removes those that have expired on both.
    for db in 0..3 {
        ours.db = db;
        oracle.line(&format!("SELECT {db}"));
        let keys = elements(&ours.execute(&["KEYS", "*"]));
        oracle.line("KEYS *");
        for key in keys {
            oracle.send(&[b"EXISTS".to_vec(), key.clone()]);
            assert_eq!(oracle.receive(), ours.execute(&[b"EXISTS".to_vec(), key]));
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
