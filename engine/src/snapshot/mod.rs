//! Snapshots: one standard RDB file that all shards write together.
//!
//! * [`ChunkWriter`], [`Chunk`]: whole keys of one shard as bytes; a few hundred KiB at a time.
//! * [`Walk`]: all keys of a shard as they were at one moment, in chunks.
//!
//! Knows neither when a snapshot is due nor what it is for.

mod chunk;
mod value;
mod walk;

pub use chunk::{Chunk, ChunkOptions, ChunkWriter, Count, Record, Usage};
pub use walk::{Walk, WalkStats, Walked};
