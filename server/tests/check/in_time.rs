//! `quire-check --fix --truncate-to-timestamp`: every key as it was at a second, over all shards.

use std::{fs, path::Path};

use super::quire_check;
use crate::{
    interchange::{digest, stock_redis_agrees},
    saving::{fill_all, info, until},
    support::{
        client::{Client, Reply},
        process::{Launch, fresh_dir},
    },
};

/// The server's clock, s.
fn second(client: &mut Client) -> u64 {
    let Reply::Array(parts) = client.ask(&["TIME"]) else { panic!("TIME is an array") };
    parts[0].text().parse().expect("a number")
}

fn take_back(dir: &Path, to: u64) -> (i32, String) {
    let (dir, to) = (dir.display().to_string(), to.to_string());
    let said = quire_check(&["--fix", "--yes", "--truncate-to-timestamp", &to, &dir]);
    (said.code, said.out + &said.err)
}

#[test]
fn a_directory_goes_back_to_a_second_with_transactions_whole() {
    let dir = fresh_dir();
    let data = dir.path().join("data");
    fs::create_dir(&data).expect("the directory is fresh");
    let launch = Launch::quire(&data).with(&["--shards", "3", "--aof-timestamp-enabled", "yes"]);
    let server = launch.start();
    let mut client = server.client();
    fill_all(&mut client);
    for n in 0..200 {
        let n = n.to_string();
        assert!(client.ask(&["MSET", "pair:a", &n, "pair:b", &n, "pair:c", &n]).is_ok());
    }
    let ours = digest(&mut client);
    let then = second(&mut client);
    // Stamps are true to a tick.
    until("a later second", || second(&mut client) > then + 1);
    for n in 200..400 {
        let n = n.to_string();
        assert!(client.ask(&["MSET", "pair:a", &n, "pair:b", &n, "pair:c", &n]).is_ok());
    }
    client.ask(&["DEL", "plain", "list", "stream"]);
    // A global command, and what stands behind it.
    assert!(client.ask(&["SWAPDB", "0", "7"]).is_ok());
    client.ask(&["SET", "behind", "x"]);
    server.kill();
    let (code, said) = take_back(&data, then);
    assert_eq!(code, 0, "{said}");
    let log = data.join("appendonlydir");
    let aside = fs::read_dir(&log)
        .expect("it is there")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .find(|name| name.starts_with("removed-"));
    let copies = fs::read_dir(log.join(aside.expect("what was cut is set aside")));
    assert!(copies.expect("a directory").count() > 3, "manifest, report, and what was cut");
    let server = launch.with(&["--shards", "2"]).start();
    let mut client = server.client();
    assert_eq!(digest(&mut client), ours);
    assert_eq!(client.ask(&["GET", "pair:a"]).text(), "199");
    stock_redis_agrees(server, &data);
}

#[test]
fn there_is_no_way_back_behind_a_base_or_without_timestamps() {
    let dir = fresh_dir();
    let launch = Launch::quire(dir.path()).with(&["--shards", "2"]);
    let server = launch.start();
    let mut client = server.client();
    fill_all(&mut client);
    let then = second(&mut client);
    server.stop();
    let (code, said) = take_back(dir.path(), then);
    assert!(code == 3 && said.contains("aof-timestamp-enabled was no"), "{code} {said}");
    let server = launch.clone().with(&["--aof-timestamp-enabled", "yes"]).start();
    let mut client = server.client();
    client.ask(&["BGREWRITEAOF"]);
    until("the rewrite", || info(&mut client, "aof_rewrites") == "1");
    client.ask(&["SET", "k", "v"]);
    let ours = digest(&mut client);
    server.stop();
    let (code, said) = take_back(dir.path(), then - 1000);
    assert!(code == 3 && said.contains("cannot be undone"), "{code} {said}");
    // Nothing is later than the end of time.
    let (code, said) = take_back(dir.path(), 4_000_000_000);
    assert!(code == 0 || said.contains("nothing to repair"), "{code} {said}");
    let server = launch.start();
    assert_eq!(digest(&mut server.client()), ours);
}
