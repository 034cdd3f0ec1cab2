//! RESTORE payloads: see `restore.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quire_engine_fuzz::restore::any_bytes(data));
