//! Rows of commands on places.

use super::super::{
    relation::Relation::Exact,
    rows::{Row, row},
    script::Line,
    words::{PLACES, Words},
};

pub const ROWS: &[Row] = &[
    row("geoadd", 8, add, Exact),
    row("geopos", 2, members, Exact),
    row("geohash", 2, members, Exact),
    row("geodist", 2, distance, Exact),
    row("geosearch", 4, search, Exact),
    row("geosearchstore", 3, store, Exact),
    row("georadius", 2, |w, line| radius(w, line, false, true), Exact),
    row("georadius_ro", 1, |w, line| radius(w, line, false, false), Exact),
    row("georadiusbymember", 2, |w, line| radius(w, line, true, true), Exact),
    row("georadiusbymember_ro", 1, |w, line| radius(w, line, true, false), Exact),
];

fn member(w: &mut Words) -> Vec<u8> {
    format!("p{}", w.below(60)).into_bytes()
}

fn degrees(w: &mut Words, line: &mut Line) {
    for max in [180, 90] {
        let part = w.below(1_000_000);
        let whole = w.below(2 * max) as i64 - max as i64;
        let edge = w.chance(40);
        let text = format!("{whole}.{part:06}").into_bytes();
        line.push(if edge { w.pick(&["180", "-180.1", "90", "85.06", "nan", "x"]) } else { text });
    }
}

fn add(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&PLACES));
    for _ in 0..w.below(3) {
        line.push(w.pick(&["CH", "nx", "XX", "ch"]));
    }
    for _ in 0..=w.below(6) {
        degrees(w, line);
        line.push(member(w));
    }
}

fn members(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&PLACES));
    for _ in 0..w.below(4) {
        line.push(member(w));
    }
}

fn distance(w: &mut Words, line: &mut Line) {
    line.extend([w.key_of(&PLACES), member(w), member(w)]);
    if w.chance(2) {
        line.push(w.pick(&["m", "KM", "ft", "mi", "x"]));
    }
}

fn lengths(w: &mut Words, line: &mut Line, many: usize) {
    for _ in 0..many {
        let most = [10, 1_000, 30_000][w.below(3)];
        let edge = w.chance(20);
        let text = format!("{}.{}", w.below(most), w.below(10)).into_bytes();
        line.push(if edge { w.pick(&["-1", "x", "0", "inf", "nan", "1e300"]) } else { text });
    }
    line.push(w.pick(&["m", "km", "KM", "mi", "ft", "km", "km", "in"]));
}

fn options(w: &mut Words, line: &mut Line, stores: bool, shows: bool) {
    for _ in 0..w.below(4) {
        match w.below(7) {
            0 => line.extend([b"COUNT".to_vec(), w.below(12).to_string().into_bytes()]),
            1 => line.extend([b"count".to_vec(), b"3".to_vec(), b"ANY".to_vec()]),
            2 if stores => line.extend([w.pick(&["STORE", "storedist"]), w.key_of(&PLACES)]),
            3 => line.push(w.pick(&["ASC", "desc"])),
            4 | 5 if shows => line.push(w.pick(&["WITHDIST", "withcoord", "WITHHASH"])),
            _ => {}
        }
    }
}

fn center(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&PLACES));
    if w.chance(2) {
        line.extend([b"FROMMEMBER".to_vec(), member(w)]);
    } else {
        line.push(b"fromlonlat".to_vec());
        degrees(w, line);
    }
    let by = w.below(2);
    line.push([&b"BYRADIUS"[..], b"bybox"][by].to_vec());
    lengths(w, line, 1 + by);
}

fn search(w: &mut Words, line: &mut Line) {
    center(w, line);
    options(w, line, false, true);
}

fn store(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&PLACES));
    center(w, line);
    options(w, line, false, false);
    if w.chance(3) {
        line.push(b"STOREDIST".to_vec());
    }
}

fn radius(w: &mut Words, line: &mut Line, of_member: bool, stores: bool) {
    line.push(w.key_of(&PLACES));
    if of_member {
        line.push(member(w));
    } else {
        degrees(w, line);
    }
    lengths(w, line, 1);
    options(w, line, stores, true);
}
