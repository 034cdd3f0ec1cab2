//! Stock Redis reads our segments: `redis-server` and `redis-check-aof` 7 on the PATH are needed.

use crate::crash::rig::{RUN, Rig, SHARD, segment_name};
use quire_engine::{
    aof::{FsyncPolicy, header::EndLine, seal_segment},
    effect::{Deadline, Effect},
    io::{Storage, sim::run},
};
use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

struct Stock(Child);

impl Drop for Stock {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A connection to a stock server that has loaded `dir`; panics with its log when it does not.
fn start(dir: &Path) -> (Stock, TcpStream) {
    let port = free_port();
    let log = dir.join("log");
    let child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
        .args(["--appendonly", "yes", "--aof-load-truncated", "no"])
        .args(["--logfile", log.to_str().unwrap(), "--dir", dir.to_str().unwrap()])
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server must be installed: this test asks it whether it reads our files");
    let mut stock = Stock(child);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port))
            && ask(&stream, "PING") == "+PONG"
        {
            return (stock, stream);
        }
        let gone = stock.0.try_wait().unwrap();
        let said = || std::fs::read_to_string(&log).unwrap_or_default();
        assert!(
            gone.is_none() && Instant::now() < deadline,
            "redis-server did not load: {}",
            said()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The reply's first line, or the bulk string.
fn ask(mut stream: &TcpStream, command: &str) -> String {
    stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    if line.starts_with('$') && !line.starts_with("$-1") {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    line.trim_end().to_owned()
}

/// A log with every kind of effect, several databases and segments.
fn life(policy: FsyncPolicy) -> Rig {
    let mut rig = Rig::new(policy);
    for i in 0..60 {
        rig.set(i * 40);
        if i % 3 == 0 {
            rig.pump();
        }
        rig.complete_write();
        rig.serve();
    }
    let far = 4_102_444_800_000;
    let (set, db) = (|key, value, deadline| Effect::Set { key, value, deadline }, 7);
    rig.staging.begin();
    rig.staging.push(db, set(b"a\r\n", b"1", Deadline::At(far)));
    rig.staging.push(db, set(b"a\r\n", b"#2", Deadline::Keep));
    rig.staging.push(0, Effect::Del { key: b"key-1" });
    rig.staging.push(db, set(b"b", b"5", Deadline::None));
    rig.staging.push(db, Effect::Parts { parts: &[b"INCRBY", b"b", b"37"] });
    rig.staging.end();
    rig.staging.push(db, set(b"c", b"x", Deadline::At(far)));
    rig.staging.push(db, Effect::Persist { key: b"c" });
    rig.staging.push(db, set(b"d", b"x", Deadline::None));
    rig.staging.push(db, Effect::ExpireAt { key: b"d", at_ms: far });
    rig.staging.push_expiry(0, b"key-2");
    rig.settle_down();
    rig.now += 2_000_000;
    rig.settle_down();
    rig
}

fn write_directory(rig: &Rig, dir: &Path) {
    let dir = dir.join("appendonlydir");
    std::fs::create_dir(&dir).unwrap();
    let mut manifest = String::new();
    for seq in 1..rig.next_seq {
        let name = segment_name(seq);
        std::fs::write(dir.join(&name), rig.disk.bytes(&name).unwrap()).unwrap();
        manifest += &format!("file {name} seq {seq} type i\n");
    }
    std::fs::write(dir.join("appendonly.aof.manifest"), manifest).unwrap();
}

fn check_aof(dir: &Path) {
    let manifest = dir.join("appendonlydir").join("appendonly.aof.manifest");
    let output = Command::new("redis-check-aof")
        .arg(&manifest)
        .output()
        .expect("redis-check-aof must be installed: this test asks it whether it reads our files");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("All AOF files and manifest are valid"), "{said}");
}

#[test]
fn stock_redis_loads_our_segments_padded_and_unpadded_open_and_sealed() {
    for policy in [FsyncPolicy::Always, FsyncPolicy::EverySec] {
        for sealed in [false, true] {
            let rig = life(policy);
            assert!(rig.writer.current().seq > 2, "several segments");
            if sealed {
                let (seq, end, last_lsn) = rig.writer.tail();
                let line = EndLine { run: RUN, shard: SHARD, seq, last_lsn };
                run(async {
                    let file = rig.disk.open(&segment_name(seq)).await.unwrap();
                    seal_segment(&rig.disk, &file, end, &line).await.unwrap();
                });
            }
            let dir = tempfile::tempdir().unwrap();
            write_directory(&rig, dir.path());
            check_aof(dir.path());
            let (_stock, stream) = start(dir.path());
            assert_eq!(ask(&stream, "DBSIZE"), ":58");
            assert_eq!(ask(&stream, "STRLEN key-60"), ":2360");
            assert_eq!(ask(&stream, "SELECT 7"), "+OK");
            assert_eq!(ask(&stream, "DBSIZE"), ":4");
            assert_eq!(ask(&stream, "GET \"a\\r\\n\""), "#2");
            assert_eq!(ask(&stream, "PEXPIRETIME \"a\\r\\n\""), ":4102444800000");
            assert_eq!(ask(&stream, "GET b"), "42");
            assert_eq!(ask(&stream, "TTL c"), ":-1");
            assert_eq!(ask(&stream, "PEXPIRETIME d"), ":4102444800000");
        }
    }
}
