//! Big lists as wholes: frozen, copied, taken apart.

use super::{Chunk, Deque, Node};
use crate::{keyspace::Shed, types::packed::Packed};
use std::{collections::VecDeque, sync::Arc};

/// A big list as it was, whatever becomes of it since. Holds the nodes it has still to give out.
pub struct Frozen {
    chunks: VecDeque<Arc<VecDeque<Node>>>,
    /// Nodes of the first chunk that have been given out.
    at: usize,
}

impl Frozen {
    /// Gives the next node out; its bytes, None at the end.
    pub fn next(&mut self, see: &mut dyn FnMut(Packed<'_>)) -> Option<usize> {
        let chunk = self.chunks.front()?;
        let node = &chunk[self.at];
        see(node.view());
        let bytes = node.packed.len();
        self.at += 1;
        if self.at == chunk.len() {
            self.at = 0;
            self.chunks.pop_front();
        }
        Some(bytes)
    }
}

impl Deque {
    /// Number of nodes; a step for each chunk.
    pub fn nodes_len(&self) -> usize {
        self.chunks.iter().map(|chunk| chunk.nodes.len()).sum()
    }

    /// The list as it is now; a step for each chunk.
    pub fn freeze(&self) -> Frozen {
        Frozen { chunks: self.chunks.iter().map(|chunk| chunk.nodes.clone()).collect(), at: 0 }
    }
}

impl Shed for Deque {
    /// Frees a node. Counts are not kept: nobody looks at the list any more.
    fn shed(&mut self) -> bool {
        if let Some(chunk) = self.chunks.back_mut() {
            chunk.nodes_mut().pop_back();
            if chunk.nodes.is_empty() {
                self.chunks.pop_back();
            }
        }
        !self.chunks.is_empty()
    }
}

impl Clone for Deque {
    /// A copy has its own capacities, so its memory is counted anew.
    fn clone(&self) -> Self {
        let own = |node: &Node| Arc::new(Vec::clone(&node.packed));
        let copy = |node: &Node| Node { packed: own(node), len: node.len };
        let chunks: VecDeque<Chunk> = self
            .chunks
            .iter()
            .map(|c| Chunk { nodes: Arc::new(c.nodes.iter().map(copy).collect()), len: c.len })
            .collect();
        let bytes = chunks.iter().map(Chunk::count_bytes).sum();
        Self { chunks, len: self.len, bytes }
    }
}
