//! Values as the keyspace hands them out.
//!
//! Knows no table and no allocation of entries.

use crate::types::{Form, Object, ValueType};

/// What a write does to a key's deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deadline {
    /// The key has none afterwards.
    None,
    /// The key keeps the one it had.
    Keep,
    /// Unix time, ms.
    At(i64),
}

impl Deadline {
    /// The deadline afterwards, given the one before.
    #[inline]
    pub fn resolve(self, before: Option<i64>) -> Option<i64> {
        match self {
            Deadline::None => None,
            Deadline::Keep => before,
            Deadline::At(ms) => Some(ms),
        }
    }
}

/// A string value as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Str<'a> {
    /// A canonical 64-bit integer.
    Int(i64),
    /// Any bytes.
    Bytes(&'a [u8]),
}

impl<'a> Str<'a> {
    /// Length of the text, bytes.
    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Str::Int(n) => itoa::Buffer::new().format(*n).len(),
            Str::Bytes(bytes) => bytes.len(),
        }
    }

    /// True for the empty string.
    #[inline]
    pub fn is_empty(&self) -> bool {
        matches!(self, Str::Bytes(bytes) if bytes.is_empty())
    }

    /// The text; an integer is written into `digits`.
    #[inline]
    pub fn bytes<'b>(&self, digits: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Str::Int(n) => digits.format(*n).as_bytes(),
            Str::Bytes(bytes) => bytes,
        }
    }

    /// The text, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        self.bytes(&mut itoa::Buffer::new()).to_vec()
    }
}

/// Integers below this are shared objects in Redis, whose reference count is this constant.
const SHARED_INTEGERS: i64 = 10_000;
const SHARED_REFCOUNT: i64 = i32::MAX as i64;

/// A value as stored.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    /// A string.
    Str(Str<'a>),
    /// A small collection: packed elements (or, of the form [`Form::Ints`], sorted integers).
    Packed(Form, &'a [u8]),
    /// A big collection.
    Object(&'a Object),
}

impl Value<'_> {
    /// What TYPE says.
    pub fn kind(&self) -> ValueType {
        match self {
            Value::Str(_) => ValueType::String,
            Value::Packed(form, _) => form.kind(),
            Value::Object(object) => object.kind(),
        }
    }

    /// What OBJECT REFCOUNT says: small integers are shared objects in Redis.
    pub fn refcount(&self) -> i64 {
        match self {
            Value::Str(Str::Int(n)) if (0..SHARED_INTEGERS).contains(n) => SHARED_REFCOUNT,
            Value::Str(_) | Value::Packed(..) | Value::Object(_) => 1,
        }
    }

    /// Bytes that the elements take, about: what a copy of the value moves.
    pub fn bulk_bytes(&self) -> usize {
        match self {
            Value::Str(text) => text.len(),
            Value::Packed(_, bytes) => bytes.len(),
            Value::Object(object) => object.memory_bytes(),
        }
    }
}
