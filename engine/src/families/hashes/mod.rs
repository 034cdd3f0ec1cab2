//! Commands on hashes.

pub mod read;
pub mod write;
