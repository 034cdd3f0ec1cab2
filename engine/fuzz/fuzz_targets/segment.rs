//! Log segments: see `segment.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quire_engine_fuzz::segment::any_bytes(data));
