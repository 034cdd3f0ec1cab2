//! The shard threads: one loop, one ring, one place to sleep per core; storage executors beside;
//! and what the system must allow before any of them starts.

pub mod affinity;
pub mod attention;
pub mod buffers;
pub mod clients_limit;
pub mod control;
pub mod core;
pub mod desk;
pub mod gate;
pub mod lending;
pub mod librarian;
pub mod limit;
pub mod log_io;
pub mod mail;
pub mod preflight;
pub mod ring;
pub mod scribe;
pub mod shared;
mod sleep;
pub mod sockets;
pub mod tick;
