//! Snapshots with an index: see `snapshot.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quire_engine_fuzz::snapshot::any_bytes(data));
