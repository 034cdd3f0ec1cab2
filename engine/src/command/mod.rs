//! The machinery every command shares.
//!
//! Life of a command: the server parses a request into [`Args`], looks its [`CommandSpec`] up,
//! admits it, routes it to the shard that owns its keys; there [`crate::shard::Shard::execute`]
//! runs the handler with a [`Ctx`]. The handler reads and changes the keyspace only through the
//! context, writes its reply through [`Reply`] and says what it did as [`crate::effect::Effect`]s.

mod args;
mod context;
mod error;
mod names;
mod reply;
mod spec;
mod wait;

pub use args::{Args, OwnedArgs, Span};
pub use context::{Ctx, EFFECT_FRAME_BYTES, Groups, Mode};
pub use error::{CommandError, ErrorCounts, quoted};
pub use names::{NAME_BYTES_MAX, NameIndex};
pub use reply::Reply;
pub use spec::{CommandSpec, Fanout, Flags, Group, KeySpec, ShardFn, streams_at};
pub use wait::{Wait, Wanted};
