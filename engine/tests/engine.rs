//! The single test binary of the engine.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod crash;
mod interop;
mod storage;
