//! A value as DUMP gives it.

use super::{count, kind, show};
use crate::{
    keyspace::Value,
    rdb::{Layout, Unwritable, dump},
    types::{Form, ValueType},
};

/// The payload of a value.
///
/// # Errors
/// A value that cannot be written.
pub fn payload(value: Value<'_>) -> Result<Vec<u8>, Unwritable> {
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
    dump::elements(kind(value), count(value), layout, |put| show(value, put))
}
