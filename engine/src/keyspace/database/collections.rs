//! Edits of collections: the one way by which they change.
//!
//! A small one is edited in scratch memory and put back, a big one where it is. Accounted bytes
//! stay true either way; a collection without elements takes its key with it, as in Redis.

use super::{Database, Key, Meta, NewValue};
use crate::{keyspace::value::Value, types::Collection};

/// Scratch memory is given back when one edit needed more, bytes.
const SCRATCH_KEPT: usize = 64 * 1024;

/// What became of an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edited<R> {
    /// Done, with the edit's result.
    Done(R),
    /// There is no such key, and none was to be created.
    Missing,
    /// The key is there, but its deadline hides it: remove it first. Nothing was done.
    Hidden,
    /// The value is of another type. Nothing was done.
    WrongType,
}

impl Database {
    /// Edits a collection with a function; with `create` a missing one is created. The deadline
    /// of a key that is there stays. `hidden` says of a deadline whether it hides its key.
    pub fn edit<T: Collection, R>(
        &mut self,
        key: Key<'_>,
        create: bool,
        hidden: impl FnOnce(i64) -> bool,
        edit: impl FnOnce(&mut T) -> R,
    ) -> Edited<R> {
        let Some(place) = self.find(key) else {
            return if create { Edited::Done(self.create(key, edit)) } else { Edited::Missing };
        };
        let entry = place.entry();
        if entry.deadline().is_some_and(hidden) {
            return Edited::Hidden;
        }
        if let Some(object) = entry.object_mut() {
            if T::of(object).is_none() {
                return Edited::WrongType;
            }
            return Edited::Done(self.edit_object(key, edit));
        }
        let Value::Packed(form, bytes) = entry.content() else { return Edited::WrongType };
        let mut memory = std::mem::take(&mut self.scratch);
        memory.clear();
        memory.extend_from_slice(bytes);
        let mut value = match T::unpack(form, memory) {
            Ok(value) => value,
            Err(memory) => {
                self.scratch = memory;
                return Edited::WrongType;
            }
        };
        let result = edit(&mut value);
        if value.is_empty() {
            self.remove(key);
            self.keep_scratch(value);
            return Edited::Done(result);
        }
        let access = self.clock.used(entry.access());
        let meta = Meta { deadline: entry.deadline(), access, raw: false, born: false };
        match value.pack() {
            Ok((form, memory)) => {
                if memory != bytes {
                    let value = NewValue::Bytes(form, &memory);
                    // SAFETY: `change` forgets the old address.
                    self.change(key, place, |entry| unsafe { entry.overwrite(value, meta) });
                }
                self.keep(memory);
            }
            Err(big) => {
                let value = NewValue::Object(Box::new(big.into_object()));
                // SAFETY: as above.
                self.change(key, place, |entry| unsafe { entry.overwrite(value, meta) });
            }
        }
        Edited::Done(result)
    }

    fn create<T: Collection, R>(&mut self, key: Key<'_>, edit: impl FnOnce(&mut T) -> R) -> R {
        let mut value = T::empty(std::mem::take(&mut self.scratch));
        let result = edit(&mut value);
        if value.is_empty() {
            self.keep_scratch(value);
            return result;
        }
        let meta = Meta { deadline: None, access: self.clock.fresh(), raw: false, born: false };
        match value.pack() {
            Ok((form, memory)) => {
                self.insert(key, NewValue::Bytes(form, &memory), meta);
                self.keep(memory);
            }
            Err(big) => self.insert(key, NewValue::Object(Box::new(big.into_object())), meta),
        }
        result
    }

    /// Edits a big collection of the right type where it is.
    fn edit_object<T: Collection, R>(&mut self, key: Key<'_>, edit: impl FnOnce(&mut T) -> R) -> R {
        let place = self.find(key).expect("the caller has found the key");
        let access = self.clock.used(place.entry().access());
        let (mut result, mut empty) = (None, false);
        self.change(key, place, |entry| {
            if let Some(value) = entry.object_mut().and_then(T::of) {
                result = Some(edit(value));
                empty = value.is_empty();
            }
            entry.set_access(access);
            entry
        });
        if empty {
            self.remove(key);
        }
        result.expect("the caller has looked at the type")
    }

    /// Puts a collection in under a key in the place of whatever was there, without a deadline;
    /// one without elements only removes the key. True when there is a value now.
    pub fn put_collection<T: Collection>(&mut self, key: Key<'_>, value: T) -> bool {
        if value.is_empty() {
            self.remove(key);
            return false;
        }
        let meta = Meta { deadline: None, access: self.clock.fresh(), raw: false, born: false };
        let value = match value.pack() {
            Ok((form, bytes)) => {
                self.store_as(key, NewValue::Bytes(form, &bytes), meta);
                return true;
            }
            Err(big) => NewValue::Object(Box::new(big.into_object())),
        };
        self.store_as(key, value, meta);
        true
    }

    fn store_as(&mut self, key: Key<'_>, value: NewValue<'_>, meta: Meta) {
        match self.find(key) {
            Some(place) => {
                self.spare(usize::from(key.group()), place);
                // SAFETY: `change_spared` forgets the old address.
                self.change_spared(key, place, |entry| unsafe { entry.overwrite(value, meta) });
            }
            None => self.insert(key, value, meta),
        }
    }

    fn keep_scratch<T: Collection>(&mut self, value: T) {
        if let Ok((_, memory)) = value.pack() {
            self.keep(memory);
        }
    }

    fn keep(&mut self, memory: Vec<u8>) {
        if memory.capacity() <= SCRATCH_KEPT {
            self.scratch = memory;
        }
    }
}
