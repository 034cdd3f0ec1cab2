//! Elements, as an RDB file or a payload has them -> a value that is in no keyspace yet.
//!
//! What a file says is not trusted: elements that come twice and impossible streams are refused.
//! Memory grows with the elements that come, never by what is announced.

use super::streams::StreamBuilder;
use crate::{
    keyspace::{Database, Key, KeyHasher, Origin},
    rdb::{Element, Kind, Text},
    types::{Collection, Hash, Limits, List, Set, Stream, Zset, list::End},
};
use std::fmt;

/// Bytes in the log of an element besides its text: frames, a score.
const ELEMENT_FRAME_BYTES: usize = 48;

/// A value.
pub enum Built {
    /// A string.
    Text(Vec<u8>),
    /// A list.
    List(List),
    /// A set.
    Set(Set),
    /// A sorted set.
    Zset(Zset),
    /// A hash.
    Hash(Hash),
    /// A stream.
    Stream(Box<Stream>),
}

impl Built {
    /// Puts the value in under a key; false, and nothing is done, when there is such a key.
    pub fn load(self, database: &mut Database, key: Key<'_>, origin: Origin) -> bool {
        match self {
            Built::Text(text) => database.load_text(key, &text, origin),
            Built::List(list) => database.load_collection(key, list, origin),
            Built::Set(set) => database.load_collection(key, set, origin),
            Built::Zset(zset) => database.load_collection(key, zset, origin),
            Built::Hash(hash) => database.load_collection(key, hash, origin),
            Built::Stream(stream) => database.load_collection(key, *stream, origin),
        }
    }
}

/// Why elements make no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// A field, a member, a group.. that was there already.
    Twice(&'static str),
    /// A field of a hash has a deadline.
    FieldDeadline,
    /// What cannot be.
    Wrong(&'static str),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Twice(what) => write!(f, "{what} comes twice"),
            Refused::FieldDeadline => f.write_str(
                "a hash with deadlines of fields: remove them with HPERSIST on the server that \
                 wrote it",
            ),
            Refused::Wrong(what) => f.write_str(what),
        }
    }
}

/// Builds one value after the other.
#[derive(Default)]
pub struct Builder {
    value: Option<Building>,
    /// It stays small as long as it has not too many elements, as in Redis.
    packed: bool,
    log_bytes: usize,
}

enum Building {
    Text(Vec<u8>),
    List(List),
    Set(Set),
    Zset(Zset),
    Hash(Hash),
    Stream(Box<StreamBuilder>),
}

/// Takes the elements of another kind than they are.
const MIXED: Refused = Refused::Wrong("an element of another type");

impl Builder {
    /// Nothing begun.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a value, which comes packed or not; what was begun before is dropped.
    pub fn begin(&mut self, kind: Kind, packed: bool) {
        self.log_bytes = 0;
        self.packed = packed;
        self.value = Some(match kind {
            Kind::String => Building::Text(Vec::new()),
            Kind::List => Building::List(List::empty(Vec::new())),
            Kind::Set => Building::Set(Set::empty(Vec::new())),
            Kind::Zset => Building::Zset(Zset::empty(Vec::new())),
            Kind::Hash => Building::Hash(Hash::empty(Vec::new())),
            Kind::Stream => Building::Stream(Box::default()),
        });
    }

    /// Bytes that the value takes in the log, about.
    pub fn log_bytes(&self) -> usize {
        self.log_bytes
    }

    /// Takes the next element.
    ///
    /// # Errors
    /// Why it makes no value; this one is to be given up then.
    pub fn take(
        &mut self,
        element: Element<Text<'_>>,
        limits: &Limits,
        hasher: &KeyHasher,
    ) -> Result<(), Refused> {
        let (mut digits, mut more) = (itoa::Buffer::new(), itoa::Buffer::new());
        self.log_bytes += ELEMENT_FRAME_BYTES;
        let of_any_length;
        let limits = if self.packed {
            of_any_length = limits.of_any_length();
            &of_any_length
        } else {
            limits
        };
        match (self.value.as_mut().ok_or(MIXED)?, element) {
            (Building::Text(value), Element::Value(text)) => {
                value.extend_from_slice(text.bytes(&mut digits));
                self.log_bytes += value.len();
            }
            (Building::List(list), Element::Item(text)) => {
                let text = text.bytes(&mut digits);
                self.log_bytes += text.len();
                list.push(End::Right, text, limits);
            }
            (Building::Set(set), Element::Member(text)) => {
                let text = text.bytes(&mut digits);
                self.log_bytes += text.len();
                if !set.add(text, limits, hasher) {
                    return Err(Refused::Twice("a member of a set"));
                }
            }
            (Building::Zset(zset), Element::Scored(text, score)) => {
                let text = text.bytes(&mut digits);
                self.log_bytes += text.len();
                if score.is_nan() {
                    return Err(Refused::Wrong("a score that is not a number"));
                }
                if zset.set(text, score, limits, hasher).is_some() {
                    return Err(Refused::Twice("a member of a sorted set"));
                }
            }
            (Building::Hash(hash), Element::Field { field, value, expires_ms }) => {
                if expires_ms.is_some() {
                    return Err(Refused::FieldDeadline);
                }
                let (field, value) = (field.bytes(&mut digits), value.bytes(&mut more));
                self.log_bytes += field.len() + value.len();
                if !hash.set(field, value, limits, hasher) {
                    return Err(Refused::Twice("a field of a hash"));
                }
            }
            (Building::Stream(stream), element) => self.log_bytes += stream.take(element)?,
            _ => return Err(MIXED),
        }
        Ok(())
    }

    /// The value; none when it is a collection without elements, which Redis passes over.
    ///
    /// # Errors
    /// Something is missing.
    pub fn finish(&mut self) -> Result<Option<Built>, Refused> {
        fn some<T: Collection>(value: T, built: impl FnOnce(T) -> Built) -> Option<Built> {
            (!value.is_empty()).then(|| built(value))
        }
        Ok(match self.value.take().ok_or(MIXED)? {
            Building::Text(value) => Some(Built::Text(value)),
            Building::List(list) => some(list, Built::List),
            Building::Set(set) => some(set, Built::Set),
            Building::Zset(zset) => some(zset, Built::Zset),
            Building::Hash(hash) => some(hash, Built::Hash),
            Building::Stream(stream) => Some(Built::Stream(Box::new(stream.finish()?))),
        })
    }
}
