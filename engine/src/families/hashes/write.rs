//! Commands that change hashes.
//!
//! A command is logged as it came, since it names one key and says all; sums of floats are
//! logged as the value they gave.

use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    effect::Effect,
    number::{LongDouble, canonical_int},
    types::{Hash, packed::Item},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "hset",
        arity: -4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Hash,
        acl: &[],
        since: "2.0.0",
        complexity: "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the command is called with multiple field/value pairs.",
        summary: "Set the string value of a hash field",
        fanout: Fanout::Whole,
        examples: &["HSET h f v", "HSET h f 1 g 2"],
        run: hset,
    },
    CommandSpec {
        name: "hmset",
        arity: -4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Hash,
        acl: &[],
        since: "2.0.0",
        complexity: "O(N) where N is the number of fields being set.",
        summary: "Set multiple hash fields to multiple values",
        fanout: Fanout::Whole,
        examples: &["HMSET h f v g 2"],
        run: hmset,
    },
    CommandSpec {
        name: "hsetnx",
        arity: 4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Hash,
        acl: &[],
        since: "2.0.0",
        complexity: "O(1)",
        summary: "Set the value of a hash field, only if the field does not exist",
        fanout: Fanout::Whole,
        examples: &["HSETNX h f v", "HSETNX h new v"],
        run: hsetnx,
    },
    CommandSpec {
        name: "hdel",
        arity: -3,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Hash,
        acl: &[],
        since: "2.0.0",
        complexity: "O(N) where N is the number of fields to be removed.",
        summary: "Delete one or more hash fields",
        fanout: Fanout::Whole,
        examples: &["HDEL h f g"],
        run: hdel,
    },
    CommandSpec {
        name: "hincrby",
        arity: 4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Hash,
        acl: &[],
        since: "2.0.0",
        complexity: "O(1)",
        summary: "Increment the integer value of a hash field by the given number",
        fanout: Fanout::Whole,
        examples: &["HINCRBY h n 5"],
        run: hincrby,
    },
    CommandSpec {
        name: "hincrbyfloat",
        arity: 4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Hash,
        acl: &[],
        since: "2.6.0",
        complexity: "O(1)",
        summary: "Increment the float value of a hash field by the given amount",
        fanout: Fanout::Whole,
        examples: &["HINCRBYFLOAT h n 0.5"],
        run: hincrbyfloat,
    },
];

/// The number of new fields.
fn set_pairs(cx: &mut Ctx<'_>, args: Args<'_>, name: &str) -> Result<i64, CommandError> {
    if !args.len().is_multiple_of(2) {
        return Err(CommandError::arity(name));
    }
    let key = cx.key(args.get(1));
    let (limits, hasher) = (cx.limits, cx.keyspace.hasher().clone());
    let new = cx.edit(key, true, |hash: &mut Hash| {
        let pairs = (2..args.len()).step_by(2);
        pairs.filter(|&at| hash.set(args.get(at), args.get(at + 1), limits, &hasher)).count()
    })?;
    cx.effect(key.hash, Effect::Verbatim { args });
    Ok(new.unwrap_or(0) as i64)
}

fn hset(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let new = set_pairs(cx, args, "hset")?;
    cx.reply.int(new);
    Ok(())
}

fn hmset(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    set_pairs(cx, args, "hmset")?;
    cx.reply.ok();
    Ok(())
}

fn hsetnx(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (key, field, value) = (cx.key(args.get(1)), args.get(2), args.get(3));
    let (limits, hasher) = (cx.limits, cx.keyspace.hasher().clone());
    let set = cx.edit(key, true, |hash: &mut Hash| {
        let missing = hash.as_ref().get(field).is_none();
        if missing {
            hash.set(field, value, limits, &hasher);
        }
        missing
    })?;
    if set == Some(true) {
        cx.effect(key.hash, Effect::Verbatim { args });
    }
    cx.reply.int(i64::from(set == Some(true)));
    Ok(())
}

fn hdel(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let removed = cx.edit(key, false, |hash: &mut Hash| {
        args.iter_from(2).filter(|field| hash.remove(field)).count()
    })?;
    let removed = removed.unwrap_or(0);
    if removed > 0 {
        cx.effect(key.hash, Effect::Verbatim { args });
    }
    cx.reply.int(removed as i64);
    Ok(())
}

fn hincrby(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let by = canonical_int(args.get(3)).ok_or(CommandError::NOT_AN_INTEGER)?;
    let (key, field) = (cx.key(args.get(1)), args.get(2));
    let (limits, hasher) = (cx.limits, cx.keyspace.hasher().clone());
    let sum = cx.edit(key, true, |hash: &mut Hash| {
        let before = match hash.as_ref().get(field) {
            None => 0,
            Some(Item::Int(n)) => n,
            Some(Item::Bytes(_)) => {
                return Err(CommandError::new("ERR hash value is not an integer"));
            }
        };
        let sum = before
            .checked_add(by)
            .ok_or(CommandError::new("ERR increment or decrement would overflow"))?;
        hash.set(field, itoa::Buffer::new().format(sum).as_bytes(), limits, &hasher);
        Ok(sum)
    })?;
    let sum = sum.unwrap_or(Ok(0))?;
    cx.effect(key.hash, Effect::Verbatim { args });
    cx.reply.int(sum);
    Ok(())
}

fn hincrbyfloat(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let by = LongDouble::parse(args.get(3)).ok_or(CommandError::NOT_A_FLOAT)?;
    if !by.is_finite() {
        return Err(CommandError::new("ERR value is NaN or Infinity"));
    }
    let (key, field) = (cx.key(args.get(1)), args.get(2));
    cx.admit(key.bytes.len() + field.len())?;
    let (limits, hasher) = (cx.limits, cx.keyspace.hasher().clone());
    let sum = cx.edit(key, true, |hash: &mut Hash| {
        let before = match hash.as_ref().get(field) {
            None => LongDouble::from(0),
            Some(Item::Int(n)) => LongDouble::from(n),
            Some(Item::Bytes(text)) => {
                LongDouble::parse(text).ok_or(CommandError::new("ERR hash value is not a float"))?
            }
        };
        let sum = before
            .checked_add(by)
            .filter(|sum| sum.is_finite())
            .ok_or(CommandError::new("ERR increment would produce NaN or Infinity"))?
            .text();
        hash.set(field, &sum, limits, &hasher);
        Ok(sum)
    })?;
    let sum = sum.unwrap_or(Err(CommandError::NOT_A_FLOAT))?;
    // Not verbatim: another machine's floating point may round otherwise.
    let parts: [&[u8]; 4] = [b"HSET", key.bytes, field, &sum];
    cx.effect(key.hash, Effect::Parts { parts: &parts });
    cx.reply.bulk(&sum);
    Ok(())
}
