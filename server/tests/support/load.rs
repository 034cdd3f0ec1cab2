//! Clients that write and read until the server dies, and remember what they were told.
//!
//! Each writer has its own keys and its own connection; it sends batches of mixed commands and
//! knows the state every one of them leads to. Readers look at everybody's keys.

use std::{
    collections::HashMap,
    io,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use super::{
    client::{Client, Reply, push_command},
    model::{Key, Keys, Seen, State},
    process::ServerProcess,
};

/// Far enough in the future (year 2100) that no deadline passes during a test, Unix ms.
const DEADLINE_MS: i64 = 4_102_444_800_000;
/// Keys of each kind per writer: few, so that one key is written many times.
const KEYS_PER_KIND: u64 = 6;

/// A small generator of random numbers (splitmix64), reproducible from its seed.
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    /// A number below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

/// One command under way.
struct Sent {
    /// The keys it writes, each once.
    keys: Vec<String>,
    /// The reply it must get; `None`: any but an error.
    reply: Option<Reply>,
}

/// One writer.
#[derive(Debug)]
pub struct Writer {
    id: u64,
    dice: Dice,
    /// Counts up, so that no two values of this writer are equal.
    version: u64,
    /// Its keys.
    pub keys: Keys,
    /// Commands acknowledged since it was made.
    pub acknowledged: u64,
    /// The first reply that was not what it should be.
    pub wrong: Option<String>,
}

impl Writer {
    /// The writer with this number.
    pub fn new(id: u64, seed: u64) -> Self {
        let dice = Dice(seed.wrapping_add(id << 32));
        Self { id, dice, version: 0, keys: Keys::new(), acknowledged: 0, wrong: None }
    }

    fn key(&mut self, name: &str) -> &mut Key {
        self.keys.entry(name.to_owned()).or_default()
    }

    fn latest(&mut self, name: &str) -> State {
        self.key(name).latest().clone()
    }

    /// A value never used before; one in twenty is longer than a log block.
    fn value(&mut self) -> Vec<u8> {
        self.version += 1;
        let length = match self.dice.roll(20) {
            0 => 3000 + self.dice.roll(9000),
            _ => self.dice.roll(120),
        };
        let mut value = format!("{}-{}-", self.id, self.version).into_bytes();
        value.resize(value.len() + length as usize, b'a' + (self.version % 26) as u8);
        value
    }

    fn name(&mut self, kind: &str) -> String {
        format!("{kind}:{}:{}", self.id, self.dice.roll(KEYS_PER_KIND))
    }

    /// Adds the next command to `out` and to the model.
    fn issue(&mut self, out: &mut Vec<u8>) -> Sent {
        match self.dice.roll(10) {
            0..=3 => self.issue_set(out),
            4 => self.issue_del(out),
            5..=6 => self.issue_incr(out),
            7 => self.issue_append(out),
            8 => self.issue_deadline(out),
            _ => self.issue_mset(out),
        }
    }

    fn one(&mut self, name: String, state: State, reply: Option<Reply>) -> Sent {
        self.key(&name).issue(state);
        Sent { keys: vec![name], reply }
    }

    fn issue_set(&mut self, out: &mut Vec<u8>) -> Sent {
        let (name, value) = (self.name("set"), self.value());
        if self.dice.roll(4) == 0 {
            let at = DEADLINE_MS + self.dice.roll(1_000_000) as i64;
            let deadline = at.to_string().into_bytes();
            push_command(out, &[b"SET", name.as_bytes(), &value, b"PXAT", &deadline]);
            return self.one(name, Some((value, Some(at))), Some(Reply::Simple("OK".into())));
        }
        push_command(out, &[b"SET", name.as_bytes(), &value]);
        self.one(name, Some((value, None)), Some(Reply::Simple("OK".into())))
    }

    fn issue_del(&mut self, out: &mut Vec<u8>) -> Sent {
        let kind = if self.dice.roll(3) == 0 { "ctr" } else { "set" };
        let name = self.name(kind);
        let was_there = self.latest(&name).is_some();
        push_command(out, &["DEL", &name]);
        self.one(name, None, Some(Reply::Int(i64::from(was_there))))
    }

    fn issue_incr(&mut self, out: &mut Vec<u8>) -> Sent {
        let name = self.name("ctr");
        let now = self.latest(&name).map_or(0, |(value, _)| {
            String::from_utf8_lossy(&value).parse::<i64>().expect("a counter holds a number")
        });
        push_command(out, &["INCR", &name]);
        let next = (now + 1).to_string().into_bytes();
        self.one(name, Some((next, None)), Some(Reply::Int(now + 1)))
    }

    fn issue_append(&mut self, out: &mut Vec<u8>) -> Sent {
        let name = self.name("app");
        let mut value = self.latest(&name).map_or_else(Vec::new, |(value, _)| value);
        if value.len() > 1500 {
            push_command(out, &["DEL", &name]);
            return self.one(name, None, Some(Reply::Int(1)));
        }
        self.version += 1;
        let piece = format!("{},", self.version);
        value.extend_from_slice(piece.as_bytes());
        push_command(out, &["APPEND", &name, &piece]);
        let length = value.len() as i64;
        self.one(name, Some((value, None)), Some(Reply::Int(length)))
    }

    fn issue_deadline(&mut self, out: &mut Vec<u8>) -> Sent {
        let name = self.name("set");
        let latest = self.latest(&name);
        if self.dice.roll(3) == 0 {
            push_command(out, &["PERSIST", &name]);
            let had = latest.as_ref().is_some_and(|(_, deadline)| deadline.is_some());
            let state = latest.map(|(value, _)| (value, None));
            return self.one(name, state, Some(Reply::Int(i64::from(had))));
        }
        let at = DEADLINE_MS + self.dice.roll(1_000_000) as i64;
        push_command(out, &["PEXPIREAT", &name, &at.to_string()]);
        let reply = Reply::Int(i64::from(latest.is_some()));
        let state = latest.map(|(value, _)| (value, Some(at)));
        self.one(name, state, Some(reply))
    }

    /// Two keys of one shard, or four of any.
    fn issue_mset(&mut self, out: &mut Vec<u8>) -> Sent {
        let value = self.value();
        let id = self.id;
        let keys: Vec<String> = if self.dice.roll(2) == 0 {
            ["a", "b"].map(|end| pair_key(id, end)).into()
        } else {
            (0..4).map(|n| format!("many:{id}:{n}")).collect()
        };
        let mut command: Vec<&[u8]> = vec![b"MSET"];
        keys.iter().for_each(|key| command.extend([key.as_bytes(), &value]));
        push_command(out, &command);
        for key in &keys {
            self.key(key).issue(Some((value.clone(), None)));
        }
        Sent { keys, reply: Some(Reply::Simple("OK".into())) }
    }

    /// Sends batches and reads their replies until the connection fails or `stop` is set.
    pub fn write_until(&mut self, port: u16, stop: &AtomicBool) {
        let Ok(mut client) = Client::connect(port) else { return };
        while !stop.load(Ordering::Relaxed) && self.wrong.is_none() {
            let mut out = Vec::new();
            let batch = 1 + self.dice.roll(16);
            let sent: Vec<Sent> = (0..batch).map(|_| self.issue(&mut out)).collect();
            if client.send(&out).is_err() {
                return;
            }
            for sent in sent {
                let Ok(reply) = client.receive() else { return };
                if sent.reply.as_ref().is_some_and(|expected| *expected != reply) {
                    self.wrong = Some(format!("{:?} for {:?}: {reply:?}", sent.reply, sent.keys));
                    return;
                }
                sent.keys.iter().for_each(|key| self.key(key).acknowledge());
                self.acknowledged += 1;
            }
        }
    }
}

fn pair_key(id: u64, end: &str) -> String {
    format!("pair:{{{id}}}:{end}")
}

/// What one reader saw, by key.
pub type Sights = HashMap<String, Seen>;

/// Reads random keys of `writers` writers until the connection fails or `stop` is set.
pub fn read_until(port: u16, writers: u64, seed: u64, stop: &AtomicBool) -> Sights {
    let (mut dice, mut sights) = (Dice(seed), Sights::new());
    let Ok(mut client) = Client::connect(port) else { return sights };
    while !stop.load(Ordering::Relaxed) {
        let (kind, writer) = (["set", "ctr", "app"][dice.roll(3) as usize], dice.roll(writers));
        let name = format!("{kind}:{writer}:{}", dice.roll(KEYS_PER_KIND));
        match client.try_ask(&["GET", &name]) {
            Ok(Reply::Bulk(value)) => sights.entry(name).or_default().look(Some(value)),
            Ok(Reply::Null) => sights.entry(name).or_default().look(None),
            _ => break,
        }
    }
    sights
}

/// Lets everybody work on `server` for a while, kills it with -9, and waits for everybody.
/// Returns what readers saw.
pub fn work_and_kill(
    server: ServerProcess,
    writers: &mut [Writer],
    readers: u64,
    work: Duration,
    seed: u64,
) -> Vec<Sights> {
    let (port, stop) = (server.port, AtomicBool::new(false));
    let count = writers.len() as u64;
    thread::scope(|scope| {
        let stop = &stop;
        for writer in writers.iter_mut() {
            scope.spawn(move || writer.write_until(port, stop));
        }
        let readers: Vec<_> = (0..readers)
            .map(|n| scope.spawn(move || read_until(port, count, seed ^ (n + 1), stop)))
            .collect();
        thread::sleep(work);
        server.kill();
        stop.store(true, Ordering::Relaxed);
        readers.into_iter().map(|r| r.join().expect("a reader does not panic")).collect()
    })
}

/// The state of each of `names` on a running server.
pub fn states(client: &mut Client, names: &[String]) -> io::Result<Vec<State>> {
    let mut out = Vec::new();
    for name in names {
        push_command(&mut out, &["GET", name]);
        push_command(&mut out, &["PEXPIRETIME", name]);
    }
    // Everything is small enough for the socket buffers, or the server reads while we write.
    client.send(&out)?;
    names
        .iter()
        .map(|_| {
            let (value, deadline) = (client.receive()?, client.receive()?);
            match (value, deadline) {
                (Reply::Null, _) => Ok(None),
                (Reply::Bulk(value), Reply::Int(-1)) => Ok(Some((value, None))),
                (Reply::Bulk(value), Reply::Int(at)) => Ok(Some((value, Some(at)))),
                other => Err(io::Error::other(format!("{other:?}"))),
            }
        })
        .collect()
}

/// Compares every key with the model after a restart; what is wrong, in words.
pub fn verify(client: &mut Client, writers: &mut [Writer], sights: &[Sights]) -> Vec<String> {
    let mut wrong = Vec::new();
    for writer in writers {
        wrong.extend(writer.wrong.take().map(|text| format!("a wrong reply: {text}")));
        let names: Vec<String> = writer.keys.keys().cloned().collect();
        let found = states(client, &names).expect("a restarted server answers");
        let half: Vec<&State> = names
            .iter()
            .zip(&found)
            .filter(|(name, _)| {
                **name == pair_key(writer.id, "a") || **name == pair_key(writer.id, "b")
            })
            .map(|(_, state)| state)
            .collect();
        if half.windows(2).any(|pair| pair[0] != pair[1]) {
            wrong.push(format!("half an MSET of one shard: {half:?}"));
        }
        for (name, found) in names.iter().zip(found) {
            let seen: Vec<Seen> = sights.iter().filter_map(|s| s.get(name).cloned()).collect();
            let key = writer.keys.entry(name.clone()).or_default();
            if let Err(text) = key.recovered(found, &seen) {
                wrong.push(format!("{name} {text}"));
            }
        }
    }
    wrong
}
