//! Hashes: fields with values, each field once.
//!
//! Small: packed `field value field value ...` in the order in which they came. Big: a table of
//! fields, values in their entries. Fields and values are texts; integers among the values of a
//! big hash are kept as numbers.

use super::{
    Collection, Form, Limits, Object, ValueType, View,
    packed::{self, At, Item, Packed, Wanted},
};
use crate::{
    keyspace::{KeyHasher, Str, Table, Value},
    number::canonical_int,
};

/// A hash, small or big.
#[derive(Clone)]
pub enum Hash {
    /// Packed fields and values.
    Small(Vec<u8>),
    /// A table of fields.
    Big(Table),
}

/// A hash to be read.
#[derive(Clone, Copy)]
pub enum HashRef<'a> {
    /// Packed fields and values.
    Small(Packed<'a>),
    /// A table of fields.
    Big(&'a Table),
}

/// A value in a hash.
pub type Field<'a> = Item<'a>;

fn item(text: Str<'_>) -> Item<'_> {
    match text {
        Str::Int(n) => Item::Int(n),
        Str::Bytes(bytes) => Item::Bytes(bytes),
    }
}

fn text(bytes: &[u8]) -> Str<'_> {
    canonical_int(bytes).map_or(Str::Bytes(bytes), Str::Int)
}

impl<'a> HashRef<'a> {
    /// Number of fields.
    pub fn len(self) -> usize {
        match self {
            HashRef::Small(packed) => packed.len() / 2,
            HashRef::Big(table) => table.len(),
        }
    }

    /// True when there is none; never so of a hash in the keyspace.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The value of a field.
    #[inline]
    pub fn get(self, field: &[u8]) -> Option<Field<'a>> {
        match self {
            HashRef::Small(packed) => {
                let at = packed.find(&Wanted::new(field), 2)?;
                packed.next(at).map(|at| packed.get(at))
            }
            HashRef::Big(table) => table.get(field).map(|entry| item(entry.value())),
        }
    }

    /// Every field with its value.
    pub fn for_each(self, emit: &mut dyn FnMut(Item<'a>, Item<'a>)) {
        match self {
            HashRef::Small(packed) => {
                let mut items = packed.iter();
                while let (Some(field), Some(value)) = (items.next(), items.next()) {
                    emit(field, value);
                }
            }
            HashRef::Big(table) => {
                table.iter().for_each(|entry| emit(Item::Bytes(entry.key()), item(entry.value())));
            }
        }
    }

    /// The field at a position, 0 the first: small hashes only need positions.
    fn at(packed: Packed<'a>, index: usize) -> Option<(Item<'a>, Item<'a>)> {
        let field: At = packed.nth(2 * index as i64)?;
        Some((packed.get(field), packed.get(packed.next(field)?)))
    }

    /// A field with its value, each equally likely; None when there is none.
    pub fn random(self, random: &mut impl FnMut() -> u64) -> Option<(Item<'a>, Item<'a>)> {
        match self {
            HashRef::Small(packed) => {
                let index = ((u128::from(random()) * self.len() as u128) >> 64) as usize;
                Self::at(packed, index)
            }
            HashRef::Big(table) => {
                table.random(random).map(|entry| (Item::Bytes(entry.key()), item(entry.value())))
            }
        }
    }

    /// A step of HSCAN: the next cursor, 0 at the end. A small hash comes whole, as in Redis.
    pub fn scan(self, cursor: u64, count: usize, emit: &mut dyn FnMut(Item<'a>, Item<'a>)) -> u64 {
        match self {
            HashRef::Small(_) => {
                self.for_each(emit);
                0
            }
            HashRef::Big(table) => {
                let buckets = count.saturating_mul(10);
                table.scan(cursor, count, buckets, &mut |entry| {
                    emit(Item::Bytes(entry.key()), item(entry.value()));
                })
            }
        }
    }
}

impl<'a> View<'a> for HashRef<'a> {
    #[inline]
    fn of(value: Value<'a>) -> Option<Self> {
        match value {
            Value::Packed(Form::Hash, bytes) => Some(HashRef::Small(Packed::new(bytes))),
            Value::Object(Object::Hash(Hash::Big(table))) => Some(HashRef::Big(table)),
            _ => None,
        }
    }
}

impl Hash {
    /// The same, to be read.
    #[inline]
    pub fn as_ref(&self) -> HashRef<'_> {
        match self {
            Hash::Small(bytes) => HashRef::Small(Packed::new(bytes)),
            Hash::Big(table) => HashRef::Big(table),
        }
    }

    /// Gives a field a value; true when the field is new.
    pub fn set(&mut self, field: &[u8], value: &[u8], limits: &Limits, hasher: &KeyHasher) -> bool {
        if matches!(self, Hash::Small(_)) && field.len().max(value.len()) > limits.hash_value {
            self.grow(hasher);
        }
        let new = match self {
            Hash::Small(bytes) => {
                let view = Packed::new(bytes);
                let found = view.find(&Wanted::new(field), 2);
                match found.and_then(|at| view.next(at)) {
                    Some(at) => packed::replace(bytes, at, value),
                    None => packed::insert(bytes, None, &[field, value]),
                }
                found.is_none()
            }
            Hash::Big(table) => table.set(field, text(value)),
        };
        if new && matches!(self, Hash::Small(_)) && self.as_ref().len() > limits.hash_entries {
            self.grow(hasher);
        }
        new
    }

    /// Removes a field; false when it is not there.
    pub fn remove(&mut self, field: &[u8]) -> bool {
        match self {
            Hash::Small(bytes) => {
                let found = Packed::new(bytes).find(&Wanted::new(field), 2);
                if let Some(at) = found {
                    packed::remove(bytes, at, 2);
                }
                found.is_some()
            }
            Hash::Big(table) => table.remove(field),
        }
    }

    /// From small to big.
    fn grow(&mut self, hasher: &KeyHasher) {
        let Hash::Small(bytes) = self else { return };
        let mut table = Table::new(hasher, bytes.len());
        HashRef::Small(Packed::new(bytes)).for_each(&mut |field, value| {
            let (mut digits, mut more) = (itoa::Buffer::new(), itoa::Buffer::new());
            table.set(field.bytes(&mut digits), text(value.bytes(&mut more)));
        });
        *self = Hash::Big(table);
    }

    /// Bytes of memory of a big one besides itself; constant time.
    pub fn memory_bytes(&self) -> usize {
        match self {
            Hash::Small(bytes) => bytes.capacity(),
            Hash::Big(table) => table.memory_bytes(),
        }
    }
}

impl Collection for Hash {
    const TYPE: ValueType = ValueType::Hash;

    fn empty(mut memory: Vec<u8>) -> Self {
        packed::clear(&mut memory);
        Hash::Small(memory)
    }

    fn unpack(form: Form, bytes: Vec<u8>) -> Result<Self, Vec<u8>> {
        if form == Form::Hash { Ok(Hash::Small(bytes)) } else { Err(bytes) }
    }

    fn pack(self) -> Result<(Form, Vec<u8>), Self> {
        match self {
            Hash::Small(bytes) => Ok((Form::Hash, bytes)),
            Hash::Big(_) => Err(self),
        }
    }

    fn of(object: &mut Object) -> Option<&mut Self> {
        if let Object::Hash(hash) = object { Some(hash) } else { None }
    }

    fn into_object(self) -> Object {
        Object::Hash(self)
    }

    fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn content(hash: &Hash) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut content = BTreeMap::new();
        hash.as_ref().for_each(&mut |field, value| {
            let twice = content.insert(field.to_vec(), value.to_vec());
            assert!(twice.is_none(), "a field comes once");
        });
        content
    }

    proptest! {
        #[test]
        fn a_hash_is_a_map_small_or_big(
            entries in 1usize..40,
            steps in prop::collection::vec(
                (any::<bool>(), 0u8..60, prop_oneof![
                    (-300i64..300).prop_map(|n| n.to_string().into_bytes()),
                    prop::collection::vec(any::<u8>(), 0..90),
                ]), 1..200)
        ) {
            let limits = Limits { hash_entries: entries, ..Limits::default() };
            let hasher = KeyHasher::fixed();
            let mut hash = Hash::empty(Vec::new());
            let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
            let mut was_big = false;
            for (set, field, value) in steps {
                let field = field.to_string().into_bytes();
                if set {
                    let new = hash.set(&field, &value, &limits, &hasher);
                    prop_assert_eq!(new, model.insert(field, value).is_none());
                } else {
                    prop_assert_eq!(hash.remove(&field), model.remove(&field).is_some());
                }
                was_big |= model.len() > entries || model.values().any(|v| v.len() > 64);
                prop_assert_eq!(matches!(hash, Hash::Big(_)), was_big, "big once a limit was passed");
                prop_assert_eq!(hash.as_ref().len(), model.len());
            }
            prop_assert_eq!(content(&hash), model.clone());
            prop_assert_eq!(content(&hash.clone()), model.clone());
            for (field, value) in &model {
                let found = hash.as_ref().get(field).map(|value| value.to_vec());
                prop_assert_eq!(found.as_ref(), Some(value));
            }
            let mut scanned = BTreeMap::new();
            let mut cursor = 0;
            loop {
                cursor = hash.as_ref().scan(cursor, 3, &mut |field, value| {
                    scanned.insert(field.to_vec(), value.to_vec());
                });
                if cursor == 0 { break; }
            }
            prop_assert_eq!(scanned, model);
            if let Hash::Big(table) = &hash {
                table.check();
            }
        }
    }
}
