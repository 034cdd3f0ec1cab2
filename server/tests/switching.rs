//! CONFIG SET appendonly yes and no: a log that begins and ends while clients write. From the reply on
//! nothing acknowledged is lost; before it, and when it fails, all is as it was.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crate::{
    disk::{on_small_disk, seen_by},
    interchange::{digest, stock_redis_agrees},
    saving::{fill_all, info, no_orphans},
    support::{
        client::{Client, Reply},
        process::{Launch, ServerProcess, fresh_dir},
    },
};

const NOT_ON: &str = "ERR CONFIG SET failed (possibly related to argument 'appendonly') - Unable to \
                      turn on AOF. Check server logs.";

fn switch(client: &mut Client, on: &str) -> Reply {
    client.ask(&["CONFIG", "SET", "appendonly", on])
}

fn without_log(dir: &Path, shards: &str) -> Launch {
    Launch::quire(dir).with(&["--appendonly", "no", "--save", "", "--shards", shards])
}

fn with_log(dir: &Path, shards: &str) -> ServerProcess {
    Launch::quire(dir).with(&["--shards", shards]).start()
}

#[test]
fn from_the_reply_on_a_log_that_was_switched_on_loses_nothing() {
    for (policy, shards) in [("always", "3"), ("everysec", "1")] {
        let dir = fresh_dir();
        let data = dir.path().join("data");
        fs::create_dir(&data).expect("the directory is fresh");
        let server = without_log(&data, shards).with(&["--appendfsync", policy]).start();
        let mut client = server.client();
        fill_all(&mut client);
        let (is_on, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
        // Every writer counts two keys up together, and says how far it came.
        let counts: Vec<i64> = thread::scope(|scope| {
            let writers: Vec<_> = (0..3)
                .map(|writer| {
                    let (mut client, is_on, is_over) = (server.client(), &is_on, &is_over);
                    scope.spawn(move || {
                        let mut n = 0;
                        let mut behind = 0;
                        while !is_over.load(Ordering::Relaxed) || behind < 20 {
                            n += 1;
                            behind += i32::from(is_on.load(Ordering::Relaxed));
                            let (a, b) = (format!("a{writer}"), format!("b{writer}"));
                            let text = n.to_string();
                            assert!(client.ask(&["MSET", &a, &text, &b, &text]).is_ok());
                        }
                        n
                    })
                })
                .collect();
            assert_eq!(info(&mut client, "aof_enabled"), "0");
            assert!(switch(&mut client, "yes").is_ok());
            is_on.store(true, Ordering::Relaxed);
            is_over.store(true, Ordering::Relaxed);
            writers.into_iter().map(|writer| writer.join().expect("it writes on")).collect()
        });
        assert_eq!(info(&mut client, "aof_enabled"), "1");
        assert_eq!(switch(&mut client, "yes"), Reply::Simple("OK".to_owned()), "again");
        let ours = digest(&mut client);
        server.kill();
        no_orphans(&data.join("appendonlydir"));
        let server = with_log(&data, "2");
        let mut client = server.client();
        for (writer, count) in counts.iter().enumerate() {
            for key in [format!("a{writer}"), format!("b{writer}")] {
                assert_eq!(client.ask(&["GET", &key]).text(), count.to_string(), "{key}");
            }
        }
        assert_eq!(digest(&mut client), ours);
        stock_redis_agrees(server, &data);
    }
}

#[test]
fn a_log_is_switched_off_and_on_again_and_each_time_the_files_are_whole() {
    let dir = fresh_dir();
    let data = dir.path().join("data");
    fs::create_dir(&data).expect("the directory is fresh");
    let server = Launch::quire(&data).with(&["--shards", "3", "--save", ""]).start();
    let mut client = server.client();
    fill_all(&mut client);
    let logged = digest(&mut client);
    for round in 0..3 {
        assert!(switch(&mut client, "no").is_ok());
        assert_eq!(info(&mut client, "aof_enabled"), "0");
        assert!(client.ask(&["BGREWRITEAOF"]).is_error("ERR There is no log"));
        // What it leaves is a log as after a stop in order: another server has it at once.
        let other = with_log(&data, "2");
        if round == 0 {
            assert_eq!(digest(&mut other.client()), logged);
        }
        assert_eq!(switch(&mut client, "yes"), Reply::Error(NOT_ON.to_owned()), "it is in use");
        other.stop();
        // Nobody logs this, and nobody waits for it.
        let text = round.to_string();
        assert!(client.ask(&["MSET", "m1", &text, "unlogged", &text]).is_ok());
        assert!(switch(&mut client, "yes").is_ok());
        assert!(client.ask(&["MSET", "m1", &text, "m2", &text, "m3", &text]).is_ok());
        no_orphans(&data.join("appendonlydir"));
    }
    let refused = client.ask(&["CONFIG", "SET", "appendonly", "no", "hz", "10"]);
    assert!(refused.is_error("ERR CONFIG SET failed (possibly related to argument 'appendonly')"));
    let ours = digest(&mut client);
    server.kill();
    let server = with_log(&data, "1");
    assert_eq!(digest(&mut server.client()), ours);
    stock_redis_agrees(server, &data);
}

#[test]
fn a_log_that_cannot_begin_leaves_what_there_was() {
    let dir = fresh_dir();
    // Where there was no log, none is left.
    let blocked = fresh_dir();
    let server = without_log(blocked.path(), "2").start();
    let mut client = server.client();
    fs::create_dir_all(blocked.path().join("appendonlydir/appendonly.aof.base.quire-new"))
        .expect("the directory is ours");
    assert_eq!(switch(&mut client, "yes"), Reply::Error(NOT_ON.to_owned()));
    assert!(client.ask(&["MSET", "a", "1", "b", "2"]).is_ok());
    fs::remove_dir(blocked.path().join("appendonlydir/appendonly.aof.base.quire-new"))
        .expect("it is still there");
    let left: Vec<_> = fs::read_dir(blocked.path().join("appendonlydir"))
        .expect("it was made")
        .map(|entry| entry.expect("readable").file_name())
        .filter(|name| name != "quire.lock")
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(switch(&mut client, "yes").is_ok());
    drop(server);
    // An older log lies in the directory; its place is too small for a new base.
    let launch =
        without_log(dir.path(), "2").with(&["--aof-segment-size", "2mb", "--rdbcompression", "no"]);
    let mut server = launch.spawn(|command| on_small_disk(&command, dir.path(), 24));
    server.wait_ready();
    let mut client = server.client();
    client.ask(&["SET", "old", "x"]);
    assert!(switch(&mut client, "yes").is_ok());
    assert!(switch(&mut client, "no").is_ok());
    let log = seen_by(&server, dir.path()).join("appendonlydir");
    let manifest = log.join("appendonly.aof.manifest");
    let before = fs::read(&manifest).expect("there is a manifest");
    let value = "v".repeat(100_000);
    for n in 0..200 {
        assert!(client.ask(&["SET", &format!("key:{n}"), &value]).is_ok());
    }
    assert_eq!(switch(&mut client, "yes"), Reply::Error(NOT_ON.to_owned()));
    assert_eq!(info(&mut client, "aof_enabled"), "0");
    assert_eq!(
        client.ask(&["CONFIG", "GET", "appendonly"]),
        crate::support::client::pairs(&["appendonly", "no"])
    );
    // Nobody waits for a log, nobody is refused anything.
    assert!(client.ask(&["MSET", "a", "1", "b", "2", "c", "3"]).is_ok());
    assert_eq!(client.ask(&["DBSIZE"]), Reply::Int(204));
    let files = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let lines = text.lines().filter(|line| line.starts_with("file ")).map(str::to_owned);
        lines.collect::<Vec<_>>()
    };
    let after = fs::read(&manifest).expect("there is a manifest");
    assert_eq!(files(&after), files(&before), "the older log is in force");
    no_orphans(&log);
    let copy = dir.path().with_extension("copy");
    crate::support::copy_tree(&seen_by(&server, dir.path()), &copy);
    server.kill();
    let again = with_log(&copy, "1");
    assert_eq!(again.client().ask(&["DBSIZE"]), Reply::Int(1), "what the older log has");
    drop(again);
    fs::remove_dir_all(&copy).expect("the copy is ours");
}

#[test]
fn a_crash_before_a_log_takes_effect_leaves_the_older_one() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--shards", "2"]).start();
    server.client().ask(&["SET", "old", "x"]);
    server.stop();
    let server = without_log(dir.path(), "2").start();
    let mut client = server.client();
    let value = "v".repeat(1000);
    for n in 0..20 {
        let pairs: Vec<String> =
            (0..500).flat_map(|i| [format!("key:{n}:{i}"), value.clone()]).collect();
        let words: Vec<&str> =
            ["MSET"].into_iter().chain(pairs.iter().map(String::as_str)).collect();
        assert!(client.ask(&words).is_ok());
    }
    let mut request = Vec::new();
    crate::support::client::push_command(&mut request, &["CONFIG", "SET", "appendonly", "yes"]);
    client.send(&request).expect("it is connected");
    let mut watcher = server.client();
    crate::saving::until("the beginning", || info(&mut watcher, "aof_rewrite_in_progress") == "1");
    let is_off = info(&mut watcher, "aof_enabled") == "0";
    server.kill();
    let again = with_log(dir.path(), "3");
    let keys = again.client().ask(&["DBSIZE"]);
    // It may have been faster than the eye.
    assert!(keys == Reply::Int(1) || (!is_off && keys == Reply::Int(10_000)), "{keys:?}");
    no_orphans(&dir.path().join("appendonlydir"));
}
