//! What fuzzers do with any bytes, and what must then hold. One module per reader; each has one
//! function that takes any bytes and panics when a promise is broken. The engine's tests include
//! this file and run it on the seeds, so it cannot rot (`engine/tests/fuzzing.rs`).
//!
//! The first byte says which checksums are made right: a fuzzer does not find them by itself.

#[path = "../../tests/commands_driver.rs"]
#[expect(dead_code, reason = "made for the engine's tests, which use all of it")]
mod driver;
pub mod manifest;
pub mod restore;
pub mod segment;
pub mod snapshot;
