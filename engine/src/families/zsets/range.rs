//! ZRANGE in all its forms, and ZRANGESTORE.

use super::bounds;
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec, Reply},
    types::{
        Collection, Zset, ZsetRef,
        packed::{Item, bytes_max},
        zset::{LexBound, ScoreBound},
    },
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "zrange",
        arity: -4,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "1.2.0",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
        summary: "Return a range of members in a sorted set",
        fanout: Fanout::Whole,
        examples: &[
            "ZRANGE z 0 -1",
            "ZRANGE z 1 3 BYSCORE LIMIT 0 1 WITHSCORES",
            "ZRANGE z + - BYLEX REV",
        ],
        run: zrange,
    },
    CommandSpec {
        name: "zrevrange",
        arity: -4,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "1.2.0",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements returned.",
        summary: "Return a range of members in a sorted set, by index, with scores ordered from high to low",
        fanout: Fanout::Whole,
        examples: &["ZREVRANGE z 0 1 WITHSCORES"],
        run: zrevrange,
    },
    CommandSpec {
        name: "zrangebyscore",
        arity: -4,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "1.0.5",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
        summary: "Return a range of members in a sorted set, by score",
        fanout: Fanout::Whole,
        examples: &["ZRANGEBYSCORE z -inf (2"],
        run: zrangebyscore,
    },
    CommandSpec {
        name: "zrevrangebyscore",
        arity: -4,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "2.2.0",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
        summary: "Return a range of members in a sorted set, by score, with scores ordered from high to low",
        fanout: Fanout::Whole,
        examples: &["ZREVRANGEBYSCORE z 3 1 WITHSCORES LIMIT 0 1"],
        run: zrevrangebyscore,
    },
    CommandSpec {
        name: "zrangebylex",
        arity: -4,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "2.8.9",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
        summary: "Return a range of members in a sorted set, by lexicographical range",
        fanout: Fanout::Whole,
        examples: &["ZRANGEBYLEX z [a (c"],
        run: zrangebylex,
    },
    CommandSpec {
        name: "zrevrangebylex",
        arity: -4,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::SortedSet,
        acl: &[],
        since: "2.8.9",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements being returned. If M is constant (e.g. always asking for the first 10 elements with LIMIT), you can consider it O(log(N)).",
        summary: "Return a range of members in a sorted set, by lexicographical range, ordered from higher to lower strings.",
        fanout: Fanout::Whole,
        examples: &["ZREVRANGEBYLEX z + -"],
        run: zrevrangebylex,
    },
    CommandSpec {
        name: "zrangestore",
        arity: -5,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::Range { first: 1, last: 2, step: 1 },
        group: Group::SortedSet,
        acl: &[],
        since: "6.2.0",
        complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the number of elements stored into the destination key.",
        summary: "Store a range of members from sorted set into another key",
        fanout: Fanout::Store,
        examples: &["ZRANGESTORE nokey z 0 1"],
        run: zrangestore,
    },
];

/// What a range goes by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Text,
}

/// Which of the options a command has by its name.
#[derive(Clone, Copy)]
struct Form {
    by: Option<By>,
    reverse: Option<bool>,
    /// Position of the key that is read.
    at: usize,
}

enum Span<'a> {
    Ranks(i64, i64),
    Scores(ScoreBound, ScoreBound),
    Texts(LexBound<'a>, LexBound<'a>),
}

struct Request<'a> {
    span: Span<'a>,
    reverse: bool,
    offset: i64,
    /// Negative: all.
    limit: i64,
    with_scores: bool,
}

impl<'a> Request<'a> {
    fn parse(args: Args<'a>, form: Form) -> Result<Self, CommandError> {
        let (mut by, mut reverse) = (form.by, form.reverse);
        let (mut offset, mut limit, mut limited, mut with_scores) = (0, -1, false, false);
        let storing = form.at == 2;
        let mut at = form.at + 3;
        while let Some(option) = args.try_get(at) {
            let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
            if !storing && is("withscores") {
                with_scores = true;
            } else if is("limit") && args.len() > at + 2 {
                offset = bounds::index(args.get(at + 1))?;
                limit = bounds::index(args.get(at + 2))?;
                limited = limit != -1;
                at += 2;
            } else if reverse.is_none() && is("rev") {
                reverse = Some(true);
            } else if by.is_none() && is("bylex") {
                by = Some(By::Text);
            } else if by.is_none() && is("byscore") {
                by = Some(By::Score);
            } else {
                return Err(CommandError::SYNTAX);
            }
            at += 1;
        }
        let (by, reverse) = (by.unwrap_or(By::Rank), reverse.unwrap_or(false));
        if limited && by == By::Rank {
            return Err(CommandError::new(
                "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX",
            ));
        }
        if with_scores && by == By::Text {
            return Err(CommandError::new(
                "ERR syntax error, WITHSCORES not supported in combination with BYLEX",
            ));
        }
        let (first, second) = (args.get(form.at + 1), args.get(form.at + 2));
        let (min, max) = if reverse && by != By::Rank { (second, first) } else { (first, second) };
        let span = match by {
            By::Rank => Span::Ranks(bounds::index(min)?, bounds::index(max)?),
            By::Score => Span::Scores(bounds::score(min)?, bounds::score(max)?),
            By::Text => Span::Texts(bounds::text(min)?, bounds::text(max)?),
        };
        Ok(Self { span, reverse, offset, limit, with_scores })
    }

    /// The rank to begin with (in the direction that is wanted), and how many.
    fn resolve(&self, zset: ZsetRef<'_>) -> (usize, usize) {
        let len = zset.len();
        let (start, count) = match self.span {
            Span::Ranks(start, end) => {
                let (start, count) = bounds::ranks(start, end, len);
                // Ranks are counted in the direction of the walk.
                return (if self.reverse { len - 1 - start } else { start }, count);
            }
            Span::Scores(min, max) => zset.ranks_by_score(min, max),
            Span::Texts(min, max) => zset.ranks_by_text(min, max),
        };
        let Ok(offset) = usize::try_from(self.offset) else { return (0, 0) };
        if offset >= count {
            return (0, 0);
        }
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let first = if self.reverse { start + count - 1 - offset } else { start + offset };
        (first, (count - offset).min(limit))
    }

    fn walk<'z>(&self, zset: ZsetRef<'z>, emit: &mut dyn FnMut(Item<'z>, f64)) {
        let (first, count) = self.resolve(zset);
        if self.reverse {
            zset.downwards(first, count, emit);
        } else {
            zset.upwards(first, count, emit);
        }
    }
}

fn reply_range(cx: &mut Ctx<'_>, args: Args<'_>, form: Form) -> Result<(), CommandError> {
    let request = Request::parse(args, form)?;
    let key = cx.key(args.get(form.at));
    let (zset, reply) = cx.view::<ZsetRef<'_>>(key)?;
    let Some(zset) = zset else {
        reply.array(0);
        return Ok(());
    };
    let (_, count) = request.resolve(zset);
    begin(reply, count, request.with_scores);
    request.walk(zset, &mut |member, score| {
        reply_member(reply, member, request.with_scores.then_some(score));
    });
    Ok(())
}

/// Begins a reply of members, with scores if wanted: pairs in RESP3.
pub(super) fn begin(reply: &mut Reply<'_>, members: usize, with_scores: bool) {
    let flat = with_scores && !reply.is_resp3();
    reply.array(if flat { 2 * members } else { members });
}

/// One member of such a reply.
pub(super) fn reply_member(reply: &mut Reply<'_>, member: Item<'_>, score: Option<f64>) {
    if score.is_some() && reply.is_resp3() {
        reply.array(2);
    }
    reply.bulk(member.bytes(&mut itoa::Buffer::new()));
    if let Some(score) = score {
        reply.double(score);
    }
}

fn zrange(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    reply_range(cx, args, Form { by: None, reverse: None, at: 1 })
}

fn zrevrange(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    reply_range(cx, args, Form { by: Some(By::Rank), reverse: Some(true), at: 1 })
}

fn zrangebyscore(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    reply_range(cx, args, Form { by: Some(By::Score), reverse: Some(false), at: 1 })
}

fn zrevrangebyscore(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    reply_range(cx, args, Form { by: Some(By::Score), reverse: Some(true), at: 1 })
}

fn zrangebylex(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    reply_range(cx, args, Form { by: Some(By::Text), reverse: Some(false), at: 1 })
}

fn zrevrangebylex(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    reply_range(cx, args, Form { by: Some(By::Text), reverse: Some(true), at: 1 })
}

fn zrangestore(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let request = Request::parse(args, Form { by: None, reverse: None, at: 2 })?;
    let (target, source) = (cx.key(args.get(1)), cx.key(args.get(2)));
    let (limits, hasher) = (cx.limits, cx.keyspace.hasher().clone());
    let mut result = Zset::empty(Vec::new());
    if let Some(zset) = cx.view::<ZsetRef<'_>>(source)?.0 {
        request.walk(zset, &mut |member, score| {
            result.set(member.bytes(&mut itoa::Buffer::new()), score, limits, &hasher);
        });
    }
    store(cx, target.bytes, result)
}

/// Puts a result in under a key, logs it and replies its size.
pub(in crate::families) fn store(
    cx: &mut Ctx<'_>,
    target: &[u8],
    result: Zset,
) -> Result<(), CommandError> {
    let key = cx.key(target);
    let (mut bytes, len) = (0, result.as_ref().len());
    result.as_ref().for_each(&mut |member, _| bytes += member.len());
    cx.admit(bytes_max(2 * len, bytes) + len * 64)?;
    let existed = cx.find(key)?.is_some();
    cx.database().put_collection(key, result);
    if existed || len > 0 {
        cx.log_whole(cx.db, key);
    }
    cx.reply.int(len as i64);
    Ok(())
}
