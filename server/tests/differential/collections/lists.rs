//! Rows of commands on lists, those that wait included: they wait for a millisecond.

use super::{
    super::{
        relation::Relation::Exact,
        rows::{Row, fixed, row},
        script::Line,
        words::{LISTS, Words},
    },
    numbered,
};

pub const ROWS: &[Row] = &[
    row("lpush", 6, push, Exact),
    row("rpush", 10, push, Exact),
    row("lpushx", 2, push, Exact),
    row("rpushx", 2, push, Exact),
    row("lpop", 3, pop, Exact),
    row("rpop", 3, pop, Exact),
    row("llen", 2, |w, line| line.push(w.key_of(&LISTS)), Exact),
    row("lindex", 3, |w, line| line.extend([w.key_of(&LISTS), w.index()]), Exact),
    row("lset", 4, |w, line| line.extend([w.key_of(&LISTS), w.index(), w.member()]), Exact),
    row("lrange", 5, |w, line| line.extend([w.key_of(&LISTS), w.index(), w.index()]), Exact),
    row("ltrim", 2, trim, Exact),
    row("lrem", 3, |w, line| line.extend([w.key_of(&LISTS), w.index(), w.member()]), Exact),
    row("linsert", 4, insert, Exact),
    row("lpos", 4, position, Exact),
    row("lmove", 4, lmove, Exact),
    row("rpoplpush", 3, |w, line| line.extend([w.key_of(&LISTS), w.key_of(&LISTS)]), Exact),
    row("lmpop", 3, lmpop, Exact),
    fixed("blpop", 2, blocking_pop, Exact),
    fixed("brpop", 2, blocking_pop, Exact),
    fixed("blmove", 2, blmove, Exact),
    fixed("brpoplpush", 2, brpoplpush, Exact),
    fixed("blmpop", 2, blmpop, Exact),
];

/// How long to wait: a moment, or no time at all. None waits for ever.
pub fn timeout(w: &mut Words) -> Vec<u8> {
    w.pick(&["0.001", "0.001", "0.002", "1e-3", "-1", "x", "nan", "inf", "1e100", "", "-0.5"])
}

fn push(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&LISTS));
    for _ in 0..w.amount() {
        let long = w.chance(30);
        line.push(if long { vec![b'y'; 2000 + w.below(9000)] } else { w.member() });
    }
}

fn pop(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&LISTS));
    if w.chance(2) {
        line.push(w.count());
    }
}

fn trim(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&LISTS));
    if w.chance(2) {
        line.extend([w.index(), w.index()]);
    } else {
        line.extend([b"1".to_vec(), b"-2".to_vec()]);
    }
}

fn insert(w: &mut Words, line: &mut Line) {
    let side = w.pick(&["BEFORE", "after", "AFTER", "before", "beside"]);
    line.extend([w.key_of(&LISTS), side, w.member(), w.member()]);
}

fn position(w: &mut Words, line: &mut Line) {
    line.extend([w.key_of(&LISTS), w.member()]);
    for _ in 0..w.below(4) {
        line.push(w.pick(&["RANK", "count", "MAXLEN", "RANK", "COUNT", "NOPE"]));
        line.push(if w.chance(3) { w.index() } else { w.count() });
    }
}

fn end(w: &mut Words) -> Vec<u8> {
    let ends = ["LEFT", "right", "Left", "RIGHT"];
    if w.chance(20) { b"middle".to_vec() } else { w.pick(&ends) }
}

fn lmove(w: &mut Words, line: &mut Line) {
    line.extend([w.key_of(&LISTS), w.key_of(&LISTS), end(w), end(w)]);
}

fn ends_of_some(w: &mut Words, line: &mut Line) {
    let keys = w.keys_of(&LISTS, 4);
    numbered(w, line, keys);
    line.push(end(w));
    if w.chance(2) {
        line.extend([w.pick(&["COUNT", "count", "COUNT", "nope"]), w.count()]);
    }
}

fn lmpop(w: &mut Words, line: &mut Line) {
    ends_of_some(w, line);
}

fn blmpop(w: &mut Words, line: &mut Line) {
    line.push(timeout(w));
    ends_of_some(w, line);
}

fn blocking_pop(w: &mut Words, line: &mut Line) {
    line.extend(w.keys_of(&LISTS, 4));
    line.push(timeout(w));
}

/// Both keys in one slot.
fn tagged(w: &mut Words) -> [Vec<u8>; 2] {
    const TAGGED: [&str; 5] = ["{t}l", "{t}1", "{t}2", "{t}l", "{t}s"];
    if w.chance(4) {
        let key = w.key_of(&LISTS);
        return [key.clone(), key];
    }
    [w.pick(&TAGGED), w.pick(&TAGGED)]
}

fn blmove(w: &mut Words, line: &mut Line) {
    line.extend(tagged(w));
    line.extend([end(w), end(w), timeout(w)]);
}

fn brpoplpush(w: &mut Words, line: &mut Line) {
    line.extend(tagged(w));
    line.push(timeout(w));
}
