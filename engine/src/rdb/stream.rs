//! Streams: nodes of entries, counters, groups, consumers.
//!
//! A node is a listpack whose entries are written as differences to its first one:
//! ```text
//! live, deleted, fields, field .. field, 0         the master entry
//! flags, ms - ms of the node, seq - seq of the node,
//!   [fields, field, value ..] or [value ..] with the master's fields, number of elements before
//! ```

use super::{
    error::Problem,
    event::{ConsumerHead, Element, GroupHead, StreamHead, StreamId},
    input::{Cursor, Part, Stop},
    listpack::Listpack,
    opcode::value,
    packed::{Fault, Item},
    value::{Blob, Step},
};

const DELETED: i64 = 1;
const SAME_FIELDS: i64 = 2;

/// Entry ids, big endian.
const ID_BYTES: u64 = 16;

/// Where in a stream a reader is.
#[derive(Debug, Clone)]
enum State {
    /// So many nodes follow, then the counters.
    Nodes(u64),
    Node(Node),
    /// So many groups follow.
    Groups(u64),
    /// So many pending entries of a group follow, then its consumers.
    Pending(u64),
    /// So many consumers follow.
    Consumers(u64),
    /// So many pending entries of a consumer follow, then so many consumers.
    Owned(u64, u64),
    /// What idempotent producers left follows.
    Producers,
    Done,
}

/// A node being read.
#[derive(Debug, Clone)]
struct Node {
    listpack: Listpack,
    id: StreamId,
    /// In front of the master's fields, of which there are so many.
    fields: Listpack,
    names: u64,
    live: u64,
    deleted: u64,
    entry: Option<Entry>,
    /// Nodes that follow.
    more: u64,
}

/// An entry being read.
#[derive(Debug, Clone)]
struct Entry {
    /// Pairs seen and pairs in all.
    seen: u64,
    pairs: u64,
    /// In front of the next of the master's fields, when it has those.
    fields: Option<Listpack>,
    deleted: bool,
}

/// Reads a stream.
#[derive(Debug, Clone)]
pub struct StreamReader {
    value_type: u8,
    state: State,
    last: Option<StreamId>,
    length: u64,
    groups: u64,
}

impl StreamReader {
    /// A stream of so many nodes.
    pub fn new(value_type: u8, nodes: u64) -> Self {
        Self { value_type, state: State::Nodes(nodes), last: None, length: 0, groups: 0 }
    }

    /// Takes a step.
    pub fn step(
        &mut self,
        cursor: &mut Cursor<'_>,
        blob: &mut Blob,
        unpacked: &mut Vec<u8>,
    ) -> Result<Step, Stop> {
        match &mut self.state {
            State::Nodes(0) => self.counters(cursor),
            State::Nodes(left) => {
                let more = *left - 1;
                let offset = cursor.offset();
                let key = cursor.text(unpacked, "a stream node's id")?;
                let key = match &key {
                    Part::Window(range) => cursor.slice(range.clone()),
                    Part::Unpacked(range) => &unpacked[range.clone()],
                    Part::Int(_) | Part::Blob(_) => &[],
                };
                let Some(&key) = key.as_array::<{ ID_BYTES as usize }>() else {
                    return Err(Stop::Wrong(offset, Problem::Expected("a stream node's id")));
                };
                let id = id_of(key);
                blob.load(cursor, unpacked, "a stream's node")?;
                let node = open_node(id, more, blob).map_err(|fault| blob.stop(fault))?;
                self.state = State::Node(node);
                Ok(Step::Element(Element::Node(id)))
            }
            State::Node(node) => {
                let last = &mut self.last;
                let element = node.step(&blob.bytes, last).map_err(|fault| blob.stop(fault))?;
                match element {
                    Some(element) => {
                        self.length += u64::from(matches!(element, Element::Entry(..)));
                        Ok(Step::Element(element))
                    }
                    None => {
                        self.state = State::Nodes(node.more);
                        Ok(Step::Again)
                    }
                }
            }
            State::Groups(0) => {
                let more = self.value_type == value::STREAM_4;
                self.state = if more { State::Producers } else { State::Done };
                Ok(Step::Again)
            }
            State::Groups(_) => self.group(cursor, unpacked),
            State::Pending(0) => {
                let consumers = cursor.length("the number of consumers")?;
                self.state = State::Consumers(consumers);
                Ok(Step::Element(Element::Consumers(consumers)))
            }
            State::Pending(left) => {
                let id = id_of(cursor.array("a pending entry's id")?);
                let delivered_ms = cursor.millis("a pending entry's time")?;
                let deliveries = cursor.length("a pending entry's deliveries")?;
                *left -= 1;
                Ok(Step::Element(Element::Pending { id, delivered_ms, deliveries }))
            }
            State::Consumers(0) => {
                self.groups -= 1;
                self.state = State::Groups(self.groups);
                Ok(Step::Again)
            }
            State::Consumers(left) => {
                let name = cursor.text(unpacked, "a consumer's name")?;
                let seen_ms = cursor.millis("a consumer's time")?;
                let active_ms = match self.value_type {
                    value::STREAM | value::STREAM_2 => None,
                    _ => Some(cursor.millis("a consumer's time")?),
                };
                let pending = cursor.length("the number of a consumer's pending entries")?;
                self.state = State::Owned(pending, *left - 1);
                let head = ConsumerHead { name, seen_ms, active_ms, pending };
                Ok(Step::Element(Element::Consumer(head)))
            }
            State::Owned(0, more) => {
                self.state = State::Consumers(*more);
                Ok(Step::Again)
            }
            State::Owned(left, _) => {
                let id = id_of(cursor.array("a pending entry's id")?);
                *left -= 1;
                Ok(Step::Element(Element::Owned(id)))
            }
            State::Producers => {
                const PRODUCERS: &str = "the memory of idempotent producers";
                let offset = cursor.offset();
                cursor.length(PRODUCERS)?;
                cursor.length(PRODUCERS)?;
                if cursor.length(PRODUCERS)? != 0 {
                    let what = "a stream with the memory of idempotent producers (Redis 8.6): it \
                                is not supported";
                    return Err(Stop::Wrong(offset, Problem::Unsupported(what.to_owned())));
                }
                cursor.length(PRODUCERS)?;
                cursor.length(PRODUCERS)?;
                self.state = State::Done;
                Ok(Step::Again)
            }
            State::Done => Ok(Step::Done),
        }
    }

    fn has_counters(&self) -> bool {
        self.value_type != value::STREAM
    }

    fn counters(&mut self, cursor: &mut Cursor<'_>) -> Result<Step, Stop> {
        const COUNTER: &str = "a stream's counter";
        let offset = cursor.offset();
        let length = cursor.length(COUNTER)?;
        if length != self.length {
            let problem = Problem::Expected("as many entries as the stream announces");
            return Err(Stop::Wrong(offset, problem));
        }
        let mut id = || -> Result<StreamId, Stop> {
            Ok(StreamId { ms: cursor.length(COUNTER)?, seq: cursor.length(COUNTER)? })
        };
        let last_id = id()?;
        let (mut first_id, mut max_deleted_id, mut entries_added) = (None, None, None);
        if self.has_counters() {
            first_id = Some(id()?);
            max_deleted_id = Some(id()?);
            entries_added = Some(cursor.length(COUNTER)?);
        }
        let groups = cursor.length("the number of a stream's groups")?;
        self.groups = groups;
        self.state = State::Groups(groups);
        let head = StreamHead { length, last_id, first_id, max_deleted_id, entries_added, groups };
        Ok(Step::Element(Element::Stream(head)))
    }

    fn group(&mut self, cursor: &mut Cursor<'_>, unpacked: &mut Vec<u8>) -> Result<Step, Stop> {
        const GROUP: &str = "a group's last id";
        let name = cursor.text(unpacked, "a group's name")?;
        let last_id = StreamId { ms: cursor.length(GROUP)?, seq: cursor.length(GROUP)? };
        let entries_read = match self.has_counters() {
            // -1 is written as the length it is without a sign.
            true => Some(cursor.length("the entries a group has read")? as i64),
            false => None,
        };
        let pending = cursor.length("the number of a group's pending entries")?;
        self.state = State::Pending(pending);
        Ok(Step::Element(Element::Group(GroupHead { name, last_id, entries_read, pending })))
    }
}

fn id_of(bytes: [u8; 16]) -> StreamId {
    let both = u128::from_be_bytes(bytes);
    StreamId { ms: (both >> 64) as u64, seq: both as u64 }
}

/// The next element of a node, which must be there.
fn item(listpack: &mut Listpack, bytes: &[u8], expected: &'static str) -> Result<Item, Fault> {
    let at = listpack.at();
    listpack.next(bytes)?.ok_or(Fault { at, expected })
}

fn int(listpack: &mut Listpack, bytes: &[u8], expected: &'static str) -> Result<i64, Fault> {
    let at = listpack.at();
    match item(listpack, bytes, expected)? {
        Item::Int(n) => Ok(n),
        Item::Bytes(_) => Err(Fault { at, expected }),
    }
}

fn count(listpack: &mut Listpack, bytes: &[u8], expected: &'static str) -> Result<u64, Fault> {
    let at = listpack.at();
    u64::try_from(int(listpack, bytes, expected)?).map_err(|_| Fault { at, expected })
}

fn open_node(id: StreamId, more: u64, blob: &Blob) -> Result<Node, Fault> {
    const MASTER: &str = "a stream node's first entry";
    let bytes = &blob.bytes;
    let mut listpack = Listpack::open(bytes)?;
    let live = count(&mut listpack, bytes, MASTER)?;
    let deleted = count(&mut listpack, bytes, MASTER)?;
    let names = count(&mut listpack, bytes, MASTER)?;
    let fields = listpack.clone();
    for _ in 0..names {
        item(&mut listpack, bytes, MASTER)?;
    }
    let at = listpack.at();
    if int(&mut listpack, bytes, MASTER)? != 0 {
        return Err(Fault { at, expected: MASTER });
    }
    Ok(Node { listpack, id, fields, names, live, deleted, entry: None, more })
}

impl Node {
    /// The next element to show; `None` at the node's end.
    fn step(
        &mut self,
        bytes: &[u8],
        last: &mut Option<StreamId>,
    ) -> Result<Option<Element<Part>>, Fault> {
        loop {
            let Some(entry) = &mut self.entry else {
                let Some((id, entry)) = self.begin(bytes)? else { return Ok(None) };
                let (deleted, pairs) = (entry.deleted, entry.pairs);
                self.entry = Some(entry);
                if last.is_some_and(|last| id <= last) {
                    let expected = "an entry id above the one before";
                    return Err(Fault { at: self.listpack.at(), expected });
                }
                *last = Some(id);
                if deleted {
                    continue;
                }
                return Ok(Some(Element::Entry(id, pairs)));
            };
            if entry.seen < entry.pairs {
                let fields = entry.fields.as_mut().unwrap_or(&mut self.listpack);
                let field = item(fields, bytes, "an entry's field")?;
                let value = item(&mut self.listpack, bytes, "an entry's value")?;
                entry.seen += 1;
                if entry.deleted {
                    continue;
                }
                return Ok(Some(Element::Pair(part(field), part(value))));
            }
            let same_fields = entry.fields.is_some();
            let elements = if same_fields { 3 + entry.pairs } else { 4 + 2 * entry.pairs };
            let expected = "the number of an entry's elements";
            let at = self.listpack.at();
            if count(&mut self.listpack, bytes, expected)? != elements {
                return Err(Fault { at, expected });
            }
            self.entry = None;
        }
    }

    /// Begins an entry; `None` when the node has no more.
    fn begin(&mut self, bytes: &[u8]) -> Result<Option<(StreamId, Entry)>, Fault> {
        const ID: &str = "an entry's id";
        let at = self.listpack.at();
        let wrong = |expected| Err(Fault { at, expected });
        let listpack = &mut self.listpack;
        let flags = match listpack.next(bytes)? {
            None if (self.live, self.deleted) == (0, 0) => return Ok(None),
            None => return wrong("as many entries as the stream's node announces"),
            Some(Item::Int(flags)) => flags,
            Some(Item::Bytes(_)) => return wrong("an entry's flags"),
        };
        let deleted = flags & DELETED != 0;
        let left = if deleted { &mut self.deleted } else { &mut self.live };
        match left.checked_sub(1) {
            Some(fewer) => *left = fewer,
            None => return wrong("as many entries as the stream's node announces"),
        }
        let ms = self.id.ms.wrapping_add(int(listpack, bytes, ID)? as u64);
        let seq = self.id.seq.wrapping_add(int(listpack, bytes, ID)? as u64);
        let (pairs, fields) = if flags & SAME_FIELDS != 0 {
            (self.names, Some(self.fields.clone()))
        } else {
            (count(listpack, bytes, "the number of an entry's fields")?, None)
        };
        // Every pair takes two bytes at least: a bound for the sum that is checked at its end.
        if pairs > bytes.len() as u64 {
            return wrong("the number of an entry's fields");
        }
        Ok(Some((StreamId { ms, seq }, Entry { seen: 0, pairs, fields, deleted })))
    }
}

fn part(item: Item) -> Part {
    match item {
        Item::Int(n) => Part::Int(n),
        Item::Bytes(range) => Part::Blob(range),
    }
}
