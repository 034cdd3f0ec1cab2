//! RDB files and payloads, read and written again: `quire_engine::rdb::fuzz`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quire_engine::rdb::fuzz::any_bytes(data));
