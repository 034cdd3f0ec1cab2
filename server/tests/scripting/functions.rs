//! Functions: as in stock Redis, and there after every kind of end.

use super::{SHARDS, lines::FUNCTION_LINES};
use crate::support::{
    client::{Client, Reply},
    process::{Launch, ServerProcess, fresh_dir},
};

/// A library whose one function, of the same name, gives a number.
fn library(name: &str, number: u32) -> String {
    format!("#!lua name={name}\nredis.register_function('{name}', function() return {number} end)")
}

fn load(client: &mut Client, name: &str, number: u32) {
    let loaded = client.ask(&["FUNCTION", "LOAD", "REPLACE", &library(name, number)]);
    assert_eq!(loaded.text(), name);
}

fn calls(client: &mut Client, name: &str) -> Reply {
    client.ask(&["FCALL", name, "0"])
}

fn answers(server: &ServerProcess) -> Vec<Reply> {
    let mut client = server.client();
    let mut replies = Vec::new();
    for resp in ["2", "3"] {
        client.ask(&["HELLO", resp]);
        replies.extend(FUNCTION_LINES.iter().map(|line| client.ask(line)));
    }
    replies
}

#[test]
fn functions_answer_as_in_stock_redis_with_every_number_of_shards() {
    let dir = fresh_dir();
    let expected = answers(&Launch::redis(dir.path()).start());
    for shards in SHARDS {
        let dir = fresh_dir();
        let server = Launch::quire(dir.path()).with(&["--shards", shards]).start();
        for (at, (ours, theirs)) in answers(&server).iter().zip(&expected).enumerate() {
            let line = FUNCTION_LINES[at % FUNCTION_LINES.len()];
            if line.get(1) == Some(&"LIST") {
                // Redis lists the functions of a library in an order of no meaning.
                let letters = |reply: &Reply| {
                    let mut all = format!("{reply:?}").into_bytes();
                    all.sort_unstable();
                    all
                };
                assert_eq!(letters(ours), letters(theirs), "{shards} shards: {line:?}");
                continue;
            }
            assert_eq!(ours, theirs, "{shards} shards: {line:?}");
        }
        server.stop();
    }
}

#[test]
fn functions_are_there_after_a_kill_a_new_base_and_flushall() {
    let dir = fresh_dir();
    let launch = |shards: &str| Launch::quire(dir.path()).with(&["--shards", shards]);
    let server = launch("4").start();
    let mut client = server.client();
    load(&mut client, "kept", 1);
    load(&mut client, "gone", 2);
    load(&mut client, "kept", 3);
    assert!(client.ask(&["FUNCTION", "DELETE", "gone"]).is_ok());
    server.kill();
    let server = launch("2").start();
    let mut client = server.client();
    assert_eq!(calls(&mut client, "kept"), Reply::Int(3));
    assert!(calls(&mut client, "gone").is_error("ERR Function not found"));
    // Enough keys for a flush that is a change of files.
    for from in (0..12_000).step_by(500) {
        let mut line = vec!["MSET".to_owned()];
        (from..from + 500).for_each(|n| line.extend([format!("key{n}"), "v".to_owned()]));
        assert!(client.ask(&line).is_ok());
    }
    assert!(client.ask(&["FLUSHALL"]).is_ok());
    assert_eq!(calls(&mut client, "kept"), Reply::Int(3), "FLUSHALL is about keys");
    server.kill();
    let server = launch("3").start();
    let mut client = server.client();
    assert_eq!(calls(&mut client, "kept"), Reply::Int(3));
    assert_eq!(client.ask(&["DBSIZE"]), Reply::Int(0));
    assert!(client.ask(&["BGREWRITEAOF"]).text().contains("rewriting"));
    load(&mut client, "late", 4);
    until_rewritten(&mut client);
    load(&mut client, "later", 5);
    // A delta would have no functions: it is a base all the same.
    assert!(client.ask(&["CONFIG", "SET", "checkpoint-delta", "always"]).is_ok());
    assert!(client.ask(&["BGREWRITEAOF"]).text().contains("rewriting"));
    until_rewritten(&mut client);
    server.kill();
    let server = launch("1").start();
    let mut client = server.client();
    for (name, number) in [("kept", 3), ("late", 4), ("later", 5)] {
        assert_eq!(calls(&mut client, name), Reply::Int(number));
    }
    assert!(client.ask(&["DEBUG", "RELOAD"]).is_ok());
    assert_eq!(calls(&mut client, "later"), Reply::Int(5));
    server.kill();
    let server = launch("4").start();
    assert_eq!(calls(&mut server.client(), "later"), Reply::Int(5));
    server.stop();
}

fn until_rewritten(client: &mut Client) {
    loop {
        let info = client.ask(&["INFO", "persistence"]).text();
        if info.contains("aof_rewrite_in_progress:0") && info.contains("aof_rewrite_scheduled:0") {
            return;
        }
    }
}

#[test]
fn functions_move_between_quire_and_stock_redis() {
    let dir = fresh_dir();
    let quire = |shards: &str| Launch::quire(dir.path()).with(&["--shards", shards]).start();
    let server = quire("2");
    load(&mut server.client(), "first", 1);
    server.stop();
    let server = Launch::redis(dir.path()).start();
    let mut client = server.client();
    assert_eq!(calls(&mut client, "first"), Reply::Int(1));
    load(&mut client, "second", 2);
    server.stop();
    let server = quire("4");
    let mut client = server.client();
    assert_eq!(calls(&mut client, "second"), Reply::Int(2));
    assert!(client.ask(&["BGREWRITEAOF"]).text().contains("rewriting"));
    until_rewritten(&mut client);
    let dump = |client: &mut Client| client.ask(&["FUNCTION", "DUMP"]);
    let ours = dump(&mut client);
    server.stop();
    // A base of Quire's, and a log behind it.
    let server = Launch::redis(dir.path()).start();
    let mut client = server.client();
    assert_eq!(calls(&mut client, "first"), Reply::Int(1));
    assert_eq!(calls(&mut client, "second"), Reply::Int(2));
    let Reply::Bulk(payload) = ours else { panic!("a payload was expected") };
    assert!(client.ask(&["FUNCTION", "FLUSH"]).is_ok());
    assert!(client.ask(&[&b"FUNCTION"[..], b"RESTORE", &payload]).is_ok());
    assert_eq!(calls(&mut client, "second"), Reply::Int(2));
    server.stop();
}
