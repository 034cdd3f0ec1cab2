//! Whole values in plain vectors: built from events, turned into events again. For tools and tests;
//! the keyspace builds its own.

use super::{
    error::RdbError,
    event::{ConsumerHead, Element, Event, GroupHead, KeyHead, Kind, StreamHead, StreamId, Text},
    reader::Reader,
};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum RdbValue {
    /// A string.
    String(Vec<u8>),
    /// A list, from head to tail.
    List(Vec<Vec<u8>>),
    /// A set, in the file's order.
    Set(Vec<Vec<u8>>),
    /// Members and scores, in the file's order.
    Zset(Vec<(Vec<u8>, f64)>),
    /// Field, value, deadline, in the file's order.
    Hash(Vec<(Vec<u8>, Vec<u8>, Option<i64>)>),
    /// A stream.
    Stream(RdbStream),
}

/// Fields and values of an entry.
pub type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// A stream.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RdbStream {
    /// The nodes' first ids and their entries.
    pub nodes: Vec<(StreamId, Vec<(StreamId, Pairs)>)>,
    /// Its counters.
    pub head: StreamHead,
    /// Its groups.
    pub groups: Vec<RdbGroup>,
}

/// A consumer group.
#[derive(Debug, Clone, PartialEq)]
pub struct RdbGroup {
    /// Name and counters.
    pub head: GroupHead<Vec<u8>>,
    /// Id, time of delivery, deliveries.
    pub pending: Vec<(StreamId, i64, u64)>,
    /// Consumers and the ids that are theirs.
    pub consumers: Vec<(ConsumerHead<Vec<u8>>, Vec<StreamId>)>,
}

impl RdbValue {
    /// An empty value.
    pub fn new(kind: Kind) -> Self {
        match kind {
            Kind::String => RdbValue::String(Vec::new()),
            Kind::List => RdbValue::List(Vec::new()),
            Kind::Set => RdbValue::Set(Vec::new()),
            Kind::Zset => RdbValue::Zset(Vec::new()),
            Kind::Hash => RdbValue::Hash(Vec::new()),
            Kind::Stream => RdbValue::Stream(RdbStream::default()),
        }
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self {
            RdbValue::String(_) => Kind::String,
            RdbValue::List(_) => Kind::List,
            RdbValue::Set(_) => Kind::Set,
            RdbValue::Zset(_) => Kind::Zset,
            RdbValue::Hash(_) => Kind::Hash,
            RdbValue::Stream(_) => Kind::Stream,
        }
    }

    /// What a [`KeyHead`] says of its size.
    pub fn count(&self) -> u64 {
        let count = match self {
            RdbValue::String(_) => 1,
            RdbValue::List(items) | RdbValue::Set(items) => items.len(),
            RdbValue::Zset(members) => members.len(),
            RdbValue::Hash(fields) => fields.len(),
            RdbValue::Stream(stream) => stream.nodes.len(),
        };
        count as u64
    }

    /// Takes an element of its kind; false: it is of another, or out of order.
    #[must_use]
    pub fn take(&mut self, element: Element<Text<'_>>) -> bool {
        match (self, element.map(|text| text.to_vec())) {
            (RdbValue::String(value), Element::Value(text)) => *value = text,
            (RdbValue::List(items), Element::Item(text)) => items.push(text),
            (RdbValue::Set(members), Element::Member(text)) => members.push(text),
            (RdbValue::Zset(members), Element::Scored(text, score)) => members.push((text, score)),
            (RdbValue::Hash(fields), Element::Field { field, value, expires_ms }) => {
                fields.push((field, value, expires_ms));
            }
            (RdbValue::Stream(stream), element) => return stream.take(element).is_some(),
            _ => return false,
        }
        true
    }

    /// Shows its elements in order.
    ///
    /// # Errors
    /// The first that `show` gives.
    pub fn elements<E>(
        &self,
        show: &mut dyn FnMut(Element<Text<'_>>) -> Result<(), E>,
    ) -> Result<(), E> {
        let text = |bytes| Text::Bytes(bytes);
        match self {
            RdbValue::String(value) => show(Element::Value(text(value))),
            RdbValue::List(items) => items.iter().try_for_each(|x| show(Element::Item(text(x)))),
            RdbValue::Set(members) => {
                members.iter().try_for_each(|x| show(Element::Member(text(x))))
            }
            RdbValue::Zset(members) => {
                members.iter().try_for_each(|(x, score)| show(Element::Scored(text(x), *score)))
            }
            RdbValue::Hash(fields) => fields.iter().try_for_each(|(field, value, expires_ms)| {
                let (field, value) = (text(field), text(value));
                show(Element::Field { field, value, expires_ms: *expires_ms })
            }),
            RdbValue::Stream(stream) => stream.elements(show),
        }
    }
}

impl RdbStream {
    fn take(&mut self, element: Element<Vec<u8>>) -> Option<()> {
        match element {
            Element::Node(id) => self.nodes.push((id, Vec::new())),
            Element::Entry(id, _) => self.nodes.last_mut()?.1.push((id, Vec::new())),
            Element::Pair(field, value) => {
                self.nodes.last_mut()?.1.last_mut()?.1.push((field, value));
            }
            Element::Stream(head) => self.head = head,
            Element::Group(head) => {
                self.groups.push(RdbGroup { head, pending: Vec::new(), consumers: Vec::new() });
            }
            Element::Pending { id, delivered_ms, deliveries } => {
                self.groups.last_mut()?.pending.push((id, delivered_ms, deliveries));
            }
            Element::Consumers(_) => {}
            Element::Consumer(head) => {
                self.groups.last_mut()?.consumers.push((head, Vec::new()));
            }
            Element::Owned(id) => self.groups.last_mut()?.consumers.last_mut()?.1.push(id),
            Element::Value(_)
            | Element::Item(_)
            | Element::Member(_)
            | Element::Scored(..)
            | Element::Field { .. } => return None,
        }
        Some(())
    }

    fn elements<E>(
        &self,
        show: &mut dyn FnMut(Element<Text<'_>>) -> Result<(), E>,
    ) -> Result<(), E> {
        for (id, entries) in &self.nodes {
            show(Element::Node(*id))?;
            for (id, pairs) in entries {
                show(Element::Entry(*id, pairs.len() as u64))?;
                for (field, value) in pairs {
                    show(Element::Pair(Text::Bytes(field), Text::Bytes(value)))?;
                }
            }
        }
        show(Element::Stream(self.head))?;
        for RdbGroup { head, pending, consumers } in &self.groups {
            let GroupHead { name, last_id, entries_read, pending: count } = head;
            show(Element::Group(GroupHead {
                name: Text::Bytes(name),
                last_id: *last_id,
                entries_read: *entries_read,
                pending: *count,
            }))?;
            for &(id, delivered_ms, deliveries) in pending {
                show(Element::Pending { id, delivered_ms, deliveries })?;
            }
            show(Element::Consumers(consumers.len() as u64))?;
            for (ConsumerHead { name, seen_ms, active_ms, pending }, owned) in consumers {
                show(Element::Consumer(ConsumerHead {
                    name: Text::Bytes(name),
                    seen_ms: *seen_ms,
                    active_ms: *active_ms,
                    pending: *pending,
                }))?;
                owned.iter().try_for_each(|id| show(Element::Owned(*id)))?;
            }
        }
        Ok(())
    }
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct RdbKey {
    /// What stood in front of the value.
    pub head: KeyHead<Vec<u8>>,
    /// The value.
    pub value: RdbValue,
}

/// What an RDB file holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RdbFile {
    /// Version in its first line.
    pub version: u32,
    /// Its fields.
    pub aux: Pairs,
    /// Its function libraries.
    pub functions: Vec<Vec<u8>>,
    /// Its keys, in its order; those with empty collections too.
    pub keys: Vec<RdbKey>,
    /// Length of the RDB, bytes.
    pub bytes: u64,
}

impl RdbFile {
    /// Reads a file that is in memory, fed in pieces of at most `piece` bytes.
    ///
    /// # Errors
    /// The reader's.
    pub fn read(bytes: &[u8], piece: usize) -> Result<Self, RdbError> {
        let mut pieces = bytes.chunks(piece.max(1));
        let (mut reader, mut file) = (Reader::new(), Self::default());
        loop {
            match reader.next()? {
                Event::More => match pieces.next() {
                    Some(piece) => reader.feed(piece),
                    None => reader.end(),
                },
                Event::Aux(name, value) => file.aux.push((name.to_vec(), value.to_vec())),
                Event::Function(source) => file.functions.push(source.to_vec()),
                Event::Key(head) => {
                    let head = head.map(|key| key.to_vec());
                    file.keys.push(RdbKey { value: RdbValue::new(head.kind), head });
                }
                Event::Element(element) => {
                    let taken = file.keys.last_mut().is_some_and(|key| key.value.take(element));
                    debug_assert!(taken, "elements follow a key of their kind");
                }
                Event::KeyEnd | Event::Resize { .. } | Event::Slot { .. } => {}
                Event::End { bytes } => {
                    file.bytes = bytes;
                    file.version = reader.version();
                    return Ok(file);
                }
            }
        }
    }
}
