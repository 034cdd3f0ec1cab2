//! Incremental checkpoints of a running server: what has changed since the base, in one file behind
//! it, through restarts with other numbers of shards and on stock Redis.

use std::{fs, path::Path};

use crate::{
    interchange::{digest, stock_redis_agrees},
    saving::{fill_all, info, no_orphans, until},
    support::{
        client::{Client, Reply},
        process::{Launch, fresh_dir},
    },
};

/// A checkpoint of the log; its kind.
fn checkpoint(client: &mut Client) -> String {
    let before = info(client, "aof_rewrites");
    assert!(!matches!(client.ask(&["BGREWRITEAOF"]), Reply::Error(_)));
    until("the checkpoint", || {
        info(client, "aof_rewrites") != before && info(client, "aof_rewrite_in_progress") == "0"
    });
    assert_eq!(info(client, "aof_last_bgrewrite_status"), "ok");
    info(client, "aof_last_checkpoint")
}

fn count(log: &Path, part: &str) -> usize {
    let entries = fs::read_dir(log).expect("the directory is there");
    let names = entries.map(|entry| entry.expect("readable").file_name());
    names.filter(|name| name.to_string_lossy().contains(part)).count()
}

/// Changes of every kind of a few keys.
fn change(client: &mut Client, round: usize) {
    let round = round.to_string();
    for line in [
        "SET key:1 changed",
        "DEL key:2 key:3",
        "APPEND key:4 more",
        "RENAME key:5 key:2",
        "PEXPIREAT key:6 4102444800000",
        "SET key:7 x PX 1",
        "RPUSH list changed",
        "SREM set member-5",
        "SADD set another",
        "HSET hash 7 changed",
        "ZINCRBY zset 1.5 m9",
        "XADD stream * f v",
        "SADD fresh a b c",
        "SETRANGE ranged 1 changed",
        "INCR counter",
        "SELECT 3",
        "SET third changed",
        "DEL third-deadline",
        "SELECT 0",
    ] {
        let mut words: Vec<&str> = line.split(' ').collect();
        if words.last() == Some(&"changed") {
            words.pop();
            words.push(&round);
        }
        client.ask(&words);
    }
    // Whether a key that is over is in a digest is a matter of when it is looked for.
    until("the end of key:7", || client.ask(&["EXISTS", "key:7"]) == Reply::Int(0));
}

#[test]
fn deltas_go_through_restarts_with_other_shards_and_to_stock_redis() {
    let dir = fresh_dir();
    let data = dir.path().join("data");
    fs::create_dir(&data).expect("the directory is fresh");
    let log = data.join("appendonlydir");
    let launch = |shards: &str| Launch::quire(&data).with(&["--shards", shards]);
    let mut server = launch("1").start();
    let mut client = server.client();
    fill_all(&mut client);
    assert_eq!(checkpoint(&mut client), "full", "there is no base yet");
    for (round, shards) in ["1", "4", "3", "2"].into_iter().enumerate() {
        change(&mut client, round);
        assert_ne!(info(&mut client, "aof_changes_known"), "0");
        assert_eq!(checkpoint(&mut client), "delta", "round {round}");
        assert!(info(&mut client, "aof_delta_size").parse::<u64>().is_ok_and(|bytes| bytes > 0));
        until("the end of old files", || count(&log, ".delta.") == 1);
        no_orphans(&log);
        client.ask(&["SET", "behind", shards]);
        let ours = digest(&mut client);
        if round % 2 == 0 {
            server.kill();
        } else {
            server.stop();
        }
        server = launch(shards).start();
        client = server.client();
        assert_eq!(digest(&mut client), ours, "round {round}, {shards} shards");
        // What the delta and the log behind it have changed is known to have changed.
        assert_eq!(info(&mut client, "aof_changes_known"), "1");
    }
    client.ask(&["SET", "at the end", "x"]);
    assert_eq!(checkpoint(&mut client), "delta");
    stock_redis_agrees(server, &data);
}

#[test]
fn what_is_not_known_or_too_much_makes_a_base() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--shards", "2"]).start();
    let mut client = server.client();
    let set = |client: &mut Client, from: usize, to: usize| {
        for n in from..to {
            client.ask(&["SET", &format!("k{n}"), &format!("value of {n}")]);
        }
    };
    set(&mut client, 0, 1000);
    assert_eq!(checkpoint(&mut client), "full");
    set(&mut client, 0, 100);
    assert_eq!(checkpoint(&mut client), "delta");
    set(&mut client, 0, 600);
    assert_eq!(checkpoint(&mut client), "full", "more than half has changed");
    set(&mut client, 0, 600);
    client.ask(&["CONFIG", "SET", "checkpoint-delta", "always"]);
    assert_eq!(checkpoint(&mut client), "delta");
    client.ask(&["CONFIG", "SET", "checkpoint-delta", "never"]);
    set(&mut client, 0, 1);
    assert_eq!(checkpoint(&mut client), "full");
    client.ask(&["CONFIG", "SET", "checkpoint-delta", "always"]);
    for line in [["SWAPDB", "0", "1"].as_slice(), &["FLUSHALL"]] {
        client.ask(line);
        set(&mut client, 0, 10);
        assert_eq!(checkpoint(&mut client), "full", "{line:?}");
        set(&mut client, 5, 15);
        assert_eq!(checkpoint(&mut client), "delta", "{line:?}");
    }
    let ours = digest(&mut client);
    server.kill();
    let server = Launch::quire(dir.path()).with(&["--shards", "3"]).start();
    assert_eq!(digest(&mut server.client()), ours);
}
