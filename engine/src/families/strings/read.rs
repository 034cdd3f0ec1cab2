//! Commands that read strings and leave them alone.

use super::reply_value;
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    keyspace::canonical_int,
};
use std::ops::Range;

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "get",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::String,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Get the value of a key",
        fanout: Fanout::Whole,
        examples: &["GET k"],
        run: get,
    },
    CommandSpec {
        name: "mget",
        arity: -2,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ALL,
        group: Group::String,
        acl: &[],
        since: "1.0.0",
        complexity: "O(N) where N is the number of keys to retrieve.",
        summary: "Get the values of all the given keys",
        fanout: Fanout::Gather,
        examples: &["MGET k k2 nokey"],
        run: mget,
    },
    CommandSpec {
        name: "strlen",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::String,
        acl: &[],
        since: "2.2.0",
        complexity: "O(1)",
        summary: "Get the length of the value stored in a key",
        fanout: Fanout::Whole,
        examples: &["STRLEN k"],
        run: strlen,
    },
    CommandSpec {
        name: "getrange",
        arity: 4,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::String,
        acl: &[],
        since: "2.4.0",
        complexity: "O(N) where N is the length of the returned string. The complexity is ultimately determined by the returned length, but because creating a substring from an existing string is very cheap, it can be considered O(1) for small strings.",
        summary: "Get a substring of the string stored at a key",
        fanout: Fanout::Whole,
        examples: &["GETRANGE k 0 -1"],
        run: getrange,
    },
    CommandSpec {
        name: "substr",
        arity: 4,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::String,
        acl: &[],
        since: "1.0.0",
        complexity: "O(N) where N is the length of the returned string. The complexity is ultimately determined by the returned length, but because creating a substring from an existing string is very cheap, it can be considered O(1) for small strings.",
        summary: "Get a substring of the string stored at a key",
        fanout: Fanout::Whole,
        examples: &["SUBSTR k 1 2"],
        run: getrange,
    },
];

fn get(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (entry, reply) = cx.read_string(key)?;
    match entry {
        Some(entry) => reply_value(reply, entry.value()),
        None => reply.null(),
    }
    Ok(())
}

fn mget(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    cx.reply.array(args.len() - 1);
    for key in args.iter_from(1) {
        let key = cx.key(key);
        let (entry, reply) = cx.read(key)?;
        match entry {
            Some(entry) if entry.is_string() => reply_value(reply, entry.value()),
            Some(_) | None => reply.null(),
        }
    }
    Ok(())
}

fn strlen(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (entry, reply) = cx.read_string(key)?;
    reply.int(entry.map_or(0, |entry| entry.value().len() as i64));
    Ok(())
}

fn getrange(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let start = canonical_int(args.get(2)).ok_or(CommandError::NOT_AN_INTEGER)?;
    let end = canonical_int(args.get(3)).ok_or(CommandError::NOT_AN_INTEGER)?;
    let key = cx.key(args.get(1));
    let (entry, reply) = cx.read_string(key)?;
    let Some(entry) = entry else {
        reply.bulk(b"");
        return Ok(());
    };
    let mut digits = itoa::Buffer::new();
    let value = entry.value();
    let text = value.bytes(&mut digits);
    reply.bulk(&text[range(start, end, text.len())]);
    Ok(())
}

/// The bytes from `start` to `end`, both included, both counted from the end when negative.
fn range(start: i64, end: i64, len: usize) -> Range<usize> {
    // Both before the beginning and the wrong way round: empty, although both would be moved
    // to the first byte.
    if start < 0 && end < 0 && start > end {
        return 0..0;
    }
    let len = len as i64;
    let from_end = |at: i64| if at < 0 { at.saturating_add(len).max(0) } else { at };
    let (start, end) = (from_end(start), from_end(end).min(len - 1));
    if start > end { 0..0 } else { start as usize..end as usize + 1 }
}
