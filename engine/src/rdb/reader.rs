//! From the bytes of an RDB file, fed in pieces of any size, to events.
//!
//! Invariants: an event is made of bytes that are all there; what it announces for later is a claim
//! and no memory is reserved by it; the checksum covers every byte up to the end's opcode; after
//! an error the reader says the same error again. Does not know where bytes come from, nor what
//! becomes of values.
//!
//! LIMIT: the longest string, or packed collection, must fit into memory (twice when it is packed):
//! it is handed out whole. Everything else is read piece by piece.

use super::{
    error::{Place, Problem, RdbError},
    event::{Event, KeyHead, Text},
    input::{Cursor, Part, Stop, Window},
    opcode,
    value::{Opened, Step, ValueReader},
};

/// First version with a checksum behind the end.
const CHECKSUM_SINCE: u32 = 5;
/// Versions of Redis that are read.
const REDIS_VERSION_MAX: u32 = 13;
/// The version of Valkey that is read.
const VALKEY_VERSION: u32 = 80;
/// Bytes of the magic and the version.
const MAGIC_BYTES: usize = 9;

/// True for the first bytes of an RDB file.
pub fn is_rdb(bytes: &[u8]) -> bool {
    bytes.starts_with(b"REDIS") || bytes.starts_with(b"VALKEY")
}

/// True for versions that [`Reader::payload`] reads.
pub fn is_known_version(version: u32) -> bool {
    (1..=REDIS_VERSION_MAX).contains(&version) || version == VALKEY_VERSION
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Magic,
    /// Between keys.
    Opcode,
    /// A value's type follows and nothing else.
    Payload,
    /// In a module's data that belongs to no key.
    Module,
    Value,
    Footer,
    Done,
}

/// What has been said of the next key.
#[derive(Debug, Clone, Copy, Default)]
struct Ahead {
    expires_ms: Option<i64>,
    idle_s: Option<u64>,
    freq: Option<u8>,
}

/// What a file has said so far, and where in it the reader is.
#[derive(Debug)]
struct Parser {
    value: ValueReader,
    state: State,
    version: u32,
    valkey: bool,
    payload: bool,
    /// It is a part of a file: it ends between two keys, where its bytes end.
    part: bool,
    db: u64,
    ahead: Ahead,
    /// The key whose value is being read.
    place: Option<Place>,
}

/// Reads one RDB file, or one DUMP payload.
#[derive(Debug)]
pub struct Reader {
    window: Window,
    parser: Parser,
    failed: Option<RdbError>,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    fn at(state: State, version: u32) -> Self {
        let parser = Parser {
            value: ValueReader::new(),
            state,
            version,
            valkey: version == VALKEY_VERSION,
            payload: state == State::Payload,
            part: false,
            db: 0,
            ahead: Ahead::default(),
            place: None,
        };
        Self { window: Window::default(), parser, failed: None }
    }

    /// At the beginning of a file.
    pub fn new() -> Self {
        Self::at(State::Magic, 0)
    }

    /// At a value without a key (its type, then the value), of a version that
    /// [`is_known_version`].
    pub fn payload(body: &[u8], version: u32) -> Self {
        let mut reader = Self::at(State::Payload, version);
        reader.feed(body);
        reader.end();
        reader
    }

    /// The first part of a file: it ends between two keys, and no checksum is looked at.
    pub fn head() -> Self {
        Self::of_part(State::Magic, 0, 0)
    }

    /// A part of a file of this version that begins with whole keys at `offset` of it and ends
    /// behind them. No checksum is looked at; the database is 0 until it says another.
    pub fn part(version: u32, offset: u64) -> Self {
        Self::of_part(State::Opcode, version, offset)
    }

    fn of_part(state: State, version: u32, offset: u64) -> Self {
        let mut reader = Self::at(state, version);
        reader.parser.part = true;
        reader.window = Window::unsummed(offset);
        reader
    }

    /// Takes the next bytes of the file. To be called when an event was [`Event::More`].
    pub fn feed(&mut self, bytes: &[u8]) {
        self.window.feed(bytes);
    }

    /// Says that the file has no more bytes.
    pub fn end(&mut self) {
        self.window.end();
    }

    /// Version in the file's first line, once read.
    pub fn version(&self) -> u32 {
        self.parser.version
    }

    /// Bytes of the file that events have been made of.
    pub fn offset(&self) -> u64 {
        self.window.offset()
    }

    /// The next event. [`Event::More`]: feed, or [`Reader::end`]. [`Event::End`] is said again
    /// and again.
    ///
    /// # Errors
    /// Where the file is bad, and how; the same again when asked again.
    #[expect(clippy::should_implement_trait, reason = "events borrow from the reader")]
    pub fn next(&mut self) -> Result<Event<Text<'_>>, RdbError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let event = loop {
            if self.window.is_short() {
                break Event::More;
            }
            if self.parser.part && self.window.is_used_up() && self.parser.is_between_keys() {
                break Event::End { bytes: self.window.offset() };
            }
            let mut cursor = self.window.cursor();
            match self.parser.step(&mut cursor, self.window.crc()) {
                Ok(event) => {
                    let at = cursor.at();
                    self.window.commit(at);
                    if let Some(event) = event {
                        break event;
                    }
                }
                Err(Stop::Short { expected, .. }) if self.window.has_ended() => {
                    let offset = self.window.end_offset();
                    return Err(self.fail(offset, Problem::CutOff { expected }));
                }
                Err(Stop::Short { need, .. }) => {
                    self.window.lacks(need);
                    break Event::More;
                }
                Err(Stop::Wrong(offset, problem)) => return Err(self.fail(offset, problem)),
            }
        };
        Ok(event.map(|part| self.text(part)))
    }

    fn text(&self, part: Part) -> Text<'_> {
        match part {
            Part::Int(n) => Text::Int(n),
            Part::Window(range) => Text::Bytes(self.window.slice(range)),
            Part::Unpacked(range) => Text::Bytes(&self.parser.value.unpacked()[range]),
            Part::Blob(range) => Text::Bytes(&self.parser.value.blob()[range]),
        }
    }

    fn fail(&mut self, offset: u64, kind: Problem) -> RdbError {
        let key = self.parser.place.clone();
        self.failed.insert(RdbError { offset, key, kind }).clone()
    }
}

fn unsupported<T>(offset: u64, what: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Wrong(offset, Problem::Unsupported(what.into())))
}

fn wrong<T>(offset: u64, expected: &'static str) -> Result<T, Stop> {
    Err(Stop::Wrong(offset, Problem::Expected(expected)))
}

impl Parser {
    /// Nothing has been said that a key must follow.
    fn is_between_keys(&self) -> bool {
        let Ahead { expires_ms, idle_s, freq } = self.ahead;
        self.state == State::Opcode && (expires_ms, idle_s, freq) == (None, None, None)
    }

    /// One thing of the file; `None`: it was none to show. Changes nothing when the window is
    /// short.
    fn step(&mut self, cursor: &mut Cursor<'_>, crc: u64) -> Result<Option<Event<Part>>, Stop> {
        self.value.unpacked_mut().clear();
        match self.state {
            State::Magic => {
                let magic = cursor.array::<MAGIC_BYTES>("an RDB file's first line")?;
                (self.version, self.valkey) = magic_of(&magic)?;
                self.state = State::Opcode;
                Ok(None)
            }
            State::Opcode => self.opcode(cursor),
            State::Payload => {
                let offset = cursor.offset();
                let value_type = cursor.byte("a value's type")?;
                self.key(cursor, Part::Blob(0..0), value_type, offset).map(Some)
            }
            State::Module => self.skip_module(cursor).map(|()| None),
            State::Value => match self.value.step(cursor)? {
                Step::Element(element) => Ok(Some(Event::Element(element))),
                Step::Again => Ok(None),
                Step::Done => {
                    self.place = None;
                    self.state = if self.payload { State::Done } else { State::Opcode };
                    Ok(Some(Event::KeyEnd))
                }
            },
            State::Footer => {
                let offset = cursor.offset();
                let stored = u64::from_le_bytes(cursor.array("the file's checksum")?);
                // 0: written with `rdbchecksum no`.
                if stored != 0 && stored != crc {
                    let problem = Problem::Checksum { stored, computed: crc };
                    return Err(Stop::Wrong(offset, problem));
                }
                self.state = State::Done;
                Ok(None)
            }
            State::Done => Ok(Some(Event::End { bytes: cursor.offset() })),
        }
    }

    fn opcode(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<Event<Part>>, Stop> {
        const COUNT: &str = "a number of keys";
        let offset = cursor.offset();
        let opcode = cursor.byte("an opcode or a value's type")?;
        let unpacked = self.value.unpacked_mut();
        match opcode {
            opcode::AUX => {
                let name = cursor.text(unpacked, "a field's name")?;
                let value = cursor.text(unpacked, "a field's value")?;
                return Ok(Some(Event::Aux(name, value)));
            }
            opcode::SELECT_DB => self.db = cursor.length("a database's number")?,
            opcode::RESIZE_DB => {
                let (keys, with_deadline) = (cursor.length(COUNT)?, cursor.length(COUNT)?);
                return Ok(Some(Event::Resize { db: self.db, keys, with_deadline }));
            }
            opcode::SLOT_INFO => {
                let slot = cursor.length("a slot")?;
                let (keys, with_deadline) = (cursor.length(COUNT)?, cursor.length(COUNT)?);
                return Ok(Some(Event::Slot { slot, keys, with_deadline }));
            }
            opcode::FUNCTION2 => {
                return Ok(Some(Event::Function(cursor.text(unpacked, "a function library")?)));
            }
            opcode::EXPIRE_MS => self.ahead.expires_ms = Some(cursor.millis("a deadline")?),
            opcode::EXPIRE_S => {
                let seconds = i32::from_le_bytes(cursor.array("a deadline")?);
                self.ahead.expires_ms = Some(i64::from(seconds) * 1000);
            }
            opcode::IDLE => self.ahead.idle_s = Some(cursor.length("an idle time")?),
            opcode::FREQ => self.ahead.freq = Some(cursor.byte("an access frequency")?),
            opcode::MODULE_AUX => {
                const WHEN: &str = "a module's data";
                cursor.length(WHEN)?;
                let at = cursor.offset();
                if cursor.length(WHEN)? != module::UNSIGNED {
                    return wrong(at, WHEN);
                }
                cursor.length(WHEN)?;
                self.state = State::Module;
            }
            opcode::FUNCTION_PRE_GA => {
                return unsupported(
                    offset,
                    "a function library as a Redis 7.0 release candidate wrote it",
                );
            }
            opcode::DISPUTED if self.valkey => {
                return unsupported(
                    offset,
                    "the state of a slot import (Valkey 9 in cluster mode)",
                );
            }
            opcode::DISPUTED => return unsupported(offset, "metadata of a key (Redis 8.6)"),
            opcode::END if self.part => return wrong(offset, "a key, or the end of the part"),
            opcode::END if self.version < CHECKSUM_SINCE => self.state = State::Done,
            opcode::END => self.state = State::Footer,
            value_type => {
                let key = cursor.text(unpacked, "a key")?;
                return self.key(cursor, key, value_type, offset).map(Some);
            }
        }
        Ok(None)
    }

    /// Begins the value of a key.
    fn key(
        &mut self,
        cursor: &mut Cursor<'_>,
        key: Part,
        value_type: u8,
        offset: u64,
    ) -> Result<Event<Part>, Stop> {
        let mut digits = itoa::Buffer::new();
        let shown = match &key {
            Part::Int(n) => digits.format(*n).as_bytes(),
            Part::Window(range) => cursor.slice(range.clone()),
            Part::Unpacked(range) => &self.value.unpacked()[range.clone()],
            Part::Blob(_) => &[],
        };
        // Known before the value is looked at, so that an error names it.
        self.place.get_or_insert_default().set(self.db, shown, value_type);
        let Opened { kind, packed, count } = self.value.open(value_type, self.valkey, cursor)?;
        let Ahead { expires_ms, idle_s, freq } = std::mem::take(&mut self.ahead);
        self.state = State::Value;
        let db = self.db;
        Ok(Event::Key(KeyHead { db, key, kind, packed, count, expires_ms, idle_s, freq, offset }))
    }

    /// Passes over one thing a module has saved.
    fn skip_module(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Stop> {
        const DATA: &str = "a module's data";
        let offset = cursor.offset();
        match cursor.length(DATA)? {
            module::END => self.state = State::Opcode,
            module::SIGNED | module::UNSIGNED => _ = cursor.length(DATA)?,
            module::FLOAT => _ = cursor.array::<4>(DATA)?,
            module::DOUBLE => _ = cursor.array::<8>(DATA)?,
            module::STRING => _ = cursor.text(self.value.unpacked_mut(), DATA)?,
            _ => return wrong(offset, DATA),
        }
        Ok(())
    }
}

/// What stands in front of each thing a module has saved.
mod module {
    pub const END: u64 = 0;
    pub const SIGNED: u64 = 1;
    pub const UNSIGNED: u64 = 2;
    pub const FLOAT: u64 = 3;
    pub const DOUBLE: u64 = 4;
    pub const STRING: u64 = 5;
}

/// Version, and whether it is one of Valkey's.
fn magic_of(magic: &[u8; MAGIC_BYTES]) -> Result<(u32, bool), Stop> {
    let known = [(b"REDIS".as_slice(), false), (b"VALKEY", true)];
    let found = known.into_iter().find_map(|(name, valkey)| {
        let digits = magic.strip_prefix(name)?;
        let digits =
            std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
        Some((digits.parse().ok()?, valkey))
    });
    match found {
        Some((version @ 1..=REDIS_VERSION_MAX, false)) => Ok((version, false)),
        Some((VALKEY_VERSION, true)) => Ok((VALKEY_VERSION, true)),
        Some(_) => unsupported(
            0,
            format!(
                "the format is {}: this version reads REDIS0001 to REDIS00{REDIS_VERSION_MAX} and \
                 VALKEY0{VALKEY_VERSION}",
                magic.escape_ascii()
            ),
        ),
        None => wrong(0, "REDIS or VALKEY and a version"),
    }
}
