//! Snapshot files: stock Redis loads them, the index finds every chunk, and no crash or fault on the
//! way puts anything but a whole one in its place.

use crate::{commands_driver::Driver, commands_oracle::Oracle};
use quire_engine::{
    io::{
        Storage,
        sim::{Op, SimDisk, run},
    },
    keyspace::{AccessClock, Deadline, Entry, Tracking},
    rdb::{Element, Kind, RdbFile, RdbValue, Text, crc64},
    slot::{group_of_slot, slot_of},
    snapshot::{
        Chunk, ChunkOptions, ChunkWriter, Draft, DraftOptions, Facts, Found, Index, Record,
        Unpacker, Usage, Written, replace,
    },
    types::{HashRef, View},
};
use std::{path::Path, process::Command};

const OPTIONS: DraftOptions =
    DraftOptions { shards: 3, databases: 16, summed: true, packed: false, sync_as_it_grows: true };

fn facts() -> Facts {
    Facts {
        redis_version: "7.0.15".to_owned(),
        created_s: 1_700_000_000,
        used_memory: 12_345,
        run: Some(0xABC),
        cut: vec![7, 8, 9],
        functions: Vec::new(),
    }
}

/// Every type, small and big, in three databases.
fn filled() -> Driver {
    let mut driver = Driver::new(false);
    for n in 0..3_000 {
        driver.line(&format!("SET string:{n} {}", "value-".repeat(n % 60)));
    }
    driver.line("SET n 12 PXAT 4102444800000");
    for (kind, many) in [("small", 5), ("big", 4_000)] {
        for n in 0..many {
            for line in [
                format!("RPUSH list:{kind} element-{n}"),
                format!("SADD set:{kind} member-{n}"),
                format!("SADD ints:{kind} {n}"),
                format!("HSET hash:{kind} field-{n} {n}"),
                format!("ZADD zset:{kind} {n}.5 member-{n}"),
            ] {
                driver.line(&line);
            }
        }
    }
    driver.line(&format!("RPUSH list:long {} x", "q".repeat(20_000)));
    driver.line("PFADD hll a b c");
    for db in [3, 15] {
        driver.db = db;
        driver.line("SET string:1 other");
        driver.line("SADD set member");
    }
    driver.db = 0;
    driver
}

/// The keys as chunks of three shards, of about so many bytes. The big hash comes in parts.
fn chunks(driver: &Driver, options: &ChunkOptions, bytes: usize) -> Vec<Chunk> {
    let mut writers: Vec<ChunkWriter> = (0..3).map(|n| ChunkWriter::new(n, options)).collect();
    let mut chunks = Vec::new();
    for db in 0..16 {
        driver.shard.keyspace.db(db).for_each(&mut |entry| {
            let group = u16::from(group_of_slot(slot_of(entry.key())));
            let writer = &mut writers[usize::from(group) % 3];
            if entry.key() == b"hash:big" {
                chunks.extend(writer.take());
                in_parts(writer, (db as u16, group), entry, bytes, &mut chunks);
            } else {
                writer.push(db as u16, group, Record::from(entry)).unwrap();
            }
            if writer.bytes() >= bytes {
                chunks.extend(writer.take());
            }
        });
    }
    chunks.extend(writers.iter_mut().filter_map(ChunkWriter::take));
    chunks
}

fn in_parts(
    writer: &mut ChunkWriter,
    (db, group): (u16, u16),
    entry: Entry<'_>,
    bytes: usize,
    chunks: &mut Vec<Chunk>,
) {
    let hash = HashRef::of(entry.content()).unwrap();
    let used = (entry.deadline(), entry.access());
    writer.begin(db, group, (entry.key(), Kind::Hash), used, hash.len() as u64);
    hash.for_each(&mut |field, value| {
        let (field, value) = (field.to_vec(), value.to_vec());
        let (field, value) = (Text::Bytes(&field), Text::Bytes(&value));
        writer.element(Element::Field { field, value, expires_ms: None }).unwrap();
        if writer.bytes() >= bytes {
            chunks.extend(writer.take());
        }
    });
    writer.end().unwrap();
}

/// Writes them to a file.
fn written(disk: &SimDisk, name: &str, chunks: Vec<Chunk>, options: DraftOptions) -> Written {
    run(async {
        let mut draft = Draft::begin(disk, name.to_owned(), options).await.unwrap();
        // Other shards' chunks arrive in the middle of a value.
        let mut waiting: Vec<Chunk> = chunks.into_iter().rev().collect();
        while let Some(at) = waiting
            .iter()
            .rposition(|chunk| draft.awaits().is_none_or(|shard| shard == chunk.shard))
        {
            draft.put(waiting.remove(at)).await.unwrap();
        }
        assert!(waiting.is_empty());
        draft.finish(&facts()).await.unwrap()
    })
}

const PLAIN: ChunkOptions = ChunkOptions { compress: false, usage: Usage::Unsaid };

fn file(driver: &Driver, options: &ChunkOptions, bytes: usize, draft: DraftOptions) -> Vec<u8> {
    let disk = SimDisk::new();
    let done = written(&disk, "new", chunks(driver, options, bytes), draft);
    let content = disk.bytes("new").unwrap();
    assert_eq!(done.bytes, content.len() as u64);
    assert_eq!(done.keys, driver.shard.keyspace.len() as u64);
    content
}

/// redis-check-rdb, which reads more strictly than the server.
fn check_rdb(file: &Path) {
    let out = Command::new("redis-check-rdb").arg(file).output();
    let out = out.expect("redis-check-rdb is installed beside redis-server");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success() && text.contains("RDB looks OK!"), "{text}");
}

#[test]
fn stock_redis_loads_a_snapshot_and_has_the_same_keys() {
    let driver = filled();
    let compressed = ChunkOptions { compress: true, ..PLAIN };
    let unsummed = DraftOptions { summed: false, sync_as_it_grows: false, ..OPTIONS };
    for (options, bytes, draft) in [
        (&PLAIN, 5_000, OPTIONS),
        (&compressed, 5_000, OPTIONS),
        (&PLAIN, 1 << 20, OPTIONS),
        (&compressed, 9_000, unsummed),
    ] {
        let content = file(&driver, options, bytes, draft);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dump.rdb");
        std::fs::write(&path, content).unwrap();
        check_rdb(&path);
        let mut redis = Oracle::start_in(folder, &[]);
        assert_eq!(redis.line("DEBUG DIGEST"), format!("+{}\r\n", driver.digest()));
        assert_eq!(redis.line("OBJECT ENCODING hash:small"), "$8\r\nlistpack\r\n");
        assert_eq!(redis.line("PEXPIRETIME n"), ":4102444800000\r\n");
    }
}

#[test]
fn a_packed_snapshot_unpacks_to_one_that_stock_redis_loads() {
    let driver = filled();
    let packed = DraftOptions { packed: true, ..OPTIONS };
    let unsummed = DraftOptions { summed: false, sync_as_it_grows: false, ..packed };
    for (bytes, draft) in [(5_000, packed), (1 << 20, packed), (9_000, unsummed)] {
        let content = file(&driver, &PLAIN, bytes, draft);
        let plain = file(&driver, &PLAIN, bytes, OPTIONS);
        assert!(content.len() < plain.len() / 2, "{} of {}", content.len(), plain.len());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dump.rdb");
        std::fs::write(&path, &content).unwrap();
        let said = Command::new("redis-check-rdb").arg(&path).output().unwrap();
        assert!(!said.status.success(), "stock Redis must not take it for something else");
        let mut unpacker = Unpacker::new().unwrap();
        let (mut rest, mut whole) = (&content[..], Vec::new());
        while let Some(plain) = unpacker.next(&mut rest).unwrap() {
            whole.extend(plain);
        }
        assert!(unpacker.is_between_frames());
        let sum = u64::from_le_bytes(*whole.last_chunk().unwrap());
        assert_eq!(sum != 0, draft.summed, "its checksum is kept");
        std::fs::write(&path, &whole).unwrap();
        check_rdb(&path);
        let mut redis = Oracle::start_in(folder, &[]);
        assert_eq!(redis.line("DEBUG DIGEST"), format!("+{}\r\n", driver.digest()));
    }
}

#[test]
fn how_keys_were_used_arrives_at_stock_redis() {
    let mut driver = Driver::new(false);
    let set_ms = 1_700_000_000_000;
    for (tracking, policy, asked, said) in [
        (Tracking::Time, "allkeys-lru", "OBJECT IDLETIME k", 500),
        (
            Tracking::Frequency { log_factor: 10, decay_minutes: 0 },
            "allkeys-lfu",
            "OBJECT FREQ k",
            5,
        ),
    ] {
        driver.shard.keyspace.set_clock(set_ms, tracking);
        let key = driver.shard.keyspace.key(b"k");
        let db = driver.shard.keyspace.db_mut(0);
        db.remove(key);
        db.set(key, b"v", Deadline::None);
        let mut clock = AccessClock::new();
        clock.set(set_ms + 500_000, tracking);
        let options = ChunkOptions { compress: false, usage: Usage::By(clock) };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dump.rdb");
        std::fs::write(&path, file(&driver, &options, 5_000, OPTIONS)).unwrap();
        // The clock of uses is read at the load.
        let mut redis =
            Oracle::start_in(folder, &["--maxmemory-policy", policy, "--lfu-decay-time", "0"]);
        let reply = redis.line(asked);
        let n: u64 = reply.trim_start_matches(':').trim_end().parse().unwrap();
        assert!((said..said + 60).contains(&n), "{asked}: {reply}");
    }
}

#[test]
fn the_index_names_every_chunk_and_each_can_be_read_alone() {
    let driver = filled();
    let disk = SimDisk::new();
    let done = written(&disk, "new", chunks(&driver, &PLAIN, 5_000), OPTIONS);
    let content = disk.bytes("new").unwrap();
    let found = run(async {
        let file = disk.open("new").await.unwrap();
        Index::find(&disk, &file, done.bytes).await.unwrap()
    });
    let Found::Index { index, at } = found else { panic!("{found:?}") };
    assert!(index.summed && index.chunks.len() > 30, "{} chunks", index.chunks.len());
    let mut keys = Vec::new();
    let mut sum = crc64::update(0, &content[..index.header_bytes as usize]);
    for chunk in &index.chunks {
        let start = chunk.offset as usize;
        let padded = &content[start..start + chunk.padded_bytes() as usize];
        assert_eq!(crc64::update(0, padded), chunk.crc);
        sum = crc64::combine(sum, chunk.crc, padded.len() as u64);
        let alone = [b"REDIS0010", &padded[..chunk.bytes as usize], b"\xFF", &[0; 8]].concat();
        let alone = RdbFile::read(&alone, 1 << 20).unwrap();
        assert_eq!(alone.keys.len() as u64, chunk.keys);
        assert_eq!(alone.keys[0].head.db, u64::from(chunk.db));
        for key in &alone.keys {
            let group = u16::from(group_of_slot(slot_of(&key.head.key)));
            assert!((chunk.first_group..=chunk.last_group).contains(&group));
        }
        keys.extend(alone.keys);
    }
    let (tail, crc) = content[at as usize..].split_last_chunk::<8>().unwrap();
    assert_eq!(crc64::update(sum, tail), u64::from_le_bytes(*crc), "the parts give the whole");
    assert_eq!(keys.len(), driver.shard.keyspace.len());
    let big = keys.iter().find(|key| key.head.key == b"hash:big").unwrap();
    assert!(matches!(&big.value, RdbValue::Hash(fields) if fields.len() == 4_000));
    let whole = RdbFile::read(&content, 4096).unwrap();
    assert_eq!(whole.keys.len(), keys.len());
    assert!(whole.aux.contains(&(b"quire-cut".to_vec(), b"7,8,9".to_vec())));
}

#[test]
fn a_file_that_is_cut_or_changed_has_no_index_or_a_damaged_one() {
    for packed in [false, true] {
        no_index_in_what_is_cut_or_changed(DraftOptions { packed, ..OPTIONS });
    }
}

fn no_index_in_what_is_cut_or_changed(options: DraftOptions) {
    let mut driver = Driver::new(false);
    for n in 0..300 {
        driver.line(&format!("SET key:{n} {n}"));
    }
    let content = file(&driver, &PLAIN, 700, options);
    let find = |bytes: &[u8]| {
        let disk = SimDisk::new();
        disk.put("f", bytes);
        run(async {
            let file = disk.open("f").await.unwrap();
            Index::find(&disk, &file, bytes.len() as u64).await.unwrap()
        })
    };
    let Found::Index { at, .. } = find(&content) else { panic!("no index") };
    for len in (0..content.len()).step_by(97) {
        assert!(!matches!(find(&content[..len]), Found::Index { .. }), "cut to {len}");
    }
    // Of a packed file the end of the RDB lies before the index and is no part of it.
    let index_at = content.len() - 24..content.len() - 8;
    let (from, to) = match options.packed {
        false => (at as usize, content.len() - 8),
        true => {
            let frame_at = content[index_at][8..].first_chunk().unwrap();
            (u64::from_le_bytes(*frame_at) as usize, content.len())
        }
    };
    for byte in from..to {
        let mut changed = content.clone();
        changed[byte] ^= 0x10;
        assert!(!matches!(find(&changed), Found::Index { .. }), "byte {byte} changed");
    }
    let stock = [b"REDIS0010\xFF".as_slice(), &[0; 8]].concat();
    assert_eq!(find(&stock), Found::None);
    assert_eq!(find(b""), Found::None);
}

/// Saves a data set over an older snapshot, as SAVE does.
async fn save(disk: &SimDisk, chunks: Vec<Chunk>) -> Result<(), ()> {
    let mut draft = Draft::begin(disk, "temp".to_owned(), OPTIONS).await.map_err(drop)?;
    for chunk in chunks {
        draft.put(chunk).await.map_err(drop)?;
    }
    draft.finish(&facts()).await.map_err(drop)?;
    replace(disk, "temp", "dump.rdb").await.map_err(drop)
}

fn small(text: &str) -> Vec<Chunk> {
    let mut driver = Driver::new(false);
    for n in 0..40 {
        driver.line(&format!("SET key:{n} {text}"));
    }
    chunks(&driver, &PLAIN, 60)
}

#[test]
fn a_crash_at_any_point_of_a_save_leaves_the_old_snapshot_or_the_new_one() {
    let mut operation = 0;
    loop {
        operation += 1;
        let disk = SimDisk::new();
        run(save(&disk, small("old"))).unwrap();
        disk.crash_after(operation);
        let saved = run(save(&disk, small("new")));
        for image in [disk.killed(), disk.survivor(operation), disk.survivor(operation + 999)] {
            let content = image.bytes("dump.rdb").expect("there is a snapshot");
            let found = RdbFile::read(&content, 4096).expect("it is whole");
            let is_new = found.keys[0].value == RdbValue::String(b"new".to_vec());
            assert_eq!(found.keys.len(), 40);
            assert!(is_new || saved.is_err(), "operation {operation}: what was saved is gone");
        }
        if saved.is_ok() {
            break;
        }
    }
    assert!(operation > 10, "only {operation} operations");
}

#[test]
fn a_save_that_fails_leaves_the_old_snapshot_and_no_file_of_its_own() {
    for op in [Op::Write, Op::Sync, Op::Name] {
        for nth in 1..4 {
            let disk = SimDisk::new();
            run(save(&disk, small("old"))).unwrap();
            let before = disk.bytes("dump.rdb");
            disk.fail(op, nth, libc::ENOSPC);
            let failed = run(async {
                let mut draft = Draft::begin(&disk, "temp".to_owned(), OPTIONS).await?;
                let mut result = Ok(());
                for chunk in small("new") {
                    if result.is_ok() {
                        result = draft.put(chunk).await;
                    }
                }
                if result.is_ok() {
                    result = draft.finish(&facts()).await.map(drop);
                }
                if result.is_ok() {
                    result = replace(&disk, "temp", "dump.rdb").await;
                }
                if result.is_err() {
                    draft.abandon().await?;
                }
                result
            });
            if failed.is_ok() {
                continue;
            }
            assert_eq!(disk.bytes("dump.rdb"), before, "{op:?} {nth}");
            assert_eq!(disk.bytes("temp"), None, "{op:?} {nth}");
        }
    }
}
