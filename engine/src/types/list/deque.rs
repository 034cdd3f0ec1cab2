//! A big list: packed nodes in chunks.
//!
//! ```text
//! Deque  chunk | chunk | chunk ...      a few per thousand nodes
//! Chunk  node | node | ... at most 64   with the number of elements below
//! Node   packed elements                as many as the limit allows
//! ```
//! Invariants: no node and no chunk is empty; counts are exact; `bytes` is the memory of all nodes
//! and of the chunks' arrays. Both ends are at hand; an index is found over the chunks' counts
//! from the nearer end. A node splits when something must go into the middle of a full one, and
//! neighbours in a chunk that fit into one node become one.
//!
//! Chunks and nodes may be shared with a [`Frozen`] list: what changes one of them copies it first, a
//! chunk's array (not its nodes) and one node. So freezing takes a step per chunk, and whoever changes
//! a frozen list does no more than a node's work.

mod frozen;

pub use frozen::Frozen;

use super::End;
use crate::{
    keyspace::size_class,
    types::packed::{self, At, Item, Packed, Wanted},
};
use std::{collections::VecDeque, mem::size_of, sync::Arc};

/// Most nodes of a chunk.
const CHUNK: usize = 64;
/// Memory of a node besides its array's place and its elements.
const NODE_BYTES: usize = size_class(2 * size_of::<usize>() + size_of::<Vec<u8>>());
/// A node gives memory back when it uses less than one in so many of its bytes.
const SLACK: usize = 4;

/// How much a node may hold; a single element always fits.
#[derive(Debug, Clone, Copy)]
pub struct NodeLimit {
    elements: usize,
    bytes: usize,
}

impl NodeLimit {
    /// Most elements of a node, whatever is asked for.
    const ELEMENTS_MAX: i64 = 32_767;
    /// Most bytes of a node whose elements are counted.
    const BYTES_IF_COUNTED: usize = 8192;

    /// From the directive's value: elements, or -1 .. -5 for 4 .. 64 KiB.
    pub fn of(directive: i64) -> Self {
        if directive < 0 {
            let step = directive.unsigned_abs().min(5);
            return Self { elements: usize::MAX, bytes: 2048 << step };
        }
        let elements = directive.clamp(1, Self::ELEMENTS_MAX) as usize;
        Self { elements, bytes: Self::BYTES_IF_COUNTED }
    }

    /// True when a run of so many elements and bytes is a node.
    #[inline]
    pub fn allows(self, elements: usize, bytes: usize) -> bool {
        elements <= 1 || (elements <= self.elements && bytes <= self.bytes)
    }
}

#[derive(Clone)]
struct Node {
    packed: Arc<Vec<u8>>,
    len: usize,
}

impl Node {
    fn of(text: &[u8]) -> Self {
        let mut packed =
            Vec::with_capacity(size_class(packed::bytes_max(0, 0) + packed::encoded_bytes(text)));
        packed::clear(&mut packed);
        packed::push(&mut packed, text);
        Self { packed: Arc::new(packed), len: 1 }
    }

    /// The elements, to be changed: the node's own from now on.
    #[inline]
    fn packed_mut(&mut self) -> &mut Vec<u8> {
        Arc::make_mut(&mut self.packed)
    }

    /// Memory besides its place in the array.
    fn bytes(&self) -> usize {
        NODE_BYTES + self.packed.capacity()
    }

    #[inline]
    fn view(&self) -> Packed<'_> {
        Packed::new(&self.packed)
    }

    /// The element at an offset below `len`.
    fn at(&self, offset: usize) -> Option<At> {
        let index = offset as i64;
        self.view().nth(if offset <= self.len / 2 { index } else { index - self.len as i64 })
    }

    /// True when another element of so many bytes fits.
    #[inline]
    fn has_room(&self, bytes: usize, limit: NodeLimit) -> bool {
        limit.allows(self.len + 1, self.packed.len() + bytes)
    }

    /// Grows by whole size classes, so that memory is used.
    #[inline]
    fn reserve(&mut self, bytes: usize) {
        let needed = self.packed.len() + bytes;
        let packed = self.packed_mut();
        if needed > packed.capacity() {
            packed.reserve_exact(size_class(needed) - packed.len());
        }
    }

    fn give_back(&mut self) {
        if self.packed.len() * SLACK < self.packed.capacity() {
            let least = size_class(2 * self.packed.len());
            self.packed_mut().shrink_to(least);
        }
    }
}

#[derive(Default)]
struct Chunk {
    nodes: Arc<VecDeque<Node>>,
    len: usize,
}

impl Chunk {
    /// The nodes, to be changed: the chunk's own from now on.
    #[inline]
    fn nodes_mut(&mut self) -> &mut VecDeque<Node> {
        Arc::make_mut(&mut self.nodes)
    }

    /// Memory of the array of nodes.
    fn array_bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<Node>()
    }

    /// Memory of array and nodes, counted.
    fn count_bytes(&self) -> usize {
        self.array_bytes() + self.nodes.iter().map(Node::bytes).sum::<usize>()
    }

    fn count_len(&self) -> usize {
        self.nodes.iter().map(|node| node.len).sum()
    }

    /// Removes empty nodes and joins neighbours that are one node together.
    fn settle(&mut self, limit: NodeLimit) {
        self.nodes_mut().retain(|node| node.len > 0);
        let mut n = 1;
        while n < self.nodes.len() {
            if !self.join(n - 1, limit) {
                n += 1;
            }
        }
        self.len = self.count_len();
    }

    /// Joins the node with the one behind it if they fit together.
    fn join(&mut self, n: usize, limit: NodeLimit) -> bool {
        let (Some(left), Some(right)) = (self.nodes.get(n), self.nodes.get(n + 1)) else {
            return false;
        };
        let (elements, bytes) = (left.len + right.len, left.packed.len() + right.packed.len());
        if !limit.allows(elements, bytes) {
            return false;
        }
        let nodes = self.nodes_mut();
        if let (Some(right), Some(left)) = (nodes.remove(n + 1), nodes.get_mut(n)) {
            left.reserve(right.packed.len());
            packed::append(left.packed_mut(), right.view());
            left.len += right.len;
        }
        true
    }
}

/// The list.
#[derive(Default)]
pub struct Deque {
    chunks: VecDeque<Chunk>,
    len: usize,
    bytes: usize,
}

/// A node's place, and an element's in it.
#[derive(Debug, Clone, Copy)]
struct Place {
    chunk: usize,
    node: usize,
    offset: usize,
}

impl Deque {
    /// Number of elements.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The packed nodes, from the left.
    pub fn nodes(&self) -> impl Iterator<Item = Packed<'_>> {
        self.chunks.iter().flat_map(|chunk| chunk.nodes.iter().map(Node::view))
    }

    /// Bytes of memory besides itself; constant time.
    pub fn memory_bytes(&self) -> usize {
        self.chunks.capacity() * size_of::<Chunk>() + self.bytes
    }

    /// The place of an element, `index` below the length, from the nearer end.
    fn locate(&self, index: usize) -> Place {
        let (mut chunk, mut before) = (0, 0);
        if index <= self.len / 2 {
            while index - before >= self.chunks[chunk].len {
                before += self.chunks[chunk].len;
                chunk += 1;
            }
        } else {
            (chunk, before) = (self.chunks.len(), self.len);
            while index < before {
                chunk -= 1;
                before -= self.chunks[chunk].len;
            }
        }
        let nodes = &self.chunks[chunk].nodes;
        let (mut node, mut offset) = (0, index - before);
        while offset >= nodes[node].len {
            offset -= nodes[node].len;
            node += 1;
        }
        Place { chunk, node, offset }
    }

    /// The element at an index.
    pub fn get(&self, index: usize) -> Option<Item<'_>> {
        if index >= self.len {
            return None;
        }
        let place = self.locate(index);
        let node = &self.chunks[place.chunk].nodes[place.node];
        node.at(place.offset).map(|at| node.view().get(at))
    }

    /// Emits elements, from the `from`-th on (counted from the end where it begins), until `emit`
    /// says false.
    #[inline]
    pub fn walk<'a>(&'a self, from: usize, end: End, emit: &mut impl FnMut(Item<'a>) -> bool) {
        if from >= self.len {
            return;
        }
        let back = end == End::Right;
        let place = self.locate(if back { self.len - 1 - from } else { from });
        let (mut c, mut n) = (place.chunk, place.node);
        let mut at = self.chunks[c].nodes[n].at(place.offset);
        loop {
            let node = self.chunks[c].nodes[n].view();
            while let Some(here) = at {
                if !emit(node.get(here)) {
                    return;
                }
                at = if back { node.prev(here) } else { node.next(here) };
            }
            if back && n > 0 {
                n -= 1;
            } else if back {
                let Some(chunk) = c.checked_sub(1) else { return };
                (c, n) = (chunk, self.chunks[chunk].nodes.len() - 1);
            } else {
                n += 1;
                if n == self.chunks[c].nodes.len() {
                    (c, n) = (c + 1, 0);
                }
                if c == self.chunks.len() {
                    return;
                }
            }
            let node = self.chunks[c].nodes[n].view();
            at = if back { node.last() } else { node.first() };
        }
    }

    /// The place of the first or last node; there is one.
    fn outer(&self, end: End) -> Place {
        let chunk = if end == End::Left { 0 } else { self.chunks.len() - 1 };
        let node = if end == End::Left { 0 } else { self.chunks[chunk].nodes.len() - 1 };
        Place { chunk, node, offset: 0 }
    }

    /// Changes a node that does not become empty; counts stay true.
    fn edit<R>(&mut self, place: Place, edit: impl FnOnce(&mut Node) -> R) -> R {
        let chunk = &mut self.chunks[place.chunk];
        let array = chunk.array_bytes();
        let node = &mut chunk.nodes_mut()[place.node];
        let (len, bytes) = (node.len, node.bytes());
        let result = edit(node);
        debug_assert_eq!(node.len, node.view().len());
        let (len_now, bytes_now) = (node.len, node.bytes());
        chunk.len = chunk.len + len_now - len;
        self.len = self.len + len_now - len;
        self.bytes = self.bytes + bytes_now - bytes + chunk.array_bytes() - array;
        result
    }

    /// Puts a node in before the place; its node may be one behind the chunk's last.
    fn insert_node(&mut self, place: Place, node: Node) {
        let Place { mut chunk, node: mut at, .. } = place;
        if self.chunks.get(chunk).is_none_or(|chunk| chunk.nodes.len() == CHUNK) {
            // A full chunk is halved, unless the list grows at an end.
            let full = self.chunks.get_mut(chunk);
            let cut = if at == 0 {
                0
            } else if at == CHUNK {
                CHUNK
            } else {
                CHUNK / 2
            };
            let mut behind = Chunk::default();
            if let Some(full) = full
                && cut > 0
                && cut < CHUNK
            {
                let before = full.array_bytes();
                behind.nodes = Arc::new(full.nodes_mut().split_off(cut));
                behind.len = behind.count_len();
                full.len -= behind.len;
                self.bytes = self.bytes + full.array_bytes() + behind.array_bytes() - before;
            }
            let new = if cut == 0 { chunk } else { chunk + 1 };
            self.chunks.insert(new, behind);
            if at >= cut && cut > 0 {
                (chunk, at) = (new, at - cut);
            }
        }
        let chunk = &mut self.chunks[chunk];
        let before = chunk.array_bytes();
        self.bytes += node.bytes();
        self.len += node.len;
        chunk.len += node.len;
        chunk.nodes_mut().insert(at, node);
        self.bytes = self.bytes + chunk.array_bytes() - before;
    }

    fn remove_node(&mut self, place: Place) {
        let chunk = &mut self.chunks[place.chunk];
        let array = chunk.array_bytes();
        let removed = chunk.nodes_mut().remove(place.node);
        self.bytes = self.bytes + chunk.array_bytes() - array;
        if let Some(node) = removed {
            self.bytes -= node.bytes();
            self.len -= node.len;
            chunk.len -= node.len;
        }
        if chunk.nodes.is_empty() {
            self.bytes -= chunk.array_bytes();
            self.chunks.remove(place.chunk);
        }
    }

    /// Adds an element at an end.
    pub fn push(&mut self, end: End, text: &[u8], limit: NodeLimit) {
        let bytes = packed::encoded_bytes(text);
        if self.len == 0 {
            return self.insert_node(Place { chunk: 0, node: 0, offset: 0 }, Node::of(text));
        }
        let outer = self.outer(end);
        if !self.chunks[outer.chunk].nodes[outer.node].has_room(bytes, limit) {
            let node = if end == End::Left { 0 } else { outer.node + 1 };
            return self.insert_node(Place { node, ..outer }, Node::of(text));
        }
        self.edit(outer, |node| {
            node.reserve(bytes);
            let at = if end == End::Left { node.view().first() } else { None };
            packed::insert(node.packed_mut(), at, &[text]);
            node.len += 1;
        });
    }

    /// Removes up to `count` elements from an end.
    pub fn drop_from(&mut self, end: End, mut count: usize) {
        while count > 0 && self.len > 0 {
            let outer = self.outer(end);
            let len = self.chunks[outer.chunk].nodes[outer.node].len;
            if len <= count {
                self.remove_node(outer);
                count -= len;
                continue;
            }
            self.edit(outer, |node| {
                let first = if end == End::Left { 0 } else { len - count };
                if let Some(at) = node.at(first) {
                    packed::remove(node.packed_mut(), at, count);
                    node.len -= count;
                    node.give_back();
                }
            });
            return;
        }
    }

    /// Replaces the element at an index; false when there is none.
    pub fn set(&mut self, index: usize, text: &[u8], limit: NodeLimit) -> bool {
        if index >= self.len {
            return false;
        }
        let place = self.locate(index);
        let fits = self.edit(place, |node| {
            node.reserve(packed::encoded_bytes(text));
            if let Some(at) = node.at(place.offset) {
                packed::replace(node.packed_mut(), at, text);
            }
            limit.allows(node.len, node.packed.len())
        });
        if !fits {
            self.split(index + 1);
            self.split(index);
        }
        true
    }

    /// Makes a node begin at an index.
    fn split(&mut self, index: usize) {
        if index == 0 || index >= self.len {
            return;
        }
        let place = self.locate(index);
        if place.offset == 0 {
            return;
        }
        let behind = self.edit(place, |node| {
            let packed = match node.at(place.offset) {
                Some(at) => Arc::new(packed::split_off(node.packed_mut(), at)),
                None => return None,
            };
            let len = node.len - place.offset;
            node.len = place.offset;
            node.give_back();
            Some(Node { packed, len })
        });
        if let Some(behind) = behind {
            self.insert_node(Place { node: place.node + 1, ..place }, behind);
        }
    }

    /// Puts an element in before the one at an index below the length.
    pub fn insert(&mut self, index: usize, text: &[u8], limit: NodeLimit) {
        let bytes = packed::encoded_bytes(text);
        let mut place = self.locate(index);
        let room = |deque: &Self, place: Place| {
            deque.chunks[place.chunk].nodes[place.node].has_room(bytes, limit)
        };
        if !room(self, place) {
            self.split(index);
            place = self.locate(index);
        }
        if !room(self, place) && index > 0 {
            // Behind the one before, if that node has room.
            let mut before = self.locate(index - 1);
            before.offset += 1;
            if room(self, before) {
                place = before;
            }
        }
        if room(self, place) {
            self.edit(place, |node| {
                node.reserve(bytes);
                let at = if place.offset < node.len { node.at(place.offset) } else { None };
                packed::insert(node.packed_mut(), at, &[text]);
                node.len += 1;
            });
        } else {
            self.insert_node(place, Node::of(text));
        }
        self.join_around(index, limit);
    }

    /// Joins the node of an element with its neighbours if they fit together.
    fn join_around(&mut self, index: usize, limit: NodeLimit) {
        let place = self.locate(index);
        let chunk = &mut self.chunks[place.chunk];
        let before = chunk.count_bytes();
        let joined =
            chunk.join(place.node, limit) | (place.node > 0 && chunk.join(place.node - 1, limit));
        if joined {
            self.bytes = self.bytes + chunk.count_bytes() - before;
        }
    }

    /// Removes up to `max` elements that are this text, from an end on; how many there were.
    pub fn remove(&mut self, text: &[u8], end: End, max: usize, limit: NodeLimit) -> usize {
        let (wanted, mut left) = (Wanted::new(text), max);
        let mut places = Vec::new();
        for step in 0..self.chunks.len() {
            let c = if end == End::Left { step } else { self.chunks.len() - 1 - step };
            let chunk = &mut self.chunks[c];
            let (had, before) = (left, chunk.count_bytes());
            for step in 0..chunk.nodes.len() {
                if left == 0 {
                    break;
                }
                let n = if end == End::Left { step } else { chunk.nodes.len() - 1 - step };
                let packed = chunk.nodes[n].view();
                places.extend(packed.places().filter(|at| packed.get(*at).is(&wanted)));
                let surplus = places.len().saturating_sub(left);
                match end {
                    End::Left => places.truncate(left),
                    End::Right => drop(places.drain(..surplus)),
                }
                if places.is_empty() {
                    continue;
                }
                left -= places.len();
                let node = &mut chunk.nodes_mut()[n];
                node.len -= places.len();
                // From the back, so that the places before stay good.
                while let Some(at) = places.pop() {
                    packed::remove(node.packed_mut(), at, 1);
                }
                node.give_back();
            }
            if left < had {
                chunk.settle(limit);
                self.bytes = self.bytes + chunk.count_bytes() - before;
            }
            if left == 0 {
                break;
            }
        }
        self.len -= max - left;
        if left < max {
            self.settle();
        }
        max - left
    }

    /// Removes empty chunks and joins sparse neighbours.
    fn settle(&mut self) {
        let before: usize = self.chunks.iter().map(Chunk::array_bytes).sum();
        let mut c = 0;
        while c < self.chunks.len() {
            let nodes = self.chunks[c].nodes.len();
            let sparse = self.chunks.get(c + 1).is_some_and(|b| nodes + b.nodes.len() <= CHUNK / 2);
            if nodes == 0 {
                self.chunks.remove(c);
            } else if sparse && let Some(mut behind) = self.chunks.remove(c + 1) {
                self.chunks[c].nodes_mut().append(behind.nodes_mut());
                self.chunks[c].len += behind.len;
            } else {
                c += 1;
            }
        }
        let after: usize = self.chunks.iter().map(Chunk::array_bytes).sum();
        self.bytes = self.bytes + after - before;
    }

    /// Checks the invariants.
    #[cfg(test)]
    pub fn check(&self, limit: Option<NodeLimit>) {
        let chunks = self.chunks.iter();
        assert_eq!(self.bytes, chunks.clone().map(Chunk::count_bytes).sum::<usize>());
        assert_eq!(self.len, chunks.clone().map(|chunk| chunk.len).sum::<usize>());
        for chunk in chunks {
            assert_eq!(chunk.len, chunk.count_len());
            assert!((1..=CHUNK).contains(&chunk.nodes.len()));
            for node in chunk.nodes.iter() {
                assert!(node.len > 0 && node.len == node.view().len());
                assert!(limit.is_none_or(|limit| limit.allows(node.len, node.packed.len())));
            }
        }
    }
}
