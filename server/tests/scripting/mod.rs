//! Lua scripts: as in stock Redis, atomic over all shards and over a crash, stopped when they take
//! too long.

mod functions;
mod lines;

use crate::support::{
    bank::{Bank, account},
    client::{Client, Reply},
    load::Dice,
    process::{Launch, ServerProcess, fresh_dir},
};
use lines::LINES;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

const SHARDS: [&str; 3] = ["1", "2", "4"];
const ACCOUNTS: u64 = 12;

fn answers(server: &ServerProcess) -> Vec<Reply> {
    let mut client = server.client();
    let mut replies = Vec::new();
    for resp in ["2", "3"] {
        client.ask(&["HELLO", resp]);
        replies.extend(LINES.iter().map(|line| client.ask(line)));
    }
    replies
}

#[test]
fn scripts_answer_as_in_stock_redis_with_every_number_of_shards() {
    let dir = fresh_dir();
    let expected = answers(&Launch::redis(dir.path()).start());
    assert!(expected.len() > 400);
    for shards in SHARDS {
        let dir = fresh_dir();
        let server = Launch::quire(dir.path()).with(&["--shards", shards]).start();
        for (at, (ours, theirs)) in answers(&server).iter().zip(&expected).enumerate() {
            assert_eq!(ours, theirs, "{shards} shards: {:?}", LINES[at % LINES.len()]);
        }
        server.stop();
    }
}

/// The sum of all balances: by a script that names its keys, by one that does not, by a transaction.
fn sum(client: &mut Client, way: u64) -> i64 {
    let keys: Vec<String> = (0..ACCOUNTS).map(account).collect();
    let add =
        "local s = 0 for _, v in ipairs(redis.call('MGET', unpack(@))) do s = s + v end return s";
    let line = match way % 3 {
        0 => {
            let mut line =
                vec!["EVAL".to_owned(), add.replace('@', "KEYS"), keys.len().to_string()];
            line.extend(keys);
            line
        }
        1 => {
            let mut line = vec!["EVAL_RO".to_owned(), add.replace('@', "ARGV"), "0".to_owned()];
            line.extend(keys);
            line
        }
        _ => {
            client.ask(&["MULTI"]);
            let get = "return tonumber(redis.call('GET', ARGV[1]))";
            keys.iter().for_each(|key| drop(client.ask(&["EVAL", get, "0", key])));
            let Reply::Array(found) = client.ask(&["EXEC"]) else { panic!("EXEC gives a list") };
            let number = |reply: &Reply| match reply {
                Reply::Int(n) => *n,
                other => panic!("a number was expected, not {other:?}"),
            };
            return found.iter().map(number).sum();
        }
    };
    match client.ask(&line) {
        Reply::Int(sum) => sum,
        other => panic!("a sum was expected, not {other:?}"),
    }
}

/// Moves money by scripts until the server is gone or somebody says stop; how often.
fn transfer(mut client: Client, mut dice: Dice, stop: &AtomicBool) -> u64 {
    let declared = "redis.call('DECRBY', KEYS[1], ARGV[1]) redis.call('INCRBY', KEYS[2], ARGV[1])";
    // Looks before it writes: the second key is not declared and on whatever shard.
    let looks = "redis.call('EXISTS', ARGV[2]) redis.call('DECRBY', KEYS[1], ARGV[1]) \
                 redis.call('INCRBY', ARGV[2], ARGV[1])";
    let mut done = 0;
    while !stop.load(Ordering::Relaxed) {
        let from = dice.roll(ACCOUNTS);
        let to = account((from + 1 + dice.roll(ACCOUNTS - 1)) % ACCOUNTS);
        let (from, by) = (account(from), dice.roll(9).to_string());
        let line = match dice.roll(3) {
            0 => ["EVAL", looks, "1", &from, &by, &to],
            _ => ["EVAL", declared, "2", &from, &to, &by],
        };
        match client.try_ask(&line) {
            Ok(Reply::Null) => done += 1,
            Ok(other) => panic!("{other:?}"),
            Err(_) => break,
        }
    }
    done
}

fn bank() -> Bank<'static> {
    Bank { accounts: ACCOUNTS, transfer: &transfer, sum: &sum }
}

#[test]
fn a_sum_that_scripts_move_over_shards_is_the_same_for_every_reader() {
    bank().looks_the_same_to_every_reader(&SHARDS, 150);
}

#[test]
fn a_killed_server_has_every_script_whole_or_not_at_all() {
    bank().survives_kills(3, &["4", "2", "1"], &["--appendfsync", "everysec"]);
}

#[test]
fn a_killed_server_has_every_script_whole_or_not_at_all_under_always() {
    bank().survives_kills(3, &["4", "2", "1"], &["--appendfsync", "always"]);
}

#[test]
fn scripts_use_debug_only_where_that_is_allowed() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--enable-debug-command", "yes"]).start();
    let mut client = server.client();
    let attribute = "redis.setresp(3) return redis.call('DEBUG', 'PROTOCOL', 'attrib')";
    let line = ["EVAL", attribute, "0"];
    assert!(client.ask(&line).is_error("ERR This Redis command is not allowed from script"));
    assert!(client.ask(&["DEBUG", "SET-DISABLE-DENY-SCRIPTS", "1"]).is_ok());
    assert_eq!(client.ask(&line).text(), "Some real reply following the attribute");
    let line = ["EVAL", "return redis.call('DEBUG', 'RELOAD')", "0"];
    assert!(client.ask(&line).is_error("ERR This Redis command is not allowed from script"));
    assert!(client.ask(&["DEBUG", "SET-DISABLE-DENY-SCRIPTS", "0"]).is_ok());
    let line = ["EVAL", "return redis.call('DEBUG', 'SLEEP', '0')", "0"];
    assert!(client.ask(&line).is_error("ERR This Redis command is not allowed from script"));
}

#[test]
fn a_script_that_ends_in_an_error_counts_as_failed_wherever_it_ran() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--shards", "4"]).start();
    let mut client = server.client();
    // On this core and on others.
    for key in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        client.ask(&["EVAL", "return redis.call('LPOP')", "1", key]);
        client.ask(&["EVAL", "return redis.pcall('LPOP')", "1", key]);
        client.ask(&["EVAL", "local e = redis.pcall('LPOP') return 1", "1", key]);
    }
    let said = client.ask(&["INFO", "commandstats"]).text();
    let line = said.lines().find(|line| line.starts_with("cmdstat_eval:")).expect("it has run");
    assert!(
        line.starts_with("cmdstat_eval:calls=24,") && line.ends_with(",failed_calls=16"),
        "{line}"
    );
    let said = client.ask(&["INFO", "errorstats"]).text();
    assert!(said.contains("errorstat_ERR:count=24"), "each error once: {said}");
}

#[test]
fn scripts_that_write_before_they_reach_for_other_shards_never_notice() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--shards", "4"]).start();
    let mut client = server.client();
    let script = "redis.call('INCR', KEYS[1]) \
                  for i = 1, 20 do redis.call('INCR', 'other' .. i .. ARGV[1]) end return 'done'";
    for n in ["1", "2", "3"] {
        assert_eq!(client.ask(&["EVAL", script, "1", "k", ""]).text(), "done");
        assert_eq!(client.ask(&["GET", "k"]).text(), n, "once each time");
    }
    assert_eq!(client.ask(&["GET", "other20"]).text(), "3");
    let library = "#!lua name=l\n redis.register_function('work', function(keys, args) \
                   redis.call('INCR', keys[1]) redis.call('INCR', args[1]) \
                   redis.call('INCR', args[2]) return redis.call('INCR', args[3]) end)";
    client.ask(&["FUNCTION", "LOAD", library]);
    for n in 1..4 {
        let line = ["FCALL", "Work", "1", "f0", "f1", "f2", "f3"];
        assert_eq!(client.ask(&line), Reply::Int(n));
    }
}

#[test]
fn a_script_that_reaches_for_another_shard_too_late_is_told_once_and_cannot_hide_it() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--shards", "4"]).start();
    let mut client = server.client();
    let script = "redis.call('SET', KEYS[1], 'v') \
                  for i = 1, ARGV[1] do local r = redis.pcall('GET', 'other' .. i) \
                  if type(r) == 'table' and r.err then return r end end return 'none'";
    // It keeps to its key, and is believed to; then it does not.
    assert_eq!(client.ask(&["EVAL", script, "1", "k", "0"]).text(), "none");
    assert!(client.ask(&["EVAL", script, "1", "k", "20"]).is_error("CROSSSHARD"));
    assert_eq!(client.ask(&["EVAL", script, "1", "k", "20"]).text(), "none");
    assert_eq!(client.ask(&["GET", "k"]).text(), "v", "what it had done stays, as in Redis");
    // Before it has written it is run again, whatever it catches.
    let script = "local ok = pcall(redis.call, 'MGET', 'o1', 'o2', 'o3', 'o4', 'o5', 'o6') \
                  local co = coroutine.create(function() return redis.call('GET', 'o7') end) \
                  local fine = coroutine.resume(co) \
                  return {ok, fine, xpcall(function() return redis.call('GET', 'o8') end, \
                  function() return 1 end)}";
    let reply = client.ask(&["EVAL", script, "1", "k"]);
    let yes = Reply::Int(1);
    assert_eq!(reply, Reply::Array(vec![yes.clone(), yes.clone(), yes, Reply::Null]));
}

#[test]
fn a_table_that_contains_itself_is_cut_off_somewhere() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).start();
    let mut client = server.client();
    let script = "local a = {} local b = {a} a[1] = b return a";
    let mut reply = client.ask(&["EVAL", script, "0"]);
    while let Reply::Array(mut inner) = reply {
        assert_eq!(inner.len(), 1);
        reply = inner.remove(0);
    }
    assert_eq!(reply, Reply::Error("ERR reached lua stack limit".to_owned()));
    assert_eq!(client.ask(&["PING"]).text(), "PONG");
}

/// Asks until the answer is as wanted.
fn until(client: &mut Client, line: &[&str], wanted: impl Fn(&Reply) -> bool) -> Reply {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let reply = client.ask(line);
        if wanted(&reply) {
            return reply;
        }
        assert!(Instant::now() < deadline, "{line:?} gives {reply:?}");
    }
}

/// Waits until the server has noticed so many scripts that take too long.
fn until_slow(server: &ServerProcess, scripts: usize) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while server.said().matches("Slow script detected").count() < scripts {
        assert!(Instant::now() < deadline, "{}", server.said());
        thread::sleep(Duration::from_millis(5));
    }
}

const FOREVER: &str = "while true do pcall(function() while true do end end) end";

fn busy_server(dir: &std::path::Path, shards: &str) -> ServerProcess {
    Launch::quire(dir).with(&["--shards", shards, "--busy-reply-threshold", "10"]).start()
}

#[test]
fn a_script_that_does_not_end_is_stopped_from_any_connection() {
    for shards in SHARDS {
        let dir = fresh_dir();
        let server = busy_server(dir.path(), shards);
        assert!(server.client().ask(&["SCRIPT", "KILL"]).is_error("NOTBUSY"));
        let kinds = [&["1", "a"][..], &["6", "a", "b", "c", "d", "e", "f"]];
        for (at, keys) in kinds.into_iter().enumerate() {
            thread::scope(|scope| {
                let mut runner = server.client();
                let script = scope.spawn(move || runner.ask(&[&["EVAL", FOREVER], keys].concat()));
                until_slow(&server, at + 1);
                // One connection on each core.
                let mut others: Vec<Client> = (0..4).map(|_| server.client()).collect();
                for other in &mut others {
                    until(other, &["SET", "a", "1"], |reply| reply.is_error("BUSY"));
                    assert!(other.ask(&["MULTI"]).is_ok());
                    assert!(other.ask(&["INFO"]).is_error("BUSY") || keys.len() == 2);
                    assert!(other.ask(&["DISCARD"]).is_ok());
                }
                assert!(others[1].ask(&["SHUTDOWN"]).is_error("BUSY"));
                assert!(others[2].ask(&["SCRIPT", "KILL"]).is_ok());
                let reply = script.join().expect("the script's client");
                assert!(
                    reply.is_error("ERR Script killed by user with SCRIPT KILL..."),
                    "{reply:?}"
                );
            });
            let mut client = server.client();
            until(&mut client, &["SET", "a", "1"], Reply::is_ok);
        }
        server.stop();
    }
}

#[test]
fn other_shards_serve_while_a_script_keeps_one_busy() {
    let dir = fresh_dir();
    let server = busy_server(dir.path(), "4");
    thread::scope(|scope| {
        let mut runner = server.client();
        let script = scope.spawn(move || runner.ask(&["EVAL", FOREVER, "1", "a"]));
        until_slow(&server, 1);
        let mut clients: Vec<Client> = (0..4).map(|_| server.client()).collect();
        clients.iter_mut().for_each(|client| {
            until(client, &["GET", "a"], |reply| reply.is_error("BUSY"));
        });
        // The core that runs the script serves nobody, the others serve their keys.
        let keys: Vec<String> = (0..20).map(|n| format!("key{n}")).collect();
        let served = |client: &mut Client| {
            keys.iter().filter(|key| client.ask(&["SET", key, "1"]).is_ok()).count()
        };
        let counts: Vec<usize> = clients.iter_mut().map(served).collect();
        assert!(counts.iter().any(|n| *n > 5), "{counts:?}");
        assert!(counts.iter().all(|n| *n < keys.len()), "{counts:?}");
        assert!(clients[0].ask(&["SCRIPT", "KILL"]).is_ok());
        script.join().expect("the script's client");
    });
}

#[test]
fn a_script_that_has_written_is_not_stopped_and_dies_with_the_server() {
    for shards in SHARDS {
        let dir = fresh_dir();
        let server = busy_server(dir.path(), shards);
        let mut client = server.client();
        assert!(client.ask(&["SET", "a", "before"]).is_ok());
        thread::scope(|scope| {
            let mut runner = server.client();
            let script = format!("redis.call('SET', KEYS[1], 'half') {FOREVER}");
            let asked = scope.spawn(move || runner.try_ask(&["EVAL", &script, "1", "a"]));
            until_slow(&server, 1);
            until(&mut client, &["GET", "a"], |reply| reply.is_error("BUSY"));
            assert!(client.ask(&["SCRIPT", "KILL"]).is_error("UNKILLABLE"));
            assert!(client.try_ask(&["SHUTDOWN", "NOSAVE"]).is_err(), "it leaves at once");
            assert!(asked.join().expect("the script's client").is_err());
        });
        drop(server);
        let server = busy_server(dir.path(), shards);
        assert_eq!(server.client().ask(&["GET", "a"]).text(), "before", "{shards} shards");
        server.stop();
    }
}
