//! One row per command on collections and on strings that are more than text.

mod bits;
mod hashes;
mod lists;
mod payloads;
mod places;
mod sets;
mod streams;
mod zsets;

use super::{
    relation::Relation::Exact,
    rows::Row,
    script::{Action, Line},
    words::Words,
};

/// Rows by kind of value.
pub const ROWS: [&[Row]; 8] = [
    lists::ROWS,
    hashes::ROWS,
    sets::ROWS,
    zsets::ROWS,
    streams::ROWS,
    bits::ROWS,
    places::ROWS,
    payloads::ROWS,
];

fn words(line: &str) -> Line {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

/// Lists, sets or sorted sets by number, now and then not as many as it says.
fn numbered(w: &mut Words, line: &mut Line, keys: Line) {
    let wrong = ["0", "-1", "3", "7", "x", "", "9223372036854775807", "9223372036854775808"];
    let right = keys.len().to_string().into_bytes();
    line.push(if w.chance(20) { w.pick(&wrong) } else { right });
    line.extend(keys);
}

/// HSCAN and its relatives, from the start to the end.
fn scan(w: &mut Words, name: &str, kind: &[&str], width: usize) -> Action {
    let command = vec![name.as_bytes().to_vec(), w.key_of(kind)];
    let mut options = Line::new();
    if w.chance(2) {
        options.extend([b"COUNT".to_vec(), w.pick(&["1", "3", "10", "1000", "100000"])]);
    }
    if w.chance(2) {
        options.extend([b"match".to_vec(), w.pick(&["*", "m*", "?", "[0-9]*", "*2", "nope"])]);
    }
    Action::Scan { command, options, width }
}

/// The same with nonsense.
fn scan_nonsense(w: &mut Words, line: &mut Line, kind: &[&str]) {
    line.push(w.key_of(kind));
    match w.below(4) {
        0 => line.push(w.pick(&["x", "18446744073709551616", "1x", " 0"])),
        1 => line.extend([b"0".to_vec(), b"COUNT".to_vec(), w.pick(&["0", "-1", "x", ""])]),
        2 => line.extend([b"0".to_vec(), w.pick(&["MATCH", "nope", "COUNT", "TYPE"])]),
        _ => line.extend(words("0 TYPE hash")),
    }
}

/// A line whose effect is random, then those that show how much there is, and then the key goes.
fn random(line: Line, how: super::relation::Relation, counts: &str) -> Action {
    let key = line[1].clone();
    let count = vec![counts.as_bytes().to_vec(), key.clone()];
    Action::Lines(vec![(line, how), (count, Exact), (vec![b"DEL".to_vec(), key], Exact)])
}
