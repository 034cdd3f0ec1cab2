//! Directories handed to and fro between us and stock Redis, on a real disk.

use super::{
    builder::Keys,
    real::{Life, begin},
};
use quire_engine::{aof::FsyncPolicy, digest::Digest};
use std::{
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A redis-server on the directory `<dir>/appendonlydir`.
struct Stock {
    server: Child,
    port: String,
}

impl Stock {
    fn start(dir: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let port = port.to_string();
        let server = Command::new("redis-server")
            .args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .args(["--enable-debug-command", "yes", "--appendfsync", "always", "--dir"])
            .arg(dir)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server 7.0 must be on the PATH: directories are exchanged with it");
        let mut stock = Self { server, port };
        for _ in 0..200 {
            std::thread::sleep(Duration::from_millis(25));
            assert!(stock.server.try_wait().unwrap().is_none(), "redis-server refused to start");
            if stock.cli("PING") == "PONG" {
                return stock;
            }
        }
        panic!("redis-server does not answer");
    }

    fn cli(&self, line: &str) -> String {
        let out = Command::new("redis-cli")
            .args(["-p", &self.port])
            .args(line.split(' '))
            .output()
            .expect("redis-cli is installed beside redis-server");
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    fn stop(mut self) {
        self.cli("SHUTDOWN");
        self.server.wait().unwrap();
    }

    fn rewrite(&self) {
        self.rewrite_as("no");
    }

    /// Rewrites the log: with `yes` the base is an RDB.
    fn rewrite_as(&self, preamble: &str) {
        self.cli(&format!("CONFIG SET aof-use-rdb-preamble {preamble}"));
        self.cli("BGREWRITEAOF");
        while !self.cli("INFO persistence").contains("aof_rewrite_in_progress:0") {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        // Already gone after `stop`.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn digest(keys: &Keys) -> String {
    let mut parts: Vec<(u32, Digest)> = Vec::new();
    for ((db, key), (value, deadline)) in keys {
        let object = Digest::ZERO.mix(key.as_bytes()).mix_type(0).mix(value.as_bytes());
        let object = if deadline.is_some() { object.mark_deadline() } else { object };
        let one = object.of_key();
        match parts.last_mut() {
            Some((last, part)) if *last == *db as u32 => *part = part.xor(one),
            _ => parts.push((*db as u32, one)),
        }
    }
    Digest::of_databases(parts.into_iter()).hex()
}

fn check_aof(log: &Path) {
    let out = Command::new("redis-check-aof")
        .arg(log.join("appendonly.aof.manifest"))
        .output()
        .expect("redis-check-aof is installed beside redis-server");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "redis-check-aof: {text}");
}

struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn log(&self) -> PathBuf {
        self.path().join("appendonlydir")
    }
}

fn write(life: &mut Life, tag: &str) {
    for i in 0..300 {
        let deadline = (i % 7 == 0).then_some(4_102_444_800_000);
        life.set((i % 3) as u16, &format!("key:{i}"), &format!("{tag}:{i}"), deadline);
        if i % 10 == 0 {
            life.set(1, &format!("number:{i}"), &i.to_string(), None);
            life.turn();
        }
    }
    life.settle();
}

#[test]
fn stock_redis_loads_what_we_write_digest_for_digest() {
    for (policy, clean) in [
        (FsyncPolicy::Always, true),
        (FsyncPolicy::Always, false),
        (FsyncPolicy::EverySec, true),
        (FsyncPolicy::EverySec, false),
    ] {
        let folder = Folder::new();
        let mut life = begin(&folder.log(), 3, policy, 7).unwrap();
        write(&mut life, "first");
        life.swap_databases(0, 1);
        write(&mut life, "second");
        let keys = if clean { life.stop() } else { life.kill() };
        check_aof(&folder.log());
        let stock = Stock::start(folder.path());
        assert_eq!(stock.cli("DEBUG DIGEST"), digest(&keys), "{} clean {clean}", policy.name());
        stock.stop();
    }
}

#[test]
fn what_stock_redis_appends_is_ours_again_after_a_start() {
    for (policy, clean) in
        [(FsyncPolicy::Always, true), (FsyncPolicy::Always, false), (FsyncPolicy::No, false)]
    {
        let folder = Folder::new();
        let mut life = begin(&folder.log(), 2, policy, 7).unwrap();
        write(&mut life, "ours");
        let mut keys = if clean { life.stop() } else { life.kill() };
        for round in 0..2u64 {
            let stock = Stock::start(folder.path());
            let value = format!("stock{round}");
            stock.cli(&format!("MSET key:0 {value} key:1 {value} new:{round} 1"));
            stock.cli("-n 2 INCR counter");
            stock.cli("RENAME key:1 renamed");
            let expected = stock.cli("DEBUG DIGEST");
            stock.stop();
            let life = begin(&folder.log(), 3, policy, 8 + round).unwrap();
            assert_eq!(digest(&life.keys), expected, "{} clean {clean}", policy.name());
            keys = life.stop();
        }
        assert_eq!(keys[&(2, "counter".to_owned())].0, "2");
        check_aof(&folder.log());
    }
}

#[test]
fn a_directory_stock_redis_made_is_ours_after_a_start_and_its_again_after_another() {
    let folder = Folder::new();
    let stock = Stock::start(folder.path());
    stock.cli("MSET a 1 b 2 c 3");
    stock.cli("-n 4 SET z 26 EX 100000");
    stock.cli("SETRANGE b 3 tail");
    let expected = stock.cli("DEBUG DIGEST");
    stock.stop();
    let mut life = begin(&folder.log(), 4, FsyncPolicy::Always, 1).unwrap();
    assert_eq!(digest(&life.keys), expected);
    write(&mut life, "ours");
    let keys = life.stop();
    check_aof(&folder.log());
    let stock = Stock::start(folder.path());
    assert_eq!(stock.cli("DEBUG DIGEST"), digest(&keys));
    // A base in RESP form and a manifest that knows nothing of ours.
    stock.rewrite();
    stock.cli("SET last word");
    let expected = stock.cli("DEBUG DIGEST");
    stock.stop();
    let life = begin(&folder.log(), 2, FsyncPolicy::No, 2).unwrap();
    assert_eq!(digest(&life.keys), expected);
    life.stop();
}

/// The segment that was written to last, by name.
fn written_last(log: &Path) -> PathBuf {
    let commits = |path: &PathBuf| {
        let text = std::fs::read(path).unwrap();
        text.windows(4).filter(|w| w == b"#Q1 ").count() > 0
    };
    let entries = std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<PathBuf> = entries
        .filter(|path| path.to_string_lossy().ends_with(".s0.incr.aof") && commits(path))
        .collect();
    segments.sort_by_key(|path| path.file_name().unwrap().len());
    segments.pop().unwrap()
}

fn tear(file: &Path, bytes: u64) {
    let file = std::fs::OpenOptions::new().write(true).open(file).unwrap();
    file.set_len(file.metadata().unwrap().len() - bytes).unwrap();
}

#[test]
fn a_torn_directory_is_stocks_again_once_we_have_recovered_it() {
    let folder = Folder::new();
    let mut life = begin(&folder.log(), 2, FsyncPolicy::No, 7).unwrap();
    write(&mut life, "first");
    life.kill();
    tear(&written_last(&folder.log()), 5);
    let life = begin(&folder.log(), 2, FsyncPolicy::Always, 8).unwrap();
    let keys = life.stop();
    check_aof(&folder.log());
    let stock = Stock::start(folder.path());
    assert_eq!(stock.cli("DEBUG DIGEST"), digest(&keys));
    stock.stop();
}

#[test]
fn what_stock_wrote_over_a_torn_directory_is_refused_and_the_way_out_works() {
    let folder = Folder::new();
    let mut life = begin(&folder.log(), 1, FsyncPolicy::No, 7).unwrap();
    write(&mut life, "first");
    life.kill();
    tear(&written_last(&folder.log()), 5);
    // Stock repairs a file that is not the last one, gives up, and starts the second time.
    let _ = std::panic::catch_unwind(|| Stock::start(folder.path()));
    let stock = Stock::start(folder.path());
    stock.cli("SET stocks word");
    stock.stop();
    let refused = begin(&folder.log(), 2, FsyncPolicy::No, 8).err().unwrap().to_string();
    assert!(refused.contains("a Redis server appended to this log"), "{refused}");
    let stock = Stock::start(folder.path());
    stock.rewrite();
    let expected = stock.cli("DEBUG DIGEST");
    stock.stop();
    let life = begin(&folder.log(), 2, FsyncPolicy::No, 8).unwrap();
    assert_eq!(digest(&life.keys), expected);
    assert_eq!(life.keys[&(0, "stocks".to_owned())].0, "word");
    life.stop();
}

/// Makes the log of a stopped stock server one file beside the log directory, as servers before
/// version 7 have it.
fn as_before_7(folder: &Folder) -> PathBuf {
    let mut parts: Vec<PathBuf> = std::fs::read_dir(folder.log())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.to_string_lossy().ends_with(".manifest"))
        .collect();
    // base before incr
    parts.sort_by_key(|path| !path.to_string_lossy().contains(".base."));
    let whole: Vec<u8> = parts.iter().flat_map(|path| std::fs::read(path).unwrap()).collect();
    let old = folder.path().join("appendonly.aof");
    std::fs::write(&old, whole).unwrap();
    std::fs::remove_dir_all(folder.log()).unwrap();
    old
}

/// A log of one file, its first half rewritten as `preamble` says, and what it holds.
fn old_log(preamble: &str) -> (Folder, PathBuf, String) {
    let folder = Folder::new();
    let stock = Stock::start(folder.path());
    stock.cli("MSET a 1 b 2 c 3");
    stock.cli("-n 4 SET z 26 EX 100000");
    stock.rewrite_as(preamble);
    stock.cli("APPEND a tail");
    stock.cli("-n 3 SET behind base");
    let expected = stock.cli("DEBUG DIGEST");
    stock.stop();
    let old = as_before_7(&folder);
    (folder, old, expected)
}

#[test]
fn a_log_of_redis_before_7_becomes_the_base_as_redis_7_makes_it() {
    for preamble in ["yes", "no"] {
        let (folder, old, expected) = old_log(preamble);
        let life = begin(&folder.log(), 2, FsyncPolicy::No, 1).unwrap();
        assert_eq!(digest(&life.keys), expected, "preamble {preamble}");
        life.stop();
        assert!(!old.exists() && folder.log().join("appendonly.aof").exists());
        let stock = Stock::start(folder.path());
        assert_eq!(stock.cli("DEBUG DIGEST"), expected);
        stock.stop();
        // What lies beside a log directory with data is an old copy.
        std::fs::write(&old, b"*1\r\n$8\r\nFLUSHALL\r\n").unwrap();
        let life = begin(&folder.log(), 1, FsyncPolicy::No, 2).unwrap();
        assert_eq!(digest(&life.keys), expected);
        life.stop();
        assert!(old.exists());
    }
}

#[test]
fn an_old_log_is_adopted_after_a_crash_in_between_and_cut_where_stock_would_cut_it() {
    let (folder, old, _) = old_log("yes");
    tear(&old, 3);
    let copy = Folder::new();
    std::fs::copy(&old, copy.path().join("appendonly.aof")).unwrap();
    let stock = Stock::start(copy.path());
    let expected = stock.cli("DEBUG DIGEST");
    stock.stop();
    std::fs::create_dir(folder.log()).unwrap();
    let manifest = folder.log().join("appendonly.aof.manifest");
    std::fs::write(manifest, "file appendonly.aof seq 1 type b\n").unwrap();
    let life = begin(&folder.log(), 3, FsyncPolicy::No, 1).unwrap();
    assert_eq!(digest(&life.keys), expected);
    life.stop();
}
