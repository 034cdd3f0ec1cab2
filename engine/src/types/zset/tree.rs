//! Members of a big sorted set by score, then by text: a B+ tree that counts.
//!
//! Leaves hold (score, handle of the member's entry); inner nodes hold their children with the
//! number of members below each and the first of them, so rank, select and both kinds of search
//! are logarithmic. A node that is full splits; one that is less than a quarter full merges with a
//! neighbour when both fit. Members in ascending order fill leaves whole. Invariants: every
//! handle names an entry that lives in the set's table; children's `first` and `count` are exact.

use crate::keyspace::{Handle, Shed};
use std::cmp::Ordering;

/// Most items of a leaf, and most children of an inner node.
const LEAF: usize = 62;
const INNER: usize = 42;

/// A member with its score.
#[derive(Clone, Copy)]
pub struct Item {
    /// Never NaN.
    pub score: f64,
    /// The member's entry.
    pub handle: Handle,
}

/// A place between items: what comes before it.
pub type Before<'a> = &'a dyn Fn(&Item) -> bool;

struct Child {
    first: Item,
    count: usize,
    node: Box<Node>,
}

enum Node {
    Leaf(Vec<Item>),
    Inner(Vec<Child>),
}

/// Nodes of a tree that is freed one by one.
struct Nodes(Vec<Node>);

impl Shed for Nodes {
    fn shed(&mut self) -> bool {
        if let Some(Node::Inner(children)) = self.0.pop() {
            self.0.extend(children.into_iter().map(|child| *child.node));
        }
        !self.0.is_empty()
    }
}

/// The tree.
pub struct Tree {
    root: Node,
    len: usize,
    leaves: usize,
    inners: usize,
}

impl Item {
    /// By score, then by text.
    #[inline]
    fn cmp_to(&self, score: f64, text: &[u8]) -> Ordering {
        // Scores are never NaN, and -0 equals 0.
        match self.score.partial_cmp(&score) {
            Some(Ordering::Less) => Ordering::Less,
            Some(Ordering::Greater) => Ordering::Greater,
            // SAFETY: the tree's invariant: the entry lives.
            _ => unsafe { self.handle.text() }.cmp(text),
        }
    }
}

impl Node {
    fn leaf() -> Self {
        Node::Leaf(Vec::with_capacity(LEAF))
    }

    fn count(&self) -> usize {
        match self {
            Node::Leaf(items) => items.len(),
            Node::Inner(children) => children.iter().map(|child| child.count).sum(),
        }
    }

    fn first(&self) -> Option<Item> {
        match self {
            Node::Leaf(items) => items.first().copied(),
            Node::Inner(children) => children.first().map(|child| child.first),
        }
    }

    fn entries(&self) -> usize {
        match self {
            Node::Leaf(items) => items.len(),
            Node::Inner(children) => children.len(),
        }
    }

    /// The child that holds, or should hold, what is not before this.
    fn child_for(children: &[Child], item_cmp: impl Fn(&Item) -> Ordering) -> usize {
        children.partition_point(|c| item_cmp(&c.first) != Ordering::Greater).saturating_sub(1)
    }
}

impl Child {
    fn of(node: Node) -> Option<Self> {
        Some(Child { first: node.first()?, count: node.count(), node: Box::new(node) })
    }
}

impl Default for Tree {
    fn default() -> Self {
        Self { root: Node::leaf(), len: 0, leaves: 1, inners: 0 }
    }
}

impl Tree {
    /// The tree to be freed node by node.
    pub fn into_nodes(self) -> Box<dyn Shed> {
        Box::new(Nodes(vec![self.root]))
    }

    /// Number of members.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Bytes of memory besides itself; constant time.
    pub fn memory_bytes(&self) -> usize {
        self.leaves * (LEAF * size_of::<Item>() + size_of::<Node>())
            + self.inners * (INNER * size_of::<Child>() + size_of::<Node>())
    }

    /// Puts an item in that is not there.
    pub fn insert(&mut self, item: Item) {
        // SAFETY: the caller's entry lives.
        let text = unsafe { item.handle.text() };
        let mut grown = Grown::default();
        let right = insert(&mut self.root, item, text, &mut grown);
        if let Some(right) = right {
            let left = std::mem::replace(&mut self.root, Node::leaf());
            let mut children = Vec::with_capacity(INNER);
            children.extend(Child::of(left));
            children.push(right);
            self.root = Node::Inner(children);
            grown.inners += 1;
        }
        self.leaves += grown.leaves;
        self.inners += grown.inners;
        self.len += 1;
    }

    /// Takes the member with this score and text out; false when it is not there.
    pub fn remove(&mut self, score: f64, text: &[u8]) -> bool {
        let mut lost = Grown::default();
        let removed = remove(&mut self.root, score, text, &mut lost);
        while let Node::Inner(children) = &mut self.root {
            if children.len() > 1 {
                break;
            }
            lost.inners += 1;
            self.root = match children.pop() {
                Some(child) => *child.node,
                None => {
                    self.leaves += 1;
                    Node::leaf()
                }
            };
        }
        self.leaves -= lost.leaves;
        self.inners -= lost.inners;
        self.len -= usize::from(removed);
        removed
    }

    /// Number of items before the place that `before` says: true for a prefix of the items.
    pub fn rank(&self, before: Before<'_>) -> usize {
        let (mut node, mut rank) = (&self.root, 0);
        loop {
            match node {
                Node::Leaf(items) => return rank + items.partition_point(before),
                Node::Inner(children) => {
                    let at = children.partition_point(|c| before(&c.first)).saturating_sub(1);
                    rank += children[..at].iter().map(|child| child.count).sum::<usize>();
                    node = &children[at].node;
                }
            }
        }
    }

    /// Number of items before this member.
    pub fn rank_of(&self, score: f64, text: &[u8]) -> usize {
        self.rank(&|item| item.cmp_to(score, text) == Ordering::Less)
    }

    /// The leaf that holds the item of this rank, and where in it.
    fn leaf_at(&self, rank: usize) -> Option<(&[Item], usize)> {
        let (mut node, mut left) = (&self.root, rank);
        loop {
            match node {
                Node::Leaf(items) => return (left < items.len()).then_some((items, left)),
                Node::Inner(children) => {
                    let child = children.iter().find(|child| {
                        let here = left < child.count;
                        if !here {
                            left -= child.count;
                        }
                        here
                    })?;
                    node = &child.node;
                }
            }
        }
    }

    /// The item of a rank, 0 the first.
    pub fn at(&self, rank: usize) -> Option<Item> {
        self.leaf_at(rank).map(|(items, index)| items[index])
    }

    /// Items from a rank on, upwards, until `emit` says false.
    pub fn upwards(&self, mut rank: usize, emit: &mut dyn FnMut(&Item) -> bool) {
        while let Some((items, index)) = self.leaf_at(rank) {
            for item in &items[index..] {
                if !emit(item) {
                    return;
                }
            }
            rank += items.len() - index;
        }
    }

    /// Items from a rank on, downwards, until `emit` says false.
    pub fn downwards(&self, mut rank: usize, emit: &mut dyn FnMut(&Item) -> bool) {
        while let Some((items, index)) = self.leaf_at(rank) {
            for item in items[..=index].iter().rev() {
                if !emit(item) {
                    return;
                }
            }
            match rank.checked_sub(index + 1) {
                Some(before) => rank = before,
                None => return,
            }
        }
    }

    /// Panics when an invariant does not hold; reads everything.
    #[cfg(test)]
    pub fn check(&self) {
        fn walk(node: &Node, top: bool, all: &mut Vec<Item>, nodes: &mut (usize, usize)) {
            assert!(top || node.entries() > 0, "no empty nodes");
            match node {
                Node::Leaf(items) => {
                    nodes.0 += 1;
                    assert!(items.len() <= LEAF && items.capacity() <= LEAF + 2);
                    all.extend(items);
                }
                Node::Inner(children) => {
                    nodes.1 += 1;
                    assert!(children.len() <= INNER);
                    for child in children {
                        assert_eq!(child.count, child.node.count(), "counts");
                        let first = child.node.first().map(|item| item.handle);
                        assert_eq!(first, Some(child.first.handle), "firsts");
                        walk(&child.node, false, all, nodes);
                    }
                }
            }
        }
        let (mut all, mut nodes) = (Vec::new(), (0, 0));
        walk(&self.root, true, &mut all, &mut nodes);
        assert_eq!((all.len(), nodes), (self.len, (self.leaves, self.inners)));
        for pair in all.windows(2) {
            // SAFETY: the tree's invariant.
            let order = pair[0].cmp_to(pair[1].score, unsafe { pair[1].handle.text() });
            assert_eq!(order, Ordering::Less, "in order");
        }
    }
}

/// Nodes made, or given up.
#[derive(Default)]
struct Grown {
    leaves: usize,
    inners: usize,
}

/// Inserts below a node; the new right neighbour when the node had to split.
fn insert(node: &mut Node, item: Item, text: &[u8], grown: &mut Grown) -> Option<Child> {
    match node {
        Node::Leaf(items) => {
            let at = items.partition_point(|i| i.cmp_to(item.score, text) == Ordering::Less);
            if items.len() < LEAF {
                items.insert(at, item);
                return None;
            }
            grown.leaves += 1;
            let mut right = Vec::with_capacity(LEAF);
            if at == items.len() {
                // Ascending insertions leave full leaves behind.
                right.push(item);
            } else {
                right.extend(items.drain(LEAF / 2..));
                if at <= items.len() {
                    items.insert(at, item);
                } else {
                    right.insert(at - items.len(), item);
                }
            }
            Child::of(Node::Leaf(right))
        }
        Node::Inner(children) => {
            let at = Node::child_for(children, |i| i.cmp_to(item.score, text));
            let child = &mut children[at];
            let right = insert(&mut child.node, item, text, grown);
            child.count = child.count + 1 - right.as_ref().map_or(0, |right| right.count);
            if let Some(first) = child.node.first() {
                child.first = first;
            }
            let right = right?;
            if children.len() < INNER {
                children.insert(at + 1, right);
                return None;
            }
            grown.inners += 1;
            let mut half = Vec::with_capacity(INNER);
            if at + 1 == children.len() {
                half.push(right);
            } else {
                half.extend(children.drain(INNER / 2..));
                let at = at + 1;
                if at <= children.len() {
                    children.insert(at, right);
                } else {
                    half.insert(at - children.len(), right);
                }
            }
            Child::of(Node::Inner(half))
        }
    }
}

/// Removes below a node; whether it was there. The node may be left empty.
fn remove(node: &mut Node, score: f64, text: &[u8], lost: &mut Grown) -> bool {
    match node {
        Node::Leaf(items) => {
            let at = items.partition_point(|i| i.cmp_to(score, text) == Ordering::Less);
            let found = items.get(at).is_some_and(|i| i.cmp_to(score, text) == Ordering::Equal);
            if found {
                items.remove(at);
            }
            found
        }
        Node::Inner(children) => {
            let at = Node::child_for(children, |i| i.cmp_to(score, text));
            let child = &mut children[at];
            if !remove(&mut child.node, score, text, lost) {
                return false;
            }
            child.count -= 1;
            match child.node.first() {
                Some(first) => {
                    child.first = first;
                    merge(children, at, lost);
                }
                None => match *children.remove(at).node {
                    Node::Leaf(_) => lost.leaves += 1,
                    Node::Inner(_) => lost.inners += 1,
                },
            }
            true
        }
    }
}

/// Joins a sparse child with a neighbour when both fit into one.
fn merge(children: &mut Vec<Child>, at: usize, lost: &mut Grown) {
    let limit = match *children[at].node {
        Node::Leaf(_) => LEAF,
        Node::Inner(_) => INNER,
    };
    if children[at].node.entries() >= limit / 4 || children.len() < 2 {
        return;
    }
    let left = if at > 0 { at - 1 } else { at };
    let both = children[left].node.entries() + children[left + 1].node.entries();
    // Some room is left, or the next insertion would split it again.
    if both > limit * 3 / 4 {
        return;
    }
    let right = children.remove(left + 1);
    let left = &mut children[left];
    left.count += right.count;
    match (&mut *left.node, *right.node) {
        (Node::Leaf(items), Node::Leaf(more)) => {
            items.extend(more);
            lost.leaves += 1;
        }
        (Node::Inner(nodes), Node::Inner(more)) => {
            nodes.extend(more);
            lost.inners += 1;
        }
        _ => unreachable!("siblings are of one height"),
    }
}
