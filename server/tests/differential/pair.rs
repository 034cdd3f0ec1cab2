//! Quire and stock Redis side by side: a script is run on both, and replies are compared as they
//! come.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::{Duration, Instant},
};

use super::{
    relation::{Relation, agree, scan_page, strings},
    script::{Action, CONNECTIONS, Checkpoint, Ending, Item, Line, Script, line, shown},
};
use crate::support::{
    client::push_command,
    process::{Launch, ServerProcess, fresh_dir},
};

/// Commands sent before their replies are read.
const PIPELINE: usize = 64;
/// Longer than any deadline that an [`Action::Expiry`] sets.
const PAUSE: Duration = Duration::from_millis(12);
/// Databases compared at the end.
const DATABASES: usize = 16;

/// Settings of both, besides those of a test.
const BOTH: [&str; 2] = ["--stream-node-max-bytes", "0"];
/// Settings that scripts change, with their defaults.
const SETTINGS: [&str; 11] = [
    "hz 10",
    "timeout 0",
    "proto-max-bulk-len 512mb",
    "appendfsync everysec",
    "list-max-listpack-size -2",
    "hash-max-listpack-entries 512",
    "hash-max-listpack-value 64",
    "set-max-intset-entries 512",
    "zset-max-listpack-entries 128",
    "zset-max-listpack-value 64",
    "stream-node-max-entries 100",
];

/// Where the two differ.
#[derive(Debug)]
pub struct Difference {
    /// The item.
    pub at: usize,
    /// What was said.
    pub text: String,
}

/// A connection that reads replies as bytes.
struct Link(BufReader<TcpStream>);

impl Link {
    fn open(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self(BufReader::with_capacity(64 * 1024, stream)))
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// The bytes of the next reply.
    fn receive(&mut self, reply: &mut Vec<u8>) -> io::Result<()> {
        let start = reply.len();
        if self.0.read_until(b'\n', reply)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let header = &reply[start..];
        let kind = header[0];
        let count: i64 = std::str::from_utf8(&header[1..])
            .ok()
            .and_then(|text| text.trim_end().parse().ok())
            .unwrap_or(0);
        match kind {
            b'$' | b'=' if count >= 0 => {
                let start = reply.len();
                reply.resize(start + count as usize + 2, 0);
                self.0.read_exact(&mut reply[start..])
            }
            b'*' | b'~' | b'>' => (0..count).try_for_each(|_| self.receive(reply)),
            b'%' => (0..2 * count).try_for_each(|_| self.receive(reply)),
            _ => Ok(()),
        }
    }

    /// One command and its reply.
    fn ask(&mut self, line: &[Vec<u8>]) -> Vec<u8> {
        let mut request = Vec::new();
        push_command(&mut request, line);
        let mut reply = Vec::new();
        match self.send(&request).and_then(|()| self.receive(&mut reply)) {
            Ok(()) => reply,
            Err(e) => format!("(no reply: {e})").into_bytes(),
        }
    }

    fn say(&mut self, line: &str) -> Vec<u8> {
        let words: Vec<Vec<u8>> = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
        self.ask(&words)
    }
}

/// One server and the connections to it.
struct Side {
    launch: Launch,
    process: Option<ServerProcess>,
    links: Vec<Link>,
}

impl Side {
    fn port(&self) -> u16 {
        self.process.as_ref().expect("it runs").port
    }

    fn connect(&mut self, protocols: [u8; CONNECTIONS]) {
        let port = self.port();
        let open = |protocol: u8| {
            let mut link = Link::open(port).expect("a running server accepts connections");
            link.say(&format!("HELLO {protocol}"));
            link
        };
        self.links = protocols.map(open).into();
    }

    /// Begins to save when nothing is being saved.
    fn begin(&mut self, line: &str) -> Result<(), String> {
        let reply = self.saved()?.say(line);
        let begins = reply.starts_with(b"+Background") && reply.ends_with(b"started\r\n");
        if begins { Ok(()) } else { Err(format!("{line}: {}", reply.escape_ascii())) }
    }

    /// Waits for the end of what is being saved.
    fn saved(&mut self) -> Result<Link, String> {
        let mut link = Link::open(self.port()).expect("a running server accepts connections");
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let info = link.say("INFO persistence");
            if !is_saving(&info) {
                let info = String::from_utf8_lossy(&info);
                let fails = info.lines().find(|line| line.ends_with("_status:err"));
                return fails.map_or(Ok(link), |line| Err(line.to_owned()));
            }
            if Instant::now() > deadline {
                let info = String::from_utf8_lossy(&info).into_owned();
                return Err(format!("a checkpoint on port {} does not end\n{info}", self.port()));
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Meets every key of every database: those whose time is over go then.
    fn meet_all_keys(&mut self) {
        let mut link = Link::open(self.port()).expect("a running server accepts connections");
        for db in 0..DATABASES {
            link.say(&format!("SELECT {db}"));
            link.say("SCAN 0 COUNT 1000000");
        }
    }

    fn restart(&mut self, ending: Ending) {
        self.links.clear();
        let process = self.process.take().expect("it runs");
        match ending {
            Ending::Stop => process.stop(),
            Ending::Kill => process.kill(),
        }
        self.process = Some(self.launch.start());
    }
}

/// Redis and Quire, in this order.
pub struct Pair {
    _dir: tempfile::TempDir,
    sides: [Side; 2],
    /// Numbers of shards that Quire takes on in turn, from start to start.
    shards: Vec<&'static str>,
    starts: usize,
    /// The script that runs has restarted them: strings may have other encodings since, for a
    /// log holds values (and Redis' changes them when it is rewritten).
    restarted: bool,
    /// They keep a log; without one, only what snapshots hold.
    logs: bool,
}

impl Pair {
    /// Starts both, with `directives` for both. Quire runs with the first of `shards`, with the
    /// next one after each restart.
    pub fn start(shards: &[&'static str], directives: &[&str]) -> Self {
        let logs = directives.windows(2).any(|pair| pair == ["--appendonly", "yes"]);
        let dir = fresh_dir();
        let path = |name: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).expect("the directory is fresh");
            path
        };
        let redis = Launch::redis(&path("redis")).with(&BOTH).with(directives);
        let quire = Launch::quire(&path("quire"))
            .with(&BOTH)
            .with(directives)
            .with(&["--shards", shards[0]]);
        let sides = [redis, quire].map(|launch| {
            let process = Some(launch.start());
            Side { launch, process, links: Vec::new() }
        });
        Self { _dir: dir, sides, shards: shards.to_vec(), starts: 1, restarted: false, logs }
    }

    /// Runs a script on both from empty data sets; at its end all keys are compared.
    pub fn run(&mut self, script: &Script) -> Result<(), Difference> {
        let mut protocols = script.protocols;
        for side in &mut self.sides {
            side.connect(protocols);
            side.links[0].say("FLUSHALL");
            side.links[0].say("FUNCTION FLUSH");
            side.links[0].say("SCRIPT FLUSH");
            for setting in SETTINGS {
                side.links[0].say(&format!("CONFIG SET {setting}"));
            }
        }
        self.restarted = false;
        if !self.logs && script.items.iter().any(|item| matches!(item.action, Action::Restart(_))) {
            // What an earlier script has left would come back.
            self.checkpoint(Checkpoint::Save).map_err(|text| Difference { at: 0, text })?;
        }
        let mut at = 0;
        while at < script.items.len() {
            let item = &script.items[at];
            let burst = burst(&script.items[at..]);
            let step = match &item.action {
                Action::Lines(_) => self.lines(item.connection, &script.items[at..at + burst]),
                action => self.action(item.connection, action, &mut protocols),
            };
            step.map_err(|(offset, text)| Difference { at: at + offset, text })?;
            at += burst;
        }
        self.compare_keys().map_err(|text| Difference { at, text })
    }

    /// A burst of lines on one connection.
    fn lines(&mut self, connection: usize, items: &[Item]) -> Result<(), (usize, String)> {
        let lines = || {
            items.iter().enumerate().flat_map(|(offset, item)| match &item.action {
                Action::Lines(lines) => lines.iter().map(move |l| (offset, l)).collect(),
                _ => Vec::new(),
            })
        };
        let mut request = Vec::new();
        lines().for_each(|(_, (line, _))| push_command(&mut request, line));
        // FLUSHALL gives up a snapshot that is being written: whether one is, clocks decide.
        if !self.logs && lines().any(|(_, (line, _))| line[0].eq_ignore_ascii_case(b"flushall")) {
            for side in &mut self.sides {
                side.saved().map_err(|text| (0, text))?;
            }
        }
        for side in &mut self.sides {
            side.links[connection].send(&request).map_err(|e| (0, e.to_string()))?;
        }
        let mut result = Ok(());
        for (offset, (line, relation)) in lines().filter(|(_, (_, how))| *how != Relation::Silent) {
            let [redis, quire] = &mut self.sides;
            let replies = [redis, quire].map(|side| {
                let mut reply = Vec::new();
                match side.links[connection].receive(&mut reply) {
                    Ok(()) => reply,
                    Err(e) => format!("(no reply: {e})").into_bytes(),
                }
            });
            let relation = match relation {
                Relation::Exact if is_encoding(line) => self.encodings(),
                relation => *relation,
            };
            // All replies are read, so that nothing is under way when the next script begins.
            if let (Ok(()), Err(text)) = (&result, check(line, relation, &replies)) {
                result = Err((offset, text));
            }
        }
        result
    }

    fn action(
        &mut self,
        connection: usize,
        action: &Action,
        protocols: &mut [u8; CONNECTIONS],
    ) -> Result<(), (usize, String)> {
        match action {
            Action::Lines(_) => Ok(()),
            Action::Expiry { before, after, key } => {
                self.exact(connection, before)?;
                thread::sleep(PAUSE);
                self.exact(connection, after)?;
                self.exact(connection, &vec![b"EXISTS".to_vec(), key.clone()])
            }
            Action::Scan { command, options, width } => {
                self.scan(connection, command, options, *width)
            }
            Action::Exchange { from, to } => self.exchange(connection, from, to),
            Action::Count(line, how) => {
                self.sides.iter_mut().for_each(Side::meet_all_keys);
                let replies = self.sides.each_mut().map(|side| side.links[connection].ask(line));
                check(line, *how, &replies).map_err(|text| (0, text))
            }
            Action::Checkpoint(kind) => self.checkpoint(*kind).map_err(|text| (0, text)),
            Action::Raw(bytes) => {
                let [redis, quire] = [0, 1].map(|side| raw(self.sides[side].port(), bytes));
                differ(&format!("(raw) {}", bytes.escape_ascii()), redis == quire, &[redis, quire])
            }
            Action::Quit => {
                self.exact(connection, &vec![b"QUIT".to_vec()])?;
                for side in &mut self.sides {
                    let mut rest = Vec::new();
                    let closed = side.links[connection].0.read_to_end(&mut rest).is_ok();
                    if !closed || !rest.is_empty() {
                        return Err((0, "QUIT: it does not close".to_owned()));
                    }
                    side.links[connection] =
                        Link::open(side.port()).expect("a running server accepts connections");
                }
                Ok(())
            }
            Action::Restart(ending) => {
                let shards = self.shards[self.starts % self.shards.len()];
                self.starts += 1;
                self.restarted = true;
                let [redis, quire] = &mut self.sides;
                quire.launch = quire.launch.clone().with(&["--shards", shards]);
                // A Redis that is killed may lose what it has acknowledged: it puts off writing
                // while a sync is under way.
                if self.logs {
                    // Redis' log does not say what its streams are like: when a consumer reads again
                    // what it has, for one. A base does.
                    redis.begin("BGREWRITEAOF").map_err(|text| (0, text))?;
                    redis.saved().map_err(|text| (0, text))?;
                    redis.restart(Ending::Stop);
                    quire.restart(*ending);
                } else {
                    for side in [&mut *redis, quire] {
                        side.saved().map_err(|text| (0, text))?;
                        side.restart(Ending::Kill);
                    }
                }
                for side in [redis, quire] {
                    side.connect(*protocols);
                }
                self.compare_keys().map_err(|text| (0, text))
            }
        }
    }

    fn exact(&mut self, connection: usize, line: &Line) -> Result<(), (usize, String)> {
        let replies = self.sides.each_mut().map(|side| side.links[connection].ask(line));
        check(line, Relation::Exact, &replies).map_err(|text| (0, text))
    }

    fn scan(
        &mut self,
        connection: usize,
        command: &Line,
        options: &Line,
        width: usize,
    ) -> Result<(), (usize, String)> {
        let replies = self.sides.each_mut().map(|side| {
            let mut found = Vec::new();
            let mut cursor = b"0".to_vec();
            loop {
                let line = [&command[..], &[cursor], options].concat();
                let reply = side.links[connection].ask(&line);
                match scan_page(&reply) {
                    Some((next, strings)) => {
                        found.extend(strings.chunks(width).map(<[Vec<u8>]>::to_vec));
                        if next == b"0" {
                            break;
                        }
                        cursor = next;
                    }
                    None => return reply,
                }
            }
            found.sort();
            found.dedup();
            shown(&found.concat()).into_bytes()
        });
        let what = format!("{} 0.. {}", shown(command), shown(options));
        differ(&what, replies[0] == replies[1], &replies)
    }

    /// How encodings agree.
    fn encodings(&self) -> Relation {
        if self.restarted { Relation::Kind } else { Relation::Encoding }
    }

    /// What each server dumps, the other one restores.
    fn exchange(
        &mut self,
        connection: usize,
        from: &[u8],
        to: &[u8],
    ) -> Result<(), (usize, String)> {
        let dump = line(&[b"DUMP", from]);
        let dumps = self.sides.each_mut().map(|side| side.links[connection].ask(&dump));
        check(&dump, Relation::Nullness, &dumps).map_err(|text| (0, text))?;
        let [Some(of_redis), Some(of_quire)] = dumps.each_ref().map(|reply| bulk(reply)) else {
            return Ok(());
        };
        let mut payloads = [of_quire, of_redis].into_iter();
        let restore = [&b"RESTORE"[..], to, b"0", b"", b"REPLACE"];
        let replies = self.sides.each_mut().map(|side| {
            let mut restore = line(&restore);
            restore[3] = payloads.next().expect("one for each side").to_vec();
            side.links[connection].ask(&restore)
        });
        check(&line(&restore), Relation::Exact, &replies).map_err(|text| (0, text))?;
        self.exact(connection, &line(&[b"DEBUG", b"DIGEST-VALUE", to]))
    }

    /// Begins a checkpoint, when none is under way.
    fn checkpoint(&mut self, kind: Checkpoint) -> Result<(), String> {
        let delta = if kind == Checkpoint::Delta { "always" } else { "never" };
        let [_, quire] = &mut self.sides;
        Link::open(quire.port())
            .expect("a running server accepts connections")
            .say(&format!("CONFIG SET checkpoint-delta {delta}"));
        for side in &mut self.sides {
            side.begin(if kind == Checkpoint::Save { "BGSAVE" } else { "BGREWRITEAOF" })?;
        }
        Ok(())
    }

    /// All keys of all databases: names, types, encodings, deadlines, values.
    fn compare_keys(&mut self) -> Result<(), String> {
        let [mut redis, mut quire] = self
            .sides
            .each_mut()
            .map(|side| Link::open(side.port()).expect("a running server accepts connections"));
        let encodings = self.encodings();
        for db in 0..DATABASES {
            for link in [&mut redis, &mut quire] {
                link.say(&format!("SELECT {db}"));
                // Keys whose time has passed are removed when they are met.
                link.say("SCAN 0 COUNT 1000000");
            }
            let [names, ours] = [&mut redis, &mut quire].map(|link| strings(&link.say("KEYS *")));
            if names != ours {
                return Err(format!(
                    "keys of {db}: redis {}, quire {}",
                    shown(&names),
                    shown(&ours)
                ));
            }
            for link in [&mut redis, &mut quire] {
                all_counted(link, names.len())?;
            }
            for key in names {
                for (words, how) in [
                    (&["TYPE"][..], Relation::Exact),
                    (&["OBJECT", "ENCODING"][..], encodings),
                    (&["PEXPIRETIME"][..], Relation::Near(10_000)),
                    (&["DEBUG", "DIGEST-VALUE"][..], Relation::Exact),
                ] {
                    let mut line: Line =
                        words.iter().map(|word| word.as_bytes().to_vec()).collect();
                    line.push(key.clone());
                    let replies = [redis.ask(&line), quire.ask(&line)];
                    check(&line, how, &replies).map_err(|text| format!("db {db}: {text}"))?;
                }
                let info = line(&[b"XINFO", b"STREAM", &key, b"FULL", b"COUNT", b"0"]);
                let replies = [redis.ask(&info), quire.ask(&info)];
                check(&info, Relation::Stream, &replies).map_err(|t| format!("db {db}: {t}"))?;
            }
        }
        let replies = [redis.say("DEBUG DIGEST"), quire.say("DEBUG DIGEST")];
        check(&vec![b"DEBUG DIGEST".to_vec()], Relation::Exact, &replies)
    }
}

/// Whether INFO says that a checkpoint is under way, or will be.
fn is_saving(info: &[u8]) -> bool {
    let info = String::from_utf8_lossy(info);
    let names =
        ["aof_rewrite_in_progress:1", "aof_rewrite_scheduled:1", "rdb_bgsave_in_progress:1"];
    names.iter().any(|name| info.contains(name))
}

/// The bytes of a bulk reply that is not null.
fn bulk(reply: &[u8]) -> Option<&[u8]> {
    let start = reply.iter().position(|&byte| byte == b'\n')? + 1;
    (reply.first() == Some(&b'$') && reply.len() > start).then(|| &reply[start..reply.len() - 2])
}

/// Waits until the database counts only keys that have not expired.
fn all_counted(link: &mut Link, keys: usize) -> Result<(), String> {
    let expected = format!(":{keys}\r\n").into_bytes();
    let deadline = Instant::now() + Duration::from_secs(5);
    while link.say("DBSIZE") != expected {
        if Instant::now() > deadline {
            return Err(format!("DBSIZE stays apart from the {keys} keys there are"));
        }
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// How many items go out together: lines of one connection, up to a pipeline's length.
fn burst(items: &[Item]) -> usize {
    let together = |item: &&Item| {
        item.connection == items[0].connection && matches!(item.action, Action::Lines(_))
    };
    items.iter().take(PIPELINE).take_while(together).count().max(1)
}

/// True for OBJECT ENCODING.
fn is_encoding(line: &Line) -> bool {
    let is = |at: usize, word: &[u8]| line.get(at).is_some_and(|w| w.eq_ignore_ascii_case(word));
    is(0, b"object") && is(1, b"encoding")
}

fn check(line: &Line, how: Relation, replies: &[Vec<u8>; 2]) -> Result<(), String> {
    if agree(how, &replies[0], &replies[1]) { Ok(()) } else { Err(told(&shown(line), replies)) }
}

fn differ(what: &str, agrees: bool, replies: &[Vec<u8>; 2]) -> Result<(), (usize, String)> {
    if agrees { Ok(()) } else { Err((0, told(what, replies))) }
}

fn told(what: &str, [redis, quire]: &[Vec<u8>; 2]) -> String {
    format!("{what}\n  redis: {}\n  quire: {}", redis.escape_ascii(), quire.escape_ascii())
}

/// Everything a server answers to these bytes before it closes.
fn raw(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut link = Link::open(port).expect("a running server accepts connections");
    let mut answer = Vec::new();
    // A server may close before it has read everything.
    if link.send(bytes).is_ok() {
        let _ = link.0.get_mut().shutdown(Shutdown::Write);
        if let Err(e) = link.0.read_to_end(&mut answer) {
            answer.extend_from_slice(format!("(then {e})").as_bytes());
        }
    }
    answer
}
