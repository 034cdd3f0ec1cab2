//! Commands on sorted sets.

mod bounds;
pub mod join;
pub mod pop;
pub mod range;
pub mod read;
pub mod write;
