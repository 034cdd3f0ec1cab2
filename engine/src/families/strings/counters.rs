//! Strings as numbers: INCR and its relatives.

use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    effect::{Deadline, Effect},
    keyspace::{Key, Str, canonical_int},
    number::LongDouble,
};

const OVERFLOW: CommandError = CommandError::new("ERR increment or decrement would overflow");

const NOT_FINITE: CommandError = CommandError::new("ERR increment would produce NaN or Infinity");

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "incr",
        arity: 2,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::String,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Increment the integer value of a key by one",
        fanout: Fanout::Whole,
        examples: &["INCR n", "INCR nokey"],
        run: incr,
    },
    CommandSpec {
        name: "decr",
        arity: 2,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::String,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Decrement the integer value of a key by one",
        fanout: Fanout::Whole,
        examples: &["DECR n"],
        run: decr,
    },
    CommandSpec {
        name: "incrby",
        arity: 3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::String,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Increment the integer value of a key by the given amount",
        fanout: Fanout::Whole,
        examples: &["INCRBY n 40"],
        run: incrby,
    },
    CommandSpec {
        name: "decrby",
        arity: 3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::String,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Decrement the integer value of a key by the given number",
        fanout: Fanout::Whole,
        examples: &["DECRBY n 7"],
        run: decrby,
    },
    CommandSpec {
        name: "incrbyfloat",
        arity: 3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::String,
        acl: &[],
        since: "2.6.0",
        complexity: "O(1)",
        summary: "Increment the float value of a key by the given amount",
        fanout: Fanout::Whole,
        examples: &["INCRBYFLOAT n 0.5", "INCRBYFLOAT nokey -1e3"],
        run: incrbyfloat,
    },
];

fn incr(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    add(cx, args, 1)
}

fn decr(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    add(cx, args, -1)
}

fn incrby(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let by = canonical_int(args.get(2)).ok_or(CommandError::NOT_AN_INTEGER)?;
    add(cx, args, by)
}

fn decrby(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let by = canonical_int(args.get(2)).ok_or(CommandError::NOT_AN_INTEGER)?;
    let by = by.checked_neg().ok_or(CommandError::new("ERR decrement would overflow"))?;
    add(cx, args, by)
}

/// The integer a value stands for.
fn integer(value: Str<'_>) -> Result<i64, CommandError> {
    match value {
        Str::Int(n) => Ok(n),
        Str::Bytes(text) => canonical_int(text).ok_or(CommandError::NOT_AN_INTEGER),
    }
}

fn add(cx: &mut Ctx<'_>, args: Args<'_>, by: i64) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let sum = match cx.find_string(key)? {
        Some(mut entry) => {
            let sum = integer(entry.value())?.checked_add(by).ok_or(OVERFLOW)?;
            if !entry.set_int_in_place(sum) {
                cx.database().set_int(key, sum, Deadline::Keep);
            }
            sum
        }
        None => {
            cx.database().set_int(key, by, Deadline::None);
            by
        }
    };
    log_sum(cx, key, args);
    cx.reply.int(sum);
    Ok(())
}

/// The command as it came: it names one key and says all.
#[inline]
fn log_sum(cx: &mut Ctx<'_>, key: Key<'_>, args: Args<'_>) {
    cx.effect(key.hash, Effect::Verbatim { args });
}

fn incrbyfloat(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let value = match cx.find_string(key)? {
        Some(entry) => match entry.value() {
            Str::Int(n) => LongDouble::from(n),
            Str::Bytes(text) => LongDouble::parse(text).ok_or(CommandError::NOT_A_FLOAT)?,
        },
        None => LongDouble::from(0),
    };
    let by = LongDouble::parse(args.get(2)).ok_or(CommandError::NOT_A_FLOAT)?;
    let sum = value.checked_add(by).ok_or(NOT_FINITE)?.text();
    cx.admit(key.bytes.len() + sum.len())?;
    cx.database().set_text(key, &sum, Deadline::Keep);
    // Not verbatim: another machine's floating point may round otherwise.
    cx.effect(key.hash, Effect::Set { key: key.bytes, value: &sum, deadline: Deadline::Keep });
    cx.reply.bulk(&sum);
    Ok(())
}
