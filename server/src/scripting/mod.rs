//! Lua scripts: EVAL and its kin, and functions.
//!
//! Who owns what:
//! * The *texts* of scripts ([`registry`]) and libraries are shared by all cores, with a generation that
//!   says when they have changed. A core compiles what it runs, when it runs it first.
//! * Each core has its own *interpreters* (`state`); they never leave their thread, and scripts leave
//!   nothing behind in them (`sandbox`).
//! * A running script has the core it runs on (`context`): `redis.call` (`call`) executes a command
//!   where the shards are at hand. Which shards those are is decided before it starts
//!   (`dispatch/scripts.rs`): its keys say so. One that needs another shard before it has written is
//!   run again with all of them, one that is known to need them ([`reach`]) has them from the start.
//!
//! What it does is logged, not that it ran: a script's writes are one batch of its shard's log, or
//! one transaction over several. Time stands still for a script: all its commands see the core's
//! clock as it was when its turn began.
//!
//! ```text
//! run.rs -> state.rs -> sandbox.rs, api.rs, libraries/   what it finds
//!    |          |-> limits.rs                            how long it may take
//!    |-> call.rs -> convert.rs                           what it calls, and what it gets
//!        stack.rs                                        Lua itself
//! ```

mod api;
mod builtins;
mod call;
mod context;
mod convert;
mod functions;
pub mod header;
mod known;
mod libraries;
pub mod limits;
pub mod reach;
pub mod registry;
mod run;
mod sandbox;
mod shelf;
mod stack;
mod state;

pub use context::Held;
pub use known::known_flags;
pub use run::{Invocation, Ran, Scripting, Subject};
pub use shelf::{Libraries, Library, Shelf};
pub use state::Interpreter;
