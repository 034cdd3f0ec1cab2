//! Lists: elements in order, quick at both ends.
//!
//! Small: packed elements in the key's entry. Big: packed nodes in chunks (`list/deque.rs`). A list is
//! small while it is a single node that an entry can hold.

mod deque;
#[cfg(test)]
mod tests;

use super::{
    Collection, Form, Limits, Object, ValueType, View,
    packed::{self, Item, Packed, Wanted},
};
use crate::keyspace::Value;
pub use deque::Frozen;
use deque::{Deque, NodeLimit};

/// Longest small list, bytes: what an entry holds in its own allocation.
const SMALL_BYTES: usize = 1024;

/// An end of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Where index 0 is.
    Left,
    /// Where index -1 is.
    Right,
}

/// A list, small or big.
#[derive(Clone)]
pub enum List {
    /// Packed elements.
    Small(Vec<u8>),
    /// Nodes.
    Big(Deque),
}

/// A list to be read.
#[derive(Clone, Copy)]
pub enum ListRef<'a> {
    /// Packed elements.
    Small(Packed<'a>),
    /// Nodes.
    Big(&'a Deque),
}

impl<'a> ListRef<'a> {
    /// Number of elements.
    #[inline]
    pub fn len(self) -> usize {
        match self {
            ListRef::Small(packed) => packed.len(),
            ListRef::Big(deque) => deque.len(),
        }
    }

    /// True when there is none; never so of a list in the keyspace.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The element at an index.
    pub fn get(self, index: usize) -> Option<Item<'a>> {
        match self {
            ListRef::Small(packed) => packed.nth(index as i64).map(|at| packed.get(at)),
            ListRef::Big(deque) => deque.get(index),
        }
    }

    /// Emits elements from the `from`-th on, counted from `end`, towards the other end, until
    /// `emit` says false.
    #[inline]
    pub fn walk(self, from: usize, end: End, mut emit: impl FnMut(Item<'a>) -> bool) {
        let packed = match self {
            ListRef::Big(deque) => return deque.walk(from, end, &mut emit),
            ListRef::Small(packed) => packed,
        };
        let back = end == End::Right;
        let from = from as i64;
        let mut at = packed.nth(if back { -1 - from } else { from });
        while let Some(here) = at {
            if !emit(packed.get(here)) {
                return;
            }
            at = if back { packed.prev(here) } else { packed.next(here) };
        }
    }

    /// Emits every element, the left one first.
    pub fn for_each(self, emit: &mut dyn FnMut(Item<'a>)) {
        self.walk(0, End::Left, |element| {
            emit(element);
            true
        });
    }

    /// The index of the first element that is this text.
    pub fn position(self, text: &[u8]) -> Option<usize> {
        let wanted = Wanted::new(text);
        let (mut index, mut found) = (0, false);
        self.walk(0, End::Left, |element| {
            found = element.is(&wanted);
            index += usize::from(!found);
            !found
        });
        found.then_some(index)
    }
}

impl<'a> View<'a> for ListRef<'a> {
    #[inline]
    fn of(value: Value<'a>) -> Option<Self> {
        match value {
            Value::Packed(Form::List, bytes) => Some(ListRef::Small(Packed::new(bytes))),
            Value::Object(Object::List(List::Big(deque))) => Some(ListRef::Big(deque)),
            _ => None,
        }
    }
}

impl List {
    /// The same, to be read.
    #[inline]
    pub fn as_ref(&self) -> ListRef<'_> {
        match self {
            List::Small(bytes) => ListRef::Small(Packed::new(bytes)),
            List::Big(deque) => ListRef::Big(deque),
        }
    }

    /// Adds an element at an end.
    #[inline]
    pub fn push(&mut self, end: End, text: &[u8], limits: &Limits) {
        self.make_room(1, text, limits);
        match self {
            List::Small(bytes) => {
                let at = if end == End::Left { Packed::new(bytes).first() } else { None };
                packed::insert(bytes, at, &[text]);
            }
            List::Big(deque) => deque.push(end, text, NodeLimit::of(limits.list_node)),
        }
    }

    /// Removes up to `count` elements from an end.
    pub fn drop_from(&mut self, end: End, count: usize) {
        match self {
            List::Small(bytes) => {
                let len = Packed::new(bytes).len();
                let count = count.min(len);
                let first = if end == End::Left { 0 } else { len - count };
                if let Some(at) = Packed::new(bytes).nth(first as i64) {
                    packed::remove(bytes, at, count);
                }
            }
            List::Big(deque) => deque.drop_from(end, count),
        }
    }

    /// Replaces the element at an index; false when there is none.
    pub fn set(&mut self, index: usize, text: &[u8], limits: &Limits) -> bool {
        if index >= self.as_ref().len() {
            return false;
        }
        self.make_room(0, text, limits);
        match self {
            List::Small(bytes) => {
                if let Some(at) = Packed::new(bytes).nth(index as i64) {
                    packed::replace(bytes, at, text);
                }
                true
            }
            List::Big(deque) => deque.set(index, text, NodeLimit::of(limits.list_node)),
        }
    }

    /// Puts an element in so that it has this index, at most the length.
    pub fn insert(&mut self, index: usize, text: &[u8], limits: &Limits) {
        if index >= self.as_ref().len() {
            return self.push(End::Right, text, limits);
        }
        self.make_room(1, text, limits);
        match self {
            List::Small(bytes) => {
                let at = Packed::new(bytes).nth(index as i64);
                packed::insert(bytes, at, &[text]);
            }
            List::Big(deque) => deque.insert(index, text, NodeLimit::of(limits.list_node)),
        }
    }

    /// Removes up to `max` elements that are this text, from an end on; how many there were.
    pub fn remove(&mut self, text: &[u8], end: End, max: usize, limits: &Limits) -> usize {
        match self {
            List::Small(bytes) => {
                let (packed, wanted) = (Packed::new(bytes), Wanted::new(text));
                let mut places: Vec<_> =
                    packed.places().filter(|at| packed.get(*at).is(&wanted)).collect();
                if end == End::Right {
                    places.drain(..places.len().saturating_sub(max));
                }
                places.truncate(max);
                // From the back, so that the places before stay good.
                for &at in places.iter().rev() {
                    packed::remove(bytes, at, 1);
                }
                places.len()
            }
            List::Big(deque) => deque.remove(text, end, max, NodeLimit::of(limits.list_node)),
        }
    }

    /// From small to big if it is too small for `more` elements more and this text.
    #[inline]
    fn make_room(&mut self, more: usize, text: &[u8], limits: &Limits) {
        if let List::Small(packed) = self {
            let bytes = packed.len() + packed::encoded_bytes(text);
            let elements = Packed::new(packed).len() + more;
            let limit = NodeLimit::of(limits.list_node);
            if bytes > SMALL_BYTES || !limit.allows(elements, bytes) {
                self.grow(limit);
            }
        }
    }

    #[cold]
    fn grow(&mut self, limit: NodeLimit) {
        let List::Small(packed) = self else { return };
        let mut deque = Deque::default();
        for element in Packed::new(packed).iter() {
            deque.push(End::Right, element.bytes(&mut itoa::Buffer::new()), limit);
        }
        *self = List::Big(deque);
    }

    /// Bytes of memory of a big one besides itself; constant time.
    pub fn memory_bytes(&self) -> usize {
        match self {
            List::Small(bytes) => bytes.capacity(),
            List::Big(deque) => deque.memory_bytes(),
        }
    }
}

impl Collection for List {
    const TYPE: ValueType = ValueType::List;

    fn empty(mut memory: Vec<u8>) -> Self {
        packed::clear(&mut memory);
        List::Small(memory)
    }

    fn unpack(form: Form, bytes: Vec<u8>) -> Result<Self, Vec<u8>> {
        if form == Form::List { Ok(List::Small(bytes)) } else { Err(bytes) }
    }

    fn pack(self) -> Result<(Form, Vec<u8>), Self> {
        match self {
            List::Small(bytes) => Ok((Form::List, bytes)),
            List::Big(_) => Err(self),
        }
    }

    fn of(object: &mut Object) -> Option<&mut Self> {
        if let Object::List(list) = object { Some(list) } else { None }
    }

    fn into_object(self) -> Object {
        Object::List(self)
    }

    fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }
}
