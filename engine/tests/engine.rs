//! The single test binary of the engine.

mod tidy; // house rules of the whole workspace: sizes, names, layers, what may be named where
