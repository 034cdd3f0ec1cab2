//! Snapshots: one standard RDB file that all shards write together, and what has changed since.
//!
//! ```text
//! keys -> chunk.rs (value.rs) -> Chunk -> draft.rs (file.rs: layout, index.rs) -> Storage
//!                                  commands.rs -> Chunk -> delta.rs -> Storage
//! ```
//! * [`ChunkWriter`], [`Chunk`]: whole keys of one shard as bytes; a few hundred KiB at a time.
//! * [`Walk`]: all keys of a shard as they were at one moment, in chunks.
//! * [`write_whole`]: all keys of a data set that stands still.
//! * [`Draft`]: the file that chunks of all shards are put into; [`replace`] gives it its name.
//! * [`DeltaDraft`]: the log file that chunks of what has changed are put into.
//! * [`CommandDraft`]: the same as commands instead of an RDB.
//! * [`Index`]: where its chunks are, for whoever reads them in parallel.
//! * [`Unpacker`]: the RDB file in a packed one.
//!
//! Knows neither when a snapshot is due nor what it is for.

mod chunk;
mod command_draft;
mod commands;
mod copies;
mod delta;
mod draft;
mod file;
mod index;
mod line;
mod packing;
mod value;
mod walk;
mod whole;

pub use chunk::{Chunk, ChunkOptions, ChunkWriter, Count, Record, Usage};
pub use command_draft::CommandDraft;
pub use delta::{DELTA_NUMBER, DeltaDraft};
pub use draft::{Draft, DraftOptions, Written, replace};
pub use file::{Facts, header_bytes, padded_bytes};
pub use index::{Found, Index, IndexError, Indexed};
pub use packing::{Unpacker, is_packed};
pub use walk::{Walk, WalkStats, Walked};
pub use whole::write_whole;
