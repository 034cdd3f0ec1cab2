//! The limit of memory on a whole server: it holds in sum over shards, what is evicted stays
//! evicted, and the figures are true.

use crate::support::{
    client::{Client, Reply, push_command},
    process::{Launch, ServerProcess, fresh_dir},
};

/// Megabytes of the limit that must hold; QUIRE_MEMORY_MB sets another.
const LIMIT_MB: u64 = 24;

/// A field of INFO.
fn info(client: &mut Client, name: &str) -> u64 {
    let text = client.ask(&["INFO", "everything"]).text();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("INFO has {name}")).parse().expect("a number")
}

fn quire(dir: &std::path::Path, args: &[&str]) -> ServerProcess {
    Launch::quire(dir).with(args).start()
}

/// Sets `keys` from `first` on in a pipeline; how many were refused for want of memory.
fn fill(client: &mut Client, first: usize, keys: usize, value: &[u8], ttl: bool) -> usize {
    let mut refused = 0;
    for chunk in (first..first + keys).collect::<Vec<_>>().chunks(50) {
        let mut request = Vec::new();
        for n in chunk {
            let key = format!("key:{n}");
            let mut command: Vec<&[u8]> = vec![b"SET", key.as_bytes(), value];
            if ttl {
                command.extend([&b"EX"[..], b"10000"]);
            }
            push_command(&mut request, &command);
        }
        client.send(&request).expect("the server reads");
        for _ in chunk {
            match client.receive().expect("the server answers") {
                Reply::Error(text) => {
                    assert_eq!(text, "OOM command not allowed when used memory > 'maxmemory'.");
                    refused += 1;
                }
                reply => assert!(reply.is_ok(), "{reply:?}"),
            }
        }
    }
    refused
}

/// Writes ten times the limit and checks the highest figure that was ever reached.
fn writes_ten_times_the_limit(policies: &[&str]) {
    let megabytes = std::env::var("QUIRE_MEMORY_MB").ok().and_then(|mb| mb.parse().ok());
    let max = megabytes.unwrap_or(LIMIT_MB) << 20;
    for policy in policies {
        let dir = fresh_dir();
        let limit = max.to_string();
        let args = ["--shards", "2", "--maxmemory", &limit, "--maxmemory-policy", policy];
        let server = quire(dir.path(), &[&args[..], &["--appendonly", "no"]].concat());
        let mut client = server.client();
        let value = vec![b'v'; 4000];
        let keys = 10 * max as usize / value.len();
        let refused = fill(&mut client, 0, keys, &value, policy.starts_with("volatile"));
        let peak = info(&mut client, "used_memory_peak");
        assert!(peak <= max + max / 20, "{policy}: {peak} bytes");
        assert!(info(&mut client, "used_memory") > max * 9 / 10, "{policy}: memory is used");
        assert!(info(&mut client, "used_memory_rss") < max * 3 / 2 + (16 << 20), "{policy}");
        // What is over the limit by a little goes in the background: no more of it while we count.
        assert!(client.ask(&["CONFIG", "SET", "maxmemory", "0"]).is_ok());
        let evicted = info(&mut client, "evicted_keys");
        if *policy == "noeviction" {
            assert!(evicted == 0 && refused > 0);
        } else {
            assert_eq!(refused, 0, "{policy}");
            assert_eq!(client.ask(&["DBSIZE"]), Reply::Int(keys as i64 - evicted as i64));
        }
    }
}

#[test]
fn the_limit_holds_over_all_shards_by_time_of_use() {
    writes_ten_times_the_limit(&["allkeys-lru", "volatile-lru"]);
}

#[test]
fn the_limit_holds_over_all_shards_by_frequency_of_use() {
    writes_ten_times_the_limit(&["allkeys-lfu", "volatile-lfu"]);
}

#[test]
fn the_limit_holds_over_all_shards_by_chance() {
    writes_ten_times_the_limit(&["allkeys-random", "volatile-random"]);
}

#[test]
fn the_limit_holds_over_all_shards_by_deadline_and_by_refusal() {
    writes_ten_times_the_limit(&["volatile-ttl", "noeviction"]);
}

#[test]
fn what_was_evicted_stays_away_after_a_restart() {
    let dir = fresh_dir();
    let args = ["--shards", "2", "--maxmemory", "4mb", "--maxmemory-policy", "allkeys-random"];
    let server = quire(dir.path(), &args);
    let mut client = server.client();
    assert_eq!(fill(&mut client, 0, 20_000, &[b'v'; 500], false), 0);
    assert!(client.ask(&["CONFIG", "SET", "maxmemory", "0"]).is_ok(), "all is quiet");
    let evicted = info(&mut client, "evicted_keys");
    assert!(evicted > 10_000, "{evicted}");
    let digest = client.ask(&["DEBUG", "DIGEST"]);
    server.stop();
    let server = quire(dir.path(), &["--shards", "3"]);
    let mut client = server.client();
    assert_eq!(client.ask(&["DBSIZE"]), Reply::Int(20_000 - evicted as i64));
    assert_eq!(client.ask(&["DEBUG", "DIGEST"]), digest);
}

#[test]
fn a_lower_limit_is_reached_without_any_write() {
    let dir = fresh_dir();
    let server = quire(dir.path(), &["--shards", "2", "--appendonly", "no"]);
    let mut client = server.client();
    fill(&mut client, 0, 30_000, &[b'v'; 500], false);
    let before = info(&mut client, "used_memory");
    let limit = (before / 2).to_string();
    assert!(client.ask(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).is_ok());
    assert!(client.ask(&["CONFIG", "SET", "maxmemory", &limit]).is_ok());
    while info(&mut client, "used_memory") > before / 2 {}
    assert!(info(&mut client, "evicted_keys") > 10_000);
    assert_eq!(info(&mut client, "current_eviction_exceeded_time"), 0);
}

#[test]
fn what_is_told_of_memory_is_without_what_telling_takes() {
    let dir = fresh_dir();
    let server = quire(dir.path(), &["--shards", "1", "--appendonly", "no"]);
    let mut client = server.client();
    // One after the other the connection's buffers come to hold such a reply.
    (0..8).for_each(|_| _ = info(&mut client, "used_memory"));
    let before = info(&mut client, "used_memory");
    let reply = client.ask(&["INFO", "everything"]).text();
    assert!(reply.len() > 4096);
    assert_eq!(info(&mut client, "used_memory"), before);
    // A short one takes as much as a long one.
    let text = client.ask(&["INFO", "memory"]).text();
    let used = text.lines().find_map(|line| line.strip_prefix("used_memory:"));
    assert_eq!(used, Some(before.to_string().as_str()));
}

#[test]
fn a_huge_command_leaves_no_memory_behind() {
    let dir = fresh_dir();
    let server = quire(dir.path(), &["--shards", "1", "--appendonly", "no"]);
    let mut client = server.client();
    let members: Vec<String> = (0..100_000).map(|n| n.to_string()).collect();
    let mut command = vec!["SADD", "set"];
    command.extend(members.iter().map(String::as_str));
    let before = info(&mut client, "used_memory");
    assert_eq!(client.ask(&command), Reply::Int(100_000));
    assert!(info(&mut client, "used_memory") > before + 1_000_000);
    assert_eq!(client.ask(&["UNLINK", "set"]), Reply::Int(1));
    while info(&mut client, "lazyfree_pending_objects") > 0 {}
    let after = info(&mut client, "used_memory");
    assert!(after < before + 200_000, "{before} bytes before, {after} after");
}

/// Sets `fields` fields of a hash.
fn fill_hash(client: &mut Client, key: &str, fields: usize) {
    for first in (0..fields).step_by(1000) {
        let texts: Vec<String> = (first..first + 1000).map(|n| format!("field:{n}")).collect();
        let mut command = vec!["HSET", key];
        command.extend(texts.iter().flat_map(|text| [text.as_str(), "value"]));
        assert_eq!(client.ask(&command), Reply::Int(1000));
    }
}

/// Waits until nothing is left to be freed.
fn await_freed(client: &mut Client, objects: u64) {
    while info(client, "lazyfree_pending_objects") > 0 {}
    assert_eq!(info(client, "lazyfreed_objects"), objects);
}

#[test]
fn what_is_removed_lazily_is_freed_afterwards_in_slices() {
    let dir = fresh_dir();
    let server = quire(dir.path(), &["--shards", "1", "--appendonly", "no"]);
    let mut client = server.client();
    let before = info(&mut client, "used_memory");
    fill_hash(&mut client, "h", 100_000);
    let full = info(&mut client, "used_memory");
    let mut request = Vec::new();
    push_command(&mut request, &[&b"UNLINK"[..], b"h"]);
    push_command(&mut request, &[&b"INFO"[..], b"memory"]);
    client.send(&request).expect("the server reads");
    assert_eq!(client.receive().expect("an answer"), Reply::Int(1));
    let text = client.receive().expect("an answer").text();
    assert!(text.contains("lazyfree_pending_objects:1\r\n"), "answered before it was freed");
    await_freed(&mut client, 1);
    assert!(info(&mut client, "used_memory") - before < (full - before) / 10, "all of it");

    fill_hash(&mut client, "h", 2000);
    assert_eq!(client.ask(&["DEL", "h"]), Reply::Int(1));
    await_freed(&mut client, 1);
    for option in ["lazyfree-lazy-user-del", "lazyfree-lazy-server-del"] {
        assert!(client.ask(&["CONFIG", "SET", option, "yes"]).is_ok());
    }
    fill_hash(&mut client, "h", 2000);
    assert_eq!(client.ask(&["DEL", "h"]), Reply::Int(1));
    await_freed(&mut client, 2);
    fill_hash(&mut client, "h", 2000);
    assert!(client.ask(&["SET", "h", "text"]).is_ok());
    await_freed(&mut client, 3);
    // Not worth it.
    assert_eq!(client.ask(&["UNLINK", "h"]), Reply::Int(1));
    await_freed(&mut client, 3);

    fill(&mut client, 0, 20_000, b"value", true);
    assert!(client.ask(&["FLUSHALL", "ASYNC"]).is_ok());
    assert_eq!(client.ask(&["DBSIZE"]), Reply::Int(0));
    await_freed(&mut client, 20_003);
    fill(&mut client, 0, 20_000, b"value", true);
    assert!(client.ask(&["FLUSHALL", "SYNC"]).is_ok());
    await_freed(&mut client, 20_003);
    assert!(client.ask(&["CONFIG", "SET", "lazyfree-lazy-user-flush", "yes"]).is_ok());
    fill(&mut client, 0, 500, b"value", true);
    assert!(client.ask(&["FLUSHDB"]).is_ok());
    await_freed(&mut client, 20_503);
}

#[test]
fn commands_over_several_shards_are_refused_as_a_whole() {
    let dir = fresh_dir();
    let args = ["--shards", "2", "--appendonly", "no", "--maxmemory", "8mb"];
    let server = quire(dir.path(), &args);
    let mut client = server.client();
    // {a} and {b} have slots of different shards.
    assert!(client.ask(&["SET", "{a}", "v"]).is_ok());
    assert!(fill(&mut client, 0, 20_000, &[b'v'; 500], false) > 0);
    let refusal = "OOM command not allowed when used memory > 'maxmemory'.";
    for command in [
        &["MSET", "{a}1", "v", "{b}1", "v"][..],
        &["MSETNX", "{a}1", "v", "{b}1", "v"],
        &["COPY", "{a}", "{b}1"],
    ] {
        assert_eq!(client.ask(command), Reply::Error(refusal.to_owned()), "{command:?}");
    }
    assert_eq!(client.ask(&["EXISTS", "{a}1", "{b}1"]), Reply::Int(0));
    assert!(client.ask(&["RENAME", "{a}", "{b}"]).is_ok(), "as in Redis");
}

/// The elements of an array.
fn elements(reply: Reply) -> Vec<Reply> {
    match reply {
        Reply::Array(elements) => elements,
        reply => panic!("{reply:?}"),
    }
}

/// The number behind `name=` in a line of CLIENT LIST.
fn client_field(line: &str, name: &str) -> u64 {
    let value = line.split(' ').find_map(|field| field.strip_prefix(name)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("{line} has {name}")).parse().expect("a number")
}

#[test]
fn the_largest_clients_are_closed_when_all_take_too_much() {
    let dir = fresh_dir();
    let args = ["--shards", "2", "--appendonly", "no", "--maxmemory-clients", "6mb"];
    let server = quire(dir.path(), &args);
    let mut observer = server.client();
    assert!(observer.ask(&["CLIENT", "NO-EVICT", "ON"]).is_ok());
    // Commands that never end: their bytes stay in the query buffers.
    let unfinished = |bytes: usize| {
        let mut request = b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9000000\r\n".to_vec();
        request.resize(request.len() + bytes, b'v');
        request
    };
    let mut small = server.client();
    let mut large = server.client();
    let mut safe = server.client();
    assert!(safe.ask(&["CLIENT", "NO-EVICT", "ON"]).is_ok());
    safe.send(&unfinished(3 << 20)).expect("the server reads");
    small.send(&unfinished(100 << 10)).expect("the server reads");
    while info(&mut observer, "mem_clients_normal") < 3 << 20 {}
    let lines = observer.ask(&["CLIENT", "LIST"]).text();
    let most = lines.lines().map(|line| client_field(line, "tot-mem")).max();
    assert!((3 << 20..8 << 20).contains(&most.expect("clients")), "{lines}");
    assert_eq!(info(&mut observer, "evicted_clients"), 0);
    // It is closed while it sends.
    let _ = large.send(&unfinished(8 << 20));
    assert!(large.receive().is_err());
    assert_eq!(info(&mut observer, "evicted_clients"), 1);
    assert_eq!(info(&mut observer, "connected_clients"), 3);
    assert!(info(&mut observer, "mem_clients_normal") < 6 << 20);
    // Less than one that may not be closed takes: every other goes.
    assert!(observer.ask(&["CONFIG", "SET", "maxmemory-clients", "1mb"]).is_ok());
    assert!(small.receive().is_err());
    while info(&mut observer, "connected_clients") > 2 {}
    assert_eq!(info(&mut observer, "evicted_clients"), 2);
    assert!(observer.ask(&["CONFIG", "SET", "maxmemory-clients", "5%"]).is_ok());
    assert_eq!(elements(observer.ask(&["CONFIG", "GET", "maxmemory-clients"]))[1].text(), "5%");
}

#[test]
fn what_clients_gather_counts_against_their_limit() {
    let dir = fresh_dir();
    let args = ["--shards", "1", "--appendonly", "no", "--maxmemory-clients", "1mb"];
    let server = quire(dir.path(), &args);
    let mut observer = server.client();
    assert!(observer.ask(&["CLIENT", "NO-EVICT", "ON"]).is_ok());
    let value = "v".repeat(100_000);
    let gather = |words: &dyn Fn(usize) -> [String; 3], begin: &[&str]| {
        let mut client = server.client();
        assert!(client.ask(begin).is_ok());
        let count = (0..20_000).find(|&n| {
            let words = words(n);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            client.try_ask(&words).is_err()
        });
        count.expect("it is closed in the end")
    };
    let queued = gather(&|n| ["SET".to_owned(), n.to_string(), value.clone()], &["MULTI"]);
    assert!((8..12).contains(&queued), "{queued} values of 100 KB");
    let key = |n: usize| format!("{n:01000}");
    let watched = gather(&|n| ["WATCH".to_owned(), key(n), key(n)], &["CLIENT", "SETNAME", "w"]);
    assert!((700..1100).contains(&watched), "{watched} keys of 1 KB");
    assert_eq!(info(&mut observer, "evicted_clients"), 2);
    // Arguments too large are not executed, even if they come at once.
    let huge = "v".repeat(1 << 20);
    assert!(server.client().try_ask(&["SET", "huge", &huge]).is_err());
    assert_eq!(observer.ask(&["EXISTS", "huge"]), Reply::Int(0));
    assert_eq!(info(&mut observer, "evicted_clients"), 3);
    // What was executed or discarded counts no more.
    let mut client = server.client();
    for end in ["EXEC", "DISCARD", "UNWATCH"].repeat(3) {
        if end == "UNWATCH" {
            (0..500).for_each(|n| assert!(client.ask(&["WATCH", &key(n)]).is_ok()));
        } else {
            assert!(client.ask(&["MULTI"]).is_ok());
            (0..6).for_each(|_| _ = client.ask(&["SET", "k", &value]));
        }
        assert!(!matches!(client.ask(&[end]), Reply::Error(_)));
    }
    // A setting may be changed by somebody who takes less than before.
    assert!(observer.ask(&["SET", "k", &value]).is_ok());
    assert_eq!(observer.ask(&["GET", "k"]).text().len(), value.len());
    assert!(observer.ask(&["CONFIG", "SET", "slowlog-max-len", "100"]).is_ok());
    assert_eq!(info(&mut observer, "evicted_clients"), 3);
    // Whoever asks next does not see those that have had to go.
    let mut others: Vec<Client> = (0..4).map(|_| server.client()).collect();
    for other in &mut others {
        assert!(other.ask(&["MULTI"]).is_ok());
        (0..2).for_each(|_| _ = other.ask(&["SET", "k", &value]));
    }
    assert_eq!(observer.ask(&["CLIENT", "LIST"]).text().lines().count(), 6);
    assert!(observer.ask(&["CONFIG", "SET", "maxmemory-clients", "500kb"]).is_ok());
    assert_eq!(observer.ask(&["CLIENT", "LIST"]).text().lines().count(), 4);
}

#[test]
fn memory_usage_is_what_the_allocator_gives() {
    let dir = fresh_dir();
    // No snapshot in between: FLUSHALL would begin one.
    let args = ["--shards", "2", "--appendonly", "no", "--save", ""];
    let server = quire(dir.path(), &args);
    let mut client = server.client();
    let values = |size: usize| vec![b'v'; size];
    // Of some keys: those of one test are alike.
    let check = |client: &mut Client, what: &str, keys: i64, before: u64| {
        let mut sum = 0;
        let asked = keys.min(400);
        for n in (0..asked).map(|n| n * keys / asked) {
            match client.ask(&["MEMORY", "USAGE", &format!("key:{n}"), "SAMPLES", "0"]) {
                Reply::Int(bytes) => sum += bytes as u64,
                reply => panic!("{reply:?}"),
            }
        }
        let sum = sum * keys as u64 / asked as u64;
        let grown = info(client, "used_memory") - before;
        assert!(sum.abs_diff(grown) * 10 <= grown, "{what}: {sum} by USAGE, {grown} allocated");
    };
    // Buffers that grow with the first use are there before anything is measured.
    fill(&mut client, 0, 20_000, &values(5000), false);
    for (size, keys) in [(10, 100_000), (100, 50_000), (1000, 20_000), (5000, 10_000)] {
        assert!(client.ask(&["FLUSHALL"]).is_ok());
        let before = info(&mut client, "used_memory");
        fill(&mut client, 0, keys, &values(size), false);
        check(&mut client, &format!("strings of {size}"), keys as i64, before);
    }
    for (what, command) in [("hash", "HSET"), ("set", "SADD"), ("sorted set", "ZADD")] {
        for elements in [20, 1000] {
            assert!(client.ask(&["FLUSHALL"]).is_ok());
            let before = info(&mut client, "used_memory");
            let keys = 160_000 / elements;
            for n in 0..keys {
                let key = format!("key:{n}");
                let texts: Vec<[String; 2]> =
                    (0..elements).map(|e| [format!("{e}"), format!("element:{n}:{e}")]).collect();
                let mut request = vec![command, &key];
                for [number, text] in &texts {
                    match what {
                        "set" => request.push(text),
                        "hash" => request.extend([text.as_str(), number]),
                        _ => request.extend([number.as_str(), text]),
                    }
                }
                assert_eq!(client.ask(&request), Reply::Int(elements));
            }
            check(&mut client, &format!("{what} of {elements}"), keys, before);
        }
    }
    let element = |n: i64| format!("an element {n}");
    for (what, elements) in [("list", 20), ("list", 1000), ("stream", 1), ("stream", 400)] {
        for pending in [false, true] {
            if pending && what == "list" {
                continue;
            }
            assert!(client.ask(&["FLUSHALL"]).is_ok());
            let before = info(&mut client, "used_memory");
            let keys = (160_000 / elements).min(8000);
            for n in 0..keys {
                let key = format!("key:{n}");
                let texts: Vec<String> = (0..elements).map(element).collect();
                let (mut request, mut replies) = (Vec::new(), 1);
                if what == "list" {
                    let texts = texts.iter().map(String::as_str);
                    let command: Vec<&str> = ["RPUSH", &key].into_iter().chain(texts).collect();
                    push_command(&mut request, &command);
                } else {
                    replies = elements;
                    for text in &texts {
                        push_command(&mut request, &["XADD", &key, "*", "field", text]);
                    }
                }
                if pending {
                    push_command(&mut request, &["XGROUP", "CREATE", &key, "group", "0"]);
                    for reader in 0..3 {
                        let reader = format!("reader {reader}");
                        let group = ["XREADGROUP", "GROUP", "group", &reader, "COUNT", "100"];
                        let command = [&group[..], &["STREAMS", &key, ">"]].concat();
                        push_command(&mut request, &command);
                    }
                    replies += 4;
                }
                client.send(&request).expect("the server reads");
                (0..replies).for_each(|_| drop(client.receive().expect("the server answers")));
            }
            let what = format!("{what} of {elements}, pending: {pending}");
            check(&mut client, &what, keys, before);
        }
    }
}

#[test]
fn memory_commands_tell_what_info_tells() {
    let dir = fresh_dir();
    let server = quire(dir.path(), &["--shards", "2", "--appendonly", "no"]);
    let mut client = server.client();
    assert!(client.ask(&["MEMORY", "DOCTOR"]).text().contains("very little memory"));
    fill(&mut client, 0, 20_000, &[b'v'; 400], true);
    let stats = elements(client.ask(&["MEMORY", "STATS"]));
    let names: Vec<String> = stats.iter().step_by(2).map(|name| name.clone().text()).collect();
    let of = |name: &str| stats[2 * names.iter().position(|n| n == name).expect(name) + 1].clone();
    let number = |name: &str| match of(name) {
        Reply::Int(n) => n as u64,
        reply => panic!("{name}: {reply:?}"),
    };
    assert_eq!(number("keys.count"), 20_000);
    assert_eq!(elements(of("db.0")).len(), 6);
    assert!((400..800).contains(&number("keys.bytes-per-key")));
    let dataset = number("dataset.bytes");
    assert_eq!(dataset + number("overhead.total"), number("total.allocated"));
    assert!((8_000_000..16_000_000).contains(&dataset), "{dataset}");
    assert!(of("fragmentation").text().parse::<f64>().expect("a ratio") > 0.5);
    assert!(number("startup.allocated") > 0 && number("clients.normal") > 0);
    assert!(info(&mut client, "used_memory_dataset").abs_diff(dataset) < 1 << 20);
    assert!(client.ask(&["MEMORY", "DOCTOR"]).text().starts_with("No trouble"));
    assert!(client.ask(&["MEMORY", "MALLOC-STATS"]).text().contains("jemalloc statistics"));
    // What has been freed goes back to the kernel.
    fill(&mut client, 0, 60_000, &[b'v'; 1000], false);
    assert!(client.ask(&["FLUSHALL"]).is_ok());
    assert!(client.ask(&["MEMORY", "PURGE"]).is_ok());
    let excess = info(&mut client, "allocator_resident") - info(&mut client, "allocator_active");
    assert!(excess < 16 << 20, "{excess} bytes are kept");
    let unknown = client.ask(&["MEMORY", "NOPE"]);
    assert_eq!(unknown, Reply::Error("ERR unknown subcommand 'NOPE'. Try MEMORY HELP.".to_owned()));
}
