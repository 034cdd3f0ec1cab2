//! Programs people use: redis-cli, redis-benchmark, redis-py. What they need of a server must
//! work as they expect it.

use crate::support::{
    process::{Launch, ServerProcess, fresh_dir},
    run,
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
