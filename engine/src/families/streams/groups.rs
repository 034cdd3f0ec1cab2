//! XGROUP: groups and their consumers are made and removed.

use super::arguments::{id, integer, no_group_of, unknown_sub, wrong_sub};
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    effect::Effect,
    keyspace::Key,
    types::stream::{Group as StreamGroup, Id, Stream},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "xgroup",
        arity: -2,
        flags: Flags(0),
        keys: KeySpec::None,
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "Depends on subcommand.",
        summary: "A container for consumer groups commands",
        fanout: Fanout::Whole,
        examples: &["XGROUP HELP"],
        run: unknown,
    },
    CommandSpec {
        name: "xgroup|create",
        arity: -5,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::Range { first: 2, last: 2, step: 1 },
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Create a consumer group.",
        fanout: Fanout::Whole,
        examples: &["XGROUP CREATE x g2 $ ENTRIESREAD 2"],
        run: create,
    },
    CommandSpec {
        name: "xgroup|setid",
        arity: -5,
        flags: Flags::WRITE,
        keys: KeySpec::Range { first: 2, last: 2, step: 1 },
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Set a consumer group to an arbitrary last delivered ID value.",
        fanout: Fanout::Whole,
        examples: &["XGROUP SETID x g 0"],
        run: setid,
    },
    CommandSpec {
        name: "xgroup|destroy",
        arity: 4,
        flags: Flags::WRITE,
        keys: KeySpec::Range { first: 2, last: 2, step: 1 },
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "O(N) where N is the number of entries in the group's pending entries list (PEL).",
        summary: "Destroy a consumer group.",
        fanout: Fanout::Whole,
        examples: &["XGROUP DESTROY x g"],
        run: destroy,
    },
    CommandSpec {
        name: "xgroup|createconsumer",
        arity: 5,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::Range { first: 2, last: 2, step: 1 },
        group: Group::Stream,
        acl: &[],
        since: "6.2.0",
        complexity: "O(1)",
        summary: "Create a consumer in a consumer group.",
        fanout: Fanout::Whole,
        examples: &["XGROUP CREATECONSUMER x g other"],
        run: createconsumer,
    },
    CommandSpec {
        name: "xgroup|delconsumer",
        arity: 5,
        flags: Flags::WRITE,
        keys: KeySpec::Range { first: 2, last: 2, step: 1 },
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Delete a consumer from a consumer group.",
        fanout: Fanout::Whole,
        examples: &["XGROUP DELCONSUMER x g c"],
        run: delconsumer,
    },
    CommandSpec {
        name: "xgroup|help",
        arity: 2,
        flags: Flags::LOADING.with(Flags::STALE),
        keys: KeySpec::None,
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Show helpful text about the different subcommands",
        fanout: Fanout::Whole,
        examples: &["XGROUP HELP"],
        run: help,
    },
];

const HELP: &[&str] = &[
    "XGROUP <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CREATE <key> <groupname> <id|$> [option]",
    "    Create a new consumer group. Options are:",
    "    * MKSTREAM",
    "      Create the empty stream if it does not exist.",
    "    * ENTRIESREAD entries_read",
    "      Set the group's entries_read counter (internal use).",
    "CREATECONSUMER <key> <groupname> <consumer>",
    "    Create a new consumer in the specified group.",
    "DELCONSUMER <key> <groupname> <consumer>",
    "    Remove the specified consumer.",
    "DESTROY <key> <groupname>",
    "    Remove the specified group.",
    "SETID <key> <groupname> <id|$> [ENTRIESREAD entries_read]",
    "    Set the current group ID and entries_read counter.",
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

/// MKSTREAM and ENTRIESREAD.
fn options(args: Args<'_>, creates: bool) -> Result<(bool, Option<i64>), CommandError> {
    let (mut make, mut read) = (false, None);
    let mut at = 5;
    while let Some(option) = args.try_get(at) {
        if creates && option.eq_ignore_ascii_case(b"mkstream") {
            make = true;
        } else if option.eq_ignore_ascii_case(b"entriesread") && at + 1 < args.len() {
            at += 1;
            let given = integer(args.get(at))?;
            if given < -1 {
                return Err(CommandError::new("ERR value for ENTRIESREAD must be positive or -1"));
            }
            read = Some(given).filter(|&read| read >= 0);
        } else {
            return Err(wrong_sub(args));
        }
        at += 1;
    }
    Ok((make, read))
}

/// The stream's last id, which must be there unless it may be made.
fn last_id(cx: &mut Ctx<'_>, key: Key<'_>, make: bool) -> Result<Option<Id>, CommandError> {
    let last = cx.view::<&Stream>(key)?.0.map(Stream::last_id);
    if last.is_none() && !make {
        return Err(CommandError::new(
            "ERR The XGROUP subcommand requires the key to exist. Note that for CREATE you may want to use the MKSTREAM option to create an empty stream automatically.",
        ));
    }
    Ok(last)
}

/// As [`last_id`], and the group must be there too.
fn last_id_of_group(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<Id, CommandError> {
    let key = cx.key(args.get(2));
    let last = last_id(cx, key, false)?;
    let stream = cx.seen::<&Stream>(key);
    if stream.is_none_or(|stream| stream.group(args.get(3)).is_none()) {
        return Err(no_group_of(args.get(2), args.get(3)));
    }
    Ok(last.unwrap_or_default())
}

fn create(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (make, read) = options(args, true)?;
    let key = cx.key(args.get(2));
    let last = last_id(cx, key, make)?;
    if args.len() > 8 {
        return Err(wrong_sub(args));
    }
    let from = match args.get(4) {
        b"$" => last.unwrap_or_default(),
        text => id(text)?,
    };
    cx.admit(args.bytes())?;
    let (name, group) = (args.get(3), StreamGroup::new(from, read));
    let added = cx.edit(key, make, |stream: &mut Stream| stream.add_group(name, group))?;
    if added != Some(true) {
        return Err(CommandError::new("BUSYGROUP Consumer Group name already exists"));
    }
    let (from, read) = (from.text(), read.unwrap_or(-1).to_string());
    let parts: [&[u8]; 8] = [
        b"XGROUP",
        b"CREATE",
        key.bytes,
        name,
        from.as_bytes(),
        b"MKSTREAM",
        b"ENTRIESREAD",
        read.as_bytes(),
    ];
    match last {
        Some(_) => cx.effect_aside(key.hash, Effect::Parts { parts: &parts }),
        None => cx.effect(key.hash, Effect::Parts { parts: &parts }),
    }
    cx.reply.ok();
    Ok(())
}

fn setid(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (_, read) = options(args, false)?;
    let last = last_id_of_group(cx, args)?;
    if args.len() != 5 && args.len() != 7 {
        return Err(wrong_sub(args));
    }
    let to = match args.get(4) {
        b"$" => last,
        text => Id::parse_bound(text, 0).ok_or(super::arguments::INVALID_ID)?,
    };
    cx.admit(args.bytes())?;
    let (key, name) = (cx.key(args.get(2)), args.get(3));
    cx.edit(key, false, |stream: &mut Stream| {
        stream.edit_group(name, |_, group| {
            (group.last_id, group.entries_read) = (to, read);
        })
    })?;
    super::log::Place { key, group: name, consumer: b"" }.log_position(cx, to, read);
    cx.reply.ok();
    Ok(())
}

fn destroy(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(2));
    last_id(cx, key, false)?;
    let removed = cx.edit(key, false, |stream: &mut Stream| stream.remove_group(args.get(3)))?;
    if removed == Some(true) {
        cx.signal(key);
        cx.effect_aside(key.hash, Effect::Verbatim { args });
    }
    cx.reply.int(i64::from(removed == Some(true)));
    Ok(())
}

fn createconsumer(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    last_id_of_group(cx, args)?;
    let (key, now_ms) = (cx.key(args.get(2)), cx.now_ms);
    let created = cx.edit(key, false, |stream: &mut Stream| {
        stream.edit_group(args.get(3), |_, group| {
            // One that is there is not seen by this.
            group.find(args.get(4)).is_none() && group.seen(args.get(4), now_ms).1
        })
    })?;
    let created = created.flatten() == Some(true);
    if created {
        cx.effect_aside(key.hash, Effect::Verbatim { args });
    }
    cx.reply.int(i64::from(created));
    Ok(())
}

fn delconsumer(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    last_id_of_group(cx, args)?;
    let key = cx.key(args.get(2));
    let removed = cx.edit(key, false, |stream: &mut Stream| {
        stream.edit_group(args.get(3), |_, group| group.remove_consumer(args.get(4)))
    })?;
    let removed = removed.flatten().flatten();
    if removed.is_some() {
        cx.effect_aside(key.hash, Effect::Verbatim { args });
    }
    cx.reply.int(removed.unwrap_or(0) as i64);
    Ok(())
}
