//! What an operator sees and does over all shards: slow log, MONITOR, pauses, waits, counts.

use crate::support::{
    client::{Client, Reply, push_command},
    process::{Launch, ServerProcess, fresh_dir},
};
use std::time::{Duration, Instant};

/// Keys on both of two shards.
const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn start(dir: &std::path::Path) -> ServerProcess {
    Launch::quire(dir).with(&["--appendonly", "no", "--shards", "2"]).start()
}

fn array(reply: Reply) -> Vec<Reply> {
    match reply {
        Reply::Array(list) => list,
        other => panic!("an array was expected, not {other:?}"),
    }
}

fn field(info: &str, name: &str) -> u64 {
    let line = info.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} in {info}"))
}

#[test]
fn slow_commands_of_all_shards_are_in_one_log_with_their_client() {
    let dir = fresh_dir();
    let server = start(dir.path());
    let mut clients = [server.client(), server.client()];
    for (name, client) in ["left", "right"].iter().zip(&mut clients) {
        assert!(client.ask(&["client", "setname", name]).is_ok());
    }
    let [left, right] = &mut clients;
    assert!(left.ask(&["config", "set", "slowlog-log-slower-than", "0"]).is_ok());
    assert!(left.ask(&["slowlog", "reset"]).is_ok());
    for key in KEYS {
        for client in [&mut *left, &mut *right] {
            assert!(client.ask(&["set", key, "1"]).is_ok());
        }
    }
    assert_eq!(array(right.ask(&[["mget"].as_slice(), &KEYS].concat())).len(), KEYS.len());
    assert!(left.ask(&["auth", "default", "secret"]).is_ok());
    assert!(left.ask(&["config", "set", "slowlog-log-slower-than", "-1"]).is_ok());
    let entries = array(left.ask(&["slowlog", "get", "-1"]));
    let line = |entry: &Reply| {
        let parts = array(entry.clone());
        let words: Vec<String> = array(parts[3].clone()).iter().map(Reply::text).collect();
        (words.join(" "), parts[5].text())
    };
    let seen: Vec<(String, String)> = entries.iter().rev().map(line).collect();
    let mut expected = vec![("slowlog reset".to_owned(), "left".to_owned())];
    for key in KEYS {
        expected.extend(["left", "right"].map(|name| (format!("set {key} 1"), name.to_owned())));
    }
    expected.push(("mget a b c d e f".to_owned(), "right".to_owned()));
    expected.push(("auth (redacted) (redacted)".to_owned(), "left".to_owned()));
    assert_eq!(seen, expected);
    // Numbers go down by one from the newest.
    let ids: Vec<Reply> = entries.iter().map(|entry| array(entry.clone())[0].clone()).collect();
    for pair in ids.windows(2) {
        let [Reply::Int(newer), Reply::Int(older)] = pair else { panic!("{pair:?}") };
        assert_eq!(*newer, older + 1);
    }
}

/// The texts of the slow log's entries, newest first.
fn logged(client: &mut Client) -> Vec<String> {
    let words = |entry: Reply| array(array(entry)[3].clone());
    let entries = array(client.ask(&["slowlog", "get", "-1"])).into_iter();
    entries
        .map(|entry| words(entry).iter().map(Reply::text).collect::<Vec<_>>().join(" "))
        .collect()
}

#[test]
fn a_command_that_waits_is_counted_and_logged_when_its_wait_is_over() {
    let dir = fresh_dir();
    let server = start(dir.path());
    let mut client = server.client();
    assert!(client.ask(&["config", "set", "slowlog-log-slower-than", "0"]).is_ok());
    // Keys here and there, and on both at once.
    for wait in [["blpop", "a", "a", "0"], ["blpop", "b", "b", "0"], ["blpop", "a", "b", "0"]] {
        let mut waiter = server.client();
        let mut request = Vec::new();
        push_command(&mut request, &wait.map(str::as_bytes));
        waiter.send(&request).expect("the server reads");
        while field(&client.ask(&["info", "clients"]).text(), "blocked_clients:") == 0 {}
        assert!(client.ask(&["config", "resetstat"]).is_ok());
        for words in [&["multi"][..], &["rpush", wait[1], "x"], &["slowlog", "reset"]] {
            assert!(!matches!(client.ask(words), Reply::Error(_)));
        }
        assert_eq!(array(client.ask(&["exec"])).len(), 2);
        assert_eq!(array(waiter.receive().expect("it is served")).len(), 2);
        assert_eq!(logged(&mut client)[0], wait.join(" "));
        let stats = client.ask(&["info", "commandstats"]).text();
        assert_eq!(stats.matches("cmdstat_blpop:calls=1,").count(), 1, "{stats}");
    }
}

#[test]
fn monitors_see_the_commands_of_all_shards() {
    let dir = fresh_dir();
    let server = start(dir.path());
    // One monitor on each shard, one client on each.
    let mut monitors = [server.client(), server.client()];
    for monitor in &mut monitors {
        assert!(monitor.ask(&["monitor"]).is_ok());
    }
    let mut clients = [server.client(), server.client()];
    for client in &mut clients {
        for key in KEYS {
            assert!(client.ask(&["set", key, "v"]).is_ok());
        }
        assert!(client.ask(&["auth", "default", "secret"]).is_ok());
        // Administration is not shown.
        assert!(client.ask(&["config", "get", "hz"]) != Reply::Null);
        assert!(client.ask(&["echo", "done"]).text() == "done");
    }
    for monitor in &mut monitors {
        let mut lines = Vec::new();
        while lines.iter().filter(|line: &&String| line.ends_with("\"done\"")).count() < 2 {
            lines.push(monitor.receive().expect("a line").text());
        }
        let told: Vec<&str> =
            lines.iter().filter_map(|line| line.split_once("] ").map(|(_, told)| told)).collect();
        let mut expected: Vec<String> =
            KEYS.iter().map(|key| format!("\"set\" \"{key}\" \"v\"")).collect();
        expected.push("\"auth\" \"(redacted)\" \"(redacted)\"".to_owned());
        expected.push("\"echo\" \"done\"".to_owned());
        assert_eq!(told, [expected.clone(), expected].concat());
    }
    let list = clients[0].ask(&["client", "list"]).text();
    assert_eq!(list.matches(" flags=O ").count(), 2, "{list}");
    // Whoever resets or leaves monitors no longer.
    let [mut first, second] = monitors;
    assert_eq!(first.ask(&["reset"]).text(), "RESET");
    drop(second);
    assert!(clients[0].ask(&["set", "a", "w"]).is_ok());
    assert_eq!(first.ask(&["get", "a"]).text(), "w");
}

#[test]
fn a_pause_holds_writes_or_everything_until_it_ends() {
    let dir = fresh_dir();
    let server = start(dir.path());
    let mut admin = server.client();
    let mut clients: Vec<Client> = (0..4).map(|_| server.client()).collect();
    assert!(clients[0].ask(&["set", "gone", "1", "px", "1"]).is_ok());
    assert!(admin.ask(&["client", "pause", "100000", "write"]).is_ok());
    for (client, key) in clients.iter_mut().zip(KEYS) {
        assert_eq!(client.ask(&["get", key]), Reply::Null);
        let mut request = Vec::new();
        crate::support::client::push_command(&mut request, &["set", key, "v"]);
        client.send(&request).expect("it is connected");
    }
    // A condition of this very server: it ends when all four are parked.
    while field(&admin.ask(&["info", "clients"]).text(), "blocked_clients:") < 4 {}
    assert_eq!(admin.ask(&["get", "a"]), Reply::Null);
    // What expires meanwhile is hidden and not removed.
    while admin.ask(&["get", "gone"]) != Reply::Null {}
    assert_eq!(admin.ask(&["dbsize"]), Reply::Int(1));
    assert!(admin.ask(&["client", "unpause"]).is_ok());
    for (client, key) in clients.iter_mut().zip(KEYS) {
        assert!(client.receive().expect("an answer").is_ok());
        assert_eq!(client.ask(&["get", key]).text(), "v");
    }
    assert_eq!(field(&admin.ask(&["info", "clients"]).text(), "blocked_clients:"), 0);
    // A pause of everything ends by itself, and not before its time.
    let began = Instant::now();
    assert!(admin.ask(&["client", "pause", "60"]).is_ok());
    for client in &mut clients {
        assert_eq!(client.ask(&["get", "a"]).text(), "v");
    }
    assert!(began.elapsed() >= Duration::from_millis(55), "{:?}", began.elapsed());
}

#[test]
fn a_pause_of_writes_holds_what_may_write_and_nothing_else() {
    const READER: &str = "#!lua flags=no-writes\nreturn 1";
    let dir = fresh_dir();
    let server = start(dir.path());
    let mut admin = server.client();
    let library = "#!lua name=l\nredis.register_function{function_name='reads', \
                   callback=function() return 1 end, flags={'no-writes'}}";
    assert_eq!(admin.ask(&["function", "load", library]).text(), "l");
    let mut held: Vec<Client> = (0..4).map(|_| server.client()).collect();
    for (client, words) in held.iter_mut().zip([&["set", "a", "1"][..], &["eval", "return 2", "0"]])
    {
        assert!(client.ask(&["multi"]).is_ok());
        assert_eq!(client.ask(words).text(), "QUEUED");
    }
    assert!(held[2].ask(&["multi"]).is_ok());
    assert!(admin.ask(&["client", "pause", "100000", "write"]).is_ok());
    let lines = [&["exec"][..], &["exec"], &["set", "b", "1"], &["eval", "#!lua\nreturn 3", "0"]];
    for (client, words) in held.iter_mut().zip(lines) {
        let mut request = Vec::new();
        push_command(&mut request, words);
        client.send(&request).expect("it is connected");
    }
    while field(&admin.ask(&["info", "clients"]).text(), "blocked_clients:") < 4 {}
    let mut reader = server.client();
    assert_eq!(reader.ask(&["eval", READER, "0"]), Reply::Int(1));
    let sha = admin.ask(&["script", "load", READER]).text();
    assert_eq!(reader.ask(&["evalsha", &sha, "0"]), Reply::Int(1));
    assert_eq!(reader.ask(&["FCALL", "READS", "0"]), Reply::Int(1));
    assert!(reader.ask(&["multi"]).is_ok());
    for words in [&["get", "a"][..], &["eval", READER, "0"]] {
        assert_eq!(reader.ask(words).text(), "QUEUED");
    }
    assert_eq!(array(reader.ask(&["exec"])), [Reply::Null, Reply::Int(1)]);
    assert!(admin.ask(&["client", "unpause"]).is_ok());
    let replies = held.iter_mut().map(|client| client.receive().expect("an answer"));
    let replies: Vec<Reply> = replies.collect();
    assert_eq!(array(replies[0].clone()), [Reply::Simple("OK".to_owned())]);
    assert_eq!(array(replies[1].clone()), [Reply::Int(2)]);
    assert_eq!(replies[2].text(), "QUEUED");
    assert_eq!(replies[3], Reply::Int(3));
}

#[test]
fn waits_end_by_time_or_by_another_client() {
    let dir = fresh_dir();
    let server = start(dir.path());
    let (mut admin, mut waiter) = (server.client(), server.client());
    assert_eq!(waiter.ask(&["wait", "0", "0"]), Reply::Int(0));
    assert_eq!(waiter.ask(&["wait", "1", "5"]), Reply::Int(0));
    let Reply::Int(id) = waiter.ask(&["client", "id"]) else { panic!("no id") };
    let id = id.to_string();
    for (how, expected) in [
        ("timeout", Reply::Int(0)),
        ("error", Reply::Error("UNBLOCKED client unblocked via CLIENT UNBLOCK".to_owned())),
    ] {
        assert_eq!(admin.ask(&["client", "unblock", &id, how]), Reply::Int(0), "not blocked");
        let mut request = Vec::new();
        crate::support::client::push_command(&mut request, &["wait", "2", "0"]);
        waiter.send(&request).expect("it is connected");
        while admin.ask(&["client", "unblock", &id, how]) == Reply::Int(0) {}
        assert_eq!(waiter.receive().expect("an answer"), expected);
    }
    // One that leaves while it waits is no longer counted.
    let mut request = Vec::new();
    crate::support::client::push_command(&mut request, &["wait", "2", "0"]);
    waiter.send(&request).expect("it is connected");
    let blocked =
        |admin: &mut Client| field(&admin.ask(&["info", "clients"]).text(), "blocked_clients:");
    while blocked(&mut admin) == 0 {}
    drop(waiter);
    while blocked(&mut admin) > 0 {}
}

#[test]
fn counts_can_be_set_back_and_go_on() {
    let dir = fresh_dir();
    let server = start(dir.path());
    let mut client = server.client();
    for key in KEYS {
        assert!(client.ask(&["set", key, "1"]).is_ok());
        assert_eq!(client.ask(&["get", key]).text(), "1");
    }
    assert!(client.ask(&["nosuch"]).is_error("ERR"));
    assert!(client.ask(&["get"]).is_error("ERR"));
    let info = client.ask(&["info", "all"]).text();
    assert_eq!(field(&info, "keyspace_hits:"), 6);
    let line = |info: &str, name: &str| {
        let found = info.lines().find(|line| line.starts_with(name)).map(str::to_owned);
        found.unwrap_or_default()
    };
    let get = line(&info, "cmdstat_get:");
    assert!(get.starts_with("cmdstat_get:calls=6,"), "{get}");
    assert!(get.ends_with(",rejected_calls=1,failed_calls=0"), "{get}");
    assert!(client.ask(&["config", "resetstat"]).is_ok());
    let info = client.ask(&["info", "all"]).text();
    for name in ["keyspace_hits:", "total_error_replies:", "total_connections_received:"] {
        assert_eq!(field(&info, name), 0, "{name}");
    }
    assert_eq!(line(&info, "cmdstat_get:"), "");
    assert!(line(&info, "cmdstat_config|resetstat:").contains("calls=1,"), "{info}");
    assert_eq!(client.ask(&["get", "a"]).text(), "1");
    let histogram = array(client.ask(&["latency", "histogram", "get", "config"]));
    let names = [histogram[0].text(), histogram[2].text()];
    assert_eq!(names, ["get", "config|resetstat"]);
    assert_eq!(array(histogram[1].clone())[1], Reply::Int(1));
}

#[test]
fn what_takes_long_is_remembered_by_its_kind() {
    let dir = fresh_dir();
    let server = start(dir.path());
    let mut client = server.client();
    assert!(client.ask(&["config", "set", "latency-monitor-threshold", "10"]).is_ok());
    assert!(client.ask(&["debug", "sleep", "0.03"]).is_ok());
    let events = array(client.ask(&["latency", "latest"]));
    let event = |name: &str| events.iter().map(|e| array(e.clone())).find(|e| e[0].text() == name);
    // The shard that was asked waits for the other one, which sleeps as well.
    for name in ["command", "hop"] {
        let found = event(name).unwrap_or_else(|| panic!("{name} in {events:?}"));
        let Reply::Int(ms) = found[3] else { panic!("{found:?}") };
        assert!(ms >= 29, "{name}: {ms} ms");
    }
    let history = array(client.ask(&["latency", "history", "command"]));
    assert!(!history.is_empty());
    assert!(client.ask(&["latency", "graph", "command"]).text().starts_with("command - high "));
    assert!(client.ask(&["latency", "doctor"]).text().contains("command: 1 latency spikes"));
    let Reply::Int(forgotten) = client.ask(&["latency", "reset"]) else { panic!("no number") };
    assert!(forgotten >= 2);
    assert_eq!(array(client.ask(&["latency", "latest"])).len(), 0);
}

/// What the monitor is shown of a transaction: its words, without time and client.
fn shown(monitor: &mut Client, last: &str) -> Vec<String> {
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line| line != last) {
        let line = monitor.receive().expect("a line").text();
        lines.extend(line.split_once("] ").map(|(_, told)| told.to_owned()));
    }
    lines
}

#[test]
fn transactions_are_shown_and_logged_command_by_command_whichever_shard_runs_them() {
    let dir = fresh_dir();
    let server = start(dir.path());
    let (mut client, mut monitor) = (server.client(), server.client());
    assert!(client.ask(&["config", "set", "slowlog-log-slower-than", "0"]).is_ok());
    assert!(monitor.ask(&["monitor"]).is_ok());
    // One key is here, one on the other shard; then both at once.
    for keys in [["a", "a"], ["b", "b"], ["c", "c"], ["a", "b"]] {
        assert!(client.ask(&["slowlog", "reset"]).is_ok());
        assert!(client.ask(&["multi"]).is_ok());
        let commands = keys.map(|key| ["set", key, "v"]);
        commands.iter().for_each(|words| assert_eq!(client.ask(words).text(), "QUEUED"));
        assert_eq!(array(client.ask(&["Exec"])).len(), 2);
        let quoted = commands.map(|words| words.map(|word| format!("\"{word}\"")).join(" "));
        let expected = [&["\"multi\"".to_owned()], &quoted[..], &["\"Exec\"".to_owned()]].concat();
        assert_eq!(shown(&mut monitor, "\"Exec\""), expected);
        let mut logged = logged(&mut client);
        logged.retain(|line| line.starts_with("set "));
        let newest_first = commands.map(|words| words.join(" "));
        assert_eq!(logged, newest_first.into_iter().rev().collect::<Vec<_>>());
    }
    // What is a transaction by itself is shown once.
    assert!(client.ask(&["mset", "a", "1", "b", "2"]).is_ok());
    assert_eq!(client.ask(&["echo", "done"]).text(), "done");
    let last = "\"echo\" \"done\"";
    assert_eq!(shown(&mut monitor, last), ["\"mset\" \"a\" \"1\" \"b\" \"2\"", last]);
}
