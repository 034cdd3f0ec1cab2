//! Commands that change part of a string.

use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    effect::Effect,
    keyspace::canonical_int,
    limits::STRING_BYTES_MAX,
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "append",
        arity: 3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::String,
        acl: &[],
        since: "2.0.0",
        complexity: "O(1). The amortized time complexity is O(1) assuming the appended value is small and the already present value is of any size, since the dynamic string library used by Redis will double the free space available on every reallocation.",
        summary: "Append a value to a key",
        fanout: Fanout::Whole,
        examples: &["APPEND k xyz", "APPEND nokey ", "APPEND n 5"],
        run: append,
    },
    CommandSpec {
        name: "setrange",
        arity: 4,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::ONE,
        group: Group::String,
        acl: &[],
        since: "2.2.0",
        complexity: "O(1), not counting the time taken to copy the new string in place. Usually, this string is very small so the amortized complexity is O(1). Otherwise, complexity is O(M) with M being the length of the value argument.",
        summary: "Overwrite part of a string at key starting at the specified offset",
        fanout: Fanout::Whole,
        examples: &["SETRANGE k 3 xyz", "SETRANGE nokey 5 x", "SETRANGE n 0 7"],
        run: setrange,
    },
];

/// A string must not grow beyond what one argument may hold.
fn check_length(before: usize, more: usize) -> Result<(), CommandError> {
    if before.saturating_add(more) > STRING_BYTES_MAX {
        return Err(CommandError::new(
            "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
        ));
    }
    Ok(())
}

fn append(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (key, tail) = (cx.key(args.get(1)), args.get(2));
    if let Some(entry) = cx.find_string(key)? {
        check_length(entry.value().len(), tail.len())?;
    }
    let len = cx.database().append(key, tail);
    cx.effect(key.hash, Effect::Verbatim { args });
    cx.reply.int(len as i64);
    Ok(())
}

fn setrange(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (key, bytes) = (cx.key(args.get(1)), args.get(3));
    let offset = canonical_int(args.get(2)).ok_or(CommandError::NOT_AN_INTEGER)?;
    let offset =
        usize::try_from(offset).map_err(|_| CommandError::new("ERR offset is out of range"))?;
    let before = cx.find_string(key)?.map_or(0, |entry| entry.value().len());
    if bytes.is_empty() {
        cx.reply.int(before as i64);
        return Ok(());
    }
    check_length(offset, bytes.len())?;
    let len = cx.database().write_range(key, offset, bytes);
    cx.effect(key.hash, Effect::Verbatim { args });
    cx.reply.int(len as i64);
    Ok(())
}
