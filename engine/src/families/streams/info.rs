//! XINFO: what a stream, its groups and their consumers are like.

use super::arguments::{
    all_if_zero, integer, no_group_of, unknown_sub, write_entry, write_id, write_range, wrong_sub,
};
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec, Reply},
    types::stream::{Consumer, Group as StreamGroup, Id, Stream},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "xinfo",
        arity: -2,
        flags: Flags(0),
        keys: KeySpec::None,
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "Depends on subcommand.",
        summary: "A container for stream introspection commands",
        fanout: Fanout::Whole,
        examples: &["XINFO HELP"],
        run: unknown,
    },
    CommandSpec {
        name: "xinfo|stream",
        arity: -3,
        flags: Flags::READONLY,
        keys: KeySpec::Range { first: 2, last: 2, step: 1 },
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Get information about a stream",
        fanout: Fanout::Whole,
        examples: &["XINFO STREAM x", "XINFO STREAM x FULL"],
        run: stream,
    },
    CommandSpec {
        name: "xinfo|groups",
        arity: 3,
        flags: Flags::READONLY,
        keys: KeySpec::Range { first: 2, last: 2, step: 1 },
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "O(1)",
        summary: "List the consumer groups of a stream",
        fanout: Fanout::Whole,
        examples: &["XINFO GROUPS x"],
        run: groups,
    },
    CommandSpec {
        name: "xinfo|consumers",
        arity: 4,
        flags: Flags::READONLY,
        keys: KeySpec::Range { first: 2, last: 2, step: 1 },
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "O(1)",
        summary: "List the consumers in a consumer group",
        fanout: Fanout::Whole,
        examples: &["XINFO CONSUMERS x g"],
        run: consumers,
    },
    CommandSpec {
        name: "xinfo|help",
        arity: 2,
        flags: Flags::LOADING.with(Flags::STALE),
        keys: KeySpec::None,
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Show helpful text about the different subcommands",
        fanout: Fanout::Whole,
        examples: &["XINFO HELP"],
        run: help,
    },
];

const HELP: &[&str] = &[
    "XINFO <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CONSUMERS <key> <groupname>",
    "    Show consumers of <groupname>.",
    "GROUPS <key>",
    "    Show the stream consumer groups.",
    "STREAM <key> [FULL [COUNT <count>]",
    "    Show information about the stream.",
    "HELP",
    "    Prints this help.",
];

fn unknown(_cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    Err(unknown_sub(args))
}

fn help(cx: &mut Ctx<'_>, _args: Args<'_>) -> Result<(), CommandError> {
    cx.reply.array(HELP.len());
    HELP.iter().for_each(|line| cx.reply.simple(line));
    Ok(())
}

fn consumers(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (key, now_ms) = (cx.key(args.get(2)), cx.now_ms);
    let (stream, reply) = cx.view::<&Stream>(key)?;
    let stream = stream.ok_or(CommandError::NO_SUCH_KEY)?;
    let group = stream.group(args.get(3)).ok_or_else(|| no_group_of(args.get(2), args.get(3)))?;
    reply.array(group.consumers_len());
    for consumer in group.consumers() {
        reply.map(3);
        reply.bulk(b"name");
        reply.bulk(consumer.name());
        reply.bulk(b"pending");
        reply.int(consumer.pending_len() as i64);
        reply.bulk(b"idle");
        reply.int(now_ms.saturating_sub(consumer.seen_ms).max(0));
    }
    Ok(())
}

fn groups(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(2));
    let (stream, reply) = cx.view::<&Stream>(key)?;
    let stream = stream.ok_or(CommandError::NO_SUCH_KEY)?;
    reply.array(stream.groups_len());
    for (name, group) in stream.groups() {
        reply.map(6);
        reply.bulk(b"name");
        reply.bulk(name);
        reply.bulk(b"consumers");
        reply.int(group.consumers_len() as i64);
        reply.bulk(b"pending");
        reply.int(group.pending_len() as i64);
        write_position(stream, group, reply);
    }
    Ok(())
}

fn write_position(stream: &Stream, group: &StreamGroup, reply: &mut Reply<'_>) {
    reply.bulk(b"last-delivered-id");
    write_id(reply, group.last_id);
    for (name, value) in
        [(&b"entries-read"[..], group.entries_read), (&b"lag"[..], stream.lag(group))]
    {
        reply.bulk(name);
        match value {
            Some(n) => reply.int(n),
            None => reply.null(),
        }
    }
}

/// None: the short form; else most entries of each kind, 0: all.
fn full(args: Args<'_>) -> Result<Option<u64>, CommandError> {
    if args.len() == 3 {
        return Ok(None);
    }
    let is = |at: usize, word: &[u8]| args.get(at).eq_ignore_ascii_case(word);
    match args.len() {
        4 if is(3, b"full") => Ok(Some(10)),
        6 if is(3, b"full") && is(4, b"count") => {
            let count = integer(args.get(5))?;
            Ok(Some(if count < 0 { 10 } else { all_if_zero(count) }))
        }
        _ => Err(wrong_sub(args)),
    }
}

fn stream(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(2));
    let (stream, reply) = cx.view::<&Stream>(key)?;
    let stream = stream.ok_or(CommandError::NO_SUCH_KEY)?;
    let full = full(args)?;
    reply.map(if full.is_some() { 9 } else { 10 });
    let blocks = stream.blocks_len() as i64;
    for (name, figure) in [
        (&b"length"[..], stream.length() as i64),
        (b"radix-tree-keys", blocks),
        // A tree of blocks has a root besides.
        (b"radix-tree-nodes", blocks + 1),
    ] {
        reply.bulk(name);
        reply.int(figure);
    }
    reply.bulk(b"last-generated-id");
    write_id(reply, stream.last_id());
    reply.bulk(b"max-deleted-entry-id");
    write_id(reply, stream.max_deleted_id());
    reply.bulk(b"entries-added");
    reply.int(stream.entries_added() as i64);
    reply.bulk(b"recorded-first-entry-id");
    write_id(reply, stream.first_id());
    match full {
        None => write_ends(stream, reply),
        Some(most) => {
            reply.bulk(b"entries");
            write_range(reply, stream, Id::MIN, Id::MAX, most);
            reply.bulk(b"groups");
            reply.array(stream.groups_len());
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            stream.groups().for_each(|(name, group)| {
                write_group(stream, name, group, most, reply);
            });
        }
    }
    Ok(())
}

fn write_ends(stream: &Stream, reply: &mut Reply<'_>) {
    reply.bulk(b"groups");
    reply.int(stream.groups_len() as i64);
    let first = stream.upwards(Id::MIN, Id::MAX).next();
    let last = stream.downwards(Id::MIN, Id::MAX).next();
    for (name, entry) in [(&b"first-entry"[..], first), (&b"last-entry"[..], last)] {
        reply.bulk(name);
        match entry {
            Some(entry) => write_entry(reply, entry),
            None => reply.null(),
        }
    }
}

fn write_group(
    stream: &Stream,
    name: &[u8],
    group: &StreamGroup,
    most: usize,
    reply: &mut Reply<'_>,
) {
    reply.map(7);
    reply.bulk(b"name");
    reply.bulk(name);
    write_position(stream, group, reply);
    reply.bulk(b"pel-count");
    reply.int(group.pending_len() as i64);
    reply.bulk(b"pending");
    reply.array(group.pending_len().min(most));
    for (id, pending) in group.pending_from(Id::MIN).take(most) {
        reply.array(4);
        write_id(reply, id);
        reply.bulk(group.owner(pending));
        reply.int(pending.delivered_ms);
        reply.int(pending.deliveries as i64);
    }
    reply.bulk(b"consumers");
    reply.array(group.consumers_len());
    group.consumers().for_each(|consumer| write_consumer(group, consumer, most, reply));
}

fn write_consumer(group: &StreamGroup, consumer: &Consumer, most: usize, reply: &mut Reply<'_>) {
    reply.map(4);
    reply.bulk(b"name");
    reply.bulk(consumer.name());
    reply.bulk(b"seen-time");
    reply.int(consumer.seen_ms);
    reply.bulk(b"pel-count");
    reply.int(consumer.pending_len() as i64);
    reply.bulk(b"pending");
    reply.array(consumer.pending_len().min(most));
    for id in consumer.pending_from(Id::MIN).take(most) {
        let (delivered_ms, deliveries) =
            group.pending(id).map_or((0, 0), |p| (p.delivered_ms, p.deliveries as i64));
        reply.array(3);
        write_id(reply, id);
        reply.int(delivered_ms);
        reply.int(deliveries);
    }
}
