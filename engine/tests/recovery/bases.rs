//! Snapshots of ours as the base of a log: loaded by their index on any number of shards and
//! threads, by one reader without it, and refused where anything in them is not what it must be.

use super::builder::{Directory, Simulated, options};
use crate::commands_driver::{Driver, SETTING, digest};
use proptest::prelude::*;
use quire_engine::{
    aof::Staging,
    io::sim::{SimDisk, run},
    keyspace::{KeyHasher, Keyspace, Tracking},
    manifest::Kind,
    rdb::crc64,
    recovery::{Progress, RecoveryError, Team, recover, recover_with},
    shard::Shard,
    slot::{group_of_slot, slot_of},
    snapshot::{Chunk, ChunkOptions, ChunkWriter, Draft, DraftOptions, Facts, Record, Usage},
};

const NAME: &str = "appendonly.aof.1.base.rdb";
/// Bytes after which a chunk is taken.
const CHUNK_BYTES: usize = 1500;

/// A data set with every type, small and big, in two databases.
fn data() -> Driver {
    let mut driver = Driver::new(false);
    let run = |driver: &mut Driver, line: String| {
        let reply = driver.line(&line);
        assert!(!reply.starts_with('-'), "{line}: {reply}");
    };
    SETTING.iter().for_each(|line| run(&mut driver, (*line).to_owned()));
    for n in 0..400 {
        run(&mut driver, format!("SET key:{n} {}", "v".repeat(n % 90)));
        run(&mut driver, format!("HSET big-hash field:{n} {n}"));
        run(&mut driver, format!("ZADD big-zset {n}.5 member:{n}"));
        run(&mut driver, format!("SADD big-set member:{n}"));
        run(&mut driver, format!("RPUSH big-list {}", "e".repeat(n)));
        run(&mut driver, format!("XADD big-stream {}-1 f {n}", n + 1));
    }
    run(&mut driver, "SET deadline x PXAT 4102444800000".to_owned());
    run(&mut driver, "SET expired x PXAT 1000".to_owned());
    driver.db = 3;
    run(&mut driver, "SET third 3".to_owned());
    driver
}

/// The keys in chunks, of two shards that took turns.
fn chunks(keyspace: &Keyspace, usage: &Usage) -> Vec<Chunk> {
    let options = ChunkOptions { compress: true, usage: usage.clone() };
    let mut writers = [0, 1].map(|shard| ChunkWriter::new(shard, &options));
    let mut chunks = Vec::new();
    for db in [0, 3] {
        keyspace.db(db).for_each(&mut |entry| {
            let group = u16::from(group_of_slot(slot_of(entry.key())));
            let writer = &mut writers[usize::from(group) / 128];
            writer.push(db as u16, group, Record::from(entry)).unwrap();
            if writer.bytes() >= CHUNK_BYTES {
                chunks.extend(writer.take());
            }
        });
    }
    chunks.extend(writers.iter_mut().filter_map(ChunkWriter::take));
    chunks
}

fn file_of(chunks: Vec<Chunk>, summed: bool) -> Vec<u8> {
    made_of(chunks, summed, false)
}

fn made_of(chunks: Vec<Chunk>, summed: bool, packed: bool) -> Vec<u8> {
    let disk = SimDisk::new();
    let options =
        DraftOptions { shards: 2, databases: 16, summed, packed, sync_as_it_grows: false };
    run(async {
        let mut draft = Draft::begin(&disk, NAME.to_owned(), options).await.unwrap();
        for chunk in chunks {
            draft.put(chunk).await.unwrap();
        }
        let facts = Facts {
            redis_version: "7.0.15".to_owned(),
            created_s: 1_700_000_000,
            used_memory: 1,
            run: Some(7),
            cut: vec![3, 4],
            functions: Vec::new(),
        };
        draft.finish(&facts).await.unwrap();
    });
    disk.bytes(NAME).unwrap()
}

fn base(summed: bool) -> (Vec<u8>, String) {
    let driver = data();
    (file_of(chunks(&driver.shard.keyspace, &Usage::Unsaid), summed), driver.digest())
}

fn directory(bytes: &[u8]) -> SimDisk {
    let mut directory = Directory::new();
    directory.add_file(NAME, Kind::Base, bytes);
    directory.stocks().disk
}

/// The digest of what is loaded, with so many reading threads; 0: the calling one.
fn loaded(disk: &SimDisk, shards: usize, threads: usize) -> Result<String, RecoveryError> {
    let (options, progress) = (options(shards), Progress::new());
    let team = Team { readers: &Simulated(disk), threads };
    let recovered = match threads {
        0 => run(recover(disk, &options, &progress))?,
        _ => run(recover_with(disk, Some(&team), &options, &progress))?,
    };
    assert_eq!(recovered.summary.loaded, recovered.summary.keys);
    let mut whole = Shard::new(0, 1, 16, KeyHasher::fixed(), Staging::disabled(), 1);
    for keyspace in recovered.keyspaces {
        for db in 0..16 {
            keyspace.db(db).for_each(&mut |entry| {
                let key = whole.keyspace.key(entry.key());
                assert!(whole.keyspace.db(db).get(key).is_none(), "a key on two shards");
                whole.keyspace.db_mut(db).put(key, entry.to_owned_entry());
            });
        }
    }
    Ok(digest(&whole))
}

#[test]
fn a_base_of_ours_loads_on_any_number_of_shards_and_threads() {
    for summed in [true, false] {
        let (bytes, expected) = base(summed);
        let disk = directory(&bytes);
        for (shards, threads) in [(1, 0), (1, 1), (1, 3), (2, 2), (3, 0), (3, 4), (7, 3), (256, 2)]
        {
            let found = loaded(&disk, shards, threads).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(found, expected, "{shards} shards, {threads} threads");
        }
        // What another server would make of it: it knows no index.
        let mut other = bytes.clone();
        let at = other.len() - 9 - 10;
        other[at] ^= 1;
        let crc = if summed { crc64::update(0, &other[..other.len() - 8]) } else { 0 };
        let end = other.len() - 8;
        other[end..].copy_from_slice(&crc.to_le_bytes());
        for threads in [0, 2] {
            assert_eq!(loaded(&directory(&other), 3, threads).unwrap(), expected);
        }
    }
}

fn packed_base(summed: bool) -> (Vec<u8>, String) {
    let driver = data();
    (made_of(chunks(&driver.shard.keyspace, &Usage::Unsaid), summed, true), driver.digest())
}

#[test]
fn a_packed_base_loads_on_any_number_of_shards_and_threads() {
    for summed in [true, false] {
        let (bytes, expected) = packed_base(summed);
        // As a stream of frames, whatever has become of the index.
        let mut other = bytes.clone();
        let at = other.len() - 40;
        other[at] ^= 1;
        for (shards, threads) in [(1, 0), (1, 3), (3, 0), (3, 4), (7, 3)] {
            for bytes in [&bytes, &other] {
                let found = loaded(&directory(bytes), shards, threads);
                let found = found.unwrap_or_else(|e| panic!("{e}"));
                assert_eq!(found, expected, "{shards} shards, {threads} threads");
            }
        }
    }
}

#[test]
fn a_packed_base_that_is_broken_is_refused_with_the_place() {
    let (bytes, _) = packed_base(true);
    let flipped = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        bytes
    };
    refused(&flipped(4096 + 700), &["at offset 4096", "its checksum is"]);
    refused(&flipped(30), &["cannot be unpacked"]);
    refused(&bytes[..bytes.len() - 1], &["cannot be unpacked", "in the middle of a frame"]);
    refused(&bytes[..4096 + 300], &["in the middle of a frame"]);
    refused(&[&bytes[..], b"\0\0\0"].concat(), &["cannot be unpacked"]);
    // A second file behind it.
    refused(&[&bytes[..], &bytes].concat(), &["something follows the end of the RDB"]);
}

#[test]
fn how_keys_were_used_survives_if_the_policy_keeps_it() {
    let counting = Tracking::Frequency { log_factor: 10, decay_minutes: 1 };
    for (tracking, command, said) in
        [(Tracking::Time, "OBJECT IDLETIME k", ":500\r\n"), (counting, "OBJECT FREQ k", ":5\r\n")]
    {
        let mut driver = Driver::new(false);
        driver.shard.track(tracking, 1_700_000_000_000);
        driver.execute_at(&["SET", "k", "v"], 1_700_000_000_000);
        let mut clock = driver.shard.keyspace.clock().clone();
        clock.set(1_700_000_500_000, tracking);
        let clock =
            if tracking == Tracking::Time { clock } else { driver.shard.keyspace.clock().clone() };
        let bytes = file_of(chunks(&driver.shard.keyspace, &Usage::By(clock)), true);
        let disk = directory(&bytes);
        let options = quire_engine::recovery::Options { tracking, ..options(1) };
        let mut recovered = run(recover(&disk, &options, &Progress::new())).unwrap();
        let mut driver = Driver::new(false);
        driver.shard.keyspace = recovered.keyspaces.remove(0);
        driver.shard.track(tracking, 1_700_000_000_000);
        let words: Vec<&str> = command.split(' ').collect();
        let reply = driver.execute_at(&words, 1_700_000_000_000);
        assert_eq!(String::from_utf8_lossy(&reply), said);
    }
}

fn refused(bytes: &[u8], words: &[&str]) {
    let disk = directory(bytes);
    for threads in [0, 2] {
        let error = loaded(&disk, 2, threads).expect_err("it is refused").to_string();
        for word in [NAME].iter().chain(words) {
            assert!(error.contains(word), "{word:?} is not in: {error}");
        }
    }
}

/// Where the index's field begins.
fn index_at(bytes: &[u8]) -> usize {
    let end = bytes.len() - 9;
    u64::from_le_bytes(bytes[end - 8..end].try_into().unwrap()) as usize
}

/// Changes the entry of the first chunk in the index, and makes its checksum right again.
fn lie(bytes: &[u8], change: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let value = index_at(&bytes) + 2 + "quire-index".len() + 9;
    let end = bytes.len() - 9 - (1 + 1 + "quire-index-at".len() + 1 + 8);
    change(&mut bytes[value + 24..value + 24 + 38]);
    let crc = crc64::update(0, &bytes[value..end - 8]);
    bytes[end - 8..end].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn a_base_that_is_broken_anywhere_is_refused_with_the_place() {
    let (bytes, _) = base(true);
    let header = 4096;
    let flipped = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        bytes
    };
    // A bit of a chunk, of its filler, of the header, of the file's own checksum.
    refused(
        &flipped(header + 700),
        &["at offset 4096", "a chunk of the snapshot is damaged", "its checksum is"],
    );
    refused(&flipped(header + 4000), &["at offset 4096", "its checksum is"]);
    refused(&flipped(22), &["its parts have the checksum", "the file's end says"]);
    refused(&flipped(bytes.len() - 1), &["its parts have the checksum"]);
    // Without its index it is read as any other's, and its checksum tells.
    refused(&flipped(index_at(&bytes) + 40), &["its checksum does not match"]);
    // Cut off: in the end, the index, a chunk, the header.
    for keep in [bytes.len() - 1, index_at(&bytes) + 100, header + 5000, 300] {
        refused(&bytes[..keep], &["it ends where"]);
    }
    // Longer than it says: what follows is taken for commands.
    refused(&[&bytes[..], b"\0\0\0"].concat(), &["in a part a Redis server wrote"]);
}

#[test]
fn an_index_that_lies_is_refused() {
    let (bytes, _) = base(true);
    let words = |what| ["at offset 4096", "a chunk of the snapshot is damaged", what];
    refused(&lie(&bytes, |entry| entry[24] += 1), &words("and the index says"));
    refused(&lie(&bytes, |entry| entry[16] ^= 1), &words("and the index has"));
    let groups = lie(&bytes, |entry| entry[34..38].copy_from_slice(&[200, 0, 201, 0]));
    refused(&groups, &["is of slot group", "the index has groups 200 to 201 here"]);
    // Shorter than it is: what is left out is no filler.
    refused(&lie(&bytes, |entry| entry[8] -= 1), &words("is not filler"));
}

#[test]
fn chunks_that_do_not_go_together_are_refused() {
    let driver = data();
    let chunks = || chunks(&driver.shard.keyspace, &Usage::Unsaid);
    let mut twice = chunks();
    twice.extend(chunks().into_iter().take(1));
    refused(&file_of(twice, true), &["comes a second time"]);
    let with = |bytes: &[u8]| {
        let mut all = chunks();
        all[0].bytes.extend_from_slice(bytes);
        all[0].counts[0].keys += 1;
        all[0].groups = (0, 255);
        file_of(all, true)
    };
    refused(&with(b"\xff\0\0\0\0\0\0\0\0"), &["expected a key, or the end of the part"]);
    refused(&with(b"\xfe\x10\0\x01k\x01v"), &["is in database 16"]);
    refused(&with(b"\xfc\0\0\0\0\0\0\0\0"), &["it ends where"]);
    refused(&with(b"\0\x01k\x05v"), &["it ends where a string is expected"]);
    refused(&with(b"\x63\x01k"), &["no known type of value"]);
    // Its keys would be in another chunk's database for who reads one after the other.
    let mut lost = chunks();
    assert!(lost[0].bytes.starts_with(&[0xFE, 0]));
    lost[0].bytes.drain(..2);
    refused(&file_of(lost, true), &["at offset 4096", "does not begin with a database"]);
    // Fields that nobody knows are nothing.
    let mut all = chunks();
    all[0].bytes.extend_from_slice(b"\xfa\x07foreign\x05field");
    assert_eq!(loaded(&directory(&file_of(all, true)), 2, 2).unwrap(), driver.digest());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..Default::default() })]

    /// Whatever is changed in a file, it is refused or it is the same data.
    #[test]
    fn a_changed_base_is_never_loaded_as_something_else(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        packed in any::<bool>(),
    ) {
        let (mut bytes, expected) = if packed { packed_base(true) } else { base(true) };
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(found) = loaded(&directory(&bytes), 2, 0) {
            prop_assert_eq!(found, expected);
        }
    }
}
