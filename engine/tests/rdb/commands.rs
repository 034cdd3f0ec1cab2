//! DUMP and RESTORE answer as redis-server's do, and each reads what the other dumps.

use crate::{commands_driver::Driver, commands_oracle::Oracle};
use quire_engine::rdb::{crc64, dump};

fn both(redis: &mut Oracle, ours: &mut Driver, line: &[&[u8]]) -> String {
    redis.send(line);
    let theirs = redis.receive().escape_ascii().to_string();
    let shown: Vec<String> = line.iter().map(|arg| arg.escape_ascii().to_string()).collect();
    assert_eq!(ours.execute(line).escape_ascii().to_string(), theirs, "{}", shown.join(" "));
    theirs
}

/// A payload with this content and a right checksum.
fn payload(body: &[u8], version: u16) -> Vec<u8> {
    let mut payload = [body, &version.to_le_bytes()].concat();
    payload.extend(crc64::update(0, &payload).to_le_bytes());
    payload
}

#[test]
fn replies_are_stocks() {
    let (mut redis, mut ours) = (Oracle::start(), Driver::new(false));
    let good = dump::string(b"value");
    let mut run = |line: &[&[u8]]| both(&mut redis, &mut ours, line);
    let restore = |options: &[&'static str]| {
        let mut line: Vec<&[u8]> = vec![b"RESTORE", b"k", b"0"];
        line.push(Box::leak(good.clone().into_boxed_slice()));
        line.extend(options.iter().map(|option| option.as_bytes()));
        line
    };
    assert!(run(&[b"DUMP", b"k"]).starts_with("$-1"));
    run(&[b"DUMP"]);
    run(&[b"RESTORE", b"k", b"0"]);
    assert!(run(&restore(&[])).starts_with("+OK"));
    assert!(run(&restore(&[])).starts_with("-BUSYKEY"));
    for options in [
        &["REPLACE"][..],
        &["replace", "ABSTTL"],
        &["REPLACE", "IDLETIME", "100"],
        &["REPLACE", "IDLETIME", "-1"],
        &["REPLACE", "IDLETIME", "x"],
        &["REPLACE", "IDLETIME"],
        &["REPLACE", "FREQ", "255"],
        &["REPLACE", "FREQ", "256"],
        &["REPLACE", "FREQ", "-1"],
        &["REPLACE", "FREQ", "1", "IDLETIME", "1"],
        &["REPLACE", "IDLETIME", "1", "FREQ", "1"],
        &["NOSUCH"],
        &["IDLETIME", "-1"],
    ] {
        run(&restore(options));
        run(&[b"OBJECT", b"IDLETIME", b"k"]);
        run(&[b"GET", b"k"]);
    }
    for (ttl, option) in [("-1", "REPLACE"), ("x", "REPLACE"), ("1", "ABSTTL"), ("-1", "x")] {
        run(&[b"RESTORE", b"k", ttl.as_bytes(), &good, option.as_bytes()]);
        run(&[b"RESTORE", b"new", ttl.as_bytes(), &good, option.as_bytes()]);
    }
    // A deadline that has passed deletes what was there.
    assert!(run(&[b"RESTORE", b"k", b"1", &good, b"REPLACE", b"ABSTTL"]).starts_with("+OK"));
    assert!(run(&[b"EXISTS", b"k"]).starts_with(":0"));
    run(&[b"RESTORE", b"k", b"4102444800000", &good, b"ABSTTL"]);
    assert!(run(&[b"PEXPIRETIME", b"k"]).starts_with(":4102444800000"));
    let text = [b"\0\x01v".as_slice(), b""].concat();
    for bytes in [
        b"".to_vec(),
        b"short".to_vec(),
        good[..good.len() - 1].to_vec(),
        payload(&text, 6),
        payload(&text, 10),
        payload(b"\0", 10),
        payload(b"\x63\x01v", 10),
        payload(b"\x10\x01v", 10),
        payload(b"\0\x01v and more", 10),
        [&good[..], b"\0"].concat(),
    ] {
        run(&[b"RESTORE", b"k", b"0", &bytes, b"REPLACE"]);
        run(&[b"GET", b"k"]);
    }
    // Stock reads on into the footer; a value that is not whole is none here.
    let cut = payload(b"\0\x05v", 10);
    let reply = ours.execute(&[b"RESTORE".as_slice(), b"k", b"0", &cut, b"REPLACE"]);
    assert_eq!(reply, b"-ERR Bad data format\r\n");
    let mut run = |line: &[&[u8]]| both(&mut redis, &mut ours, line);
    run(&[b"HSET", b"h", b"f", b"v", b"n", b"12345", b"m", b"x"]);
    run(&[b"DUMP", b"h"]);
}

#[test]
fn payloads_of_hashes_go_to_and_fro_and_are_logged() {
    let (mut redis, mut ours) = (Oracle::start(), Driver::new(false));
    for fields in [1, 128, 129, 3_000] {
        let mut line: Vec<Vec<u8>> = vec![b"HSET".to_vec(), b"h".to_vec()];
        for n in 0..fields {
            line.push(format!("field:{n}").into_bytes());
            line.push(if n % 7 == 0 { n.to_string() } else { "v".repeat(n % 60) }.into_bytes());
        }
        redis.line("DEL h");
        redis.send(&line);
        redis.receive();
        let digest = redis.line("DEBUG DIGEST-VALUE h");
        redis.send(&["DUMP", "h"]);
        let reply = redis.receive();
        let at = reply.iter().position(|&b| b == b'\n').unwrap() + 1;
        let payload = &reply[at..reply.len() - 2];
        let restore =
            [b"RESTORE".as_slice(), b"h", b"4102444800000", payload, b"REPLACE", b"ABSTTL"];
        assert_eq!(ours.execute(&restore), b"+OK\r\n");
        let reply = ours.execute(&["DUMP", "h"]);
        let at = reply.iter().position(|&b| b == b'\n').unwrap() + 1;
        redis.line("DEL h");
        let payload = &reply[at..reply.len() - 2];
        redis.send(&[b"RESTORE".as_slice(), b"h", b"0", payload]);
        assert_eq!(redis.receive(), b"+OK\r\n");
        assert_eq!(redis.line("DEBUG DIGEST-VALUE h"), digest, "{fields} fields");
        assert_eq!(crate::commands_driver::digest(&ours.replayed()), ours.digest());
    }
}
