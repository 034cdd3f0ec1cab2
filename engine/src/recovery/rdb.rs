//! RDB files in a log directory, and in front of a log: verified, then loaded.
//!
//! Both go through the file in pieces. Loading makes of every key the commands that set it, so that
//! they are routed and executed as logged ones are; a big collection is several commands. Deadlines
//! that have passed are kept, as Redis does with a base: the log behind it goes on from there.

use super::{
    Progress, RecoveryError, Refusal,
    replay::{Place, Sink},
};
use crate::{
    command::OwnedArgs,
    families::table,
    io::Storage,
    rdb::{Element, Event, KeyHead, Kind, Problem, RdbError, Reader, Text, is_rdb, score_text},
};

/// Bytes read at once.
const PIECE_BYTES: usize = 256 * 1024;
/// Bytes of the first line.
const MAGIC_BYTES: usize = 9;
/// Elements in one command.
const ELEMENTS_MAX: usize = 128;
/// Bytes in one command, unless a single element has more.
const COMMAND_BYTES_MAX: usize = 64 * 1024;

/// What is loaded of a file.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Number of databases.
    pub databases: usize,
    /// Keys whose deadline lies before this are passed over, Unix time in ms: Redis does so with a
    /// snapshot.
    pub alive_at_ms: Option<i64>,
}

impl Rules {
    /// Any number of databases, every key.
    pub const ANY: Self = Self { databases: usize::MAX, alive_at_ms: None };
}

/// Verifies the RDB a file begins with; its length, 0 when there is none.
///
/// # Errors
/// It cannot be read, or holds what is not loaded.
pub async fn scan<S: Storage>(
    storage: &S,
    name: &str,
    rules: Rules,
    progress: &Progress,
) -> Result<u64, RecoveryError> {
    let mut nothing = Verify;
    let mut count = |bytes| progress.scanned(bytes);
    walk(storage, name, rules, &mut nothing, &mut count).await
}

/// Hands the keys of the RDB a file begins with to `sink`, as commands.
///
/// # Errors
/// As [`scan`].
pub async fn load<S: Storage>(
    storage: &S,
    name: &str,
    rules: Rules,
    sink: &mut impl Sink,
    progress: &Progress,
) -> Result<u64, RecoveryError> {
    let mut commands = Commands {
        sink,
        place: Place::default(),
        args: OwnedArgs::new(),
        elements: 0,
        bytes: 0,
        count: 0,
    };
    let mut count = |bytes| progress.replayed(bytes, 0);
    let end = walk(storage, name, rules, &mut commands, &mut count).await?;
    if end == 0 {
        let kind = Problem::Expected("REDIS or VALKEY and a version");
        let error = RdbError { offset: 0, key: None, kind };
        return Err(RecoveryError::new(name, Refusal::Rdb(error)).at(0));
    }
    progress.replayed(0, commands.count);
    Ok(end)
}

/// What is done with a key.
trait Taker {
    fn key(&mut self, head: &KeyHead<Text<'_>>);
    fn element(&mut self, key: &KeyHead<Vec<u8>>, element: Element<Text<'_>>)
    -> Result<(), String>;
    fn end(&mut self, key: &KeyHead<Vec<u8>>) -> Result<(), String>;
}

struct Verify;

impl Taker for Verify {
    fn key(&mut self, _: &KeyHead<Text<'_>>) {}

    fn element(&mut self, _: &KeyHead<Vec<u8>>, _: Element<Text<'_>>) -> Result<(), String> {
        Ok(())
    }

    fn end(&mut self, _: &KeyHead<Vec<u8>>) -> Result<(), String> {
        Ok(())
    }
}

/// The command that makes a value of this kind; none: there is no such value here.
fn maker(kind: Kind) -> Option<&'static str> {
    let name = match kind {
        Kind::String => "set",
        Kind::List => "rpush",
        Kind::Set => "sadd",
        Kind::Zset => "zadd",
        Kind::Hash => "hset",
        Kind::Stream => return None,
    };
    table::lookup(name.as_bytes()).map(|spec| spec.name)
}

async fn walk<S: Storage>(
    storage: &S,
    name: &str,
    rules: Rules,
    taker: &mut impl Taker,
    count: &mut impl FnMut(u64),
) -> Result<u64, RecoveryError> {
    let file = storage.open(name).await?;
    if !is_rdb(&storage.read_at(&file, 0, MAGIC_BYTES).await?) {
        return Ok(0);
    }
    let refuse = |kind, offset| Err(RecoveryError::new(name, kind).at(offset));
    let (mut reader, mut fed) = (Reader::new(), 0);
    let mut key: Option<KeyHead<Vec<u8>>> = None;
    let mut skipped = false;
    loop {
        match reader.next() {
            Err(error) => {
                let offset = error.offset;
                return refuse(Refusal::Rdb(error), offset);
            }
            Ok(Event::More) => {
                let piece = storage.read_at(&file, fed, PIECE_BYTES).await?;
                fed += piece.len() as u64;
                count(piece.len() as u64);
                if piece.is_empty() { reader.end() } else { reader.feed(&piece) }
            }
            Ok(Event::Key(head)) => {
                let offset = head.offset;
                if let Some(what) = not_loaded(&head, rules) {
                    return refuse(Refusal::RdbContent(what), offset);
                }
                let passed = |now_ms| head.expires_ms.is_some_and(|at_ms| at_ms < now_ms);
                skipped = rules.alive_at_ms.is_some_and(passed);
                taker.key(&head);
                key = Some(head.map(|key| key.to_vec()));
            }
            Ok(Event::Element(Element::Field { expires_ms: Some(_), .. })) => {
                let what = "a hash with deadlines of fields".to_owned();
                let offset = key.map_or(0, |key| key.offset);
                return refuse(Refusal::RdbContent(what), offset);
            }
            Ok(Event::Element(_) | Event::KeyEnd) if skipped => {}
            Ok(Event::Element(element)) => {
                if let Some(key) = &key
                    && let Err(what) = taker.element(key, element)
                {
                    return refuse(Refusal::Command(what), key.offset);
                }
            }
            Ok(Event::KeyEnd) => {
                if let Some(key) = &key
                    && let Err(what) = taker.end(key)
                {
                    return refuse(Refusal::Command(what), key.offset);
                }
            }
            Ok(Event::Function(_)) => {
                let what = "a function library".to_owned();
                return refuse(Refusal::RdbContent(what), reader.offset());
            }
            Ok(Event::Aux(..) | Event::Resize { .. } | Event::Slot { .. }) => {}
            Ok(Event::End { bytes }) => return Ok(bytes),
        }
    }
}

/// Why a key cannot be loaded.
fn not_loaded(head: &KeyHead<Text<'_>>, rules: Rules) -> Option<String> {
    let shown = || head.key.to_vec()[..].escape_ascii().to_string();
    if head.db >= rules.databases as u64 {
        return Some(format!(
            "key '{}' is in database {}, and `databases` is {}",
            shown(),
            head.db,
            rules.databases
        ));
    }
    let unknown = maker(head.kind).is_none();
    unknown.then(|| format!("key '{}' is a {}", shown(), head.kind.name()))
}

/// Makes commands of keys.
struct Commands<'s, S> {
    sink: &'s mut S,
    place: Place,
    args: OwnedArgs,
    elements: usize,
    bytes: usize,
    count: u64,
}

impl<S: Sink> Commands<'_, S> {
    fn run(&mut self) -> Result<(), String> {
        (self.elements, self.bytes) = (0, 0);
        self.count += 1;
        self.sink.take(self.args.as_args(), &mut self.place)
    }

    fn push(&mut self, text: Text<'_>) {
        let mut digits = itoa::Buffer::new();
        let bytes = text.bytes(&mut digits);
        self.bytes += bytes.len();
        self.args.push(bytes);
    }
}

impl<S: Sink> Taker for Commands<'_, S> {
    fn key(&mut self, head: &KeyHead<Text<'_>>) {
        self.place = Place { offset: head.offset, db: head.db as usize };
    }

    fn element(
        &mut self,
        key: &KeyHead<Vec<u8>>,
        element: Element<Text<'_>>,
    ) -> Result<(), String> {
        if self.elements == 0 {
            self.args.clear();
            self.args.push(maker(key.kind).unwrap_or_default().as_bytes());
            self.args.push(&key.key);
        }
        match element {
            Element::Value(text) | Element::Item(text) | Element::Member(text) => self.push(text),
            Element::Scored(member, score) => {
                self.args.push(score_text(score).as_bytes());
                self.push(member);
            }
            Element::Field { field, value, .. } => {
                self.push(field);
                self.push(value);
            }
            // Streams are refused before.
            _ => {}
        }
        self.elements += 1;
        if self.elements >= ELEMENTS_MAX || self.bytes >= COMMAND_BYTES_MAX {
            self.run()?;
        }
        Ok(())
    }

    fn end(&mut self, key: &KeyHead<Vec<u8>>) -> Result<(), String> {
        if self.elements > 0 {
            self.run()?;
        }
        // A key with an empty collection is none; Redis passes over it too.
        if let Some(at_ms) = key.expires_ms {
            self.args.clear();
            self.args.push(b"pexpireat");
            self.args.push(&key.key);
            self.args.push(itoa::Buffer::new().format(at_ms).as_bytes());
            self.run()?;
        }
        Ok(())
    }
}
