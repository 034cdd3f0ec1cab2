//! The string commands.

pub mod counters;
pub mod edit;
pub mod lcs;
pub mod options;
pub mod read;
pub mod take;
pub mod write;

use crate::{command::Reply, keyspace::Str};

/// A value as a bulk string.
#[inline]
fn reply_value(reply: &mut Reply<'_>, value: Str<'_>) {
    match value {
        Str::Int(n) => reply.bulk_int(n),
        Str::Bytes(bytes) => reply.bulk(bytes),
    }
}
