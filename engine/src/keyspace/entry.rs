//! One key and its value in one allocation.
//!
//! ```text
//!  8 bytes header    key length 32 | access 24 | kind 4 | flags 4
//! [8 bytes deadline] only with the flag DEADLINE
//!  key
//!  value             Int: i64 | Inline: u32 length, bytes | Heap: pointer, u32 length, u32 capacity
//! ```
//! Invariants: the allocation has exactly the size class of its content, at alignment 16, so its
//! size is computed and never stored; values up to [`INLINE_MAX`] bytes are inline, longer ones
//! are a `Vec` taken apart. The bytes of an inline value end the allocation's content.
//! Knows no table; who holds an [`EntryPtr`] must know that the entry lives.

use super::{
    memory::{ENTRY_ALIGN, allocate, ledger, release, resize, size_class},
    value::Str,
};
use std::ptr::{self, NonNull};

/// Longest value stored in the entry's own allocation, bytes.
pub(super) const INLINE_MAX: usize = 1024;
/// Longest value Redis would store as `embstr`, bytes.
const EMBSTR_MAX: usize = 44;
/// From here on a growing value gets a quarter more instead of twice as much, bytes.
const GENTLE_GROWTH: usize = 1 << 20;

const ACCESS_SHIFT: u32 = 32;
const ACCESS_MASK: u64 = 0xFF_FFFF << ACCESS_SHIFT;
const KIND_SHIFT: u32 = 56;
const DEADLINE: u64 = 1 << 60;
/// The value was modified in place: `raw` to OBJECT ENCODING whatever its length.
const RAW: u64 = 1 << 61;

const HEADER: usize = 8;

/// How the value is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Int = 0,
    Inline = 1,
    Heap = 2,
}

impl Kind {
    #[inline]
    fn of(header: u64) -> Self {
        match header >> KIND_SHIFT & 0xF {
            0 => Kind::Int,
            1 => Kind::Inline,
            _ => Kind::Heap,
        }
    }

    /// Bytes of the value inside the allocation.
    #[inline]
    fn body(self, inline_len: usize) -> usize {
        match self {
            Kind::Int => 8,
            Kind::Inline => 4 + inline_len,
            Kind::Heap => 16,
        }
    }
}

/// A value on its way into an entry.
pub(super) enum NewValue<'a> {
    Int(i64),
    Bytes(&'a [u8]),
    Owned(Vec<u8>),
}

impl<'a> NewValue<'a> {
    /// The same with long bytes on the heap and short ones not.
    #[inline]
    fn kind(&self) -> Kind {
        match self {
            NewValue::Int(_) => Kind::Int,
            NewValue::Bytes(bytes) if bytes.len() <= INLINE_MAX => Kind::Inline,
            NewValue::Owned(bytes) if bytes.len() <= INLINE_MAX => Kind::Inline,
            NewValue::Bytes(_) | NewValue::Owned(_) => Kind::Heap,
        }
    }

    #[inline]
    fn len(&self) -> usize {
        match self {
            NewValue::Int(_) => 0,
            NewValue::Bytes(bytes) => bytes.len(),
            NewValue::Owned(bytes) => bytes.len(),
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
}

impl Meta {
    #[inline]
    fn header(self, key_len: usize, kind: Kind) -> u64 {
        key_len as u64
            | u64::from(self.access) << ACCESS_SHIFT & ACCESS_MASK
            | (kind as u64) << KIND_SHIFT
            | if self.deadline.is_some() { DEADLINE } else { 0 }
            | if self.raw { RAW } else { 0 }
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

    /// The value.
    #[inline]
    pub(super) fn value<'a>(self) -> Str<'a> {
        let at = self.value_at();
        // SAFETY: the value lies there in the shape its kind says; the entry lives as long as
        // the caller promised.
        unsafe {
            match Kind::of(self.header()) {
                Kind::Int => Str::Int(at.cast::<i64>().read_unaligned()),
                Kind::Inline => {
                    Str::Bytes(std::slice::from_raw_parts(at.add(4), self.inline_len()))
                }
                Kind::Heap => {
                    let (pointer, len, _) = self.heap_parts();
                    Str::Bytes(std::slice::from_raw_parts(pointer, len))
                }
            }
        }
    }

    /// The value's bytes, to be changed; None when it is an integer. Marks the value as raw.
    pub(super) fn bytes_mut<'a>(self) -> Option<&'a mut [u8]> {
        let (pointer, len) = match Kind::of(self.header()) {
            Kind::Int => return None,
            // SAFETY: the bytes follow the length.
            Kind::Inline => (unsafe { self.value_at().add(4) }, self.inline_len()),
            Kind::Heap => {
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

    fn raw(self) -> bool {
        self.header() & RAW != 0
    }

    /// Everything but key and value.
    pub(super) fn meta(self) -> Meta {
        Meta { deadline: self.deadline(), access: self.access(), raw: self.raw() }
    }

    /// As OBJECT ENCODING says it.
    pub(super) fn encoding(self) -> &'static str {
        match self.value() {
            Str::Int(_) => "int",
            Str::Bytes(bytes) if bytes.len() <= EMBSTR_MAX && !self.raw() => "embstr",
            Str::Bytes(_) => "raw",
        }
    }

    /// Size of the entry's own allocation, bytes.
    #[inline]
    fn size(self) -> usize {
        let kind = Kind::of(self.header());
        let inline_len = if kind == Kind::Inline { self.inline_len() } else { 0 };
        size_class(self.key_offset() + self.key_len() + kind.body(inline_len))
    }

    /// Bytes of memory the entry takes, a heap value included.
    #[inline]
    pub(super) fn memory_bytes(self) -> usize {
        let heap = match Kind::of(self.header()) {
            Kind::Heap => self.heap_parts().2,
            Kind::Int | Kind::Inline => 0,
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
            (NewValue::Bytes(bytes), Kind::Inline) => inline(bytes),
            (NewValue::Owned(bytes), Kind::Inline) => inline(&bytes),
            (NewValue::Bytes(bytes), _) => {
                let mut heap = roomy(bytes.len());
                heap.extend_from_slice(bytes);
                // SAFETY: the caller's promise.
                unsafe { self.write_heap(heap) }
            }
            // SAFETY: the caller's promise.
            (NewValue::Owned(bytes), _) => unsafe { self.write_heap(bytes) },
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
        if Kind::of(self.header()) != Kind::Heap {
            return None;
        }
        let (pointer, len, capacity) = self.heap_parts();
        ledger::gave(capacity);
        // SAFETY: these are the parts of the vector that `write_heap` took apart.
        Some(unsafe { Vec::from_raw_parts(pointer, len, capacity) })
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
            let value = match (self.take_heap(), self.value_unless_heap()) {
                (Some(bytes), _) => NewValue::Owned(bytes),
                (None, Some(Str::Bytes(bytes))) => NewValue::Owned(bytes.to_vec()),
                (None, Some(Str::Int(n))) => NewValue::Int(n),
                (None, None) => NewValue::Owned(Vec::new()),
            };
            release(self.0, size, ENTRY_ALIGN);
            value
        }
    }

    fn value_unless_heap<'a>(self) -> Option<Str<'a>> {
        (Kind::of(self.header()) != Kind::Heap).then(|| self.value())
    }

    /// Replaces everything but the key; returns where the entry is now.
    ///
    /// # Safety
    /// The caller has the only pointer to the entry and forgets it for the one returned.
    #[must_use]
    pub(super) unsafe fn overwrite(self, value: NewValue<'_>, meta: Meta) -> Self {
        let (kind, key_len, old_size) = (value.kind(), self.key_len(), self.size());
        let key_offset = HEADER + usize::from(meta.deadline.is_some()) * 8;
        let size = size_class(key_offset + key_len + kind.body(value.len()));
        // SAFETY: the old value is released before the new one is written; within the same
        // size class the key moves first, otherwise it is copied to fresh memory.
        unsafe {
            let old_heap = self.take_heap();
            let value = reuse(old_heap, value, kind);
            let target = if size == old_size { self } else { Self(allocate(size, ENTRY_ALIGN)) };
            let from = self.0.as_ptr().add(self.key_offset());
            let to = target.0.as_ptr().add(key_offset);
            if from != to {
                ptr::copy(from, to, key_len);
            }
            target.write_head(key_len, kind, meta);
            target.write_value(value, kind);
            if target != self {
                release(self.0, old_size, ENTRY_ALIGN);
            }
            target
        }
    }

    /// Sets or removes the deadline; returns where the entry is now.
    ///
    /// # Safety
    /// As [`EntryPtr::overwrite`].
    #[must_use]
    pub(super) unsafe fn set_deadline(self, deadline: Option<i64>) -> Self {
        let header = self.header();
        let had = header & DEADLINE != 0;
        let kind = Kind::of(header);
        let (key_len, old_size, from) = (self.key_len(), self.size(), self.key_offset());
        let meta = Meta { deadline, ..self.meta() };
        if had == deadline.is_some() {
            // SAFETY: the shape stays.
            unsafe { self.write_head(key_len, kind, meta) };
            return self;
        }
        let inline_len = if kind == Kind::Inline { self.inline_len() } else { 0 };
        let tail = key_len + kind.body(inline_len);
        let to = HEADER + usize::from(deadline.is_some()) * 8;
        let size = size_class(to + tail);
        // SAFETY: key and value move as they are, `tail` bytes, within the allocation or to a
        // fresh one that is large enough.
        unsafe {
            let target = if size == old_size { self } else { Self(allocate(size, ENTRY_ALIGN)) };
            ptr::copy(self.0.as_ptr().add(from), target.0.as_ptr().add(to), tail);
            target.write_head(key_len, kind, meta);
            if target != self {
                release(self.0, old_size, ENTRY_ALIGN);
            }
            target
        }
    }

    /// Appends `zeros` zero bytes and then `tail`; returns where the entry is now. The value is
    /// raw afterwards, whatever it was.
    ///
    /// # Safety
    /// As [`EntryPtr::overwrite`].
    #[must_use]
    pub(super) unsafe fn extend(self, zeros: usize, tail: &[u8]) -> Self {
        let meta = Meta { raw: true, ..self.meta() };
        let append = |value: &mut Vec<u8>| {
            reserve(value, zeros + tail.len());
            value.resize(value.len() + zeros, 0);
            value.extend_from_slice(tail);
        };
        // SAFETY: the caller's promise, for every branch.
        unsafe {
            match self.value_unless_heap() {
                Some(Str::Int(n)) => {
                    let mut value = itoa::Buffer::new().format(n).as_bytes().to_vec();
                    append(&mut value);
                    self.overwrite(NewValue::Owned(value), meta)
                }
                Some(Str::Bytes(old)) if old.len() + zeros + tail.len() > INLINE_MAX => {
                    let mut value = roomy(old.len() + zeros + tail.len());
                    value.extend_from_slice(old);
                    append(&mut value);
                    self.overwrite(NewValue::Owned(value), meta)
                }
                Some(Str::Bytes(_)) => self.extend_inline(zeros, tail),
                None => {
                    let mut value = self.take_heap().unwrap_or_default();
                    append(&mut value);
                    self.write_heap(value);
                    self.write_header(self.header() | RAW);
                    self
                }
            }
        }
    }

    /// [`EntryPtr::extend`] for an inline value that stays inline.
    ///
    /// # Safety
    /// As [`EntryPtr::overwrite`]; the value is inline and not too long afterwards.
    unsafe fn extend_inline(self, zeros: usize, tail: &[u8]) -> Self {
        let (old_len, old_size) = (self.inline_len(), self.size());
        let len = old_len + zeros + tail.len();
        let size = size_class(self.key_offset() + self.key_len() + Kind::Inline.body(len));
        // SAFETY: the value ends the content, so it grows by resizing the allocation; `tail`
        // is not part of the entry.
        unsafe {
            let target = if size == old_size {
                self
            } else {
                Self(resize(self.0, old_size, size, ENTRY_ALIGN))
            };
            target.write_header(target.header() | RAW);
            let at = target.value_at();
            at.cast::<u32>().write_unaligned(len as u32);
            let end = at.add(4 + old_len);
            ptr::write_bytes(end, 0, zeros);
            ptr::copy_nonoverlapping(tail.as_ptr(), end.add(zeros), tail.len());
            target
        }
    }
}

/// Puts new bytes into the old heap value's memory when their size classes agree.
fn reuse<'a>(old: Option<Vec<u8>>, value: NewValue<'a>, kind: Kind) -> NewValue<'a> {
    match (old, value) {
        (Some(mut old), NewValue::Bytes(bytes))
            if kind == Kind::Heap && old.capacity() == size_class(bytes.len()) =>
        {
            old.clear();
            old.extend_from_slice(bytes);
            NewValue::Owned(old)
        }
        (_, value) => value,
    }
}

/// Makes room so that appending again and again costs constant time per byte.
fn reserve(value: &mut Vec<u8>, more: usize) {
    let needed = value.len() + more;
    if needed > value.capacity() {
        let spare = if needed < GENTLE_GROWTH { needed } else { needed / 4 };
        value.reserve_exact(size_class(needed + spare) - value.len());
    }
}
