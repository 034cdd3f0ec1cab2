//! Rows of commands about connections and the server, and the commands that have none.

use super::{
    generator::data_line,
    relation::Relation::{self, Clients, Exact, Hello, Keyspace, Kind, Near, Silent, Sorted, Time},
    rows::{Make, Row, fixed, row},
    script::{Action, Line, line},
    words::Words,
};

/// Commands about connections and the server.
pub const ROWS: &[Row] = &[
    row("ping", 2, ping, Exact),
    row("echo", 1, |w, line| line.push(w.value()), Exact),
    row("select", 12, |w, line| line.push(w.database()), Exact),
    row("auth", 1, auth, Exact),
    row("hello", 3, hello_nonsense, Hello),
    Row { name: "hello", weight: 3, make: Make::Action(hello) },
    row("reset", 1, nothing, Exact),
    Row { name: "quit", weight: 1, make: Make::Action(|_| Action::Quit) },
    fixed("client", 1, |w, line| line.push(w.pick(&["nope", "", "list x", "kill"])), Exact),
    fixed("client|id", 1, nothing, Kind),
    row("client|info", 1, nothing, Clients),
    row("client|list", 1, client_list, Clients),
    row("client|setname", 1, |w, line| line.push(w.pick(&["x", "a b", "", "name"])), Exact),
    row("client|getname", 1, nothing, Exact),
    row("client|kill", 1, client_kill, Exact),
    Row { name: "client|reply", weight: 1, make: Make::Action(client_reply) },
    fixed("client|help", 1, nothing, Kind),
    fixed("client|pause", 1, |w, line| line.push(w.pick(&["x", "-1", ""])), Exact),
    fixed("client|unpause", 1, nothing, Exact),
    fixed("client|no-evict", 1, |w, line| line.push(w.pick(&["on", "OFF", "x"])), Exact),
    fixed("client|unblock", 1, |w, line| line.push(w.pick(&["0", "x", "99999999"])), Exact),
    fixed("client|getredir", 1, nothing, Exact),
    fixed("client|trackinginfo", 1, nothing, Sorted),
    fixed("wait", 1, |w, line| line.extend([b"0".to_vec(), w.pick(&["0", "-1", "x"])]), Exact),
    fixed("command", 1, |w, line| line.push(w.pick(&["nope", "count x", ""])), Exact),
    fixed("command|count", 1, nothing, Near(400)),
    fixed("command|info", 1, command_info, Sorted),
    fixed("command|docs", 1, |w, line| line.push(w.pick(&["nope", ""])), Exact),
    fixed("command|getkeys", 2, command_getkeys, Exact),
    fixed("command|getkeysandflags", 1, command_getkeys, Sorted),
    fixed("command|list", 1, command_list, Sorted),
    fixed("command|help", 1, nothing, Kind),
    fixed("config", 1, |w, line| line.push(w.pick(&["nope", "", "get", "set"])), Exact),
    fixed("config|get", 2, config_get, Sorted),
    Row { name: "config|set", weight: 1, make: Make::Action(config_set) },
    row("config|set", 1, config_set_nonsense, Exact),
    fixed("config|help", 1, nothing, Kind),
    fixed("config|resetstat", 1, nothing, Exact),
    fixed("config|rewrite", 1, nothing, Exact),
    row("debug", 1, debug, Exact),
    fixed("latency", 1, |w, line| line.push(w.pick(&["nope", "", "history"])), Exact),
    fixed("latency|doctor", 1, nothing, Kind),
    fixed("latency|graph", 1, |w, line| line.push(w.pick(&["nope", "command"])), Kind),
    fixed("latency|help", 1, nothing, Kind),
    fixed("latency|histogram", 1, |w, line| line.push(w.pick(&["nope", "get"])), Kind),
    fixed("latency|history", 1, |_, line| line.push(b"nope".to_vec()), Exact),
    fixed("latency|latest", 1, nothing, Kind),
    fixed("latency|reset", 1, |_, line| line.push(b"nope".to_vec()), Exact),
    fixed("slowlog", 1, |w, line| line.push(w.pick(&["nope", "", "reset"])), Exact),
    fixed("slowlog|get", 1, slowlog_get, Kind),
    fixed("slowlog|help", 1, nothing, Kind),
    fixed("slowlog|len", 1, nothing, Kind),
    fixed("slowlog|reset", 1, nothing, Exact),
    Row { name: "info", weight: 1, make: Make::Action(info) },
    fixed("lastsave", 1, nothing, Kind),
    fixed("save", 1, |_, line| line.push(b"x".to_vec()), Exact),
    fixed("bgsave", 1, |w, line| line.push(w.pick(&["nope", "schedule x"])), Exact),
    fixed("bgrewriteaof", 1, |_, line| line.push(b"x".to_vec()), Exact),
    fixed("memory", 1, |w, line| line.push(w.pick(&["nope", "", "usage"])), Exact),
    fixed("memory|help", 1, nothing, Kind),
    fixed("memory|stats", 1, nothing, Kind),
    fixed("memory|doctor", 1, nothing, Kind),
    fixed("memory|malloc-stats", 1, nothing, Kind),
    fixed("memory|purge", 1, nothing, Exact),
    Row { name: "multi", weight: 6, make: Make::Action(transaction) },
    row("exec", 4, nothing, Exact),
    row("discard", 2, nothing, Exact),
    row("watch", 4, |w, line| line.extend(w.keys(3)), Exact),
    row("unwatch", 1, nothing, Exact),
    row("eval", 12, eval, Exact),
    row("eval_ro", 3, eval, Exact),
    row("evalsha", 4, evalsha, Exact),
    row("evalsha_ro", 1, evalsha, Exact),
    fixed("script", 1, |w, line| line.push(w.pick(&["nope", "", "load"])), Exact),
    fixed("script|exists", 2, |w, line| line.push(w.pick(&[SHA, "x", ""])), Exact),
    fixed("script|flush", 1, |w, line| line.push(w.pick(&["SYNC", "async", "x"])), Exact),
    fixed("script|load", 2, |w, line| line.push(w.pick(&SCRIPTS)), Exact),
    fixed("script|kill", 1, nothing, Exact),
    fixed("script|help", 1, nothing, Exact),
    row("fcall", 4, fcall, Exact),
    row("fcall_ro", 2, fcall, Exact),
    fixed("function", 1, |w, line| line.push(w.pick(&["nope", "", "load"])), Exact),
    Row { name: "function|load", weight: 3, make: Make::Action(function_load) },
    fixed("function|delete", 1, |w, line| line.push(w.pick(&["lib", "x"])), Exact),
    fixed("function|flush", 1, |w, line| line.push(w.pick(&["SYNC", "async", "x"])), Exact),
    fixed("function|list", 1, |w, line| line.push(w.pick(&["WITHCODE", "x"])), Kind),
    fixed("function|dump", 1, nothing, Exact),
    fixed("function|restore", 1, |w, line| line.push(w.pick(&["x", ""])), Exact),
    fixed("function|stats", 1, nothing, Sorted),
    fixed("function|kill", 1, nothing, Exact),
    fixed("function|help", 1, nothing, Exact),
    row("time", 1, nothing, Time),
    row("flushall", 1, flush, Exact),
    row("flushdb", 1, flush, Exact),
    row("swapdb", 2, |w, line| line.extend([w.database(), w.database()]), Exact),
    row("shutdown", 1, |w, line| line.push(w.pick(&["nope", "abort", ""])), Exact),
];

/// Commands without a row, and why.
pub const WITHOUT: &[(&str, &str)] = &[
    ("client|setinfo", "newer than Redis 7.0, which has no answer to compare with"),
    ("client|no-touch", "newer than Redis 7.0, which has no answer to compare with"),
    ("client|tracking", "refused: nothing is invalidated yet"),
    ("client|caching", "of no use without CLIENT TRACKING"),
    ("monitor", "the connection shows other clients' commands from then on; tested beside Redis"),
    ("script|debug", "refused: there is no debugger"),
    ("backup", "Redis 7.0 has no such command"),
    ("backup|start", "Redis 7.0 has no such command"),
    ("backup|status", "Redis 7.0 has no such command"),
    ("backup|abort", "Redis 7.0 has no such command"),
    ("backup|help", "Redis 7.0 has no such command"),
    ("waitaof", "newer than Redis 7.0, which has no answer to compare with"),
];

/// A transaction as most clients send it, now and then with a watch in front.
fn transaction(w: &mut Words) -> Action {
    let mut lines = Vec::new();
    if w.chance(2) {
        lines.push((line(&[b"WATCH", &w.key(), &w.key()]), Exact));
    }
    lines.push((line(&[b"MULTI"]), Exact));
    for _ in 0..w.below(6) {
        let (key, other, value) = (w.key(), w.key(), w.value());
        if w.chance(2) {
            if let (data, Exact) = data_line(w) {
                lines.push((data, Exact));
            }
            continue;
        }
        let command = match w.below(10) {
            0 => line(&[b"SET", &key, &value]),
            1 => line(&[b"GET", &key]),
            2 => line(&[b"INCR", &key]),
            3 => line(&[b"APPEND", &key, &value]),
            4 => line(&[b"MSET", &key, &value, &other, b"v"]),
            5 => line(&[b"MGET", &key, &other]),
            6 => line(&[b"DEL", &key, &other]),
            7 => line(&[b"RENAME", &key, &other]),
            8 => line(&[b"COPY", &key, &other, b"REPLACE"]),
            _ => line(&[b"EXISTS", &key, &other, &key]),
        };
        lines.push((command, Exact));
    }
    lines.push((line(&[if w.chance(6) { b"DISCARD" } else { b"EXEC" }]), Exact));
    Action::Lines(lines)
}

/// Scripts of at most two keys and an argument.
const SCRIPTS: [&str; 14] = [
    "return redis.call('GET', KEYS[1])",
    "return redis.call('APPEND', KEYS[1], ARGV[1])",
    "return redis.pcall('INCR', KEYS[1])",
    "return {KEYS[1], KEYS[2], ARGV[1], #ARGV, false, {1, 'x'}}",
    "redis.call('SET', KEYS[1], ARGV[1]) return redis.call('MGET', KEYS[1], KEYS[2])",
    "redis.call('RENAME', KEYS[1], KEYS[2]) return redis.call('EXISTS', KEYS[1], KEYS[2])",
    "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('DEL', KEYS[2]) end return 7",
    "redis.setresp(3) return redis.call('GET', KEYS[1])",
    "return pcall(redis.call, 'INCR', KEYS[1])",
    "return redis.error_reply('MY ' .. tostring(ARGV[1]))",
    "return redis.call('TYPE', KEYS[1]).ok .. tostring(nothing)",
    "redis.call('SET', KEYS[1], ARGV[1], 'EX', 100) return redis.call('TTL', KEYS[1])",
    "#!lua flags=no-writes\nreturn redis.call('SET', KEYS[1], ARGV[1])",
    "return +",
];
/// The first of them.
const SHA: &str = "d3c21d0c2b9ca22f82737626a27bcaf5d288f99f";

/// Loads a library, or one that is none.
fn function_load(w: &mut Words) -> Action {
    let libraries = [
        "#!lua name=lib\nredis.register_function('f', function(k, a) return redis.call('APPEND', k[1], a[1]) end)\nredis.register_function{function_name='g', callback=function(k) return redis.call('GET', k[1]) end, flags={'no-writes'}}",
        "#!lua name=lib\nredis.register_function('f', function() return foo end)",
        "#!lua name=other\nredis.register_function('f', function() return 1 end)",
        "return 1",
    ];
    let words = [&b"FUNCTION"[..], b"LOAD", b"REPLACE", &w.pick(&libraries)];
    Action::Lines(vec![(words.iter().map(|word| word.to_vec()).collect(), Exact)])
}

fn fcall(w: &mut Words, line: &mut Line) {
    line.push(w.pick(&["f", "g", "g", "nope"]));
    keys_of_script(w, line);
}

/// Keys and arguments of a script.
fn keys_of_script(w: &mut Words, line: &mut Line) {
    let nonsense = w.chance(12);
    line.push(if nonsense { w.pick(&["3", "-1", "x", "0", ""]) } else { b"2".to_vec() });
    line.extend([w.key(), w.key(), w.value()]);
}

fn eval(w: &mut Words, line: &mut Line) {
    line.push(w.pick(&SCRIPTS));
    keys_of_script(w, line);
}

fn evalsha(w: &mut Words, line: &mut Line) {
    line.push(w.pick(&[SHA, SHA, "x", "d3c21d0c2b9ca22f82737626a27bcaf5d288f99x"]));
    keys_of_script(w, line);
}

fn info(_: &mut Words) -> Action {
    Action::Count(words("INFO keyspace"), Keyspace)
}

fn slowlog_get(w: &mut Words, line: &mut Line) {
    if w.chance(2) {
        line.push(w.pick(&["0", "-1", "-2", "x", "10"]));
    }
}

fn nothing(_: &mut Words, _: &mut Line) {}

fn ping(w: &mut Words, line: &mut Line) {
    if w.chance(2) {
        line.push(w.value());
    }
}

fn auth(w: &mut Words, line: &mut Line) {
    let lines: [&[&str]; 5] = [&[], &["x"], &["default", "x"], &["nobody", "x"], &["a", "b", "c"]];
    line.extend(lines[w.below(5)].iter().map(|word| word.as_bytes().to_vec()));
}

fn hello_nonsense(w: &mut Words, line: &mut Line) {
    let lines: [&[&str]; 9] = [
        &["4"],
        &["x"],
        &[""],
        &["1"],
        &["3", "foo"],
        &["2", "auth", "a"],
        &["3", "auth", "a", "b"],
        &["2", "setname"],
        &["3", "setname", "a b"],
    ];
    line.extend(lines[w.below(9)].iter().map(|word| word.as_bytes().to_vec()));
}

/// What follows shows whether the protocol has changed.
fn hello(w: &mut Words) -> Action {
    let mut line: Line = vec![w.in_some_case("hello")];
    if !w.chance(8) {
        line.push(w.pick(&["2", "3"]));
        if w.chance(4) {
            line.extend([b"SETNAME".to_vec(), w.pick(&["x", "y"])]);
        }
    }
    Action::Lines(vec![(line, Hello)])
}

fn client_list(w: &mut Words, line: &mut Line) {
    let lines: [&[&str]; 9] = [
        &[],
        &["TYPE", "normal"],
        &["type", "pubsub"],
        &["type", "replica"],
        &["type", "nope"],
        &["id", "0"],
        &["id", "x"],
        &["ID"],
        &["nope", "x"],
    ];
    line.extend(lines[w.below(9)].iter().map(|word| word.as_bytes().to_vec()));
}

/// None of these finds anybody to kill.
fn client_kill(w: &mut Words, line: &mut Line) {
    let lines: [&[&str]; 11] = [
        &["127.0.0.1:1"],
        &["id", "0"],
        &["ID", "x"],
        &["id", "1000000"],
        &["addr", "nowhere"],
        &["laddr", "x", "type", "normal"],
        &["type", "nope"],
        &["user", "nobody"],
        &["skipme", "maybe", "id", "3000000"],
        &["nope", "x"],
        &["type", "pubsub", "skipme", "no"],
    ];
    line.extend(lines[w.below(11)].iter().map(|word| word.as_bytes().to_vec()));
}

fn words(line: &str) -> Line {
    line.split(' ').map(|word| word.as_bytes().to_vec()).collect()
}

/// Commands without a reply, and one that has it again.
fn client_reply(w: &mut Words) -> Action {
    let mut lines: Vec<(Line, Relation)> = Vec::new();
    let silent = |w: &mut Words| vec![b"SET".to_vec(), w.key(), w.value()];
    if w.chance(2) {
        lines.push((words("CLIENT REPLY OFF"), Silent));
        for _ in 0..w.below(4) {
            lines.push((silent(w), Silent));
        }
        lines.push((words("client reply on"), Exact));
    } else {
        lines.push((words("client reply skip"), Silent));
        lines.push((silent(w), Silent));
    }
    lines.push((vec![b"GET".to_vec(), w.key()], Exact));
    Action::Lines(lines)
}

const NAMES: [&str; 16] = [
    "get",
    "SET",
    "mget",
    "mset",
    "del",
    "copy",
    "object|encoding",
    "object",
    "expire",
    "ping",
    "config|get",
    "client|list",
    "nope",
    "",
    "scan",
    "flushall",
];

fn command_info(w: &mut Words, line: &mut Line) {
    // Tips and key specifications are not part of what is promised: names that are not there.
    line.push(w.pick(&["nope", "", "config|nope"]));
}

fn command_getkeys(w: &mut Words, line: &mut Line) {
    line.push(w.pick(&NAMES));
    for _ in 0..w.below(5) {
        line.push(w.key());
    }
}

fn command_list(w: &mut Words, line: &mut Line) {
    let lines: [&[&str]; 6] = [
        &["filterby", "pattern", "xge*"],
        &["FILTERBY", "pattern", "getra*"],
        &["filterby", "pattern", "config|get"],
        &["filterby", "module", "nope"],
        &["filterby", "aclcat", "nope"],
        &["filterby", "nope", "x"],
    ];
    line.extend(lines[w.below(6)].iter().map(|word| word.as_bytes().to_vec()));
}

fn config_get(w: &mut Words, line: &mut Line) {
    for _ in 0..=w.below(3) {
        line.push(w.pick(&[
            "databases",
            "hz",
            "TIMEOUT",
            "timeout",
            "maxclients",
            "proto-max-bulk-len",
            "nope",
            "appendfsync",
            "tcp-keepalive",
            "proto-max-bulk*",
            "requirepass",
            "unixsocketperm",
        ]));
    }
}

/// A setting changed, read and set back.
fn config_set(w: &mut Words) -> Action {
    let (name, values): (&str, [&str; 3]) = [
        ("hz", ["11", "500", "10"]),
        ("timeout", ["0", "100000", "0"]),
        ("proto-max-bulk-len", ["1mb", "2000000", "512mb"]),
        ("tcp-keepalive", ["0", "60", "300"]),
        ("client-output-buffer-limit", ["normal 0 0 0", "normal 100mb 1gb 3", "normal 0 0 0"]),
        ("appendfsync", ["no", "always", "everysec"]),
    ][w.below(6)];
    let value = values[w.below(2)];
    let line = |words: [&str; 4]| words[..].iter().map(|w| w.as_bytes().to_vec()).collect();
    Action::Lines(vec![
        (line(["CONFIG", "SET", name, value]), Exact),
        (vec![b"config".to_vec(), b"get".to_vec(), name.into()], Exact),
        (line(["CONFIG", "SET", name, values[2]]), Exact),
    ])
}

fn config_set_nonsense(w: &mut Words, line: &mut Line) {
    let lines: [&[&str]; 8] = [
        &["nope", "1"],
        &["timeout", "-1"],
        &["timeout", "x"],
        &["maxclients", "0"],
        &["timeout", "1", "timeout", "2"],
        &["timeout", "1", "nope", "2"],
        &["appendfsync", "sometimes"],
        &["timeout"],
    ];
    line.extend(lines[w.below(8)].iter().map(|word| word.as_bytes().to_vec()));
}

fn debug(w: &mut Words, line: &mut Line) {
    match w.below(5) {
        0 => line.push(b"digest".to_vec()),
        1 => line.extend([b"SLEEP".to_vec(), w.pick(&["0", "0.0001"])]),
        2 => line.extend([b"nope".to_vec(), w.key()]),
        _ => {
            line.push(b"DIGEST-VALUE".to_vec());
            line.extend(w.keys(4));
        }
    }
}

fn flush(w: &mut Words, line: &mut Line) {
    if w.chance(2) {
        line.push(w.pick(&["ASYNC", "sync", "nope"]));
    }
}
