//! The shard threads: one loop, one ring, one place to sleep per core; storage executors beside.

pub mod buffers;
pub mod control;
pub mod core;
pub mod librarian;
pub mod log_io;
pub mod mail;
pub mod ring;
pub mod shared;
pub mod sockets;
pub mod tick;
