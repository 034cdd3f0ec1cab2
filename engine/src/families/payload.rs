//! Values as payloads: what DUMP gives and RESTORE takes, and what travels between shards.
//!
//! The format is RDB's ([`crate::elements`] makes values of it), with a version and a checksum
//! around: Redis takes ours and we take theirs, of any version. Knows no command.

use crate::{
    command::{CommandError, Ctx},
    effect::{Deadline, Effect},
    elements::{self, Builder, Built, Refused},
    keyspace::{Key, KeyHasher, Value},
    rdb::{Event, dump},
    types::{Collection, Limits},
};

/// What a payload is refused with.
const BAD: CommandError = CommandError::new("ERR Bad data format");

/// The payload of a value.
///
/// # Errors
/// A value that cannot be written.
pub fn of(value: Value<'_>) -> Result<Vec<u8>, CommandError> {
    elements::payload(value).map_err(|e| CommandError::owned(format!("ERR {e}")))
}

/// The value of a payload, and the bytes of its texts.
///
/// # Errors
/// Version, checksum or content are wrong.
pub fn read(
    bytes: &[u8],
    limits: &Limits,
    hasher: &KeyHasher,
) -> Result<(Built, usize), CommandError> {
    let mut reader = dump::open(bytes)
        .ok_or(CommandError::new("ERR DUMP payload version or checksum are wrong"))?;
    let mut builder = Builder::new();
    loop {
        match reader.next().map_err(|_| BAD)? {
            Event::Key(head) => builder.begin(head.kind, head.packed),
            Event::Element(element) => {
                builder.take(element, limits, hasher).map_err(|refused| match refused {
                    Refused::FieldDeadline => unsupported("hash with deadlines of fields"),
                    Refused::Twice(_) | Refused::Wrong(_) => BAD,
                })?;
            }
            Event::KeyEnd => break,
            _ => return Err(BAD),
        }
    }
    let bytes = builder.log_bytes();
    // No collection is without elements.
    Ok((builder.finish().map_err(|_| BAD)?.ok_or(BAD)?, bytes))
}

#[cold]
fn unsupported(what: &str) -> CommandError {
    CommandError::owned(format!("ERR RESTORE of a {what} is not supported by this version"))
}

/// Puts a value in, whatever was there, and logs it. `bytes` is what [`read`] said.
///
/// # Errors
/// The log has no room. Nothing has been done then.
pub fn put(
    cx: &mut Ctx<'_>,
    key: Key<'_>,
    (value, bytes): (Built, usize),
    at_ms: Option<i64>,
) -> Result<(), CommandError> {
    // A compressed payload becomes longer than it is.
    cx.admit(bytes + key.bytes.len())?;
    match value {
        Built::Text(value) => {
            let deadline = at_ms.map_or(Deadline::None, Deadline::At);
            cx.database().set(key, &value, deadline);
            cx.effect(key.hash, Effect::Set { key: key.bytes, value: &value, deadline });
        }
        Built::List(list) => put_collection(cx, key, list, at_ms),
        Built::Set(set) => put_collection(cx, key, set, at_ms),
        Built::Zset(zset) => put_collection(cx, key, zset, at_ms),
        Built::Hash(hash) => put_collection(cx, key, hash, at_ms),
        Built::Stream(stream) => put_collection(cx, key, *stream, at_ms),
    }
    Ok(())
}

fn put_collection<T: Collection>(cx: &mut Ctx<'_>, key: Key<'_>, value: T, at_ms: Option<i64>) {
    cx.database().put_collection(key, value);
    cx.database().set_deadline(key, at_ms);
    cx.log_whole(cx.db, key);
}
