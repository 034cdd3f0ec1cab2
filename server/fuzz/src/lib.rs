//! What fuzzers do with any bytes, and what must then hold. One module per reader; each has one
//! function that takes any bytes and panics when a promise is broken. The server's tests include
//! these files and run them on the seeds, so they cannot rot (`server/tests/fuzzing.rs`).

pub mod config;
pub mod requests;
