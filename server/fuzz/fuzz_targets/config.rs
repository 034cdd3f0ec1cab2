//! Configuration files: see `config.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quire_server_fuzz::config::any_bytes(data));
