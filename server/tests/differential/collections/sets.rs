//! Rows of commands on sets.

use super::{
    super::{
        relation::Relation::{Exact, Size, Sorted},
        rows::{Make, Row, fixed, row},
        script::{Action, Line},
        words::{SETS, Words},
    },
    numbered, random, scan, scan_nonsense,
};

pub const ROWS: &[Row] = &[
    row("sadd", 16, add, Exact),
    row("srem", 5, members, Exact),
    row("scard", 2, key, Exact),
    row("sismember", 2, |w, line| line.extend([w.key_of(&SETS), w.member()]), Exact),
    row("smismember", 2, members, Exact),
    row("smembers", 3, key, Sorted),
    row("smove", 3, |w, l| l.extend([w.key_of(&SETS), w.key_of(&SETS), w.member()]), Exact),
    row("sinter", 3, some, Sorted),
    row("sunion", 3, some, Sorted),
    row("sdiff", 3, some, Sorted),
    row("sinterstore", 3, stored, Exact),
    row("sunionstore", 3, stored, Exact),
    row("sdiffstore", 3, stored, Exact),
    row("sintercard", 3, card, Exact),
    row("srandmember", 3, some_members, Size),
    Row { name: "spop", weight: 3, make: Make::Action(pop) },
    fixed("spop", 1, no_pop, Exact),
    Row { name: "sscan", weight: 2, make: Make::Action(|w| scan(w, "SSCAN", &SETS, 1)) },
    fixed("sscan", 1, |w, line| scan_nonsense(w, line, &SETS), Exact),
];

fn key(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&SETS));
}

fn members(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&SETS));
    let amount = w.amount();
    line.extend((0..amount).map(|at| w.nth_member(amount, at)).collect::<Line>());
}

/// Integers only at times, near the limits of each of an intset's widths too.
fn add(w: &mut Words, line: &mut Line) {
    if w.chance(2) {
        return members(w, line);
    }
    line.push(w.key_of(&SETS));
    let from = [0, -5, 32_760, -32_770, 2_147_483_640, i64::MAX - 600][w.below(6)];
    for at in 0..w.amount() {
        line.push((from + at as i64).to_string().into_bytes());
    }
}

fn some(w: &mut Words, line: &mut Line) {
    line.extend(w.keys_of(&SETS, 4));
}

fn stored(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&SETS));
    some(w, line);
}

fn card(w: &mut Words, line: &mut Line) {
    let keys = w.keys_of(&SETS, 4);
    numbered(w, line, keys);
    if w.chance(2) {
        line.extend([w.pick(&["LIMIT", "limit", "nope"]), w.count()]);
    }
}

fn some_members(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&SETS));
    if !w.chance(4) {
        let many = w.chance(4);
        line.push(if many { w.pick(&["-3", "100000", "0", "x", "-700"]) } else { w.count() });
    }
}

fn pop(w: &mut Words) -> Action {
    let mut line = vec![w.in_some_case("spop"), w.key_of(&SETS)];
    if w.chance(2) {
        line.push(w.pick(&["1", "3", "10", "500", "9223372036854775807"]));
    }
    random(line, Size, "SCARD")
}

fn no_pop(w: &mut Words, line: &mut Line) {
    line.extend([w.key_of(&SETS), w.pick(&["0", "-1", "abc", "", "9223372036854775808", "1.5"])]);
    if w.chance(8) {
        line.push(b"1".to_vec());
    }
}
