//! Changes of an entry: another value, another deadline, more bytes at the end. Each returns where
//! the entry is now; within a size class it stays.

use super::{DEADLINE, EntryPtr, HEADER, INLINE_MAX, Kind, Meta, NewValue, RAW, roomy};
use crate::{
    keyspace::{
        memory::{ENTRY_ALIGN, allocate, release, resize, size_class},
        value::Str,
    },
    types::Form,
};
use std::ptr;

/// From here on a growing value gets a quarter more instead of twice as much, bytes.
const GENTLE_GROWTH: usize = 1 << 20;

impl EntryPtr {
    /// Replaces everything but the key; returns where the entry is now.
    ///
    /// # Safety
    /// The caller has the only pointer to the entry and forgets it for the one returned.
    #[must_use]
    pub(in crate::keyspace) unsafe fn overwrite(self, value: NewValue<'_>, meta: Meta) -> Self {
        let (kind, key_len, old_size) = (value.kind(), self.key_len(), self.size());
        let meta = Meta { born: self.is_born(), ..meta };
        let key_offset = HEADER + usize::from(meta.deadline.is_some()) * 8;
        let size = size_class(key_offset + key_len + kind.body(value.len()));
        // SAFETY: the old value is released before the new one is written; within the same
        // size class the key moves first, otherwise it is copied to fresh memory.
        unsafe {
            let old_heap = self.take_heap();
            drop(self.take_object());
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
    pub(in crate::keyspace) unsafe fn set_deadline(self, deadline: Option<i64>) -> Self {
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
        let inline_len = self.inline_len_or_zero(kind);
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
    pub(in crate::keyspace) unsafe fn extend(self, zeros: usize, tail: &[u8]) -> Self {
        let meta = Meta { raw: true, ..self.meta() };
        let append = |value: &mut Vec<u8>| {
            reserve(value, zeros + tail.len());
            value.resize(value.len() + zeros, 0);
            value.extend_from_slice(tail);
        };
        // SAFETY: the caller's promise, for every branch.
        unsafe {
            if let Some(mut value) = self.take_heap() {
                append(&mut value);
                self.write_heap(value);
                self.write_header(self.header() | RAW);
                return self;
            }
            match self.value() {
                Str::Int(n) => {
                    let mut value = itoa::Buffer::new().format(n).as_bytes().to_vec();
                    append(&mut value);
                    self.overwrite(NewValue::Owned(Form::Text, value), meta)
                }
                Str::Bytes(old) if old.len() + zeros + tail.len() > INLINE_MAX => {
                    let mut value = roomy(old.len() + zeros + tail.len());
                    value.extend_from_slice(old);
                    append(&mut value);
                    self.overwrite(NewValue::Owned(Form::Text, value), meta)
                }
                Str::Bytes(_) => self.extend_inline(zeros, tail),
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
        let size =
            size_class(self.key_offset() + self.key_len() + Kind::Inline(Form::Text).body(len));
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
        (Some(mut old), NewValue::Bytes(form, bytes))
            if matches!(kind, Kind::Heap(_)) && old.capacity() == size_class(bytes.len()) =>
        {
            old.clear();
            old.extend_from_slice(bytes);
            NewValue::Owned(form, old)
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
