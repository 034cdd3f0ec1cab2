//! Entries as commands see them: borrowed to read, borrowed to change, owned to move.
//!
//! Knows how an entry is stored only through [`EntryPtr`]; knows no table.

use super::{
    entry::{EntryPtr, Meta, NewValue},
    value::Str,
};
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

    /// The value.
    #[inline]
    pub fn value(&self) -> Str<'a> {
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

    /// The 24 access bits (idle clock or frequency).
    #[inline]
    pub fn access(&self) -> u32 {
        self.entry.access()
    }

    /// As TYPE says it.
    pub fn type_name(&self) -> &'static str {
        "string"
    }

    /// Value, deadline and access bits, copied.
    pub fn to_owned_entry(&self) -> OwnedEntry {
        let value = match self.value() {
            Str::Int(n) => OwnedValue::Int(n),
            Str::Bytes(bytes) => OwnedValue::Bytes(bytes.to_vec()),
        };
        OwnedEntry { value, meta: self.entry.meta() }
    }
}

/// A key and its value, to be changed in place: nothing here changes the length of the value.
pub struct EntryMut<'a> {
    entry: EntryPtr,
    lives: PhantomData<&'a mut ()>,
}

impl EntryMut<'_> {
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

    /// The value.
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

#[derive(Debug, Clone)]
enum OwnedValue {
    Int(i64),
    Bytes(Vec<u8>),
}

/// Value, deadline and access bits without a key: what MOVE, RENAME and COPY carry.
#[derive(Debug, Clone)]
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
            NewValue::Bytes(bytes) => OwnedValue::Bytes(bytes.to_vec()),
            NewValue::Owned(bytes) => OwnedValue::Bytes(bytes),
        };
        Self { value, meta }
    }

    /// The parts of an entry to be.
    pub(super) fn into_parts(self) -> (NewValue<'static>, Meta) {
        let value = match self.value {
            OwnedValue::Int(n) => NewValue::Int(n),
            OwnedValue::Bytes(bytes) => NewValue::Owned(bytes),
        };
        (value, self.meta)
    }

    /// The value.
    pub fn value(&self) -> Str<'_> {
        match &self.value {
            OwnedValue::Int(n) => Str::Int(*n),
            OwnedValue::Bytes(bytes) => Str::Bytes(bytes),
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
