//! Sets: members, each once.
//!
//! Integers only, and few: sorted integers. Few short texts: packed (Redis 7.0 would already use a
//! table, and OBJECT ENCODING says so). More: a table of members without values.

use super::{
    Collection, Form, Limits, Object, ValueType, View,
    intset::{self, Ints},
    packed::{self, Item, Packed, Wanted},
};
use crate::{
    keyspace::{KeyHasher, Str, Table, Value},
    number::canonical_int,
};

/// Most members of a packed set.
const PACKED_MEMBERS_MAX: usize = 128;
/// Longest member of a packed set, bytes.
const PACKED_MEMBER_BYTES_MAX: usize = 64;

/// A set.
#[derive(Clone)]
pub enum Set {
    /// Sorted integers.
    Ints(Vec<u8>),
    /// Packed members.
    Small(Vec<u8>),
    /// A table of members.
    Big(Table),
}

/// A set to be read.
#[derive(Clone, Copy)]
pub enum SetRef<'a> {
    /// Sorted integers.
    Ints(Ints<'a>),
    /// Packed members.
    Small(Packed<'a>),
    /// A table of members.
    Big(&'a Table),
}

impl<'a> SetRef<'a> {
    /// Number of members.
    pub fn len(self) -> usize {
        match self {
            SetRef::Ints(ints) => ints.len(),
            SetRef::Small(packed) => packed.len(),
            SetRef::Big(table) => table.len(),
        }
    }

    /// True when there is none; never so of a set in the keyspace.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// True when it has this member.
    #[inline]
    pub fn contains(self, member: &[u8]) -> bool {
        match self {
            SetRef::Ints(ints) => canonical_int(member).is_some_and(|n| ints.search(n).is_ok()),
            SetRef::Small(packed) => packed.find(&Wanted::new(member), 1).is_some(),
            SetRef::Big(table) => table.get(member).is_some(),
        }
    }

    /// Every member.
    pub fn for_each(self, emit: &mut dyn FnMut(Item<'a>)) {
        match self {
            SetRef::Ints(ints) => ints.iter().for_each(|n| emit(Item::Int(n))),
            SetRef::Small(packed) => packed.iter().for_each(emit),
            SetRef::Big(table) => table.iter().for_each(|entry| emit(Item::Bytes(entry.key()))),
        }
    }

    /// A member, each equally likely; None when there is none.
    pub fn random(self, random: &mut impl FnMut() -> u64) -> Option<Item<'a>> {
        let len = self.len() as u128;
        let mut index = || ((u128::from(random()) * len) >> 64) as usize;
        match self {
            SetRef::Ints(ints) => (len > 0).then(|| Item::Int(ints.get(index()))),
            SetRef::Small(packed) => packed.nth(index() as i64).map(|at| packed.get(at)),
            SetRef::Big(table) => table.random(random).map(|entry| Item::Bytes(entry.key())),
        }
    }

    /// A step of SSCAN: the next cursor, 0 at the end. A small set comes whole, as in Redis.
    pub fn scan(self, cursor: u64, count: usize, emit: &mut dyn FnMut(Item<'a>)) -> u64 {
        match self {
            SetRef::Ints(_) | SetRef::Small(_) => {
                self.for_each(emit);
                0
            }
            SetRef::Big(table) => {
                let buckets = count.saturating_mul(10);
                table.scan(cursor, count, buckets, &mut |entry| emit(Item::Bytes(entry.key())))
            }
        }
    }
}

impl<'a> View<'a> for SetRef<'a> {
    #[inline]
    fn of(value: Value<'a>) -> Option<Self> {
        match value {
            Value::Packed(Form::Ints, bytes) => Some(SetRef::Ints(Ints::new(bytes))),
            Value::Packed(Form::Set, bytes) => Some(SetRef::Small(Packed::new(bytes))),
            Value::Object(Object::Set(set)) => Some(set.as_ref()),
            _ => None,
        }
    }
}

impl Set {
    /// The same, to be read.
    #[inline]
    pub fn as_ref(&self) -> SetRef<'_> {
        match self {
            Set::Ints(bytes) => SetRef::Ints(Ints::new(bytes)),
            Set::Small(bytes) => SetRef::Small(Packed::new(bytes)),
            Set::Big(table) => SetRef::Big(table),
        }
    }

    /// Adds a member; true when it is new.
    pub fn add(&mut self, member: &[u8], limits: &Limits, hasher: &KeyHasher) -> bool {
        if let Set::Ints(bytes) = self {
            match canonical_int(member) {
                Some(n) => {
                    let new = intset::insert(bytes, n);
                    if new && Ints::new(bytes).len() > limits.set_ints {
                        self.widen(0, hasher);
                    }
                    return new;
                }
                None => self.widen(member.len(), hasher),
            }
        }
        if let Set::Small(bytes) = self {
            let view = Packed::new(bytes);
            if view.find(&Wanted::new(member), 1).is_some() {
                return false;
            }
            if view.len() < PACKED_MEMBERS_MAX && member.len() <= PACKED_MEMBER_BYTES_MAX {
                packed::push(bytes, member);
                return true;
            }
            self.grow(hasher);
        }
        let Set::Big(table) = self else { unreachable!("a set that is neither is a table") };
        table.set(member, Str::Bytes(b""))
    }

    /// From integers to texts, packed when they and one of `more` bytes fit.
    fn widen(&mut self, more: usize, hasher: &KeyHasher) {
        let Set::Ints(bytes) = self else { return };
        let ints = Ints::new(bytes);
        if ints.len() >= PACKED_MEMBERS_MAX || more > PACKED_MEMBER_BYTES_MAX {
            self.grow(hasher);
            return;
        }
        let mut small = Vec::new();
        packed::clear(&mut small);
        let mut digits = itoa::Buffer::new();
        ints.iter().for_each(|n| packed::push(&mut small, digits.format(n).as_bytes()));
        *self = Set::Small(small);
    }

    fn grow(&mut self, hasher: &KeyHasher) {
        let mut table = Table::new(hasher, self.as_ref().len());
        self.as_ref().for_each(&mut |member| {
            table.set(member.bytes(&mut itoa::Buffer::new()), Str::Bytes(b""));
        });
        *self = Set::Big(table);
    }

    /// Removes a member; false when it is not there.
    pub fn remove(&mut self, member: &[u8]) -> bool {
        match self {
            Set::Ints(bytes) => canonical_int(member).is_some_and(|n| intset::remove(bytes, n)),
            Set::Small(bytes) => {
                let found = Packed::new(bytes).find(&Wanted::new(member), 1);
                if let Some(at) = found {
                    packed::remove(bytes, at, 1);
                }
                found.is_some()
            }
            Set::Big(table) => table.remove(member),
        }
    }

    /// Bytes of memory of a big one besides itself; constant time.
    pub fn memory_bytes(&self) -> usize {
        match self {
            Set::Ints(bytes) | Set::Small(bytes) => bytes.capacity(),
            Set::Big(table) => table.memory_bytes(),
        }
    }
}

impl Collection for Set {
    const TYPE: ValueType = ValueType::Set;

    fn empty(mut memory: Vec<u8>) -> Self {
        intset::clear(&mut memory);
        Set::Ints(memory)
    }

    fn unpack(form: Form, bytes: Vec<u8>) -> Result<Self, Vec<u8>> {
        match form {
            Form::Ints => Ok(Set::Ints(bytes)),
            Form::Set => Ok(Set::Small(bytes)),
            Form::Text | Form::List | Form::Hash | Form::Zset => Err(bytes),
        }
    }

    fn pack(self) -> Result<(Form, Vec<u8>), Self> {
        match self {
            Set::Ints(bytes) => Ok((Form::Ints, bytes)),
            Set::Small(bytes) => Ok((Form::Set, bytes)),
            Set::Big(_) => Err(self),
        }
    }

    fn of(object: &mut Object) -> Option<&mut Self> {
        if let Object::Set(set) = object { Some(set) } else { None }
    }

    fn into_object(self) -> Object {
        Object::Set(self)
    }

    fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn encodings_change_where_redis_changes_them() {
        let (limits, hasher) = (Limits { set_ints: 3, ..Limits::default() }, KeyHasher::fixed());
        let mut set = Set::empty(Vec::new());
        for n in ["1", "2", "3"] {
            set.add(n.as_bytes(), &limits, &hasher);
        }
        assert!(matches!(set, Set::Ints(_)));
        set.add(b"4", &limits, &hasher);
        assert!(matches!(set, Set::Small(_)));
        let mut texts = Set::empty(Vec::new());
        texts.add(b"1", &limits, &hasher);
        texts.add(b"01", &limits, &hasher);
        assert!(matches!(texts, Set::Small(_)) && texts.as_ref().contains(b"1"));
        texts.add(&[b'x'; 65], &limits, &hasher);
        assert!(matches!(texts, Set::Big(_)) && texts.as_ref().len() == 3);
    }

    proptest! {
        #[test]
        fn it_is_a_set_in_every_form(
            ints in 1usize..40,
            steps in prop::collection::vec((any::<bool>(), prop_oneof![
                3 => (-60i64..60).prop_map(|n| n.to_string()),
                1 => (0u32..99).prop_map(|n| format!("m{n}")),
            ]), 0..400)
        ) {
            let limits = Limits { set_ints: ints, ..Limits::default() };
            let hasher = KeyHasher::fixed();
            let mut set = Set::empty(Vec::new());
            let mut model = BTreeSet::new();
            for (add, member) in steps {
                let member = member.into_bytes();
                if add {
                    prop_assert_eq!(set.add(&member, &limits, &hasher), model.insert(member));
                } else {
                    prop_assert_eq!(set.remove(&member), model.remove(&member));
                }
                prop_assert_eq!(set.as_ref().len(), model.len());
            }
            let mut found = BTreeSet::new();
            set.as_ref().for_each(&mut |member| assert!(found.insert(member.to_vec())));
            prop_assert_eq!(&found, &model);
            let mut scanned = BTreeSet::new();
            let mut cursor = 0;
            loop {
                cursor = set.as_ref().scan(cursor, 2, &mut |member| {
                    scanned.insert(member.to_vec());
                });
                if cursor == 0 { break; }
            }
            prop_assert_eq!(&scanned, &model);
            prop_assert!(model.iter().all(|member| set.as_ref().contains(member)));
            let mut seed = 1u64;
            let picked = set.as_ref().random(&mut || {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                seed
            });
            prop_assert_eq!(picked.is_some(), !model.is_empty());
            prop_assert!(picked.is_none_or(|member| model.contains(&member.to_vec())));
        }
    }
}
