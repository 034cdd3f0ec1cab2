//! Commands that change one sorted set.
//!
//! They are logged as they came: sums of 64-bit floats come out alike everywhere.

use super::bounds;
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    effect::Effect,
    number::parse_double,
    types::{Zset, ZsetRef},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "zadd",
        arity: -4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "1.2.0",
        complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
        summary: "Add one or more members to a sorted set, or update its score if it already exists",
        fanout: Fanout::Whole,
        examples: &["ZADD z 1 x", "ZADD z XX GT CH 9 a", "ZADD z INCR 2.5 a"],
        run: zadd,
    },
    CommandSpec {
        name: "zincrby",
        arity: 4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "1.2.0",
        complexity: "O(log(N)) where N is the number of elements in the sorted set.",
        summary: "Increment the score of a member in a sorted set",
        fanout: Fanout::Whole,
        examples: &["ZINCRBY z 1.5 a"],
        run: zincrby,
    },
    CommandSpec {
        name: "zrem",
        arity: -3,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "1.2.0",
        complexity: "O(M*log(N)) with N being the number of elements in the sorted set and M the number of elements to be removed.",
        summary: "Remove one or more members from a sorted set",
        fanout: Fanout::Whole,
        examples: &["ZREM z a x"],
        run: zrem,
    },
    CommandSpec {
        name: "zremrangebyrank",
        arity: 4,
        flags: Flags::WRITE,
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "2.0.0",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
        summary: "Remove all members in a sorted set within the given indexes",
        fanout: Fanout::Whole,
        examples: &["ZREMRANGEBYRANK z 0 0"],
        run: zremrangebyrank,
    },
    CommandSpec {
        name: "zremrangebyscore",
        arity: 4,
        flags: Flags::WRITE,
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "1.2.0",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
        summary: "Remove all members in a sorted set within the given scores",
        fanout: Fanout::Whole,
        examples: &["ZREMRANGEBYSCORE z 1 2"],
        run: zremrangebyscore,
    },
    CommandSpec {
        name: "zremrangebylex",
        arity: 4,
        flags: Flags::WRITE,
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "2.8.9",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements removed by the operation.",
        summary: "Remove all members in a sorted set between the given lexicographical range",
        fanout: Fanout::Whole,
        examples: &["ZREMRANGEBYLEX z [a [b"],
        run: zremrangebylex,
    },
];

/// ZADD's options.
#[derive(Default, Clone, Copy)]
struct Options {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
    changed: bool,
    increment: bool,
}

impl Options {
    /// The options, and where scores begin.
    fn parse(args: Args<'_>) -> Result<(Self, usize), CommandError> {
        let mut options = Self::default();
        let mut at = 2;
        while let Some(option) = args.try_get(at) {
            let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
            let flag = if is("nx") {
                &mut options.nx
            } else if is("xx") {
                &mut options.xx
            } else if is("gt") {
                &mut options.gt
            } else if is("lt") {
                &mut options.lt
            } else if is("ch") {
                &mut options.changed
            } else if is("incr") {
                &mut options.increment
            } else {
                break;
            };
            *flag = true;
            at += 1;
        }
        let rest = args.len() - at;
        if rest == 0 || !rest.is_multiple_of(2) {
            return Err(CommandError::SYNTAX);
        }
        if options.nx && options.xx {
            return Err(CommandError::new(
                "ERR XX and NX options at the same time are not compatible",
            ));
        }
        if [options.gt, options.lt, options.nx].iter().filter(|set| **set).count() > 1 {
            return Err(CommandError::new(
                "ERR GT, LT, and/or NX options at the same time are not compatible",
            ));
        }
        if options.increment && rest > 2 {
            return Err(CommandError::new(
                "ERR INCR option supports a single increment-element pair",
            ));
        }
        Ok((options, at))
    }

    /// The score a member gets, None when it is left alone.
    fn decide(self, before: Option<f64>, score: f64) -> Result<Option<f64>, CommandError> {
        let Some(before) = before else { return Ok((!self.xx).then_some(score)) };
        if self.nx {
            return Ok(None);
        }
        let score = if self.increment { before + score } else { score };
        if score.is_nan() {
            return Err(CommandError::new("ERR resulting score is not a number (NaN)"));
        }
        let refused = (self.gt && score <= before) || (self.lt && score >= before);
        Ok((!refused).then_some(score))
    }
}

/// What became of the members.
#[derive(Default)]
struct Outcome {
    added: i64,
    updated: i64,
    last: Option<f64>,
}

fn add(
    cx: &mut Ctx<'_>,
    args: Args<'_>,
    options: Options,
    from: usize,
) -> Result<Outcome, CommandError> {
    let mut scores = Vec::with_capacity((args.len() - from) / 2);
    for at in (from..args.len()).step_by(2) {
        scores.push(parse_double(args.get(at)).ok_or(CommandError::NOT_A_FLOAT)?);
    }
    let key = cx.key(args.get(1));
    let (limits, hasher) = (cx.limits, cx.keyspace.hasher().clone());
    let outcome = cx.edit(key, !options.xx, |zset: &mut Zset| {
        let mut outcome = Outcome::default();
        for (i, &score) in scores.iter().enumerate() {
            let member = args.get(from + 2 * i + 1);
            let before = zset.as_ref().score(member);
            let Some(score) = options.decide(before, score)? else { continue };
            outcome.last = Some(score);
            zset.set(member, score, limits, &hasher);
            match before {
                None => outcome.added += 1,
                Some(before) => outcome.updated += i64::from(before != score),
            }
        }
        Ok(outcome)
    })?;
    let outcome = outcome.unwrap_or_else(|| Ok(Outcome::default()))?;
    if outcome.added + outcome.updated > 0 {
        cx.effect(key.hash, Effect::Verbatim { args });
    }
    Ok(outcome)
}

pub(in crate::families) fn zadd(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (options, from) = Options::parse(args)?;
    let outcome = add(cx, args, options, from)?;
    if options.increment {
        match outcome.last {
            Some(score) => cx.reply.double(score),
            None => cx.reply.null(),
        }
    } else {
        cx.reply.int(outcome.added + if options.changed { outcome.updated } else { 0 });
    }
    Ok(())
}

fn zincrby(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let options = Options { increment: true, ..Options::default() };
    // As in Redis, which takes an option of ZADD for one.
    let is_option = |word: &&[u8]| args.get(2).eq_ignore_ascii_case(word);
    if [&b"nx"[..], b"xx", b"gt", b"lt", b"ch", b"incr"].iter().any(is_option) {
        return Err(CommandError::SYNTAX);
    }
    let outcome = add(cx, args, options, 2)?;
    match outcome.last {
        Some(score) => cx.reply.double(score),
        None => cx.reply.null(),
    }
    Ok(())
}

fn zrem(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let removed = cx.edit(key, false, |zset: &mut Zset| {
        args.iter_from(2).filter(|member| zset.remove(member).is_some()).count()
    })?;
    finish_removal(cx, args, removed.unwrap_or(0))
}

fn finish_removal(cx: &mut Ctx<'_>, args: Args<'_>, removed: usize) -> Result<(), CommandError> {
    if removed > 0 {
        let key = cx.key(args.get(1));
        cx.effect(key.hash, Effect::Verbatim { args });
    }
    cx.reply.int(removed as i64);
    Ok(())
}

/// Removes the members of the ranks that `ranks` says.
fn remove_range(
    cx: &mut Ctx<'_>,
    args: Args<'_>,
    ranks: impl FnOnce(ZsetRef<'_>) -> (usize, usize),
) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let removed = cx.edit(key, false, |zset: &mut Zset| {
        let (start, count) = ranks(zset.as_ref());
        zset.remove_ranks(start, count);
        count
    })?;
    finish_removal(cx, args, removed.unwrap_or(0))
}

fn zremrangebyrank(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (start, end) = (bounds::index(args.get(2))?, bounds::index(args.get(3))?);
    remove_range(cx, args, |zset| bounds::ranks(start, end, zset.len()))
}

fn zremrangebyscore(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (min, max) = (bounds::score(args.get(2))?, bounds::score(args.get(3))?);
    remove_range(cx, args, |zset| zset.ranks_by_score(min, max))
}

fn zremrangebylex(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (min, max) = (bounds::text(args.get(2))?, bounds::text(args.get(3))?);
    remove_range(cx, args, |zset| zset.ranks_by_text(min, max))
}
