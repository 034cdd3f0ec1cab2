//! `quire-check`: the program around the engine's offline check of log directories and RDB files.
//!
//! ```text
//! arguments.rs -> target.rs (which directory, which names) -> run.rs (lock, check, load, repair)
//!                                      progress.rs meanwhile
//!   -> human.rs | document.rs (json.rs; statistics.rs) -> exit code
//! an RDB file -> snapshot.rs; export FROM TO -> export.rs
//! ```
//! What is damage is said by `quire_engine::recovery::check`; this only asks, shows and exits.

mod arguments;
mod aside;
mod contents;
mod document;
mod export;
mod human;
mod json;
mod progress;
mod run;
mod snapshot;
mod statistics;
mod target;

pub use arguments::{Action, Arguments};
pub use run::main;
