//! The log of one shard.
//!
//! ```text
//! command -> effect -> staging.rs (batches, LSNs, read gate: gate.rs) -> writer (commits, syncs)
//!                        encode.rs (RESP text)   buffer.rs (memory)       header.rs (lines)
//! recovery <- reader.rs (commits) <- command_reader.rs (commands) <- segment files
//! ```
//! [`Staging`] gathers batches into the next commit and belongs to the shard; the writer is the
//! state machine that writes and syncs commits through a [`crate::io::LogIo`]. The format is
//! docs/formats/aof.md.

pub mod buffer;
mod command_reader;
mod encode;
mod gate;
pub mod header;
pub mod reader;
mod staging;

pub use command_reader::{CommandFault, CommandReader};
pub use encode::logged_bytes_max;
pub use staging::{Gathered, Staging};

/// Per-shard sequence number of batches; 0 = none.
pub type Lsn = u64;
