//! The single test binary of the engine.

mod crash; // every policy, crashed at every write and sync
mod tidy; // house rules of the whole workspace: sizes, names, layers, what may be named where
