//! Streams: entries in blocks, ordered by id, and the groups that read them.
//!
//! Owns: ids, counters and when a block is full. Invariants: ids grow; no operation moves more
//! than one block; a stream without entries stays. Trimming by whole blocks takes the blocks
//! that Redis would: their bounds are by number of entries the same, by bytes nearly.

mod block;
mod footprint;
mod group;
mod id;
mod load;
mod rewrite;

pub use block::Entry;
pub use group::{Consumer, ConsumerNo, Group, Pending};
pub use id::{Id, Wish};

use super::{Collection, Form, Limits, Object, ValueType, View};
use crate::keyspace::{Shed, Value, size_class};
use block::Block;
use std::{collections::BTreeMap, ops::Bound};

/// Most bytes of an entry's texts together, and of a block whose size is not limited.
pub const BLOCK_BYTES_MAX: usize = 1 << 30;
/// A stream.
#[derive(Default)]
pub struct Stream {
    blocks: BTreeMap<Id, Block>,
    len: u64,
    first_id: Id,
    last_id: Id,
    max_deleted_id: Id,
    entries_added: u64,
    groups: BTreeMap<Box<[u8]>, Group>,
    /// Memory of what blocks and groups hold, the trees they are in not included.
    bytes: usize,
}

/// What a stream is trimmed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bounds {
    /// So many entries.
    MaxLen(u64),
    /// Entries from this id on.
    MinId(Id),
}

/// Why no entry was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdded {
    /// The id is not above the last one.
    Low,
    /// There is no id above the last one.
    Exhausted,
}

impl Stream {
    /// Number of entries.
    pub fn length(&self) -> u64 {
        self.len
    }

    /// Id of the first entry; zero when there is none.
    pub fn first_id(&self) -> Id {
        self.first_id
    }

    /// The highest id ever, or what XSETID made it.
    pub fn last_id(&self) -> Id {
        self.last_id
    }

    /// The highest id ever deleted.
    pub fn max_deleted_id(&self) -> Id {
        self.max_deleted_id
    }

    /// Entries ever added.
    pub fn entries_added(&self) -> u64 {
        self.entries_added
    }

    /// Number of blocks.
    pub fn blocks_len(&self) -> usize {
        self.blocks.len()
    }

    /// The id that an entry would get now.
    ///
    /// # Errors
    /// There is none for this wish.
    pub fn next_id(&self, wish: Wish, now_ms: i64) -> Result<Id, NotAdded> {
        if self.last_id == Id::MAX {
            return Err(NotAdded::Exhausted);
        }
        let id = match wish {
            Wish::Any if now_ms as u64 > self.last_id.ms => Id { ms: now_ms as u64, seq: 0 },
            Wish::Any => self.last_id.next().ok_or(NotAdded::Exhausted)?,
            Wish::Within(ms) if ms == self.last_id.ms => {
                let seq = self.last_id.seq.checked_add(1).ok_or(NotAdded::Low)?;
                Id { ms, seq }
            }
            Wish::Within(ms) => Id { ms, seq: 0 },
            Wish::Exactly(id) => id,
        };
        if id > self.last_id { Ok(id) } else { Err(NotAdded::Low) }
    }

    /// Adds an entry with an id of [`Stream::next_id`].
    pub fn add(&mut self, id: Id, pairs: &[(&[u8], &[u8])], limits: &Limits) {
        debug_assert!(id > self.last_id);
        let bytes_max = match limits.stream_node_bytes {
            0 => BLOCK_BYTES_MAX,
            bytes => bytes.min(BLOCK_BYTES_MAX),
        };
        let entries_max = match limits.stream_node_entries {
            0 => usize::MAX,
            entries => entries,
        };
        let texts: usize = pairs.iter().map(|(field, value)| field.len() + value.len()).sum();
        self.push(id, pairs, |block| {
            block.len() + texts < bytes_max && block.total() < entries_max
        });
    }

    /// Adds an entry to the last block if it fits in there, or else in a new one.
    fn push(&mut self, id: Id, pairs: &[(&[u8], &[u8])], fits: impl FnOnce(&Block) -> bool) {
        let last = self.blocks.last_entry().map(|block| block.into_mut());
        if let Some(block) = last {
            let before = block.memory_bytes();
            let fits = fits(block);
            if fits {
                block.push(id, pairs);
            } else {
                block.close();
            }
            self.bytes = self.bytes - before + block.memory_bytes();
            if fits {
                return self.added(id);
            }
        }
        let block = Block::new(id, pairs);
        self.bytes += block.memory_bytes();
        self.blocks.insert(id, block);
        self.added(id);
    }

    fn added(&mut self, id: Id) {
        self.len += 1;
        self.entries_added += 1;
        self.last_id = id;
        if self.len == 1 {
            self.first_id = id;
        }
    }

    /// The block in which an id would be.
    fn block_of(&self, id: Id) -> Option<Id> {
        self.blocks.range(..=id).next_back().map(|(first, _)| *first)
    }

    /// The blocks, each by the id that it counts from, with its entries.
    pub fn blocks(&self) -> impl Iterator<Item = (Id, impl Iterator<Item = Entry<'_>>)> {
        self.blocks.iter().map(|(first, block)| (*first, block.upwards()))
    }

    /// Entries `start..=end` upwards.
    pub fn upwards(&self, start: Id, end: Id) -> impl Iterator<Item = Entry<'_>> {
        let from = self.block_of(start).unwrap_or(start);
        self.blocks
            .range((Bound::Included(from), Bound::Unbounded))
            .flat_map(|(_, block)| block.upwards())
            .skip_while(move |entry| entry.id < start)
            .take_while(move |entry| entry.id <= end)
    }

    /// Entries `start..=end` downwards.
    pub fn downwards(&self, start: Id, end: Id) -> impl Iterator<Item = Entry<'_>> {
        self.blocks
            .range(..=end)
            .rev()
            .flat_map(|(_, block)| block.downwards())
            .skip_while(move |entry| entry.id > end)
            .take_while(move |entry| entry.id >= start)
    }

    /// Number of entries `start..=end`, at most `most`; looks only into the blocks at the ends.
    pub fn count(&self, start: Id, end: Id, most: u64) -> u64 {
        if start > end {
            return 0;
        }
        let from = self.block_of(start).unwrap_or(start);
        let mut count = 0;
        for (first, block) in self.blocks.range((Bound::Included(from), Bound::Included(end))) {
            count += if *first >= start && block.last() <= end {
                block.live()
            } else {
                let inside = |entry: &Entry<'_>| entry.id >= start && entry.id <= end;
                block.upwards().filter(inside).count() as u64
            };
            if count >= most {
                return most;
            }
        }
        count
    }

    /// The entry with an id.
    pub fn get(&self, id: Id) -> Option<Entry<'_>> {
        self.upwards(id, id).next()
    }

    /// The highest id of an entry; zero when there is none.
    pub fn top_id(&self) -> Id {
        self.downwards(Id::MIN, Id::MAX).next().map_or(Id::MIN, |entry| entry.id)
    }

    /// Deletes an entry; false when it is not there.
    pub fn delete(&mut self, id: Id) -> bool {
        let Some(first) = self.block_of(id) else { return false };
        let Some(block) = self.blocks.get_mut(&first) else { return false };
        if !block.remove(id) {
            return false;
        }
        if block.live() == 0 {
            self.drop_block(first);
        }
        self.len -= 1;
        self.max_deleted_id = self.max_deleted_id.max(id);
        if id == self.first_id {
            self.find_first();
        }
        true
    }

    fn drop_block(&mut self, first: Id) {
        if let Some(block) = self.blocks.remove(&first) {
            self.bytes -= block.memory_bytes();
        }
        if self.blocks.is_empty() {
            self.blocks = BTreeMap::new();
        }
    }

    fn find_first(&mut self) {
        let first = self.upwards(Id::MIN, Id::MAX).next().map(|entry| entry.id);
        self.first_id = first.unwrap_or(Id::MIN);
    }

    /// Trims from the lowest id on: whole blocks only with `by_blocks`, and no more than `most`
    /// entries. The number of entries removed.
    pub fn trim(&mut self, to: Bounds, by_blocks: bool, most: Option<u64>) -> u64 {
        let mut removed = 0;
        while let Some((&first, block)) = self.blocks.first_key_value() {
            if let Bounds::MaxLen(len) = to
                && self.len <= len
            {
                break;
            }
            let live = block.live();
            if most.is_some_and(|most| removed + live > most) {
                break;
            }
            let whole = match to {
                Bounds::MaxLen(len) => self.len - live >= len,
                Bounds::MinId(id) => block.last() < id,
            };
            if whole {
                self.drop_block(first);
                self.len -= live;
                removed += live;
                continue;
            }
            if !by_blocks {
                removed += self.trim_block(first, to);
            }
            break;
        }
        if removed > 0 {
            self.find_first();
        }
        removed
    }

    fn trim_block(&mut self, first: Id, to: Bounds) -> u64 {
        let Some(block) = self.blocks.get_mut(&first) else { return 0 };
        let mut len = self.len;
        let removed = block.remove_front(|id| {
            let go_on = match to {
                Bounds::MaxLen(most) => len > most,
                Bounds::MinId(min) => id < min,
            };
            len -= u64::from(go_on);
            go_on
        });
        self.len -= removed;
        removed
    }

    /// What XSETID says; None leaves a counter.
    pub fn set_counters(&mut self, last: Id, added: Option<u64>, max_deleted: Option<Id>) {
        self.last_id = last;
        self.entries_added = added.unwrap_or(self.entries_added);
        self.max_deleted_id = max_deleted.unwrap_or(self.max_deleted_id);
    }

    /// True when an id from `start` on has been deleted, as far as is known.
    pub fn has_holes_from(&self, start: Id) -> bool {
        self.len > 0
            && self.max_deleted_id != Id::MIN
            && self.first_id <= self.max_deleted_id
            && start <= self.max_deleted_id
    }

    /// How many entries had been added when `id` was, itself included; None: not known.
    pub fn entries_up_to(&self, id: Id) -> Option<i64> {
        let added = self.entries_added as i64;
        if added == 0 {
            return Some(0);
        }
        if (self.len == 0 && id <= self.last_id) || id == self.last_id {
            return Some(added);
        }
        if id > self.last_id {
            return None;
        }
        if self.max_deleted_id == Id::MIN || self.max_deleted_id < self.first_id {
            if id < self.first_id {
                return Some(added - self.len as i64);
            }
            if id == self.first_id {
                return Some(added - self.len as i64 + 1);
            }
        }
        None
    }

    /// Entries that a group has not read; None: not known.
    pub fn lag(&self, group: &Group) -> Option<i64> {
        let added = self.entries_added as i64;
        if added == 0 {
            return Some(0);
        }
        match group.entries_read {
            Some(read) if !self.has_holes_from(group.last_id) => Some(added.wrapping_sub(read)),
            _ => self.entries_up_to(group.last_id).map(|read| added - read),
        }
    }

    /// Number of groups.
    pub fn groups_len(&self) -> usize {
        self.groups.len()
    }

    /// Groups by name.
    pub fn groups(&self) -> impl Iterator<Item = (&[u8], &Group)> {
        self.groups.iter().map(|(name, group)| (&name[..], group))
    }

    /// A group.
    pub fn group(&self, name: &[u8]) -> Option<&Group> {
        self.groups.get(name)
    }

    /// Changes a group with a function that may look at the stream; None when there is none.
    pub fn edit_group<R>(
        &mut self,
        name: &[u8],
        edit: impl FnOnce(&Stream, &mut Group) -> R,
    ) -> Option<R> {
        // Out of the tree meanwhile, in its place another that costs nothing.
        let place = self.groups.get_mut(name)?;
        let mut group = std::mem::replace(place, Group::new(Id::MIN, None));
        let before = group.memory_bytes();
        let result = edit(self, &mut group);
        self.bytes = self.bytes - before + group.memory_bytes();
        *self.groups.get_mut(name)? = group;
        Some(result)
    }

    /// Adds a group; false when there is one of that name.
    pub fn add_group(&mut self, name: &[u8], group: Group) -> bool {
        if self.groups.contains_key(name) {
            return false;
        }
        self.bytes += footprint::text(name.len()) + group.memory_bytes();
        self.groups.insert(name.into(), group);
        true
    }

    /// Removes a group; false when there is none.
    pub fn remove_group(&mut self, name: &[u8]) -> bool {
        let Some(group) = self.groups.remove(name) else { return false };
        self.bytes -= footprint::text(name.len()) + group.memory_bytes();
        if self.groups.is_empty() {
            self.groups = BTreeMap::new();
        }
        true
    }

    /// Bytes of memory, itself included; constant time.
    pub fn memory_bytes(&self) -> usize {
        size_class(size_of::<Self>())
            + self.bytes
            + footprint::tree::<Id, Block>(self.blocks.len())
            + footprint::tree::<Box<[u8]>, Group>(self.groups.len())
    }
}

impl Clone for Stream {
    fn clone(&self) -> Self {
        let memory = |blocks: &BTreeMap<Id, Block>| -> usize {
            blocks.values().map(Block::memory_bytes).sum()
        };
        // A copied block has no room to spare.
        let blocks = self.blocks.clone();
        let bytes = self.bytes - memory(&self.blocks) + memory(&blocks);
        Self { blocks, bytes, groups: self.groups.clone(), ..*self }
    }
}

impl Collection for Stream {
    const TYPE: ValueType = ValueType::Stream;

    fn empty(_memory: Vec<u8>) -> Self {
        Self::default()
    }

    fn unpack(_form: Form, bytes: Vec<u8>) -> Result<Self, Vec<u8>> {
        Err(bytes)
    }

    fn pack(self) -> Result<(Form, Vec<u8>), Self> {
        Err(self)
    }

    fn of(object: &mut Object) -> Option<&mut Self> {
        if let Object::Stream(stream) = object { Some(stream) } else { None }
    }

    fn into_object(self) -> Object {
        Object::Stream(Box::new(self))
    }

    /// Never: what the stream knows of ids and groups outlives its entries.
    fn is_empty(&self) -> bool {
        false
    }
}

impl Shed for Stream {
    fn shed(&mut self) -> bool {
        if self.blocks.pop_first().is_some() {
            return true;
        }
        let Some(mut group) = self.groups.first_entry() else { return false };
        if !group.get_mut().shed() {
            group.remove();
        }
        true
    }
}

impl<'a> View<'a> for &'a Stream {
    fn of(value: Value<'a>) -> Option<Self> {
        match value {
            Value::Object(Object::Stream(stream)) => Some(stream),
            _ => None,
        }
    }
}
