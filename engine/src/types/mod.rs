//! Values that are collections: structure and encodings.
//!
//! ```text
//! small: one run of bytes in (or behind) the key's entry     packed.rs, intset.rs
//! big:   an Object in memory of its own                      hash.rs, set.rs, list.rs ...
//! ```
//! A type (`Hash`, ..) is either, and turns from small to big by [`Limits`], never back, as Redis
//! does. A type knows no key, no argument and no reply; deterministic: chance comes in as an
//! argument. Big forms are made of small nodes (a table's segments, a tree's leaves), so that no
//! operation ever moves more than one node and a walk can go on beside writers.

pub mod hash;
pub mod hyperloglog;
pub mod intset;
mod limits;
pub mod list;
pub mod packed;
mod rewrite;
pub mod set;
pub mod stream;
pub mod zset;

pub use hash::{Hash, HashRef};
pub use limits::Limits;
pub use list::{List, ListRef};
pub use rewrite::rewrite;
pub use set::{Set, SetRef};
pub use stream::Stream;
pub use zset::{Zset, ZsetRef};

use crate::keyspace::{Table, Trash, Value};

/// Elements above which a value is freed in pieces.
const LABORIOUS_ELEMENTS: usize = 64;

/// What TYPE says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// `string`
    String,
    /// `list`
    List,
    /// `set`
    Set,
    /// `zset`
    Zset,
    /// `hash`
    Hash,
    /// `stream`
    Stream,
}

impl ValueType {
    /// The word TYPE answers with.
    pub fn name(self) -> &'static str {
        match self {
            ValueType::String => "string",
            ValueType::List => "list",
            ValueType::Set => "set",
            ValueType::Zset => "zset",
            ValueType::Hash => "hash",
            ValueType::Stream => "stream",
        }
    }
}

/// What the bytes of a small value are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Form {
    /// The text of a string.
    Text = 0,
    /// Packed elements of a list.
    List = 1,
    /// Packed fields and values of a hash.
    Hash = 2,
    /// Packed members of a set.
    Set = 3,
    /// Sorted integers of a set, of one width.
    Ints = 4,
    /// Packed members and scores of a sorted set.
    Zset = 5,
}

impl Form {
    /// All, by number.
    pub const ALL: [Form; 6] =
        [Form::Text, Form::List, Form::Hash, Form::Set, Form::Ints, Form::Zset];

    /// The type of the value.
    pub fn kind(self) -> ValueType {
        match self {
            Form::Text => ValueType::String,
            Form::List => ValueType::List,
            Form::Hash => ValueType::Hash,
            Form::Set | Form::Ints => ValueType::Set,
            Form::Zset => ValueType::Zset,
        }
    }

    /// As OBJECT ENCODING of Redis 7.0 says it; for strings the entry knows more.
    pub fn encoding(self) -> &'static str {
        match self {
            Form::Text => "raw",
            Form::Hash | Form::Zset => "listpack",
            Form::List => "quicklist",
            // Redis 7.0 has no packed sets of texts.
            Form::Set => "hashtable",
            Form::Ints => "intset",
        }
    }
}

/// A big value, in memory of its own.
#[derive(Clone)]
pub enum Object {
    /// A list.
    List(List),
    /// A hash.
    Hash(Hash),
    /// A set.
    Set(Set),
    /// A sorted set.
    Zset(Zset),
    /// A stream.
    Stream(Box<Stream>),
}

impl Object {
    /// The type.
    pub fn kind(&self) -> ValueType {
        match self {
            Object::List(_) => ValueType::List,
            Object::Hash(_) => ValueType::Hash,
            Object::Set(_) => ValueType::Set,
            Object::Zset(_) => ValueType::Zset,
            Object::Stream(_) => ValueType::Stream,
        }
    }

    /// Takes next to nothing; stands where a value has been taken out of an entry to be freed.
    pub fn nothing() -> Self {
        Object::Hash(Hash::Small(Vec::new()))
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            Object::List(list) => list.as_ref().len(),
            Object::Hash(hash) => hash.as_ref().len(),
            Object::Set(set) => set.as_ref().len(),
            Object::Zset(zset) => zset.as_ref().len(),
            Object::Stream(stream) => stream.length() as usize,
        }
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The table that has its elements, if it has one; for walks over them.
    pub fn table_mut(&mut self) -> Option<&mut Table> {
        match self {
            Object::Hash(Hash::Big(table)) | Object::Set(Set::Big(table)) => Some(table),
            Object::Zset(zset) => zset.table_mut(),
            Object::List(_) | Object::Hash(_) | Object::Set(_) | Object::Stream(_) => None,
        }
    }

    /// True when freeing it takes so long that it is better done in pieces: Redis' bound.
    pub fn is_laborious(&self) -> bool {
        self.len() > LABORIOUS_ELEMENTS
    }

    /// Frees it or hands its parts to the trash, to be freed bit by bit.
    pub fn dismantle(self, trash: &mut Trash) {
        match self {
            Object::Hash(Hash::Big(table)) | Object::Set(Set::Big(table)) => trash.table(table),
            Object::Zset(Zset::Big(ranked)) => ranked.dismantle(trash),
            Object::List(List::Big(deque)) => trash.part(Box::new(deque)),
            Object::Stream(stream) => trash.part(stream),
            // In one or two allocations.
            Object::List(List::Small(_))
            | Object::Hash(Hash::Small(_))
            | Object::Set(_)
            | Object::Zset(Zset::Small(_)) => {}
        }
    }

    /// As OBJECT ENCODING of Redis 7.0 says it.
    pub fn encoding(&self) -> &'static str {
        match self {
            Object::List(_) => "quicklist",
            Object::Hash(_) | Object::Set(_) => "hashtable",
            Object::Zset(_) => "skiplist",
            Object::Stream(_) => "stream",
        }
    }

    /// Bytes of memory that it takes, itself included; constant time.
    #[inline]
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + match self {
                Object::List(list) => list.memory_bytes(),
                Object::Hash(hash) => hash.memory_bytes(),
                Object::Set(set) => set.memory_bytes(),
                Object::Zset(zset) => zset.memory_bytes(),
                Object::Stream(stream) => stream.memory_bytes(),
            }
    }
}

/// A type of collection, small or big: what the keyspace must know to keep one.
pub trait Collection: Sized {
    /// The type.
    const TYPE: ValueType;

    /// One without elements, small; `memory` may be used for its bytes.
    fn empty(memory: Vec<u8>) -> Self;
    /// A small one from its bytes; None when they are another type's, with the memory.
    fn unpack(form: Form, bytes: Vec<u8>) -> Result<Self, Vec<u8>>;
    /// The bytes of a small one; a big one as it is.
    fn pack(self) -> Result<(Form, Vec<u8>), Self>;
    /// The collection in an object, None when it is of another type.
    fn of(object: &mut Object) -> Option<&mut Self>;
    /// A big one as an object.
    fn into_object(self) -> Object;
    /// True when it has no elements, so that its key goes; never of a type that keeps its key.
    fn is_empty(&self) -> bool;
}

/// A type of collection, small or big, to be read.
pub trait View<'a>: Sized {
    /// The collection in a value, None when it is of another type.
    fn of(value: Value<'a>) -> Option<Self>;
}
