//! The single test binary of the engine.

mod crash;
