//! What is logged makes the same state again, for every command that may change something.

use super::{
    commands_driver::{Driver, SETTING, content, writing_commands},
    commands_generator::Generator,
};
use quire_engine::aof::CommandReader;

/// Names of the commands that effects may be, and of what stands around them.
const CANONICAL: &[&str] = &[
    "SET",
    "DEL",
    "PEXPIREAT",
    "PERSIST",
    "APPEND",
    "SETRANGE",
    "INCR",
    "DECR",
    "INCRBY",
    "DECRBY",
    "SETBIT",
    "BITFIELD",
    "PFADD",
    "ZADD",
    "SELECT",
    "MULTI",
    "EXEC",
];

/// Unix time, ms.
const NOW_MS: i64 = 1_700_000_000_000;

#[test]
fn every_writing_command_has_examples_that_replay_to_the_same_state() {
    for spec in writing_commands() {
        assert!(!spec.examples.is_empty(), "{} has no example", spec.name);
        let mut changes = 0;
        for example in spec.examples {
            let mut driver = Driver::new(false);
            for line in SETTING.iter().chain(&["PEXPIRE k 5000000", "SET gone v PXAT 1"]) {
                driver.line(line);
            }
            let before = content(&driver.shard);
            let reply = driver.line(example);
            assert!(!reply.starts_with('-'), "{example}: {reply}");
            changes += usize::from(content(&driver.shard) != before);
            assert_eq!(content(&driver.replayed()), content(&driver.shard), "{example}");
        }
        assert!(changes > 0, "no example of {} changes anything", spec.name);
    }
}

#[test]
fn random_commands_replay_to_the_same_state_while_keys_expire() {
    for seed in 1..=6 {
        let mut driver = Driver::new(false);
        let mut generator = Generator::new(seed);
        let mut now_ms = NOW_MS;
        for step in 0..3_000 {
            driver.db = generator.below(3);
            let (line, _) = generator.line(now_ms);
            // Deadlines are hours to decades away: with these steps many pass.
            now_ms += generator.below(4_000_000_000) as i64;
            driver.execute_at(&line, now_ms);
            if step % 7 == 0 {
                driver.shard.expire_cycle(now_ms, 3);
            }
        }
        assert!(driver.shard.stats.expired_keys > 30, "seed {seed}: nothing expires");
        assert_eq!(content(&driver.replayed()), content(&driver.shard), "seed {seed}");
    }
}

#[test]
fn an_effect_is_canonical_and_names_one_key() {
    let mut driver = Driver::new(false);
    let mut generator = Generator::new(42);
    for step in 0..4_000 {
        let (line, _) = generator.line(NOW_MS + step);
        driver.execute_at(&line, NOW_MS + step);
    }
    let mut reader = CommandReader::new(driver.shard.staging.staged());
    let (mut effects, mut batches) = (0, 0);
    while let Some(args) = reader.next_command().expect("the log holds whole commands") {
        let words: Vec<String> =
            args.iter_from(0).map(|arg| String::from_utf8_lossy(arg).into_owned()).collect();
        let name = words[0].to_ascii_uppercase();
        assert!(CANONICAL.contains(&name.as_str()), "{words:?}");
        let form_is_right = match name.as_str() {
            "SET" => match words.get(3).map(String::as_str) {
                None => true,
                Some("KEEPTTL") => words.len() == 4,
                Some(option) => option == "PXAT" && words.len() == 5,
            },
            "MULTI" | "EXEC" => words.len() == 1,
            "DEL" | "PERSIST" | "SELECT" | "INCR" | "DECR" => words.len() == 2,
            "SETRANGE" | "SETBIT" => words.len() == 4,
            "BITFIELD" => words.len() >= 6,
            "PFADD" => words.len() >= 2,
            "ZADD" => words.len() >= 4,
            _ => words.len() == 3,
        };
        assert!(form_is_right, "{words:?}");
        batches += usize::from(name == "MULTI");
        effects += 1;
    }
    assert!(effects > 1_000 && batches > 50, "{effects} effects, {batches} batches");
}
