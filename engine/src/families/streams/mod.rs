//! Streams. An entry's id, a deadline of a claim, what was trimmed: all are logged as they came out.

mod arguments;
pub mod claim;
pub mod deliver;
pub mod groups;
pub mod info;
mod log;
pub mod read;
pub mod write;
