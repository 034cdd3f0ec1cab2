//! MULTI, EXEC, WATCH and commands on several keys: as in stock Redis, and whole or not at all on
//! every shard, for everybody and over a crash.

use crate::support::{
    bank::{Bank, account, movers, seed},
    client::{Client, Reply},
    load::Dice,
    process::{Launch, ServerProcess, fresh_dir},
};
use std::sync::atomic::{AtomicBool, Ordering};

const SHARDS: [&str; 3] = ["1", "2", "4"];
const ACCOUNTS: u64 = 16;

/// Lines of two connections; those that begin with `>` are the second's.
const LINES: &str = "EXEC; DISCARD; MULTI; MULTI; WATCH a; SET a 1; INCR a; GET nokey; EXEC; GET a
MULTI; SET a; EXEC; MULTI; NOSUCH x; SET a 5; EXEC; GET a; MULTI; SET a 2; DISCARD; GET a; EXEC
MULTI; MSET a 1 b 2 c 3 d 4; MGET d c b a; RENAME d e; LPUSH a x; PING; ECHO hi; DEL a b c; DBSIZE; EXEC
MULTI; WAIT 0 0; WAIT 1 0; WAIT 2 1000000; SET a 1; EXEC; PING; GET a; MULTI; WAIT 1 0; EXEC; PING; DEL a
MULTI; BGSAVE; EXEC; MULTI; EXEC; WATCH a b c; UNWATCH; MULTI; PING; EXEC; SELECT 1; SET one 1; MULTI; SELECT 0; SET zero 1; GET one; EXEC
GET zero; SELECT 1; GET one; SELECT 0
WATCH a b c d; MULTI; SET b 1; > SET d 2; EXEC; GET b; MULTI; SET b 1; EXEC; GET b
WATCH a; > SET a 1; > DEL a; MULTI; PING; EXEC; WATCH nokey; > DEL nokey; MULTI; PING; EXEC
SET a 1; WATCH a; > SET a 1; MULTI; PING; EXEC; WATCH a b; > FLUSHALL; MULTI; PING; EXEC; WATCH a b; > FLUSHALL; MULTI; PING; EXEC
SET a 1; WATCH a; > EXPIRE a 100; MULTI; PING; EXEC; WATCH a; SET a 3; MULTI; PING; EXEC; WATCH a; > SELECT 2; > SET a 1; > SELECT 0
MULTI; PING; EXEC; WATCH a; MULTI; > SET a 4; DISCARD; MULTI; PING; EXEC; WATCH a; > SWAPDB 0 2; MULTI; PING; EXEC
WATCH x y; RESET; > SET x 1; MULTI; PING; EXEC; MULTI; SET x 5; RESET; GET x; EXEC
MULTI; SADD s1 a b; SADD s2 b c; SINTERSTORE s3 s1 s2; SMOVE s1 s2 a; SCARD s2; SUNIONSTORE s4 s1 s2 s3; SCARD s4; EXEC
MULTI; FLUSHDB; SET q 1; DBSIZE; EXEC; MULTI; SET a 1; FLUSHALL; EXEC; DBSIZE; MULTI; GET a; GETSET a 7; APPEND a 8; EXEC
MULTI; HSET h f 1; HGETALL h; ZADD z 1 m; ZRANGE z 0 -1 WITHSCORES; EXEC; HELLO 3; MULTI; HGETALL h; GET nokey; ZSCORE z m; EXEC
WATCH a; > SET a 1; MULTI; PING; EXEC; SET ttl 1 PX 1; WATCH other; MULTI; PING; EXEC";

fn answers(server: &ServerProcess) -> Vec<(String, Reply)> {
    let (mut first, mut second) = (server.client(), server.client());
    let lines = LINES.split(['\n', ';']).map(str::trim);
    let answer = |line: &str| {
        let (client, line) = match line.strip_prefix("> ") {
            Some(line) => (&mut second, line),
            None => (&mut first, line),
        };
        let words: Vec<&str> = line.split(' ').collect();
        let reply = client.ask(&words);
        // HELLO tells the client's id.
        let reply = if line == "HELLO 3" { Reply::Null } else { reply };
        (line.to_owned(), reply)
    };
    lines.map(answer).collect()
}

#[test]
fn what_all_cores_answer_is_answered_inside_transactions_of_any_keys() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--shards", "4"]).start();
    let mut client = server.client();
    for keys in [vec![], vec!["a"], vec!["a", "b", "c", "d", "e"]] {
        assert!(client.ask(&["MULTI"]).is_ok());
        for key in &keys {
            assert_eq!(client.ask(&["SET", key, "v"]).text(), "QUEUED");
        }
        for line in [&["INFO", "server"][..], &["CLIENT", "LIST"], &["SLOWLOG", "LEN"]] {
            assert_eq!(client.ask(line).text(), "QUEUED");
        }
        let Reply::Array(replies) = client.ask(&["EXEC"]) else { panic!("EXEC gives a list") };
        let [info, list, slow] = &replies[keys.len()..] else { panic!("{replies:?}") };
        assert!(info.text().contains("run_id:") && list.text().contains("cmd="), "{replies:?}");
        assert!(matches!(slow, Reply::Int(_)), "{slow:?}");
    }
}

#[test]
fn a_list_of_clients_inside_a_transaction_has_those_of_every_core() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--shards", "4"]).start();
    let mut clients: Vec<Client> = (0..8).map(|_| server.client()).collect();
    clients.iter_mut().for_each(|client| assert!(client.ask(&["SET", "k", "v"]).is_ok()));
    for client in &mut clients {
        client.ask(&["MULTI"]);
        client.ask(&["CLIENT", "LIST"]);
        let Reply::Array(replies) = client.ask(&["EXEC"]) else { panic!("EXEC gives a list") };
        assert_eq!(replies[0].text().lines().count(), 8, "{replies:?}");
    }
}

#[test]
fn waitaof_waits_for_what_a_transaction_wrote_wherever_it_ran() {
    let dir = fresh_dir();
    // Nothing is synced unless somebody wants it: the answer 1 must be somebody's work.
    let server = Launch::quire(dir.path()).with(&["--shards", "4", "--appendfsync", "no"]).start();
    let mut client = server.client();
    let synced = |client: &mut Client| -> u64 {
        let text = client.ask(&["INFO", "shards"]).text();
        let each = text.split(',').filter_map(|field| field.strip_prefix("syncs="));
        each.map(|n| n.trim().parse::<u64>().expect("a number")).sum()
    };
    for key in ["a", "b", "c", "d", "e", "f"] {
        client.ask(&["MULTI"]);
        client.ask(&["SET", key, "v"]);
        assert!(matches!(client.ask(&["EXEC"]), Reply::Array(_)));
        let before = synced(&mut client);
        let reply = client.ask(&["WAITAOF", "1", "0", "0"]);
        assert_eq!(reply, Reply::Array(vec![Reply::Int(1), Reply::Int(0)]));
        assert!(synced(&mut client) > before, "{key} was said to be synced, and was not");
    }
    client.ask(&["MULTI"]);
    client.ask(&["SET", "a", "w"]);
    client.ask(&["WAITAOF", "1", "0", "0"]);
    let Reply::Array(replies) = client.ask(&["EXEC"]) else { panic!("EXEC gives a list") };
    assert_eq!(replies.len(), 2);
    assert_eq!(client.ask(&["PING"]).text(), "PONG", "no answer comes late");
}

#[test]
fn transactions_answer_as_in_stock_redis_with_every_number_of_shards() {
    let dir = fresh_dir();
    let expected = answers(&Launch::redis(dir.path()).start());
    assert!(expected.len() > 150);
    for shards in SHARDS {
        let dir = fresh_dir();
        let server = Launch::quire(dir.path()).with(&["--shards", shards]).start();
        for (at, (ours, theirs)) in answers(&server).into_iter().zip(&expected).enumerate() {
            assert_eq!(&ours, theirs, "line {at}, {shards} shards");
        }
        server.stop();
    }
}

/// All balances as one transaction has seen them.
fn balances(client: &mut Client) -> Vec<i64> {
    client.ask(&["MULTI"]);
    (0..ACCOUNTS).for_each(|n| drop(client.ask(&["GET", &account(n)])));
    let Reply::Array(found) = client.ask(&["EXEC"]) else { panic!("EXEC answers with an array") };
    found.iter().map(|reply| reply.text().parse().expect("a number")).collect()
}

/// Moves money until the server is gone or somebody says stop, in each way there is; the number
/// of acknowledged transfers.
fn transfer(mut client: Client, mut dice: Dice, stop: &AtomicBool) -> u64 {
    let mut done = 0;
    let mut moved = || -> std::io::Result<bool> {
        let from = dice.roll(ACCOUNTS);
        let to = (from + 1 + dice.roll(ACCOUNTS - 1)) % ACCOUNTS;
        let (from, to) = (account(from), account(to));
        let by = dice.roll(9).to_string();
        if dice.roll(3) > 0 {
            for line in [vec!["MULTI"], vec!["DECRBY", &from, &by], vec!["INCRBY", &to, &by]] {
                client.try_ask(&line)?;
            }
            return Ok(matches!(client.try_ask(&["EXEC"])?, Reply::Array(_)));
        }
        client.try_ask(&["WATCH", &from, &to])?;
        let balance = |client: &mut Client, key: &str| -> std::io::Result<i64> {
            Ok(client.try_ask(&["GET", key])?.text().parse().expect("a number"))
        };
        let (left, right) = (balance(&mut client, &from)? - 1, balance(&mut client, &to)? + 1);
        let pairs = ["MSET", &from, &left.to_string(), &to, &right.to_string()];
        client.try_ask(&["MULTI"])?;
        client.try_ask(&pairs)?;
        Ok(matches!(client.try_ask(&["EXEC"])?, Reply::Array(_)))
    };
    while !stop.load(Ordering::Relaxed) {
        match moved() {
            Ok(is_done) => done += u64::from(is_done),
            Err(_) => break,
        }
    }
    done
}

fn sum(client: &mut Client, _: u64) -> i64 {
    balances(client).iter().sum()
}

fn bank() -> Bank<'static> {
    Bank { accounts: ACCOUNTS, transfer: &transfer, sum: &sum }
}

#[test]
fn a_sum_over_several_shards_is_the_same_for_every_reader() {
    bank().looks_the_same_to_every_reader(&SHARDS, 200);
}

#[test]
fn a_snapshot_has_every_transfer_whole_or_not_at_all() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--shards", "4"]).start();
    let bank = bank();
    bank.fill(&server);
    let (done, dumps) = bank.moves_during(movers(&server), seed(), || {
        let mut saver = server.client();
        let dumps = (0..30).map(|n| {
            assert!(saver.ask(&["SAVE"]).is_ok());
            let kept = fresh_dir();
            let to = kept.path().join("dump.rdb");
            std::fs::copy(dir.path().join("dump.rdb"), to).expect("SAVE has made it");
            if n % 5 == 0 {
                assert!(saver.ask(&["BGREWRITEAOF"]).text().contains("rewriting"));
            }
            kept
        });
        dumps.collect::<Vec<_>>()
    });
    assert!(done > 100, "hardly anything was transferred");
    server.kill();
    let mut sums = Vec::new();
    for kept in &dumps {
        let alone = ["--appendonly", "no", "--save", "", "--shards", "1"];
        let server = Launch::quire(kept.path()).with(&alone).start();
        sums.push(balances(&mut server.client()).iter().sum::<i64>());
        server.kill();
    }
    let server = Launch::quire(dir.path()).with(&["--shards", "3"]).start();
    sums.push(balances(&mut server.client()).iter().sum());
    assert!(sums.iter().all(|sum| *sum == bank.total()), "{sums:?}");
}

#[test]
fn a_killed_server_has_every_transfer_whole_or_not_at_all() {
    bank().survives_kills(4, &["4", "2", "3"], &["--appendfsync", "everysec"]);
}

#[test]
fn a_killed_server_has_every_transfer_whole_or_not_at_all_under_always() {
    bank().survives_kills(4, &["4", "2", "3"], &["--appendfsync", "always"]);
}
