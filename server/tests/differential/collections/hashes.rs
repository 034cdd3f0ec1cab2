//! Rows of commands on hashes.

use super::{
    super::{
        relation::Relation::{Exact, Pairs, Size, Sorted},
        rows::{Make, Row, fixed, row},
        script::Line,
        words::{FLOATS, HASHES, Words},
    },
    scan, scan_nonsense,
};

pub const ROWS: &[Row] = &[
    row("hset", 14, set, Exact),
    row("hmset", 2, set, Exact),
    row("hsetnx", 3, |w, line| line.extend([w.key_of(&HASHES), w.member(), w.value()]), Exact),
    row("hget", 4, field, Exact),
    row("hmget", 3, fields, Exact),
    row("hlen", 2, key, Exact),
    row("hstrlen", 2, field, Exact),
    row("hexists", 2, field, Exact),
    row("hdel", 4, fields, Exact),
    row("hkeys", 2, key, Sorted),
    row("hvals", 2, key, Sorted),
    row("hgetall", 3, key, Pairs),
    row("hincrby", 4, |w, line| line.extend([w.key_of(&HASHES), w.member(), w.integer()]), Exact),
    row("hincrbyfloat", 4, incrbyfloat, Exact),
    row("hrandfield", 4, some, Size),
    Row { name: "hscan", weight: 2, make: Make::Action(|w| scan(w, "HSCAN", &HASHES, 2)) },
    fixed("hscan", 1, |w, line| scan_nonsense(w, line, &HASHES), Exact),
];

fn key(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&HASHES));
}

fn field(w: &mut Words, line: &mut Line) {
    line.extend([w.key_of(&HASHES), w.member()]);
}

fn fields(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&HASHES));
    let amount = w.amount();
    line.extend((0..amount).map(|at| w.nth_member(amount, at)).collect::<Line>());
}

fn set(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&HASHES));
    let amount = w.amount();
    for at in 0..amount {
        line.push(w.nth_member(amount, at));
        line.push(if w.chance(3) { w.value() } else { w.member() });
    }
}

fn incrbyfloat(w: &mut Words, line: &mut Line) {
    field(w, line);
    line.push(if w.chance(3) { w.value() } else { w.pick(&FLOATS) });
}

/// Random fields; the more of them there are, the less random they are.
fn some(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&HASHES));
    if w.chance(4) {
        return;
    }
    line.push(if w.chance(4) { w.pick(&["-3", "100000", "0", "x", "-700"]) } else { w.count() });
    if w.chance(2) {
        line.push(w.pick(&["WITHVALUES", "withvalues", "WITHVALUES", "nope"]));
    }
}
