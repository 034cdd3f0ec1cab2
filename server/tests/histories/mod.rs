//! Histories of real connections, and whether one order of all operations explains them.
//!
//! Some connections work on few keys, spread over all shards, with commands on one key and on
//! several, transactions, and scripts where the server has them; everybody notes when each was sent and answered.
//! Meanwhile somebody begins checkpoints and changes the fsync policy. `checker.rs` then looks
//! for an order.

mod checker;
mod operations;

use crate::support::{
    client::{Client, Reply, push_command},
    load::Dice,
    process::{Launch, ServerProcess, fresh_dir},
};
use checker::{Event, check};
use operations::{KEYS, Operation};
use std::{
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

const CONNECTIONS: usize = 6;
/// Operations of a connection in one history.
const OPERATIONS: usize = 150;

fn seed() -> u64 {
    if let Ok(text) = std::env::var("QUIRE_SEED") {
        return text.parse().expect("QUIRE_SEED is a number");
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    now.as_nanos() as u64
}

/// How long each number of shards is tried.
fn time() -> Duration {
    let seconds = match std::env::var("QUIRE_HISTORY_SECONDS") {
        Ok(text) => text.parse().expect("QUIRE_HISTORY_SECONDS is a number"),
        Err(_) => 4,
    };
    Duration::from_secs(seconds)
}

/// Tells the other threads to end, when a test fails too.
struct Stopper<'a>(&'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// One history in keys of its own.
fn record(server: &ServerProcess, world: u64, seed: u64, scripts: bool) -> Vec<Event> {
    let (clock, fresh) = (Instant::now(), AtomicI64::new(1000));
    let connection = |number: usize| {
        let (mut client, fresh) = (server.client(), &fresh);
        let mut dice = Dice(seed.wrapping_add(number as u64 * 0x9e37_79b9));
        move || {
            let mut events = Vec::with_capacity(OPERATIONS);
            for _ in 0..OPERATIONS {
                let first = dice.roll(KEYS as u64 / 3) as u8 * 3;
                let value = fresh.fetch_add(1000, Ordering::Relaxed);
                let operation = Operation::random(&mut dice, first, value, scripts);
                let begin_ns = clock.elapsed().as_nanos() as u64;
                let answer = operation
                    .ask(&mut client, world)
                    .unwrap_or_else(|error| panic!("{operation:?} of world {world}: {error}"));
                let end_ns = clock.elapsed().as_nanos() as u64;
                events.push(Event { begin_ns, end_ns, connection: number, operation, answer });
            }
            events
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|n| scope.spawn(connection(n))).collect();
        threads.into_iter().flat_map(|t| t.join().expect("no connection fails")).collect()
    })
}

/// Begins checkpoints and changes policies.
fn meddle(mut client: Client, mut dice: Dice, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let policy = ["always", "everysec", "no"][dice.roll(3) as usize];
        assert!(client.ask(&["CONFIG", "SET", "appendfsync", policy]).is_ok());
        if dice.roll(3) == 0 {
            client.ask(&["BGREWRITEAOF"]);
        }
        thread::sleep(Duration::from_millis(dice.roll(60)));
    }
}

fn histories_are_explained(shards: &str) {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--shards", shards]).start();
    let seed = seed();
    let scripts = !server.client().ask(&["EVAL", "return 1", "0"]).is_error("ERR");
    let (stop, began, mut worlds) = (AtomicBool::new(false), Instant::now(), 0);
    thread::scope(|scope| {
        let (client, stop) = (server.client(), &stop);
        scope.spawn(move || meddle(client, Dice(seed), stop));
        let _stopper = Stopper(stop);
        while began.elapsed() < time() {
            let events = record(&server, worlds, seed.wrapping_add(worlds << 20), scripts);
            if let Err(story) = check(&events) {
                panic!("{shards} shards, QUIRE_SEED={seed}, history {worlds}: {story}");
            }
            worlds += 1;
        }
    });
    println!("{worlds} histories, {shards} shards");
    assert!(worlds > 0);
    server.stop();
}

#[test]
fn one_order_explains_all_answers_of_one_shard() {
    histories_are_explained("1");
}

#[test]
fn one_order_explains_all_answers_of_two_shards() {
    histories_are_explained("2");
}

#[test]
fn one_order_explains_all_answers_of_four_shards() {
    histories_are_explained("4");
}

/// Keys that others write all the time: a read of them is whole, comes to an end, and never shows what
/// its own connection writes behind it.
#[test]
fn reads_of_hot_keys_are_whole_and_before_what_follows_them() {
    ["2", "4"].into_iter().for_each(hot_keys_are_read_whole);
}

fn hot_keys_are_read_whole(shards: &str) {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--shards", shards]).start();
    let keys: Vec<String> = (0..8).map(|n| format!("hot:{n}")).collect();
    let all = |value: i64| -> Vec<String> {
        let pairs = keys.iter().flat_map(|key| [key.clone(), value.to_string()]);
        std::iter::once("MSET".to_owned()).chain(pairs).collect()
    };
    assert!(server.client().ask(&all(0)).is_ok());
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for writer in 1..=3 {
            let (mut client, all, stop) = (server.client(), &all, &stop);
            scope.spawn(move || {
                let mut value = writer;
                while !stop.load(Ordering::Relaxed) {
                    assert!(client.ask(&all(value)).is_ok());
                    value += 10;
                }
            });
        }
        let _stopper = Stopper(&stop);
        let mut reader = server.client();
        let read: Vec<String> = std::iter::once("MGET".to_owned()).chain(keys.clone()).collect();
        for own in 1..=300 {
            let mut request = Vec::new();
            push_command(&mut request, &read);
            let value = (-own).to_string();
            push_command(&mut request, &["SET", &keys[own as usize % 8], &value]);
            push_command(&mut request, &all(-own));
            reader.send(&request).expect("the server listens");
            let Ok(Reply::Array(values)) = reader.receive() else { panic!("MGET gives a list") };
            let seen: Vec<String> = values.iter().map(Reply::text).collect();
            assert!(seen.iter().all(|value| *value == seen[0]), "torn: {seen:?}");
            assert_ne!(seen[0], value, "it has seen what follows it");
            for _ in 0..2 {
                assert!(reader.receive().expect("the server answers").is_ok());
            }
        }
    });
    server.stop();
}

/// Streams that always grow together are never seen apart.
#[test]
fn streams_of_several_shards_are_read_as_of_one_moment() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--shards", "4"]).start();
    let keys = ["grow:a", "grow:b", "grow:c", "grow:d"];
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let (mut writer, stop) = (server.client(), &stop);
        scope.spawn(move || {
            let mut n = 1;
            while !stop.load(Ordering::Relaxed) {
                writer.ask(&["MULTI"]);
                let id = format!("{n}-1");
                keys.iter().for_each(|key| drop(writer.ask(&["XADD", key, &id, "f", "v"])));
                assert!(matches!(writer.ask(&["EXEC"]), Reply::Array(_)));
                n += 1;
            }
        });
        let _stopper = Stopper(stop);
        let mut reader = server.client();
        let mut from = 0;
        for round in 0..300 {
            let mut line: Vec<String> = ["XREAD", "BLOCK", "10000"].map(String::from).to_vec();
            if round % 2 == 0 {
                line.truncate(1);
            }
            line.push("STREAMS".to_owned());
            line.extend(keys.map(String::from));
            line.extend(keys.map(|_| format!("{from}-1")));
            // One that waits is served by the first stream that grows, alone.
            let Reply::Array(streams) = reader.ask(&line) else { continue };
            let count = |stream: &Reply| match stream {
                Reply::Array(parts) => match &parts[1] {
                    Reply::Array(entries) => entries.len(),
                    other => panic!("entries are a list: {other:?}"),
                },
                other => panic!("a stream is a list: {other:?}"),
            };
            let counts: Vec<usize> = streams.iter().map(count).collect();
            if streams.len() > 1 || round % 2 == 0 {
                assert_eq!(counts, [counts[0]; 4], "round {round}");
            }
            if streams.len() == 4 {
                from += counts[0];
            }
        }
        assert!(from > 0, "nothing was seen to grow");
    });
    server.stop();
}
