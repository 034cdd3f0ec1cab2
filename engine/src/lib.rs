//! Quire's engine: everything that is true without a socket.
//!
//! Layers, arrows one way (a test checks it):
//! `atoms < keyspace (with its types) < effect < command < families < shard`,
//! `atoms < io`, `keyspace, rdb < elements < families`, `elements < snapshot < shard`, `effect, io < aof < manifest`,
//! `shard, aof, manifest, io, rdb < recovery`.
//! The shard core is a synchronous state machine: requests, time and randomness come in as
//! arguments; replies and effects go out. Nothing here awaits inside a command.

pub mod aof;
pub mod claims;
pub mod command;
pub mod digest;
pub mod effect;
pub mod elements;
pub mod error;
pub mod families;
pub mod glob;
pub mod io;
pub mod keyspace;
pub mod limits;
pub mod manifest;
pub mod mesh;
pub mod number;
pub mod rdb;
pub mod recovery;
pub mod shard;
pub mod slot;
pub mod snapshot;
pub mod types;
