//! What fuzzers run, on the seeds they start from and on bytes that once broke a promise: each
//! file below `server/fuzz/seeds/<target>` is one input.

use std::{fs, path::Path};

#[path = "../fuzz/src/config.rs"]
mod config;
#[path = "../fuzz/src/requests.rs"]
mod requests;

fn replay(target: &str, any_bytes: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut seeds = 0;
    for entry in entries {
        let path = entry.expect("the folder stays readable").path();
        let seed = fs::read(&path).expect("seeds are files");
        println!("{}", path.display());
        for len in 0..seed.len().min(300) {
            any_bytes(&seed[..len]);
        }
        any_bytes(&seed);
        seeds += 1;
    }
    assert!(seeds >= 3, "{} holds too few seeds", folder.display());
}

#[test]
fn seeds_of_configuration_files_keep_every_promise() {
    replay("config", config::any_bytes);
}

#[test]
fn seeds_of_requests_keep_every_promise() {
    replay("requests", requests::any_bytes);
}
