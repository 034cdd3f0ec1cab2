//! What fuzzers run, on the seeds they start from and on bytes that once broke a promise: each
//! file below `engine/fuzz/seeds/<target>` is one input.

use super::commands_driver as driver;
use std::{fs, path::Path};

#[path = "../fuzz/src/manifest.rs"]
mod manifest;
#[path = "../fuzz/src/restore.rs"]
mod restore;
#[path = "../fuzz/src/segment.rs"]
mod segment;
#[path = "../fuzz/src/snapshot.rs"]
mod snapshot;

fn replay(target: &str, any_bytes: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut seeds = 0;
    for entry in entries {
        let path = entry.unwrap().path();
        let seed = fs::read(&path).unwrap();
        println!("{}", path.display());
        // The seed itself, cut off, and with every way of making its checksums right.
        for how in 0..16 {
            any_bytes(&[&[how], &seed[1..]].concat());
        }
        for len in 0..seed.len().min(300) {
            any_bytes(&seed[..len]);
        }
        any_bytes(&seed);
        seeds += 1;
    }
    assert!(seeds >= 3, "{} holds too few seeds", folder.display());
}

#[test]
fn seeds_of_manifests_keep_every_promise() {
    replay("manifest", manifest::any_bytes);
}

#[test]
fn seeds_of_rdb_files_keep_every_promise() {
    replay("rdb", quire_engine::rdb::fuzz::any_bytes);
}

#[test]
fn seeds_of_payloads_keep_every_promise() {
    replay("restore", restore::any_bytes);
}

#[test]
fn seeds_of_segments_keep_every_promise() {
    replay("segment", segment::any_bytes);
}

#[test]
fn seeds_of_snapshots_keep_every_promise() {
    replay("snapshot", snapshot::any_bytes);
}
