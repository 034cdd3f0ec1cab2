//! Starts that must not happen: the process ends with a code other than 0 and one sentence that
//! names the file, the directory or the address. Never empty or partial in silence.

use std::{fs, path::PathBuf};

use crate::support::process::{Launch, fresh_dir};

const VALUE: &[u8] = b"a value like no other";

/// Where `part` first stands in `bytes`.
fn contains(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// A directory with data of one shard, cleanly stopped, and its log file.
fn stopped() -> (tempfile::TempDir, Launch, PathBuf) {
    let dir = fresh_dir();
    let launch = Launch::quire(dir.path()).with(&["--shards", "1", "--appendfsync", "always"]);
    let server = launch.start();
    let mut client = server.client();
    for n in 0..500 {
        assert!(client.ask(&[b"SET", format!("key:{n}").as_bytes(), VALUE]).is_ok());
    }
    server.stop();
    let log = fs::read_dir(dir.path().join("appendonlydir"))
        .expect("the server has made it")
        .map(|entry| entry.expect("the directory is readable").path())
        .find(|path| contains(&fs::read(path).unwrap_or_default(), VALUE).is_some())
        .expect("values are logged as they are");
    (dir, launch, log)
}

fn assert_refused(launch: &Launch, named: &str) {
    let (status, said) = launch.start_refused();
    assert!(!status.success(), "it ended with {status}:\n{said}");
    assert!(said.contains(named), "nothing names {named}:\n{said}");
}

fn name(path: &std::path::Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[test]
fn a_log_file_that_is_listed_and_missing_is_named() {
    let (_dir, launch, log) = stopped();
    fs::remove_file(&log).expect("the file is ours");
    assert_refused(&launch, &name(&log));
}

#[test]
fn a_flipped_byte_in_what_was_synced_is_named_with_its_file() {
    let (_dir, launch, log) = stopped();
    let mut bytes = fs::read(&log).expect("the file is readable");
    let middle = contains(&bytes, VALUE).expect("the file was chosen for it");
    bytes[middle] ^= 1;
    fs::write(&log, bytes).expect("the file is ours");
    assert_refused(&launch, &name(&log));
}

#[test]
fn a_broken_manifest_is_named() {
    let (dir, launch, _) = stopped();
    let manifest = dir.path().join("appendonlydir/appendonly.aof.manifest");
    fs::write(&manifest, "file is not what this line says\n").expect("the file is ours");
    assert_refused(&launch, "appendonly.aof.manifest");
}

#[test]
fn a_second_server_on_the_same_directory_does_not_start() {
    let dir = fresh_dir();
    let launch = Launch::quire(dir.path()).with(&["--shards", "1"]);
    let first = launch.start();
    assert_refused(&launch, "appendonlydir");
    assert!(first.client().ask(&["SET", "still", "here"]).is_ok());
}

#[test]
fn a_port_that_is_taken_is_named() {
    let dir = fresh_dir();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("there are free ports");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    assert_refused(&Launch::quire(dir.path()).with(&["--port", &port]), &port);
}

#[test]
fn the_port_of_a_server_that_ended_is_free() {
    let dir = fresh_dir();
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("there are free ports");
    let port = free.local_addr().expect("it is bound").port();
    drop(free);
    let launch = Launch::quire(dir.path()).with(&["--appendonly", "no", "--port"]);
    let launch = launch.with(&[&port.to_string()]);
    let start = || {
        let mut server = launch.spawn(|command| command);
        server.port = port;
        server.wait_ready();
        server
    };
    start().stop();
    // At once for anybody, after an end in order.
    let bound = std::net::TcpListener::bind(("127.0.0.1", port));
    drop(bound.expect("a stopped server has given its port back"));
    // For the next server, after any end: the kernel keeps a killed one's a little longer.
    for _ in 0..3 {
        start().kill();
    }
    start().stop();
}

#[test]
fn a_directive_nobody_knows_is_named() {
    let dir = fresh_dir();
    assert_refused(
        &Launch::quire(dir.path()).with(&["--no-such-directive", "1"]),
        "no-such-directive",
    );
}
