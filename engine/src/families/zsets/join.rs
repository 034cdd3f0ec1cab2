//! Unions, intersections and differences of sorted sets, among which plain sets count as sets of
//! score 1. Results that are stored are logged as the commands that make them.

use super::range::{begin, reply_member, store};
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    keyspace::Value,
    number::{canonical_int, parse_double},
    types::{Collection, SetRef, View, Zset, ZsetRef, packed::Item},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "zunion",
        arity: -3,
        flags: Flags::READONLY.with(Flags::MOVABLEKEYS),
        keys: KeySpec::Counted { count: 1 },
        group: Group::SortedSet,
        acl: &[],
        since: "6.2.0",
        complexity: "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.",
        summary: "Add multiple sorted sets",
        fanout: Fanout::Whole,
        examples: &["ZUNION 2 z z2 WITHSCORES"],
        run: zunion,
    },
    CommandSpec {
        name: "zinter",
        arity: -3,
        flags: Flags::READONLY.with(Flags::MOVABLEKEYS),
        keys: KeySpec::Counted { count: 1 },
        group: Group::SortedSet,
        acl: &[],
        since: "6.2.0",
        complexity: "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.",
        summary: "Intersect multiple sorted sets",
        fanout: Fanout::Whole,
        examples: &["ZINTER 2 z z2 WEIGHTS 2 3 AGGREGATE MAX"],
        run: zinter,
    },
    CommandSpec {
        name: "zdiff",
        arity: -3,
        flags: Flags::READONLY.with(Flags::MOVABLEKEYS),
        keys: KeySpec::Counted { count: 1 },
        group: Group::SortedSet,
        acl: &[],
        since: "6.2.0",
        complexity: "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.",
        summary: "Subtract multiple sorted sets",
        fanout: Fanout::Whole,
        examples: &["ZDIFF 2 z z2"],
        run: zdiff,
    },
    CommandSpec {
        name: "zunionstore",
        arity: -4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::MOVABLEKEYS),
        keys: KeySpec::TargetCounted { count: 2 },
        group: Group::SortedSet,
        acl: &[],
        since: "2.0.0",
        complexity: "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, and M being the number of elements in the resulting sorted set.",
        summary: "Add multiple sorted sets and store the resulting sorted set in a new key",
        fanout: Fanout::Store,
        examples: &["ZUNIONSTORE nokey 2 z z2"],
        run: zunionstore,
    },
    CommandSpec {
        name: "zinterstore",
        arity: -4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::MOVABLEKEYS),
        keys: KeySpec::TargetCounted { count: 2 },
        group: Group::SortedSet,
        acl: &[],
        since: "2.0.0",
        complexity: "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K being the number of input sorted sets and M being the number of elements in the resulting sorted set.",
        summary: "Intersect multiple sorted sets and store the resulting sorted set in a new key",
        fanout: Fanout::Store,
        examples: &["ZINTERSTORE nokey 2 z z2 AGGREGATE MIN"],
        run: zinterstore,
    },
    CommandSpec {
        name: "zdiffstore",
        arity: -4,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::MOVABLEKEYS),
        keys: KeySpec::TargetCounted { count: 2 },
        group: Group::SortedSet,
        acl: &[],
        since: "6.2.0",
        complexity: "O(L + (N-K)log(N)) worst case where L is the total number of elements in all the sets, N is the size of the first set, and K is the size of the result set.",
        summary: "Subtract multiple sorted sets and store the resulting sorted set in a new key",
        fanout: Fanout::Store,
        examples: &["ZDIFFSTORE nokey 2 z z2"],
        run: zdiffstore,
    },
    CommandSpec {
        name: "zintercard",
        arity: -3,
        flags: Flags::READONLY.with(Flags::MOVABLEKEYS),
        keys: KeySpec::Counted { count: 1 },
        group: Group::SortedSet,
        acl: &[],
        since: "7.0.0",
        complexity: "O(N*K) worst case with N being the smallest input sorted set, K being the number of input sorted sets.",
        summary: "Intersect multiple sorted sets and return the cardinality of the result",
        fanout: Fanout::Whole,
        examples: &["ZINTERCARD 2 z z2", "ZINTERCARD 2 z z2 LIMIT 1"],
        run: zintercard,
    },
];

/// A set or a sorted set.
#[derive(Clone, Copy)]
enum Input<'a> {
    Plain(SetRef<'a>),
    Scored(ZsetRef<'a>),
}

impl<'a> View<'a> for Input<'a> {
    fn of(value: Value<'a>) -> Option<Self> {
        ZsetRef::of(value).map(Input::Scored).or_else(|| SetRef::of(value).map(Input::Plain))
    }
}

impl<'a> Input<'a> {
    fn len(self) -> usize {
        match self {
            Input::Plain(set) => set.len(),
            Input::Scored(zset) => zset.len(),
        }
    }

    fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            Input::Plain(set) => set.contains(member).then_some(1.0),
            Input::Scored(zset) => zset.score(member),
        }
    }

    fn for_each(self, emit: &mut dyn FnMut(Item<'a>, f64)) {
        match self {
            Input::Plain(set) => set.for_each(&mut |member| emit(member, 1.0)),
            Input::Scored(zset) => zset.for_each(emit),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Inter,
    Diff,
}

/// How scores of one member come together.
#[derive(Clone, Copy)]
enum Aggregate {
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn of(self, a: f64, b: f64) -> f64 {
        match self {
            // Of opposite infinities nothing remains.
            Aggregate::Sum => not_nan(a + b),
            Aggregate::Min => a.min(b),
            Aggregate::Max => a.max(b),
        }
    }
}

fn not_nan(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

struct Request<'a> {
    keys: Vec<&'a [u8]>,
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
}

impl<'a> Request<'a> {
    /// `at`: where the number of keys stands. Keys are looked at before options are.
    fn parse(
        cx: &mut Ctx<'_>,
        args: Args<'a>,
        at: usize,
        name: &str,
        operation: Operation,
    ) -> Result<Self, CommandError> {
        let count = canonical_int(args.get(at)).ok_or(CommandError::NOT_AN_INTEGER)?;
        if count < 1 {
            return Err(CommandError::owned(format!(
                "ERR at least 1 input key is needed for '{name}' command"
            )));
        }
        let count = usize::try_from(count).unwrap_or(usize::MAX);
        if count > args.len() - at - 1 {
            return Err(CommandError::SYNTAX);
        }
        let keys: Vec<&[u8]> = args.iter_from(at + 1).take(count).collect();
        for key in &keys {
            cx.view::<Input<'_>>(cx.key(key))?;
        }
        let mut request =
            Self { keys, weights: vec![1.0; count], aggregate: Aggregate::Sum, with_scores: false };
        let mut next = at + 1 + count;
        while let Some(option) = args.try_get(next) {
            let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
            let left = args.len() - next;
            if operation != Operation::Diff && left > count && is("weights") {
                for (i, weight) in request.weights.iter_mut().enumerate() {
                    *weight = parse_double(args.get(next + 1 + i))
                        .ok_or(CommandError::new("ERR weight value is not a float"))?;
                }
                next += 1 + count;
            } else if operation != Operation::Diff && left >= 2 && is("aggregate") {
                let how = args.get(next + 1).to_ascii_lowercase();
                request.aggregate = match how.as_slice() {
                    b"sum" => Aggregate::Sum,
                    b"min" => Aggregate::Min,
                    b"max" => Aggregate::Max,
                    _ => return Err(CommandError::SYNTAX),
                };
                next += 2;
            } else if at == 1 && is("withscores") {
                request.with_scores = true;
                next += 1;
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(request)
    }
}

fn compute(cx: &Ctx<'_>, request: &Request<'_>, operation: Operation) -> Zset {
    let (limits, hasher) = (cx.limits, cx.keyspace.hasher());
    let mut inputs: Vec<(Option<Input<'_>>, f64)> = Vec::with_capacity(request.keys.len());
    for (key, &weight) in request.keys.iter().zip(&request.weights) {
        inputs.push((cx.seen::<Input<'_>>(cx.key(key)), weight));
    }
    let mut result = Zset::empty(Vec::new());
    let mut put = |member: &[u8], score: f64, aggregate: bool| {
        let before = if aggregate { result.as_ref().score(member) } else { None };
        let score = before.map_or(score, |before| request.aggregate.of(before, score));
        result.set(member, score, limits, hasher);
    };
    match operation {
        Operation::Union => {
            // In this order Redis adds: sums of fractions depend on it.
            inputs.sort_by_key(|(input, _)| input.map_or(0, Input::len));
            for (input, weight) in inputs {
                let Some(input) = input else { continue };
                input.for_each(&mut |member, score| {
                    let mut digits = itoa::Buffer::new();
                    put(member.bytes(&mut digits), not_nan(score * weight), true);
                });
            }
        }
        Operation::Inter => {
            let mut all = Vec::with_capacity(inputs.len());
            for (input, weight) in inputs {
                match input {
                    Some(input) => all.push((input, weight)),
                    None => return result,
                }
            }
            // The smallest one's members are asked of the others.
            all.sort_by_key(|(input, _)| input.len());
            let Some((&(smallest, weight), others)) = all.split_first() else { return result };
            smallest.for_each(&mut |member, score| {
                let mut digits = itoa::Buffer::new();
                let member = member.bytes(&mut digits);
                let mut sum = not_nan(score * weight);
                for (other, weight) in others {
                    let Some(score) = other.score(member) else { return };
                    sum = request.aggregate.of(sum, not_nan(score * weight));
                }
                put(member, sum, false);
            });
        }
        Operation::Diff => {
            let Some(&(Some(first), _)) = inputs.first() else { return result };
            first.for_each(&mut |member, score| {
                let mut digits = itoa::Buffer::new();
                let member = member.bytes(&mut digits);
                let elsewhere = inputs[1..]
                    .iter()
                    .any(|(other, _)| other.is_some_and(|other| other.score(member).is_some()));
                if !elsewhere {
                    put(member, score, false);
                }
            });
        }
    }
    result
}

fn answer(
    cx: &mut Ctx<'_>,
    args: Args<'_>,
    name: &str,
    operation: Operation,
) -> Result<(), CommandError> {
    let request = Request::parse(cx, args, 1, name, operation)?;
    let result = compute(cx, &request, operation);
    begin(&mut cx.reply, result.as_ref().len(), request.with_scores);
    result.as_ref().for_each(&mut |member, score| {
        reply_member(&mut cx.reply, member, request.with_scores.then_some(score));
    });
    Ok(())
}

fn keep(
    cx: &mut Ctx<'_>,
    args: Args<'_>,
    name: &str,
    operation: Operation,
) -> Result<(), CommandError> {
    let request = Request::parse(cx, args, 2, name, operation)?;
    let result = compute(cx, &request, operation);
    store(cx, args.get(1), result)
}

fn zunion(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    answer(cx, args, "zunion", Operation::Union)
}

fn zinter(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    answer(cx, args, "zinter", Operation::Inter)
}

fn zdiff(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    answer(cx, args, "zdiff", Operation::Diff)
}

fn zunionstore(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    keep(cx, args, "zunionstore", Operation::Union)
}

fn zinterstore(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    keep(cx, args, "zinterstore", Operation::Inter)
}

fn zdiffstore(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    keep(cx, args, "zdiffstore", Operation::Diff)
}

fn zintercard(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let count = canonical_int(args.get(1)).and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0);
    let Some(count) = count else {
        return Err(match canonical_int(args.get(1)) {
            None => CommandError::NOT_AN_INTEGER,
            Some(_) => {
                CommandError::new("ERR at least 1 input key is needed for 'zintercard' command")
            }
        });
    };
    if count > args.len() - 2 {
        return Err(CommandError::SYNTAX);
    }
    let keys: Vec<&[u8]> = args.iter_from(2).take(count).collect();
    for key in &keys {
        cx.view::<Input<'_>>(cx.key(key))?;
    }
    let mut limit = usize::MAX;
    let mut at = 2 + count;
    while let Some(option) = args.try_get(at) {
        let (true, Some(value)) = (option.eq_ignore_ascii_case(b"limit"), args.try_get(at + 1))
        else {
            return Err(CommandError::SYNTAX);
        };
        let n = canonical_int(value)
            .and_then(|n| usize::try_from(n).ok())
            .ok_or(CommandError::new("ERR LIMIT can't be negative"))?;
        limit = if n == 0 { usize::MAX } else { n };
        at += 2;
    }
    let inputs: Option<Vec<Input<'_>>> = keys.iter().map(|key| cx.seen(cx.key(key))).collect();
    let mut found = 0;
    if let Some(mut inputs) = inputs {
        inputs.sort_by_key(|input| input.len());
        if let Some((smallest, others)) = inputs.split_first() {
            smallest.for_each(&mut |member, _| {
                let mut digits = itoa::Buffer::new();
                let member = member.bytes(&mut digits);
                let everywhere = || others.iter().all(|other| other.score(member).is_some());
                if found < limit && everywhere() {
                    found += 1;
                }
            });
        }
    }
    cx.reply.int(found as i64);
    Ok(())
}
