//! Commands that take elements from lists, and wait when there are none.

use super::{
    parse_end,
    transfer::{Wish, pop_some, transfer},
};
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec, Wanted},
    effect::Effect,
    families::timeout,
    keyspace::Key,
    types::{List, ListRef, ValueType, list::End},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "blpop",
        arity: -3,
        flags: Flags::WRITE.with(Flags::NOSCRIPT).with(Flags::BLOCKING),
        keys: KeySpec::Range { first: 1, last: -2, step: 1 },
        group: Group::List,
        acl: &["@blocking"],
        since: "2.0.0",
        complexity: "O(N) where N is the number of provided keys.",
        summary: "Remove and get the first element in a list, or block until one is available",
        fanout: Fanout::FirstOf,
        examples: &["BLPOP l 0", "BLPOP nokey l 0.5"],
        run: blpop,
    },
    CommandSpec {
        name: "brpop",
        arity: -3,
        flags: Flags::WRITE.with(Flags::NOSCRIPT).with(Flags::BLOCKING),
        keys: KeySpec::Range { first: 1, last: -2, step: 1 },
        group: Group::List,
        acl: &["@blocking"],
        since: "2.0.0",
        complexity: "O(N) where N is the number of provided keys.",
        summary: "Remove and get the last element in a list, or block until one is available",
        fanout: Fanout::FirstOf,
        examples: &["BRPOP l 0"],
        run: brpop,
    },
    CommandSpec {
        name: "blmpop",
        arity: -5,
        flags: Flags::WRITE.with(Flags::BLOCKING).with(Flags::MOVABLEKEYS),
        keys: KeySpec::Counted { count: 2 },
        group: Group::List,
        acl: &["@blocking"],
        since: "7.0.0",
        complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
        summary: "Pop elements from a list, or block until one is available",
        fanout: Fanout::FirstOf,
        examples: &["BLMPOP 0 2 nokey l LEFT", "BLMPOP 0 1 l RIGHT COUNT 2"],
        run: blmpop,
    },
    CommandSpec {
        name: "blmove",
        arity: 6,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::NOSCRIPT).with(Flags::BLOCKING),
        keys: KeySpec::Range { first: 1, last: 2, step: 1 },
        group: Group::List,
        acl: &["@blocking"],
        since: "6.2.0",
        complexity: "O(1)",
        summary: "Pop an element from a list, push it to another list and return it; or block until one is available",
        fanout: Fanout::TwoKeys,
        examples: &["BLMOVE l l2 LEFT RIGHT 0"],
        run: blmove,
    },
    CommandSpec {
        name: "brpoplpush",
        arity: 4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::NOSCRIPT).with(Flags::BLOCKING),
        keys: KeySpec::Range { first: 1, last: 2, step: 1 },
        group: Group::List,
        acl: &["@blocking"],
        since: "2.2.0",
        complexity: "O(1)",
        summary: "Pop an element from a list, push it to another list and return it; or block until one is available",
        fanout: Fanout::TwoKeys,
        examples: &["BRPOPLPUSH l l2 0"],
        run: brpoplpush,
    },
];

/// True when the key holds a list, which then is the client's.
fn is_there(cx: &mut Ctx<'_>, key: Key<'_>) -> Result<bool, CommandError> {
    let found = cx.view::<ListRef<'_>>(key)?.0.is_some();
    if found {
        cx.claim()?;
    }
    Ok(found)
}

fn pop(cx: &mut Ctx<'_>, args: Args<'_>, end: End) -> Result<(), CommandError> {
    let last = args.len() - 1;
    let timeout_ms = timeout::seconds(args.get(last))?;
    for at in 1..last {
        let key = cx.key(args.get(at));
        if !is_there(cx, key)? {
            continue;
        }
        cx.edit_replying(key, false, |list: &mut List, reply| {
            reply.array(2);
            reply.bulk(key.bytes);
            list.as_ref().walk(0, end, |element| {
                reply.item(element);
                false
            });
            list.drop_from(end, 1);
        })?;
        let name: &[u8] = if end == End::Left { b"LPOP" } else { b"RPOP" };
        cx.effect(key.hash, Effect::Parts { parts: &[name, key.bytes] });
        return Ok(());
    }
    if !cx.block(Wanted::new(ValueType::List, timeout_ms)) {
        cx.reply.null_array();
    }
    Ok(())
}

fn blpop(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    pop(cx, args, End::Left)
}

fn brpop(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    pop(cx, args, End::Right)
}

fn blmpop(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let wish = Wish::parse(args, 2)?;
    let timeout_ms = timeout::seconds(args.get(1))?;
    for at in wish.keys {
        let key = cx.key(args.get(at));
        if is_there(cx, key)? {
            pop_some(cx, key, wish.end, wish.count)?;
            return Ok(());
        }
    }
    if !cx.block(Wanted::new(ValueType::List, timeout_ms)) {
        cx.reply.null_array();
    }
    Ok(())
}

/// Waits for the source; a target of another type is an error once there is something to move,
/// and the element stays.
fn wait_and_move(
    cx: &mut Ctx<'_>,
    from: (Key<'_>, End),
    to: (Key<'_>, End),
    timeout_ms: u64,
) -> Result<(), CommandError> {
    if is_there(cx, from.0)? {
        return transfer(cx, from, to);
    }
    let wanted = Wanted::new(ValueType::List, timeout_ms);
    if !cx.block(Wanted { first_key_only: true, ..wanted }) {
        cx.reply.null();
    }
    Ok(())
}

fn blmove(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (from_end, to_end) = (parse_end(args.get(3))?, parse_end(args.get(4))?);
    let timeout_ms = timeout::seconds(args.get(5))?;
    let (from, to) = (cx.key(args.get(1)), cx.key(args.get(2)));
    wait_and_move(cx, (from, from_end), (to, to_end), timeout_ms)
}

fn brpoplpush(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let timeout_ms = timeout::seconds(args.get(3))?;
    let (from, to) = (cx.key(args.get(1)), cx.key(args.get(2)));
    wait_and_move(cx, (from, End::Right), (to, End::Left), timeout_ms)
}
