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
