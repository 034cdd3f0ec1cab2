//! Programs people use: redis-cli, redis-benchmark, redis-py. What they need of a server must
//! work as they expect it.

use crate::support::{
    process::{Launch, ServerProcess, fresh_dir},
    run,
};
use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

/// A server with two shards and a log; its directory goes with the guard.
fn server() -> (tempfile::TempDir, ServerProcess) {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--shards", "2"]).start();
    (dir, server)
}

fn cli(server: &ServerProcess, args: &[&str]) -> String {
    let port = server.port.to_string();
    run("redis-cli", &[&["-p", &port], args].concat()).trim_end().to_owned()
}

#[test]
fn redis_cli_talks_in_both_protocols() {
    let (_dir, server) = server();
    for protocol in ["-2", "-3"] {
        assert_eq!(cli(&server, &[protocol, "SET", "a key", "a value"]), "OK");
        assert_eq!(cli(&server, &[protocol, "GET", "a key"]), "a value");
        assert_eq!(cli(&server, &[protocol, "DEL", "a key", "other"]), "1");
        assert_eq!(cli(&server, &[protocol, "GET", "a key"]), "");
        assert_eq!(cli(&server, &[protocol, "MSET", "x", "1", "y", "2", "z", "3"]), "OK");
        assert_eq!(cli(&server, &[protocol, "MGET", "x", "nope", "z"]), "1\n\n3");
        assert_eq!(cli(&server, &[protocol, "-n", "2", "DBSIZE"]), "0");
    }
    let said = cli(&server, &["NOSUCHCOMMAND", "a", "b"]);
    assert!(said.starts_with("ERR unknown command 'NOSUCHCOMMAND'"), "{said}");
}

#[test]
fn redis_cli_scans_every_key_once() {
    let (_dir, server) = server();
    for n in 0..50 {
        let keys: Vec<String> =
            (0..20).flat_map(|m| [format!("scan:{}", n * 20 + m), "v".to_owned()]).collect();
        let words: Vec<&str> =
            ["MSET"].into_iter().chain(keys.iter().map(String::as_str)).collect();
        assert_eq!(cli(&server, &words), "OK");
    }
    let mut found: Vec<String> =
        cli(&server, &["--scan", "--pattern", "scan:*"]).lines().map(str::to_owned).collect();
    assert_eq!(found.len(), 1000);
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 1000);
}

/// The first lines of what a mode of redis-cli prints that never ends.
fn first_lines(server: &ServerProcess, args: &[&str], count: usize) -> Vec<String> {
    let port = server.port.to_string();
    let mut child = Command::new("stdbuf")
        .args([&["-oL", "redis-cli", "-p", &port], args].concat())
        .stdout(Stdio::piped())
        .spawn()
        .expect("stdbuf and redis-cli are needed by the tests (see .ci/test)");
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let lines = lines.take(count).map(|line| line.expect("redis-cli prints text")).collect();
    child.kill().expect("it runs until it is stopped");
    child.wait().expect("it has been started");
    lines
}

#[test]
fn redis_cli_looks_into_the_keyspace_in_all_its_modes() {
    let dir = fresh_dir();
    let lfu = ["--shards", "4", "--maxmemory-policy", "allkeys-lfu"];
    let server = Launch::quire(dir.path()).with(&lfu).start();
    let mut client = server.client();
    let text = "x".repeat(900);
    let mut ask = |line: &[&str]| drop(client.ask(line));
    for n in 0..60 {
        let (key, field) = (format!("key:{n}"), format!("field:{n}"));
        ask(&["SET", &key, &text[n..]]);
        ask(&["RPUSH", &format!("list:{}", n % 5), &key]);
        ask(&["HSET", &format!("hash:{}", n % 7), &field, &key]);
        ask(&["SADD", &format!("set:{}", n % 3), &key]);
        ask(&["ZADD", &format!("zset:{}", n % 2), "1", &key]);
        ask(&["XADD", "stream", "*", &field, &key]);
    }
    (0..200).for_each(|_| ask(&["GET", "key:7"]));

    let said = cli(&server, &["--bigkeys"]);
    for line in [
        "Sampled 78 keys in the keyspace!",
        "Biggest string found '\"key:0\"' has 900 bytes",
        "Biggest   zset found",
        "1 streams with 60 entries",
        "60 strings with",
        "7 hashs with 60 fields",
        "5 lists with 60 items",
        "3 sets with 60 members",
    ] {
        assert!(said.contains(line), "no `{line}` in:\n{said}");
    }
    let said = cli(&server, &["--memkeys"]);
    for line in ["Sampled 78 keys in the keyspace!", "60 strings with", "Biggest stream found"] {
        assert!(said.contains(line), "no `{line}` in:\n{said}");
    }
    let said = cli(&server, &["--hotkeys"]);
    let hot: Vec<&str> = said.lines().filter(|line| line.starts_with("hot key found")).collect();
    assert!(hot.len() > 1 && hot[0].ends_with("keyname: \"key:7\""), "{said}");

    let found = cli(&server, &["--scan", "--pattern", "hash:*"]);
    let mut found: Vec<&str> = found.lines().collect();
    found.sort_unstable();
    assert_eq!(found, (0..7).map(|n| format!("hash:{n}")).collect::<Vec<_>>());
    // Not on a terminal it gives one line: least, most, average, number.
    let said = cli(&server, &["--latency", "-i", "0.2"]);
    let figures: Vec<f64> = said.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(figures.len() == 4 && figures[3] > 0.0, "{said}");
    let lines = first_lines(&server, &["--stat", "-i", "0.05"], 4);
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&lines[1])[..4], ["keys", "mem", "clients", "blocked"], "{lines:?}");
    assert_eq!(words(&lines[2])[0], "78", "{lines:?}");
    let lines = first_lines(&server, &["--lru-test", "100"], 1);
    assert!(lines[0].contains("Gets/sec"), "{lines:?}");
    let said = cli(&server, &["-3", "HGETALL", "hash:6"]);
    assert!(said.starts_with("field:6 key:6\nfield:13 key:13"), "{said}");
}

#[test]
fn redis_benchmark_runs_without_an_error() {
    let (_dir, server) = server();
    let port = server.port.to_string();
    for pipeline in ["1", "64"] {
        let requests = if pipeline == "1" { "5000" } else { "100000" };
        let said = run(
            "redis-benchmark",
            &[
                "-p",
                &port,
                "-t",
                "ping,set,get,incr,mset",
                "-n",
                requests,
                "-P",
                pipeline,
                "-c",
                "20",
                "-d",
                "64",
                "-r",
                "10000",
                "--csv",
            ],
        );
        for test in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET (10 keys)"] {
            assert!(said.contains(&format!("\"{test}\"")), "no {test} in:\n{said}");
        }
        assert!(!said.contains("rror"), "{said}");
    }
}

#[test]
fn redis_py_works() {
    let (_dir, server) = server();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/redis_py.py");
    let said = run("python3", &[script, &server.port.to_string()]);
    assert!(said.trim_end().ends_with("all passed"), "{said}");
}
