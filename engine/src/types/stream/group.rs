//! Consumer groups: who has been given which entries and has not acknowledged them.
//!
//! Invariant: an entry is pending in the group exactly when it is among one consumer's, the one
//! that its record names.

use super::Id;
use std::collections::{BTreeMap, BTreeSet};

/// What a pending entry takes in both trees, bytes; nodes are about two thirds full.
const PENDING_BYTES: usize = (2 * size_of::<Id>() + size_of::<Pending>()) * 3 / 2;
/// What a consumer takes besides its name, twice, and its pending entries, bytes.
const CONSUMER_BYTES: usize = size_of::<Option<Consumer>>() + 3 * size_of::<(Box<[u8]>, u32)>() / 2;

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
    name_bytes: usize,
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
            name_bytes: 0,
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
        self.name_bytes += 2 * name.len();
        (ConsumerNo(at as u32), true)
    }

    /// Removes a consumer with its pending entries; their number, None when there is none.
    pub fn remove_consumer(&mut self, name: &[u8]) -> Option<usize> {
        let no = self.names.remove(name)?;
        let consumer = self.consumers[no as usize].take()?;
        self.name_bytes -= 2 * name.len();
        consumer.pending.iter().for_each(|id| {
            self.pending.remove(id);
        });
        Some(consumer.pending.len())
    }

    /// An entry has been delivered to a consumer; it is taken from whoever had it.
    pub fn deliver(&mut self, id: Id, to: ConsumerNo, delivered_ms: i64, deliveries: u64) {
        let record = Pending { delivered_ms, deliveries, consumer: to.0 };
        if let Some(before) = self.pending.insert(id, record)
            && before.consumer != to.0
            && let Some(consumer) = &mut self.consumers[before.consumer as usize]
        {
            consumer.pending.remove(&id);
        }
        if let Some(consumer) = &mut self.consumers[to.0 as usize] {
            consumer.pending.insert(id);
        }
    }

    /// An entry is pending no more; false when it was not.
    pub fn acknowledge(&mut self, id: Id) -> bool {
        let Some(record) = self.pending.remove(&id) else { return false };
        if let Some(consumer) = &mut self.consumers[record.consumer as usize] {
            consumer.pending.remove(&id);
        }
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

    /// Bytes of memory besides itself; constant time, nodes of trees by their usual filling.
    pub fn memory_bytes(&self) -> usize {
        self.pending.len() * PENDING_BYTES + self.names.len() * CONSUMER_BYTES + self.name_bytes
    }
}
