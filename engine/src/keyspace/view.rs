//! Entries as commands see them: borrowed to read, borrowed to change, owned to move.
//!
//! Knows how an entry is stored only through [`EntryPtr`]; knows no table.

use super::{
    entry::{EntryPtr, Meta, NewValue},
    value::{Str, Value},
};
use crate::types::{Form, Object, ValueType};
use std::marker::PhantomData;

/// A key and its value, to be read.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    entry: EntryPtr,
    lives: PhantomData<&'a ()>,
}

impl<'a> Entry<'a> {
    /// # Safety
    /// The entry lives and nobody changes it during `'a`.
    #[inline]
    pub(super) unsafe fn new(entry: EntryPtr) -> Self {
        Self { entry, lives: PhantomData }
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &'a [u8] {
        self.entry.key()
    }

    /// The value of a string; panics when it is a collection.
    #[inline]
    pub fn value(&self) -> Str<'a> {
        self.entry.value()
    }

    /// True when the value is a string.
    #[inline]
    pub fn is_string(&self) -> bool {
        self.entry.is_string()
    }

    /// The value.
    #[inline]
    pub fn content(&self) -> Value<'a> {
        self.entry.content()
    }

    /// Unix time, ms, after which the key no longer exists.
    #[inline]
    pub fn deadline(&self) -> Option<i64> {
        self.entry.deadline()
    }

    /// True when the deadline has passed, as Redis decides it: strictly before now.
    #[inline]
    pub fn is_expired(&self, now_ms: i64) -> bool {
        self.entry.deadline().is_some_and(|at| now_ms > at)
    }

    /// As OBJECT ENCODING says it: `int`, `embstr` or `raw`.
    pub fn encoding(&self) -> &'static str {
        self.entry.encoding()
    }

    /// Bytes of memory that key and value take, the table not included.
    pub fn memory_bytes(&self) -> usize {
        self.entry.memory_bytes()
    }

    /// The same with what the key takes in its database: a word of a table that is four fifths
    /// full, and as much in the index of deadlines if it has one.
    pub fn memory_share(&self) -> usize {
        let word = size_of::<super::word::Word>() * 5 / 4;
        let words = if self.deadline().is_some() { 2 * word } else { word };
        self.memory_bytes() + words
    }

    /// The 24 access bits (idle clock or frequency).
    #[inline]
    pub fn access(&self) -> u32 {
        self.entry.access()
    }

    /// As TYPE says it.
    pub fn kind(&self) -> ValueType {
        self.entry.content().kind()
    }

    /// Value, deadline and access bits, copied.
    pub fn to_owned_entry(&self) -> OwnedEntry {
        let value = match self.content() {
            Value::Str(Str::Int(n)) => OwnedValue::Int(n),
            Value::Str(Str::Bytes(bytes)) => OwnedValue::Bytes(Form::Text, bytes.to_vec()),
            Value::Packed(form, bytes) => OwnedValue::Bytes(form, bytes.to_vec()),
            Value::Object(object) => OwnedValue::Object(Box::new(object.clone())),
        };
        OwnedEntry { value, meta: self.entry.meta() }
    }
}

/// A key and its value, to be changed in place: nothing here changes the length of the value.
pub struct EntryMut<'a> {
    entry: EntryPtr,
    lives: PhantomData<&'a mut ()>,
}

impl<'a> EntryMut<'a> {
    /// # Safety
    /// The entry lives and nobody else uses it while the result is used.
    #[inline]
    pub(super) unsafe fn new(entry: EntryPtr) -> Self {
        Self { entry, lives: PhantomData }
    }

    /// The same, to be read.
    #[inline]
    pub fn as_entry(&self) -> Entry<'_> {
        // SAFETY: the exclusive borrow is lent on, shared.
        unsafe { Entry::new(self.entry) }
    }

    /// The key.
    #[inline]
    pub fn key(&self) -> &[u8] {
        self.entry.key()
    }

    /// True when the value is a string.
    #[inline]
    pub fn is_string(&self) -> bool {
        self.entry.is_string()
    }

    /// The value of a string; panics when it is a collection.
    #[inline]
    pub fn value(&self) -> Str<'_> {
        self.entry.value()
    }

    /// Unix time, ms, after which the key no longer exists.
    #[inline]
    pub fn deadline(&self) -> Option<i64> {
        self.entry.deadline()
    }

    /// True when the deadline has passed, as Redis decides it: strictly before now.
    #[inline]
    pub fn is_expired(&self, now_ms: i64) -> bool {
        self.as_entry().is_expired(now_ms)
    }

    /// As OBJECT ENCODING says it: `int`, `embstr` or `raw`.
    pub fn encoding(&self) -> &'static str {
        self.entry.encoding()
    }

    /// The 24 access bits (idle clock or frequency).
    #[inline]
    pub fn access(&self) -> u32 {
        self.entry.access()
    }

    /// Replaces an integer value; false (and no change) when the value is not an integer.
    #[inline]
    pub fn set_int_in_place(&mut self, n: i64) -> bool {
        self.entry.set_int(n)
    }

    /// The value's bytes, for edits that keep the length; None when it is an integer. The
    /// value's encoding is `raw` afterwards.
    #[inline]
    pub fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        self.entry.bytes_mut()
    }

    /// Sets the 24 access bits.
    #[inline]
    pub fn touch(&mut self, access: u32) {
        self.entry.set_access(access);
    }
}

#[derive(Clone)]
enum OwnedValue {
    Int(i64),
    Bytes(Form, Vec<u8>),
    Object(Box<Object>),
}

/// Value, deadline and access bits without a key: what MOVE, RENAME and COPY carry.
#[derive(Clone)]
pub struct OwnedEntry {
    value: OwnedValue,
    meta: Meta,
}

impl OwnedEntry {
    /// Takes a live entry apart and frees it.
    ///
    /// # Safety
    /// Nobody uses the entry again.
    pub(super) unsafe fn dissolve(entry: EntryPtr) -> Self {
        let meta = entry.meta();
        // SAFETY: the caller's promise.
        let value = match unsafe { entry.into_value() } {
            NewValue::Int(n) => OwnedValue::Int(n),
            NewValue::Bytes(form, bytes) => OwnedValue::Bytes(form, bytes.to_vec()),
            NewValue::Owned(form, bytes) => OwnedValue::Bytes(form, bytes),
            NewValue::Object(object) => OwnedValue::Object(object),
        };
        Self { value, meta }
    }

    /// The same with a string's value kept as text, `raw` or `embstr`.
    pub fn as_text(mut self, raw: bool) -> Self {
        if let OwnedValue::Int(n) = self.value {
            self.value = OwnedValue::Bytes(Form::Text, n.to_string().into_bytes());
        }
        self.meta.raw = raw;
        self
    }

    /// The parts of an entry to be.
    pub(super) fn into_parts(self) -> (NewValue<'static>, Meta) {
        let value = match self.value {
            OwnedValue::Int(n) => NewValue::Int(n),
            OwnedValue::Bytes(form, bytes) => NewValue::Owned(form, bytes),
            OwnedValue::Object(object) => NewValue::Object(object),
        };
        (value, self.meta)
    }

    /// The value.
    pub fn content(&self) -> Value<'_> {
        match &self.value {
            OwnedValue::Int(n) => Value::Str(Str::Int(*n)),
            OwnedValue::Bytes(Form::Text, bytes) => Value::Str(Str::Bytes(bytes)),
            OwnedValue::Bytes(form, bytes) => Value::Packed(*form, bytes),
            OwnedValue::Object(object) => Value::Object(object),
        }
    }

    /// The value of a string, None when it is a collection.
    pub fn string(&self) -> Option<Str<'_>> {
        match self.content() {
            Value::Str(text) => Some(text),
            Value::Packed(..) | Value::Object(_) => None,
        }
    }

    /// Unix time, ms, after which the key no longer exists.
    pub fn deadline(&self) -> Option<i64> {
        self.meta.deadline
    }

    /// Replaces the deadline.
    pub fn set_deadline(&mut self, at_ms: Option<i64>) {
        self.meta.deadline = at_ms;
    }

    /// The 24 access bits.
    pub fn access(&self) -> u32 {
        self.meta.access
    }
}
