//! `quire-check`: the program around the engine's offline check of a log directory.
//!
//! ```text
//! arguments.rs -> target.rs (which directory, which names) -> run.rs (lock, check, load, repair)
//!                                      progress.rs meanwhile
//!   -> human.rs | document.rs (json.rs) -> exit code
//! ```
//! What is damage is said by `quire_engine::recovery::check`; this only asks, shows and exits.

mod arguments;
mod aside;
mod contents;
mod document;
mod human;
mod json;
mod progress;
mod run;
mod target;

pub use arguments::Arguments;
pub use run::main;
