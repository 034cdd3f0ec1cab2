//! What a key's value is like inside: OBJECT, MEMORY USAGE.

use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec, Reply},
    keyspace::{Entry, Tracking, canonical_int},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "object",
        arity: -2,
        flags: Flags(0),
        keys: KeySpec::None,
        group: Group::Generic,
        acl: &[],
        since: "2.2.3",
        complexity: "Depends on subcommand.",
        summary: "A container for object introspection commands",
        fanout: Fanout::Whole,
        examples: &["OBJECT HELP"],
        run: unknown_object,
    },
    CommandSpec {
        name: "object|encoding",
        arity: 3,
        flags: Flags::READONLY,
        keys: KeySpec::Range { first: 2, last: 2, step: 1 },
        group: Group::Generic,
        acl: &[],
        since: "2.2.3",
        complexity: "O(1)",
        summary: "Inspect the internal encoding of a Redis object",
        fanout: Fanout::Whole,
        examples: &["OBJECT ENCODING k"],
        run: encoding,
    },
    CommandSpec {
        name: "object|refcount",
        arity: 3,
        flags: Flags::READONLY,
        keys: KeySpec::Range { first: 2, last: 2, step: 1 },
        group: Group::Generic,
        acl: &[],
        since: "2.2.3",
        complexity: "O(1)",
        summary: "Get the number of references to the value of the key",
        fanout: Fanout::Whole,
        examples: &["OBJECT REFCOUNT k"],
        run: refcount,
    },
    CommandSpec {
        name: "object|idletime",
        arity: 3,
        flags: Flags::READONLY,
        keys: KeySpec::Range { first: 2, last: 2, step: 1 },
        group: Group::Generic,
        acl: &[],
        since: "2.2.3",
        complexity: "O(1)",
        summary: "Get the time since a Redis object was last accessed",
        fanout: Fanout::Whole,
        examples: &["OBJECT IDLETIME k"],
        run: idletime,
    },
    CommandSpec {
        name: "object|freq",
        arity: 3,
        flags: Flags::READONLY,
        keys: KeySpec::Range { first: 2, last: 2, step: 1 },
        group: Group::Generic,
        acl: &[],
        since: "4.0.0",
        complexity: "O(1)",
        summary: "Get the logarithmic access frequency counter of a Redis object",
        fanout: Fanout::Whole,
        examples: &["OBJECT FREQ k"],
        run: freq,
    },
    CommandSpec {
        name: "object|help",
        arity: 2,
        flags: Flags::LOADING.with(Flags::STALE),
        keys: KeySpec::None,
        group: Group::Generic,
        acl: &[],
        since: "6.2.0",
        complexity: "O(1)",
        summary: "Show helpful text about the different subcommands",
        fanout: Fanout::Whole,
        examples: &["OBJECT HELP"],
        run: object_help,
    },
    CommandSpec {
        name: "memory",
        arity: -2,
        flags: Flags(0),
        keys: KeySpec::None,
        group: Group::Server,
        acl: &[],
        since: "4.0.0",
        complexity: "Depends on subcommand.",
        summary: "A container for memory diagnostics commands",
        fanout: Fanout::Whole,
        examples: &["MEMORY HELP"],
        run: unknown_memory,
    },
    CommandSpec {
        name: "memory|usage",
        arity: -3,
        flags: Flags::READONLY,
        keys: KeySpec::Range { first: 2, last: 2, step: 1 },
        group: Group::Server,
        acl: &[],
        since: "4.0.0",
        complexity: "O(N) where N is the number of samples.",
        summary: "Estimate the memory usage of a key",
        fanout: Fanout::Whole,
        examples: &["MEMORY USAGE k", "MEMORY USAGE k SAMPLES 0"],
        run: usage,
    },
    CommandSpec {
        name: "memory|help",
        arity: 2,
        flags: Flags::LOADING.with(Flags::STALE),
        keys: KeySpec::None,
        group: Group::Server,
        acl: &[],
        since: "4.0.0",
        complexity: "O(1)",
        summary: "Show helpful text about the different subcommands",
        fanout: Fanout::Whole,
        examples: &["MEMORY HELP"],
        run: memory_help,
    },
];

const OBJECT_HELP: &[&str] = &[
    "OBJECT <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "ENCODING <key>",
    "    Return the kind of internal representation used in order to store the value",
    "    associated with a <key>.",
    "FREQ <key>",
    "    Return the access frequency index of the <key>. The returned integer is",
    "    proportional to the logarithm of the recent access frequency of the key.",
    "IDLETIME <key>",
    "    Return the idle time of the <key>, that is the approximated number of",
    "    seconds elapsed since the last access to the key.",
    "REFCOUNT <key>",
    "    Return the number of references of the value associated with the specified",
    "    <key>.",
    "HELP",
    "    Prints this help.",
];

const MEMORY_HELP: &[&str] = &[
    "MEMORY <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "DOCTOR",
    "    Return memory problems reports.",
    "MALLOC-STATS",
    "    Return internal statistics report from the memory allocator.",
    "PURGE",
    "    Attempt to purge dirty pages for reclamation by the allocator.",
    "STATS",
    "    Return information about the memory usage of the server.",
    "USAGE <key> [SAMPLES <count>]",
    "    Return memory in bytes used by <key> and its value. Nested values are",
    "    sampled up to <count> times (default: 5, 0 means sample all).",
    "HELP",
    "    Prints this help.",
];

fn unknown(args: Args<'_>, container: &str) -> CommandError {
    let sub = args.try_get(1).unwrap_or_default();
    CommandError::unknown_subcommand(sub, container)
}

fn unknown_object(_cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    Err(unknown(args, "OBJECT"))
}

fn unknown_memory(_cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    Err(unknown(args, "MEMORY"))
}

fn object_help(cx: &mut Ctx<'_>, _args: Args<'_>) -> Result<(), CommandError> {
    help(&mut cx.reply, OBJECT_HELP)
}

fn memory_help(cx: &mut Ctx<'_>, _args: Args<'_>) -> Result<(), CommandError> {
    help(&mut cx.reply, MEMORY_HELP)
}

fn help(reply: &mut Reply<'_>, lines: &[&str]) -> Result<(), CommandError> {
    reply.array(lines.len());
    lines.iter().for_each(|line| reply.simple(line));
    Ok(())
}

/// Looks the key of an OBJECT sub-command up; null when there is none.
fn inspect(
    cx: &mut Ctx<'_>,
    args: Args<'_>,
    show: impl Fn(&Entry<'_>, &mut Reply<'_>) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let key = cx.key(args.get(2));
    match cx.peek(key)? {
        (Some(entry), reply) => show(&entry, reply),
        (None, reply) => {
            reply.null();
            Ok(())
        }
    }
}

fn encoding(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    inspect(cx, args, |entry, reply| {
        reply.bulk(entry.encoding().as_bytes());
        Ok(())
    })
}

fn refcount(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    inspect(cx, args, |entry, reply| {
        reply.int(entry.content().refcount());
        Ok(())
    })
}

fn idletime(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let clock = cx.keyspace.clock().clone();
    inspect(cx, args, |entry, reply| {
        if clock.tracking() != Tracking::Time {
            return Err(CommandError::new(
                "ERR An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
            ));
        }
        reply.int(i64::from(clock.idle_seconds(entry.access())));
        Ok(())
    })
}

fn freq(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let clock = cx.keyspace.clock().clone();
    inspect(cx, args, |entry, reply| {
        if clock.tracking() == Tracking::Time {
            return Err(CommandError::new(
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when switching between policies at runtime LRU and LFU data will take some time to adjust.",
            ));
        }
        reply.int(i64::from(clock.frequency(entry.access())));
        Ok(())
    })
}

/// Every value knows its bytes: the number of samples is checked and does not matter.
fn usage(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    for at in (3..args.len()).step_by(2) {
        let samples = args.try_get(at + 1).ok_or(CommandError::SYNTAX)?;
        if !args.get(at).eq_ignore_ascii_case(b"samples") {
            return Err(CommandError::SYNTAX);
        }
        if canonical_int(samples).ok_or(CommandError::NOT_AN_INTEGER)? < 0 {
            return Err(CommandError::SYNTAX);
        }
    }
    inspect(cx, args, |entry, reply| {
        reply.int(entry.memory_share() as i64);
        Ok(())
    })
}
