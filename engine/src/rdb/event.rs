//! What an RDB file says, event by event: the reader makes them, whoever builds values takes them.
//!
//! A key is one [`Event::Key`], its elements, one [`Event::KeyEnd`]:
//!
//! | kind | elements |
//! |---|---|
//! | string | one `Value` |
//! | list | `Item` from head to tail |
//! | set | `Member` |
//! | sorted set | `Scored` |
//! | hash | `Field` |
//! | stream | per node `Node`, per entry `Entry` and its `Pair`s; `Stream`; per group `Group`, its `Pending`s, `Consumers`, per consumer `Consumer` and its `Owned`s |
//!
//! What the reader does not know it does not check: fields, members, groups or keys that are there
//! twice, a consumer's pending entry that its group does not have. A collection may have no
//! element; Redis passes over such keys in files.

/// Kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A string.
    String,
    /// A list.
    List,
    /// A set.
    Set,
    /// A sorted set.
    Zset,
    /// A hash.
    Hash,
    /// A stream.
    Stream,
}

impl Kind {
    /// As TYPE says it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::List => "list",
            Kind::Set => "set",
            Kind::Zset => "zset",
            Kind::Hash => "hash",
            Kind::Stream => "stream",
        }
    }
}

/// A string as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text<'a> {
    /// The decimal text of an integer.
    Int(i64),
    /// Any bytes.
    Bytes(&'a [u8]),
}

impl<'a> Text<'a> {
    /// The bytes; an integer is written into `digits`.
    pub fn bytes<'b>(&self, digits: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Text::Int(n) => digits.format(*n).as_bytes(),
            Text::Bytes(bytes) => bytes,
        }
    }

    /// The bytes, copied.
    pub fn to_vec(&self) -> Vec<u8> {
        self.bytes(&mut itoa::Buffer::new()).to_vec()
    }
}

/// An entry's id in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct StreamId {
    /// Unix time, ms.
    pub ms: u64,
    /// Number within that millisecond.
    pub seq: u64,
}

/// What stands in front of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHead<B> {
    /// Database.
    pub db: u64,
    /// The key; empty in a DUMP payload.
    pub key: B,
    /// Kind of its value.
    pub kind: Kind,
    /// It comes as a listpack or ziplist, so its server kept it small: a hash or sorted set stays
    /// so, however long its elements are. Writers go by their layout instead.
    pub packed: bool,
    /// Elements (fields of a hash, nodes of a stream), where the file says so in front of them. A
    /// claim: reserve no memory by it.
    pub count: Option<u64>,
    /// Unix time, ms, after which the key does not exist.
    pub expires_ms: Option<i64>,
    /// Seconds since it was used.
    pub idle_s: Option<u64>,
    /// How often it is used (logarithmic, as OBJECT FREQ).
    pub freq: Option<u8>,
    /// Where the value's type stands in the file, bytes.
    pub offset: u64,
}

/// What a stream knows besides its entries. `None`: the file is older than the counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamHead {
    /// Entries.
    pub length: u64,
    /// Highest id ever.
    pub last_id: StreamId,
    /// Id of the first entry.
    pub first_id: Option<StreamId>,
    /// Highest id ever deleted.
    pub max_deleted_id: Option<StreamId>,
    /// Entries ever added.
    pub entries_added: Option<u64>,
    /// Groups that follow. A claim.
    pub groups: u64,
}

/// A consumer group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupHead<B> {
    /// Its name.
    pub name: B,
    /// Last id delivered.
    pub last_id: StreamId,
    /// Entries read; -1: unknown. `None`: the file is older than the counter.
    pub entries_read: Option<i64>,
    /// Pending entries that follow. A claim.
    pub pending: u64,
}

/// A consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumerHead<B> {
    /// Its name.
    pub name: B,
    /// Unix time, ms, of its last attempt.
    pub seen_ms: i64,
    /// Unix time, ms, of its last success. `None`: the file is older than that.
    pub active_ms: Option<i64>,
    /// Pending entries that follow. A claim.
    pub pending: u64,
}

/// A part of a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Element<B> {
    /// The string.
    Value(B),
    /// A list's next element.
    Item(B),
    /// A set's member.
    Member(B),
    /// A sorted set's member and its score, never NaN.
    Scored(B, f64),
    /// A hash's field.
    Field {
        /// Its name.
        field: B,
        /// Its value.
        value: B,
        /// Unix time, ms, after which it does not exist.
        expires_ms: Option<i64>,
    },
    /// A stream's next node begins; ids count from this one.
    Node(StreamId),
    /// A stream's entry; its id, above the one before, and how many pairs follow.
    Entry(StreamId, u64),
    /// A field and its value of an entry.
    Pair(B, B),
    /// A stream's counters; entries are done, groups follow.
    Stream(StreamHead),
    /// A group.
    Group(GroupHead<B>),
    /// An entry that the group has delivered and nobody has acknowledged.
    Pending {
        /// Its id.
        id: StreamId,
        /// Unix time, ms, of its last delivery.
        delivered_ms: i64,
        /// How often it was delivered.
        deliveries: u64,
    },
    /// The group's pending entries are done; so many consumers follow. A claim.
    Consumers(u64),
    /// A consumer of the group.
    Consumer(ConsumerHead<B>),
    /// A pending entry of the group that is this consumer's.
    Owned(StreamId),
}

/// What comes next in an RDB file.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event<B> {
    /// The reader needs more bytes.
    More,
    /// A field about the file.
    Aux(B, B),
    /// Keys and keys with a deadline in a database. A claim.
    Resize {
        /// Database.
        db: u64,
        /// Keys.
        keys: u64,
        /// Keys with a deadline.
        with_deadline: u64,
    },
    /// Keys and keys with a deadline in a slot. A claim.
    Slot {
        /// The slot.
        slot: u64,
        /// Keys.
        keys: u64,
        /// Keys with a deadline.
        with_deadline: u64,
    },
    /// The source of a function library.
    Function(B),
    /// A key.
    Key(KeyHead<B>),
    /// A part of its value.
    Element(Element<B>),
    /// The value is whole.
    KeyEnd,
    /// The end.
    End {
        /// Length of the RDB with its checksum, bytes: what follows is not part of it.
        bytes: u64,
    },
}

impl<B> Element<B> {
    /// The kind of value it is a part of.
    pub fn kind(&self) -> Kind {
        match self {
            Element::Value(_) => Kind::String,
            Element::Item(_) => Kind::List,
            Element::Member(_) => Kind::Set,
            Element::Scored(..) => Kind::Zset,
            Element::Field { .. } => Kind::Hash,
            _ => Kind::Stream,
        }
    }

    /// The same with other strings.
    pub fn map<C>(self, mut f: impl FnMut(B) -> C) -> Element<C> {
        match self {
            Element::Value(text) => Element::Value(f(text)),
            Element::Item(text) => Element::Item(f(text)),
            Element::Member(text) => Element::Member(f(text)),
            Element::Scored(text, score) => Element::Scored(f(text), score),
            Element::Field { field, value, expires_ms } => {
                Element::Field { field: f(field), value: f(value), expires_ms }
            }
            Element::Node(id) => Element::Node(id),
            Element::Entry(id, pairs) => Element::Entry(id, pairs),
            Element::Pair(field, value) => Element::Pair(f(field), f(value)),
            Element::Stream(head) => Element::Stream(head),
            Element::Group(GroupHead { name, last_id, entries_read, pending }) => {
                Element::Group(GroupHead { name: f(name), last_id, entries_read, pending })
            }
            Element::Pending { id, delivered_ms, deliveries } => {
                Element::Pending { id, delivered_ms, deliveries }
            }
            Element::Consumers(count) => Element::Consumers(count),
            Element::Consumer(ConsumerHead { name, seen_ms, active_ms, pending }) => {
                Element::Consumer(ConsumerHead { name: f(name), seen_ms, active_ms, pending })
            }
            Element::Owned(id) => Element::Owned(id),
        }
    }
}

impl<B> KeyHead<B> {
    /// The same with another form of the key.
    pub fn map<C>(self, f: impl FnOnce(B) -> C) -> KeyHead<C> {
        let KeyHead { db, key, kind, packed, count, expires_ms, idle_s, freq, offset } = self;
        KeyHead { db, key: f(key), kind, packed, count, expires_ms, idle_s, freq, offset }
    }
}

impl<B> Event<B> {
    /// The same with other strings.
    pub fn map<C>(self, mut f: impl FnMut(B) -> C) -> Event<C> {
        match self {
            Event::More => Event::More,
            Event::Aux(name, value) => Event::Aux(f(name), f(value)),
            Event::Resize { db, keys, with_deadline } => Event::Resize { db, keys, with_deadline },
            Event::Slot { slot, keys, with_deadline } => Event::Slot { slot, keys, with_deadline },
            Event::Function(source) => Event::Function(f(source)),
            Event::Key(head) => Event::Key(head.map(f)),
            Event::Element(element) => Event::Element(element.map(f)),
            Event::KeyEnd => Event::KeyEnd,
            Event::End { bytes } => Event::End { bytes },
        }
    }
}
