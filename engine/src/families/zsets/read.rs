//! Commands that read one sorted set, but for ranges.

use super::bounds;
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    families::{
        random::{Picks, Wish},
        scan::{Found, ScanOptions, parse_cursor},
    },
    number::write_double,
    types::{ZsetRef, packed::Item},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "zcard",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "1.2.0",
        complexity: "O(1)",
        summary: "Get the number of members in a sorted set",
        fanout: Fanout::Whole,
        examples: &["ZCARD z"],
        run: zcard,
    },
    CommandSpec {
        name: "zscore",
        arity: 3,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "1.2.0",
        complexity: "O(1)",
        summary: "Get the score associated with the given member in a sorted set",
        fanout: Fanout::Whole,
        examples: &["ZSCORE z a"],
        run: zscore,
    },
    CommandSpec {
        name: "zmscore",
        arity: -3,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "6.2.0",
        complexity: "O(N) where N is the number of members being requested.",
        summary: "Get the score associated with the given members in a sorted set",
        fanout: Fanout::Whole,
        examples: &["ZMSCORE z a x"],
        run: zmscore,
    },
    CommandSpec {
        name: "zrank",
        arity: 3,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "2.0.0",
        complexity: "O(log(N))",
        summary: "Determine the index of a member in a sorted set",
        fanout: Fanout::Whole,
        examples: &["ZRANK z b"],
        run: zrank,
    },
    CommandSpec {
        name: "zrevrank",
        arity: 3,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "2.0.0",
        complexity: "O(log(N))",
        summary: "Determine the index of a member in a sorted set, with scores ordered from high to low",
        fanout: Fanout::Whole,
        examples: &["ZREVRANK z b"],
        run: zrevrank,
    },
    CommandSpec {
        name: "zcount",
        arity: 4,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "2.0.0",
        complexity: "O(log(N)) with N being the number of elements in the sorted set.",
        summary: "Count the members in a sorted set with scores within the given values",
        fanout: Fanout::Whole,
        examples: &["ZCOUNT z 1 (3"],
        run: zcount,
    },
    CommandSpec {
        name: "zlexcount",
        arity: 4,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "2.8.9",
        complexity: "O(log(N)) with N being the number of elements in the sorted set.",
        summary: "Count the number of members in a sorted set between a given lexicographical range",
        fanout: Fanout::Whole,
        examples: &["ZLEXCOUNT z - +"],
        run: zlexcount,
    },
    CommandSpec {
        name: "zrandmember",
        arity: -2,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "6.2.0",
        complexity: "O(N) where N is the number of elements returned",
        summary: "Get one or multiple random elements from a sorted set",
        fanout: Fanout::Whole,
        examples: &["ZRANDMEMBER z", "ZRANDMEMBER z 2 WITHSCORES", "ZRANDMEMBER z -5"],
        run: zrandmember,
    },
    CommandSpec {
        name: "zscan",
        arity: -3,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "2.8.0",
        complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection..",
        summary: "Incrementally iterate sorted sets elements and associated scores",
        fanout: Fanout::Whole,
        examples: &["ZSCAN z 0", "ZSCAN z 0 MATCH a* COUNT 5"],
        run: zscan,
    },
];

fn zcard(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (zset, reply) = cx.view::<ZsetRef<'_>>(key)?;
    reply.int(zset.map_or(0, |zset| zset.len() as i64));
    Ok(())
}

fn zscore(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (zset, reply) = cx.view::<ZsetRef<'_>>(key)?;
    match zset.and_then(|zset| zset.score(args.get(2))) {
        Some(score) => reply.double(score),
        None => reply.null(),
    }
    Ok(())
}

fn zmscore(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (zset, reply) = cx.view::<ZsetRef<'_>>(key)?;
    reply.array(args.len() - 2);
    for member in args.iter_from(2) {
        match zset.and_then(|zset| zset.score(member)) {
            Some(score) => reply.double(score),
            None => reply.null(),
        }
    }
    Ok(())
}

fn zrank(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    rank(cx, args, |rank, _| rank)
}

fn zrevrank(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    rank(cx, args, |rank, len| len - 1 - rank)
}

fn rank(
    cx: &mut Ctx<'_>,
    args: Args<'_>,
    counted: fn(usize, usize) -> usize,
) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (zset, reply) = cx.view::<ZsetRef<'_>>(key)?;
    let found = zset.and_then(|zset| Some((zset.rank(args.get(2))?.0, zset.len())));
    match found {
        Some((rank, len)) => reply.int(counted(rank, len) as i64),
        None => reply.null(),
    }
    Ok(())
}

fn zcount(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (min, max) = (bounds::score(args.get(2))?, bounds::score(args.get(3))?);
    let key = cx.key(args.get(1));
    let (zset, reply) = cx.view::<ZsetRef<'_>>(key)?;
    reply.int(zset.map_or(0, |zset| zset.ranks_by_score(min, max).1 as i64));
    Ok(())
}

fn zlexcount(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (min, max) = (bounds::text(args.get(2))?, bounds::text(args.get(3))?);
    let key = cx.key(args.get(1));
    let (zset, reply) = cx.view::<ZsetRef<'_>>(key)?;
    reply.int(zset.map_or(0, |zset| zset.ranks_by_text(min, max).1 as i64));
    Ok(())
}

fn zrandmember(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let wish = Wish::parse(args, b"withscores")?;
    let key = cx.key(args.get(1));
    let mut random = cx.random.fork();
    let (zset, reply) = cx.view::<ZsetRef<'_>>(key)?;
    let Some(wish) = wish else {
        match zset.and_then(|zset| zset.random(&mut || random.next())) {
            Some((member, _)) => reply.bulk(member.bytes(&mut itoa::Buffer::new())),
            None => reply.null(),
        }
        return Ok(());
    };
    let Some(zset) = zset else {
        reply.array(0);
        return Ok(());
    };
    let mut picks = Picks::begin(&wish, zset.len(), reply);
    if wish.whole(zset.len()) {
        zset.for_each(&mut |member, score| picks.reply_scored(member, score));
    } else if wish.repeats {
        for _ in 0..wish.count {
            if let Some((member, score)) = zset.random(&mut || random.next()) {
                picks.reply_scored(member, score);
            }
        }
    } else {
        let draw = &mut |random: &mut dyn FnMut() -> u64| {
            zset.random(&mut || random()).map_or_else(Vec::new, |(member, _)| member.to_vec())
        };
        let walk = &mut |emit: &mut dyn FnMut(usize, &[u8])| {
            let mut index = 0;
            zset.for_each(&mut |member, _| {
                emit(index, member.bytes(&mut itoa::Buffer::new()));
                index += 1;
            });
        };
        let mut emit = |member: &[u8]| {
            picks.reply_scored(Item::Bytes(member), zset.score(member).unwrap_or(0.0));
        };
        wish.distinct(zset.len(), &mut || random.next(), draw, walk, &mut emit);
    }
    Ok(())
}

fn zscan(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let cursor = parse_cursor(args.get(2))?;
    let key = cx.key(args.get(1));
    let (zset, reply) = cx.view::<ZsetRef<'_>>(key)?;
    let mut found = Found::default();
    let Some(zset) = zset else {
        found.reply_step(0, reply);
        return Ok(());
    };
    let options = ScanOptions::parse(args, 3, false)?;
    let mut text = Vec::new();
    let is_small = matches!(zset, ZsetRef::Small(_));
    let next = zset.scan(cursor, options.entries, &mut |member, score| {
        let mut digits = itoa::Buffer::new();
        let member = member.bytes(&mut digits);
        if options.matches(member) {
            text.clear();
            // A small set shows its integers as it keeps them.
            if is_small && score.fract() == 0.0 && score.abs() <= (i64::MAX / 2) as f64 {
                text.extend_from_slice(itoa::Buffer::new().format(score as i64).as_bytes());
            } else {
                write_double(&mut text, score);
            }
            found.push(member);
            found.push(&text);
        }
    });
    found.reply_step(next, reply);
    Ok(())
}
