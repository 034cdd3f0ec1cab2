//! Keys as such: whether they exist, and making them not exist.

use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    effect::Effect,
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "del",
        arity: -2,
        flags: Flags::WRITE,
        keys: KeySpec::ALL,
        group: Group::Generic,
        acl: &[],
        since: "1.0.0",
        complexity: "O(N) where N is the number of keys that will be removed. When a key to remove holds a value other than a string, the individual complexity for this key is O(M) where M is the number of elements in the list, set, sorted set or hash. Removing a single key that holds a string value is O(1).",
        summary: "Delete a key",
        fanout: Fanout::Sum,
        examples: &["DEL k", "DEL k n nokey k2"],
        run: del,
    },
    CommandSpec {
        name: "unlink",
        arity: -2,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ALL,
        group: Group::Generic,
        acl: &[],
        since: "4.0.0",
        complexity: "O(1) for each key removed regardless of its size. Then the command does O(N) work in a different thread in order to reclaim memory, where N is the number of allocations the deleted objects where composed of.",
        summary: "Delete a key asynchronously in another thread. Otherwise it is just as DEL, but non blocking.",
        fanout: Fanout::Sum,
        examples: &["UNLINK k", "UNLINK k n nokey k2"],
        run: unlink,
    },
    CommandSpec {
        name: "exists",
        arity: -2,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ALL,
        group: Group::Generic,
        acl: &[],
        since: "1.0.0",
        complexity: "O(N) where N is the number of keys to check.",
        summary: "Determine if a key exists",
        fanout: Fanout::Sum,
        examples: &["EXISTS k k nokey"],
        run: exists,
    },
    CommandSpec {
        name: "touch",
        arity: -2,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ALL,
        group: Group::Generic,
        acl: &[],
        since: "3.2.1",
        complexity: "O(N) where N is the number of keys that will be touched.",
        summary: "Alters the last access time of a key(s). Returns the number of existing keys specified.",
        fanout: Fanout::Sum,
        examples: &["TOUCH k k nokey"],
        run: touch,
    },
    CommandSpec {
        name: "type",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Generic,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Determine the type stored at key",
        fanout: Fanout::Whole,
        examples: &["TYPE k"],
        run: type_of,
    },
];

fn del(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    remove(cx, args, cx.lazy.user_del)
}

fn unlink(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    remove(cx, args, true)
}

fn remove(cx: &mut Ctx<'_>, args: Args<'_>, lazily: bool) -> Result<(), CommandError> {
    let mut removed = 0;
    for key in args.iter_from(1) {
        let key = cx.key(key);
        if cx.find(key)?.is_some() {
            cx.remove(key, lazily);
            cx.effect(key.hash, Effect::Del { key: key.bytes });
            removed += 1;
        }
    }
    cx.reply.int(removed);
    Ok(())
}

fn exists(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let mut found = 0;
    for key in args.iter_from(1) {
        let key = cx.key(key);
        found += i64::from(cx.peek(key)?.0.is_some());
    }
    cx.reply.int(found);
    Ok(())
}

fn touch(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let mut found = 0;
    for key in args.iter_from(1) {
        let key = cx.key(key);
        found += i64::from(cx.read(key)?.0.is_some());
    }
    cx.reply.int(found);
    Ok(())
}

fn type_of(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (entry, reply) = cx.peek(key)?;
    reply.simple(match entry {
        Some(entry) => entry.kind().name(),
        None => "none",
    });
    Ok(())
}
