//! One row per command on keys and strings: how often, which arguments, how replies agree.

use super::{
    relation::Relation::{self, Exact, Kind, Near, Nullness, Sorted},
    script::{Action, Line},
    words::{FLOATS, Words},
};

/// How a row makes what it stands for.
#[derive(Debug, Clone, Copy)]
pub enum Make {
    /// A command: the arguments behind its name.
    Line(fn(&mut Words, &mut Line), Relation),
    /// The same, never spoiled: other arguments would show what is known to differ.
    Fixed(fn(&mut Words, &mut Line), Relation),
    /// Something with more to it.
    Action(fn(&mut Words) -> Action),
}

/// A command and its generator.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// As COMMAND LIST says it.
    pub name: &'static str,
    /// How often, compared with others.
    pub weight: usize,
    /// What to do.
    pub make: Make,
}

/// A row whose command is one line.
pub const fn row(
    name: &'static str,
    weight: usize,
    arguments: fn(&mut Words, &mut Line),
    relation: Relation,
) -> Row {
    Row { name, weight, make: Make::Line(arguments, relation) }
}

/// A row whose lines stay as they are.
pub const fn fixed(
    name: &'static str,
    weight: usize,
    arguments: fn(&mut Words, &mut Line),
    relation: Relation,
) -> Row {
    Row { name, weight, make: Make::Fixed(arguments, relation) }
}

/// How far apart the two servers execute the same line at most: s and ms.
const SKEW: [i64; 2] = [10, 10_000];

/// Commands on keys and strings.
pub const ROWS: &[Row] = &[
    row("get", 12, one_key, Exact),
    row("set", 24, set, Exact),
    row("setnx", 3, key_value, Exact),
    row("getset", 3, key_value, Exact),
    row("append", 6, key_value, Exact),
    row("setex", 3, setex, Exact),
    row("psetex", 3, psetex, Exact),
    row("getdel", 2, one_key, Exact),
    row("getex", 5, getex, Exact),
    row("strlen", 2, one_key, Exact),
    row("setrange", 5, setrange, Exact),
    row("getrange", 4, range, Exact),
    row("substr", 2, range, Exact),
    row("incr", 4, one_key, Exact),
    row("decr", 3, one_key, Exact),
    row("incrby", 4, key_integer, Exact),
    row("decrby", 4, key_integer, Exact),
    row("incrbyfloat", 5, incrbyfloat, Exact),
    row("mget", 4, some_keys, Exact),
    row("mset", 4, pairs, Exact),
    row("msetnx", 3, pairs, Exact),
    row("lcs", 4, lcs, Exact),
    row("del", 4, some_keys, Exact),
    row("unlink", 2, some_keys, Exact),
    row("exists", 3, some_keys, Exact),
    row("touch", 2, some_keys, Exact),
    row("type", 2, one_key, Exact),
    row("expire", 4, |w, line| expire(w, line, "EX"), Exact),
    row("pexpire", 4, |w, line| expire(w, line, "PX"), Exact),
    row("expireat", 4, |w, line| expire(w, line, "EXAT"), Exact),
    row("pexpireat", 4, |w, line| expire(w, line, "PXAT"), Exact),
    row("ttl", 3, one_key, Near(SKEW[0])),
    row("expiretime", 3, one_key, Near(SKEW[0])),
    row("pttl", 3, one_key, Near(SKEW[1])),
    row("pexpiretime", 3, one_key, Near(SKEW[1])),
    row("persist", 3, one_key, Exact),
    row("rename", 5, two_keys, Exact),
    row("renamenx", 4, two_keys, Exact),
    row("move", 4, key_database, Exact),
    row("copy", 6, copy, Exact),
    row("randomkey", 1, nothing, Nullness),
    row("keys", 3, pattern, Sorted),
    Row { name: "dbsize", weight: 2, make: Make::Action(dbsize) },
    row("object", 1, sub_of_no_name, Exact),
    row("object|encoding", 5, one_key, Exact),
    // Redis shares small integers, but not their copies: we say of all that they are shared.
    row("object|refcount", 2, one_key, Kind),
    // Integers that Redis shares are as idle as the server is old.
    row("object|idletime", 1, one_key, Kind),
    row("object|freq", 1, one_key, Exact),
    row("object|help", 1, nothing, Exact),
    row("dump", 1, one_key, Nullness),
    fixed("restore", 1, restore_nonsense, Exact),
    row("memory|usage", 1, memory_usage, Nullness),
    Row { name: "scan", weight: 2, make: Make::Action(scan) },
    row("scan", 1, scan_nonsense, Kind),
];

fn nothing(_: &mut Words, _: &mut Line) {}

fn one_key(w: &mut Words, line: &mut Line) {
    line.push(w.key());
}

fn two_keys(w: &mut Words, line: &mut Line) {
    line.extend([w.key(), w.key()]);
}

fn some_keys(w: &mut Words, line: &mut Line) {
    line.extend(w.keys(5));
}

fn key_value(w: &mut Words, line: &mut Line) {
    line.extend([w.key(), w.value()]);
}

fn key_integer(w: &mut Words, line: &mut Line) {
    line.extend([w.key(), w.integer()]);
}

fn key_database(w: &mut Words, line: &mut Line) {
    line.extend([w.key(), w.database()]);
}

fn set(w: &mut Words, line: &mut Line) {
    key_value(w, line);
    if w.chance(2) {
        return;
    }
    for _ in 0..=w.below(3) {
        if w.chance(2) {
            line.extend(w.expiry_option());
        } else {
            line.push(w.pick(&["NX", "xx", "GET", "keepttl", "XX", "get"]));
        }
    }
}

fn setex(w: &mut Words, line: &mut Line) {
    line.extend([w.key(), w.time("EX"), w.value()]);
}

fn psetex(w: &mut Words, line: &mut Line) {
    line.extend([w.key(), w.time("PX"), w.value()]);
}

fn getex(w: &mut Words, line: &mut Line) {
    line.push(w.key());
    if w.chance(4) {
        line.push(w.pick(&["PERSIST", "persist"]));
    } else if w.chance(2) {
        line.extend(w.expiry_option());
    }
}

fn setrange(w: &mut Words, line: &mut Line) {
    let offset = if w.chance(5) {
        w.pick(&["536870912", "9223372036854775807", "-1", "x", "3000", "9223372036854775808"])
    } else {
        w.below(40).to_string().into_bytes()
    };
    // The longest string there may be takes half a gigabyte: engine tests make it.
    line.extend([w.key(), offset, w.value()]);
}

fn range(w: &mut Words, line: &mut Line) {
    line.push(w.key());
    for _ in 0..2 {
        let at = w.below(40) as i64 - 20;
        line.push(if w.chance(3) { w.integer() } else { at.to_string().into_bytes() });
    }
}

fn incrbyfloat(w: &mut Words, line: &mut Line) {
    let by = if w.chance(3) { w.value() } else { w.pick(&FLOATS) };
    line.extend([w.key(), by]);
}

fn pairs(w: &mut Words, line: &mut Line) {
    for _ in 0..=w.below(4) {
        key_value(w, line);
    }
}

fn lcs(w: &mut Words, line: &mut Line) {
    two_keys(w, line);
    for _ in 0..w.below(4) {
        match w.below(4) {
            0 => line.push(b"LEN".to_vec()),
            1 => line.push(b"idx".to_vec()),
            2 => line.push(b"WithMatchLen".to_vec()),
            _ => {
                let least = w.below(8).to_string().into_bytes();
                let least = if w.chance(3) { w.integer() } else { least };
                line.extend([b"MINMATCHLEN".to_vec(), least]);
            }
        }
    }
}

fn expire(w: &mut Words, line: &mut Line, unit: &str) {
    line.extend([w.key(), w.time(unit)]);
    for _ in 0..w.below(3) {
        line.push(w.pick(&["NX", "xx", "GT", "lt", "GT", "LT"]));
    }
}

fn copy(w: &mut Words, line: &mut Line) {
    two_keys(w, line);
    for _ in 0..w.below(3) {
        if w.chance(2) {
            line.push(w.pick(&["replace", "REPLACE"]));
        } else {
            line.extend([w.pick(&["DB", "db"]), w.database()]);
        }
    }
}

const PATTERNS: [&str; 14] = [
    "*", "**", "?", "[a-c]", "[^a-c]", "{t}*", "*\n", "x\\:y", "", "[", "[a-", "*[xyz]*", "\\",
    "??*",
];

fn pattern(w: &mut Words, line: &mut Line) {
    line.push(w.pick(&PATTERNS));
}

fn dbsize(w: &mut Words) -> Action {
    Action::Count(vec![w.in_some_case("dbsize")], Exact)
}

fn sub_of_no_name(w: &mut Words, line: &mut Line) {
    line.push(w.pick(&["NOPE", "", "encoding", "help"]));
    if w.chance(2) {
        line.push(w.key());
    }
}

fn restore_nonsense(w: &mut Words, line: &mut Line) {
    let ttl = w.pick(&["0", "-1", "x", "100000"]);
    line.extend([w.key(), ttl, w.value()]);
}

fn memory_usage(w: &mut Words, line: &mut Line) {
    line.push(w.key());
    if w.chance(3) {
        line.extend([b"samples".to_vec(), w.integer()]);
    }
}

fn scan(w: &mut Words) -> Action {
    let mut options = Line::new();
    if w.chance(2) {
        options.extend([b"COUNT".to_vec(), w.pick(&["1", "3", "10", "1000", "100000"])]);
    }
    if w.chance(2) {
        options.extend([b"match".to_vec(), w.pick(&PATTERNS)]);
    }
    if w.chance(4) {
        options.extend([b"TYPE".to_vec(), w.pick(&["string", "STRING", "hash", "nope"])]);
    }
    Action::Scan { command: vec![b"SCAN".to_vec()], options, width: 1 }
}

fn scan_nonsense(w: &mut Words, line: &mut Line) {
    match w.below(3) {
        0 => line.push(w.pick(&["x", "-1", "18446744073709551616", "", "1x", " 0"])),
        1 => line.extend([b"0".to_vec(), b"COUNT".to_vec(), w.pick(&["0", "-1", "x", ""])]),
        _ => line.extend([b"0".to_vec(), w.pick(&["MATCH", "nope", "COUNT", "TYPE"])]),
    }
}
