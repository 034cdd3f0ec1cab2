//! Promises of one shard: expiry, refusals of the log, replay, transfer.

use super::{Exported, Shard};
use crate::{
    aof::{CommandReader, Lsn, Staging},
    command::OwnedArgs,
    families::table,
    keyspace::KeyHasher,
    slot::groups_of_shard,
};

const NOW_MS: i64 = 1_700_000_000_000;

fn shard() -> Shard {
    Shard::new(0, 1, 16, KeyHasher::fixed(), Staging::new(0, 1), 1)
}

/// Runs a line of words in database 0; its reply and what the reply must wait for.
fn run_at(shard: &mut Shard, line: &str, now_ms: i64) -> (String, Lsn) {
    let args = OwnedArgs::from_slices(&line.split(' ').collect::<Vec<_>>());
    let args = args.as_args();
    let mut spec = table::lookup(args.get(0)).unwrap();
    if table::is_container(spec) {
        spec = table::SPECS[usize::from(table::find_sub(spec, args.get(1)).unwrap())];
    }
    let mut out = Vec::new();
    let gate = shard.execute(spec, 0, now_ms, false, args, &mut out);
    (String::from_utf8(out).unwrap().replace("\r\n", " "), gate)
}

fn run(shard: &mut Shard, line: &str) -> (String, Lsn) {
    run_at(shard, line, NOW_MS)
}

fn reply(shard: &mut Shard, line: &str) -> String {
    run(shard, line).0
}

/// What has been logged, as lines.
fn logged(shard: &Shard) -> Vec<String> {
    let mut reader = CommandReader::new(shard.staging.staged());
    let mut lines = Vec::new();
    while let Some(args) = reader.next_command().unwrap() {
        let words: Vec<_> = args.iter_from(0).map(String::from_utf8_lossy).collect();
        lines.push(words.join(" "));
    }
    lines
}

fn replay(shard: &mut Shard, db: &mut usize, line: &str) -> Result<(), String> {
    let args = OwnedArgs::from_slices(&line.split(' ').collect::<Vec<_>>());
    shard.replay(args.as_args(), db, NOW_MS).map_err(|error| error.to_string())
}

#[test]
fn a_reply_waits_for_its_own_effects_only() {
    let mut shard = shard();
    assert_eq!(run(&mut shard, "SET k v"), ("+OK ".into(), 1));
    assert_eq!(run(&mut shard, "GET k"), ("$1 v ".into(), 0));
    assert_eq!(run(&mut shard, "SETNX k v"), (":0 ".into(), 0));
    assert_eq!(run(&mut shard, "DEL k"), (":1 ".into(), 2));
    assert_eq!(run(&mut shard, "DEL k"), (":0 ".into(), 0));
}

#[test]
fn readers_of_unsettled_keys_wait_while_replies_wait_for_the_sync() {
    let mut shard = shard();
    shard.staging.set_gating(true);
    run(&mut shard, "SET k v");
    run(&mut shard, "DEL gone");
    for line in ["GET k", "EXISTS other k", "SETNX k v", "TTL k", "GETEX k", "DBSIZE", "SCAN 0"] {
        assert_eq!(run(&mut shard, line).1, 1, "{line}");
    }
    assert_eq!(run(&mut shard, "GET other").1, 0);
    run(&mut shard, "DEL k");
    assert_eq!(run(&mut shard, "GET k"), ("$-1 ".into(), 2), "an absence is gated too");
}

#[test]
fn a_key_past_its_deadline_is_gone_and_logged_as_deleted_once() {
    let mut shard = shard();
    reply(&mut shard, "SET k v PX 100");
    assert_eq!(run_at(&mut shard, "GET k", NOW_MS + 100).0, "$1 v ");
    let (answer, gate) = run_at(&mut shard, "GET k", NOW_MS + 101);
    assert_eq!((answer.as_str(), gate), ("$-1 ", 0), "no reply waits for an expiry");
    assert_eq!(run_at(&mut shard, "GET k", NOW_MS + 102).0, "$-1 ");
    let deadline = NOW_MS + 100;
    let expected = ["SELECT 0".to_owned(), format!("SET k v PXAT {deadline}"), "DEL k".to_owned()];
    assert_eq!(logged(&shard), expected);
    let stats = &shard.stats;
    assert_eq!((stats.expired_keys, stats.keyspace_hits, stats.keyspace_misses), (1, 1, 2));
}

#[test]
fn every_command_takes_an_expired_key_for_absent() {
    for (line, expected) in [
        ("GETSET k w", "$-1 "),
        ("APPEND k w", ":1 "),
        ("INCR k", ":1 "),
        ("SETNX k w", ":1 "),
        ("SET k w KEEPTTL", "+OK "),
        ("SET k w XX", "$-1 "),
        ("SETRANGE k 0 w", ":1 "),
        ("RENAME k k2", "-ERR no such key "),
        ("RENAMENX other k", ":1 "),
        ("COPY other k", ":1 "),
        ("PERSIST k", ":0 "),
        ("EXPIRE k 10", ":0 "),
        ("DEL k", ":0 "),
        ("TTL k", ":-2 "),
        ("KEYS k", "*0 "),
        ("SCAN 0 MATCH k", "*2 $1 0 *0 "),
        ("OBJECT ENCODING k", "$-1 "),
    ] {
        let mut shard = shard();
        reply(&mut shard, "MSET other v k 5");
        reply(&mut shard, "PEXPIRE k 100");
        assert_eq!(run_at(&mut shard, line, NOW_MS + 1000).0, expected, "{line}");
        let after = run_at(&mut shard, "TTL k", NOW_MS + 1000).0;
        assert!(after == ":-2 " || after == ":-1 ", "{line}: {after}");
    }
}

#[test]
fn expired_keys_stay_hidden_while_the_log_cannot_say_so() {
    let mut shard = shard();
    reply(&mut shard, "SET k v PX 100");
    let logged_before = logged(&shard);
    shard.staging.set_space_error(Some("No space left on device".into()));
    let later = NOW_MS + 1000;
    for (line, expected) in [("GET k", "$-1 "), ("KEYS *", "*0 "), ("SCAN 0", "*2 $1 0 *0 ")] {
        assert_eq!(run_at(&mut shard, line, later).0, expected, "{line}");
    }
    assert_eq!(shard.expire_cycle(later, 100), 0);
    assert_eq!((logged(&shard), shard.keyspace.len()), (logged_before, 1));
    shard.staging.set_space_error(None);
    assert_eq!(shard.expire_cycle(later, 100), 1);
    assert_eq!(logged(&shard).last().unwrap(), "DEL k");
    assert_eq!((shard.keyspace.len(), shard.stats.expired_keys), (0, 1));
}

#[test]
fn the_expiry_cycle_keeps_to_its_budget_and_finds_every_key_in_the_end() {
    let mut shard = shard();
    for key in 0..300 {
        reply(&mut shard, &format!("SET k{key} v PX {}", 100 + key % 7));
        reply(&mut shard, &format!("SET stays{key} v PX 900000"));
    }
    let mut removed = 0;
    for _ in 0..100 {
        let step = shard.expire_cycle(NOW_MS + 1000, 20);
        assert!(step <= 20);
        removed += step;
    }
    assert_eq!((removed, shard.keyspace.len()), (300, 300));
    assert_eq!(logged(&shard).iter().filter(|line| line.starts_with("DEL k")).count(), 300);
    let mut again = super::tests::shard();
    let mut db = 0;
    logged(&shard).iter().for_each(|line| replay(&mut again, &mut db, line).unwrap());
    assert_eq!(again.digest(0), shard.digest(0));
}

#[test]
fn writes_are_refused_and_change_nothing_once_the_log_has_failed() {
    let mut shard = shard();
    shard.staging.set_gating(true);
    reply(&mut shard, "SET settled v");
    shard.staging.settle(1);
    reply(&mut shard, "SET k v");
    shard.staging.set_failed("Input/output error".into());
    let payload = crate::rdb::dump::string(b"v");
    let refusal = "-MISCONF Errors writing to the AOF file: Input/output error ";
    let digest = shard.digest(0);
    for line in ["SET k2 v", "DEL k", "INCR n", "EXPIRE k 1", "RENAME k k2", "MSET a 1 b 2"] {
        assert_eq!(run(&mut shard, line), (refusal.to_owned(), 0), "{line}");
    }
    assert_eq!(reply(&mut shard, "GET k"), refusal, "what was not synced may be gone");
    assert_eq!(reply(&mut shard, "MGET other k"), refusal, "nothing of the reply remains");
    assert_eq!(reply(&mut shard, "GET other"), "$-1 ");
    assert!(shard.import(0, b"k2", &payload, None, b"").is_err());
    assert!(shard.discard(0, b"k").is_err());
    assert_eq!(shard.digest(0), digest);
}

#[test]
fn values_that_are_not_in_the_command_need_room_in_the_log_too() {
    let mut shard = shard();
    let value = "v".repeat(100_000);
    reply(&mut shard, &format!("SET k {value}"));
    shard.staging.set_reserved(170_000);
    shard.staging.set_space_error(Some("No space left on device".into()));
    for line in ["RENAME k k2", "COPY k k2", "MOVE k 1"] {
        assert!(reply(&mut shard, line).starts_with("-MISCONF"), "{line}");
        assert_eq!(reply(&mut shard, "STRLEN k"), ":100000 ", "{line}");
    }
    assert_eq!(reply(&mut shard, "SET small v"), "+OK ");
}

#[test]
fn several_effects_are_one_batch_in_their_databases() {
    let mut shard = shard();
    reply(&mut shard, "SET k v");
    assert_eq!(run(&mut shard, "MOVE k 3"), (":1 ".into(), 2));
    assert_eq!(run(&mut shard, "MSET a 1 b 2"), ("+OK ".into(), 3));
    let expected = "SELECT 0|SET k v|MULTI|DEL k|SELECT 3|SET k v|EXEC|\
                    MULTI|SELECT 0|SET a 1|SET b 2|EXEC";
    assert_eq!(logged(&shard).join("|"), expected);
}

#[test]
fn replay_keeps_what_is_past_its_deadline_and_logs_nothing() {
    let mut shard = shard();
    let mut db = 0;
    for line in ["SET k v PXAT 1", "GETEX k EXAT 2", "PEXPIREAT k 3", "APPEND k w", "INCR n"] {
        replay(&mut shard, &mut db, line).unwrap();
    }
    let key = shard.keyspace.key(b"k");
    let entry = shard.keyspace.db(0).get(key).unwrap();
    assert_eq!((entry.value().to_vec(), entry.deadline()), (b"vw".to_vec(), Some(3)));
    assert_eq!((logged(&shard).len(), shard.stats.changes, shard.stats.expired_keys), (0, 0, 0));
    assert_eq!(reply(&mut shard, "GET k"), "$-1 ", "live again, it is gone");
}

#[test]
fn replay_takes_what_stock_redis_appends_and_names_what_it_does_not_know() {
    let mut shard = shard();
    let mut db = 0;
    for line in [
        "SELECT 2",
        "MULTI",
        "set a 1",
        "EXEC",
        "MSET b 2 c 3",
        "RENAME b d",
        "COPY a e DB 1",
        "SELECT 0",
        "SWAPDB 0 2",
        "SELECT 5",
        "SET x 1",
        "FLUSHDB",
        "UNLINK nokey",
    ] {
        replay(&mut shard, &mut db, line).unwrap();
    }
    let len = |db: usize| shard.keyspace.db(db).len();
    assert_eq!((db, len(0), len(1), len(2), len(5)), (5, 3, 1, 0, 0));
    for (line, text) in [
        ("MIGRATE h f v", "unknown command in 'MIGRATE'"),
        ("SELECT 16", "DB index is out of range in 'SELECT'"),
        ("SELECT", "DB index is out of range in 'SELECT'"),
        ("SET k", "wrong number of arguments in 'SET'"),
        ("SET k v NX XX", "ERR syntax error in 'SET'"),
    ] {
        assert_eq!(replay(&mut shard, &mut db, line), Err(text.to_owned()), "{line}");
    }
    replay(&mut shard, &mut db, "FLUSHALL").unwrap();
    assert!(shard.keyspace.is_empty());
}

#[test]
fn entries_travel_between_shards_with_their_deadlines() {
    let (mut from, mut to) = (shard(), shard());
    let deadline = NOW_MS + 5000;
    reply(&mut from, &format!("SET k 12 PXAT {deadline}"));
    assert_eq!(from.holds(0, b"k", NOW_MS), Ok((true, 0)));
    let (exported, _) = from.export(0, b"k", NOW_MS).unwrap();
    let Exported { payload, deadline: at_ms, .. } = exported.unwrap();
    assert_eq!(to.import(4, b"k2", &payload, at_ms, b""), Ok(1));
    assert_eq!(from.discard(0, b"k"), Ok((true, 2)));
    assert_eq!(from.discard(0, b"k"), Ok((false, 0)));
    assert_eq!(logged(&to).join("|"), format!("SELECT 4|SET k2 12 PXAT {deadline}"));
    assert_eq!(logged(&from).last().unwrap(), "DEL k");
    assert_eq!(to.holds(4, b"k2", deadline + 1), Ok((false, 0)), "expired on the way");
    assert!(to.export(4, b"k2", NOW_MS).unwrap().0.is_none());
}

#[test]
fn strings_are_kept_between_shards_as_they_were() {
    let mut shard = shard();
    for line in ["SET k 12", "SET k 1x", "SETRANGE k 0 7", "INCRBYFLOAT n 2.0", "APPEND n 1"] {
        reply(&mut shard, line);
        let key = line.split(' ').nth(1).unwrap();
        let exported = shard.export(0, key.as_bytes(), NOW_MS).unwrap().0.unwrap();
        shard.import(0, b"copy", &exported.payload, Some(NOW_MS + 9), b"").unwrap();
        shard.keep_as(0, b"copy", exported.encoding.as_bytes());
        for what in ["OBJECT ENCODING", "GET"] {
            let original = reply(&mut shard, &format!("{what} {key}"));
            assert_eq!(reply(&mut shard, &format!("{what} copy")), original, "{line}");
        }
        assert_eq!(reply(&mut shard, "PEXPIRETIME copy"), format!(":{} ", NOW_MS + 9));
    }
}

#[test]
fn a_scan_goes_from_shard_to_shard_and_misses_nothing() {
    const SHARDS: usize = 3;
    let mut shards: Vec<Shard> = (0..SHARDS)
        .map(|id| Shard::new(id, SHARDS, 16, KeyHasher::fixed(), Staging::disabled(), 1))
        .collect();
    for key in 0..1000 {
        let key = format!("key:{key}");
        let group = usize::from(shards[0].keyspace.key(key.as_bytes()).group());
        let owner = (0..SHARDS).find(|&id| groups_of_shard(id, SHARDS).contains(&group)).unwrap();
        reply(&mut shards[owner], &format!("SET {key} v"));
    }
    let (mut cursor, mut found) = (0u64, Vec::new());
    loop {
        let group = crate::keyspace::scan_group(cursor);
        let owner = (0..SHARDS).find(|&id| groups_of_shard(id, SHARDS).contains(&group)).unwrap();
        let answer = reply(&mut shards[owner], &format!("SCAN {cursor} COUNT 25"));
        let mut words = answer.split(' ').filter(|word| !word.starts_with(['*', '$']));
        cursor = words.next().unwrap().parse().unwrap();
        found.extend(words.filter(|word| !word.is_empty()).map(str::to_owned));
        if cursor == 0 {
            break;
        }
    }
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 1000);
}

#[test]
fn a_key_is_idle_since_it_was_last_used() {
    let mut shard = shard();
    reply(&mut shard, "SET k v");
    let idle = |shard: &mut Shard, after_s: i64| {
        run_at(shard, "OBJECT IDLETIME k", NOW_MS + after_s * 1000).0
    };
    assert_eq!(idle(&mut shard, 0), ":0 ");
    assert_eq!(idle(&mut shard, 30), ":30 ");
    run_at(&mut shard, "TTL k", NOW_MS + 40_000);
    assert_eq!(idle(&mut shard, 50), ":50 ", "looking at the key is no use");
    run_at(&mut shard, "GET k", NOW_MS + 60_000);
    assert_eq!(idle(&mut shard, 70), ":10 ");
    run_at(&mut shard, "SET k w", NOW_MS + 80_000);
    assert_eq!(idle(&mut shard, 90), ":10 ");
}

#[test]
fn commands_of_a_transaction_are_one_batch_and_answer_each() {
    let mut shard = shard();
    shard.begin_transaction(None);
    for (line, expected) in [("SET k 1", "+OK "), ("INCR k", ":2 "), ("LPUSH k x", "-WRONGTYPE")] {
        assert!(reply(&mut shard, line).starts_with(expected), "{line}");
    }
    assert_eq!(shard.end_transaction(), (1, true));
    assert_eq!(logged(&shard), ["MULTI", "SELECT 0", "SET k 1", "INCR k", "EXEC"]);
    assert_eq!(run(&mut shard, "DEL k"), (":1 ".into(), 2));
}

#[test]
fn emptying_a_database_is_answered_once_its_deletions_are_logged() {
    let mut shard = shard();
    run(&mut shard, "SET k 1");
    assert_eq!(shard.flush(0..16, NOW_MS, false), Ok(2));
    assert_eq!(shard.flush(0..16, NOW_MS, false), Ok(0), "nothing to delete");
}
