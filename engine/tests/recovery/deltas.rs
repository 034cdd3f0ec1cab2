//! Deltas: loaded over their base on any number of shards and threads, and refused where anything
//! in them is not what it must be.

use super::builder::{Directory, Simulated, body, keys_of, options};
use quire_engine::{
    aof::{header::HEADER_BYTES, header::Header},
    io::sim::{SimDisk, run},
    limits::DELTA_SHARD,
    manifest::Kind,
    recovery::{Progress, Team, recover, recover_with},
    snapshot::{Chunk, DELTA_NUMBER, DeltaDraft},
};

const BASE: &str = "appendonly.aof.1.base.rdb";
const DELTA: &str = "appendonly.aof.2.delta.incr.aof";
const RUN: u64 = 7;

fn chunk(shard: u16, lines: &[&str]) -> Chunk {
    let (counts, groups) = (Vec::new(), (0, 0));
    Chunk { shard, bytes: body(lines), counts, groups, continues: false }
}

/// A delta of these chunks.
fn delta(chunks: Vec<Chunk>) -> Vec<u8> {
    let disk = SimDisk::new();
    run(async {
        let mut draft = DeltaDraft::begin(&disk, DELTA.to_owned(), RUN, false).await.unwrap();
        for chunk in chunks {
            draft.put(chunk).await.unwrap();
        }
        let written = draft.finish().await.unwrap();
        assert_eq!(written.bytes, draft.bytes());
    });
    disk.bytes(DELTA).unwrap()
}

fn ordinary() -> Vec<u8> {
    delta(vec![
        chunk(0, &["DEL a", "SET b changed"]),
        chunk(1, &["SET new 1 PXAT 4102444800000"]),
        chunk(0, &["SET a again"]),
    ])
}

/// A base with a, b and c, and then a delta.
fn directory(bytes: &[u8]) -> Directory {
    let mut directory = Directory::new();
    let base = body(&["SET a 1", "SET b 2", "SET c 3"]);
    directory.add_file(BASE, Kind::Base, &base);
    directory.add_file(DELTA, Kind::Incr, bytes);
    directory.manifest.files[1].run = Some(RUN);
    directory.ours()
}

#[test]
fn a_delta_loads_over_its_base_on_any_number_of_shards_and_threads() {
    for shards in [1, 2, 7] {
        for threads in [0, 1, 3] {
            let disk = directory(&ordinary()).disk;
            let (options, progress) = (options(shards), Progress::new());
            let team = Team { readers: &Simulated(&disk), threads };
            let recovered = match threads {
                0 => run(recover(&disk, &options, &progress)).unwrap(),
                _ => run(recover_with(&disk, Some(&team), &options, &progress)).unwrap(),
            };
            let found = keys_of(&recovered.keyspaces);
            let found: Vec<_> = found
                .iter()
                .map(|((_, key), (value, at))| format!("{key}={value} {at:?}"))
                .collect();
            let new = "new=1 Some(4102444800000)";
            assert_eq!(found, ["a=again None", "b=changed None", "c=3 None", new]);
            // What it has is known to have changed since the base, and nothing else.
            let changes = recovered.keyspaces.iter().map(|k| k.changes().unwrap().keys);
            assert_eq!(changes.sum::<usize>(), 3);
            let names = recovered.keyspaces.iter().map(|k| k.changes().unwrap().names_bytes);
            assert_eq!(names.sum::<usize>(), 4 + 1, "the name of a");
            assert_eq!(recovered.summary.delta_bytes, ordinary().len() as u64);
        }
    }
}

#[test]
fn a_delta_in_which_nothing_has_changed_is_one_too() {
    let (keys, _) = directory(&delta(Vec::new())).recover(2).unwrap();
    assert_eq!(keys.len(), 3);
}

#[test]
fn a_delta_that_is_cut_anywhere_is_refused() {
    let whole = ordinary();
    for bytes in (0..whole.len()).step_by(3).chain([whole.len() - 1]) {
        directory(&whole[..bytes]).refused(&[DELTA, "delta", "restore"]);
    }
}

#[test]
fn a_delta_that_is_changed_anywhere_is_refused_with_the_place() {
    let whole = ordinary();
    for at in (0..whole.len()).step_by(5) {
        let mut changed = whole.clone();
        changed[at] ^= 4;
        directory(&changed).refused(&[DELTA, "delta", "offset"]);
    }
}

#[test]
fn chunks_that_are_missing_or_come_in_another_order_are_refused() {
    let commit = |number: u64, line: &str| {
        let body = body(&[line]);
        let header = Header {
            run: RUN,
            shard: DELTA_SHARD,
            seq: DELTA_NUMBER,
            first_lsn: number,
            batches: 1,
            body_bytes: body.len() as u64,
            synced: 0,
        };
        let mut text = [0; HEADER_BYTES];
        header.encode(&mut text, &body);
        [&text[..], &body].concat()
    };
    let end = |last_lsn| {
        let line =
            quire_engine::aof::header::EndLine { run: RUN, shard: DELTA_SHARD, seq: 0, last_lsn };
        line.encode().to_vec()
    };
    let (one, two) = (commit(1, "SET a x"), commit(2, "SET b y"));
    assert!(directory(&[one.clone(), two.clone(), end(2)].concat()).recover(1).is_ok());
    for wrong in [
        [two.clone(), end(2)].concat(),
        [one.clone(), end(2)].concat(),
        [one.clone(), two.clone(), end(1)].concat(),
        [two.clone(), one.clone(), end(2)].concat(),
        [one.clone(), end(1), two.clone()].concat(),
        [one, two, body(&["SET c z"])].concat(),
    ] {
        directory(&wrong).refused(&[DELTA, "delta"]);
    }
}

#[test]
fn a_delta_without_a_base_is_refused() {
    let mut directory = Directory::new();
    directory.add_file(DELTA, Kind::Incr, &ordinary());
    directory.ours().refused(&[DELTA, "lists no base"]);
}
