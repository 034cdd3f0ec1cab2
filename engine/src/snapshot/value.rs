//! One value into an RDB: small collections and lists as they lie in memory, big ones element by
//! element.

use crate::{
    keyspace::{Str, Value},
    rdb::{Element, KeyHead, Kind, PackedValue, Text, Unwritable, Writer},
    types::{
        Form, HashRef, ListRef, Object, SetRef, ValueType, View, ZsetRef,
        packed::{Item, Packed},
    },
};

/// The kind of a value, as files say it.
pub(super) fn kind(value: Value<'_>) -> Kind {
    match value.kind() {
        ValueType::String => Kind::String,
        ValueType::List => Kind::List,
        ValueType::Set => Kind::Set,
        ValueType::Zset => Kind::Zset,
        ValueType::Hash => Kind::Hash,
        ValueType::Stream => Kind::Stream,
    }
}

/// Writes a key with its whole value.
///
/// # Errors
/// There is no way to write it; the writer is worth nothing afterwards.
pub(super) fn write(
    writer: &mut Writer,
    head: &KeyHead<&[u8]>,
    value: Value<'_>,
) -> Result<(), Unwritable> {
    match value {
        Value::Str(Str::Bytes(text)) => writer.string_key(head, text),
        Value::Str(Str::Int(n)) => {
            writer.string_key(head, itoa::Buffer::new().format(n).as_bytes());
        }
        Value::Packed(Form::Hash, bytes) => writer.packed_key(head, PackedValue::Hash(bytes)),
        Value::Packed(Form::Zset, bytes) => writer.packed_key(head, PackedValue::Zset(bytes)),
        Value::Packed(Form::List, bytes) => writer.packed_key(head, PackedValue::List(bytes)),
        Value::Packed(Form::Ints, bytes) => writer.packed_key(head, PackedValue::Ints(bytes)),
        // Redis 7.0 reads no packed sets of texts.
        Value::Packed(Form::Set | Form::Text, _) | Value::Object(_) => {
            return elements(writer, head, value);
        }
    }
    Ok(())
}

/// Writes a key element by element.
fn elements(
    writer: &mut Writer,
    head: &KeyHead<&[u8]>,
    value: Value<'_>,
) -> Result<(), Unwritable> {
    let mut result = Ok(());
    if let Some(ListRef::Big(deque)) = ListRef::of(value) {
        writer.list_key(head, deque.nodes().count() as u64);
        result = deque.nodes().map(Packed::as_bytes).try_for_each(|node| writer.list_node(node));
    } else if let Some(hash) = HashRef::of(value) {
        writer.key(head, hash.len() as u64);
        hash.for_each(&mut |field, value| {
            let (field, value) = (text(field), text(value));
            keep(&mut result, writer.element(Element::Field { field, value, expires_ms: None }));
        });
    } else if let Some(set) = SetRef::of(value) {
        writer.key(head, set.len() as u64);
        set.for_each(&mut |member| {
            keep(&mut result, writer.element(Element::Member(text(member))));
        });
    } else if let Some(zset) = ZsetRef::of(value) {
        writer.key(head, zset.len() as u64);
        zset.for_each(&mut |member, score| {
            keep(&mut result, writer.element(Element::Scored(text(member), score)));
        });
    } else if let Value::Object(Object::Stream(_)) = value {
        return Err(Unwritable::Stream);
    } else {
        return Err(Unwritable::Elements);
    }
    result.and_then(|()| writer.key_end())
}

/// Remembers the first failure.
fn keep(result: &mut Result<(), Unwritable>, next: Result<(), Unwritable>) {
    if result.is_ok() {
        *result = next;
    }
}

fn text(item: Item<'_>) -> Text<'_> {
    match item {
        Item::Int(n) => Text::Int(n),
        Item::Bytes(bytes) => Text::Bytes(bytes),
    }
}
