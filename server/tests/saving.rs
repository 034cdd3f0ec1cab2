//! Snapshots of a running server: RDB files and bases of the log, on the real disk, read by stock
//! Redis; what fails loses nothing and leaves no file.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    disk::{on_small_disk, seen_by},
    interchange::{digest, fill, stock_redis_agrees},
    support::{
        client::{Client, Reply},
        process::{Launch, fresh_dir},
        run,
    },
};

/// Waits for something to become true.
pub fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_true() {
        assert!(Instant::now() < deadline, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn info(client: &mut Client, field: &str) -> String {
    let text = client.ask(&["INFO", "persistence"]).text();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {field} in {text}")).trim().to_owned()
}

/// Every type of value, small and large, in two databases.
pub fn fill_all(client: &mut Client) {
    fill(client);
    for n in 0..600 {
        let n = n.to_string();
        for line in [
            ["RPUSH", "list", n.as_str(), "x"].as_slice(),
            &["SADD", "set", &format!("member-{n}")],
            &["SADD", "ints", &n],
            &["HSET", "hash", &n, "value"],
            &["ZADD", "zset", &n, &format!("m{n}")],
        ] {
            assert!(!matches!(client.ask(line), Reply::Error(_)), "{line:?}");
        }
    }
}

fn files(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("the directory is there");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// No file lies in a log directory that its manifest does not name.
pub fn no_orphans(log: &Path) {
    let manifest = fs::read_to_string(log.join("appendonly.aof.manifest")).expect("a manifest");
    for name in files(log) {
        let listed = manifest.lines().any(|line| line.starts_with(&format!("file {name} ")));
        let known = ["appendonly.aof.manifest", "quire.lock"].contains(&name.as_str());
        assert!(listed || known, "{name} is an orphan:\n{manifest}");
    }
}

#[test]
fn an_rdb_file_is_what_the_server_had_for_quire_and_for_stock_redis() {
    for (command, shards) in [("SAVE", "1"), ("BGSAVE", "3")] {
        let dir = fresh_dir();
        let none = ["--appendonly", "no", "--save", ""];
        let launch = Launch::quire(dir.path()).with(&none).with(&["--shards", shards]);
        let server = launch.start();
        let mut client = server.client();
        fill_all(&mut client);
        let ours = digest(&mut client);
        assert!(!matches!(client.ask(&[command]), Reply::Error(_)));
        until("the save", || info(&mut client, "rdb_saves") == "1");
        assert_eq!(info(&mut client, "rdb_changes_since_last_save"), "0");
        assert_eq!(info(&mut client, "rdb_last_bgsave_status"), "ok");
        client.ask(&["SET", "later", "x"]);
        server.kill();
        assert_eq!(files(dir.path()), ["dump.rdb"]);
        let file = dir.path().join("dump.rdb");
        let said = run("redis-check-rdb", &[file.to_str().expect("test paths are UTF-8")]);
        assert!(said.contains("RDB looks OK!"), "{said}");
        for shards in ["1", "2"] {
            let again = Launch::quire(dir.path()).with(&none).with(&["--shards", shards]).start();
            assert_eq!(digest(&mut again.client()), ours, "{command}, {shards} shards");
        }
        let redis = Launch::redis(dir.path()).with(&["--appendonly", "no"]).start();
        assert_eq!(digest(&mut redis.client()), ours, "{command}, stock Redis");
    }
}

#[test]
fn a_rewritten_log_moves_to_stock_redis_and_back() {
    let dir = fresh_dir();
    let data = dir.path().join("data");
    fs::create_dir(&data).expect("the directory is fresh");
    for (policy, shards) in [("always", "3"), ("everysec", "1"), ("no", "2")] {
        let launch =
            Launch::quire(&data).with(&["--shards", shards, "--appendfsync", policy]).start();
        let mut client = launch.client();
        fill_all(&mut client);
        assert_eq!(
            client.ask(&["BGREWRITEAOF"]).text(),
            "Background append only file rewriting started"
        );
        client.ask(&["INCR", "while"]);
        until("the rewrite", || info(&mut client, "aof_rewrites") == "1");
        client.ask(&["INCR", "after"]);
        let log = data.join("appendonlydir");
        until("the end of old files", || {
            files(&log).iter().filter(|name| name.ends_with(".rdb")).count() == 1
        });
        no_orphans(&log);
        // On with the files a stock server has appended to.
        stock_redis_agrees(launch, &data);
        let redis = Launch::redis(&data).start();
        redis.client().ask(&["INCR", "stock"]);
        redis.stop();
    }
    let server = Launch::quire(&data).start();
    let counted = ["while", "after", "stock"].map(|key| server.client().ask(&["GET", key]).text());
    assert_eq!(counted, ["3", "3", "3"]);
}

#[test]
fn a_server_without_a_log_saves_when_it_leaves_and_by_its_save_points() {
    let dir = fresh_dir();
    let launch = |save: &str| {
        Launch::quire(dir.path()).with(&["--appendonly", "no", "--shards", "2", "--save", save])
    };
    let get = |key: &str| {
        let server = launch("").start();
        server.client().ask(&["GET", key]).text()
    };
    let server = launch("3600 1").start();
    server.client().ask(&["SET", "k", "by SIGTERM"]);
    server.stop();
    assert_eq!(get("k"), "by SIGTERM");
    let mut server = launch("").start();
    server.client().ask(&["SET", "k", "lost"]);
    assert!(server.client().try_ask(&["SHUTDOWN", "NOSAVE"]).is_err());
    assert!(server.wait_exit(Duration::from_secs(20)).success());
    assert_eq!(get("k"), "by SIGTERM");
    let mut server = launch("").start();
    server.client().ask(&["SET", "k", "by SHUTDOWN SAVE"]);
    assert!(server.client().try_ask(&["SHUTDOWN", "SAVE"]).is_err());
    assert!(server.wait_exit(Duration::from_secs(20)).success());
    assert_eq!(get("k"), "by SHUTDOWN SAVE");
    let server = launch("").start();
    let mut client = server.client();
    assert!(client.ask(&["CONFIG", "SET", "save", "1 1"]).is_ok());
    client.ask(&["SET", "k", "by a save point"]);
    until("the save point", || info(&mut client, "rdb_saves") != "0");
    server.kill();
    assert_eq!(get("k"), "by a save point");
}

#[test]
fn what_is_written_while_a_server_saves_and_leaves_is_not_acknowledged_and_lost() {
    let dir = fresh_dir();
    let launch = Launch::quire(dir.path()).with(&["--appendonly", "no", "--shards", "3"]);
    let mut server = launch.start();
    fill_all(&mut server.client());
    let port = server.port;
    let counting = std::thread::spawn(move || {
        let Ok(mut client) = Client::connect(port) else { return 0 };
        let mut acknowledged = 0;
        while let Ok(Reply::Int(n)) = client.try_ask(&["INCR", "counter-of-writes"]) {
            acknowledged = n;
        }
        acknowledged
    });
    std::thread::sleep(Duration::from_millis(100));
    assert!(server.client().try_ask(&["SHUTDOWN", "SAVE"]).is_err());
    assert!(server.wait_exit(Duration::from_secs(20)).success());
    let acknowledged = counting.join().expect("the client does not panic");
    assert!(acknowledged > 0);
    let again = launch.start();
    let kept = again.client().ask(&["GET", "counter-of-writes"]).text();
    assert_eq!(kept, acknowledged.to_string());
}

#[test]
fn a_log_that_grows_is_rewritten_by_itself() {
    let dir = fresh_dir();
    let launch = Launch::quire(dir.path()).with(&[
        "--shards",
        "2",
        "--auto-aof-rewrite-percentage",
        "100",
        "--auto-aof-rewrite-min-size",
        "1mb",
    ]);
    let server = launch.start();
    let mut client = server.client();
    let value = "v".repeat(10_000);
    for n in 0..300 {
        client.ask(&["SET", &format!("key:{}", n % 10), &value]);
    }
    until("the rewrite", || info(&mut client, "aof_rewrites") != "0");
    let (base, now) = (info(&mut client, "aof_base_size"), info(&mut client, "aof_current_size"));
    let number = |text: String| text.parse::<u64>().expect("a number");
    assert!(number(base) < 1_000_000 && number(now) < 3_000_000);
}

#[test]
fn a_save_that_finds_no_room_loses_nothing_and_says_so() {
    let dir = fresh_dir();
    let directives = ["--appendonly", "no", "--shards", "2", "--rdbcompression", "no"];
    let launch = Launch::quire(dir.path()).with(&directives).with(&["--save", "3600 1000000"]);
    let mut server = launch.spawn(|command| on_small_disk(&command, dir.path(), 8));
    server.wait_ready();
    let mut client = server.client();
    client.ask(&["SET", "small", "x"]);
    assert!(client.ask(&["SAVE"]).is_ok());
    let value = "v".repeat(100_000);
    for n in 0..120 {
        assert!(client.ask(&["SET", &format!("key:{n}"), &value]).is_ok());
    }
    assert!(client.ask(&["SAVE"]).is_error("ERR"));
    assert_eq!(info(&mut client, "rdb_last_bgsave_status"), "err");
    assert_eq!(files(&seen_by(&server, dir.path())), ["dump.rdb"]);
    // Somebody relies on snapshots that are not written: no more writes.
    until("the refusal", || client.ask(&["SET", "k", "v"]).is_error("MISCONF"));
    assert_eq!(client.ask(&["STRLEN", "key:119"]), Reply::Int(100_000));
    assert!(client.ask(&["SHUTDOWN", "SAVE"]).is_error("ERR"));
    assert!(client.ask(&["CONFIG", "SET", "stop-writes-on-bgsave-error", "no"]).is_ok());
    until("the way out", || client.ask(&["SET", "k", "v"]).is_ok());
    let copy = dir.path().with_extension("copy");
    crate::support::copy_tree(&seen_by(&server, dir.path()), &copy);
    server.kill();
    let again = Launch::quire(&copy).with(&["--appendonly", "no", "--save", ""]).start();
    assert_eq!(again.client().ask(&["GET", "small"]).text(), "x");
    drop(again);
    fs::remove_dir_all(&copy).expect("the copy is ours");
}

#[test]
fn a_rewrite_that_finds_no_room_leaves_the_log_as_it_is() {
    let dir = fresh_dir();
    let launch = Launch::quire(dir.path()).with(&[
        "--shards",
        "1",
        "--aof-segment-size",
        "2mb",
        "--rdbcompression",
        "no",
        "--auto-aof-rewrite-percentage",
        "0",
    ]);
    let mut server = launch.spawn(|command| on_small_disk(&command, dir.path(), 32));
    server.wait_ready();
    let mut client = server.client();
    let value = "v".repeat(100_000);
    for n in 0..160 {
        assert!(client.ask(&["SET", &format!("key:{n}"), &value]).is_ok());
    }
    client.ask(&["BGREWRITEAOF"]);
    until("the failure", || info(&mut client, "aof_last_bgrewrite_status") == "err");
    let log = seen_by(&server, dir.path()).join("appendonlydir");
    until("its removal", || !files(&log).iter().any(|name| name.contains("base")));
    assert!(client.ask(&["SET", "after", "x"]).is_ok());
    let copy = dir.path().with_extension("copy");
    crate::support::copy_tree(&seen_by(&server, dir.path()), &copy);
    server.kill();
    let again = Launch::quire(&copy).with(&["--shards", "2"]).start();
    assert_eq!(again.client().ask(&["DBSIZE"]), Reply::Int(161));
    drop(again);
    fs::remove_dir_all(&copy).expect("the copy is ours");
}

#[test]
fn a_flush_ends_the_snapshot_of_what_nobody_wants_any_more() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--shards", "2"]).start();
    let mut client = server.client();
    for batch in 0..200 {
        let pairs: Vec<String> =
            (0..200).flat_map(|n| [format!("key:{batch}:{n}"), "v".repeat(100)]).collect();
        let line: Vec<&str> =
            ["MSET"].into_iter().chain(pairs.iter().map(String::as_str)).collect();
        assert!(client.ask(&line).is_ok());
    }
    for _ in 0..5 {
        // One may still be running.
        client.ask(&["BGREWRITEAOF"]);
        assert!(client.ask(&["FLUSHALL"]).is_ok());
        client.ask(&["SET", "k", "v"]);
    }
    until("the end", || info(&mut client, "aof_rewrite_in_progress") == "0");
    assert_eq!(info(&mut client, "aof_last_bgrewrite_status"), "ok");
    server.kill();
    let again = Launch::quire(dir.path()).with(&["--shards", "3"]).start();
    assert_eq!(again.client().ask(&["DBSIZE"]), Reply::Int(1));
    no_orphans(&dir.path().join("appendonlydir"));
}

#[test]
fn a_flush_that_meets_the_end_of_a_checkpoint_holds_nobody_up() {
    let dir = fresh_dir();
    let launch = Launch::quire(dir.path()).with(&["--shards", "2"]);
    let mut server = launch.start();
    let mut client = server.client();
    let ends = |client: &mut Client| {
        until("the end of the checkpoint", || info(client, "aof_rewrite_in_progress") == "0");
    };
    // From flushes that come at once to such that find the files in force.
    for round in 0..150 {
        client.ask(&["MSET", "a", "1", "b", "2", "c", "3"]);
        ends(&mut client);
        assert!(client.ask(&["BGREWRITEAOF"]).text().starts_with("Background"));
        (0..round).for_each(|_| drop(client.ask(&["PING"])));
        assert_eq!(client.ask(&["FLUSHALL"]), Reply::Simple("OK".into()), "round {round}");
        client.ask(&["BGREWRITEAOF"]);
        client.ask(&["SET", "round", &round.to_string()]);
    }
    ends(&mut client);
    drop(client);
    server.kill();
    server = launch.start();
    let mut client = server.client();
    assert_eq!(client.ask(&["GET", "round"]).text(), "149");
    assert_eq!(client.ask(&["DBSIZE"]), Reply::Int(1));
}

#[test]
fn a_server_that_rewrites_its_log_all_the_time_leaves_when_it_is_asked_to() {
    let dir = fresh_dir();
    let rewrites = ["--auto-aof-rewrite-percentage", "1", "--auto-aof-rewrite-min-size", "0"];
    let launch = Launch::quire(dir.path()).with(&["--shards", "2", "--save", "", "--hz", "500"]);
    let launch = launch.with(&rewrites);
    for round in 0..25_u64 {
        let mut server = launch.start();
        let mut client = server.client();
        let is_rewriting = |client: &mut Client| info(client, "aof_rewrite_in_progress") == "1";
        let mut n = 0;
        until("a rewrite", || {
            n += 1;
            client.ask(&["MSET", "a", &n.to_string(), "b", "2", "c", "3", "d", "4"]);
            is_rewriting(&mut client)
        });
        // From the beginning of a rewrite to its end, and between two.
        std::thread::sleep(Duration::from_micros(round * 400));
        run("kill", &["-TERM", &server.pid().to_string()]);
        let status = server.wait_exit(Duration::from_secs(30));
        assert!(status.success(), "round {round}: {}", server.said());
        no_orphans(&dir.path().join("appendonlydir"));
    }
}
