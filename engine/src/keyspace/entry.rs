//! One key and its value in one allocation.
//!
//! ```text
//!  8 bytes header    key length 32 | access 24 | kind 4 | flags 4
//! [8 bytes deadline] only with the flag DEADLINE
//!  key
//!  value             Int: i64 | Object: pointer
//!                    Inline: u32 length, bytes | Heap: pointer, u32 length, u32 capacity
//! ```
//! Invariants: the allocation has exactly the size class of its content, at alignment 16, so its
//! size is computed and never stored; values up to [`INLINE_MAX`] bytes are inline, longer ones
//! are a `Vec` taken apart; the kind says what the bytes are ([`Form`]). The bytes of an inline
//! value end the allocation's content. `entry/edit.rs` changes entries.
//! Knows no table; who holds an [`EntryPtr`] must know that the entry lives.

use super::{
    memory::{ENTRY_ALIGN, allocate, ledger, release, size_class},
    value::{Str, Value},
};
use crate::types::{Form, Object};
use std::ptr::{self, NonNull};

mod edit;

/// Longest value stored in the entry's own allocation, bytes.
pub(super) const INLINE_MAX: usize = 1024;
/// Longest value Redis would store as `embstr`, bytes.
const EMBSTR_MAX: usize = 44;

const ACCESS_SHIFT: u32 = 32;
const ACCESS_MASK: u64 = 0xFF_FFFF << ACCESS_SHIFT;
const KIND_SHIFT: u32 = 56;
const DEADLINE: u64 = 1 << 60;
/// The value was modified in place: `raw` to OBJECT ENCODING whatever its length.
const RAW: u64 = 1 << 61;
/// The key came in the era in which it last changed (`changes.rs`).
const BORN: u64 = 1 << 62;

const HEADER: usize = 8;

/// How the value is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int,
    Object,
    Inline(Form),
    Heap(Form),
}

impl Kind {
    #[inline]
    fn of(header: u64) -> Self {
        match (header >> KIND_SHIFT & 0xF) as usize {
            0 => Kind::Int,
            1 => Kind::Object,
            n => {
                let form = FORMS[n / 2];
                if n % 2 == 0 { Kind::Inline(form) } else { Kind::Heap(form) }
            }
        }
    }

    #[inline]
    fn bits(self) -> u64 {
        let number = match self {
            Kind::Int => 0,
            Kind::Object => 1,
            Kind::Inline(form) => 2 + 2 * form as u64,
            Kind::Heap(form) => 3 + 2 * form as u64,
        };
        number << KIND_SHIFT
    }

    /// Bytes of the value inside the allocation.
    #[inline]
    fn body(self, inline_len: usize) -> usize {
        match self {
            Kind::Int | Kind::Object => 8,
            Kind::Inline(_) => 4 + inline_len,
            Kind::Heap(_) => 16,
        }
    }
}

/// The kinds of strings, a bit for each kind's number.
const STRINGS: u16 = 0b1101;

/// Forms by half the kind's number; the first two numbers have none.
const FORMS: [Form; 8] = {
    let mut forms = [Form::Text; 8];
    let mut n = 0;
    while n < Form::ALL.len() {
        forms[n + 1] = Form::ALL[n];
        n += 1;
    }
    forms
};

/// A value on its way into an entry.
pub(super) enum NewValue<'a> {
    Int(i64),
    Bytes(Form, &'a [u8]),
    Owned(Form, Vec<u8>),
    Object(Box<Object>),
}

impl<'a> NewValue<'a> {
    /// The same with long bytes on the heap and short ones not.
    #[inline]
    fn kind(&self) -> Kind {
        let of_bytes = |form, len| {
            if len <= INLINE_MAX { Kind::Inline(form) } else { Kind::Heap(form) }
        };
        match self {
            NewValue::Int(_) => Kind::Int,
            NewValue::Bytes(form, bytes) => of_bytes(*form, bytes.len()),
            NewValue::Owned(form, bytes) => of_bytes(*form, bytes.len()),
            NewValue::Object(_) => Kind::Object,
        }
    }

    #[inline]
    fn len(&self) -> usize {
        match self {
            NewValue::Int(_) | NewValue::Object(_) => 0,
            NewValue::Bytes(_, bytes) => bytes.len(),
            NewValue::Owned(_, bytes) => bytes.len(),
        }
    }
}

/// What an entry says besides key and value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Meta {
    /// Unix time, ms.
    pub(super) deadline: Option<i64>,
    /// 24 bits.
    pub(super) access: u32,
    /// Modified in place.
    pub(super) raw: bool,
    /// Came in the era in which it last changed. Overwriting keeps what the entry says.
    pub(super) born: bool,
}

impl Meta {
    #[inline]
    fn header(self, key_len: usize, kind: Kind) -> u64 {
        key_len as u64
            | u64::from(self.access) << ACCESS_SHIFT & ACCESS_MASK
            | kind.bits()
            | if self.deadline.is_some() { DEADLINE } else { 0 }
            | if self.raw { RAW } else { 0 }
            | if self.born { BORN } else { 0 }
    }
}

/// The address of a live entry. A plain copyable pointer: whoever makes one from an address
/// ([`EntryPtr::from_address`]) promises that the entry lives as long as the pointer is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EntryPtr(NonNull<u8>);

/// A vector whose capacity is a size class.
fn roomy(len: usize) -> Vec<u8> {
    Vec::with_capacity(size_class(len))
}

impl EntryPtr {
    /// Makes an entry.
    pub(super) fn create(key: &[u8], value: NewValue<'_>, meta: Meta) -> Self {
        let kind = value.kind();
        let entry = Self::allocate(key.len(), meta.deadline.is_some(), kind, value.len());
        // SAFETY: fresh memory, large enough for this shape; header, key and value are written
        // before anybody reads them.
        unsafe {
            entry.write_head(key.len(), kind, meta);
            let to = entry.0.as_ptr().add(entry.key_offset());
            ptr::copy_nonoverlapping(key.as_ptr(), to, key.len());
            entry.write_value(value, kind);
        }
        entry
    }

    fn allocate(key_len: usize, deadline: bool, kind: Kind, inline_len: usize) -> Self {
        assert!(key_len <= u32::MAX as usize, "key longer than 4 GiB");
        let size = size_class(HEADER + usize::from(deadline) * 8 + key_len + kind.body(inline_len));
        Self(allocate(size, ENTRY_ALIGN))
    }

    /// The address, whose top 16 and low 4 bits are zero.
    #[inline]
    pub(super) fn address(self) -> u64 {
        self.0.as_ptr().expose_provenance() as u64
    }

    /// The entry at an address that [`EntryPtr::address`] gave.
    ///
    /// # Safety
    /// The entry lives, and is not changed through another pointer, while the result is used.
    #[inline]
    pub(super) unsafe fn from_address(address: u64) -> Self {
        let pointer = ptr::with_exposed_provenance_mut(address as usize);
        // SAFETY: the address of an entry is not zero.
        Self(unsafe { NonNull::new_unchecked(pointer) })
    }

    #[inline]
    fn header(self) -> u64 {
        // SAFETY: the entry lives and starts with its header, at alignment 16.
        unsafe { self.0.cast::<u64>().read() }
    }

    #[inline]
    fn write_header(self, header: u64) {
        // SAFETY: as `header`.
        unsafe { self.0.cast::<u64>().write(header) }
    }

    #[inline]
    fn key_offset(self) -> usize {
        HEADER + ((self.header() & DEADLINE) >> 57) as usize
    }

    #[inline]
    fn key_len(self) -> usize {
        self.header() as u32 as usize
    }

    /// Where the value begins; not aligned.
    #[inline]
    fn value_at(self) -> *mut u8 {
        // SAFETY: header, deadline and key lie inside the allocation.
        unsafe { self.0.as_ptr().add(self.key_offset() + self.key_len()) }
    }

    /// Length of an inline value.
    #[inline]
    fn inline_len(self) -> usize {
        // SAFETY: an inline value begins with its length.
        unsafe { self.value_at().cast::<u32>().read_unaligned() as usize }
    }

    /// Pointer, length and capacity of a heap value.
    #[inline]
    fn heap_parts(self) -> (*mut u8, usize, usize) {
        let at = self.value_at();
        // SAFETY: a heap value is a pointer, a length and a capacity.
        unsafe {
            let pointer = at.cast::<*mut u8>().read_unaligned();
            let len = at.add(8).cast::<u32>().read_unaligned();
            let capacity = at.add(12).cast::<u32>().read_unaligned();
            (pointer, len as usize, capacity as usize)
        }
    }

    /// The key.
    #[inline]
    pub(super) fn key<'a>(self) -> &'a [u8] {
        // SAFETY: the key lies there; the entry lives as long as the caller promised.
        unsafe {
            std::slice::from_raw_parts(self.0.as_ptr().add(self.key_offset()), self.key_len())
        }
    }

    /// The value of a string. Panics when it is a collection: who asks has looked.
    #[inline]
    pub(super) fn value<'a>(self) -> Str<'a> {
        match self.content() {
            Value::Str(text) => text,
            Value::Packed(..) | Value::Object(_) => not_a_string(),
        }
    }

    /// The value.
    #[inline]
    pub(super) fn content<'a>(self) -> Value<'a> {
        let at = self.value_at();
        // SAFETY: the value lies there in the shape its kind says; the entry lives as long as
        // the caller promised.
        let (form, bytes) = unsafe {
            match Kind::of(self.header()) {
                Kind::Int => return Value::Str(Str::Int(at.cast::<i64>().read_unaligned())),
                Kind::Object => return Value::Object(&*at.cast::<*mut Object>().read_unaligned()),
                Kind::Inline(form) => {
                    (form, std::slice::from_raw_parts(at.add(4), self.inline_len()))
                }
                Kind::Heap(form) => {
                    let (pointer, len, _) = self.heap_parts();
                    (form, std::slice::from_raw_parts(pointer, len))
                }
            }
        };
        if form == Form::Text { Value::Str(Str::Bytes(bytes)) } else { Value::Packed(form, bytes) }
    }

    /// True when the value is a string.
    #[inline]
    pub(super) fn is_string(self) -> bool {
        STRINGS >> (self.header() >> KIND_SHIFT & 0xF) & 1 == 1
    }

    /// The big value, to be changed; None when the value is another.
    pub(super) fn object_mut<'a>(self) -> Option<&'a mut Object> {
        // SAFETY: the value is a pointer that came from a box; the caller has the only pointer
        // to the entry.
        (Kind::of(self.header()) == Kind::Object)
            .then(|| unsafe { &mut *self.value_at().cast::<*mut Object>().read_unaligned() })
    }

    /// The value's bytes, to be changed; None when it is an integer. Marks the value as raw.
    pub(super) fn bytes_mut<'a>(self) -> Option<&'a mut [u8]> {
        let (pointer, len) = match Kind::of(self.header()) {
            Kind::Int | Kind::Object => return None,
            // SAFETY: the bytes follow the length.
            Kind::Inline(_) => (unsafe { self.value_at().add(4) }, self.inline_len()),
            Kind::Heap(_) => {
                let (pointer, len, _) = self.heap_parts();
                (pointer, len)
            }
        };
        self.write_header(self.header() | RAW);
        // SAFETY: these bytes are the value; the caller has the only pointer to the entry.
        Some(unsafe { std::slice::from_raw_parts_mut(pointer, len) })
    }

    /// Replaces an integer by an integer; false when the value is not one.
    #[inline]
    pub(super) fn set_int(self, n: i64) -> bool {
        let int = Kind::of(self.header()) == Kind::Int;
        if int {
            // SAFETY: the value is an i64.
            unsafe { self.value_at().cast::<i64>().write_unaligned(n) };
        }
        int
    }

    /// Unix time, ms.
    #[inline]
    pub(super) fn deadline(self) -> Option<i64> {
        // SAFETY: with the flag, the deadline stands behind the header.
        (self.header() & DEADLINE != 0).then(|| unsafe { self.0.cast::<i64>().add(1).read() })
    }

    /// The 24 access bits.
    #[inline]
    pub(super) fn access(self) -> u32 {
        ((self.header() & ACCESS_MASK) >> ACCESS_SHIFT) as u32
    }

    /// Sets the 24 access bits.
    #[inline]
    pub(super) fn set_access(self, access: u32) {
        let bits = u64::from(access) << ACCESS_SHIFT & ACCESS_MASK;
        self.write_header(self.header() & !ACCESS_MASK | bits);
    }

    /// True when the key came in the era in which it last changed.
    #[inline]
    pub(super) fn is_born(self) -> bool {
        self.header() & BORN != 0
    }

    /// Takes that back: the key is from before.
    #[inline]
    pub(super) fn set_grown(self) {
        self.write_header(self.header() & !BORN);
    }

    fn raw(self) -> bool {
        self.header() & RAW != 0
    }

    /// Everything but key and value.
    pub(super) fn meta(self) -> Meta {
        let (deadline, access) = (self.deadline(), self.access());
        Meta { deadline, access, raw: self.raw(), born: self.is_born() }
    }

    /// As OBJECT ENCODING says it.
    pub(super) fn encoding(self) -> &'static str {
        match self.content() {
            Value::Str(Str::Int(_)) => "int",
            Value::Str(Str::Bytes(bytes)) if bytes.len() <= EMBSTR_MAX && !self.raw() => "embstr",
            Value::Str(Str::Bytes(_)) => "raw",
            Value::Packed(form, _) => form.encoding(),
            Value::Object(object) => object.encoding(),
        }
    }

    /// Size of the entry's own allocation, bytes.
    #[inline]
    fn size(self) -> usize {
        let kind = Kind::of(self.header());
        let inline_len = self.inline_len_or_zero(kind);
        size_class(self.key_offset() + self.key_len() + kind.body(inline_len))
    }

    #[inline]
    fn inline_len_or_zero(self, kind: Kind) -> usize {
        if matches!(kind, Kind::Inline(_)) { self.inline_len() } else { 0 }
    }

    /// Bytes of memory the entry takes, a heap value or a big value included.
    #[inline]
    pub(super) fn memory_bytes(self) -> usize {
        let heap = match Kind::of(self.header()) {
            Kind::Heap(_) => self.heap_parts().2,
            Kind::Object => self.object_mut().map_or(0, |object| object.memory_bytes()),
            Kind::Int | Kind::Inline(_) => 0,
        };
        self.size() + heap
    }

    /// Writes header and deadline.
    ///
    /// # Safety
    /// The allocation is large enough; key and value stand, or are written next, where this
    /// shape has them.
    #[inline]
    unsafe fn write_head(self, key_len: usize, kind: Kind, meta: Meta) {
        self.write_header(meta.header(key_len, kind));
        if let Some(at) = meta.deadline {
            // SAFETY: the caller's promise.
            unsafe { self.0.cast::<i64>().add(1).write(at) };
        }
    }

    /// Writes the value behind the key.
    ///
    /// # Safety
    /// Header and key are written, the allocation is large enough for `kind`, which is
    /// `value.kind()`; a value that was there before has been released.
    #[inline]
    unsafe fn write_value(self, value: NewValue<'_>, kind: Kind) {
        let at = self.value_at();
        let inline = |bytes: &[u8]| {
            // SAFETY: the caller's promise; the bytes are not part of the entry.
            unsafe {
                at.cast::<u32>().write_unaligned(bytes.len() as u32);
                ptr::copy_nonoverlapping(bytes.as_ptr(), at.add(4), bytes.len());
            }
        };
        match (value, kind) {
            // SAFETY: the caller's promise.
            (NewValue::Int(n), _) => unsafe { at.cast::<i64>().write_unaligned(n) },
            (NewValue::Bytes(_, bytes), Kind::Inline(_)) => inline(bytes),
            (NewValue::Owned(_, bytes), Kind::Inline(_)) => inline(&bytes),
            (NewValue::Bytes(_, bytes), _) => {
                let mut heap = roomy(bytes.len());
                heap.extend_from_slice(bytes);
                // SAFETY: the caller's promise.
                unsafe { self.write_heap(heap) }
            }
            // SAFETY: the caller's promise.
            (NewValue::Owned(_, bytes), _) => unsafe { self.write_heap(bytes) },
            // SAFETY: the caller's promise.
            (NewValue::Object(object), _) => unsafe {
                at.cast::<*mut Object>().write_unaligned(Box::into_raw(object));
            },
        }
    }

    /// Puts a heap value in its place.
    ///
    /// # Safety
    /// The entry is of kind Heap and the value that was there has been released.
    unsafe fn write_heap(self, bytes: Vec<u8>) {
        assert!(bytes.capacity() <= u32::MAX as usize, "value longer than 4 GiB");
        ledger::took(bytes.capacity());
        let mut bytes = std::mem::ManuallyDrop::new(bytes);
        let at = self.value_at();
        // SAFETY: the caller's promise.
        unsafe {
            at.cast::<*mut u8>().write_unaligned(bytes.as_mut_ptr());
            at.add(8).cast::<u32>().write_unaligned(bytes.len() as u32);
            at.add(12).cast::<u32>().write_unaligned(bytes.capacity() as u32);
        }
    }

    /// Takes a heap value out, leaving the entry without one; None for other kinds.
    ///
    /// # Safety
    /// Another value is written, or the entry released, before anybody reads it.
    unsafe fn take_heap(self) -> Option<Vec<u8>> {
        if !matches!(Kind::of(self.header()), Kind::Heap(_)) {
            return None;
        }
        let (pointer, len, capacity) = self.heap_parts();
        ledger::gave(capacity);
        // SAFETY: these are the parts of the vector that `write_heap` took apart.
        Some(unsafe { Vec::from_raw_parts(pointer, len, capacity) })
    }

    /// Takes a big value out, leaving the entry without one; None for other kinds.
    ///
    /// # Safety
    /// As [`EntryPtr::take_heap`].
    unsafe fn take_object(self) -> Option<Box<Object>> {
        let object = self.object_mut()?;
        // SAFETY: the pointer came from a box, and the caller makes sure it is not used again.
        Some(unsafe { Box::from_raw(object) })
    }

    /// Frees the entry with its value.
    ///
    /// # Safety
    /// Nobody uses the entry again.
    pub(super) unsafe fn free(self) {
        let size = self.size();
        // SAFETY: the entry is released at once; its allocation has that size.
        unsafe {
            drop(self.take_heap());
            drop(self.take_object());
            release(self.0, size, ENTRY_ALIGN);
        }
    }

    /// Frees the entry and returns its value, an owned copy when it was inline.
    ///
    /// # Safety
    /// Nobody uses the entry again.
    pub(super) unsafe fn into_value(self) -> NewValue<'static> {
        let size = self.size();
        // SAFETY: the entry is released at once; its allocation has that size.
        unsafe {
            let value = match Kind::of(self.header()) {
                Kind::Int => NewValue::Int(self.value_at().cast::<i64>().read_unaligned()),
                Kind::Inline(form) => {
                    let at = self.value_at().add(4);
                    let bytes = std::slice::from_raw_parts(at, self.inline_len());
                    NewValue::Owned(form, bytes.to_vec())
                }
                Kind::Heap(form) => NewValue::Owned(form, self.take_heap().unwrap_or_default()),
                Kind::Object => match self.take_object() {
                    Some(object) => NewValue::Object(object),
                    None => unreachable!("an entry of kind Object holds one"),
                },
            };
            release(self.0, size, ENTRY_ALIGN);
            value
        }
    }
}

#[cold]
fn not_a_string() -> ! {
    panic!("a collection was taken for a string")
}
