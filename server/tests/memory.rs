//! The limit of memory on a whole server: it holds in sum over shards, what is evicted stays
//! evicted, and the figures are true.

use crate::support::{
    client::{Client, Reply, push_command},
    process::{Launch, ServerProcess, fresh_dir},
};

/// Megabytes of the limit that must hold; QUIRE_MEMORY_MB sets another.
const LIMIT_MB: u64 = 24;

/// A field of INFO.
fn info(client: &mut Client, name: &str) -> u64 {
    let text = client.ask(&["INFO", "everything"]).text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("INFO has {name}")).parse().expect("a number")
}

fn quire(dir: &std::path::Path, args: &[&str]) -> ServerProcess {
    Launch::quire(dir).with(args).start()
}

/// Sets `keys` from `first` on in a pipeline; how many were refused for want of memory.
fn fill(client: &mut Client, first: usize, keys: usize, value: &[u8], ttl: bool) -> usize {
    let mut refused = 0;
    for chunk in (first..first + keys).collect::<Vec<_>>().chunks(50) {
        let mut request = Vec::new();
        for n in chunk {
            let key = format!("key:{n}");
            let mut command: Vec<&[u8]> = vec![b"SET", key.as_bytes(), value];
            if ttl {
                command.extend([&b"EX"[..], b"10000"]);
            }
            push_command(&mut request, &command);
        }
        client.send(&request).expect("the server reads");
        for _ in chunk {
            match client.receive().expect("the server answers") {
                Reply::Error(text) => {
                    assert_eq!(text, "OOM command not allowed when used memory > 'maxmemory'.");
                    refused += 1;
                }
                reply => assert!(reply.is_ok(), "{reply:?}"),
            }
        }
    }
    refused
}

/// Writes ten times the limit and checks the highest figure that was ever reached.
fn writes_ten_times_the_limit(policies: &[&str]) {
    let megabytes = std::env::var("QUIRE_MEMORY_MB").ok().and_then(|mb| mb.parse().ok());
    let max = megabytes.unwrap_or(LIMIT_MB) << 20;
    for policy in policies {
        let dir = fresh_dir();
        let limit = max.to_string();
        let args = ["--shards", "2", "--maxmemory", &limit, "--maxmemory-policy", policy];
        let server = quire(dir.path(), &[&args[..], &["--appendonly", "no"]].concat());
        let mut client = server.client();
        let value = vec![b'v'; 4000];
        let keys = 10 * max as usize / value.len();
        let refused = fill(&mut client, 0, keys, &value, policy.starts_with("volatile"));
        let peak = info(&mut client, "used_memory_peak");
        assert!(peak <= max + max / 20, "{policy}: {peak} bytes");
        assert!(info(&mut client, "used_memory") > max * 9 / 10, "{policy}: memory is used");
        assert!(info(&mut client, "used_memory_rss") < max * 3 / 2 + (16 << 20), "{policy}");
        let evicted = info(&mut client, "evicted_keys");
        if *policy == "noeviction" {
            assert!(evicted == 0 && refused > 0);
        } else {
            assert_eq!(refused, 0, "{policy}");
            assert_eq!(client.ask(&["DBSIZE"]), Reply::Int(keys as i64 - evicted as i64));
        }
    }
}

#[test]
fn the_limit_holds_over_all_shards_by_time_of_use() {
    writes_ten_times_the_limit(&["allkeys-lru", "volatile-lru"]);
}

#[test]
fn the_limit_holds_over_all_shards_by_frequency_of_use() {
    writes_ten_times_the_limit(&["allkeys-lfu", "volatile-lfu"]);
}

#[test]
fn the_limit_holds_over_all_shards_by_chance() {
    writes_ten_times_the_limit(&["allkeys-random", "volatile-random"]);
}

#[test]
fn the_limit_holds_over_all_shards_by_deadline_and_by_refusal() {
    writes_ten_times_the_limit(&["volatile-ttl", "noeviction"]);
}

#[test]
fn what_was_evicted_stays_away_after_a_restart() {
    let dir = fresh_dir();
    let args = ["--shards", "2", "--maxmemory", "4mb", "--maxmemory-policy", "allkeys-random"];
    let server = quire(dir.path(), &args);
    let mut client = server.client();
    assert_eq!(fill(&mut client, 0, 20_000, &[b'v'; 500], false), 0);
    assert!(client.ask(&["CONFIG", "SET", "maxmemory", "0"]).is_ok(), "all is quiet");
    let evicted = info(&mut client, "evicted_keys");
    assert!(evicted > 10_000, "{evicted}");
    let digest = client.ask(&["DEBUG", "DIGEST"]);
    server.stop();
    let server = quire(dir.path(), &["--shards", "3"]);
    let mut client = server.client();
    assert_eq!(client.ask(&["DBSIZE"]), Reply::Int(20_000 - evicted as i64));
    assert_eq!(client.ask(&["DEBUG", "DIGEST"]), digest);
}

#[test]
fn a_lower_limit_is_reached_without_any_write() {
    let dir = fresh_dir();
    let server = quire(dir.path(), &["--shards", "2", "--appendonly", "no"]);
    let mut client = server.client();
    fill(&mut client, 0, 30_000, &[b'v'; 500], false);
    let before = info(&mut client, "used_memory");
    let limit = (before / 2).to_string();
    assert!(client.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).is_ok());
    assert!(client.ask(&["CONFIG", "SET", "maxmemory", &limit]).is_ok());
    while info(&mut client, "used_memory") > before / 2 {}
    assert!(info(&mut client, "evicted_keys") > 10_000);
    assert_eq!(info(&mut client, "current_eviction_exceeded_time"), 0);
}

/// Sets `fields` fields of a hash.
fn fill_hash(client: &mut Client, key: &str, fields: usize) {
    for first in (0..fields).step_by(1000) {
        let texts: Vec<String> = (first..first + 1000).map(|n| format!("field:{n}")).collect();
        let mut command = vec!["HSET", key];
        command.extend(texts.iter().flat_map(|text| [text.as_str(), "value"]));
        assert_eq!(client.ask(&command), Reply::Int(1000));
    }
}

/// Waits until nothing is left to be freed.
fn await_freed(client: &mut Client, objects: u64) {
    while info(client, "lazyfree_pending_objects") > 0 {}
    assert_eq!(info(client, "lazyfreed_objects"), objects);
}

#[test]
fn what_is_removed_lazily_is_freed_afterwards_in_slices() {
    let dir = fresh_dir();
    let server = quire(dir.path(), &["--shards", "1", "--appendonly", "no"]);
    let mut client = server.client();
    let before = info(&mut client, "used_memory");
    fill_hash(&mut client, "h", 100_000);
    let full = info(&mut client, "used_memory");
    let mut request = Vec::new();
    push_command(&mut request, &[&b"UNLINK"[..], b"h"]);
    push_command(&mut request, &[&b"INFO"[..], b"memory"]);
    client.send(&request).expect("the server reads");
    assert_eq!(client.receive().expect("an answer"), Reply::Int(1));
    let text = client.receive().expect("an answer").text();
    assert!(text.contains("lazyfree_pending_objects:1\r\n"), "answered before it was freed");
    await_freed(&mut client, 1);
    assert!(info(&mut client, "used_memory") - before < (full - before) / 50, "all of it");

    fill_hash(&mut client, "h", 2000);
    assert_eq!(client.ask(&["DEL", "h"]), Reply::Int(1));
    await_freed(&mut client, 1);
    for option in ["lazyfree-lazy-user-del", "lazyfree-lazy-server-del"] {
        assert!(client.ask(&["CONFIG", "SET", option, "yes"]).is_ok());
    }
    fill_hash(&mut client, "h", 2000);
    assert_eq!(client.ask(&["DEL", "h"]), Reply::Int(1));
    await_freed(&mut client, 2);
    fill_hash(&mut client, "h", 2000);
    assert!(client.ask(&["SET", "h", "text"]).is_ok());
    await_freed(&mut client, 3);
    // Not worth it.
    assert_eq!(client.ask(&["UNLINK", "h"]), Reply::Int(1));
    await_freed(&mut client, 3);

    fill(&mut client, 0, 20_000, b"value", true);
    assert!(client.ask(&["FLUSHALL", "ASYNC"]).is_ok());
    assert_eq!(client.ask(&["DBSIZE"]), Reply::Int(0));
    await_freed(&mut client, 20_003);
    fill(&mut client, 0, 20_000, b"value", true);
    assert!(client.ask(&["FLUSHALL", "SYNC"]).is_ok());
    await_freed(&mut client, 20_003);
    assert!(client.ask(&["CONFIG", "SET", "lazyfree-lazy-user-flush", "yes"]).is_ok());
    fill(&mut client, 0, 500, b"value", true);
    assert!(client.ask(&["FLUSHDB"]).is_ok());
    await_freed(&mut client, 20_503);
}

#[test]
fn commands_over_several_shards_are_refused_as_a_whole() {
    let dir = fresh_dir();
    let args = ["--shards", "2", "--appendonly", "no", "--maxmemory", "8mb"];
    let server = quire(dir.path(), &args);
    let mut client = server.client();
    // {a} and {b} have slots of different shards.
    assert!(client.ask(&["SET", "{a}", "v"]).is_ok());
    assert!(fill(&mut client, 0, 20_000, &[b'v'; 500], false) > 0);
    let refusal = "OOM command not allowed when used memory > 'maxmemory'.";
    for command in [
        &["MSET", "{a}1", "v", "{b}1", "v"][..],
        &["MSETNX", "{a}1", "v", "{b}1", "v"],
        &["COPY", "{a}", "{b}1"],
    ] {
        assert_eq!(client.ask(command), Reply::Error(refusal.to_owned()), "{command:?}");
    }
    assert_eq!(client.ask(&["EXISTS", "{a}1", "{b}1"]), Reply::Int(0));
    assert!(client.ask(&["RENAME", "{a}", "{b}"]).is_ok(), "as in Redis");
}
