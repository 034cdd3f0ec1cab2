//! Recovery on the simulated disk: hand-built broken directories, crashes in the middle of it.

mod bases; // snapshots of ours as a base: any number of shards and threads, every way to be broken
pub mod builder; // what loading a hand-built directory gives
mod check; // looking and repairing agree with recovery, whatever is mutated, wherever it crashes
mod crashes; // a crash after every operation of a life, and of recovery
mod deltas; // what has changed since a base: over it, or refused with the place
pub mod librarian; // the manifest's owner when operations fail
mod lives; // random lives of whole servers, one on what is left of the other
mod real; // whole lives on a real disk
pub mod segments; // segments and directories, byte by byte
mod stock;
mod transactions; // over several shards: whole or not at all, whatever is left of their logs // directories handed to and fro between us and stock Redis
