//! One shard that owns everything, driven as a connection would drive it.

use quire_engine::{
    aof::{CommandReader, Staging},
    command::{CommandError, CommandSpec, OwnedArgs, Reply},
    digest::Digest,
    families::table,
    keyspace::{KeyHasher, Value},
    shard::Shard,
    types::{ValueType, rewrite},
};
use std::time::{SystemTime, UNIX_EPOCH};

/// Databases of the servers under test.
pub const DATABASES: usize = 16;

/// Unix time, ms.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    since.as_millis() as i64
}

/// A shard and its connection's state.
pub struct Driver {
    /// The shard.
    pub shard: Shard,
    /// Selected database.
    pub db: usize,
    /// Whether replies are RESP3.
    pub resp3: bool,
}

impl Driver {
    /// An empty shard that logs.
    pub fn new(resp3: bool) -> Self {
        let staging = Staging::new(0, 1);
        let shard = Shard::new(0, 1, DATABASES, KeyHasher::fixed(), staging, 7);
        Self { shard, db: 0, resp3 }
    }

    /// Executes one command line at `now_ms`; the reply.
    pub fn execute_at<T: AsRef<[u8]>>(&mut self, line: &[T], now_ms: i64) -> Vec<u8> {
        let args = OwnedArgs::from_slices(line);
        let args = args.as_args();
        let mut out = Vec::new();
        let Some(mut spec) = table::lookup(args.get(0)) else {
            panic!("no such command: {}", String::from_utf8_lossy(args.get(0)));
        };
        if table::is_container(spec)
            && let Some(sub) = args.try_get(1).and_then(|sub| table::find_sub(spec, sub))
        {
            spec = table::SPECS[sub as usize];
        }
        if spec.accepts(args.len()) {
            self.shard.execute(spec, self.db, now_ms, self.resp3, args, &mut out);
        } else {
            Reply::new(&mut out, self.resp3).error(CommandError::arity(spec.name).text());
        }
        out
    }

    /// Executes one command line now; the reply.
    pub fn execute<T: AsRef<[u8]>>(&mut self, line: &[T]) -> Vec<u8> {
        self.execute_at(line, now_ms())
    }

    /// Executes a line of words separated by blanks.
    pub fn line(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        String::from_utf8_lossy(&self.execute(&words)).into_owned()
    }

    /// DEBUG DIGEST.
    pub fn digest(&self) -> String {
        digest(&self.shard)
    }

    /// What has been logged, replayed into an empty shard.
    pub fn replayed(&self) -> Shard {
        let hasher = KeyHasher::fixed();
        let mut shard = Shard::new(0, 1, DATABASES, hasher, Staging::disabled(), 7);
        let mut reader = CommandReader::new(self.shard.staging.staged());
        let mut db = 0;
        while let Some(args) = reader.next_command().expect("the log holds whole commands") {
            shard.replay(args, &mut db, 0).unwrap_or_else(|error| panic!("{error}"));
        }
        shard
    }
}

/// DEBUG DIGEST of a shard that owns everything.
pub fn digest(shard: &Shard) -> String {
    let parts = (0..DATABASES).filter_map(|db| Some((db as u32, shard.digest(db)?)));
    Digest::of_databases(parts).hex()
}

/// Database, key, value, deadline.
pub type Known = (usize, Vec<u8>, Vec<u8>, Option<i64>);

/// Keys that the examples of the command table are about.
pub const SETTING: &[&str] = &[
    "SET k abcdef",
    "SET k2 abc",
    "SET n 10",
    "HSET h f v n 1",
    "SADD s a b c",
    "SADD s2 b c d",
    "ZADD z 1 a 2 b 3 c",
    "ZADD z2 5 b 6 d",
    "PFADD hll a b c",
    "PFADD hll2 b c d",
    "GEOADD g 13.361389 38.115556 p 15.087269 37.502669 c",
    "RPUSH l a b a c",
    "RPUSH l2 x",
    "XADD x 1-1 f v",
    "XADD x 2-1 f v g w",
    "XADD x 3-1 f v",
    "XGROUP CREATE x g 0",
    "XREADGROUP GROUP g c COUNT 1 STREAMS x >",
];

/// Every key with its value and deadline, in order: more than the digest tells.
pub fn content(shard: &Shard) -> Vec<Known> {
    let mut content = Vec::new();
    for db in 0..DATABASES {
        shard.keyspace.db(db).for_each(&mut |entry| {
            let value = match entry.content() {
                Value::Str(text) => text.to_vec(),
                collection => elements(collection),
            };
            content.push((db, entry.key().to_vec(), value, entry.deadline()));
        });
    }
    content.sort();
    content
}

/// A collection as the commands that make it, elements in a defined order where they have none.
fn elements(collection: Value<'_>) -> Vec<u8> {
    let ordered = matches!(collection.kind(), ValueType::List | ValueType::Stream);
    let mut lines: Vec<Vec<u8>> = Vec::new();
    rewrite(collection, b"", &mut |parts| {
        if collection.kind() == ValueType::Stream {
            return lines.push(parts.join(&b'\0'));
        }
        let width =
            if matches!(collection.kind(), ValueType::Hash | ValueType::Zset) { 2 } else { 1 };
        lines.extend(parts[2..].chunks(width).map(|element| element.join(&b'\0')));
    });
    if !ordered {
        lines.sort();
    }
    lines.insert(0, collection.kind().name().into());
    lines.join(&b'\n')
}

/// The engine's rows that may change data.
pub fn writing_commands() -> impl Iterator<Item = &'static CommandSpec> {
    use quire_engine::command::Flags;
    table::SPECS.iter().copied().filter(|spec| spec.flags.has(Flags::WRITE))
}
