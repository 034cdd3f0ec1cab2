//! Consumer groups: who has been given which entries and has not acknowledged them.
//!
//! Invariant: an entry is pending in the group exactly when it is among one consumer's, the one
//! that its record names.

use super::{Id, footprint};
use std::collections::{BTreeMap, BTreeSet};

/// Pending entries that are freed at once.
const SHED_ENTRIES: usize = 64;

/// A delivery that has not been acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending {
    /// Unix time of the last delivery, ms.
    pub delivered_ms: i64,
    /// Deliveries.
    pub deliveries: u64,
    consumer: u32,
}

/// Someone who reads for the group.
#[derive(Debug, Clone)]
pub struct Consumer {
    name: Box<[u8]>,
    /// Unix time of its last attempt, ms.
    pub seen_ms: i64,
    pending: BTreeSet<Id>,
}

impl Consumer {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Number of its pending entries.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// Bytes of the tree of its pending entries.
    fn tree_bytes(&self) -> usize {
        footprint::tree::<Id, ()>(self.pending.len())
    }

    /// Ids of its pending entries from `start` on.
    pub fn pending_from(&self, start: Id) -> impl Iterator<Item = Id> {
        self.pending.range(start..).copied()
    }
}

/// A consumer of a group, by number; good until it is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumerNo(u32);

/// A consumer group.
#[derive(Debug, Clone)]
pub struct Group {
    /// The last id delivered.
    pub last_id: Id,
    /// Entries read, logically; None: unknown.
    pub entries_read: Option<i64>,
    pending: BTreeMap<Id, Pending>,
    /// By name, in order.
    names: BTreeMap<Box<[u8]>, u32>,
    consumers: Vec<Option<Consumer>>,
    /// Memory of consumers' names, and of the trees of what is pending for each.
    consumer_bytes: usize,
}

impl Group {
    /// A group that has delivered all up to an id.
    pub fn new(last_id: Id, entries_read: Option<i64>) -> Self {
        Self {
            last_id,
            entries_read,
            pending: BTreeMap::new(),
            names: BTreeMap::new(),
            consumers: Vec::new(),
            consumer_bytes: 0,
        }
    }

    /// Number of pending entries.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    /// The record of a pending entry.
    pub fn pending(&self, id: Id) -> Option<Pending> {
        self.pending.get(&id).copied()
    }

    /// Pending entries from `start` on.
    pub fn pending_from(&self, start: Id) -> impl DoubleEndedIterator<Item = (Id, Pending)> {
        self.pending.range(start..).map(|(id, pending)| (*id, *pending))
    }

    /// Who has a pending entry.
    pub fn owner(&self, pending: Pending) -> &[u8] {
        self.consumer(ConsumerNo(pending.consumer)).map_or(&[], Consumer::name)
    }

    /// Number of consumers.
    pub fn consumers_len(&self) -> usize {
        self.names.len()
    }

    /// Consumers by name.
    pub fn consumers(&self) -> impl Iterator<Item = &Consumer> {
        self.names.values().filter_map(|&no| self.consumer(ConsumerNo(no)))
    }

    /// A consumer.
    pub fn consumer(&self, no: ConsumerNo) -> Option<&Consumer> {
        self.consumers.get(no.0 as usize)?.as_ref()
    }

    /// The number of the consumer of that name.
    pub fn find(&self, name: &[u8]) -> Option<ConsumerNo> {
        self.names.get(name).map(|&no| ConsumerNo(no))
    }

    /// The consumer of that name, which is seen now; created when there is none: then true.
    pub fn seen(&mut self, name: &[u8], now_ms: i64) -> (ConsumerNo, bool) {
        if let Some(no) = self.find(name) {
            if let Some(consumer) = &mut self.consumers[no.0 as usize] {
                consumer.seen_ms = now_ms;
            }
            return (no, false);
        }
        let consumer = Consumer { name: name.into(), seen_ms: now_ms, pending: BTreeSet::new() };
        let has_free = self.names.len() < self.consumers.len();
        let free = has_free.then(|| self.consumers.iter().position(Option::is_none)).flatten();
        let at = free.unwrap_or_else(|| {
            self.consumers.push(None);
            self.consumers.len() - 1
        });
        self.consumers[at] = Some(consumer);
        self.names.insert(name.into(), at as u32);
        self.consumer_bytes += 2 * footprint::text(name.len());
        (ConsumerNo(at as u32), true)
    }

    /// Removes a consumer with its pending entries; their number, None when there is none.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let no = self.names.remove(name)?;
        let consumer = self.consumers[no as usize].take()?;
        self.consumer_bytes -= 2 * footprint::text(name.len()) + consumer.tree_bytes();
        consumer.pending.iter().for_each(|id| {
            self.pending.remove(id);
        });
        if self.pending.is_empty() {
            self.pending = BTreeMap::new();
        }
        if self.names.is_empty() {
            self.names = BTreeMap::new();
        }
        Some(consumer.pending.len())
    }

    /// An entry has been delivered to a consumer; it is taken from whoever had it.
    pub fn deliver(&mut self, id: Id, to: ConsumerNo, delivered_ms: i64, deliveries: u64) {
        let record = Pending { delivered_ms, deliveries, consumer: to.0 };
        if let Some(before) = self.pending.insert(id, record)
            && before.consumer != to.0
        {
            self.edit_pending(before.consumer, |pending| pending.remove(&id));
        }
        self.edit_pending(to.0, |pending| pending.insert(id));
    }

    /// Changes what is pending for a consumer, if it is there.
    fn edit_pending(&mut self, consumer: u32, edit: impl FnOnce(&mut BTreeSet<Id>) -> bool) {
        let Some(consumer) = &mut self.consumers[consumer as usize] else { return };
        self.consumer_bytes -= consumer.tree_bytes();
        edit(&mut consumer.pending);
        if consumer.pending.is_empty() {
            consumer.pending = BTreeSet::new();
        }
        self.consumer_bytes += consumer.tree_bytes();
    }

    /// An entry is pending no more; false when it was not.
    pub fn acknowledge(&mut self, id: Id) -> bool {
        let Some(record) = self.pending.remove(&id) else { return false };
        if self.pending.is_empty() {
            self.pending = BTreeMap::new();
        }
        self.edit_pending(record.consumer, |pending| pending.remove(&id));
        true
    }

    /// Forgets some pending entries, to be freed bit by bit; false when there are none.
    pub(super) fn shed(&mut self) -> bool {
        let some: Vec<Id> = self.pending.keys().take(SHED_ENTRIES).copied().collect();
        some.iter().for_each(|id| {
            self.acknowledge(*id);
        });
        !some.is_empty()
    }

    /// Bytes of memory besides itself; constant time.
    pub fn memory_bytes(&self) -> usize {
        footprint::tree::<Id, Pending>(self.pending.len())
            + footprint::tree::<Box<[u8]>, u32>(self.names.len())
            + footprint::vector::<Option<Consumer>>(self.consumers.len())
            + self.consumer_bytes
    }
}
