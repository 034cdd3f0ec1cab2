//! The log of one shard.
//!
//! ```text
//! command -> effect -> staging.rs (batches, LSNs, read gate: gate.rs)
//!                   -> writer.rs (commits, syncs; policy.rs decides when, segment.rs where)
//!                        frontier.rs (what transactions over several shards hold back)
//!                        encode.rs (RESP text)   buffer.rs (memory)       header.rs (lines)
//! librarian -> fill.rs (before the first commit, after the last)
//! recovery <- reader.rs (commits) <- command_reader.rs (commands) <- segment files
//! ```
//! [`Staging`] gathers batches into the next commit and belongs to the shard; the writer is the
//! state machine that writes and syncs commits through a [`crate::io::LogIo`]. The format is
//! docs/formats/aof.md.

pub mod buffer;
mod cohort;
mod command_reader;
mod encode;
mod fill;
mod frontier;
mod gate;
pub mod header;
mod policy;
pub mod reader;
mod segment;
mod staging;
mod stamp;
mod stats;
mod transaction;
mod writer;

pub use buffer::buffer_bytes;
pub use command_reader::{CommandFault, CommandReader};
pub use encode::logged_bytes_max;
pub use fill::{fill_segment, seal_segment};
pub use frontier::Frontier;
pub use policy::{FsyncPolicy, Level, Progress};
pub use segment::{OpenSegment, RetiredSegment, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, WantSegment};
pub use staging::{Gathered, Staging};
pub use stamp::{stamp_line, stamp_of};
pub use stats::{Durations, LogStats};
pub use transaction::{Participants, Transaction, TransactionLine};
pub use writer::LogWriter;

/// Per-shard sequence number of batches; 0 = none.
pub type Lsn = u64;
