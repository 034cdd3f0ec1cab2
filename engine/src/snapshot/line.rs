//! Chunks that wait to be taken: the parts of a value follow each other without a break.
//!
//! Several values may be under way at once, for commands begin them where they like. The parts of
//! one, the *open* one, go out as they come: the one that the walk has come to, and stays with. Those
//! of others are kept until they are whole, and whole chunks until the open value has ended.
//! Invariants: between a chunk that continues and its value's last part nothing else is taken; all
//! is taken when no value is under way.

use super::{Chunk, copies::ValueNo};
use std::collections::{BTreeMap, VecDeque};

/// Chunks in the order in which they are taken.
#[derive(Default)]
pub(super) struct Line {
    ready: VecDeque<Chunk>,
    /// The value that the last ready chunk is a part of, while it goes on.
    open: Option<ValueNo>,
    /// What must wait until that has ended.
    held: Vec<Chunk>,
    /// Parts of values that are not open.
    parts: BTreeMap<ValueNo, Vec<Chunk>>,
    /// Bytes of all of them, and of those that are ready.
    bytes: usize,
    ready_bytes: usize,
}

impl Line {
    /// Bytes that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes that can be taken now.
    pub(super) fn ready_bytes(&self) -> usize {
        self.ready_bytes
    }

    fn push(&mut self, chunk: Chunk) {
        self.ready_bytes += chunk.bytes.len();
        self.ready.push_back(chunk);
    }

    /// A chunk of whole keys.
    pub(super) fn whole(&mut self, chunk: Chunk) {
        self.bytes += chunk.bytes.len();
        match self.open {
            None => self.push(chunk),
            Some(_) => self.held.push(chunk),
        }
    }

    /// The next part of a value.
    pub(super) fn part(&mut self, value: ValueNo, chunk: Chunk, is_attended: bool) {
        self.bytes += chunk.bytes.len();
        let goes_on = chunk.continues;
        if self.open == Some(value) {
            self.push(chunk);
        } else {
            let parts = self.parts.entry(value).or_default();
            parts.push(chunk);
            if goes_on && !(is_attended && self.open.is_none()) {
                return;
            }
            let parts = self.parts.remove(&value).unwrap_or_default();
            if self.open.is_some() {
                return self.held.extend(parts);
            }
            parts.into_iter().for_each(|chunk| self.push(chunk));
        }
        self.open = goes_on.then_some(value);
        if !goes_on {
            std::mem::take(&mut self.held).into_iter().for_each(|chunk| self.push(chunk));
        }
    }

    /// Takes the next chunk.
    pub(super) fn take(&mut self) -> Option<Chunk> {
        let chunk = self.ready.pop_front()?;
        self.bytes -= chunk.bytes.len();
        self.ready_bytes -= chunk.bytes.len();
        Some(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(name: &str, continues: bool) -> Chunk {
        let bytes = name.as_bytes().to_vec();
        Chunk { shard: 0, bytes, counts: Vec::new(), groups: (0, 0), continues }
    }

    #[test]
    fn parts_of_a_value_follow_each_other_whatever_comes_in_between() {
        let (a, b, c) = ((0, 1), (0, 2), (3, 1));
        let mut line = Line::default();
        line.whole(chunk("w1", false));
        line.part(a, chunk("a1", true), false);
        line.part(b, chunk("b1", true), false);
        line.whole(chunk("w2", false));
        line.part(b, chunk("b2", true), true);
        line.whole(chunk("w3", false));
        assert_eq!((line.bytes(), line.ready_bytes()), (12, 8), "w3 and a1 cannot be taken");
        line.part(a, chunk("a2", true), true);
        line.part(c, chunk("c1", true), false);
        line.part(c, chunk("c2", false), false);
        line.part(b, chunk("b3", true), true);
        line.part(b, chunk("b4", false), true);
        line.part(a, chunk("a3", false), true);
        assert_eq!((line.bytes(), line.ready_bytes()), (24, 24));
        let taken: Vec<_> = std::iter::from_fn(|| line.take())
            .map(|chunk| String::from_utf8(chunk.bytes).expect("names"))
            .collect();
        let order = ["w1", "w2", "b1", "b2", "b3", "b4", "w3", "c1", "c2", "a1", "a2", "a3"];
        assert_eq!(taken, order);
        assert_eq!((line.bytes(), line.open), (0, None));
    }
}
