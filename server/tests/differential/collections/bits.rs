//! Rows of commands on bitmaps and HyperLogLogs.

use super::super::{
    relation::Relation::Exact,
    rows::{Make, Row, fixed, row},
    script::{Action, Line},
    words::{BITMAPS, SKETCHES, Words},
};

pub const ROWS: &[Row] = &[
    row("setbit", 6, setbit, Exact),
    row("getbit", 2, |w, line| line.extend([w.key_of(&BITMAPS), offset(w)]), Exact),
    row("bitcount", 4, |w, line| count(w, line, false), Exact),
    row("bitpos", 4, |w, line| count(w, line, true), Exact),
    row("bitop", 5, bitop, Exact),
    row("bitfield", 5, |w, line| fields(w, line, false), Exact),
    Row { name: "bitfield", weight: 1, make: Make::Action(fail) },
    row("bitfield_ro", 2, |w, line| fields(w, line, true), Exact),
    row("pfadd", 6, pfadd, Exact),
    row("pfcount", 3, |w, line| line.extend(w.keys_of(&SKETCHES, 3)), Exact),
    row("pfmerge", 3, |w, line| line.extend(w.keys_of(&SKETCHES, 4)), Exact),
    row("pfdebug", 3, pfdebug, Exact),
    fixed("pfselftest", 1, |_, line| line.push(b"x".to_vec()), Exact),
];

fn offset(w: &mut Words) -> Vec<u8> {
    match w.below(14) {
        0 => w.pick(&["4294967296", "-1", "x", "#3", "", "9223372036854775807", "100000"]),
        _ => w.below(500).to_string().into_bytes(),
    }
}

fn setbit(w: &mut Words, line: &mut Line) {
    let bit = w.pick(&["0", "1", "1", "0", "1", "2"]);
    line.extend([w.key_of(&BITMAPS), offset(w), bit]);
}

fn count(w: &mut Words, line: &mut Line, position: bool) {
    line.push(w.key_of(&BITMAPS));
    if position {
        line.push(w.pick(&["0", "1", "0", "1", "0", "1", "2", "x"]));
    }
    let ends = w.below(3);
    for _ in 0..ends {
        let end = (w.below(120) as i64 - 60).to_string().into_bytes();
        line.push(if w.chance(8) { w.integer() } else { end });
    }
    if ends == 2 && w.chance(2) {
        line.push(w.pick(&["BIT", "bit", "byte", "BYTE", "bytes"]));
    }
}

fn bitop(w: &mut Words, line: &mut Line) {
    line.push(w.pick(&["AND", "or", "XOR", "not", "NOT", "xor", "and", "NAND"]));
    line.extend([w.key_of(&BITMAPS), w.key_of(&BITMAPS)]);
    if !line[1].eq_ignore_ascii_case(b"not") || w.chance(10) {
        line.extend(w.keys_of(&BITMAPS, 3));
    }
}

fn fields(w: &mut Words, line: &mut Line, reads: bool) {
    line.push(w.key_of(&BITMAPS));
    let reads = reads && !w.chance(8);
    for _ in 0..w.below(5) {
        let sub = if reads { 0 } else { w.below(6) };
        if sub == 5 {
            line.push(b"OVERFLOW".to_vec());
            line.push(w.pick(&["wrap", "SAT", "wrap", "sat", "nope"]));
            continue;
        }
        let sign = w.pick(&["i", "u", "i", "u", "u", "x"]);
        let width = w.below(66).to_string().into_bytes();
        let hash = if w.chance(4) { "#" } else { "" };
        let offset = format!("{hash}{}", w.below(90)).into_bytes();
        let word = w.pick(&[["GET", "set", "INCRBY", "incrby", "SET"][sub]]);
        line.extend([word, [sign, width].concat(), offset]);
        if sub > 0 {
            line.push(w.integer());
        }
    }
}

/// What fails has made room, which Redis does not log: the key goes.
fn fail(w: &mut Words) -> Action {
    let mut line = vec![b"BITFIELD".to_vec()];
    fields(w, &mut line, false);
    let key = line[1].clone();
    line.splice(2..2, [b"OVERFLOW".to_vec(), w.pick(&["fail", "FAIL"])]);
    Action::Lines(vec![(line, Exact), (vec![b"DEL".to_vec(), key], Exact)])
}

fn pfadd(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&SKETCHES));
    let most = if w.chance(12) { 700 } else { 5 };
    for _ in 0..w.below(most) {
        line.push(w.below(3000).to_string().into_bytes());
    }
}

fn pfdebug(w: &mut Words, line: &mut Line) {
    line.push(w.pick(&["ENCODING", "decode", "todense", "GETREG", "decode", "nope"]));
    line.push(w.key_of(&SKETCHES));
}
