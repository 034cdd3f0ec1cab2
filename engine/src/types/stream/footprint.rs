//! What the standard library's trees and boxes take of memory, computed from their lengths alone.
//!
//! A tree's nodes have room for eleven; they are as full as entries in ascending order leave them:
//! a full node is split after its sixth. Removals merge nodes, so that a tree that has shrunk is
//! about as full. Invariant of who uses this: a tree that has become empty is replaced by a new
//! one, since its last node would stay.

use crate::keyspace::size_class;

/// Entries a node has room for.
const CAPACITY: usize = 11;
/// Entries that stay in a node that is split, with the one that goes up between the halves.
const SPLIT: usize = 7;

/// Bytes of a `BTreeMap<K, V>` of so many entries besides itself and what they point to.
pub(super) fn tree<K, V>(entries: usize) -> usize {
    if entries == 0 {
        return 0;
    }
    // Parent, keys, values, position in the parent and length; then the children.
    let leaf = 8 + (CAPACITY * (size_of::<K>() + size_of::<V>()) + 4).next_multiple_of(8);
    let inner = leaf + (CAPACITY + 1) * 8;
    let mut level = nodes(entries);
    let mut bytes = level * size_class(leaf);
    while level > 1 {
        level = nodes(level - 1);
        bytes += level * size_class(inner);
    }
    bytes
}

/// Nodes that entries in ascending order make.
fn nodes(entries: usize) -> usize {
    if entries <= CAPACITY { 1 } else { (entries + 2) / SPLIT }
}

/// Bytes of a vector that has grown to so many elements one by one.
pub(super) fn vector<T>(elements: usize) -> usize {
    match elements {
        0 => 0,
        _ => size_class(elements.next_power_of_two().max(4) * size_of::<T>()),
    }
}

/// Bytes of a boxed text.
pub(super) fn text(len: usize) -> usize {
    if len == 0 { 0 } else { size_class(len) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_the_nodes_that_ascending_entries_make() {
        // Eleven fit; the twelfth leaves six behind, and so does every seventh after it.
        for (entries, expected) in [(1, 1), (11, 1), (12, 2), (18, 2), (19, 3), (26, 4)] {
            assert_eq!(nodes(entries), expected, "{entries} entries");
        }
        let leaf = size_class(8 + 11 * 16 + 8);
        assert_eq!(tree::<u64, u64>(0), 0);
        assert_eq!(tree::<u64, u64>(11), leaf);
        assert_eq!(tree::<u64, u64>(12), 2 * leaf + size_class(8 + 11 * 16 + 8 + 96));
        assert_eq!(vector::<u64>(5), 64);
        assert_eq!((text(0), text(1), text(17)), (0, 16, 32));
    }
}
