//! The commands on HyperLogLogs, which are strings of a format of their own.

pub mod commands;
pub mod inspect;

use crate::{
    command::{CommandError, Ctx},
    effect::{Deadline, Effect},
    keyspace::{Key, Str},
    types::hyperloglog::{self, Corrupt, Encoding},
};

const NOT_ONE: CommandError =
    CommandError::new("WRONGTYPE Key is not a valid HyperLogLog string value.");

fn corrupt(_: Corrupt) -> CommandError {
    CommandError::new("INVALIDOBJ Corrupted HLL object detected")
}

/// The bytes of a HyperLogLog and how they are kept.
fn bytes_of(value: Str<'_>) -> Result<(&[u8], Encoding), CommandError> {
    match value {
        Str::Bytes(bytes) => {
            let encoding = hyperloglog::encoding(bytes).ok_or(NOT_ONE)?;
            Ok((bytes, encoding))
        }
        Str::Int(_) => Err(NOT_ONE),
    }
}

/// Puts a value in whose deadline stays; its encoding is raw, as Redis keeps it.
fn put(cx: &mut Ctx<'_>, key: Key<'_>, value: &[u8]) {
    cx.database().set(key, value, Deadline::Keep);
    if let Some(mut entry) = cx.database().get_mut(key) {
        entry.bytes_mut();
    }
}

/// As [`put`], and logs the value.
fn put_whole(cx: &mut Ctx<'_>, key: Key<'_>, value: &[u8]) {
    put(cx, key, value);
    cx.effect(key.hash, Effect::Set { key: key.bytes, value, deadline: Deadline::Keep });
}
