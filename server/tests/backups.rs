//! BACKUP: what lies in its directory afterwards is all keys at one moment, or nothing.

use std::{
    collections::HashMap, fs, path::Path, sync::atomic::AtomicBool, sync::atomic::Ordering, thread,
};

use crate::{
    disk::{on_small_disk, seen_by},
    interchange::digest,
    saving::{fill_all, until},
    support::{
        client::{Client, Reply},
        process::{Launch, fresh_dir},
    },
};

fn status(client: &mut Client) -> HashMap<String, String> {
    let Reply::Array(parts) = client.ask(&["BACKUP", "STATUS"]) else { panic!("a map is due") };
    let text = |reply: &Reply| match reply {
        Reply::Int(n) => n.to_string(),
        other => other.text(),
    };
    parts.chunks(2).map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}

fn start(client: &mut Client, to: &Path) -> Reply {
    client.ask(&["BACKUP", "START", to.to_str().expect("test paths are UTF-8")])
}

fn ends(client: &mut Client, state: &str) -> HashMap<String, String> {
    let is_over = |client: &mut Client| {
        let state = &status(client)["state"];
        !["waiting", "writing", "verifying"].contains(&state.as_str())
    };
    until("the end of the backup", || is_over(client));
    let found = status(client);
    assert_eq!(found["state"], state, "{found:?}");
    found
}

#[test]
fn a_backup_is_all_keys_at_one_moment_for_quire_and_for_stock_redis() {
    for (log, shards) in [("yes", "3"), ("no", "1")] {
        let dir = fresh_dir();
        let data = dir.path().join("data");
        fs::create_dir(&data).expect("the directory is fresh");
        let server = Launch::quire(&data)
            .with(&["--appendonly", log, "--save", "", "--shards", shards])
            .start();
        let mut client = server.client();
        assert_eq!(status(&mut client)["state"], "none");
        fill_all(&mut client);
        let ours = digest(&mut client);
        // Relative to `dir`, into a directory that is there and empty.
        fs::create_dir(data.join("still")).expect("the directory is ours");
        assert_eq!(start(&mut client, Path::new("still")).text(), "Backup started");
        let found = ends(&mut client, "done");
        assert_eq!(found["directory"], data.join("still").display().to_string());
        assert_eq!(found["keys_processed"], found["keys_total"]);
        assert_eq!((found["bytes_verified"] != "0", found["error"].as_str()), (true, ""));
        // While others write: both keys of a pair, or neither.
        let moving = dir.path().join("moving");
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut client = server.client();
                let mut n = 0;
                while !is_over.load(Ordering::Relaxed) {
                    n += 1;
                    let text = n.to_string();
                    assert!(client.ask(&["MSET", "pair:a", &text, "pair:b", &text]).is_ok());
                }
            });
            assert_eq!(start(&mut client, &moving).text(), "Backup started");
            ends(&mut client, "done");
            is_over.store(true, Ordering::Relaxed);
            writer.join().expect("it writes");
        });
        drop(server);
        let still = data.join("still");
        let place = still.to_str().expect("test paths are UTF-8");
        let said = crate::support::run(env!("CARGO_BIN_EXE_quire-check"), &[place]);
        assert!(said.contains("clean"), "{said}");
        let redis = Launch::redis(&still).start();
        assert_eq!(digest(&mut redis.client()), ours, "stock Redis");
        redis.stop();
        let restored = Launch::quire(&still).with(&["--shards", "2"]).start();
        assert_eq!(digest(&mut restored.client()), ours);
        let restored = Launch::quire(&moving).with(&["--shards", "2"]).start();
        let mut client = restored.client();
        assert_eq!(client.ask(&["GET", "pair:a"]), client.ask(&["GET", "pair:b"]));
        client.ask(&["DEL", "pair:a", "pair:b"]);
        assert_eq!(digest(&mut client), ours);
    }
}

#[test]
fn a_backup_goes_into_no_place_where_something_is() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--shards", "2"]).start();
    let mut client = server.client();
    fill_all(&mut client);
    fs::write(dir.path().join("file"), "x").expect("the directory is ours");
    let refused = |client: &mut Client, to: &str, why: &str| {
        let Reply::Error(text) = start(client, Path::new(to)) else { panic!("{to} is refused") };
        let place = dir.path().join(to).display().to_string();
        assert!(text.starts_with(&format!("ERR {place}: ")) && text.contains(why), "{text}");
    };
    refused(&mut client, "appendonlydir", "not empty");
    refused(&mut client, "file", "no directory");
    refused(&mut client, "nowhere/in/here", "No such file or directory");
    assert!(!dir.path().join("nowhere").exists());
    assert_eq!(status(&mut client)["state"], "none");
    assert!(client.ask(&["BACKUP", "ABORT"]).is_error("ERR No backup is in progress"));
    assert_eq!(start(&mut client, Path::new("copy")).text(), "Backup started");
    ends(&mut client, "done");
    refused(&mut client, "copy", "not empty");
}

#[test]
fn a_backup_that_is_given_up_or_fails_leaves_nothing() {
    let dir = fresh_dir();
    let launch = Launch::quire(dir.path()).with(&[
        "--appendonly",
        "no",
        "--save",
        "",
        "--shards",
        "2",
        "--rdbcompression",
        "no",
    ]);
    let mut server = launch.spawn(|command| on_small_disk(&command, dir.path(), 8));
    server.wait_ready();
    let mut client = server.client();
    let value = "v".repeat(100_000);
    for n in 0..200 {
        assert!(client.ask(&["SET", &format!("key:{n}"), &value]).is_ok());
    }
    let copy = seen_by(&server, dir.path()).join("copy");
    assert_eq!(start(&mut client, Path::new("copy")).text(), "Backup started");
    let found = ends(&mut client, "failed");
    assert!(found["error"].contains("No space left on device"), "{found:?}");
    until("the end of the directory", || !copy.exists());
    // What was there stays there.
    fs::create_dir(&copy).expect("the server's user is ours");
    assert_eq!(start(&mut client, Path::new("copy")).text(), "Backup started");
    assert!(client.ask(&["BACKUP", "ABORT"]).is_ok());
    let state = status(&mut client)["state"].clone();
    assert!(["aborted", "failed"].contains(&state.as_str()), "{state}");
    until("the end of what it wrote", || fs::read_dir(&copy).expect("it stays").next().is_none());
    assert!(client.ask(&["SET", "k", "v"]).is_ok());
}
