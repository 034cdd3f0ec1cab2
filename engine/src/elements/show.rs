//! A value of the keyspace, element by element as an RDB writer takes it. Copies nothing.

use super::streams;
use crate::{
    keyspace::Value,
    rdb::{Element, Kind, Text, Unwritable},
    types::{HashRef, ListRef, SetRef, Stream, ValueType, View, ZsetRef, packed::Item},
};

/// What elements are handed to.
pub type Put<'p> = dyn FnMut(Element<Text<'_>>) -> Result<(), Unwritable> + 'p;

/// The kind of a value.
pub fn kind(value: Value<'_>) -> Kind {
    match value.kind() {
        ValueType::String => Kind::String,
        ValueType::List => Kind::List,
        ValueType::Set => Kind::Set,
        ValueType::Zset => Kind::Zset,
        ValueType::Hash => Kind::Hash,
        ValueType::Stream => Kind::Stream,
    }
}

/// How many elements (of a stream: blocks) are announced in front of a value.
pub fn count(value: Value<'_>) -> u64 {
    let count = match value {
        Value::Str(_) => 1,
        Value::Packed(..) | Value::Object(_) => {
            if let Some(hash) = HashRef::of(value) {
                hash.len()
            } else if let Some(set) = SetRef::of(value) {
                set.len()
            } else if let Some(zset) = ZsetRef::of(value) {
                zset.len()
            } else if let Some(list) = ListRef::of(value) {
                list.len()
            } else {
                <&Stream>::of(value).map_or(0, Stream::blocks_len)
            }
        }
    };
    count as u64
}

fn text(item: Item<'_>) -> Text<'_> {
    match item {
        Item::Int(n) => Text::Int(n),
        Item::Bytes(bytes) => Text::Bytes(bytes),
    }
}

/// Shows the elements of a value in the order in which Redis writes them.
///
/// # Errors
/// The first that `put` gives.
pub fn show(value: Value<'_>, put: &mut Put<'_>) -> Result<(), Unwritable> {
    let mut done = Ok(());
    let mut put = |element: Element<Text<'_>>| {
        if done.is_ok() {
            done = put(element);
        }
    };
    if let Value::Str(text) = value {
        let mut digits = itoa::Buffer::new();
        put(Element::Value(Text::Bytes(text.bytes(&mut digits))));
    } else if let Some(hash) = HashRef::of(value) {
        hash.for_each(&mut |field, value| {
            put(Element::Field { field: text(field), value: text(value), expires_ms: None });
        });
    } else if let Some(set) = SetRef::of(value) {
        set.for_each(&mut |member| put(Element::Member(text(member))));
    } else if let Some(zset) = ZsetRef::of(value) {
        show_zset(zset, &mut put);
    } else if let Some(list) = ListRef::of(value) {
        list.for_each(&mut |element| put(Element::Item(text(element))));
    } else if let Some(stream) = <&Stream>::of(value) {
        streams::show(stream, &mut put);
    }
    done
}

fn show_zset(zset: ZsetRef<'_>, put: &mut dyn FnMut(Element<Text<'_>>)) {
    if let ZsetRef::Small(_) = zset {
        return zset.for_each(&mut |member, score| put(Element::Scored(text(member), score)));
    }
    // From the highest down, as Redis writes it: whoever reads it inserts at the head.
    let highest = zset.len().saturating_sub(1);
    zset.downwards(highest, usize::MAX, &mut |member, score| {
        put(Element::Scored(text(member), score));
    });
}
