//! What is done to values of every kind: sorted, dumped and restored by the other server, shown by
//! settings of encodings, and whose keys a line has.

use super::{
    super::{
        generator::data_line,
        relation::Relation::{self, Exact, Size, Sorted},
        rows::{Make, Row, fixed},
        script::{Action, Line},
        words::{LISTS, SETS, Words, ZSETS},
    },
    words,
};

pub const ROWS: &[Row] = &[
    Row { name: "sort", weight: 4, make: Make::Action(|w| sort(w, "sort")) },
    Row { name: "sort_ro", weight: 3, make: Make::Action(|w| sort(w, "sort_ro")) },
    Row { name: "sort", weight: 1, make: Make::Action(sort_weights) },
    Row { name: "restore", weight: 3, make: Make::Action(exchange) },
    fixed("restore", 1, options, Exact),
    Row { name: "config|set", weight: 4, make: Make::Action(threshold) },
    fixed("command|getkeys", 4, getkeys, Exact),
    fixed("command|getkeysandflags", 2, getkeys, Sorted),
];

const PATTERNS: [&str; 10] =
    ["h*->1", "h*->m1", "*->2", "s*", "{t}*", "nokey_*", "*", "*->", "l*", "{t}*->m1"];

fn sorted(w: &mut Words) -> Vec<u8> {
    match w.below(5) {
        0 | 1 => w.key_of(&LISTS),
        2 => w.key_of(&SETS),
        3 => w.key_of(&ZSETS),
        _ => w.key(),
    }
}

/// Weights that are texts and equal leave the order open: those are in a row of their own. So does
/// the order of a set that is not sorted, unless it is stored.
fn sort(w: &mut Words, name: &str) -> Action {
    let mut line = vec![w.in_some_case(name), sorted(w)];
    let stores = name == "sort" && w.chance(3);
    let alpha = w.chance(3);
    if alpha {
        line.push(w.pick(&["ALPHA", "alpha"]));
    } else if w.chance(3) {
        line.extend([b"BY".to_vec(), w.pick(&PATTERNS)]);
    }
    for _ in 0..w.below(4) {
        match w.below(3) {
            0 => line.push(w.pick(&["ASC", "desc", "DESC"])),
            1 => line.extend([b"LIMIT".to_vec(), w.index(), w.index()]),
            _ => {
                let pattern = if w.chance(3) { b"#".to_vec() } else { w.pick(&PATTERNS) };
                line.extend([b"get".to_vec(), pattern]);
            }
        }
    }
    if stores {
        line.extend([b"STORE".to_vec(), if w.chance(2) { w.key() } else { w.key_of(&LISTS) }]);
    }
    if w.chance(12) {
        line.push(w.pick(&["LIMIT", "GET", "nope", "STORE", "BY"]));
    }
    // C strings end at a zero, and those that are equal then are in any order.
    let has_limit = line.iter().any(|word| word.eq_ignore_ascii_case(b"limit"));
    after_good_float(
        line,
        match (alpha && !stores, has_limit) {
            (true, true) => Size,
            (true, false) => Sorted,
            _ => Exact,
        },
    )
}

/// Redis looks at an error of the C library that an earlier command may have left, unless one in
/// between has begun to read a number.
fn after_good_float(line: Line, how: Relation) -> Action {
    Action::Lines(vec![(words("INCRBYFLOAT nokey x"), Exact), (line, how)])
}

fn sort_weights(w: &mut Words) -> Action {
    let mut line = vec![b"SORT".to_vec(), sorted(w), b"ALPHA".to_vec(), b"by".to_vec()];
    line.push(if w.chance(3) { w.pick(&["nosort", "", "#"]) } else { w.pick(&PATTERNS) });
    if w.chance(2) {
        line.push(b"DESC".to_vec());
    }
    after_good_float(line, Sorted)
}

/// Any two keys, as a rule of collections.
fn exchange(w: &mut Words) -> Action {
    Action::Exchange { from: w.key_in_use(), to: w.key_in_use() }
}

/// RESTORE with options that are wrong, or a payload that is.
fn options(w: &mut Words, line: &mut Line) {
    line.extend([w.key(), w.pick(&["0", "-1", "x", "100000"]), w.value()]);
    for _ in 0..w.below(4) {
        match w.below(5) {
            0 => line.push(w.pick(&["REPLACE", "replace", "nope"])),
            1 => line.push(b"ABSTTL".to_vec()),
            2 => line.extend([b"IDLETIME".to_vec(), w.pick(&["0", "-1", "x", "100"])]),
            3 => line.extend([b"FREQ".to_vec(), w.pick(&["0", "-1", "x", "255", "256"])]),
            _ => line.push(b"FREQ".to_vec()),
        }
    }
}

/// Where encodings change; what was made before stays as it is.
fn threshold(w: &mut Words) -> Action {
    let settings: &[&str] = &[
        "hash-max-listpack-entries 512",
        "hash-max-listpack-entries 4",
        "hash-max-ziplist-entries 0",
        "hash-max-listpack-value 64",
        "hash-max-listpack-value 4",
        "set-max-intset-entries 512",
        "set-max-intset-entries 4",
        "set-max-intset-entries 0",
        "zset-max-listpack-entries 128",
        "zset-max-listpack-entries 4",
        "zset-max-ziplist-entries 0",
        "zset-max-listpack-value 64",
        "zset-max-listpack-value 4",
        "list-max-listpack-size -2",
        "list-max-listpack-size 4",
        "list-max-ziplist-size -1",
        "stream-node-max-entries 100",
        "stream-node-max-entries 3",
    ];
    let setting = settings[w.below(settings.len())];
    Action::Lines(vec![(words(&format!("CONFIG SET {setting}")), Exact)])
}

fn getkeys(w: &mut Words, line: &mut Line) {
    line.extend(data_line(w).0);
}
