//! The cases: each sets up what it needs, runs its operations inside [`measured`], and returns
//! how many they were. One line in `CASES` adds one.

use std::hint::black_box;

use quire_engine::{
    aof::{FsyncPolicy, LogWriter, OpenSegment, Staging},
    command::{CommandSpec, OwnedArgs, Span},
    effect::Effect,
    families::table,
    io::{FileId, LogIo, WriteSync},
    keyspace::{Deadline, KeyHasher, Keyspace},
    shard::Shard,
};
use quire_server::resp::{Parsed, RequestParser};

use super::measured;

/// A path to be measured.
pub struct Case {
    /// As it is asked for.
    pub name: &'static str,
    /// Runs it; returns the number of operations.
    pub run: fn() -> u64,
}

/// Every case.
pub const CASES: &[Case] = &[
    Case { name: "parser: GET", run: || parser(b"*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000000\r\n") },
    Case {
        name: "parser: SET, 64 B",
        run: || {
            let mut request = b"*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000000\r\n$64\r\n".to_vec();
            request.extend_from_slice(&VALUE);
            request.extend_from_slice(b"\r\n");
            parser(&request)
        },
    },
    Case { name: "table: lookup, hit", run: || lookups(0) },
    Case { name: "table: lookup, miss", run: || lookups(KEYS) },
    Case { name: "table: insert with growth", run: inserts },
    Case { name: "table: overwrite", run: overwrites },
    Case { name: "table: remove", run: removals },
    Case { name: "log: encode SET, 64 B", run: encoding },
    Case { name: "log: commit of 1, everysec", run: || commits("everysec", 1) },
    Case { name: "log: commit of 50, everysec", run: || commits("everysec", 50) },
    Case { name: "log: commit of 1, always", run: || commits("always", 1) },
    Case { name: "log: commit of 50, always", run: || commits("always", 50) },
    Case { name: "command: GET", run: || commands("GET", false) },
    Case { name: "command: SET, no log", run: || commands("SET", false) },
    Case { name: "command: SET, log", run: || commands("SET", true) },
];

const KEYS: u64 = 20_000;
const BATCHES: u64 = 2000;
const VALUE: [u8; 64] = [b'v'; 64];

fn key(number: u64) -> Vec<u8> {
    format!("key:{number:012}").into_bytes()
}

fn keys(from: u64) -> Vec<Vec<u8>> {
    // An order of its own, so that neighbours in it are no neighbours in the table.
    (0..KEYS).map(|i| key(from + i * 7919 % KEYS)).collect()
}

fn parser(request: &[u8]) -> u64 {
    const REQUESTS: usize = 2000;
    let stream = request.repeat(REQUESTS);
    let mut parser = RequestParser::new(true, 512 << 20);
    let (mut spans, mut parsed, mut at): (Vec<Span>, _, _) = (Vec::new(), 0, 0);
    measured(&mut || {
        while at < stream.len() {
            match parser.parse(black_box(&stream[at..]), &mut spans) {
                Parsed::Complete { consumed } => at += consumed,
                other => panic!("a whole request is {other:?}"),
            }
            parsed += 1;
        }
    });
    assert_eq!(parsed, REQUESTS);
    REQUESTS as u64
}

fn filled() -> Keyspace {
    let mut keyspace = Keyspace::new(1, KeyHasher::fixed());
    let hasher = KeyHasher::fixed();
    for key in keys(0) {
        keyspace.db_mut(0).set(hasher.key(&key), &VALUE, Deadline::None);
    }
    keyspace
}

fn lookups(from: u64) -> u64 {
    let (keyspace, hasher, keys) = (filled(), KeyHasher::fixed(), keys(from));
    let mut found = 0;
    measured(&mut || {
        for key in &keys {
            found += u64::from(keyspace.db(0).get(hasher.key(black_box(key))).is_some());
        }
    });
    assert_eq!(found, if from == 0 { KEYS } else { 0 });
    KEYS
}

fn inserts() -> u64 {
    let mut keyspace = Keyspace::new(1, KeyHasher::fixed());
    let (hasher, keys) = (KeyHasher::fixed(), keys(0));
    measured(&mut || {
        for key in &keys {
            keyspace.db_mut(0).set(hasher.key(black_box(key)), &VALUE, Deadline::None);
        }
    });
    assert_eq!(keyspace.len() as u64, KEYS);
    KEYS
}

fn overwrites() -> u64 {
    let (mut keyspace, hasher, keys) = (filled(), KeyHasher::fixed(), keys(0));
    measured(&mut || {
        for key in &keys {
            keyspace.db_mut(0).set(hasher.key(black_box(key)), &VALUE, Deadline::None);
        }
    });
    KEYS
}

fn removals() -> u64 {
    let (mut keyspace, hasher, keys) = (filled(), KeyHasher::fixed(), keys(0));
    measured(&mut || {
        for key in &keys {
            keyspace.db_mut(0).remove(hasher.key(black_box(key)));
        }
    });
    assert!(keyspace.is_empty());
    KEYS
}

fn stage(staging: &mut Staging, key: &[u8]) {
    staging.begin();
    staging.push(0, Effect::Set { key, value: &VALUE, deadline: Deadline::None });
    staging.end();
}

fn encoding() -> u64 {
    let (mut log, key) = (Log::new("everysec"), key(7));
    // Both of its buffers have grown to their size before it counts.
    for _ in 0..2 {
        (0..BATCHES).for_each(|_| stage(&mut log.staging, &key));
        log.commit();
    }
    measured(&mut || (0..BATCHES).for_each(|_| stage(&mut log.staging, black_box(&key))));
    BATCHES
}

/// A disk that has done everything at once.
#[derive(Default)]
struct Instantly {
    written: Option<usize>,
    syncing: bool,
}

impl LogIo for Instantly {
    fn write_now(&mut self, _: FileId, _: u64, bytes: &[u8]) -> Result<(), i32> {
        black_box(bytes);
        Ok(())
    }

    unsafe fn start_write(&mut self, _: FileId, _: u64, _: *const u8, len: usize, _: WriteSync) {
        self.written = Some(len);
    }

    fn start_sync(&mut self, _: FileId) {
        self.syncing = true;
    }
}

/// The log of one shard on such a disk.
struct Log {
    staging: Staging,
    writer: LogWriter,
    io: Instantly,
    now_us: u64,
}

impl Log {
    fn new(policy: &str) -> Self {
        let policy = FsyncPolicy::parse(policy).expect("a policy");
        let segment = OpenSegment {
            file: 3,
            path: "segment".into(),
            seq: 1,
            method: policy.method(),
            // Never full: rotation is another case.
            capacity: 1 << 40,
        };
        let writer = LogWriter::new(0, 1, policy, segment);
        Self { staging: Staging::new(0, 1), writer, io: Instantly::default(), now_us: 0 }
    }

    /// Turns until everything staged is settled.
    fn commit(&mut self) {
        let Self { staging, writer, io, now_us } = self;
        while writer.released() < staging.last_lsn() {
            *now_us += 100;
            writer.pump(staging, *now_us, io);
            if let Some(len) = io.written.take() {
                writer.on_write_done(Ok(len), staging, *now_us, io);
                writer.pump(staging, *now_us, io);
            }
            if std::mem::take(&mut io.syncing) {
                writer.on_sync_done(Ok(()), staging, *now_us, io);
            }
        }
    }
}

/// Batches through staging, commit and completion, `together` at a time.
fn commits(policy: &str, together: u64) -> u64 {
    let (mut log, key) = (Log::new(policy), key(7));
    let turn = |log: &mut Log| {
        (0..together).for_each(|_| stage(&mut log.staging, black_box(&key)));
        log.commit();
    };
    (0..4).for_each(|_| turn(&mut log));
    let before = log.writer.written();
    measured(&mut || (0..BATCHES / together).for_each(|_| turn(&mut log)));
    assert!(log.writer.failed().is_none() && log.writer.written() == before + BATCHES);
    BATCHES
}

fn spec(name: &str) -> &'static CommandSpec {
    table::lookup(name.as_bytes()).expect("a command")
}

/// One command after the other on one shard, reply included.
fn commands(name: &str, log: bool) -> u64 {
    let staging = if log { Staging::new(0, 1) } else { Staging::disabled() };
    let mut shard = Shard::new(0, 1, 1, KeyHasher::fixed(), staging, 1);
    let (set, asked) = (spec("SET"), spec(name));
    let arguments = |name: &str, key: &[u8]| {
        let parts: &[&[u8]] = &[name.as_bytes(), key, &VALUE];
        OwnedArgs::from_slices(if name == "SET" { parts } else { &parts[..2] })
    };
    let all: Vec<OwnedArgs> = keys(0).iter().map(|key| arguments(name, key)).collect();
    let mut out = Vec::with_capacity(1 << 20);
    for key in keys(0) {
        shard.execute(set, 0, 1, false, arguments("SET", &key).as_args(), &mut out);
        out.clear();
    }
    measured(&mut || {
        for args in &all {
            shard.execute(asked, 0, 1, false, black_box(args).as_args(), &mut out);
            black_box(&out);
            out.clear();
        }
    });
    KEYS
}
