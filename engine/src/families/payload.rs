//! Values as bytes that any server takes: what DUMP gives, and what carries a value to another
//! shard.
//!
//! A payload has the encoding that OBJECT ENCODING names, so it is Redis' own byte for byte where
//! the order of elements is. A value that is put in is logged as the commands that make it: the log
//! does not depend on the payload's version. The types whose structures the keyspace has are known
//! here; the others are refused by name.

use crate::{
    command::{CommandError, Ctx},
    effect::{Deadline, Effect},
    keyspace::{Key, Value},
    rdb::{Event, Layout, RdbValue, dump},
    types::{
        Collection, Form, Hash, HashRef, List, ListRef, Set, SetRef, ValueType, View, Zset,
        ZsetRef, list::End,
    },
};

/// What a payload is refused with.
const BAD: CommandError = CommandError::new("ERR Bad data format");

/// The payload of a value.
///
/// # Errors
/// A value of a type that has none yet.
pub fn of(value: Value<'_>) -> Result<Vec<u8>, CommandError> {
    if let Value::Str(text) = value {
        return Ok(dump::string(text.bytes(&mut itoa::Buffer::new())));
    }
    let packed = match value {
        // Redis 7.0 has no packed sets of texts.
        Value::Packed(form, _) => form != Form::Set,
        Value::Str(_) | Value::Object(_) => false,
    };
    let layout = if value.kind() == ValueType::List {
        Layout::BySize
    } else if packed {
        Layout::Packed
    } else {
        Layout::Plain
    };
    dump::value(&elements(value)?, layout).map_err(|e| CommandError::owned(format!("ERR {e}")))
}

/// The elements of a collection.
fn elements(value: Value<'_>) -> Result<RdbValue, CommandError> {
    if let Some(hash) = HashRef::of(value) {
        let mut fields = Vec::with_capacity(hash.len());
        hash.for_each(&mut |field, value| fields.push((field.to_vec(), value.to_vec(), None)));
        Ok(RdbValue::Hash(fields))
    } else if let Some(set) = SetRef::of(value) {
        let mut members = Vec::with_capacity(set.len());
        set.for_each(&mut |member| members.push(member.to_vec()));
        Ok(RdbValue::Set(members))
    } else if let Some(zset) = ZsetRef::of(value) {
        let mut members = Vec::with_capacity(zset.len());
        zset.for_each(&mut |member, score| members.push((member.to_vec(), score)));
        if let ZsetRef::Big(_) = zset {
            // From the highest down, as Redis writes it: whoever reads it inserts at the head.
            members.reverse();
        }
        Ok(RdbValue::Zset(members))
    } else if let Some(list) = ListRef::of(value) {
        let mut elements = Vec::with_capacity(list.len());
        list.for_each(&mut |element| elements.push(element.to_vec()));
        Ok(RdbValue::List(elements))
    } else {
        Err(unsupported("DUMP", value.kind().name()))
    }
}

#[cold]
fn unsupported(command: &str, kind: &str) -> CommandError {
    CommandError::owned(format!("ERR {command} of a {kind} is not supported by this version"))
}

/// The value of a payload.
///
/// # Errors
/// Version, checksum or content are wrong.
pub fn read(bytes: &[u8]) -> Result<RdbValue, CommandError> {
    let mut reader = dump::open(bytes)
        .ok_or(CommandError::new("ERR DUMP payload version or checksum are wrong"))?;
    let mut value = None;
    loop {
        match reader.next().map_err(|_| BAD)? {
            Event::Key(head) => value = Some(RdbValue::new(head.kind)),
            Event::Element(element) => {
                let taken = value.as_mut().is_some_and(|value: &mut RdbValue| value.take(element));
                if !taken {
                    return Err(BAD);
                }
            }
            Event::KeyEnd => break,
            _ => return Err(BAD),
        }
    }
    // No collection is without elements.
    value.filter(|value| value.count() > 0).ok_or(BAD)
}

/// Puts a value in, whatever was there, and logs it.
///
/// # Errors
/// The log has no room; an element comes twice; there is no such type here. Nothing has been done
/// then.
pub fn put(
    cx: &mut Ctx<'_>,
    key: Key<'_>,
    value: &RdbValue,
    at_ms: Option<i64>,
) -> Result<(), CommandError> {
    let (limits, hasher) = (cx.limits, cx.keyspace.hasher().clone());
    match value {
        RdbValue::String(value) => {
            // A compressed payload becomes longer than it is.
            cx.admit(value.len() + key.bytes.len())?;
            let deadline = at_ms.map_or(Deadline::None, Deadline::At);
            cx.database().set(key, value, deadline);
            cx.effect(key.hash, Effect::Set { key: key.bytes, value, deadline });
            Ok(())
        }
        RdbValue::Hash(fields) => {
            if fields.iter().any(|(_, _, expires_ms)| expires_ms.is_some()) {
                return Err(unsupported("RESTORE", "hash with deadlines of fields"));
            }
            let (mut hash, mut bytes) = (Hash::empty(Vec::new()), 0);
            for (field, value, _) in fields {
                bytes += field.len() + value.len() + ELEMENT_FRAME_BYTES;
                if !hash.set(field, value, limits, &hasher) {
                    return Err(BAD);
                }
            }
            put_collection(cx, key, hash, bytes, at_ms)
        }
        RdbValue::Set(members) => {
            let (mut set, mut bytes) = (Set::empty(Vec::new()), 0);
            for member in members {
                bytes += member.len() + ELEMENT_FRAME_BYTES;
                if !set.add(member, limits, &hasher) {
                    return Err(BAD);
                }
            }
            put_collection(cx, key, set, bytes, at_ms)
        }
        RdbValue::Zset(members) => {
            let (mut zset, mut bytes) = (Zset::empty(Vec::new()), 0);
            for (member, score) in members {
                bytes += member.len() + ELEMENT_FRAME_BYTES;
                if score.is_nan() || zset.set(member, *score, limits, &hasher).is_some() {
                    return Err(BAD);
                }
            }
            put_collection(cx, key, zset, bytes, at_ms)
        }
        RdbValue::List(elements) => {
            let (mut list, mut bytes) = (List::empty(Vec::new()), 0);
            for element in elements {
                bytes += element.len() + ELEMENT_FRAME_BYTES;
                list.push(End::Right, element, limits);
            }
            put_collection(cx, key, list, bytes, at_ms)
        }
        other => Err(unsupported("RESTORE", other.kind().name())),
    }
}

/// Bytes in the log of an element besides its text: frames, a score.
const ELEMENT_FRAME_BYTES: usize = 48;

fn put_collection<T: Collection>(
    cx: &mut Ctx<'_>,
    key: Key<'_>,
    value: T,
    bytes: usize,
    at_ms: Option<i64>,
) -> Result<(), CommandError> {
    cx.admit(bytes + key.bytes.len())?;
    cx.database().put_collection(key, value);
    cx.database().set_deadline(key, at_ms);
    cx.log_whole(cx.db, key);
    Ok(())
}
