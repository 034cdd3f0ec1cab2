//! Values and the elements that RDB files and payloads have them as.
//!
//! ```text
//! a value of the keyspace -> show.rs, streams.rs -> elements -> rdb::Writer
//! a value of the keyspace -> payload.rs -> what DUMP gives
//! rdb::Reader -> elements -> build.rs, streams.rs -> a value that is in no keyspace yet
//! ```
//! Knows no file, no payload's footer, no command and no log.

mod build;
mod payload;
mod show;
mod streams;

pub use build::{Builder, Built, Refused};
pub use payload::payload;
pub use show::{count, kind, show};
