//! Events -> the bytes of an RDB file.
//!
//! Keys, elements and ends come as the reader shows them ([`Event`]), with the number of elements in
//! front, since the format has it there. Elements are written as they come; only a collection that
//! may still turn out small enough for a packed encoding is held back (`small.rs`), and one node of
//! a stream (`node.rs`). So memory is bounded by a node, whatever the size of a value.
//!
//! Does not know where the bytes go: they are taken with [`Writer::take`] whenever the caller likes;
//! the checksum goes on.
//!
//! [`Event`]: super::Event

use super::{
    crc64,
    encode::{Strings, put_length},
    event::{ConsumerHead, Element, GroupHead, KeyHead, Kind, StreamHead, StreamId, Text},
    model::RdbValue,
    node::NodeWriter,
    opcode::{self, node, value},
    small::{Small, Verdict},
};
use std::fmt;

/// What a file is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// REDIS0009: Redis 5 on; no packed collections, no functions, no counters of streams.
    Nine,
    /// REDIS0010: Redis 7 on.
    Ten,
}

/// How a file is written.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// For whom.
    pub version: Version,
    /// Long strings are packed (`rdbcompression`).
    pub compress: bool,
    /// There is a checksum at the end (`rdbchecksum`).
    pub checksum: bool,
}

/// What the fields at the beginning say.
#[derive(Debug, Clone, Copy)]
pub struct Info<'a> {
    /// Version of Redis this server stands for.
    pub redis_version: &'a str,
    /// Unix time, s.
    pub created_s: i64,
    /// Memory in use, bytes.
    pub used_memory: u64,
    /// The file is the base of a log directory.
    pub aof_base: bool,
}

/// What cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwritable {
    /// A deadline of a hash's field: no encoding for it is read by more than one server.
    FieldDeadline,
    /// A function library, in REDIS0009.
    Function,
    /// Another number, order or kind of elements than announced.
    Elements,
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Unwritable::FieldDeadline => "a deadline of a hash's field cannot be written to an RDB",
            Unwritable::Function => "a function library needs REDIS0010",
            Unwritable::Elements => "the elements of a value are not those that were announced",
        })
    }
}

impl std::error::Error for Unwritable {}

/// A value being written.
enum Value {
    None,
    /// So many elements are still to come.
    Plain(Kind, u64),
    /// Elements that may still be packed; so many are still to come.
    Small(Small, u64),
    /// A stream of which so many nodes are still to come.
    Stream(NodeWriter, u64),
    /// A stream behind its nodes.
    Groups,
    /// A list of which so many packed nodes are still to come.
    Nodes(u64),
}

/// A small collection as it lies in memory: Redis' own layouts.
#[derive(Debug, Clone, Copy)]
pub enum Packed<'a> {
    /// A listpack of a hash's fields and values.
    Hash(&'a [u8]),
    /// A listpack of a sorted set's members and scores.
    Zset(&'a [u8]),
    /// A listpack of a list's elements.
    List(&'a [u8]),
    /// An intset.
    Ints(&'a [u8]),
}

/// Writes one RDB file.
pub struct Writer {
    options: Options,
    out: Vec<u8>,
    strings: Strings,
    /// Bytes of `out` that are in `crc`.
    summed: usize,
    crc: u64,
    db: Option<u64>,
    /// One value alone, without a key.
    bare: bool,
    layout: Layout,
    value: Value,
}

/// How a collection is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Packed when it is small.
    BySize,
    /// Packed; a set holds integers only.
    Packed,
    /// Element by element.
    Plain,
}

impl Writer {
    fn empty(options: Options, bare: bool, layout: Layout) -> Self {
        Self {
            options,
            out: Vec::new(),
            strings: Strings::default(),
            summed: 0,
            crc: 0,
            db: None,
            bare,
            layout,
            value: Value::None,
        }
    }

    /// One value and its type, nothing around it.
    pub(super) fn payload(compress: bool, layout: Layout) -> Self {
        let options = Options { version: Version::Ten, compress, checksum: false };
        Self::empty(options, true, layout)
    }

    /// Whole keys that stand somewhere in a file: no first line.
    pub fn middle(options: Options) -> Self {
        Self::empty(options, false, Layout::Plain)
    }

    /// A file's first line.
    pub fn new(options: Options) -> Self {
        let mut writer = Self::empty(options, false, Layout::BySize);
        writer.out.extend_from_slice(match options.version {
            Version::Nine => b"REDIS0009",
            Version::Ten => b"REDIS0010",
        });
        writer
    }

    /// The fields Redis begins a file with.
    pub fn info(&mut self, info: &Info<'_>) {
        let mut digits = itoa::Buffer::new();
        self.aux(b"redis-ver", info.redis_version.as_bytes());
        self.aux(b"redis-bits", b"64");
        self.aux(b"ctime", digits.format(info.created_s).as_bytes());
        self.aux(b"used-mem", digits.format(info.used_memory).as_bytes());
        let name: &[u8] = match self.options.version {
            Version::Nine => b"aof-preamble",
            Version::Ten => b"aof-base",
        };
        self.aux(name, if info.aof_base { b"1" } else { b"0" });
    }

    /// A field about the file; Redis passes over those it does not know.
    pub fn aux(&mut self, name: &[u8], value: &[u8]) {
        self.out.push(opcode::AUX);
        self.text(name);
        self.text(value);
    }

    /// A function library.
    ///
    /// # Errors
    /// REDIS0009 has none.
    pub fn function(&mut self, source: &[u8]) -> Result<(), Unwritable> {
        if self.options.version == Version::Nine {
            return Err(Unwritable::Function);
        }
        self.out.push(opcode::FUNCTION2);
        self.text(source);
        Ok(())
    }

    /// Begins a database: how many keys follow, so that whoever loads can make room.
    pub fn database(&mut self, db: u64, keys: u64, with_deadline: u64) {
        self.select(db);
        self.out.push(opcode::RESIZE_DB);
        put_length(&mut self.out, keys);
        put_length(&mut self.out, with_deadline);
    }

    fn select(&mut self, db: u64) {
        if !self.bare && self.db != Some(db) {
            self.out.push(opcode::SELECT_DB);
            put_length(&mut self.out, db);
            self.db = Some(db);
        }
    }

    /// What follows is not about the database of what was written last: the next key says its own.
    pub fn forget_database(&mut self) {
        self.db = None;
    }

    /// What stands in front of a key's value.
    fn head(&mut self, head: &KeyHead<&[u8]>) {
        self.select(head.db);
        if let Some(ms) = head.expires_ms {
            self.out.push(opcode::EXPIRE_MS);
            self.out.extend(ms.to_le_bytes());
        }
        if let Some(seconds) = head.idle_s {
            self.out.push(opcode::IDLE);
            put_length(&mut self.out, seconds);
        }
        if let Some(freq) = head.freq {
            self.out.extend([opcode::FREQ, freq]);
        }
    }

    /// A key whose value is one string.
    pub fn string_key(&mut self, head: &KeyHead<&[u8]>, text: &[u8]) {
        self.head(head);
        self.out.push(value::STRING);
        self.name(head.key);
        self.text(text);
    }

    /// A key whose value is packed already, in REDIS0010. It is not looked into.
    pub fn packed_key(&mut self, head: &KeyHead<&[u8]>, packed: Packed<'_>) {
        self.head(head);
        let (value_type, bytes) = match packed {
            Packed::Hash(bytes) => (value::HASH_LISTPACK, bytes),
            Packed::Zset(bytes) => (value::ZSET_LISTPACK, bytes),
            Packed::Ints(bytes) => (value::SET_INTSET, bytes),
            Packed::List(bytes) => (value::LIST_QUICKLIST_2, bytes),
        };
        self.out.push(value_type);
        self.name(head.key);
        if let Packed::List(_) = packed {
            put_length(&mut self.out, 1);
            put_length(&mut self.out, node::PACKED);
        }
        self.text(bytes);
    }

    /// Begins a key whose value is a list of `nodes` listpacks, in REDIS0010; each comes with
    /// [`Writer::list_node`].
    pub fn list_key(&mut self, head: &KeyHead<&[u8]>, nodes: u64) {
        self.head(head);
        self.out.push(value::LIST_QUICKLIST_2);
        self.name(head.key);
        put_length(&mut self.out, nodes);
        self.value = Value::Nodes(nodes);
    }

    /// The next listpack of a list; it is not looked into.
    ///
    /// # Errors
    /// There is no list, or it was announced with fewer.
    pub fn list_node(&mut self, listpack: &[u8]) -> Result<(), Unwritable> {
        let Value::Nodes(left @ 1..) = self.value else { return Err(Unwritable::Elements) };
        self.value = Value::Nodes(left - 1);
        put_length(&mut self.out, node::PACKED);
        self.text(listpack);
        Ok(())
    }

    /// Begins a key whose value has `count` elements (a stream: nodes).
    pub fn key(&mut self, head: &KeyHead<&[u8]>, count: u64) {
        self.head(head);
        let packs = self.options.version == Version::Ten;
        let small = match self.layout {
            Layout::BySize => Small::new(head.kind, head.key, count, packs),
            Layout::Packed => Some(Small::certain(head.kind, head.key, count)),
            Layout::Plain => None,
        };
        if let Some(small) = small {
            // The type, which stands in front of the key, is known at the end.
            self.value = Value::Small(small, count);
            return;
        }
        self.begin(head.kind, head.key, count);
        self.value = match head.kind {
            Kind::Stream => Value::Stream(NodeWriter::new(), count),
            kind => Value::Plain(kind, count),
        };
    }

    /// Type, key, number of elements.
    fn begin(&mut self, kind: Kind, key: &[u8], count: u64) {
        self.out.push(match (kind, self.options.version) {
            (Kind::String, _) => value::STRING,
            (Kind::List, _) => value::LIST,
            (Kind::Set, _) => value::SET,
            (Kind::Zset, _) => value::ZSET_2,
            (Kind::Hash, _) => value::HASH,
            (Kind::Stream, Version::Nine) => value::STREAM,
            (Kind::Stream, Version::Ten) => value::STREAM_2,
        });
        self.name(key);
        if kind != Kind::String {
            put_length(&mut self.out, count);
        }
    }

    /// The next element of the key's value.
    ///
    /// # Errors
    /// It does not belong there, or cannot be written; the file is worth nothing afterwards.
    pub fn element(&mut self, element: Element<Text<'_>>) -> Result<(), Unwritable> {
        if let Element::Field { expires_ms: Some(_), .. } = element {
            return Err(Unwritable::FieldDeadline);
        }
        match std::mem::replace(&mut self.value, Value::None) {
            Value::Small(mut small, left) => {
                let left = left.checked_sub(1).ok_or(Unwritable::Elements)?;
                if element.kind() != small.kind() {
                    return Err(Unwritable::Elements);
                }
                match small.take(element) {
                    Verdict::Kept => self.value = Value::Small(small, left),
                    Verdict::TooBig => {
                        let kind = small.kind();
                        let count = small.announced();
                        self.begin(kind, small.key(), count);
                        small.give_back(&mut |element| self.plain(element));
                        self.value = Value::Plain(kind, left);
                    }
                }
            }
            Value::Plain(kind, left) => {
                let left = left.checked_sub(1).ok_or(Unwritable::Elements)?;
                if element.kind() != kind {
                    return Err(Unwritable::Elements);
                }
                self.plain(element);
                self.value = Value::Plain(kind, left);
            }
            Value::Stream(mut node, mut left) => match element {
                Element::Stream(head) => {
                    self.node(&mut node);
                    if left > 0 {
                        return Err(Unwritable::Elements);
                    }
                    self.counters(&head, node.first_id());
                    self.value = Value::Groups;
                }
                Element::Node(id) => {
                    self.node(&mut node);
                    left = left.checked_sub(1).ok_or(Unwritable::Elements)?;
                    node.begin(id);
                    self.value = Value::Stream(node, left);
                }
                element => {
                    node.take(element)?;
                    self.value = Value::Stream(node, left);
                }
            },
            Value::Groups => {
                self.group(element)?;
                self.value = Value::Groups;
            }
            Value::None | Value::Nodes(_) => return Err(Unwritable::Elements),
        }
        Ok(())
    }

    /// Ends the key's value.
    ///
    /// # Errors
    /// Elements are missing.
    pub fn key_end(&mut self) -> Result<(), Unwritable> {
        match std::mem::replace(&mut self.value, Value::None) {
            Value::Small(small, 0) => {
                self.out.push(small.value_type());
                self.name(small.key());
                let packed = small.pack();
                packed.nodes.iter().flatten().for_each(|n| put_length(&mut self.out, *n));
                self.text(&packed.bytes);
                Ok(())
            }
            Value::Plain(_, 0) | Value::Nodes(0) | Value::Groups => Ok(()),
            Value::Small(..)
            | Value::Plain(..)
            | Value::Stream(..)
            | Value::Nodes(_)
            | Value::None => Err(Unwritable::Elements),
        }
    }

    /// A key with its whole value.
    ///
    /// # Errors
    /// As [`Writer::element`].
    pub fn value(&mut self, head: &KeyHead<&[u8]>, value: &RdbValue) -> Result<(), Unwritable> {
        self.key(head, value.count());
        value.elements(&mut |element| self.element(element))?;
        self.key_end()
    }

    /// The end and the checksum. Nothing may follow.
    pub fn finish(&mut self) {
        self.out.push(opcode::END);
        self.sum();
        let crc = if self.options.checksum { self.crc } else { 0 };
        self.out.extend(crc.to_le_bytes());
    }

    /// Bytes that can be taken.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Makes room for so many bytes more.
    pub fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    /// True when nothing can be taken.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    /// Takes what has been written since the last time.
    pub fn take(&mut self) -> Vec<u8> {
        self.sum();
        self.summed = 0;
        std::mem::take(&mut self.out)
    }

    fn sum(&mut self) {
        if self.options.checksum {
            self.crc = crc64::update(self.crc, &self.out[self.summed..]);
        }
        self.summed = self.out.len();
    }

    /// A key.
    fn name(&mut self, key: &[u8]) {
        if !self.bare {
            self.text(key);
        }
    }

    fn text(&mut self, bytes: &[u8]) {
        self.strings.put(&mut self.out, bytes, self.options.compress);
    }

    fn string(&mut self, text: Text<'_>) {
        self.text(text.bytes(&mut itoa::Buffer::new()));
    }

    fn plain(&mut self, element: Element<Text<'_>>) {
        match element {
            Element::Value(text) | Element::Item(text) | Element::Member(text) => self.string(text),
            Element::Scored(member, score) => {
                self.string(member);
                self.out.extend(score.to_le_bytes());
            }
            Element::Field { field, value, .. } => {
                self.string(field);
                self.string(value);
            }
            _ => {}
        }
    }

    fn id(&mut self, id: StreamId) {
        put_length(&mut self.out, id.ms);
        put_length(&mut self.out, id.seq);
    }

    fn raw_id(&mut self, id: StreamId) {
        self.out.extend(id.ms.to_be_bytes());
        self.out.extend(id.seq.to_be_bytes());
    }

    /// Writes a node, if there is one.
    fn node(&mut self, node: &mut NodeWriter) {
        if let Some((id, listpack)) = node.finish() {
            put_length(&mut self.out, 16);
            self.raw_id(id);
            self.text(&listpack);
        }
    }

    fn counters(&mut self, head: &StreamHead, first: Option<StreamId>) {
        put_length(&mut self.out, head.length);
        self.id(head.last_id);
        if self.options.version == Version::Ten {
            self.id(head.first_id.or(first).unwrap_or_default());
            self.id(head.max_deleted_id.unwrap_or_default());
            put_length(&mut self.out, head.entries_added.unwrap_or(head.length));
        }
        put_length(&mut self.out, head.groups);
    }

    fn group(&mut self, element: Element<Text<'_>>) -> Result<(), Unwritable> {
        match element {
            Element::Group(GroupHead { name, last_id, entries_read, pending }) => {
                self.string(name);
                self.id(last_id);
                if self.options.version == Version::Ten {
                    put_length(&mut self.out, entries_read.unwrap_or(-1) as u64);
                }
                put_length(&mut self.out, pending);
            }
            Element::Pending { id, delivered_ms, deliveries } => {
                self.raw_id(id);
                self.out.extend(delivered_ms.to_le_bytes());
                put_length(&mut self.out, deliveries);
            }
            Element::Consumers(count) => put_length(&mut self.out, count),
            Element::Consumer(ConsumerHead { name, seen_ms, pending, .. }) => {
                self.string(name);
                self.out.extend(seen_ms.to_le_bytes());
                put_length(&mut self.out, pending);
            }
            Element::Owned(id) => self.raw_id(id),
            _ => return Err(Unwritable::Elements),
        }
        Ok(())
    }
}
