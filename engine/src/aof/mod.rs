//! The log of one shard.
//!
//! ```text
//! command -> effect -> staging.rs (batches, LSNs, read gate: gate.rs) -> writer (commits, syncs)
//!                        encode.rs (RESP text)   buffer.rs (memory)       header.rs (lines)
//! ```
//! [`Staging`] gathers batches into the next commit and belongs to the shard; the writer is the
//! state machine that writes and syncs commits through a [`crate::io::LogIo`]. The format is
//! docs/formats/aof.md.

pub mod buffer;
mod encode;
mod gate;
pub mod header;
mod staging;

pub use encode::logged_bytes_max;
pub use staging::{Gathered, Staging};

/// Per-shard sequence number of batches; 0 = none.
pub type Lsn = u64;
