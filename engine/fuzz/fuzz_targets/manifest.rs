//! Manifests: see `manifest.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| quire_engine_fuzz::manifest::any_bytes(data));
