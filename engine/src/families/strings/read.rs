//! Commands that read strings and leave them alone.

use super::reply_value;
use crate::command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec};

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
];

fn get(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (entry, reply) = cx.read(key)?;
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
            Some(entry) => reply_value(reply, entry.value()),
            None => reply.null(),
        }
    }
    Ok(())
}
