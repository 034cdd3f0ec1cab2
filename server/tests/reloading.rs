//! DEBUG RELOAD and DEBUG LOADAOF: afterwards data, log and files agree, whatever was loaded, and a
//! failure leaves all of it as it was.

use std::{fs, thread};

use crate::{
    interchange::{digest, stock_redis_agrees},
    saving::{fill_all, no_orphans},
    support::{
        client::{Client, Reply},
        process::{Launch, ServerProcess, fresh_dir},
    },
};

fn ok(client: &mut Client, line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let reply = client.ask(&words);
    assert!(reply.is_ok(), "{line}: {reply:?}");
}

/// The server of the same directory after a kill -9, with another number of shards.
fn again(server: ServerProcess, launch: &Launch, shards: &str) -> ServerProcess {
    server.kill();
    launch.clone().with(&["--shards", shards]).start()
}

#[test]
fn what_is_loaded_again_is_what_there_was_with_and_without_a_log() {
    for (log, shards) in [("no", "1"), ("yes", "1"), ("yes", "3"), ("no", "3")] {
        let dir = fresh_dir();
        let launch = Launch::quire(dir.path()).with(&["--appendonly", log, "--save", ""]);
        let server = launch.clone().with(&["--shards", shards]).start();
        let mut client = server.client();
        fill_all(&mut client);
        let ours = digest(&mut client);
        let commands: &[&str] = match log {
            "yes" => &["DEBUG LOADAOF", "DEBUG RELOAD", "DEBUG LOADAOF", "DEBUG RELOAD NOSAVE"],
            _ => &["DEBUG RELOAD", "DEBUG RELOAD NOSAVE", "DEBUG RELOAD NOFLUSH MERGE"],
        };
        for command in commands {
            ok(&mut client, command);
            assert_eq!(digest(&mut client), ours, "{command}, {shards} shards, log: {log}");
        }
        // The server goes on as ever.
        ok(&mut client, "SET later x");
        let later = digest(&mut client);
        if log == "yes" {
            no_orphans(&dir.path().join("appendonlydir"));
            let server = again(server, &launch, "2");
            assert_eq!(digest(&mut server.client()), later);
        } else {
            let server = again(server, &launch, "2");
            assert_eq!(digest(&mut server.client()), ours);
        }
    }
}

#[test]
fn values_that_are_loaded_again_have_the_form_that_the_settings_ask_for() {
    let dir = fresh_dir();
    let launch = Launch::quire(dir.path()).with(&["--save", "", "--shards", "2"]);
    let server = launch.start();
    let mut client = server.client();
    for (name, fill, big) in [
        ("zset-max-listpack-entries", "ZADD k 1 a 2 b", "skiplist"),
        ("hash-max-listpack-entries", "HSET k a 1 b 2", "hashtable"),
        ("set-max-intset-entries", "SADD k 1 2 3", "hashtable"),
    ] {
        let was = client.ask(&["CONFIG", "GET", name]);
        ok(&mut client, &format!("CONFIG SET {name} 1"));
        client.ask(&["DEL", "k"]);
        client.ask(&fill.split(' ').collect::<Vec<_>>());
        for command in ["DEBUG RELOAD", "DEBUG LOADAOF"] {
            ok(&mut client, command);
            assert_eq!(client.ask(&["OBJECT", "ENCODING", "k"]).text(), big, "{command}");
        }
        let Reply::Array(was) = was else { panic!("{was:?}") };
        ok(&mut client, &format!("CONFIG SET {name} {}", was[1].text()));
    }
}

#[test]
fn what_an_rdb_file_brings_back_is_in_the_log() {
    let dir = fresh_dir();
    let data = dir.path().join("data");
    fs::create_dir(&data).expect("the directory is fresh");
    let launch = Launch::quire(&data).with(&["--save", "", "--shards", "3"]);
    let server = launch.start();
    let mut client = server.client();
    fill_all(&mut client);
    ok(&mut client, "SAVE");
    let saved = digest(&mut client);
    for key in ["plain", "number", "list"] {
        client.ask(&["DEL", key]);
    }
    ok(&mut client, "SET new value");
    ok(&mut client, "DEBUG RELOAD NOSAVE");
    assert_eq!(digest(&mut client), saved, "as saved, not as changed");
    // Added to what there is: the log has both.
    ok(&mut client, "SET new value");
    ok(&mut client, "SET plain other");
    let before = digest(&mut client);
    let reply = client.ask(&["DEBUG", "RELOAD", "NOSAVE", "NOFLUSH"]);
    assert_eq!(reply, Reply::Error("ERR Error trying to load the RDB dump".to_owned()));
    assert_eq!(digest(&mut client), before, "a key that comes twice changes nothing");
    ok(&mut client, "DEBUG RELOAD NOSAVE NOFLUSH MERGE");
    assert_eq!(client.ask(&["GET", "plain"]).text(), "value");
    assert_eq!(client.ask(&["GET", "new"]).text(), "value");
    ok(&mut client, "SET last x");
    let last = digest(&mut client);
    let server = again(server, &launch, "2");
    assert_eq!(digest(&mut server.client()), last);
    stock_redis_agrees(server, &data);
}

#[test]
fn a_file_that_cannot_be_loaded_leaves_data_and_log_as_they_were() {
    for log in ["yes", "no"] {
        let dir = fresh_dir();
        let launch = Launch::quire(dir.path()).with(&["--appendonly", log, "--save", ""]);
        let server = launch.clone().with(&["--shards", "2"]).start();
        let mut client = server.client();
        fill_all(&mut client);
        let ours = digest(&mut client);
        let refused = "ERR Error trying to load the RDB dump";
        let file = dir.path().join("dump.rdb");
        for option in ["NOSAVE", "NOSAVE NOFLUSH", "NOSAVE MERGE"] {
            let line = format!("DEBUG RELOAD {option}");
            let words: Vec<&str> = line.split(' ').collect();
            let reply = client.ask(&words);
            assert!(reply.is_error(refused), "there is no file: {reply:?}");
        }
        ok(&mut client, "SAVE");
        let whole = fs::read(&file).expect("it was saved");
        let middle = whole.len() / 2;
        let damaged = [&whole[..middle], &[whole[middle] ^ 1], &whole[middle + 1..]].concat();
        for bytes in [&whole[..middle], &damaged] {
            fs::write(&file, bytes).expect("the directory is ours");
            let reply = client.ask(&["DEBUG", "RELOAD", "NOSAVE"]);
            assert!(reply.is_error(refused), "{reply:?}");
            assert_eq!(digest(&mut client), ours);
        }
        let reply = client.ask(&["DEBUG", "RELOAD", "FAST"]);
        assert!(reply.is_error("ERR DEBUG RELOAD only supports"), "{reply:?}");
        if log == "yes" {
            ok(&mut client, "SET later x");
            let later = digest(&mut client);
            let server = again(server, &launch, "3");
            assert_eq!(digest(&mut server.client()), later);
            no_orphans(&dir.path().join("appendonlydir"));
        } else {
            let reply = client.ask(&["DEBUG", "LOADAOF"]);
            assert!(reply.is_error("ERR There is no log"), "{reply:?}");
        }
    }
}

#[test]
fn other_clients_wait_and_lose_nothing_while_files_are_loaded() {
    let dir = fresh_dir();
    let launch = Launch::quire(dir.path()).with(&["--save", "", "--shards", "3"]);
    let server = launch.start();
    let mut client = server.client();
    fill_all(&mut client);
    // A watched key, as after FLUSHALL; a client that waits for a key waits on.
    let (mut watcher, mut waiter) = (server.client(), server.client());
    ok(&mut watcher, "WATCH plain");
    let mut waiting = Vec::new();
    crate::support::client::push_command(&mut waiting, &["BLPOP", "to-come", "0"]);
    waiter.send(&waiting).expect("it is connected");
    thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let mut client = server.client();
                scope.spawn(move || {
                    for n in 0..300 {
                        let (a, b) = (format!("w{writer}:{n}"), format!("x{writer}:{n}"));
                        assert!(client.ask(&["MSET", &a, "1", &b, "2"]).is_ok());
                    }
                })
            })
            .collect();
        for command in ["DEBUG RELOAD", "DEBUG LOADAOF", "BGREWRITEAOF", "DEBUG RELOAD"] {
            let words: Vec<&str> = command.split(' ').collect();
            let reply = client.ask(&words);
            assert!(!matches!(reply, Reply::Error(_)), "{command}: {reply:?}");
        }
        writers.into_iter().for_each(|writer| writer.join().expect("it has written all"));
    });
    for line in ["MULTI", "EXEC"] {
        let reply = watcher.ask(&[line]);
        assert!(reply.is_ok() || reply == Reply::Null, "{line}: {reply:?}");
        assert_eq!(reply == Reply::Null, line == "EXEC");
    }
    client.ask(&["RPUSH", "to-come", "now"]);
    let served = waiter.receive().expect("it is served");
    assert_eq!(
        served,
        Reply::Array(vec![Reply::Bulk(b"to-come".into()), Reply::Bulk(b"now".into())])
    );
    for writer in 0..2 {
        for n in 0..300 {
            let keys = [format!("w{writer}:{n}"), format!("x{writer}:{n}")];
            assert_eq!(client.ask(&["EXISTS", &keys[0], &keys[1]]), Reply::Int(2), "{keys:?}");
        }
    }
    let ours = digest(&mut client);
    let server = again(server, &launch, "2");
    assert_eq!(digest(&mut server.client()), ours);
}
