//! Bytes of a client: see `requests.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quire_server_fuzz::requests::any_bytes(data));
