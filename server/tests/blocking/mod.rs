//! Clients that wait for keys: the same scenes on stock Redis and on Quire with one and with four
//! shards, reply by reply; and elements over several shards, each of which goes to one client.

mod scenes;

use crate::support::{
    client::{Client, Reply, push_command},
    process::{Launch, ServerProcess, fresh_dir},
};
use std::{
    collections::{HashMap, HashSet},
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// Generous: what does not come in this time never comes.
const PATIENCE: Duration = Duration::from_secs(20);

fn launches(dir: &Path, shards: &[&str]) -> Vec<ServerProcess> {
    let place = |name: &str| {
        let place = dir.join(name);
        std::fs::create_dir_all(&place).expect("the directory is fresh");
        place
    };
    let mut servers = vec![Launch::redis(&place("redis")).start()];
    for n in shards {
        servers.push(Launch::quire(&place(n)).with(&["--shards", n]).start());
    }
    servers
}

/// A scene's connections.
struct Stage<'a> {
    server: &'a ServerProcess,
    connections: HashMap<char, (Client, i64)>,
    /// Asks about the others.
    observer: Client,
}

impl<'a> Stage<'a> {
    fn new(server: &'a ServerProcess) -> Self {
        let mut stage = Self { server, connections: HashMap::new(), observer: server.client() };
        stage.observer.ask(&["FLUSHALL"]);
        "abcd".chars().for_each(|name| stage.connect(name));
        stage
    }

    fn connect(&mut self, name: char) {
        let mut client = self.server.client();
        let Reply::Int(id) = client.ask(&["CLIENT", "ID"]) else { panic!("an id") };
        self.connections.insert(name, (client, id));
    }

    fn blocked(&mut self) -> usize {
        let info = self.observer.ask(&["INFO", "clients"]).text();
        let line = info.lines().find_map(|line| line.strip_prefix("blocked_clients:"));
        line.expect("the field is there").trim().parse().expect("a number")
    }

    fn wait_blocked(&mut self, wanted: usize) {
        let end = Instant::now() + PATIENCE;
        while self.blocked() != wanted {
            assert!(Instant::now() < end, "{} blocked, not {wanted}", self.blocked());
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn words(&self, text: &str) -> Vec<String> {
        let word = |word: &str| match word.strip_prefix('$').and_then(|name| name.chars().next()) {
            Some(name) if word.len() == 2 => self.connections[&name].1.to_string(),
            _ if word == "%" => String::new(),
            _ => word.to_owned(),
        };
        text.split_whitespace().map(word).collect()
    }

    fn client(&mut self, name: char) -> &mut Client {
        &mut self.connections.get_mut(&name).expect("a, b, c or d").0
    }

    /// Plays one line; what came of it.
    fn play(&mut self, line: &str) -> Option<Reply> {
        if let Some(wanted) = line.strip_prefix("blocked ") {
            self.wait_blocked(wanted.parse().expect("a number"));
            return None;
        }
        let (name, rest) = line.split_once(' ').expect("who and what");
        let name = name.chars().next().expect("a name");
        match rest {
            "<" => return Some(self.client(name).receive().expect("a reply")),
            "closes" => {
                self.connections.remove(&name);
                return None;
            }
            "returns" => {
                self.connect(name);
                return None;
            }
            _ => {}
        }
        let (text, blocks) = match rest.strip_suffix(" &") {
            Some(text) => (text, true),
            None => (rest, false),
        };
        let before = if blocks { self.blocked() } else { 0 };
        let piped = text.strip_prefix("PIPE ");
        let mut bytes = Vec::new();
        for command in piped.unwrap_or(text).split(" | ") {
            push_command(&mut bytes, &self.words(command));
        }
        self.client(name).send(&bytes).expect("the server reads");
        if blocks {
            self.wait_blocked(before + 1);
        }
        let reads = !blocks && piped.is_none();
        reads.then(|| self.client(name).receive().expect("a reply"))
    }
}

/// Plays a scene on stock Redis and on Quire with these numbers of shards.
fn play(scene: &str, shards: &[&str]) {
    let dir = fresh_dir();
    let servers = launches(dir.path(), shards);
    let mut stages: Vec<Stage<'_>> = servers.iter().map(Stage::new).collect();
    for line in scene.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let replies: Vec<Option<Reply>> = stages.iter_mut().map(|s| s.play(line)).collect();
        // HELLO tells what differs.
        if line.contains("HELLO") {
            continue;
        }
        for (reply, server) in replies[1..].iter().zip(shards) {
            assert_eq!(reply, &replies[0], "{line}, {server} shards");
        }
    }
    for mut stage in stages {
        stage.wait_blocked(0);
    }
}

#[test]
fn clients_that_wait_are_served_in_their_order() {
    play(scenes::ORDER, &["1", "4"]);
}

#[test]
fn elements_move_on_to_whoever_waits_behind() {
    play(scenes::MOVES, &["1", "4"]);
}

#[test]
fn values_of_other_types_are_errors_at_once_and_passed_over_later() {
    play(scenes::TYPES, &["1", "4"]);
}

#[test]
fn waits_end_when_their_time_is_over() {
    play(scenes::TIMES, &["1", "4"]);
    play(scenes::APART, &["1"]);
}

#[test]
fn readers_of_streams_get_what_is_new_and_hear_when_their_group_goes() {
    play(scenes::STREAMS, &["1", "4"]);
}

#[test]
fn who_is_unblocked_or_gone_takes_nothing() {
    play(scenes::UNBLOCKED, &["1", "4"]);
}

#[test]
fn commands_behind_one_that_waits_wait_too() {
    play(scenes::PIPELINES, &["1", "4"]);
}

#[test]
fn waits_end_in_resp3_as_in_redis() {
    play(scenes::RESP3, &["1", "4"]);
}

#[test]
fn a_transaction_waits_for_nothing_and_serves_when_it_is_whole() {
    play(scenes::TRANSACTIONS, &["1", "4"]);
}

#[test]
fn a_move_to_another_shard_is_refused_and_moves_nothing() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--shards", "4"]).start();
    let mut client = server.client();
    client.ask(&["RPUSH", "a", "x"]);
    for line in ["BLMOVE a b LEFT LEFT 0", "BRPOPLPUSH a b 0"] {
        let reply = client.ask(&line.split(' ').collect::<Vec<_>>());
        assert!(reply.is_error("CROSSSHARD"), "{reply:?}");
    }
    assert_eq!(client.ask(&["LLEN", "a"]), Reply::Int(1));
}

/// Elements pushed to keys on all shards, by several clients, while others wait for several of
/// the keys each, give up, and are unblocked: every element is popped once, none is lost.
#[test]
fn every_element_goes_to_one_client_whatever_shards_they_wait_on() {
    const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
    const PUSHES: usize = 1500;
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--shards", "4"]).start();
    let popper = |number: usize| {
        let mut client = server.client();
        let mut got = Vec::new();
        let mut misses = 0;
        // Some time after the last push there is nothing for anybody.
        while misses < 60 {
            let at = (number + got.len()) % KEYS.len();
            let other = (at + 1 + misses % 5) % KEYS.len();
            let timeout = if number.is_multiple_of(2) { "0.01" } else { "0.02" };
            match client.ask(&["BLPOP", KEYS[at], KEYS[other], timeout]) {
                Reply::Null => misses += 1,
                Reply::Array(pair) => {
                    misses = 0;
                    got.push(pair[1].text());
                }
                other => panic!("{other:?}"),
            }
        }
        got
    };
    let pusher = |number: usize| {
        let mut client = server.client();
        for element in 0..PUSHES {
            let key = KEYS[(element * 7 + number) % KEYS.len()];
            let reply = client.ask(&["RPUSH", key, &format!("{number}:{element}")]);
            assert!(matches!(reply, Reply::Int(_)), "{reply:?}");
        }
    };
    let popped: Vec<String> = thread::scope(|scope| {
        (0..3).for_each(|number| drop(scope.spawn(move || pusher(number))));
        let poppers: Vec<_> = (0..6).map(|number| scope.spawn(move || popper(number))).collect();
        poppers.into_iter().flat_map(|popper| popper.join().expect("it ends")).collect()
    });
    let mut client = server.client();
    let mut left = 0;
    for key in KEYS {
        let Reply::Int(len) = client.ask(&["LLEN", key]) else { panic!("a length") };
        left += len as usize;
    }
    let different: HashSet<&String> = popped.iter().collect();
    assert_eq!(different.len(), popped.len(), "an element went to two clients");
    assert_eq!(popped.len() + left, 3 * PUSHES, "an element is lost");
    assert!(popped.len() > PUSHES, "hardly anybody waited: {}", popped.len());
}

/// What clients that waited have taken stays taken, and what they were not given stays there.
#[test]
fn what_was_served_outlives_a_kill() {
    let dir = fresh_dir();
    let launch = Launch::quire(dir.path()).with(&["--shards", "2", "--appendfsync", "always"]);
    let server = launch.start();
    let mut stage = Stage::new(&server);
    let scene = "a BLPOP l 0 &; b BZPOPMIN z 0 &; c BLMOVE {t}s {t}d LEFT LEFT 0 &
        d RPUSH l 1 2; d ZADD z 1 m 2 n; d RPUSH {t}s x y; a <; b <; c <
        a XREADGROUP GROUP g c BLOCK 0 STREAMS x > &; d XADD x 1-1 f v; a <";
    stage.play("d XGROUP CREATE x g $ MKSTREAM");
    scene.split([';', '\n']).for_each(|line| drop(stage.play(line.trim())));
    let questions = ["LRANGE l 0 -1", "ZRANGE z 0 -1", "LRANGE {t}s 0 -1", "LRANGE {t}d 0 -1"];
    let pending = "XPENDING x g";
    let ask = |client: &mut Client| -> Vec<Reply> {
        let all = questions.iter().chain([&pending]);
        all.map(|line| client.ask(&line.split(' ').collect::<Vec<_>>())).collect()
    };
    let before = ask(&mut server.client());
    let bulk = |text: &str| Reply::Bulk(text.into());
    let one = |text: &str| Reply::Array(vec![bulk(text)]);
    assert_eq!(before[..4], [one("2"), one("n"), one("y"), one("x")]);
    drop(stage);
    server.kill();
    let server = launch.start();
    assert_eq!(ask(&mut server.client()), before);
}
