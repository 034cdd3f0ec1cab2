//! What redis-server 7.0 saves is read, and what is written it loads: digest for digest, in the
//! encodings it would use itself.

use super::{PACKED, PLAIN, neutral, written};
use crate::commands_oracle::Oracle;
use quire_engine::rdb::{Options, RdbFile, RdbValue, Version, dump};
use std::process::Command;

/// Fills a server with every type, below and above every threshold.
fn fill(redis: &mut Oracle) {
    let far = "4102444800000";
    for (at, value) in [
        "0",
        "-1",
        "127",
        "-128",
        "128",
        "32767",
        "-32769",
        "2147483647",
        "-2147483649",
        "9223372036854775807",
        "12345678901",
        "a",
        "",
        "007",
    ]
    .iter()
    .enumerate()
    {
        redis.send(&["SET", &format!("string:{at}"), value]);
        redis.receive();
    }
    for len in [20, 21, 63, 64, 100, 16_383, 16_384, 100_000] {
        let text = "abcdefgh".repeat(len / 8 + 1);
        redis.send(&["SET", &format!("text:{len}"), &text[..len]]);
        redis.receive();
    }
    let binary: Vec<u8> = (0..=255u8).collect();
    redis.send(&[b"SET".as_slice(), b"binary\x00\xff", &binary]);
    redis.receive();
    redis.line(&format!("SET deadline value PXAT {far}"));
    for (kind, many) in [("small", 5), ("edge", 128), ("above", 129), ("big", 2_000)] {
        for n in 0..many {
            let long = if n == 3 && kind == "above" { "v".repeat(70) } else { format!("v{n}") };
            for line in [
                vec!["RPUSH", "list", &format!("{long}x")],
                vec!["RPUSH", "numbers", &(n * n * n * 77 - 9_000).to_string()],
                vec!["SADD", "set", &long],
                vec!["SADD", "ints", &(n * 7 - 20).to_string()],
                vec!["HSET", "hash", &format!("f{n}"), &long],
                vec!["HSET", "inthash", &n.to_string(), &(n << 20).to_string()],
                vec!["ZADD", "zset", &format!("{}", f64::from(n) / 8.0 - 3.0), &long],
            ] {
                let mut line: Vec<String> = line.iter().map(|s| (*s).to_owned()).collect();
                line[1] = format!("{}:{kind}", line[1]);
                redis.send(&line);
                redis.receive();
            }
        }
    }
    for (at, n) in [1i64 << 20, 1 << 40].into_iter().enumerate() {
        redis.line(&format!("SADD wide:{at} 1 -5 {n} -{n}"));
    }
    redis.line("ZADD odd inf a -inf b 0.1 c 1e300 d -1.5 e 3 f 123456789012 g");
    redis.line(&format!("RPUSH long x {} {} y", "z".repeat(9_000), "w".repeat(5_000)));
    redis.line(&format!("HSET wide f {}", "q".repeat(65)));
    streams(redis);
    redis.line("SELECT 9");
    redis.line(&format!("SET other 1 PXAT {far}"));
    redis.line("LPUSH l 1 2 3");
    redis.line("SELECT 0");
}

fn streams(redis: &mut Oracle) {
    for n in 1..=350 {
        let fields = if n % 9 == 0 { "odd 1" } else { "temperature 21 place kitchen" };
        redis.line(&format!("XADD stream {n}-{} {fields}", n % 3));
    }
    for n in [1, 2, 50, 350] {
        redis.line(&format!("XDEL stream {n}-{}", n % 3));
    }
    redis.line("XGROUP CREATE stream g1 0 ENTRIESREAD 3");
    redis.line("XGROUP CREATE stream empty $");
    redis.line("XREADGROUP GROUP g1 alice COUNT 10 STREAMS stream >");
    redis.line("XREADGROUP GROUP g1 bob COUNT 5 STREAMS stream >");
    redis.line("XGROUP CREATECONSUMER stream g1 carol");
    redis.line("XACK stream g1 4-1 5-2");
    redis.line("XADD emptied 5-5 f v");
    redis.line("XDEL emptied 5-5");
    redis.line("XADD trimmed 1-1 f v");
    redis.line("XADD trimmed 18446744073709551615-18446744073709551614 f v");
    redis.line("XTRIM trimmed MAXLEN 1");
    for n in 0..5 {
        redis.line(&format!("XADD wide:stream {n}-1 f {}", "x".repeat(3_000)));
    }
}

/// What DEBUG DIGEST does not cover.
fn beyond_the_digest(redis: &mut Oracle) -> Vec<String> {
    let mut found = Vec::new();
    for db in ["0", "9"] {
        redis.line(&format!("SELECT {db}"));
        redis.send(&["KEYS", "*"]);
        let reply = redis.receive();
        let reply = reply.split(|&b| b == b'\n').map(|l| l.strip_suffix(b"\r").unwrap_or(l));
        let mut keys: Vec<Vec<u8>> = reply.skip(2).step_by(2).map(<[u8]>::to_vec).collect();
        keys.sort();
        for key in keys {
            for (command, sub) in [("OBJECT", "ENCODING"), ("PEXPIRETIME", "")] {
                let line: Vec<&[u8]> = [command.as_bytes(), sub.as_bytes(), &key]
                    .into_iter()
                    .filter(|part| !part.is_empty())
                    .collect();
                redis.send(&line);
                let said = redis.receive().escape_ascii().to_string();
                found.push(format!("{} {command} {said}", key.escape_ascii()));
            }
        }
    }
    redis.line("SELECT 0");
    for stream in ["stream", "emptied", "trimmed", "wide:stream"] {
        let said = redis.line(&format!("XINFO STREAM {stream} FULL COUNT 0"));
        // How the nodes lie in memory is nobody's business.
        let said = said.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
        let radix = said.find("radix-tree-keys").unwrap();
        let last = said.find("last-generated-id").unwrap();
        found.push(format!("{} {}", &said[..radix], &said[last..]));
    }
    found
}

fn saved(redis: &mut Oracle) -> Vec<u8> {
    assert_eq!(redis.line("SAVE"), "+OK\r\n");
    std::fs::read(redis.folder().join("dump.rdb")).unwrap()
}

#[test]
fn what_stock_saves_is_read_and_what_is_written_it_loads() {
    let mut redis = Oracle::start();
    fill(&mut redis);
    let digest = redis.line("DEBUG DIGEST");
    let beyond = beyond_the_digest(&mut redis);
    let mut read = Vec::new();
    for compression in ["yes", "no"] {
        redis.line(&format!("CONFIG SET rdbcompression {compression}"));
        let bytes = saved(&mut redis);
        let file = RdbFile::read(&bytes, 4096).unwrap();
        assert_eq!((file.version, file.bytes), (10, bytes.len() as u64));
        assert_eq!(file.aux[0], (b"redis-ver".to_vec(), b"7.0.15".to_vec()));
        read.push(neutral(&file));
    }
    assert_eq!(read[0], read[1]);
    let keys = read.pop().unwrap();
    for options in
        [PACKED, PLAIN, Options { compress: true, ..PLAIN }, Options { checksum: false, ..PACKED }]
    {
        let ours = written(&keys, options).unwrap();
        let again = RdbFile::read(&ours, 1000).unwrap();
        std::fs::write(redis.folder().join("dump.rdb"), &ours).unwrap();
        check_rdb(&redis.folder().join("dump.rdb"));
        redis.line("FLUSHALL");
        assert_eq!(redis.line("DEBUG RELOAD NOSAVE"), "+OK\r\n", "{options:?}");
        assert_eq!(redis.line("DEBUG DIGEST"), digest, "{options:?}");
        if options.version == Version::Ten {
            assert_eq!(beyond_the_digest(&mut redis), beyond, "{options:?}");
            assert_eq!(neutral(&again), keys, "{options:?}");
        }
    }
}

/// redis-check-rdb, which reads more strictly than the server.
fn check_rdb(file: &std::path::Path) {
    let out = Command::new("redis-check-rdb").arg(file).output();
    let out = out.expect("redis-check-rdb is installed beside redis-server");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success() && text.contains("RDB looks OK!"), "{text}");
}

#[test]
fn functions_idle_times_and_frequencies_are_kept() {
    let mut redis = Oracle::start();
    redis.send(&[
        "FUNCTION",
        "LOAD",
        "#!lua name=l\nredis.register_function('f', function() return 1 end)",
    ]);
    assert!(redis.receive().starts_with(b"$1\r\nl"));
    redis.line("CONFIG SET maxmemory-policy allkeys-lru");
    redis.line("SET idle v");
    redis.line("CONFIG SET maxmemory 1000000000");
    let payload = dump::string(b"v");
    redis.send(&[b"RESTORE".as_slice(), b"idle", b"0", &payload, b"REPLACE", b"IDLETIME", b"1000"]);
    assert_eq!(redis.receive(), b"+OK\r\n");
    let file = RdbFile::read(&saved(&mut redis), 7).unwrap();
    assert_eq!(file.functions.len(), 1);
    assert!(file.functions[0].starts_with(b"#!lua name=l\n"));
    let idle = file.keys[0].head.idle_s.unwrap();
    assert!((1000..1100).contains(&idle), "{idle}");
    redis.line("CONFIG SET maxmemory-policy allkeys-lfu");
    redis.send(&[b"RESTORE".as_slice(), b"idle", b"0", &payload, b"REPLACE", b"FREQ", b"77"]);
    redis.receive();
    let file = RdbFile::read(&saved(&mut redis), 1 << 20).unwrap();
    assert_eq!(file.keys[0].head.freq, Some(77));
    // And back again.
    let mut writer = quire_engine::rdb::Writer::new(PACKED);
    writer.function(&file.functions[0]).unwrap();
    writer.database(0, 1, 0);
    let head = file.keys[0].head.clone().map(|_| b"used".as_slice());
    writer.value(&head, &file.keys[0].value).unwrap();
    writer.finish();
    std::fs::write(redis.folder().join("dump.rdb"), writer.take()).unwrap();
    redis.line("FUNCTION FLUSH");
    assert_eq!(redis.line("DEBUG RELOAD NOSAVE"), "+OK\r\n");
    assert_eq!(redis.line("FCALL f 0"), ":1\r\n");
    assert_eq!(redis.line("OBJECT FREQ used"), ":77\r\n");
}

/// Strings of every form a payload has.
fn strings() -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = [
        "",
        "0",
        "-1",
        "127",
        "128",
        "-32768",
        "2147483648",
        "-2147483648",
        "12345678901",
        "-12345678901",
        "9223372036854775807",
        "01",
        "1.5",
        "hello",
        "aaaaaaaaaaaaaaaaaaaa",
        "aaaaaaaaaaaaaaaaaaaaa",
    ]
    .iter()
    .map(|s| s.as_bytes().to_vec())
    .collect();
    let mut random = quire_engine::shard::Random::new(7);
    for round in 0..400u64 {
        // Words of a small alphabet, repeated near and far: every decision of the compressor.
        let mut text = Vec::new();
        let letters = 1 + random.next() % 6;
        let len = if round % 20 == 0 { 20_000 } else { 21 + random.next() % 600 };
        while (text.len() as u64) < len {
            if random.next().is_multiple_of(3) && !text.is_empty() {
                let from = (random.next() % text.len() as u64) as usize;
                let count = (1 + random.next() % 300) as usize;
                let copied = text[from..(from + count).min(text.len())].to_vec();
                text.extend(copied);
            } else {
                text.extend((0..random.next() % 9).map(|_| b'a' + (random.next() % letters) as u8));
            }
        }
        all.push(text);
    }
    all
}

#[test]
fn dump_payloads_are_byte_for_byte_stocks() {
    let mut redis = Oracle::start();
    for text in strings() {
        redis.send(&[b"SET".as_slice(), b"k", &text]);
        redis.receive();
        redis.send(&["DUMP", "k"]);
        let stock = redis.receive();
        let ours = dump::string(&text);
        let reply = [format!("${}\r\n", ours.len()).as_bytes(), &ours, b"\r\n"].concat();
        assert_eq!(
            reply.escape_ascii().to_string(),
            stock.escape_ascii().to_string(),
            "{}",
            text.escape_ascii()
        );
        let mut reader = dump::open(&ours).unwrap();
        let mut value = RdbValue::String(Vec::new());
        loop {
            match reader.next().unwrap() {
                quire_engine::rdb::Event::Element(element) => assert!(value.take(element)),
                quire_engine::rdb::Event::End { .. } => break,
                _ => {}
            }
        }
        assert_eq!(value, RdbValue::String(text));
    }
}
