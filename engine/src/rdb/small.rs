//! Collections that are small enough for a packed encoding: held back until that is certain.
//!
//! The limits are Redis' defaults (`hash-max-listpack-entries 128` and `-value 64`, the same for
//! sorted sets, `set-max-intset-entries 512`, `list-max-listpack-size -2`), so a server with its
//! defaults keeps what it loads as it is.

use super::{
    event::{Element, Kind, Text},
    intset,
    listpack::ListpackWriter,
    number,
    opcode::{node, value},
};

/// Elements of a packed hash or sorted set.
const ENTRIES_MAX: u64 = 128;
/// Bytes of an element in one.
const ENTRY_BYTES_MAX: usize = 64;
/// Elements of an intset.
const INTEGERS_MAX: u64 = 512;
/// Bytes of a packed list.
const LIST_BYTES_MAX: usize = 8192;

/// Bytes that an item takes besides its text, at most.
const ITEM_FRAME_BYTES: usize = 10;
/// Scores below this that are integers are packed as such.
const INTEGER_SCORE_MAX: f64 = (1u64 << 62) as f64;

/// Whether a collection is still small.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The element was taken.
    Kept,
    /// It was taken too, but the whole must be written plainly.
    TooBig,
}

/// A packed collection.
pub struct Packed {
    /// What stands in front of a list's: how many nodes, of which kind.
    pub nodes: Option<[u64; 2]>,
    /// The collection.
    pub bytes: Vec<u8>,
}

/// A collection held back.
pub struct Small {
    kind: Kind,
    key: Vec<u8>,
    announced: u64,
    /// It is packed whatever its size.
    certain: bool,
    held: Vec<Element<Vec<u8>>>,
    /// Bytes of the elements, headers included.
    bytes: usize,
}

impl Small {
    /// A collection that may be small; `None`: it is not, or may not be packed with listpacks.
    pub fn new(kind: Kind, key: &[u8], count: u64, listpacks: bool) -> Option<Self> {
        let most = match kind {
            Kind::Set => INTEGERS_MAX,
            Kind::List if listpacks => LIST_BYTES_MAX as u64,
            Kind::Zset | Kind::Hash if listpacks => ENTRIES_MAX,
            _ => 0,
        };
        // An empty one has nothing to pack.
        (1..=most).contains(&count).then(|| Self {
            kind,
            key: key.to_vec(),
            announced: count,
            certain: false,
            held: Vec::new(),
            bytes: 0,
        })
    }

    /// A collection that is packed whatever its size; integers if it is a set.
    pub fn certain(kind: Kind, key: &[u8], count: u64) -> Self {
        let (key, held) = (key.to_vec(), Vec::new());
        Self { kind, key, announced: count, certain: true, held, bytes: 0 }
    }

    /// The key.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// Elements in all.
    pub fn announced(&self) -> u64 {
        self.announced
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Takes an element of its kind.
    pub fn take(&mut self, element: Element<Text<'_>>) -> Verdict {
        let element = element.map(|text| text.to_vec());
        let small = match &element {
            _ if self.certain => true,
            Element::Item(text) => {
                self.bytes += text.len() + ITEM_FRAME_BYTES;
                self.bytes <= LIST_BYTES_MAX
            }
            Element::Member(text) => number::canonical(text).is_some(),
            Element::Scored(text, _) => text.len() <= ENTRY_BYTES_MAX,
            Element::Field { field, value, .. } => field.len().max(value.len()) <= ENTRY_BYTES_MAX,
            _ => false,
        };
        self.held.push(element);
        if small { Verdict::Kept } else { Verdict::TooBig }
    }

    /// Shows what was taken, in order, and forgets it.
    pub fn give_back(&mut self, show: &mut dyn FnMut(Element<Text<'_>>)) {
        for element in self.held.drain(..) {
            // Elements lend their strings out by the one or two they have.
            match &element {
                Element::Scored(text, score) => show(Element::Scored(Text::Bytes(text), *score)),
                Element::Item(text) => show(Element::Item(Text::Bytes(text))),
                Element::Member(text) => show(Element::Member(Text::Bytes(text))),
                Element::Field { field, value, expires_ms } => show(Element::Field {
                    field: Text::Bytes(field),
                    value: Text::Bytes(value),
                    expires_ms: *expires_ms,
                }),
                _ => {}
            }
        }
    }

    /// The type of the packed value.
    pub fn value_type(&self) -> u8 {
        match self.kind {
            Kind::Set => value::SET_INTSET,
            Kind::Zset => value::ZSET_LISTPACK,
            Kind::Hash => value::HASH_LISTPACK,
            Kind::List | Kind::String | Kind::Stream => value::LIST_QUICKLIST_2,
        }
    }

    /// The packed value.
    pub fn pack(mut self) -> Packed {
        if self.kind == Kind::Set {
            let mut integers: Vec<i64> = Vec::with_capacity(self.held.len());
            self.give_back(&mut |element| {
                if let Element::Member(Text::Bytes(text)) = element {
                    integers.extend(number::canonical(text));
                }
            });
            return Packed { nodes: None, bytes: intset::write(&mut integers) };
        }
        // A packed sorted set is kept in its order.
        self.held.sort_by(|a, b| match (a, b) {
            (Element::Scored(a, x), Element::Scored(b, y)) => {
                x.partial_cmp(y).unwrap_or(std::cmp::Ordering::Equal).then_with(|| a.cmp(b))
            }
            _ => std::cmp::Ordering::Equal,
        });
        let nodes = (self.kind == Kind::List).then_some([1, node::PACKED]);
        let mut listpack = ListpackWriter::new();
        self.give_back(&mut |element| {
            let mut push = |text: Text<'_>| listpack.push(text.bytes(&mut itoa::Buffer::new()));
            match element {
                Element::Item(text) => push(text),
                Element::Scored(member, score) => {
                    push(member);
                    if score.trunc() == score && score.abs() < INTEGER_SCORE_MAX {
                        listpack.push_int(score as i64);
                    } else {
                        listpack.push(number::score_text(score).as_bytes());
                    }
                }
                Element::Field { field, value, .. } => {
                    push(field);
                    push(value);
                }
                _ => {}
            }
        });
        Packed { nodes, bytes: listpack.finish() }
    }
}
