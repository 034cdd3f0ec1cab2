//! The loop's sleeping and waking: no wake-up is lost, nothing stalls.
//!
//! 50 connections send bursts of random depth with idle gaps between, so that cores fall asleep
//! and are woken by sockets, log completions, other cores' parcels and timers in every order. A
//! reply that does not come within the read time-out (generous: a stall lasts for ever) fails the
//! test, as does a reply out of order. `QUIRE_STRESS_REQUESTS=10000000` makes it long.

use std::{
    io,
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

use crate::support::{
    client::{Client, Reply, push_command},
    load::Dice,
    process::{Launch, fresh_dir},
};

const CONNECTIONS: u64 = 50;
const THREADS: u64 = 5;
/// Far beyond any pause of a loaded machine, far below for ever.
const STALL: Duration = Duration::from_secs(60);

fn requests() -> u64 {
    match std::env::var("QUIRE_STRESS_REQUESTS") {
        Ok(text) => text.parse().expect("QUIRE_STRESS_REQUESTS is a number"),
        Err(_) => 200_000,
    }
}

/// One connection: its own counters, so that every reply is known before it comes.
struct Worker {
    client: Client,
    id: u64,
    /// Value of each of its counters.
    counters: [i64; 8],
}

impl Worker {
    fn connect(port: u16, id: u64) -> io::Result<Self> {
        let client = Client::connect(port)?;
        client.clone_stream().set_read_timeout(Some(STALL))?;
        Ok(Self { client, id, counters: [0; 8] })
    }

    /// Sends one pipeline; what its replies must be.
    fn burst(&mut self, dice: &mut Dice) -> io::Result<Vec<Reply>> {
        let depth = if dice.roll(3) == 0 { 1 } else { 1 + dice.roll(40) };
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        for _ in 0..depth {
            let which = dice.roll(8) as usize;
            let key = format!("stress:{}:{which}", self.id);
            match dice.roll(8) {
                0..=2 => {
                    self.counters[which] += 1;
                    push_command(&mut bytes, &["INCR", &key]);
                    expected.push(Reply::Int(self.counters[which]));
                }
                3 => {
                    push_command(&mut bytes, &["SET", &key, "0", "PX", "100000000"]);
                    self.counters[which] = 0;
                    expected.push(Reply::Simple("OK".into()));
                }
                4 => {
                    push_command(&mut bytes, &["EXISTS", &key, "nobody", "else"]);
                    // Keys exist from their first write on: 0 stands for either.
                    expected.push(Reply::Null);
                }
                5 => {
                    push_command(&mut bytes, &["PING"]);
                    expected.push(Reply::Simple("PONG".into()));
                }
                _ => {
                    push_command(&mut bytes, &["GET", &key]);
                    expected.push(Reply::Bulk(self.counters[which].to_string().into_bytes()));
                }
            }
        }
        self.client.send(&bytes)?;
        Ok(expected)
    }

    fn check(&mut self, expected: &[Reply]) -> Result<(), String> {
        for (number, wanted) in expected.iter().enumerate() {
            let got = self.client.receive().map_err(|e| {
                format!("connection {}: no reply {number} of {}: {e}", self.id, expected.len())
            })?;
            let as_wanted = match wanted {
                Reply::Null => matches!(got, Reply::Int(0 | 1)),
                // A counter that was never written is not there.
                Reply::Bulk(zero) if zero == b"0" => {
                    got == Reply::Null || got == Reply::Bulk(b"0".to_vec())
                }
                wanted => got == *wanted,
            };
            if !as_wanted {
                return Err(format!("connection {}: {got:?} instead of {wanted:?}", self.id));
            }
        }
        Ok(())
    }
}

fn work(port: u16, thread: u64, left: &AtomicU64) -> Result<(), String> {
    let mut dice = Dice(0x5EED + thread);
    let connect = |id| Worker::connect(port, id).map_err(|e| format!("cannot connect: {e}"));
    let ids = (0..CONNECTIONS).filter(|id| id % THREADS == thread);
    let mut workers = ids.map(connect).collect::<Result<Vec<_>, _>>()?;
    while left.load(Ordering::Relaxed) > 0 {
        // Some of the connections at a time; the others idle.
        let mut running = Vec::new();
        for (index, worker) in workers.iter_mut().enumerate() {
            if dice.roll(3) > 0 {
                let expected = worker.burst(&mut dice).map_err(|e| format!("cannot send: {e}"))?;
                running.push((index, expected));
            }
        }
        for (index, expected) in running {
            workers[index].check(&expected)?;
            let done = expected.len() as u64;
            let _ = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                Some(n.saturating_sub(done))
            });
        }
        if dice.roll(8) == 0 {
            // An idle gap, from "just asleep" to "ticks have passed".
            thread::sleep(Duration::from_micros(dice.roll(4) * dice.roll(4000)));
        }
    }
    Ok(())
}

fn no_wake_up_is_lost(shards: &str, policy: &[&str]) {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path())
        .with(&["--shards", shards, "--hz", "100", "--aof-segment-size", "4mb"])
        .with(policy)
        .start();
    let port = server.port;
    let left = AtomicU64::new(requests());
    let results: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|t| {
                scope.spawn({
                    let left = &left;
                    move || work(port, t, left)
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().expect("a worker does not panic")).collect()
    });
    let wrong: Vec<_> = results.into_iter().filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", server.said());
    server.stop();
}

#[test]
fn no_wake_up_is_lost_between_sockets_logs_hops_and_timers() {
    no_wake_up_is_lost("3", &["--appendfsync", "everysec", "--appendfsync-shard", "1/3 always"]);
}

#[test]
fn no_wake_up_is_lost_when_every_reply_waits_for_a_sync() {
    no_wake_up_is_lost("2", &["--appendfsync", "always"]);
}

#[test]
fn no_wake_up_is_lost_with_one_shard_and_spinning() {
    no_wake_up_is_lost("1", &["--appendfsync", "no", "--spin", "50"]);
}
