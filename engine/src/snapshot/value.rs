//! One value into an RDB: small collections and lists as they lie in memory, big ones element by
//! element.

use crate::{
    elements::{count, show},
    keyspace::{Str, Value},
    rdb::{KeyHead, PackedValue, Unwritable, Writer},
    types::{Form, ListRef, View, packed::Packed},
};

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
    if let Some(ListRef::Big(deque)) = ListRef::of(value) {
        writer.list_key(head, deque.nodes().count() as u64);
        deque.nodes().map(Packed::as_bytes).try_for_each(|node| writer.list_node(node))?;
    } else {
        writer.key(head, count(value));
        show(value, &mut |element| writer.element(element))?;
    }
    writer.key_end()
}
