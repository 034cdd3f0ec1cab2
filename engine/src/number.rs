//! Numbers in commands, as Redis accepts them.

pub use crate::keyspace::canonical_int as parse_int;
