//! Commands on sets.

pub mod join;
pub mod read;
pub mod write;
