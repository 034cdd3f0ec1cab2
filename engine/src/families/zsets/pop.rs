//! Commands that take members off an end of a sorted set; some of them wait when there are none.

use super::range::{begin, reply_member};
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec, Wanted},
    effect::Effect,
    families::timeout,
    keyspace::{Key, canonical_int},
    types::{ValueType, Zset, ZsetRef, packed::Item},
};
/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "zpopmin",
        arity: -2,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "5.0.0",
        complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
        summary: "Remove and return members with the lowest scores in a sorted set",
        fanout: Fanout::Whole,
        examples: &["ZPOPMIN z", "ZPOPMIN z 2"],
        run: zpopmin,
    },
    CommandSpec {
        name: "zpopmax",
        arity: -2,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "5.0.0",
        complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being the number of elements popped.",
        summary: "Remove and return members with the highest scores in a sorted set",
        fanout: Fanout::Whole,
        examples: &["ZPOPMAX z"],
        run: zpopmax,
    },
    CommandSpec {
        name: "zmpop",
        arity: -4,
        flags: Flags::WRITE.with(Flags::MOVABLEKEYS),
        keys: KeySpec::Counted { count: 1 },
        group: Group::SortedSet,
        acl: &[],
        since: "7.0.0",
        complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.",
        summary: "Remove and return members with scores in a sorted set",
        fanout: Fanout::FirstOf,
        examples: &["ZMPOP 2 nokey z MIN", "ZMPOP 1 z MAX COUNT 2"],
        run: zmpop,
    },
    CommandSpec {
        name: "bzpopmin",
        arity: -3,
        flags: Flags::WRITE.with(Flags::NOSCRIPT).with(Flags::BLOCKING).with(Flags::FAST),
        keys: KeySpec::Range { first: 1, last: -2, step: 1 },
        group: Group::SortedSet,
        acl: &["@blocking"],
        since: "5.0.0",
        complexity: "O(log(N)) with N being the number of elements in the sorted set.",
        summary: "Remove and return the member with the lowest score from one or more sorted sets, or block until one is available",
        fanout: Fanout::FirstOf,
        examples: &["BZPOPMIN z 0", "BZPOPMIN nokey z 0.5"],
        run: bzpopmin,
    },
    CommandSpec {
        name: "bzpopmax",
        arity: -3,
        flags: Flags::WRITE.with(Flags::NOSCRIPT).with(Flags::BLOCKING).with(Flags::FAST),
        keys: KeySpec::Range { first: 1, last: -2, step: 1 },
        group: Group::SortedSet,
        acl: &["@blocking"],
        since: "5.0.0",
        complexity: "O(log(N)) with N being the number of elements in the sorted set.",
        summary: "Remove and return the member with the highest score from one or more sorted sets, or block until one is available",
        fanout: Fanout::FirstOf,
        examples: &["BZPOPMAX z 0"],
        run: bzpopmax,
    },
    CommandSpec {
        name: "bzmpop",
        arity: -5,
        flags: Flags::WRITE.with(Flags::BLOCKING).with(Flags::MOVABLEKEYS),
        keys: KeySpec::Counted { count: 2 },
        group: Group::SortedSet,
        acl: &["@blocking"],
        since: "7.0.0",
        complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number of elements in the sorted set, and M being the number of elements popped.",
        summary: "Remove and return members with scores in a sorted set or block until one is available",
        fanout: Fanout::FirstOf,
        examples: &["BZMPOP 0 2 nokey z MIN", "BZMPOP 0 1 z MAX COUNT 2"],
        run: bzmpop,
    },
];

/// Members with their scores.
type Popped = Vec<(Vec<u8>, f64)>;

/// Members taken off one end, in the order in which they went.
fn pop(zset: &mut Zset, count: usize, highest: bool) -> Popped {
    let len = zset.as_ref().len();
    let count = count.min(len);
    let mut popped = Vec::with_capacity(count);
    let mut take = |member: Item<'_>, score: f64| popped.push((member.to_vec(), score));
    if highest {
        zset.as_ref().downwards(len - 1, count, &mut take);
        zset.remove_ranks(len - count, count);
    } else {
        zset.as_ref().upwards(0, count, &mut take);
        zset.remove_ranks(0, count);
    }
    popped
}

fn zpopmin(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    zpop(cx, args, false)
}

fn zpopmax(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    zpop(cx, args, true)
}

fn zpop(cx: &mut Ctx<'_>, args: Args<'_>, highest: bool) -> Result<(), CommandError> {
    if args.len() > 3 {
        return Err(CommandError::SYNTAX);
    }
    let count = match args.try_get(2) {
        None => 1,
        Some(text) => {
            let n = canonical_int(text).and_then(|n| usize::try_from(n).ok());
            n.ok_or(CommandError::new("ERR value is out of range, must be positive"))?
        }
    };
    let key = cx.key(args.get(1));
    let popped = cx.edit(key, false, |zset: &mut Zset| pop(zset, count, highest))?;
    let popped = popped.unwrap_or_default();
    if !popped.is_empty() {
        cx.effect(key.hash, Effect::Verbatim { args });
    }
    if cx.reply.is_resp3() && args.len() == 2 {
        // Without a count: one pair, flat.
        cx.reply.array(2 * popped.len());
        for (member, score) in &popped {
            cx.reply.bulk(member);
            cx.reply.double(*score);
        }
        return Ok(());
    }
    begin(&mut cx.reply, popped.len(), true);
    for (member, score) in &popped {
        reply_member(&mut cx.reply, Item::Bytes(member), Some(*score));
    }
    Ok(())
}

/// What ZMPOP and BZMPOP ask for.
struct Wish {
    /// Positions of the keys among the arguments.
    keys: std::ops::Range<usize>,
    highest: bool,
    count: usize,
}

impl Wish {
    /// From `numkeys key .. MIN|MAX [COUNT n]`, `numkeys` at a position.
    fn parse(args: Args<'_>, at: usize) -> Result<Self, CommandError> {
        let keys = canonical_int(args.get(at))
            .and_then(|n| usize::try_from(n).ok())
            .filter(|&n| n > 0)
            .ok_or(CommandError::new("ERR numkeys should be greater than 0"))?;
        let side_at = keys.checked_add(at + 1).ok_or(CommandError::SYNTAX)?;
        let highest = match args.try_get(side_at) {
            Some(side) if side.eq_ignore_ascii_case(b"min") => false,
            Some(side) if side.eq_ignore_ascii_case(b"max") => true,
            _ => return Err(CommandError::SYNTAX),
        };
        let mut count = None;
        for at in (side_at + 1..args.len()).step_by(2) {
            let (option, value) = (args.get(at), args.try_get(at + 1));
            let value = value.ok_or(CommandError::SYNTAX)?;
            if count.is_some() || !option.eq_ignore_ascii_case(b"count") {
                return Err(CommandError::SYNTAX);
            }
            let n = canonical_int(value).and_then(|n| usize::try_from(n).ok());
            let n = n.filter(|&n| n > 0);
            count = Some(n.ok_or(CommandError::new("ERR count should be greater than 0"))?);
        }
        Ok(Self { keys: at + 1..side_at, highest, count: count.unwrap_or(1) })
    }
}

/// Takes members off a set and logs that; none when there is no such set.
fn take(
    cx: &mut Ctx<'_>,
    key: Key<'_>,
    count: usize,
    highest: bool,
) -> Result<Option<Popped>, CommandError> {
    let popped = cx.edit(key, false, |zset: &mut Zset| pop(zset, count, highest))?;
    if let Some(popped) = &popped {
        let mut digits = itoa::Buffer::new();
        let command: &[u8] = if highest { b"ZPOPMAX" } else { b"ZPOPMIN" };
        let parts = [command, key.bytes, digits.format(popped.len()).as_bytes()];
        cx.effect(key.hash, Effect::Parts { parts: &parts });
    }
    Ok(popped)
}

/// Takes members off a set and replies with its name and them; false when there is none.
fn pop_some(
    cx: &mut Ctx<'_>,
    key: Key<'_>,
    count: usize,
    highest: bool,
) -> Result<bool, CommandError> {
    let Some(popped) = take(cx, key, count, highest)? else { return Ok(false) };
    cx.reply.array(2);
    cx.reply.bulk(key.bytes);
    cx.reply.array(popped.len());
    for (member, score) in &popped {
        cx.reply.array(2);
        cx.reply.bulk(member);
        cx.reply.double(*score);
    }
    Ok(true)
}

fn zmpop(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let wish = Wish::parse(args, 1)?;
    for at in wish.keys {
        let key = cx.key(args.get(at));
        if pop_some(cx, key, wish.count, wish.highest)? {
            return Ok(());
        }
    }
    cx.reply.null_array();
    Ok(())
}

/// True when the key holds a sorted set, which then is the client's.
fn is_there(cx: &mut Ctx<'_>, key: Key<'_>) -> Result<bool, CommandError> {
    let found = cx.view::<ZsetRef<'_>>(key)?.0.is_some();
    if found {
        cx.claim()?;
    }
    Ok(found)
}

fn bzpop(cx: &mut Ctx<'_>, args: Args<'_>, highest: bool) -> Result<(), CommandError> {
    let last = args.len() - 1;
    let timeout_ms = timeout::seconds(args.get(last))?;
    for at in 1..last {
        let key = cx.key(args.get(at));
        if !is_there(cx, key)? {
            continue;
        }
        for (member, score) in take(cx, key, 1, highest)?.unwrap_or_default() {
            cx.reply.array(3);
            cx.reply.bulk(key.bytes);
            cx.reply.bulk(&member);
            cx.reply.double(score);
        }
        return Ok(());
    }
    if !cx.block(Wanted::new(ValueType::Zset, timeout_ms)) {
        cx.reply.null_array();
    }
    Ok(())
}

fn bzpopmin(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    bzpop(cx, args, false)
}

fn bzpopmax(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    bzpop(cx, args, true)
}

fn bzmpop(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let wish = Wish::parse(args, 2)?;
    let timeout_ms = timeout::seconds(args.get(1))?;
    for at in wish.keys {
        let key = cx.key(args.get(at));
        if is_there(cx, key)? {
            pop_some(cx, key, wish.count, wish.highest)?;
            return Ok(());
        }
    }
    if !cx.block(Wanted::new(ValueType::Zset, timeout_ms)) {
        cx.reply.null_array();
    }
    Ok(())
}
