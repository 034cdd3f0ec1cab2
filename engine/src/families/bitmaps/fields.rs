//! BITFIELD: integers of any width at any bit of a string.

use super::{OFFSET, make_room, within_limit};
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    effect::Effect,
    keyspace::canonical_int,
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "bitfield",
        arity: -2,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::ONE,
        group: Group::Bitmap,
        acl: &[],
        since: "3.2.0",
        complexity: "O(1) for each subcommand specified",
        summary: "Perform arbitrary bitfield integer operations on strings",
        fanout: Fanout::Whole,
        examples: &[
            "BITFIELD k GET u8 0",
            "BITFIELD k SET i5 #1 -3 INCRBY u16 100 70000",
            "BITFIELD nokey OVERFLOW SAT INCRBY u4 0 99 OVERFLOW FAIL INCRBY u4 0 1",
        ],
        run: bitfield,
    },
    CommandSpec {
        name: "bitfield_ro",
        arity: -2,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Bitmap,
        acl: &[],
        since: "6.0.0",
        complexity: "O(1) for each subcommand specified",
        summary: "Perform arbitrary bitfield integer operations on strings. Read-only variant of BITFIELD",
        fanout: Fanout::Whole,
        examples: &["BITFIELD_RO k GET u8 0 GET i3 #2"],
        run: bitfield_ro,
    },
];

const TYPE: CommandError = CommandError::new(
    "ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.",
);

/// A field is in at most this many bytes.
const WINDOW: usize = 9;

/// What becomes of a number that does not fit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Overflow {
    Wrap,
    Saturate,
    Fail,
}

#[derive(Clone, Copy)]
enum Action {
    Get,
    Set(i64),
    Add(i64),
}

/// One operation on one field.
#[derive(Clone, Copy)]
struct Operation {
    action: Action,
    overflow: Overflow,
    signed: bool,
    bits: u32,
    offset: u64,
}

/// The operations of a command line, one after the other.
struct Operations<'a> {
    args: Args<'a>,
    at: usize,
    overflow: Overflow,
}

impl<'a> Operations<'a> {
    fn new(args: Args<'a>) -> Self {
        Self { args, at: 2, overflow: Overflow::Wrap }
    }

    fn parse(&mut self) -> Result<Option<Operation>, CommandError> {
        while let Some(word) = self.args.try_get(self.at) {
            let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
            let left = self.args.len() - self.at - 1;
            let argument = |n: usize| self.args.get(self.at + n);
            if is("overflow") && left >= 1 {
                let is = |name: &str| argument(1).eq_ignore_ascii_case(name.as_bytes());
                self.overflow = if is("wrap") {
                    Overflow::Wrap
                } else if is("sat") {
                    Overflow::Saturate
                } else if is("fail") {
                    Overflow::Fail
                } else {
                    return Err(CommandError::new("ERR Invalid OVERFLOW type specified"));
                };
                self.at += 2;
                continue;
            }
            let (get, set, add) = (is("get"), is("set"), is("incrby"));
            if !(get && left >= 2 || (set || add) && left >= 3) {
                return Err(CommandError::SYNTAX);
            }
            let (signed, bits) = field_type(argument(1))?;
            let offset = field_offset(argument(2), bits)?;
            let number = || canonical_int(argument(3)).ok_or(CommandError::NOT_AN_INTEGER);
            let action = if get {
                Action::Get
            } else if set {
                Action::Set(number()?)
            } else {
                Action::Add(number()?)
            };
            self.at += if get { 3 } else { 4 };
            return Ok(Some(Operation { action, overflow: self.overflow, signed, bits, offset }));
        }
        Ok(None)
    }
}

/// `i1` to `i64`, `u1` to `u63`: whether it is signed, and its width.
fn field_type(text: &[u8]) -> Result<(bool, u32), CommandError> {
    let (signed, widest) = match text.first() {
        Some(b'i') => (true, 64),
        Some(b'u') => (false, 63),
        _ => return Err(TYPE),
    };
    match canonical_int(&text[1..]) {
        Some(bits) if (1..=widest).contains(&bits) => Ok((signed, bits as u32)),
        _ => Err(TYPE),
    }
}

/// An offset in bits, or with `#` in fields of this width.
fn field_offset(text: &[u8], bits: u32) -> Result<u64, CommandError> {
    within_limit(match text {
        [b'#', count @ ..] => canonical_int(count)
            .and_then(|count| count.checked_mul(i64::from(bits)))
            .ok_or(OFFSET)?,
        _ => canonical_int(text).ok_or(OFFSET)?,
    })
}

impl Operation {
    /// The highest bit of the field.
    fn last(&self) -> u64 {
        self.offset + u64::from(self.bits) - 1
    }

    /// The field's bits within a window of bytes that begins with its first byte, as a number.
    fn get(&self, window: [u8; WINDOW]) -> i64 {
        let raw = (self.number(window) >> self.shift()) as u64;
        self.extend(raw)
    }

    fn number(&self, window: [u8; WINDOW]) -> u128 {
        window.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
    }

    /// Bits of the window behind the field.
    fn shift(&self) -> u32 {
        WINDOW as u32 * 8 - (self.offset & 7) as u32 - self.bits
    }

    /// The window with the field replaced.
    fn put(&self, window: [u8; WINDOW], value: i64) -> [u8; WINDOW] {
        let mask = ((1u128 << self.bits) - 1) << self.shift();
        let field = (u128::from(value as u64) << self.shift()) & mask;
        let number = self.number(window) & !mask | field;
        let mut bytes = [0; WINDOW];
        bytes.copy_from_slice(&number.to_be_bytes()[16 - WINDOW..]);
        bytes
    }

    /// The number that the lowest bits stand for.
    fn extend(&self, raw: u64) -> i64 {
        let unused = 64 - self.bits;
        let top = (raw << unused) as i64;
        if self.signed { top >> unused } else { (top as u64 >> unused) as i64 }
    }

    /// A number as the field can hold it, and whether it is another one.
    fn fit(&self, wanted: i128) -> (i64, bool) {
        let (low, high) = if self.signed {
            let high = (1i128 << (self.bits - 1)) - 1;
            (-high - 1, high)
        } else {
            (0, (1i128 << self.bits) - 1)
        };
        if (low..=high).contains(&wanted) {
            return (wanted as i64, false);
        }
        // Redis computes how far it is to the highest in 64 bits: from the lowest numbers that there
        // are it seems to be below zero.
        let sets = matches!(self.action, Action::Set(_));
        let seems_high = sets && high - wanted > i128::from(i64::MAX);
        let fitted = match self.overflow {
            Overflow::Saturate if wanted > high || seems_high => high as i64,
            Overflow::Saturate => low as i64,
            Overflow::Wrap | Overflow::Fail => self.extend(wanted as u64),
        };
        (fitted, true)
    }

    /// What the field, which holds `before`, holds afterwards and what the reply says; None when
    /// nothing may be done.
    fn apply(&self, before: i64) -> Option<(i64, i64)> {
        match self.action {
            Action::Get => Some((before, before)),
            Action::Set(value) => {
                // A negative number for an unsigned field is a big one.
                let wanted = if self.signed { i128::from(value) } else { i128::from(value as u64) };
                let (after, other) = self.fit(wanted);
                (!other || self.overflow != Overflow::Fail).then_some((after, before))
            }
            Action::Add(by) => {
                let (after, other) = self.fit(i128::from(before) + i128::from(by));
                (!other || self.overflow != Overflow::Fail).then_some((after, after))
            }
        }
    }
}

/// The bytes that hold a field; those behind the end are zeros.
fn window(bytes: &[u8], at: usize) -> [u8; WINDOW] {
    let mut window = [0; WINDOW];
    let rest = bytes.get(at..).unwrap_or_default();
    let len = rest.len().min(WINDOW);
    window[..len].copy_from_slice(&rest[..len]);
    window
}

fn bitfield(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    fields(cx, args, false)
}

fn bitfield_ro(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    fields(cx, args, true)
}

fn fields(cx: &mut Ctx<'_>, args: Args<'_>, read_only: bool) -> Result<(), CommandError> {
    let (mut count, mut last_written) = (0, None);
    let mut operations = Operations::new(args);
    while let Some(operation) = operations.parse()? {
        count += 1;
        if !matches!(operation.action, Action::Get) {
            last_written = last_written.max(Some(operation.last()));
        }
    }
    let key = cx.key(args.get(1));
    let Some(last) = last_written else { return get_all(cx, args, count) };
    if read_only {
        return Err(CommandError::new("ERR BITFIELD_RO only supports the GET subcommand"));
    }
    let grown = make_room(cx, key, (last >> 3) as usize)?;
    let mut changed = grown;
    cx.reply.array(count);
    let mut operations = Operations::new(args);
    let mut entry = cx.keyspace.db_mut(cx.db).get_mut(key);
    let Some(bytes) = entry.as_mut().and_then(|entry| entry.bytes_mut()) else {
        unreachable!("room was made");
    };
    while let Some(operation) = operations.parse()? {
        let at = (operation.offset >> 3) as usize;
        let seen = window(bytes, at);
        let before = operation.get(seen);
        let Some((after, said)) = operation.apply(before) else {
            cx.reply.null();
            continue;
        };
        if after != before {
            changed = true;
            let end = bytes.len().min(at + WINDOW);
            bytes[at..end].copy_from_slice(&operation.put(seen, after)[..end - at]);
        }
        cx.reply.int(said);
    }
    if changed {
        cx.effect(key.hash, Effect::Verbatim { args });
    }
    Ok(())
}

fn get_all(cx: &mut Ctx<'_>, args: Args<'_>, count: usize) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (entry, reply) = cx.read_string(key)?;
    let mut digits = itoa::Buffer::new();
    let value = entry.as_ref().map(|entry| entry.value());
    let bytes = value.as_ref().map_or(&b""[..], |value| value.bytes(&mut digits));
    reply.array(count);
    let mut operations = Operations::new(args);
    while let Some(operation) = operations.parse()? {
        reply.int(operation.get(window(bytes, (operation.offset >> 3) as usize)));
    }
    Ok(())
}
