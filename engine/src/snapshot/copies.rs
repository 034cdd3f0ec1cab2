//! Keys on their way out of order: what is about to change, and big values element by element.
//!
//! Owns the writing; what it writes goes to the walk as messages. A value that is lost before its
//! end fails the walk: a snapshot is whole or none.

use super::{Chunk, ChunkOptions, ChunkWriter, Record, walk::CHUNK_BYTES};
use crate::{
    elements,
    keyspace::{Copyist, Elements, Entry, Scope, Str},
    rdb::{Element, Kind, Text, Unwritable},
    types::{ListRef, View, packed::Packed},
};
use std::sync::mpsc::Sender;

/// A big value, by a number of its own.
pub(super) type ValueNo = (u16, u64);

/// What the walk is told.
pub(super) enum Message {
    /// Whole keys.
    Whole(Chunk),
    /// A part of a big value, the last one if it does not continue.
    Part {
        /// Whose.
        value: ValueNo,
        /// Its bytes.
        chunk: Chunk,
        /// The walk has come to the value, so that it is soon at its end.
        is_attended: bool,
    },
    /// A value cannot be written.
    Failed(Unwritable),
}

/// Writes keys of one database that are about to change.
pub(super) struct Copier {
    db: u16,
    shard: u16,
    options: ChunkOptions,
    scope: Scope,
    writer: ChunkWriter,
    to: Sender<Message>,
    /// Big values begun.
    values: u64,
    has_failed: bool,
}

/// Writes one big value.
struct ValueWriter {
    value: ValueNo,
    kind: Kind,
    writer: ChunkWriter,
    to: Sender<Message>,
    is_attended: bool,
    is_ended: bool,
}

/// Writes what a walk of this scope gives out: changes as commands.
pub(super) fn writer(shard: u16, scope: Scope, options: &ChunkOptions) -> ChunkWriter {
    match scope {
        Scope::All | Scope::Base => ChunkWriter::new(shard, options),
        Scope::Changes => ChunkWriter::of_commands(shard, options),
    }
}

impl Copier {
    /// For a database that has this number at the cut.
    pub(super) fn new(
        db: u16,
        shard: u16,
        scope: Scope,
        options: &ChunkOptions,
        to: Sender<Message>,
    ) -> Self {
        let writer = writer(shard, scope, options);
        let options = options.clone();
        Self { db, shard, options, scope, writer, to, values: 0, has_failed: false }
    }

    fn hand_over(&mut self) {
        if let Some(chunk) = self.writer.take() {
            // Nobody takes it when the walk has been given up.
            let _ = self.to.send(Message::Whole(chunk));
        }
    }
}

impl Copyist for Copier {
    fn copy(&mut self, group: usize, entry: Entry<'_>) {
        if self.has_failed {
            return;
        }
        if let Err(error) = self.writer.push(self.db, group as u16, Record::from(entry)) {
            self.has_failed = true;
            let _ = self.to.send(Message::Failed(error));
        } else if self.writer.bytes() >= CHUNK_BYTES {
            self.hand_over();
        }
    }

    fn begin(&mut self, group: usize, entry: Entry<'_>) -> Box<dyn Elements> {
        let (value, kind) = (entry.content(), elements::kind(entry.content()));
        let mut writer = writer(self.shard, self.scope, &self.options).unreserved();
        let (db, group, about) = (self.db, group as u16, (entry.deadline(), entry.access()));
        if let Some(ListRef::Big(list)) = ListRef::of(value) {
            writer.begin_list(db, group, entry.key(), about, list.nodes_len() as u64);
        } else {
            writer.begin(db, group, (entry.key(), kind), about, elements::count(value));
        }
        self.values += 1;
        Box::new(ValueWriter {
            value: (self.db, self.values),
            kind,
            writer,
            to: self.to.clone(),
            is_attended: false,
            is_ended: false,
        })
    }

    fn finish(mut self: Box<Self>) {
        if !self.has_failed {
            self.hand_over();
        }
    }
}

impl ValueWriter {
    fn hand_over(&mut self) {
        if let Some(chunk) = self.writer.take() {
            let Self { value, is_attended, .. } = *self;
            let _ = self.to.send(Message::Part { value, chunk, is_attended });
        }
    }

    fn add(&mut self, add: impl FnOnce(&mut ChunkWriter) -> Result<(), Unwritable>) {
        // ORDER: before the element, so that something is left for the last part.
        if self.writer.bytes() >= CHUNK_BYTES {
            self.hand_over();
        }
        if let Err(error) = add(&mut self.writer) {
            self.fail(error);
        }
    }

    fn fail(&mut self, error: Unwritable) {
        let _ = self.to.send(Message::Failed(error));
    }
}

fn text(value: Str<'_>) -> Text<'_> {
    match value {
        Str::Int(n) => Text::Int(n),
        Str::Bytes(bytes) => Text::Bytes(bytes),
    }
}

/// An element as its type keeps it in a table.
fn element(kind: Kind, entry: Entry<'_>) -> Result<Element<Text<'_>>, Unwritable> {
    let name = Text::Bytes(entry.key());
    match (kind, entry.value()) {
        (Kind::Set, _) => Ok(Element::Member(name)),
        (Kind::Hash, value) => {
            Ok(Element::Field { field: name, value: text(value), expires_ms: entry.deadline() })
        }
        (Kind::Zset, Str::Int(bits)) => Ok(Element::Scored(name, f64::from_bits(bits as u64))),
        _ => Err(Unwritable::Elements),
    }
}

impl Elements for ValueWriter {
    fn attend(&mut self) {
        self.is_attended = true;
    }

    fn element(&mut self, entry: Entry<'_>) {
        let element = element(self.kind, entry);
        self.add(|writer| writer.element(element?));
    }

    fn node(&mut self, node: Packed<'_>) {
        self.add(|writer| writer.list_node(node.as_bytes()));
    }

    fn finish(mut self: Box<Self>) {
        self.is_ended = true;
        match self.writer.end() {
            Ok(()) => self.hand_over(),
            Err(error) => self.fail(error),
        }
    }
}

impl Drop for ValueWriter {
    fn drop(&mut self) {
        if !self.is_ended {
            // Nobody hears it when the walk has been given up.
            self.fail(Unwritable::Elements);
        }
    }
}
