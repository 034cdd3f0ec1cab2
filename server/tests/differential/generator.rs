//! Scripts from a seed: bursts of commands, each on one of the connections.

use super::{
    collections,
    relation::Relation,
    rows::{self, Make, Row},
    script::{Action, CONNECTIONS, Course, Ending, Item, Line, Script},
    server_rows,
    words::Words,
};

/// All rows.
pub fn rows() -> impl Iterator<Item = &'static Row> + Clone {
    data_rows().chain(server_rows::ROWS)
}

fn data_rows() -> impl Iterator<Item = &'static Row> + Clone {
    rows::ROWS.iter().chain(collections::ROWS.into_iter().flatten())
}

/// One of them, as often as they say.
fn choose(words: &mut Words, rows: impl Iterator<Item = &'static Row> + Clone) -> &'static Row {
    let mut at = words.below(rows.clone().map(|row| row.weight).sum());
    let mut chosen = None;
    for row in rows {
        chosen = Some(row);
        match at.checked_sub(row.weight) {
            Some(rest) => at = rest,
            None => break,
        }
    }
    chosen.expect("there are rows")
}

/// A line on keys, and how replies to it agree.
pub fn data_line(words: &mut Words) -> (Line, Relation) {
    loop {
        let row = choose(words, data_rows());
        if let Make::Line(arguments, relation) | Make::Fixed(arguments, relation) = row.make {
            let mut line: Line = row.name.split('|').map(|name| words.in_some_case(name)).collect();
            arguments(words, &mut line);
            if matches!(row.make, Make::Line(..)) {
                words.spoil(&mut line);
            }
            return (line, relation);
        }
    }
}

/// Fields of the key that makes checkpoints long, and bytes of each.
const HEAVY: (usize, usize) = (20_000, 100);

/// A hash that takes some time to write.
fn heavy() -> Action {
    let mut line: Line = vec![b"HSET".to_vec(), b"heavy".to_vec()];
    for at in 0..HEAVY.0 {
        line.extend([at.to_string().into_bytes(), vec![b'.'; HEAVY.1]]);
    }
    Action::Lines(vec![
        (vec![b"DEL".to_vec(), b"heavy".to_vec()], Relation::Kind),
        (line, Relation::Exact),
    ])
}

/// A script of about so many commands.
pub fn script(seed: u64, base_ms: i64, commands: usize, course: Course) -> Script {
    let mut words = Words::new(seed, base_ms);
    let protocols = std::array::from_fn(|_| if words.chance(2) { 2 } else { 3 });
    let mut items = Vec::new();
    let mut done = 0;
    let part = commands / (course.restarts + 1) + 1;
    if course.heavy {
        items.push(Item { connection: 0, action: heavy() });
    }
    while done < commands {
        let connection = words.below(CONNECTIONS);
        for _ in 0..=words.below(40) {
            let before = done / part;
            let item = Item { connection, action: action(&mut words, course) };
            done += item.commands();
            items.push(item);
            if done / part > before && done < commands {
                let ending = if words.chance(2) { Ending::Stop } else { Ending::Kill };
                items.push(Item { connection, action: Action::Restart(ending) });
            }
        }
    }
    Script { protocols, items }
}

fn action(words: &mut Words, course: Course) -> Action {
    if !course.checkpoints.is_empty() && words.chance(course.every) {
        // Nothing but what is flushed takes it away.
        if course.heavy && words.chance(12) {
            return heavy();
        }
        return Action::Checkpoint(course.checkpoints[words.below(course.checkpoints.len())]);
    }
    match words.below(1500) {
        0 => return expiry(words),
        1..=3 => return raw(words),
        _ => {}
    }
    let row = choose(words, rows());
    match row.make {
        Make::Action(make) => make(words),
        Make::Line(arguments, relation) | Make::Fixed(arguments, relation) => {
            let mut line: Line = row.name.split('|').map(|name| words.in_some_case(name)).collect();
            arguments(words, &mut line);
            if matches!(row.make, Make::Line(..)) {
                words.spoil(&mut line);
            }
            // SHUTDOWN would; CLIENT KILL by a type that is right would kill the others.
            if is_deadly(&line) && relation != Relation::Kind {
                line = vec![b"ping".to_vec()];
            }
            Action::Lines(vec![(line, relation)])
        }
    }
}

/// Lines that nonsense must not turn into what ends the test.
fn is_deadly(line: &Line) -> bool {
    let is = |at: usize, word: &str| {
        line.get(at).is_some_and(|w| w.eq_ignore_ascii_case(word.as_bytes()))
    };
    (is(0, "shutdown") && line.len() < 2)
        || (is(0, "client") && is(1, "kill") && (is(3, "normal") || is(5, "normal")))
        // Ids differ; a row of its own asks for them.
        || (is(0, "client") && is(1, "id"))
        || (is(0, "client") && is(1, "reply"))
}

fn expiry(words: &mut Words) -> Action {
    let key = words.key();
    let line = |parts: &[&[u8]]| parts.iter().map(|part| part.to_vec()).collect::<Line>();
    let before = match words.below(4) {
        0 => line(&[b"PSETEX", &key, b"3", &words.value()]),
        1 => line(&[b"SET", &key, &words.value(), b"PX", b"2"]),
        2 => line(&[b"PEXPIRE", &key, b"4"]),
        _ => line(&[b"GETEX", &key, b"PX", b"5"]),
    };
    let other = words.key();
    let after = match words.below(14) {
        0 => line(&[b"GET", &key]),
        1 => line(&[b"APPEND", &key, b"1"]),
        2 => line(&[b"INCR", &key]),
        3 => line(&[b"RENAME", &key, &other]),
        4 => line(&[b"COPY", &key, &other, b"REPLACE"]),
        5 => line(&[b"SETNX", &key, b"new"]),
        6 => line(&[b"DEL", &key]),
        7 => line(&[b"PERSIST", &key]),
        8 => line(&[b"SET", &key, b"v", b"KEEPTTL", b"GET"]),
        9 => line(&[b"SETRANGE", &key, b"2", b"x"]),
        10 => line(&[b"MOVE", &key, b"1"]),
        11 => line(&[b"TTL", &key]),
        12 => line(&[b"MSETNX", &key, b"1", &other, b"2"]),
        _ => line(&[b"OBJECT", b"ENCODING", &key]),
    };
    Action::Expiry { before, after, key }
}

/// Bytes that are nearly requests: inline lines, multibulk with wrong counts, cut ends.
fn raw(words: &mut Words) -> Action {
    let mut bytes = Vec::new();
    for _ in 0..=words.below(4) {
        match words.below(3) {
            0 => {
                let lines = [
                    "PING\r\n",
                    "GET a\r\n",
                    "  set  d \"quo ted\"\r\n",
                    "\r\n",
                    "get 'd'\n",
                    "set d \"\\x41\\n\" \n",
                    "set d \"x\"y\r\n",
                    "echo \"\r\n",
                    "exists a b c\r\n",
                ];
                bytes.extend_from_slice(lines[words.below(9)].as_bytes());
            }
            _ => {
                // Redis looks for the end of an inline line up to a zero byte: no such keys here.
                let mut key = words.key();
                key.retain(|&byte| byte != 0);
                let line = [b"GET".to_vec(), key];
                let n = if words.chance(6) { words.integer() } else { b"2".to_vec() };
                bytes.extend_from_slice(&[b"*".to_vec(), n, b"\r\n".to_vec()].concat());
                for word in line {
                    let len = word.len().to_string().into_bytes();
                    let len = if words.chance(15) { words.integer() } else { len };
                    bytes.extend_from_slice(&[b"$", &len[..], b"\r\n", &word, b"\r\n"].concat());
                }
            }
        }
    }
    if words.chance(3) && !bytes.is_empty() {
        bytes.truncate(words.below(bytes.len()));
    }
    Action::Raw(bytes)
}
