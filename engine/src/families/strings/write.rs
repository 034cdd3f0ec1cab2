//! SET and its relatives: commands that replace the whole value of one key or of several.

use super::{
    options::{SetOptions, TimeUnit, expire_at_ms},
    reply_value,
};
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    effect::{Deadline, Effect},
    keyspace::Key,
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "set",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::ONE,
        group: Group::String,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Set the string value of a key",
        fanout: Fanout::Whole,
        examples: &[
            "SET k v",
            "SET k v EX 100",
            "SET k 15 KEEPTTL",
            "SET k v2 XX GET PX 100000",
            "SET k2 v NX EXAT 4102444800",
            "SET k2 v PXAT 4102444800000",
        ],
        run: set,
    },
    CommandSpec {
        name: "setnx",
        arity: 3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::String,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Set the value of a key, only if the key does not exist",
        fanout: Fanout::Whole,
        examples: &["SETNX nokey v"],
        run: setnx,
    },
    CommandSpec {
        name: "setex",
        arity: 4,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::ONE,
        group: Group::String,
        acl: &[],
        since: "2.0.0",
        complexity: "O(1)",
        summary: "Set the value and expiration of a key",
        fanout: Fanout::Whole,
        examples: &["SETEX k 100 v"],
        run: setex,
    },
    CommandSpec {
        name: "psetex",
        arity: 4,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::ONE,
        group: Group::String,
        acl: &[],
        since: "2.6.0",
        complexity: "O(1)",
        summary: "Set the value and expiration in milliseconds of a key",
        fanout: Fanout::Whole,
        examples: &["PSETEX k 100000 v"],
        run: psetex,
    },
    CommandSpec {
        name: "getset",
        arity: 3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::String,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Set the string value of a key and return its old value",
        fanout: Fanout::Whole,
        examples: &["GETSET k v3", "GETSET nokey 7"],
        run: getset,
    },
    CommandSpec {
        name: "mset",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::Range { first: 1, last: -1, step: 2 },
        group: Group::String,
        acl: &[],
        since: "1.0.1",
        complexity: "O(N) where N is the number of keys to set.",
        summary: "Set multiple keys to multiple values",
        fanout: Fanout::AllOk,
        examples: &["MSET k v k2 v2 k 5"],
        run: mset,
    },
    CommandSpec {
        name: "msetnx",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::Range { first: 1, last: -1, step: 2 },
        group: Group::String,
        acl: &[],
        since: "1.0.1",
        complexity: "O(N) where N is the number of keys to set.",
        summary: "Set multiple keys to multiple values, only if none of the keys exist",
        fanout: Fanout::AllOrNothing,
        examples: &["MSETNX nokey v nokey2 v2", "MSETNX k v nokey3 v2"],
        run: msetnx,
    },
];

/// One key gets one value, whatever was there.
#[inline]
fn replace(cx: &mut Ctx<'_>, key: Key<'_>, value: &[u8], deadline: Deadline) {
    cx.database().set(key, value, deadline);
    cx.effect(key.hash, Effect::Set { key: key.bytes, value, deadline });
}

fn set(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    if args.len() != 3 {
        return set_with_options(cx, args);
    }
    let key = cx.key(args.get(1));
    replace(cx, key, args.get(2), Deadline::None);
    cx.reply.ok();
    Ok(())
}

fn set_with_options(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let options = SetOptions::parse_set(args)?;
    let deadline = options.deadline("set", cx.now_ms)?;
    let key = cx.key(args.get(1));
    let exists = if options.get {
        let (entry, reply) = cx.read_string(key)?;
        match &entry {
            Some(entry) => reply_value(reply, entry.value()),
            None => reply.null(),
        }
        entry.is_some()
    } else if options.only_new || options.only_existing || deadline == Deadline::Keep {
        cx.find(key)?.is_some()
    } else {
        false
    };
    if (options.only_new && exists) || (options.only_existing && !exists) {
        if !options.get {
            cx.reply.null();
        }
        return Ok(());
    }
    replace(cx, key, args.get(2), deadline);
    if !options.get {
        cx.reply.ok();
    }
    Ok(())
}

fn setnx(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let missing = cx.find(key)?.is_none();
    if missing {
        replace(cx, key, args.get(2), Deadline::None);
    }
    cx.reply.int(i64::from(missing));
    Ok(())
}

fn setex(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    set_for(cx, args, "setex", TimeUnit::Seconds)
}

fn psetex(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    set_for(cx, args, "psetex", TimeUnit::Milliseconds)
}

fn set_for(
    cx: &mut Ctx<'_>,
    args: Args<'_>,
    name: &str,
    unit: TimeUnit,
) -> Result<(), CommandError> {
    let at_ms = expire_at_ms(name, args.get(2), unit, Some(cx.now_ms))?;
    let key = cx.key(args.get(1));
    replace(cx, key, args.get(3), Deadline::At(at_ms));
    cx.reply.ok();
    Ok(())
}

fn getset(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (entry, reply) = cx.read_string(key)?;
    match entry {
        Some(entry) => reply_value(reply, entry.value()),
        None => reply.null(),
    }
    replace(cx, key, args.get(2), Deadline::None);
    Ok(())
}

fn mset(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    pairs_only(args, "mset")?;
    set_pairs(cx, args);
    cx.reply.ok();
    Ok(())
}

fn msetnx(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    pairs_only(args, "msetnx")?;
    for at in (1..args.len()).step_by(2) {
        let key = cx.key(args.get(at));
        if cx.find(key)?.is_some() {
            cx.reply.int(0);
            return Ok(());
        }
    }
    set_pairs(cx, args);
    cx.reply.int(1);
    Ok(())
}

fn pairs_only(args: Args<'_>, name: &str) -> Result<(), CommandError> {
    if args.len().is_multiple_of(2) { Err(CommandError::arity(name)) } else { Ok(()) }
}

fn set_pairs(cx: &mut Ctx<'_>, args: Args<'_>) {
    for at in (1..args.len()).step_by(2) {
        let key = cx.key(args.get(at));
        replace(cx, key, args.get(at + 1), Deadline::None);
    }
}
