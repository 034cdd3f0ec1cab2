//! Chunks: whole keys of one shard, as they stand in an RDB file.
//!
//! A chunk can be read alone: it begins with its database. Its keys come in any order, those of
//! several databases and slot groups after each other. A value that is larger than a chunk goes out in
//! parts: a chunk that [`Chunk::continues`] ends inside a value, and the shard's next one goes on there.
//!
//! Knows neither where chunks go nor which keys must be in them.

use super::{commands::CommandWriter, value};
use crate::{
    elements,
    keyspace::{AccessClock, Entry, Tracking, Value},
    rdb::{Element, KeyHead, Kind, Options, Text, Unwritable, Version, Writer},
};

/// Bytes that memory is reserved for when a chunk begins.
const CHUNK_RESERVED_BYTES: usize = 272 * 1024;

/// What is said about how a key was used.
#[derive(Debug, Clone)]
pub enum Usage {
    /// Nothing.
    Unsaid,
    /// What its access bits mean by this clock: idle seconds, or how often. As in Redis this is
    /// worth its bytes when `maxmemory-policy` decides by it.
    By(AccessClock),
}

/// How chunks are written.
#[derive(Debug, Clone)]
pub struct ChunkOptions {
    /// Long strings are packed (`rdbcompression`).
    pub compress: bool,
    /// What is said about how keys were used.
    pub usage: Usage,
}

/// A key and its value.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// The key.
    pub key: &'a [u8],
    /// Its value.
    pub value: Value<'a>,
    /// Unix time, ms, after which the key no longer exists.
    pub deadline: Option<i64>,
    /// The 24 access bits.
    pub access: u32,
}

impl<'a> From<Entry<'a>> for Record<'a> {
    fn from(entry: Entry<'a>) -> Self {
        Self {
            key: entry.key(),
            value: entry.content(),
            deadline: entry.deadline(),
            access: entry.access(),
        }
    }
}

/// Keys of one database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// The database.
    pub db: u16,
    /// Keys that begin here.
    pub keys: u64,
    /// Those of them that have a deadline.
    pub with_deadline: u64,
}

/// Bytes of whole keys, or of a part of one.
#[derive(Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The shard whose keys they are.
    pub shard: u16,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// Keys that begin in it by database, each once, in the order they came.
    pub counts: Vec<Count>,
    /// Lowest and highest slot group of them; of a chunk that only goes on, the value's.
    pub groups: (u16, u16),
    /// The value that its last bytes are of goes on in the shard's next chunk.
    pub continues: bool,
}

impl Chunk {
    /// Function libraries, which are of no shard.
    pub(super) fn of_functions(sources: &[Box<[u8]>]) -> Self {
        let file = Options { version: Version::Ten, compress: false, checksum: false };
        let mut writer = Writer::middle(file);
        // Every chunk begins with a database.
        writer.database(0, 0, 0);
        for source in sources {
            // Only REDIS0009 has none.
            let _ = writer.function(source);
        }
        let (bytes, counts) = (writer.take(), Vec::new());
        Self { shard: 0, bytes, counts, groups: (0, 0), continues: false }
    }

    /// Keys that begin in it.
    pub fn keys(&self) -> u64 {
        self.counts.iter().map(|count| count.keys).sum()
    }
}

/// How keys are written.
enum Body {
    Rdb(Writer),
    Commands(CommandWriter),
}

/// Writes chunks of one shard.
pub struct ChunkWriter {
    shard: u16,
    usage: Usage,
    body: Body,
    counts: Vec<Count>,
    groups: Option<(u16, u16)>,
    /// The group of the value that is open.
    open: Option<u16>,
    /// Bytes that memory is reserved for when a chunk begins.
    reserved: usize,
}

impl ChunkWriter {
    /// A writer of chunks of shard `shard`.
    pub fn new(shard: u16, options: &ChunkOptions) -> Self {
        let file = Options { version: Version::Ten, compress: options.compress, checksum: false };
        Self {
            shard,
            usage: options.usage.clone(),
            body: Body::Rdb(Writer::middle(file)),
            counts: Vec::new(),
            groups: None,
            open: None,
            reserved: CHUNK_RESERVED_BYTES,
        }
    }

    /// A writer of chunks that consist of commands (`commands.rs`), for a delta.
    pub fn of_commands(shard: u16, options: &ChunkOptions) -> Self {
        Self { body: Body::Commands(CommandWriter::default()), ..Self::new(shard, options) }
    }

    /// The same, for chunks that may stay small: takes memory as they grow.
    pub fn unreserved(mut self) -> Self {
        self.reserved = 0;
        self
    }

    /// Bytes that wait for [`ChunkWriter::take`].
    pub fn bytes(&self) -> usize {
        match &self.body {
            Body::Rdb(writer) => writer.len(),
            Body::Commands(writer) => writer.len(),
        }
    }

    /// True when nothing waits for [`ChunkWriter::take`].
    pub fn is_empty(&self) -> bool {
        self.bytes() == 0
    }

    /// Adds a key of slot group `group` with its whole value.
    ///
    /// # Errors
    /// There is no way to write it; nothing of this writer is worth anything afterwards.
    pub fn push(&mut self, db: u16, group: u16, record: Record<'_>) -> Result<(), Unwritable> {
        let kind = elements::kind(record.value);
        let head = self.head(db, group, record.key, kind, record.deadline, record.access);
        match &mut self.body {
            Body::Rdb(writer) => value::write(writer, &head, record.value),
            Body::Commands(writer) => writer.push(db, record),
        }
    }

    /// Adds that a key is gone. Only chunks of commands can say so.
    ///
    /// # Errors
    /// As [`ChunkWriter::push`].
    pub fn gone(&mut self, db: u16, key: &[u8]) -> Result<(), Unwritable> {
        let Body::Commands(writer) = &mut self.body else { return Err(Unwritable::Elements) };
        writer.gone(db, key);
        Ok(())
    }

    /// Begins a key of slot group `group` whose `count` elements follow one by one, with
    /// [`ChunkWriter::element`]; of a stream, its nodes are counted.
    pub fn begin(
        &mut self,
        db: u16,
        group: u16,
        (key, kind): (&[u8], Kind),
        (deadline, access): (Option<i64>, u32),
        count: u64,
    ) {
        let head = self.head(db, group, key, kind, deadline, access);
        match &mut self.body {
            Body::Rdb(writer) => writer.key(&head, count),
            Body::Commands(writer) => writer.begin(db, (key, kind), deadline, count),
        }
        self.open = Some(group);
    }

    /// Begins a list of slot group `group` whose `nodes` listpacks follow one by one, with
    /// [`ChunkWriter::list_node`].
    pub fn begin_list(
        &mut self,
        db: u16,
        group: u16,
        key: &[u8],
        (deadline, access): (Option<i64>, u32),
        nodes: u64,
    ) {
        let head = self.head(db, group, key, Kind::List, deadline, access);
        match &mut self.body {
            Body::Rdb(writer) => writer.list_key(&head, nodes),
            Body::Commands(writer) => writer.begin(db, (key, Kind::List), deadline, nodes),
        }
        self.open = Some(group);
    }

    /// The next element of the key that was begun.
    ///
    /// # Errors
    /// As [`ChunkWriter::push`].
    pub fn element(&mut self, element: Element<Text<'_>>) -> Result<(), Unwritable> {
        match &mut self.body {
            Body::Rdb(writer) => writer.element(element),
            Body::Commands(writer) => writer.element(element),
        }
    }

    /// The next listpack of the list that was begun.
    ///
    /// # Errors
    /// As [`ChunkWriter::push`].
    pub fn list_node(&mut self, listpack: &[u8]) -> Result<(), Unwritable> {
        match &mut self.body {
            Body::Rdb(writer) => writer.list_node(listpack),
            Body::Commands(writer) => writer.list_node(listpack),
        }
    }

    /// Ends the key that was begun.
    ///
    /// # Errors
    /// Elements are missing.
    pub fn end(&mut self) -> Result<(), Unwritable> {
        self.open = None;
        match &mut self.body {
            Body::Rdb(writer) => writer.key_end(),
            Body::Commands(writer) => writer.end(),
        }
    }

    /// What has been written since the last time; None when there is nothing. Between
    /// [`ChunkWriter::begin`] and [`ChunkWriter::end`] it is a part of a value.
    pub fn take(&mut self) -> Option<Chunk> {
        if self.is_empty() {
            return None;
        }
        let bytes = match &mut self.body {
            Body::Rdb(writer) => {
                let bytes = writer.take();
                writer.forget_database();
                bytes
            }
            Body::Commands(writer) => writer.take(),
        };
        let open = self.open.unwrap_or(0);
        Some(Chunk {
            shard: self.shard,
            bytes,
            counts: std::mem::take(&mut self.counts),
            groups: self.groups.take().unwrap_or((open, open)),
            continues: self.open.is_some(),
        })
    }

    /// Counts a key, and says what stands in front of its value.
    fn head<'k>(
        &mut self,
        db: u16,
        group: u16,
        key: &'k [u8],
        kind: Kind,
        deadline: Option<i64>,
        access: u32,
    ) -> KeyHead<&'k [u8]> {
        if self.is_empty() {
            match &mut self.body {
                Body::Rdb(writer) => writer.reserve(self.reserved),
                Body::Commands(writer) => writer.reserve(self.reserved),
            }
        }
        self.groups = Some(match self.groups {
            Some((first, last)) => (first.min(group), last.max(group)),
            None => (group, group),
        });
        let at = match self.counts.iter().position(|count| count.db == db) {
            Some(at) => at,
            None => {
                self.counts.push(Count { db, ..Count::default() });
                self.counts.len() - 1
            }
        };
        self.counts[at].keys += 1;
        self.counts[at].with_deadline += u64::from(deadline.is_some());
        let mut head = KeyHead {
            db: u64::from(db),
            key,
            kind,
            packed: false,
            count: None,
            expires_ms: deadline,
            idle_s: None,
            freq: None,
            offset: 0,
        };
        if let Usage::By(clock) = &self.usage {
            match clock.tracking() {
                Tracking::Time => head.idle_s = Some(u64::from(clock.idle_seconds(access))),
                Tracking::Frequency { .. } => head.freq = Some(clock.frequency(access)),
            }
        }
        head
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        keyspace::{Deadline, KeyHasher, Keyspace},
        rdb::{RdbFile, RdbValue},
    };

    fn options() -> ChunkOptions {
        ChunkOptions { compress: false, usage: Usage::Unsaid }
    }

    /// Chunks as a file of their own.
    fn read(chunks: &[Chunk]) -> RdbFile {
        let mut bytes = b"REDIS0010".to_vec();
        chunks.iter().for_each(|chunk| bytes.extend(&chunk.bytes));
        bytes.push(0xFF);
        bytes.extend([0; 8]);
        RdbFile::read(&bytes, 1 << 20).expect("chunks are an RDB")
    }

    fn record<'a>(key: &'a [u8], value: &'a [u8]) -> Record<'a> {
        let value = Value::Str(crate::keyspace::Str::Bytes(value));
        Record { key, value, deadline: None, access: 0 }
    }

    #[test]
    fn every_chunk_says_its_database_and_counts_its_keys() {
        let mut writer = ChunkWriter::new(3, &options());
        assert_eq!(writer.take(), None);
        writer.push(2, 9, record(b"a", b"1")).expect("a string");
        let first = writer.take().expect("a chunk");
        let with_deadline = Record { deadline: Some(77), ..record(b"b", b"2") };
        writer.push(2, 7, with_deadline).expect("a string");
        writer.push(2, 8, record(b"c", b"3")).expect("a string");
        writer.push(5, 8, record(b"d", b"4")).expect("a string");
        let second = writer.take().expect("a chunk");
        assert_eq!((first.shard, first.groups, first.keys()), (3, (9, 9), 1));
        let counts = [
            Count { db: 2, keys: 2, with_deadline: 1 },
            Count { db: 5, keys: 1, with_deadline: 0 },
        ];
        assert_eq!((second.groups, &second.counts[..]), ((7, 8), &counts[..]));
        let alone = read(std::slice::from_ref(&second));
        let heads: Vec<_> =
            alone.keys.iter().map(|k| (k.head.db, &k.head.key[..], k.head.expires_ms)).collect();
        assert_eq!(heads, [(2, &b"b"[..], Some(77)), (2, b"c", None), (5, b"d", None)]);
        assert_eq!(read(&[second, first]).keys.len(), 4);
    }

    #[test]
    fn a_value_in_parts_is_one_value() {
        let mut writer = ChunkWriter::new(0, &options());
        writer.push(0, 1, record(b"before", b"x")).expect("a string");
        writer.begin(0, 4, (b"set", Kind::Set), (None, 0), 3);
        writer.element(Element::Member(Text::Bytes(b"one"))).expect("a member");
        let first = writer.take().expect("a part");
        writer.element(Element::Member(Text::Bytes(b"two"))).expect("a member");
        let second = writer.take().expect("a part");
        writer.element(Element::Member(Text::Int(3))).expect("a member");
        writer.end().expect("all members came");
        writer.push(0, 5, record(b"after", b"y")).expect("a string");
        let third = writer.take().expect("the end");
        assert_eq!((first.continues, second.continues, third.continues), (true, true, false));
        assert_eq!((second.groups, second.keys()), ((4, 4), 0));
        let file = read(&[first, second, third]);
        let members = [&b"one"[..], b"two", b"3"].map(<[u8]>::to_vec).to_vec();
        let values: Vec<_> = file.keys.into_iter().map(|key| key.value).collect();
        let string = |text: &[u8]| RdbValue::String(text.to_vec());
        assert_eq!(values, [string(b"x"), RdbValue::Set(members), string(b"y")]);
    }

    #[test]
    fn use_of_keys_is_told_by_the_clock_that_counted_it() {
        let tell = |tracking| {
            let mut clock = AccessClock::new();
            clock.set(1_700_000_000_000, tracking);
            let bits = clock.fresh();
            clock.set(1_700_000_009_000, tracking);
            let options = ChunkOptions { compress: false, usage: Usage::By(clock) };
            let mut writer = ChunkWriter::new(0, &options);
            let record = Record { access: bits, ..record(b"k", b"v") };
            writer.push(0, 0, record).expect("a string");
            let head = read(&[writer.take().expect("a chunk")]).keys[0].head.clone();
            (head.idle_s, head.freq)
        };
        assert_eq!(tell(Tracking::Time), (Some(9), None));
        let counting = Tracking::Frequency { log_factor: 10, decay_minutes: 1 };
        assert_eq!(tell(counting), (None, Some(5)));
    }

    #[test]
    fn entries_become_records() {
        let mut keyspace = Keyspace::new(1, KeyHasher::fixed());
        let key = keyspace.key(b"n");
        keyspace.db_mut(0).set(key, b"-12", Deadline::At(4_000_000_000_000));
        let mut writer = ChunkWriter::new(0, &options());
        keyspace.db(0).for_each(&mut |entry| {
            writer.push(0, 0, Record::from(entry)).expect("a string");
        });
        let key = read(&[writer.take().expect("a chunk")]).keys.remove(0);
        assert_eq!(key.value, RdbValue::String(b"-12".to_vec()));
        assert_eq!((key.head.key, key.head.expires_ms), (b"n".to_vec(), Some(4_000_000_000_000)));
    }
}
