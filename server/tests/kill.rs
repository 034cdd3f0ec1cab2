//! The promise "process killed: no acknowledged write lost", under every policy and with every
//! number of shards, and of `always`: nobody ever saw a value that is gone.
//!
//! One round: clients write mixed commands in pipelines, readers read, kill -9 at a random
//! moment, restart with another number of shards, compare every key. Rounds go on in the same
//! directory, so that recovered logs are recovered again. `QUIRE_KILL_ROUNDS=100` makes it long.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::{
    load::{self, Dice, Writer},
    process::{Launch, ServerProcess, fresh_dir},
};

const SHARDS: [&str; 5] = ["1", "2", "4", "2", "1"];

/// How many rounds a test runs: few, or as many as `QUIRE_KILL_ROUNDS` says.
fn rounds() -> usize {
    match std::env::var("QUIRE_KILL_ROUNDS") {
        Ok(text) => text.parse().expect("QUIRE_KILL_ROUNDS is a number"),
        Err(_) => SHARDS.len(),
    }
}

fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    let seed = now.as_nanos() as u64;
    println!("seed {seed}");
    seed
}

/// Clients of one test.
struct Clients {
    writers: Vec<Writer>,
    readers: u64,
    dice: Dice,
}

impl Clients {
    fn new(writers: u64, readers: u64) -> Self {
        let seed = seed();
        let writers = (0..writers).map(|id| Writer::new(id, seed)).collect();
        Self { writers, readers, dice: Dice(seed) }
    }

    /// Works on a running server, kills it, starts it again as `next` says, compares. Returns
    /// the new server and everything that is wrong.
    fn round(&mut self, server: ServerProcess, next: &Launch) -> (ServerProcess, Vec<String>) {
        let work = Duration::from_millis(30 + self.dice.roll(300));
        let seed = self.dice.roll(u64::MAX);
        let sights = load::work_and_kill(server, &mut self.writers, self.readers, work, seed);
        let server = next.start();
        let wrong = load::verify(&mut server.client(), &mut self.writers, &sights);
        (server, wrong)
    }

    fn acknowledged(&self) -> u64 {
        self.writers.iter().map(|w| w.acknowledged).sum()
    }
}

/// Rounds between two comparisons with stock Redis: 20 in 100 rounds.
const STOCK_EVERY: usize = 5;

/// Rounds under one policy; now and then the recovered directory also loads in stock Redis.
fn nothing_acknowledged_is_lost(policy: &[&str], readers: u64) {
    let dir = fresh_dir();
    let launch = |round: usize| {
        let shards = SHARDS[round % SHARDS.len()];
        Launch::quire(&dir.path().join("data")).with(&["--shards", shards]).with(policy)
    };
    std::fs::create_dir(dir.path().join("data")).expect("the directory is fresh");
    let mut clients = Clients::new(4, readers);
    let mut server = launch(0).start();
    // A slow machine may kill before the first acknowledgement, now and then.
    let mut empty = 0;
    for round in 1..=rounds() {
        let before = clients.acknowledged();
        let (next, wrong) = clients.round(server, &launch(round));
        assert!(wrong.is_empty(), "round {round}:\n{}\n{}", wrong.join("\n"), next.said());
        let done = clients.acknowledged() - before;
        empty += usize::from(done == 0);
        println!("round {round}: {done} acknowledged");
        server = next;
        crate::saving::no_orphans(&dir.path().join("data/appendonlydir"));
        if round % STOCK_EVERY == 0 {
            // Stock Redis loads a copy of what was recovered, and this server goes on.
            let data = dir.path().join("data");
            crate::interchange::stock_redis_agrees(server, &data);
            server = launch(round).start();
        }
    }
    server.stop();
    assert!(empty * 3 <= rounds(), "{empty} rounds wrote nothing: they tested nothing");
}

#[test]
fn always_loses_no_acknowledged_write_and_shows_nothing_that_is_gone() {
    nothing_acknowledged_is_lost(&["--appendfsync", "always"], 2);
}

#[test]
fn everysec_loses_no_acknowledged_write() {
    nothing_acknowledged_is_lost(&["--appendfsync", "everysec"], 0);
}

#[test]
fn no_loses_no_acknowledged_write() {
    nothing_acknowledged_is_lost(&["--appendfsync", "no"], 0);
}

#[test]
fn small_segments_that_rotate_all_the_time_lose_no_acknowledged_write() {
    let small = ["--appendfsync", "always", "--aof-segment-size", "1mb"];
    nothing_acknowledged_is_lost(&small, 1);
}

#[test]
fn checkpoints_all_the_time_lose_no_acknowledged_write() {
    let always = ["--appendfsync", "always", "--hz", "200"];
    let rewrites = ["--auto-aof-rewrite-percentage", "1", "--auto-aof-rewrite-min-size", "0"];
    nothing_acknowledged_is_lost(&[&always[..], &rewrites].concat(), 1);
    let everysec = ["--appendfsync", "everysec", "--hz", "200"];
    nothing_acknowledged_is_lost(&[&everysec[..], &rewrites].concat(), 0);
}

#[test]
fn deltas_all_the_time_lose_no_acknowledged_write() {
    let always = ["--appendfsync", "always", "--hz", "200", "--checkpoint-delta", "always"];
    let rewrites = ["--auto-aof-rewrite-percentage", "1", "--auto-aof-rewrite-min-size", "0"];
    nothing_acknowledged_is_lost(&[&always[..], &rewrites].concat(), 1);
}

/// The test of the test: stock Redis passes it..
#[test]
fn stock_redis_under_always_passes_the_same_rounds() {
    let dir = fresh_dir();
    let launch = Launch::redis(dir.path()).with(&["--appendfsync", "always"]);
    let mut clients = Clients::new(4, 2);
    let mut server = launch.start();
    for _ in 0..2 {
        let (next, wrong) = clients.round(server, &launch);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        server = next;
    }
    assert!(clients.acknowledged() > 0);
}

/// .. and a server that forgets does not.
#[test]
fn a_server_that_keeps_nothing_fails_the_same_rounds() {
    let dir = fresh_dir();
    let launch = Launch::redis(dir.path()).with(&["--appendonly", "no"]);
    let (_server, wrong) = Clients::new(2, 1).round(launch.start(), &launch);
    assert!(wrong.iter().any(|w| w.contains("was acknowledged")), "{wrong:?}");
}
