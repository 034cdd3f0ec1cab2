//! Keys as commands: what a delta consists of. Whoever executes them has the keys.
//!
//! ```text
//! a string                 SET key value [PXAT at]
//! another value            RESTORE key at payload REPLACE ABSTTL
//! one that comes in parts  DEL key, then HSET/SADD/ZADD/RPUSH key .., then PEXPIREAT key at
//! a key that is gone       DEL key
//! ```
//! What is taken is whole commands, with SELECT in front; stock Redis reads them. How keys were used is
//! not said: they have changed lately.

use super::Record;
use crate::{
    elements::payload,
    keyspace::{Str, Value},
    number::write_double,
    rdb::{Element, Kind, Text, Unwritable},
    types::packed::Packed,
};

/// Elements in one command: as many as in those of Redis' own rewrite.
const ITEMS_MAX: usize = 64;
/// Bytes of elements after which a command is full.
const ITEMS_BYTES: usize = 64 * 1024;

/// Writes commands.
#[derive(Default)]
pub(super) struct CommandWriter {
    out: Vec<u8>,
    /// What the last SELECT said.
    db: Option<u16>,
    begun: Option<Begun>,
}

/// A value that comes in parts.
struct Begun {
    db: u16,
    key: Vec<u8>,
    name: &'static [u8],
    /// Texts of one element.
    width: usize,
    deadline: Option<i64>,
    left: u64,
    /// Elements gathered, end to end, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

fn count(out: &mut Vec<u8>, kind: u8, n: usize) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
    out.extend_from_slice(b"\r\n");
}

fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    count(out, b'$', bytes.len());
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn command(out: &mut Vec<u8>, parts: &[&[u8]]) {
    count(out, b'*', parts.len());
    parts.iter().for_each(|part| bulk(out, part));
}

/// A deadline as it can be said: whatever lies before 1970 has passed as well.
fn sayable(at_ms: i64) -> i64 {
    at_ms.max(1)
}

impl CommandWriter {
    pub(super) fn len(&self) -> usize {
        self.out.len() + self.begun.as_ref().map_or(0, |begun| begun.bytes.len())
    }

    pub(super) fn reserve(&mut self, bytes: usize) {
        self.out.reserve(bytes);
    }

    fn select(&mut self, db: u16) {
        if self.db != Some(db) {
            let digits = &mut itoa::Buffer::new();
            command(&mut self.out, &[b"SELECT", digits.format(db).as_bytes()]);
            self.db = Some(db);
        }
    }

    /// A key that is gone.
    pub(super) fn gone(&mut self, db: u16, key: &[u8]) {
        self.select(db);
        command(&mut self.out, &[b"DEL", key]);
    }

    /// A key with its whole value.
    pub(super) fn push(&mut self, db: u16, record: Record<'_>) -> Result<(), Unwritable> {
        self.select(db);
        let Record { key, value, deadline, .. } = record;
        let (mut digits, mut at) = (itoa::Buffer::new(), itoa::Buffer::new());
        if let Value::Str(text) = value {
            let text = match text {
                Str::Int(n) => digits.format(n).as_bytes(),
                Str::Bytes(bytes) => bytes,
            };
            match deadline {
                None => command(&mut self.out, &[b"SET", key, text]),
                Some(at_ms) => {
                    let at = at.format(sayable(at_ms)).as_bytes();
                    command(&mut self.out, &[b"SET", key, text, b"PXAT", at]);
                }
            }
            return Ok(());
        }
        let payload = payload(value)?;
        let at = at.format(deadline.map_or(0, sayable)).as_bytes();
        command(&mut self.out, &[b"RESTORE", key, at, &payload, b"REPLACE", b"ABSTTL"]);
        Ok(())
    }

    /// A key whose `count` elements (of a list: nodes) follow.
    pub(super) fn begin(
        &mut self,
        db: u16,
        (key, kind): (&[u8], Kind),
        deadline: Option<i64>,
        count: u64,
    ) {
        self.gone(db, key);
        let (name, width): (&[u8], usize) = match kind {
            Kind::Hash => (b"HSET", 2),
            Kind::Set => (b"SADD", 1),
            Kind::Zset => (b"ZADD", 2),
            // Strings and streams come whole.
            Kind::List | Kind::String | Kind::Stream => (b"RPUSH", 1),
        };
        self.begun = Some(Begun {
            db,
            key: key.to_vec(),
            name,
            width,
            deadline,
            left: count,
            bytes: Vec::new(),
            ends: Vec::new(),
        });
    }

    /// The next element.
    pub(super) fn element(&mut self, element: Element<Text<'_>>) -> Result<(), Unwritable> {
        let (mut digits, mut more, mut number) =
            (itoa::Buffer::new(), itoa::Buffer::new(), Vec::new());
        let texts: &[&[u8]] = match &element {
            Element::Member(member) => &[member.bytes(&mut digits)],
            Element::Scored(member, score) => {
                write_double(&mut number, *score);
                &[&number, member.bytes(&mut digits)]
            }
            Element::Field { field, value, expires_ms: None } => {
                &[field.bytes(&mut digits), value.bytes(&mut more)]
            }
            _ => return Err(Unwritable::Elements),
        };
        let begun =
            self.begun.as_mut().filter(|begun| begun.width == texts.len() && begun.left > 0);
        let Some(begun) = begun else { return Err(Unwritable::Elements) };
        begun.left -= 1;
        texts.iter().for_each(|text| begun.text(text));
        self.close_when_full();
        Ok(())
    }

    /// The next node of a list.
    pub(super) fn list_node(&mut self, listpack: &[u8]) -> Result<(), Unwritable> {
        let begun = self.begun.as_mut().filter(|begun| begun.left > 0);
        let Some(begun) = begun else { return Err(Unwritable::Elements) };
        begun.left -= 1;
        for item in Packed::new(listpack).iter() {
            if let Some(begun) = &mut self.begun {
                begun.text(item.bytes(&mut itoa::Buffer::new()));
            }
            self.close_when_full();
        }
        Ok(())
    }

    fn close_when_full(&mut self) {
        let is_full = |begun: &Begun| {
            begun.ends.len() >= ITEMS_MAX * begun.width || begun.bytes.len() >= ITEMS_BYTES
        };
        if self.begun.as_ref().is_some_and(is_full) {
            self.close();
        }
    }

    /// Writes what is gathered of the value that has begun.
    fn close(&mut self) {
        let Some(mut begun) = self.begun.take() else { return };
        if !begun.ends.is_empty() {
            self.select(begun.db);
            count(&mut self.out, b'*', 2 + begun.ends.len());
            bulk(&mut self.out, begun.name);
            bulk(&mut self.out, &begun.key);
            let mut start = 0;
            for &end in &begun.ends {
                bulk(&mut self.out, &begun.bytes[start..end]);
                start = end;
            }
            begun.bytes.clear();
            begun.ends.clear();
        }
        self.begun = Some(begun);
    }

    /// The value that has begun is at its end.
    pub(super) fn end(&mut self) -> Result<(), Unwritable> {
        self.close();
        let Some(begun) = self.begun.take().filter(|begun| begun.left == 0) else {
            return Err(Unwritable::Elements);
        };
        if let Some(at_ms) = begun.deadline {
            self.select(begun.db);
            let mut digits = itoa::Buffer::new();
            let at = digits.format(sayable(at_ms)).as_bytes();
            command(&mut self.out, &[b"PEXPIREAT", &begun.key, at]);
        }
        Ok(())
    }

    /// What has been written.
    pub(super) fn take(&mut self) -> Vec<u8> {
        self.close();
        self.db = None;
        std::mem::take(&mut self.out)
    }
}

impl Begun {
    fn text(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }
}
