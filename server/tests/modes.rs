//! The four modes of persistence, each through its whole life: kill -9 and a restart with another
//! number of shards, again and again, then out to stock Redis, which writes, and back.

use std::path::Path;

use crate::{
    interchange::digest,
    saving::{fill_all, info, no_orphans, until},
    support::{
        client::{Client, Reply},
        process::{Launch, fresh_dir},
        run,
    },
};

/// A way to keep data.
struct Mode {
    name: &'static str,
    directives: &'static [&'static str],
    /// There is a log.
    logs: bool,
    /// Makes everything survive that was written so far.
    keep: fn(&mut Client),
}

/// A base of everything so far, and a log behind it.
fn base_and_tail(client: &mut Client) {
    let rewrites = info(client, "aof_rewrites");
    assert!(!matches!(client.ask(&["BGREWRITEAOF"]), Reply::Error(_)));
    until("the rewrite", || info(client, "aof_rewrites") != rewrites);
    assert!(!matches!(client.ask(&["INCR", "tail"]), Reply::Error(_)));
}

const MODES: [Mode; 5] = [
    Mode {
        name: "none",
        directives: &["--appendonly", "no", "--save", ""],
        logs: false,
        keep: |client| assert_eq!(info(client, "aof_enabled"), "0"),
    },
    Mode {
        name: "RDB only",
        directives: &["--appendonly", "no", "--save", "3600 1"],
        logs: false,
        keep: |client| assert!(client.ask(&["SAVE"]).is_ok()),
    },
    Mode {
        name: "AOF only",
        directives: &["--appendonly", "yes", "--auto-aof-rewrite-percentage", "0"],
        logs: true,
        keep: |client| assert_eq!(info(client, "aof_rewrites"), "0"),
    },
    Mode {
        name: "hybrid",
        directives: &["--appendonly", "yes", "--save", "3600 1"],
        logs: true,
        keep: |client| {
            base_and_tail(client);
            assert!(client.ask(&["SAVE"]).is_ok());
        },
    },
    Mode {
        name: "commands as base",
        directives: &["--appendonly", "yes", "--aof-use-rdb-preamble", "no"],
        logs: true,
        keep: base_and_tail,
    },
];

fn check_files(dir: &Path, mode: &Mode) {
    let path = |name: &str| dir.join(name).display().to_string();
    if mode.logs {
        no_orphans(&dir.join("appendonlydir"));
        // The programs' exit codes are 0, or `run` panics.
        let said = run("redis-check-aof", &[&path("appendonlydir/appendonly.aof.manifest")]);
        assert!(said.contains("All AOF files and manifest are valid"), "{}: {said}", mode.name);
    }
    if dir.join("dump.rdb").exists() {
        let said = run("redis-check-rdb", &[&path("dump.rdb")]);
        assert!(said.contains("RDB looks OK!"), "{}: {said}", mode.name);
    }
}

/// Stock Redis has the same on these files; what it has after it has written.
fn at_stock(dir: &Path, mode: &Mode, expected: &str) -> String {
    let log = if mode.logs { "yes" } else { "no" };
    let redis = Launch::redis(dir).with(&["--appendonly", log]).start();
    let mut client = redis.client();
    assert_eq!(digest(&mut client), expected, "{}: stock Redis", mode.name);
    for line in ["INCR stock", "RPUSH list stock", "HDEL hash 5", "XADD stream * by stock"] {
        let words: Vec<&str> = line.split(' ').collect();
        assert!(!matches!(client.ask(&words), Reply::Error(_)), "{line}");
    }
    if !mode.logs {
        assert!(client.ask(&["SAVE"]).is_ok());
    }
    let theirs = digest(&mut client);
    redis.stop();
    theirs
}

fn whole_life(mode: &Mode) {
    let dir = fresh_dir();
    let launch = |shards| {
        Launch::quire(dir.path()).with(mode.directives).with(&["--shards", shards]).start()
    };
    let nothing = "0".repeat(40);
    let mut kept = nothing.clone();
    for shards in ["1", "4", "3"] {
        let server = launch(shards);
        let mut client = server.client();
        assert_eq!(digest(&mut client), kept, "{}: {shards} shards", mode.name);
        fill_all(&mut client);
        assert!(!matches!(client.ask(&["INCR", "lives"]), Reply::Error(_)));
        (mode.keep)(&mut client);
        kept = if mode.name == "none" { nothing.clone() } else { digest(&mut client) };
        if !mode.logs {
            client.ask(&["SET", "written after the last save", "x"]);
        }
        server.kill();
    }
    // A restart in order; without a log that saves where there are save points.
    let server = launch("2");
    assert_eq!(digest(&mut server.client()), kept, "{}", mode.name);
    server.stop();
    check_files(dir.path(), mode);
    if mode.name == "none" {
        let nothing: Vec<_> = std::fs::read_dir(dir.path()).expect("it is there").collect();
        assert!(nothing.is_empty(), "{nothing:?}");
        return;
    }
    let theirs = at_stock(dir.path(), mode, &kept);
    for shards in ["4", "1"] {
        let server = launch(shards);
        assert_eq!(digest(&mut server.client()), theirs, "{}: back, {shards} shards", mode.name);
        server.kill();
    }
}

#[test]
fn without_persistence_nothing_is_kept_and_no_file_is_left() {
    whole_life(&MODES[0]);
}

#[test]
fn with_rdb_files_alone_what_was_saved_is_kept() {
    whole_life(&MODES[1]);
}

#[test]
fn with_a_log_alone_everything_is_kept() {
    whole_life(&MODES[2]);
}

#[test]
fn with_a_base_of_commands_and_a_log_everything_is_kept() {
    whole_life(&MODES[4]);
}

#[test]
fn with_a_base_and_a_log_and_rdb_files_everything_is_kept() {
    whole_life(&MODES[3]);
}
