//! No client can tell Quire from stock Redis: random scripts run on both, and every reply is
//! compared byte for byte in both protocols, errors included, and in the end every key.
//!
//! What is random or tells the time is compared by a relation (`relation.rs`). Every command has a
//! row with its generator (`rows.rs`, `server_rows.rs`), or a reason why not. A script that shows a
//! difference is shortened (`shrink.rs`) before it is printed.

mod collections;
mod generator;
mod pair;
mod relation;
mod rows;
mod script;
mod server_rows;
mod shrink;
mod words;

use std::time::{SystemTime, UNIX_EPOCH};

use crate::support::{
    client::Reply,
    process::{Launch, fresh_dir},
};
use pair::Pair;
use script::{Course, Item};

/// Commands of one script.
const SCRIPT: usize = 2_000;

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Commands of one test.
fn commands() -> usize {
    setting("QUIRE_DIFFERENTIAL_COMMANDS", 90_000) as usize / 6
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    since.as_millis() as i64
}

/// Runs scripts of so many commands in all; panics with a short script at the first difference.
fn compare(pair: &mut Pair, seed: u64, commands: usize, course: Course) -> usize {
    let mut done = 0;
    for seed in seed.. {
        let script = generator::script(seed, now_ms(), SCRIPT, course);
        if let Err(difference) = pair.run(&script) {
            let first = difference.text.clone();
            let (short, text) = shrink::shrink(pair, script, difference.at, difference.text);
            let items: Vec<String> = short.items.iter().map(Item::text).collect();
            panic!(
                "QUIRE_SEED={seed}, protocols {:?}\n{}\n{text}\n(before it was shortened: {first})",
                short.protocols,
                items.join("\n")
            );
        }
        done += script.items.iter().map(Item::commands).sum::<usize>();
        if done >= commands {
            break;
        }
    }
    done
}

fn random_scripts(shards: &'static str, directives: &[&str]) {
    let mut pair = Pair::start(&[shards], &[&["--appendonly", "no"], directives].concat());
    let done = compare(&mut pair, setting("QUIRE_SEED", 1), commands(), Course::STRAIGHT);
    println!("{done} commands agree on {shards} shards");
}

#[test]
fn one_shard_answers_as_redis_does() {
    random_scripts("1", &[]);
}

#[test]
fn two_shards_answer_as_redis_does() {
    // Nothing changes this limit in a script: a log makes sketches that go by the one of its time.
    random_scripts("2", &["--hll-sparse-max-bytes", "40"]);
}

#[test]
fn four_shards_answer_as_redis_does() {
    random_scripts("4", &[]);
}

#[test]
fn both_remember_the_same_through_restarts() {
    let mut pair = Pair::start(&["1", "4", "2"], &["--appendonly", "yes"]);
    let seed = setting("QUIRE_SEED", 1) + 1_000_000;
    let done = compare(&mut pair, seed, commands(), Course::RESTARTS);
    println!("{done} commands agree, through restarts");
}

#[test]
fn both_remember_the_same_through_checkpoints() {
    let mut pair = Pair::start(&["2", "1", "4"], &["--appendonly", "yes"]);
    let seed = setting("QUIRE_SEED", 1) + 2_000_000;
    let done = compare(&mut pair, seed, commands(), Course::CHECKPOINTS);
    println!("{done} commands agree, through checkpoints");
}

#[test]
fn snapshots_hold_the_same_moment() {
    let mut pair = Pair::start(&["2", "4", "1"], &["--appendonly", "no", "--save", ""]);
    let seed = setting("QUIRE_SEED", 1) + 3_000_000;
    let done = compare(&mut pair, seed, commands(), Course::SNAPSHOTS);
    println!("{done} commands agree, through snapshots");
}

#[test]
fn every_command_is_compared_or_says_why_not() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--appendonly", "no"]).start();
    let Reply::Array(names) = server.client().ask(&["COMMAND", "LIST"]) else { panic!("no list") };
    let names: Vec<String> = names.iter().map(Reply::text).collect();
    let is_compared = |name: &str| generator::rows().any(|row| row.name == name);
    let is_excused = |name: &str| server_rows::WITHOUT.iter().any(|(other, _)| *other == name);
    for name in &names {
        assert!(is_compared(name) != is_excused(name), "{name} needs a row or a reason, not both");
    }
    for name in
        generator::rows().map(|row| row.name).chain(server_rows::WITHOUT.iter().map(|w| w.0))
    {
        assert!(names.iter().any(|known| known == name), "{name} is no command");
    }
}

#[test]
fn a_difference_is_found_and_shortened() {
    let mut pair = Pair::start(&["2"], &["--appendonly", "no"]);
    let mut script = generator::script(7, now_ms(), 400, Course::STRAIGHT);
    // Redis 7.0 does not know this one.
    let line = vec![b"WAITAOF".to_vec(), b"0".to_vec(), b"0".to_vec(), b"0".to_vec()];
    let lines = vec![(line, relation::Relation::Exact)];
    script.items.insert(250, Item { connection: 1, action: script::Action::Lines(lines) });
    let difference = pair.run(&script).expect_err("the two must differ");
    assert_eq!(difference.at, 250);
    let (short, _) = shrink::shrink(&mut pair, script, difference.at, difference.text);
    let items: Vec<String> = short.items.iter().map(Item::text).collect();
    assert_eq!(items, ["[1] WAITAOF 0 0 0"]);
}
