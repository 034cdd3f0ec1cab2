//! Commands that add and remove elements at the ends of one list.

use super::parse_from;
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec, Reply},
    effect::Effect,
    types::{List, ListRef, list::End},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "lpush",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::List,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
        summary: "Prepend one or multiple elements to a list",
        fanout: Fanout::Whole,
        examples: &["LPUSH l x", "LPUSH nokey 1 2"],
        run: lpush,
    },
    CommandSpec {
        name: "rpush",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::List,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
        summary: "Append one or multiple elements to a list",
        fanout: Fanout::Whole,
        examples: &["RPUSH l x", "RPUSH nokey 1 2"],
        run: rpush,
    },
    CommandSpec {
        name: "lpushx",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::List,
        acl: &[],
        since: "2.2.0",
        complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
        summary: "Prepend an element to a list, only if the list exists",
        fanout: Fanout::Whole,
        examples: &["LPUSHX l x y", "LPUSHX nokey x"],
        run: lpushx,
    },
    CommandSpec {
        name: "rpushx",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::List,
        acl: &[],
        since: "2.2.0",
        complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
        summary: "Append an element to a list, only if the list exists",
        fanout: Fanout::Whole,
        examples: &["RPUSHX l x y", "RPUSHX nokey x"],
        run: rpushx,
    },
    CommandSpec {
        name: "lpop",
        arity: -2,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::List,
        acl: &[],
        since: "1.0.0",
        complexity: "O(N) where N is the number of elements returned",
        summary: "Remove and get the first elements in a list",
        fanout: Fanout::Whole,
        examples: &["LPOP l", "LPOP l 2", "LPOP nokey"],
        run: lpop,
    },
    CommandSpec {
        name: "rpop",
        arity: -2,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::List,
        acl: &[],
        since: "1.0.0",
        complexity: "O(N) where N is the number of elements returned",
        summary: "Remove and get the last elements in a list",
        fanout: Fanout::Whole,
        examples: &["RPOP l", "RPOP l 9"],
        run: rpop,
    },
];

fn push(cx: &mut Ctx<'_>, args: Args<'_>, end: End, create: bool) -> Result<(), CommandError> {
    let (key, limits) = (cx.key(args.get(1)), cx.limits);
    let len = cx.edit(key, create, |list: &mut List| {
        args.iter_from(2).for_each(|element| list.push(end, element, limits));
        list.as_ref().len()
    })?;
    if len.is_some() {
        cx.effect(key.hash, Effect::Verbatim { args });
    }
    cx.reply.int(len.unwrap_or(0) as i64);
    Ok(())
}

fn lpush(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    push(cx, args, End::Left, true)
}

fn rpush(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    push(cx, args, End::Right, true)
}

fn lpushx(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    push(cx, args, End::Left, false)
}

fn rpushx(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    push(cx, args, End::Right, false)
}

/// Replies with `count` elements from an end on.
pub(super) fn reply_elements(
    list: ListRef<'_>,
    end: End,
    from: usize,
    count: usize,
    reply: &mut Reply<'_>,
) {
    reply.array(count);
    let mut left = count;
    if left > 0 {
        list.walk(from, end, |element| {
            reply.item(element);
            left -= 1;
            left > 0
        });
    }
}

fn pop(cx: &mut Ctx<'_>, args: Args<'_>, end: End) -> Result<(), CommandError> {
    if args.len() > 3 {
        let name = if end == End::Left { "lpop" } else { "rpop" };
        return Err(CommandError::arity(name));
    }
    let count = match args.try_get(2) {
        None => None,
        Some(text) => Some(parse_from(text, 0, "ERR value is out of range, must be positive")?),
    };
    let key = cx.key(args.get(1));
    let popped = cx.edit_replying(key, false, |list: &mut List, reply| {
        let view = list.as_ref();
        let popped = count.map_or(1, |count| view.len().min(count as usize));
        if count.is_some() {
            reply_elements(view, end, 0, popped, reply);
        } else {
            view.walk(0, end, |element| {
                reply.item(element);
                false
            });
        }
        list.drop_from(end, popped);
        popped
    })?;
    match popped {
        None if count.is_some() => cx.reply.null_array(),
        None => cx.reply.null(),
        Some(0) => {}
        Some(_) => cx.effect(key.hash, Effect::Verbatim { args }),
    }
    Ok(())
}

fn lpop(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    pop(cx, args, End::Left)
}

fn rpop(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    pop(cx, args, End::Right)
}
