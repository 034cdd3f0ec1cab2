//! Moving out is one restart: after a clean stop stock Redis loads the directory and has the same
//! data. Moving in is one restart too.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use crate::saving::{info, until};
use crate::support::{
    client::{Client, Reply},
    copy_tree,
    process::{Launch, ServerProcess, fresh_dir},
    run,
};

pub fn digest(client: &mut Client) -> String {
    client.ask(&["DEBUG", "DIGEST"]).text()
}

/// Stops `server` in order, and compares with stock Redis on a copy of its directory `data`:
/// check tool and digest.
pub fn stock_redis_agrees(server: ServerProcess, data: &Path) {
    let ours = digest(&mut server.client());
    server.stop();
    let scratch = fresh_dir();
    let copy = scratch.path().join("copy");
    copy_tree(data, &copy);
    let manifest = copy.join("appendonlydir/appendonly.aof.manifest");
    let said = run("redis-check-aof", &[manifest.to_str().expect("test paths are UTF-8")]);
    assert!(said.contains("All AOF files and manifest are valid"), "{said}");
    let redis = Launch::redis(&copy).start();
    assert_eq!(digest(&mut redis.client()), ours, "stock Redis has other data");
}

/// A data set with every type and every kind of string, deadlines, two databases.
pub fn fill(client: &mut Client) {
    let commands = [
        "SELECT 0",
        "SET plain value",
        "SET number 12345",
        "SET deadline x PXAT 4102444800000",
        "INCRBY counter 41",
        "INCR counter",
        "INCRBYFLOAT float 10.5",
        "APPEND appended one",
        "APPEND appended two",
        "SETRANGE ranged 5 tail",
        "MSET m1 1 m2 2 m3 3 m4 4",
        "SET renamed x",
        "RENAME renamed new-name",
        "SET gone x",
        "DEL gone",
        "HSET hash f v g 1",
        "SADD ints 1 2 3",
        "SADD set one two 3",
        "ZADD zset 1.5 a -3 b inf c",
        "RPUSH list a b 1",
        // This may be the second time.
        "DEL stream",
        "XADD stream 1-1 f v",
        "XADD stream 2-1 f v g w",
        "XADD stream 3-1 f v",
        "XDEL stream 2-1",
        "XGROUP CREATE stream group 0",
        "XREADGROUP GROUP group alice COUNT 1 STREAMS stream >",
        "XGROUP CREATECONSUMER stream group bob",
        "SELECT 3",
        "SET third database",
        "SETEX third-deadline 100000000 x",
        "SELECT 0",
    ];
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        let reply = client.ask(&words);
        assert!(!matches!(reply, Reply::Error(_)), "{command}: {reply:?}");
    }
    for n in 0..2000 {
        let (key, value) = (format!("key:{n}"), "v".repeat(n % 300));
        assert!(client.ask(&["SET", &key, &value]).is_ok());
    }
}

#[test]
fn a_cleanly_stopped_directory_loads_in_stock_redis_with_the_same_digest() {
    for policy in ["always", "everysec", "no"] {
        let dir = fresh_dir();
        let data = dir.path().join("data");
        std::fs::create_dir(&data).expect("the directory is fresh");
        let launch = Launch::quire(&data).with(&["--shards", "3", "--appendfsync", policy]);
        let server = launch.start();
        fill(&mut server.client());
        stock_redis_agrees(server, &data);
    }
}

#[test]
fn a_directory_of_stock_redis_loads_with_the_same_digest() {
    // Stock starts a directory with a base file without keys: RDB, or RESP if asked for.
    for preamble in ["yes", "no"] {
        let dir = fresh_dir();
        let redis = Launch::redis(dir.path()).with(&["--aof-use-rdb-preamble", preamble]).start();
        fill(&mut redis.client());
        let theirs = digest(&mut redis.client());
        redis.stop();
        for shards in ["1", "3"] {
            let quire = Launch::quire(dir.path()).with(&["--shards", shards]).start();
            assert_eq!(digest(&mut quire.client()), theirs, "{shards} shards");
            quire.stop();
        }
    }
}

/// Rewrites the log of stock Redis, so that its base file holds all keys.
fn rewritten(dir: &Path, preamble: &str) -> String {
    let redis = Launch::redis(dir).with(&["--aof-use-rdb-preamble", preamble]).start();
    let mut client = redis.client();
    fill(&mut client);
    assert!(!matches!(client.ask(&["BGREWRITEAOF"]), Reply::Error(_)));
    let deadline = Instant::now() + Duration::from_secs(20);
    while client.ask(&["INFO", "persistence"]).text().contains("aof_rewrite_in_progress:1")
        || client.ask(&["INFO", "persistence"]).text().contains("aof_rewrite_scheduled:1")
    {
        assert!(Instant::now() < deadline, "the rewrite does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    let theirs = digest(&mut client);
    redis.stop();
    theirs
}

#[test]
fn a_base_file_of_stock_redis_loads_as_resp_and_as_rdb() {
    let dir = fresh_dir();
    let theirs = rewritten(dir.path(), "no");
    let quire = Launch::quire(dir.path()).with(&["--shards", "2"]).start();
    assert_eq!(digest(&mut quire.client()), theirs);

    let dir = fresh_dir();
    assert_eq!(rewritten(dir.path(), "yes"), theirs);
    for shards in ["1", "3"] {
        let quire = Launch::quire(dir.path()).with(&["--shards", shards]).start();
        assert_eq!(digest(&mut quire.client()), theirs, "{shards} shards");
        quire.stop();
    }
    // And back: the base is still stock's own.
    let redis = Launch::redis(dir.path()).start();
    assert_eq!(digest(&mut redis.client()), theirs);
}

#[test]
fn a_log_of_redis_before_version_7_is_taken_over_where_it_lies() {
    let dir = fresh_dir();
    let theirs = rewritten(dir.path(), "yes");
    let log = dir.path().join("appendonlydir");
    let mut parts: Vec<_> = std::fs::read_dir(&log)
        .expect("stock has made it")
        .map(|entry| entry.expect("it can be listed").path())
        .filter(|path| !path.to_string_lossy().ends_with(".manifest"))
        .collect();
    parts.sort_by_key(|path| !path.to_string_lossy().contains(".base."));
    let whole: Vec<u8> =
        parts.iter().flat_map(|path| std::fs::read(path).expect("it can be read")).collect();
    std::fs::write(dir.path().join("appendonly.aof"), whole).expect("the directory is ours");
    std::fs::remove_dir_all(&log).expect("the directory is ours");
    for shards in ["2", "3"] {
        let quire = Launch::quire(dir.path()).with(&["--shards", shards]).start();
        assert_eq!(digest(&mut quire.client()), theirs, "{shards} shards");
        quire.stop();
    }
}

#[test]
fn a_snapshot_of_stock_redis_loads_without_a_log_and_not_beside_a_new_one() {
    let dir = fresh_dir();
    let redis = Launch::redis(dir.path()).with(&["--appendonly", "no"]).start();
    let mut client = redis.client();
    fill(&mut client);
    for n in 0..400 {
        let (field, value) = (format!("f{n}"), "v".repeat(n));
        assert_eq!(client.ask(&["HSET", "hash", &field, &value]), Reply::Int(1));
    }
    assert!(client.ask(&["SAVE"]).is_ok());
    let theirs = digest(&mut client);
    redis.stop();
    for shards in ["1", "3"] {
        let launch = Launch::quire(dir.path()).with(&["--shards", shards, "--appendonly", "no"]);
        let quire = launch.start();
        let mut client = quire.client();
        assert_eq!(digest(&mut client), theirs, "{shards} shards");
        assert_eq!(client.ask(&["PEXPIRETIME", "deadline"]), Reply::Int(4_102_444_800_000));
        quire.stop();
    }
    // As stock Redis does: a log that begins is empty.
    let quire = Launch::quire(dir.path()).with(&["--appendonly", "yes"]).start();
    assert_eq!(quire.client().ask(&["DBSIZE"]), Reply::Int(0));
    quire.stop();
    // A snapshot that is not whole is refused, not loaded in part.
    let path = dir.path().join("dump.rdb");
    let whole = std::fs::read(&path).expect("stock has saved it");
    std::fs::write(&path, &whole[..whole.len() / 2]).expect("the directory is ours");
    let launch = Launch::quire(dir.path()).with(&["--appendonly", "no"]);
    let (status, said) = launch.start_refused();
    assert!(!status.success() && said.contains("dump.rdb at offset"), "{said}");
}

#[test]
fn a_directory_goes_to_stock_redis_and_back_with_what_it_wrote_there() {
    let dir = fresh_dir();
    let quire = Launch::quire(dir.path()).with(&["--shards", "2"]).start();
    fill(&mut quire.client());
    quire.stop();

    let redis = Launch::redis(dir.path()).start();
    let mut client = redis.client();
    assert!(client.ask(&["SET", "written-by", "stock"]).is_ok());
    assert_eq!(client.ask(&["DEL", "plain"]), Reply::Int(1));
    let theirs = digest(&mut client);
    redis.stop();

    let quire = Launch::quire(dir.path()).with(&["--shards", "4"]).start();
    let mut client = quire.client();
    assert_eq!(client.ask(&["GET", "written-by"]).text(), "stock");
    assert_eq!(client.ask(&["GET", "plain"]), Reply::Null);
    assert_eq!(digest(&mut client), theirs);
}

#[test]
fn a_packed_base_is_recovered_everywhere_and_unpacks_to_one_for_stock_redis() {
    let dir = fresh_dir();
    let launch = |shards: &str| {
        Launch::quire(dir.path()).with(&["--shards", shards, "--rdbcompression", "zstd"])
    };
    let server = launch("1").start();
    let mut client = server.client();
    fill(&mut client);
    let value = "a value that is much like others ".repeat(20);
    for n in 0..2_000 {
        client.ask(&["SET", &format!("key:{n}"), &value]);
    }
    let expected = digest(&mut client);
    assert!(client.ask(&["SAVE"]).is_ok());
    client.ask(&["BGREWRITEAOF"]);
    until("the base", || info(&mut client, "aof_last_checkpoint") == "full");
    assert!(client.ask(&["DEBUG", "RELOAD"]).is_ok());
    assert_eq!(digest(&mut client), expected, "DEBUG RELOAD");
    client.ask(&["SET", "after", "the base"]);
    let expected = digest(&mut client);
    server.kill();
    let server = launch("3").start();
    assert_eq!(digest(&mut server.client()), expected, "a base of one shard on three");
    server.stop();
    let path = dir.path().to_str().expect("test paths are UTF-8");
    run(env!("CARGO_BIN_EXE_quire-check"), &[path]);
    // dump.rdb alone: Quire loads it, stock Redis says what is wrong with it, and loads what is in it.
    let alone = fresh_dir();
    let (packed, plain) = (dir.path().join("dump.rdb"), alone.path().join("dump.rdb"));
    std::fs::copy(&packed, &plain).expect("SAVE has made it");
    let quire = ["--appendonly", "no", "--save", "", "--shards", "2"];
    let server = Launch::quire(alone.path()).with(&quire).start();
    let ours = digest(&mut server.client());
    server.stop();
    let stock = Launch::redis(alone.path()).with(&["--appendonly", "no"]);
    let (status, said) = stock.start_refused();
    assert!(!status.success(), "{said}");
    assert!(said.contains("Wrong signature"), "{said}");
    let packed = std::fs::read(&packed).expect("SAVE has made it");
    let unpacked = zstd::decode_all(&packed[..]).expect("frames");
    assert!(packed.len() * 5 < unpacked.len(), "{} of {}", packed.len(), unpacked.len());
    std::fs::write(&plain, unpacked).expect("the directory is ours");
    let redis = stock.start();
    assert_eq!(digest(&mut redis.client()), ours, "what zstd -d makes of it");
}

/// What the servers of tests/fixtures and Redis 7.0.15 said of the same commands: of the base alone,
/// and with the log behind it.
const FOREIGN_BASE: &str = "b2f19e83efe0a7ec094f65fbb2dbc71ed70bf3eb";
const FOREIGN_LOG: &str = "0a35ee6c797903c33869ef04dd52c8faf621a193";

#[test]
fn directories_and_snapshots_of_newer_redis_and_of_valkey_are_taken_over() {
    for server in ["valkey-9.1.2", "redis-8.0.6"] {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(server);
        for shards in ["1", "3"] {
            let dir = fresh_dir();
            copy_tree(&fixture.join("appendonlydir"), &dir.path().join("appendonlydir"));
            let launch = Launch::quire(dir.path()).with(&["--shards", shards]);
            let quire = launch.start();
            let mut client = quire.client();
            assert_eq!(digest(&mut client), FOREIGN_LOG, "{server}, {shards} shards");
            assert_eq!(client.ask(&["FCALL", "answer", "0"]), Reply::Int(42), "{server}");
            client.ask(&["DEL", "n"]);
            let ours = digest(&mut client);
            quire.kill();
            let quire = launch.start();
            assert_eq!(digest(&mut quire.client()), ours, "{server}: again, after a kill");
            // From here on it is as any other directory of ours, and Redis 7.0 reads it.
            let mut client = quire.client();
            client.ask(&["BGREWRITEAOF"]);
            until("the base", || info(&mut client, "aof_rewrites") == "1");
            stock_redis_agrees(quire, dir.path());
        }
        let dir = fresh_dir();
        let base = fixture.join("appendonlydir/appendonly.aof.2.base.rdb");
        std::fs::copy(base, dir.path().join("dump.rdb")).expect("the fixture has a base");
        let quire =
            Launch::quire(dir.path()).with(&["--appendonly", "no", "--shards", "2"]).start();
        assert_eq!(digest(&mut quire.client()), FOREIGN_BASE, "{server}: dump.rdb");
        quire.stop();
    }
}
