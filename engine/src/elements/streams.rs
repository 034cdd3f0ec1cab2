//! Streams, both ways: blocks of entries, counters, groups with what is pending in them.

use super::Refused;
use crate::{
    rdb::{ConsumerHead, Element, GroupHead, StreamHead, StreamId, Text},
    types::{
        Stream,
        stream::{BLOCK_BYTES_MAX, ConsumerNo, Group, Id},
    },
};
use std::collections::BTreeMap;

fn id_of(id: StreamId) -> Id {
    Id { ms: id.ms, seq: id.seq }
}

fn shown(id: Id) -> StreamId {
    StreamId { ms: id.ms, seq: id.seq }
}

/// Shows the elements of a stream in the order in which Redis writes them.
pub fn show(stream: &Stream, put: &mut dyn FnMut(Element<Text<'_>>)) {
    for (first, entries) in stream.blocks() {
        put(Element::Node(shown(first)));
        for entry in entries {
            put(Element::Entry(shown(entry.id), entry.count() as u64));
            for (field, value) in entry.pairs() {
                put(Element::Pair(Text::Bytes(field), Text::Bytes(value)));
            }
        }
    }
    put(Element::Stream(StreamHead {
        length: stream.length(),
        last_id: shown(stream.last_id()),
        first_id: Some(shown(stream.first_id())),
        max_deleted_id: Some(shown(stream.max_deleted_id())),
        entries_added: Some(stream.entries_added()),
        groups: stream.groups_len() as u64,
    }));
    for (name, group) in stream.groups() {
        put(Element::Group(GroupHead {
            name: Text::Bytes(name),
            last_id: shown(group.last_id),
            entries_read: Some(group.entries_read.unwrap_or(-1)),
            pending: group.pending_len() as u64,
        }));
        for (id, pending) in group.pending_from(Id::MIN) {
            let (delivered_ms, deliveries) = (pending.delivered_ms, pending.deliveries);
            put(Element::Pending { id: shown(id), delivered_ms, deliveries });
        }
        put(Element::Consumers(group.consumers_len() as u64));
        for consumer in group.consumers() {
            put(Element::Consumer(ConsumerHead {
                name: Text::Bytes(consumer.name()),
                seen_ms: consumer.seen_ms,
                active_ms: None,
                pending: consumer.pending_len() as u64,
            }));
            for id in consumer.pending_from(Id::MIN) {
                put(Element::Owned(shown(id)));
            }
        }
    }
}

/// A stream being built.
#[derive(Default)]
pub struct StreamBuilder {
    stream: Stream,
    /// The next entry begins a block.
    begins_block: bool,
    /// The entry being built and how many of its pairs are still to come.
    entry: Option<(Id, u64)>,
    /// Its texts, end to end, and where each ends.
    texts: Vec<u8>,
    ends: Vec<usize>,
    counted: bool,
    group: Option<OpenGroup>,
}

/// A group being built.
struct OpenGroup {
    name: Vec<u8>,
    group: Group,
    /// Pending entries whose consumer has not come yet: time of delivery, deliveries.
    unclaimed: BTreeMap<Id, (i64, u64)>,
    consumer: Option<ConsumerNo>,
}

const ORDER: Refused = Refused::Wrong("parts of a stream out of order");

impl StreamBuilder {
    /// Takes the next element; how many bytes its texts have.
    ///
    /// # Errors
    /// Why it makes no stream.
    pub fn take(&mut self, element: Element<Text<'_>>) -> Result<usize, Refused> {
        match element {
            Element::Node(_) if !self.counted => self.begins_block = true,
            Element::Entry(id, pairs) if !self.counted && self.entry.is_none() => {
                self.texts.clear();
                self.ends.clear();
                self.entry = Some((id_of(id), pairs));
                self.close_entry()?;
            }
            Element::Pair(field, value) => return self.pair(field, value),
            Element::Stream(head) if !self.counted && self.entry.is_none() => {
                self.counters(head)?;
            }
            Element::Group(head) if self.counted => return self.begin_group(head),
            Element::Pending { id, delivered_ms, deliveries } => {
                let group = self.group.as_mut().ok_or(ORDER)?;
                // No log could say a time before 1970, nor a count that is no `i64`.
                let known = (delivered_ms.max(0), deliveries.min(i64::MAX as u64));
                let twice = group.unclaimed.insert(id_of(id), known);
                if twice.is_some() {
                    return Err(Refused::Twice("a pending entry of a group"));
                }
            }
            Element::Consumers(_) => {}
            Element::Consumer(head) => return self.begin_consumer(head),
            Element::Owned(id) => self.own(id_of(id))?,
            _ => return Err(ORDER),
        }
        Ok(0)
    }

    fn pair(&mut self, field: Text<'_>, value: Text<'_>) -> Result<usize, Refused> {
        let (_, left @ 1..) = self.entry.as_mut().ok_or(ORDER)? else { return Err(ORDER) };
        *left -= 1;
        let before = self.texts.len();
        for text in [field, value] {
            self.texts.extend_from_slice(text.bytes(&mut itoa::Buffer::new()));
            self.ends.push(self.texts.len());
        }
        let bytes = self.texts.len() - before;
        if self.texts.len() > BLOCK_BYTES_MAX {
            return Err(Refused::Wrong("an entry of a stream of more than 1 GiB"));
        }
        self.close_entry()?;
        Ok(bytes)
    }

    /// Adds the entry if it is whole.
    fn close_entry(&mut self) -> Result<(), Refused> {
        let Some((id, 0)) = self.entry else { return Ok(()) };
        self.entry = None;
        let mut start = 0;
        let mut texts = self.ends.iter().map(|&end| {
            let text = &self.texts[start..end];
            start = end;
            text
        });
        let mut pairs = Vec::with_capacity(self.ends.len() / 2);
        while let (Some(field), Some(value)) = (texts.next(), texts.next()) {
            pairs.push((field, value));
        }
        if !self.stream.load(id, &pairs, std::mem::take(&mut self.begins_block)) {
            return Err(Refused::Wrong("an entry id of a stream that is not above the one before"));
        }
        Ok(())
    }

    fn counters(&mut self, head: StreamHead) -> Result<(), Refused> {
        self.counted = true;
        let length = self.stream.length();
        // What a version before 7.0 does not say, 7.0 takes to be so.
        // Fewer than there are is what no command can make, so no log could say it.
        let added = head.entries_added.unwrap_or(length).max(length);
        let max_deleted = head.max_deleted_id.map_or(Id::MIN, id_of);
        let possible = head.length == length
            && self.stream.load_counters(id_of(head.last_id), added, max_deleted);
        if possible { Ok(()) } else { Err(Refused::Wrong("counters that no stream can have")) }
    }

    fn begin_group(&mut self, head: GroupHead<Text<'_>>) -> Result<usize, Refused> {
        self.close_group()?;
        let (name, last_id) = (head.name.to_vec(), id_of(head.last_id));
        let read = match head.entries_read {
            Some(read) => Some(read).filter(|&read| read >= 0),
            None => self.stream.entries_up_to(last_id),
        };
        let bytes = name.len();
        let group = Group::new(last_id, read);
        let unclaimed = BTreeMap::new();
        self.group = Some(OpenGroup { name, group, unclaimed, consumer: None });
        Ok(bytes)
    }

    fn begin_consumer(&mut self, head: ConsumerHead<Text<'_>>) -> Result<usize, Refused> {
        let group = self.group.as_mut().ok_or(ORDER)?;
        let mut digits = itoa::Buffer::new();
        let name = head.name.bytes(&mut digits);
        let (consumer, new) = group.group.seen(name, head.seen_ms);
        if !new {
            return Err(Refused::Twice("a consumer of a group"));
        }
        group.consumer = Some(consumer);
        Ok(name.len())
    }

    fn own(&mut self, id: Id) -> Result<(), Refused> {
        let group = self.group.as_mut().ok_or(ORDER)?;
        let consumer = group.consumer.ok_or(ORDER)?;
        let (delivered_ms, deliveries) = group.unclaimed.remove(&id).ok_or(Refused::Wrong(
            "a consumer's pending entry that its group does not have, or another consumer has",
        ))?;
        group.group.deliver(id, consumer, delivered_ms, deliveries);
        Ok(())
    }

    fn close_group(&mut self) -> Result<(), Refused> {
        let Some(OpenGroup { name, group, unclaimed, .. }) = self.group.take() else {
            return Ok(());
        };
        if !unclaimed.is_empty() {
            return Err(Refused::Wrong("a pending entry that is no consumer's"));
        }
        if !self.stream.add_group(&name, group) {
            return Err(Refused::Twice("a group of a stream"));
        }
        Ok(())
    }

    /// The stream.
    ///
    /// # Errors
    /// Something is missing.
    pub fn finish(mut self) -> Result<Stream, Refused> {
        self.close_group()?;
        if self.counted { Ok(self.stream) } else { Err(ORDER) }
    }
}
