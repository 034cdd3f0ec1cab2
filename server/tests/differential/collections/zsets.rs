//! Rows of commands on sorted sets.

use super::{
    super::{
        relation::Relation::{Exact, Kind, Size},
        rows::{Make, Row, fixed, row},
        script::{Action, Line},
        words::{SETS, Words, ZSETS},
    },
    lists::timeout,
    numbered, scan, scan_nonsense,
};

pub const ROWS: &[Row] = &[
    row("zadd", 20, add, Exact),
    row("zincrby", 4, |w, line| line.extend([w.key_of(&ZSETS), score(w), w.member()]), Exact),
    row("zrem", 4, members, Exact),
    row("zcard", 2, |w, line| line.push(w.key_of(&ZSETS)), Exact),
    row("zscore", 2, member, Exact),
    row("zmscore", 2, members, Exact),
    row("zrank", 3, member, Exact),
    row("zrevrank", 3, member, Exact),
    row("zcount", 2, by_score, Exact),
    row("zlexcount", 1, by_lex, Kind),
    Row { name: "zlexcount", weight: 4, make: Make::Action(lexically) },
    row("zrange", 5, range, Exact),
    row("zrangestore", 3, range_store, Exact),
    row("zrevrange", 2, by_rank, Exact),
    row("zrangebyscore", 3, score_range, Exact),
    row("zrevrangebyscore", 3, score_range, Exact),
    row("zrangebylex", 1, lex_range, Kind),
    row("zrevrangebylex", 1, lex_range, Kind),
    row(
        "zremrangebyrank",
        1,
        |w, line| line.extend([w.key_of(&ZSETS), w.index(), w.index()]),
        Exact,
    ),
    row("zremrangebyscore", 1, by_score, Exact),
    fixed("zremrangebylex", 1, no_lex, Exact),
    row("zpopmin", 3, pop, Exact),
    row("zpopmax", 3, pop, Exact),
    row("zmpop", 3, some_pops, Exact),
    fixed("bzpopmin", 2, blocking_pop, Exact),
    fixed("bzpopmax", 2, blocking_pop, Exact),
    fixed("bzmpop", 2, blocking_pops, Exact),
    row("zrandmember", 3, some_members, Size),
    row("zunion", 3, weighed, Exact),
    row("zinter", 3, weighed, Exact),
    row("zdiff", 3, difference, Exact),
    row("zunionstore", 3, weighed_store, Exact),
    row("zinterstore", 3, weighed_store, Exact),
    row("zdiffstore", 3, difference_store, Exact),
    row("zintercard", 2, card, Exact),
    Row { name: "zscan", weight: 2, make: Make::Action(|w| scan(w, "ZSCAN", &ZSETS, 2)) },
    fixed("zscan", 1, |w, line| scan_nonsense(w, line, &ZSETS), Exact),
];

const SCORES: [&str; 22] = [
    "inf",
    "-inf",
    "+inf",
    "Infinity",
    "nan",
    "0.1",
    "-0.1",
    "1e308",
    "-1e308",
    "1e400",
    "5e-324",
    "0x10",
    "3.0",
    "1.7976931348623157e308",
    "9007199254740993",
    "0.30000000000000004",
    "1e21",
    "x",
    "",
    " 1",
    "1 ",
    "1e-7",
];

fn score(w: &mut Words) -> Vec<u8> {
    match w.below(8) {
        0 => w.pick(&SCORES),
        1 => format!("{}.{}", w.below(20), w.below(100)).into_bytes(),
        _ => (w.below(24) as i64 - 6).to_string().into_bytes(),
    }
}

fn member(w: &mut Words, line: &mut Line) {
    line.extend([w.key_of(&ZSETS), w.member()]);
}

fn members(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&ZSETS));
    let amount = w.amount();
    line.extend((0..amount).map(|at| w.nth_member(amount, at)).collect::<Line>());
}

fn add(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&ZSETS));
    for _ in 0..w.below(3) {
        if w.chance(2) {
            line.push(w.pick(&["NX", "xx", "GT", "lt", "CH", "ch", "INCR"]));
        }
    }
    // Equal scores are what ranges of texts are about.
    let same = w.chance(4).then(|| score(w));
    let amount = w.amount();
    for at in 0..amount {
        let score = same.clone().unwrap_or_else(|| match amount {
            100.. => at.to_string().into_bytes(),
            _ => score(w),
        });
        line.extend([score, w.nth_member(amount, at)]);
    }
}

fn bound(w: &mut Words) -> Vec<u8> {
    let bound =
        if w.chance(4) { w.pick(&["-inf", "+inf", "inf", "-inf", "nan"]) } else { score(w) };
    if w.chance(4) { [b"(", &bound[..]].concat() } else { bound }
}

fn lex(w: &mut Words) -> Vec<u8> {
    match w.below(8) {
        0 | 1 => b"-".to_vec(),
        2 | 3 => b"+".to_vec(),
        4 => w.member(),
        _ => [w.pick(&["[", "("]), w.member()].concat(),
    }
}

/// Ends that are none.
fn no_lex(w: &mut Words, line: &mut Line) {
    line.extend([w.key_of(&ZSETS), b"+".to_vec(), w.pick(&["-", "x", ""])]);
}

/// Ranges of texts are defined where all scores are equal: in a set of their own.
fn lexically(w: &mut Words) -> Action {
    let key = w.pick(&ZSETS);
    let mut lines = vec![(vec![b"DEL".to_vec(), key.clone()], Exact)];
    let mut fill = vec![b"ZADD".to_vec(), key.clone()];
    let amount = w.amount();
    for at in 0..amount {
        fill.extend([b"1".to_vec(), w.nth_member(amount, at)]);
    }
    lines.push((fill, Exact));
    for _ in 0..=w.below(6) {
        let shape = w.below(6);
        let mut line = match shape {
            0 => vec![b"ZLEXCOUNT".to_vec(), key.clone()],
            1 => vec![b"ZRANGEBYLEX".to_vec(), key.clone()],
            2 => vec![b"ZREVRANGEBYLEX".to_vec(), key.clone()],
            3 => vec![b"ZRANGE".to_vec(), key.clone()],
            4 => vec![b"ZRANGESTORE".to_vec(), w.key_of(&ZSETS), key.clone()],
            _ => vec![b"ZREMRANGEBYLEX".to_vec(), key.clone()],
        };
        line.extend([lex(w), lex(w)]);
        if shape == 3 || shape == 4 {
            line.push(b"BYLEX".to_vec());
            if w.chance(2) {
                line.push(b"REV".to_vec());
            }
        }
        if (1..5).contains(&shape) && w.chance(2) {
            limit(w, &mut line);
        }
        lines.push((line, Exact));
    }
    Action::Lines(lines)
}

fn by_score(w: &mut Words, line: &mut Line) {
    line.extend([w.key_of(&ZSETS), bound(w), bound(w)]);
}

fn by_lex(w: &mut Words, line: &mut Line) {
    line.extend([w.key_of(&ZSETS), lex(w), lex(w)]);
}

fn limit(w: &mut Words, line: &mut Line) {
    line.extend([w.pick(&["LIMIT", "limit"]), w.index(), w.index()]);
}

fn by_rank(w: &mut Words, line: &mut Line) {
    line.extend([w.key_of(&ZSETS), w.index(), w.index()]);
    if w.chance(2) {
        line.push(w.pick(&["WITHSCORES", "withscores", "nope"]));
    }
}

fn score_range(w: &mut Words, line: &mut Line) {
    by_score(w, line);
    for _ in 0..w.below(3) {
        if w.chance(2) { limit(w, line) } else { line.push(w.pick(&["WITHSCORES", "withscores"])) }
    }
}

fn lex_range(w: &mut Words, line: &mut Line) {
    by_lex(w, line);
    if w.chance(2) {
        limit(w, line);
    }
}

fn range_options(w: &mut Words, line: &mut Line) {
    let by = w.below(2);
    match by {
        0 => line.extend([w.index(), w.index()]),
        _ => line.extend([bound(w), bound(w), b"BYSCORE".to_vec()]),
    }
    for _ in 0..w.below(4) {
        match w.below(4) {
            0 => line.push(w.pick(&["REV", "rev"])),
            1 if by > 0 || w.chance(6) => limit(w, line),
            2 => line.push(w.pick(&["WITHSCORES", "WithScores"])),
            _ => {}
        }
    }
}

fn range(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&ZSETS));
    range_options(w, line);
}

fn range_store(w: &mut Words, line: &mut Line) {
    line.extend([w.key_of(&ZSETS), w.key_of(&ZSETS)]);
    range_options(w, line);
}

fn pop(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&ZSETS));
    if w.chance(2) {
        line.push(w.count());
    }
}

fn some_pops(w: &mut Words, line: &mut Line) {
    let keys = w.keys_of(&ZSETS, 4);
    numbered(w, line, keys);
    line.push(w.pick(&["MIN", "max", "MAX", "min", "MIN", "mid"]));
    if w.chance(2) {
        line.extend([w.pick(&["COUNT", "count", "COUNT", "nope"]), w.count()]);
    }
}

fn blocking_pop(w: &mut Words, line: &mut Line) {
    line.extend(w.keys_of(&ZSETS, 4));
    line.push(timeout(w));
}

fn blocking_pops(w: &mut Words, line: &mut Line) {
    line.push(timeout(w));
    some_pops(w, line);
}

fn some_members(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&ZSETS));
    if w.chance(4) {
        return;
    }
    line.push(if w.chance(4) { w.pick(&["-3", "100000", "0", "x", "-700"]) } else { w.count() });
    if w.chance(2) {
        line.push(w.pick(&["WITHSCORES", "withscores", "WITHSCORES", "nope"]));
    }
}

/// Sorted sets, and sets among them.
fn sources(w: &mut Words, line: &mut Line) -> usize {
    let keys: Line = (0..=w.below(4))
        .map(|_| if w.chance(4) { w.key_of(&SETS) } else { w.key_of(&ZSETS) })
        .collect();
    let count = keys.len();
    numbered(w, line, keys);
    count
}

fn weighed(w: &mut Words, line: &mut Line) {
    let keys = sources(w, line);
    if w.chance(2) {
        line.push(b"WEIGHTS".to_vec());
        for _ in 0..keys {
            // None that makes a zero negative: Redis shows it unless the set is small.
            line.push(w.pick(&["1", "2", "3", "0.5", "inf", "1e300", "nan", "x", ""]));
        }
    }
    if w.chance(2) {
        line.extend([b"aggregate".to_vec(), w.pick(&["SUM", "min", "MAX", "sum", "MIN", "avg"])]);
    }
    if w.chance(3) {
        line.push(w.pick(&["WITHSCORES", "withscores"]));
    }
}

fn weighed_store(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&ZSETS));
    weighed(w, line);
    if !w.chance(10) && line.last().is_some_and(|last| last.eq_ignore_ascii_case(b"withscores")) {
        line.pop();
    }
}

fn difference(w: &mut Words, line: &mut Line) {
    sources(w, line);
    if w.chance(2) {
        line.push(b"WITHSCORES".to_vec());
    }
}

fn difference_store(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&ZSETS));
    sources(w, line);
}

fn card(w: &mut Words, line: &mut Line) {
    sources(w, line);
    if w.chance(2) {
        line.extend([w.pick(&["LIMIT", "limit", "nope"]), w.count()]);
    }
}
