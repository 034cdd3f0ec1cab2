//! Reading bits, counting and finding them.

use super::{counting, offset};
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    keyspace::canonical_int,
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "getbit",
        arity: 3,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Bitmap,
        acl: &[],
        since: "2.2.0",
        complexity: "O(1)",
        summary: "Returns the bit value at offset in the string value stored at key",
        fanout: Fanout::Whole,
        examples: &["GETBIT k 3"],
        run: getbit,
    },
    CommandSpec {
        name: "bitcount",
        arity: -2,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::Bitmap,
        acl: &[],
        since: "2.6.0",
        complexity: "O(N)",
        summary: "Count set bits in a string",
        fanout: Fanout::Whole,
        examples: &["BITCOUNT k", "BITCOUNT k 0 -1", "BITCOUNT k 1 9 BIT"],
        run: bitcount,
    },
    CommandSpec {
        name: "bitpos",
        arity: -3,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::Bitmap,
        acl: &[],
        since: "2.8.7",
        complexity: "O(N)",
        summary: "Find first bit set or clear in a string",
        fanout: Fanout::Whole,
        examples: &["BITPOS k 1", "BITPOS k 0 0 -1", "BITPOS k 1 3 9 BIT"],
        run: bitpos,
    },
];

fn getbit(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let offset = offset(args.get(2))?;
    let key = cx.key(args.get(1));
    let (entry, reply) = cx.read_string(key)?;
    let byte = entry.and_then(|entry| {
        let mut digits = itoa::Buffer::new();
        entry.value().bytes(&mut digits).get((offset >> 3) as usize).copied()
    });
    reply.int(i64::from(byte.unwrap_or(0) >> (7 - (offset & 7)) & 1));
    Ok(())
}

fn integer(text: &[u8]) -> Result<i64, CommandError> {
    canonical_int(text).ok_or(CommandError::NOT_AN_INTEGER)
}

/// Whether a range is one of bits, or else of bytes.
fn in_bits(unit: Option<&[u8]>) -> Result<bool, CommandError> {
    match unit {
        None => Ok(false),
        Some(unit) if unit.eq_ignore_ascii_case(b"bit") => Ok(true),
        Some(unit) if unit.eq_ignore_ascii_case(b"byte") => Ok(false),
        Some(_) => Err(CommandError::SYNTAX),
    }
}

/// The bits from `start` to `end`, both included and counted from the end when negative.
fn range(start: i64, end: i64, len: usize, in_bits: bool) -> std::ops::Range<u64> {
    let total = (len as i64) * if in_bits { 8 } else { 1 };
    let from_end = |at: i64| if at < 0 { at.saturating_add(total).max(0) } else { at };
    let (start, end) = (from_end(start), from_end(end).min(total - 1));
    if start > end {
        return 0..0;
    }
    let scale = if in_bits { 1 } else { 8 };
    start as u64 * scale..(end as u64 + 1) * scale
}

fn bitcount(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (entry, reply) = cx.read_string(key)?;
    // A missing key has no bits, whatever the rest of the line says.
    let Some(entry) = entry else {
        reply.int(0);
        return Ok(());
    };
    let mut digits = itoa::Buffer::new();
    let value = entry.value();
    let bytes = value.bytes(&mut digits);
    let count = match args.len() {
        2 => counting::ones(bytes),
        4 | 5 => {
            let (start, end) = (integer(args.get(2))?, integer(args.get(3))?);
            if start < 0 && end < 0 && start > end {
                0
            } else {
                let in_bits = in_bits(args.try_get(4))?;
                counting::ones_of(bytes, range(start, end, bytes.len(), in_bits))
            }
        }
        _ => return Err(CommandError::SYNTAX),
    };
    reply.int(count as i64);
    Ok(())
}

fn bitpos(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let set = match integer(args.get(2))? {
        0 => false,
        1 => true,
        _ => return Err(CommandError::new("ERR The bit argument must be 1 or 0.")),
    };
    let key = cx.key(args.get(1));
    let (entry, reply) = cx.read_string(key)?;
    let Some(entry) = entry else {
        // A missing key is clear bits without end.
        reply.int(if set { -1 } else { 0 });
        return Ok(());
    };
    let mut digits = itoa::Buffer::new();
    let value = entry.value();
    let bytes = value.bytes(&mut digits);
    let (start, end, in_bits) = match args.len() {
        3 => (0, -1, false),
        4..=6 => {
            let start = integer(args.get(3))?;
            let in_bits = in_bits(args.try_get(5))?;
            (start, args.try_get(4).map_or(Ok(-1), integer)?, in_bits)
        }
        _ => return Err(CommandError::SYNTAX),
    };
    let range = range(start, end, bytes.len(), in_bits);
    let found = counting::find(bytes, range.clone(), set);
    // Without an end, clear bits go on behind the string.
    let padded = !set && args.len() < 5 && !range.is_empty();
    let found = found.or(padded.then_some(range.end));
    reply.int(found.map_or(-1, |at| at as i64));
    Ok(())
}
