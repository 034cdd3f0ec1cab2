//! Rows of commands on streams. Ids are explicit: what a clock makes differs.

use super::{
    super::{
        relation::Relation::{Exact, Kind, Stream},
        rows::{Make, Row, fixed, row},
        script::{Action, Line},
        words::{STREAMS, Words},
    },
    random, words,
};

pub const ROWS: &[Row] = &[
    fixed("xadd", 24, add, Exact),
    Row { name: "xadd", weight: 1, make: Make::Action(add_now) },
    row("xlen", 2, key, Exact),
    row("xrange", 3, range, Exact),
    row("xrevrange", 3, range, Exact),
    row("xdel", 3, |w, line| with_ids(w, line, 8), Exact),
    row("xtrim", 2, xtrim, Exact),
    row("xsetid", 2, setid, Exact),
    fixed("xread", 4, read, Exact),
    Row { name: "xreadgroup", weight: 8, make: Make::Action(readgroup) },
    row("xack", 4, ack, Exact),
    row("xpending", 4, pending, Stream),
    Row { name: "xclaim", weight: 4, make: Make::Action(|w| claimed(w, "xclaim", claim)) },
    Row {
        name: "xautoclaim",
        weight: 4,
        make: Make::Action(|w| claimed(w, "xautoclaim", autoclaim)),
    },
    fixed("xgroup", 1, |w, line| line.push(w.pick(&["nope", "", "create", "help x"])), Exact),
    row("xgroup|create", 6, group_create, Exact),
    row("xgroup|setid", 2, group_setid, Exact),
    row("xgroup|destroy", 1, key_group, Exact),
    row("xgroup|createconsumer", 2, key_group_consumer, Exact),
    row("xgroup|delconsumer", 1, key_group_consumer, Exact),
    fixed("xgroup|help", 1, |_, _| {}, Exact),
    fixed("xinfo", 1, |w, line| line.push(w.pick(&["nope", "", "stream", "help x"])), Exact),
    row("xinfo|stream", 4, info_stream, Stream),
    row("xinfo|groups", 2, key, Stream),
    row("xinfo|consumers", 2, key_group, Stream),
    fixed("xinfo|help", 1, |_, _| {}, Exact),
];

fn key(w: &mut Words, line: &mut Line) {
    line.push(w.key_of(&STREAMS));
}

fn group(w: &mut Words) -> Vec<u8> {
    w.pick(&["g", "g", "g", "h", "h", "none"])
}

fn consumer(w: &mut Words) -> Vec<u8> {
    w.pick(&["alice", "bob", "carol", ""])
}

/// The id of an entry, as a rule one that there has been not long ago.
fn id(w: &mut Words) -> Vec<u8> {
    match w.below(20) {
        0 => w.pick(&["0", "-", "+", "x", "5-", "$", ">", "0-0", "007-1", "1-*", ""]),
        1 => w.pick(&[
            "18446744073709551615-18446744073709551615",
            "18446744073709551616-1",
            "1-1-1",
        ]),
        2..=5 => w.below(400).to_string().into_bytes(),
        _ => {
            let (step, back) = (w.step(), w.below(60));
            format!("{}-{}", step.saturating_sub(back), w.below(3)).into_bytes()
        }
    }
}

fn bound(w: &mut Words) -> Vec<u8> {
    match w.below(5) {
        0 => w.pick(&["(0", "(5-1", "(+", "(-", "(18446744073709551615", "("]),
        1 | 2 => w.pick(&["-", "+"]),
        _ => id(w),
    }
}

fn trim(w: &mut Words, line: &mut Line) {
    let maxlen = w.chance(2);
    line.push(if maxlen { b"MAXLEN".to_vec() } else { b"minid".to_vec() });
    let mark = w.below(3);
    if mark > 0 {
        line.push([&b"~"[..], b"="][mark - 1].to_vec());
    }
    line.push(if maxlen { w.below(150).to_string().into_bytes() } else { id(w) });
    if w.chance(6) {
        line.extend([b"LIMIT".to_vec(), w.below(200).to_string().into_bytes()]);
    }
}

fn pairs(w: &mut Words, line: &mut Line) {
    for at in 0..=w.below(3) {
        let field = if w.chance(8) { "other" } else { "field" };
        line.extend([format!("{field}{at}").into_bytes(), w.member()]);
    }
}

fn add(w: &mut Words, line: &mut Line) {
    key(w, line);
    if w.chance(10) {
        line.push(b"NOMKSTREAM".to_vec());
    }
    if w.chance(12) {
        trim(w, line);
    }
    let step = w.step();
    line.push(match w.below(20) {
        0 => id(w),
        1 | 2 => format!("{step}-*").into_bytes(),
        // From then on a clock would have to be far ahead.
        3 if w.chance(20) => b"9999999999999-5".to_vec(),
        _ => format!("{step}-{}", w.below(4)).into_bytes(),
    });
    pairs(w, line);
}

/// An id of now.
fn add_now(w: &mut Words) -> Action {
    let mut line = vec![w.in_some_case("xadd"), w.key_of(&STREAMS), b"*".to_vec()];
    pairs(w, &mut line);
    random(line, Kind, "XLEN")
}

fn range(w: &mut Words, line: &mut Line) {
    line.extend([w.key_of(&STREAMS), bound(w), bound(w)]);
    if w.chance(2) {
        let count = w.below(8) as i64 - 1;
        line.extend([b"COUNT".to_vec(), count.to_string().into_bytes()]);
    }
}

fn with_ids(w: &mut Words, line: &mut Line, most: usize) {
    key(w, line);
    for _ in 0..=w.below(most) {
        line.push(id(w));
    }
}

fn xtrim(w: &mut Words, line: &mut Line) {
    key(w, line);
    trim(w, line);
}

fn setid(w: &mut Words, line: &mut Line) {
    key(w, line);
    let step = w.step();
    line.push(if w.chance(3) { id(w) } else { format!("{step}-0").into_bytes() });
    if w.chance(2) {
        line.extend([b"ENTRIESADDED".to_vec(), w.count(), b"MAXDELETEDID".to_vec(), id(w)]);
    }
}

fn waits(w: &mut Words, line: &mut Line) {
    if w.chance(4) {
        line.extend([b"BLOCK".to_vec(), w.pick(&["1", "2", "-1", "x", "", "1.5"])]);
    }
}

/// The keys.
fn streams(w: &mut Words, line: &mut Line, ids: fn(&mut Words) -> Vec<u8>) -> Line {
    line.push(w.pick(&["STREAMS", "streams"]));
    let keys = w.keys_of(&STREAMS, 3);
    let fewer = usize::from(w.chance(20));
    let ids: Line = (0..keys.len() - fewer).map(|_| ids(w)).collect();
    line.extend(keys.iter().cloned());
    line.extend(ids);
    keys
}

fn read(w: &mut Words, line: &mut Line) {
    if w.chance(2) {
        line.extend([b"COUNT".to_vec(), w.count()]);
    }
    waits(w, line);
    streams(w, line, |w| if w.chance(5) { b"$".to_vec() } else { id(w) });
}

/// Redis does not log that a consumer has come which gets nothing: there it is before.
fn consumer_first(line: Line, keys: &[Vec<u8>], group: &[u8], consumer: &[u8]) -> Action {
    let create = |key: &Vec<u8>| {
        let mut create = words("XGROUP CREATECONSUMER");
        create.extend([key.clone(), group.to_vec(), consumer.to_vec()]);
        (create, Exact)
    };
    let mut lines: Vec<_> = keys.iter().map(create).collect();
    lines.push((line, Exact));
    Action::Lines(lines)
}

/// XCLAIM or XAUTOCLAIM.
fn claimed(w: &mut Words, name: &str, arguments: fn(&mut Words, &mut Line)) -> Action {
    let mut line = vec![w.in_some_case(name)];
    arguments(w, &mut line);
    let (key, group, consumer) = (line[1].clone(), line[2].clone(), line[3].clone());
    if w.chance(30) {
        line.pop();
    }
    consumer_first(line, &[key], &group, &consumer)
}

fn readgroup(w: &mut Words) -> Action {
    let (group, consumer) = (group(w), consumer(w));
    let mut line = vec![w.in_some_case("xreadgroup"), b"GROUP".to_vec()];
    line.extend([group.clone(), consumer.clone()]);
    let keys = readgroup_options(w, &mut line);
    consumer_first(line, &keys, &group, &consumer)
}

fn readgroup_options(w: &mut Words, line: &mut Line) -> Line {
    if w.chance(2) {
        line.extend([b"count".to_vec(), w.count()]);
    }
    waits(w, line);
    if w.chance(5) {
        line.push(b"NOACK".to_vec());
    }
    streams(w, line, |w| if w.chance(4) { id(w) } else { b">".to_vec() })
}

fn key_group(w: &mut Words, line: &mut Line) {
    line.extend([w.key_of(&STREAMS), group(w)]);
}

fn key_group_consumer(w: &mut Words, line: &mut Line) {
    key_group(w, line);
    line.push(consumer(w));
}

fn ack(w: &mut Words, line: &mut Line) {
    key_group(w, line);
    for _ in 0..=w.below(8) {
        line.push(id(w));
    }
}

/// Idle times: none, or longer than the test takes.
fn idle(w: &mut Words) -> Vec<u8> {
    w.pick(&["0", "0", "0", "9999999", "-1", "x"])
}

fn pending(w: &mut Words, line: &mut Line) {
    key_group(w, line);
    if w.chance(3) {
        return;
    }
    if w.chance(3) {
        line.extend([b"IDLE".to_vec(), idle(w)]);
    }
    line.extend([bound(w), bound(w), w.count()]);
    if w.chance(2) {
        line.push(consumer(w));
    }
}

fn claim(w: &mut Words, line: &mut Line) {
    key_group_consumer(w, line);
    line.push(idle(w));
    for _ in 0..=w.below(5) {
        line.push(id(w));
    }
    for _ in 0..w.below(3) {
        match w.below(6) {
            0 => line.push(b"JUSTID".to_vec()),
            1 => line.push(b"force".to_vec()),
            2 => line.extend([b"RETRYCOUNT".to_vec(), w.count()]),
            3 => line.extend([b"LASTID".to_vec(), id(w)]),
            4 => line.extend([b"IDLE".to_vec(), w.pick(&["0", "100000000", "-1", "x"])]),
            _ => line.extend([b"TIME".to_vec(), w.pick(&["0", "100000", "-5", "x"])]),
        }
    }
}

fn autoclaim(w: &mut Words, line: &mut Line) {
    key_group_consumer(w, line);
    line.extend([idle(w), bound(w)]);
    if w.chance(2) {
        line.extend([b"COUNT".to_vec(), w.count()]);
    }
    if w.chance(3) {
        line.push(b"JUSTID".to_vec());
    }
}

fn last_id(w: &mut Words, line: &mut Line) {
    line.push(match w.below(4) {
        0 => b"$".to_vec(),
        1 | 2 => b"0".to_vec(),
        _ => id(w),
    });
}

fn entries_read(w: &mut Words, line: &mut Line) {
    if w.chance(4) {
        let word = w.pick(&["ENTRIESREAD", "entriesread"]);
        line.extend([word, w.pick(&["0", "3", "20", "-1", "-2", "x"])]);
    }
}

fn group_create(w: &mut Words, line: &mut Line) {
    key_group(w, line);
    last_id(w, line);
    if w.chance(4) {
        line.push(w.pick(&["MKSTREAM", "mkstream"]));
    }
    entries_read(w, line);
}

fn group_setid(w: &mut Words, line: &mut Line) {
    key_group(w, line);
    last_id(w, line);
    entries_read(w, line);
}

fn info_stream(w: &mut Words, line: &mut Line) {
    key(w, line);
    if w.chance(2) {
        line.push(w.pick(&["FULL", "full"]));
        if w.chance(2) {
            line.extend([b"COUNT".to_vec(), w.count()]);
        }
    }
}
