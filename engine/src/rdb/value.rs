//! Values, element by element, in every encoding but a stream's.
//!
//! A step takes one element from the window or from a packed collection that the window held
//! whole. Nothing has changed when a step stops for want of bytes, so it can be taken again.

use super::{
    error::Problem,
    event::{Element, Kind},
    input::{Cursor, Part, Stop},
    intset::Intset,
    listpack::Listpack,
    number,
    opcode::{node, value},
    packed::{Fault, Item, Packed},
    stream::StreamReader,
    ziplist::Ziplist,
    zipmap::Zipmap,
};

/// Memory of a packed collection that is kept for the next one, bytes.
const BLOB_KEPT: usize = 1 << 20;

/// What the elements of a collection consist of.
#[derive(Debug, Clone, Copy)]
enum Shape {
    Items,
    Members,
    /// Scores as text.
    Scored,
    /// Scores as doubles.
    ScoredBinary,
    Fields,
    /// Deadlines count from here, plus one; 0: none.
    FieldsRelative(i64),
    /// Deadlines as they are; less than 0 (or 0 in a listpack): none.
    FieldsAbsolute,
}

/// Where in its value a reader is.
#[derive(Debug, Clone)]
enum State {
    /// A string follows.
    One,
    /// So many elements follow.
    Plain(Shape, u64),
    /// In a packed collection, of which so many more follow.
    Packed(Shape, Packed, u64),
    /// So many packed collections follow, all of this value type.
    Nodes(u64),
    Stream(Box<StreamReader>),
    Done,
}

/// What a step was.
#[derive(Debug)]
pub enum Step {
    /// An element.
    Element(Element<Part>),
    /// Nothing to show.
    Again,
    /// The value is whole.
    Done,
}

/// What is known of a value before its elements.
#[derive(Debug)]
pub struct Opened {
    /// Its kind.
    pub kind: Kind,
    /// It is a listpack or a ziplist.
    pub packed: bool,
    /// How many elements it announces.
    pub count: Option<u64>,
}

/// Reads one value after the other.
#[derive(Debug)]
pub struct ValueReader {
    value_type: u8,
    state: State,
    /// The packed collection, unpacked.
    blob: Blob,
    /// Strings that were packed, of this step.
    unpacked: Vec<u8>,
}

/// A packed collection and where it stands.
#[derive(Debug, Default)]
pub struct Blob {
    pub(super) bytes: Vec<u8>,
    pub(super) offset: u64,
}

impl Blob {
    /// Makes a string the packed collection.
    pub(super) fn load(
        &mut self,
        cursor: &mut Cursor<'_>,
        unpacked: &mut Vec<u8>,
        expected: &'static str,
    ) -> Result<(), Stop> {
        let offset = cursor.offset();
        let part = cursor.text(unpacked, expected)?;
        self.bytes.clear();
        if self.bytes.capacity() > BLOB_KEPT {
            self.bytes = Vec::new();
        }
        match part {
            Part::Window(range) => self.bytes.extend_from_slice(cursor.slice(range)),
            Part::Unpacked(range) => self.bytes.extend_from_slice(&unpacked[range]),
            // No packed collection consists of digits: it will be refused.
            Part::Int(_) | Part::Blob(_) => {}
        }
        self.offset = offset;
        Ok(())
    }

    /// Bad bytes in the packed collection.
    pub(super) fn stop(&self, fault: Fault) -> Stop {
        Stop::Wrong(self.offset, Problem::Packed(fault))
    }
}

fn part(item: Item) -> Part {
    match item {
        Item::Int(n) => Part::Int(n),
        Item::Bytes(range) => Part::Blob(range),
    }
}

impl ValueReader {
    /// In front of any value.
    pub fn new() -> Self {
        Self { value_type: 0, state: State::Done, blob: Blob::default(), unpacked: Vec::new() }
    }

    /// The packed collection's bytes, which [`Part::Blob`] is about.
    pub fn blob(&self) -> &[u8] {
        &self.blob.bytes
    }

    /// Strings of the last step that were packed, which [`Part::Unpacked`] is about.
    pub fn unpacked(&self) -> &[u8] {
        &self.unpacked
    }

    /// The same, for strings that stand before a value.
    pub fn unpacked_mut(&mut self) -> &mut Vec<u8> {
        &mut self.unpacked
    }

    /// Begins a value.
    pub fn open(
        &mut self,
        value_type: u8,
        valkey: bool,
        cursor: &mut Cursor<'_>,
    ) -> Result<Opened, Stop> {
        const COUNT: &str = "the number of elements";
        self.value_type = value_type;
        let plain = |kind, shape, count| Ok((kind, State::Plain(shape, count), Some(count)));
        let opened: Result<_, Stop> = match value_type {
            value::STRING => Ok((Kind::String, State::One, Some(1))),
            value::LIST => plain(Kind::List, Shape::Items, cursor.length(COUNT)?),
            value::SET => plain(Kind::Set, Shape::Members, cursor.length(COUNT)?),
            value::ZSET => plain(Kind::Zset, Shape::Scored, cursor.length(COUNT)?),
            value::ZSET_2 => plain(Kind::Zset, Shape::ScoredBinary, cursor.length(COUNT)?),
            value::HASH => plain(Kind::Hash, Shape::Fields, cursor.length(COUNT)?),
            value::HASH_2 if valkey => {
                plain(Kind::Hash, Shape::FieldsAbsolute, cursor.length(COUNT)?)
            }
            value::HASH_METADATA => {
                let first_ms = cursor.millis("the first deadline of a field")?;
                plain(Kind::Hash, Shape::FieldsRelative(first_ms), cursor.length(COUNT)?)
            }
            value::LIST_QUICKLIST | value::LIST_QUICKLIST_2 => {
                let nodes = cursor.length("the number of a list's nodes")?;
                Ok((Kind::List, State::Nodes(nodes), None))
            }
            value::STREAM | value::STREAM_2 | value::STREAM_3 | value::STREAM_4 => {
                let nodes = cursor.length("the number of a stream's nodes")?;
                let reader = Box::new(StreamReader::new(value_type, nodes));
                Ok((Kind::Stream, State::Stream(reader), Some(nodes)))
            }
            _ => {
                if value_type == value::HASH_LISTPACK_EX {
                    // Every field has its deadline in the listpack too.
                    cursor.millis("the first deadline of a field")?;
                }
                let (kind, shape) = packed_kind(value_type)
                    .ok_or_else(|| unsupported(value_type, valkey, cursor))?;
                self.blob.load(cursor, &mut self.unpacked, "a packed collection")?;
                let packed = open_packed(value_type, &self.blob)?;
                let width = match shape {
                    Shape::Items | Shape::Members => 1,
                    Shape::FieldsAbsolute => 3,
                    _ => 2,
                };
                let count = packed.announced().map(|count| count / width);
                Ok((kind, State::Packed(shape, packed, 0), count))
            }
        };
        let (kind, state, count) = opened?;
        let packed = match &state {
            // A zipmap is unpacked by whoever reads it, and judged element by element.
            State::Packed(_, packed, _) => {
                matches!(packed, Packed::Listpack(_) | Packed::Ziplist(_))
            }
            _ => false,
        };
        self.state = state;
        Ok(Opened { kind, packed, count })
    }

    /// Takes a step.
    pub fn step(&mut self, cursor: &mut Cursor<'_>) -> Result<Step, Stop> {
        match &mut self.state {
            State::One => {
                let value = cursor.text(&mut self.unpacked, "a string")?;
                self.state = State::Done;
                Ok(Step::Element(Element::Value(value)))
            }
            State::Plain(_, 0) | State::Nodes(0) | State::Done => {
                self.state = State::Done;
                Ok(Step::Done)
            }
            State::Plain(shape, left) => {
                let element = plain(*shape, cursor, &mut self.unpacked)?;
                *left -= 1;
                Ok(Step::Element(element))
            }
            State::Packed(shape, packed, more) => {
                if let Some(element) = packed_element(*shape, packed, &self.blob)? {
                    return Ok(Step::Element(element));
                }
                self.state = State::Nodes(*more);
                Ok(Step::Again)
            }
            State::Nodes(left) => {
                let more = *left - 1;
                let packed = match self.value_type {
                    value::LIST_QUICKLIST_2 => match cursor.length("a list node's container")? {
                        node::PACKED => value::LIST_QUICKLIST_2,
                        node::PLAIN => {
                            let item = cursor.text(&mut self.unpacked, "a list's element")?;
                            self.state = State::Nodes(more);
                            return Ok(Step::Element(Element::Item(item)));
                        }
                        _ => {
                            let problem = Problem::Expected("a list node's container, 1 or 2");
                            return Err(Stop::Wrong(cursor.offset(), problem));
                        }
                    },
                    other => other,
                };
                self.blob.load(cursor, &mut self.unpacked, "a list's node")?;
                let packed = open_packed(packed, &self.blob)?;
                self.state = State::Packed(Shape::Items, packed, more);
                Ok(Step::Again)
            }
            State::Stream(reader) => {
                let step = reader.step(cursor, &mut self.blob, &mut self.unpacked)?;
                if matches!(step, Step::Done) {
                    self.state = State::Done;
                }
                Ok(step)
            }
        }
    }
}

/// What a value that is one packed string holds.
fn packed_kind(value_type: u8) -> Option<(Kind, Shape)> {
    Some(match value_type {
        value::LIST_ZIPLIST => (Kind::List, Shape::Items),
        value::SET_INTSET | value::SET_LISTPACK => (Kind::Set, Shape::Members),
        value::ZSET_ZIPLIST | value::ZSET_LISTPACK => (Kind::Zset, Shape::Scored),
        value::HASH_ZIPMAP | value::HASH_ZIPLIST | value::HASH_LISTPACK => {
            (Kind::Hash, Shape::Fields)
        }
        value::HASH_LISTPACK_EX => (Kind::Hash, Shape::FieldsAbsolute),
        _ => return None,
    })
}

fn open_packed(value_type: u8, blob: &Blob) -> Result<Packed, Stop> {
    let bytes = &blob.bytes;
    let opened = match value_type {
        value::SET_INTSET => Intset::open(bytes).map(Packed::Intset),
        value::HASH_ZIPMAP => Zipmap::open(bytes).map(Packed::Zipmap),
        value::LIST_ZIPLIST | value::ZSET_ZIPLIST | value::HASH_ZIPLIST | value::LIST_QUICKLIST => {
            Ziplist::open(bytes).map(Packed::Ziplist)
        }
        _ => Listpack::open(bytes).map(Packed::Listpack),
    };
    opened.map_err(|fault| blob.stop(fault))
}

fn plain(
    shape: Shape,
    cursor: &mut Cursor<'_>,
    unpacked: &mut Vec<u8>,
) -> Result<Element<Part>, Stop> {
    Ok(match shape {
        Shape::Items => Element::Item(cursor.text(unpacked, "a list's element")?),
        Shape::Members => Element::Member(cursor.text(unpacked, "a set's member")?),
        Shape::Scored => {
            let member = cursor.text(unpacked, "a sorted set's member")?;
            Element::Scored(member, text_score(cursor)?)
        }
        Shape::ScoredBinary => {
            const SCORE: &str = "a score that is a number";
            let member = cursor.text(unpacked, "a sorted set's member")?;
            let offset = cursor.offset();
            let score = f64::from_le_bytes(cursor.array(SCORE)?);
            if score.is_nan() {
                return Err(Stop::Wrong(offset, Problem::Expected(SCORE)));
            }
            Element::Scored(member, score)
        }
        Shape::Fields | Shape::FieldsRelative(_) | Shape::FieldsAbsolute => {
            let mut expires_ms = None;
            if let Shape::FieldsRelative(first_ms) = shape {
                let offset = cursor.offset();
                let ttl = cursor.length("a field's deadline")?;
                if ttl > 0 {
                    let ms = i64::try_from(ttl - 1).ok().and_then(|ms| first_ms.checked_add(ms));
                    let wrong = || Stop::Wrong(offset, Problem::Expected("a field's deadline"));
                    expires_ms = Some(ms.ok_or_else(wrong)?);
                }
            }
            let field = cursor.text(unpacked, "a hash's field")?;
            let value = cursor.text(unpacked, "a field's value")?;
            if matches!(shape, Shape::FieldsAbsolute) {
                let ms = cursor.millis("a field's deadline")?;
                expires_ms = (ms >= 0).then_some(ms);
            }
            Element::Field { field, value, expires_ms }
        }
    })
}

/// A score as a short text, or infinite.
fn text_score(cursor: &mut Cursor<'_>) -> Result<f64, Stop> {
    const SCORE: &str = "a score that is a number";
    let offset = cursor.offset();
    let wrong = || Stop::Wrong(offset, Problem::Expected(SCORE));
    match cursor.byte(SCORE)? {
        255 => Ok(f64::NEG_INFINITY),
        254 => Ok(f64::INFINITY),
        253 => Err(wrong()),
        len => {
            let text = cursor.take(u64::from(len), SCORE)?;
            number::score(cursor.slice(text)).ok_or_else(wrong)
        }
    }
}

/// The next element of a packed collection.
fn packed_element(
    shape: Shape,
    packed: &mut Packed,
    blob: &Blob,
) -> Result<Option<Element<Part>>, Stop> {
    let bytes = &blob.bytes;
    let Some(first) = packed.next(bytes).map_err(|fault| blob.stop(fault))? else {
        return Ok(None);
    };
    let mut more = |expected| match packed.next(bytes) {
        Ok(Some(item)) => Ok(item),
        Ok(None) => Err(blob.stop(Fault { at: bytes.len(), expected })),
        Err(fault) => Err(blob.stop(fault)),
    };
    Ok(Some(match shape {
        Shape::Items => Element::Item(part(first)),
        Shape::Members => Element::Member(part(first)),
        Shape::Scored | Shape::ScoredBinary => {
            const SCORE: &str = "a score that is a number";
            let score = match more(SCORE)? {
                Item::Int(n) => n as f64,
                Item::Bytes(range) => {
                    let wrong = || blob.stop(Fault { at: range.start, expected: SCORE });
                    number::score(&bytes[range.clone()]).ok_or_else(wrong)?
                }
            };
            Element::Scored(part(first), score)
        }
        Shape::Fields | Shape::FieldsRelative(_) | Shape::FieldsAbsolute => {
            let value = part(more("a field's value")?);
            let mut expires_ms = None;
            if matches!(shape, Shape::FieldsAbsolute) {
                match more("a field's deadline")? {
                    Item::Int(ms) => expires_ms = (ms > 0).then_some(ms),
                    Item::Bytes(range) => {
                        let expected = "a field's deadline";
                        return Err(blob.stop(Fault { at: range.start, expected }));
                    }
                }
            }
            Element::Field { field: part(first), value, expires_ms }
        }
    }))
}

/// What to say of a value that is not read.
fn unsupported(value_type: u8, valkey: bool, cursor: &mut Cursor<'_>) -> Stop {
    let what = match value_type {
        value::MODULE_2 => match cursor.length("a module's number") {
            Ok(id) => {
                format!("a value of module type '{}': modules are not supported", module_name(id))
            }
            Err(stop) => return stop,
        },
        value::MODULE_PRE_GA => "a value of a Redis 4.0 release candidate's module".to_owned(),
        value::HASH_2 | value::HASH_LISTPACK_PRE_GA if !valkey => {
            "a hash with field deadlines as a Redis 7.4 release candidate wrote it: load and save \
             it with Redis 7.4 first"
                .to_owned()
        }
        other => format!("no known type of value: {other}"),
    };
    Stop::Wrong(cursor.offset(), Problem::Unsupported(what))
}

/// The nine characters in a module type's number.
pub fn module_name(id: u64) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    (0..9).map(|k| LETTERS[(id >> (58 - 6 * k)) as usize & 63] as char).collect()
}
