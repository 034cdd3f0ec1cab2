//! RDB files and DUMP payloads, both ways: a pure codec that opens no file and knows no keyspace.
//!
//! ```text
//! bytes, in pieces -> input.rs (window) -> reader.rs (opcodes, keys) -> value.rs, stream.rs
//!                     (packed.rs: listpack, ziplist, intset, zipmap; lzf.rs) -> events (event.rs)
//! events, values   -> writer.rs -> bytes
//! ```
//! What is read: versions 1 to 13 of Redis and VALKEY080, every encoding; modules' values, files of
//! release candidates and a few newer things are refused by name. What is written: REDIS0010, or
//! REDIS0009 where nothing in it needs more, in encodings every Redis since 5.0 reads, or the
//! packed ones of Redis 7 for small collections.
//!
//! Trust: a file is taken for hostile. Nothing panics, no memory is reserved for what a file
//! merely claims, and an error names place, key and what was expected.

pub mod crc64;
pub mod dump;
mod encode;
mod error;
mod event;
pub mod fuzz;
mod input;
mod intset;
mod listpack;
mod lzf;
mod model;
mod node;
mod number;
mod opcode;
mod packed;
mod reader;
mod small;
mod stream;
mod value;
mod writer;
mod ziplist;
mod zipmap;

pub use error::{Place, Problem, RdbError};
pub use event::{
    ConsumerHead, Element, Event, GroupHead, KeyHead, Kind, StreamHead, StreamId, Text,
};
pub use model::{Pairs, RdbFile, RdbGroup, RdbKey, RdbStream, RdbValue};
pub use number::score_text;
pub use packed::Fault;
pub use reader::{Reader, is_known_version, is_rdb};
pub use writer::{Info, Layout, Options, Packed as PackedValue, Unwritable, Version, Writer};
