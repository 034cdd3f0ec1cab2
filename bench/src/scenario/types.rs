//! Rows about collections: CPU per operation at pipeline 16, and memory.
//!
//! Collections are in a steady state while they are measured: what a row adds it also takes away,
//! or it changes what is there. Keys of 16 bytes, and members and fields of 16 bytes where there are many.

use super::{Goal, Row, Scenario, Subject, VALUE_BYTES, Work, goal};
use crate::{
    load::{Keys, Mix, Order, Role, Template},
    metric::Metric,
    server::Persistence,
};

const PIPELINE: usize = 16;
/// Elements of a big collection whose speed is measured.
const MANY: u64 = 1_000_000;
/// Elements of a big collection, and of all small ones together, whose memory is measured.
const MANY_MORE: u64 = 5_000_000;
const SMALL_VALUE_BYTES: usize = 16;

/// Commands in turns, for so many keys.
fn role(connections: usize, keys: u64, commands: &[&str]) -> Role {
    let part = |command: &&str| Template::parse(command).map(|template| (template, 1));
    let parts: Result<Vec<_>, String> = commands.iter().map(part).collect();
    // A test builds every row.
    let mix = parts.and_then(Mix::new).unwrap_or_else(|e| unreachable!("{e}"));
    let keys = Keys::new(keys, Order::Uniform);
    Role { connections, pipeline: PIPELINE, mix, keys, value_bytes: VALUE_BYTES, rate: None }
}

fn bound(metric: Metric, bound: f64) -> Vec<Goal> {
    vec![goal(metric, Subject::Quire, Subject::Redis, bound)]
}

/// So many words with ascending numbers, each with what follows it.
fn numbered(word: &str, count: usize, behind: &str) -> String {
    (0..count).map(|n| format!(" {word}{n} {behind}")).collect()
}

fn cpu(name: &str, fill: Option<Role>, load: Role, ratio: f64) -> Row {
    Row {
        scenario: Scenario::TypesCpu,
        name: name.to_owned(),
        persistence: Persistence::Off,
        subjects: vec![Subject::Quire, Subject::Redis],
        work: Work::Load { fill: fill.into_iter().collect(), roles: vec![load] },
        goals: bound(Metric::CpuPerOp, ratio),
    }
}

fn cpu_rows(clients: usize) -> Vec<Row> {
    let load = |keys, commands: &[&str]| role(clients, keys, commands);
    let lists = || Some(load(1000, &[&format!("RPUSH {{lst:}}{}", " {value}".repeat(100))]));
    let hashes = || {
        let command = format!("HSET {{hsh:}}{}", numbered("field:", 20, "{value}"));
        Some(load(10_000, &[&command]))
    };
    let set = || Some(load(MANY, &["SADD set {mem:}"]));
    let zset = || Some(load(MANY, &["ZADD zset {number} {mem:}"]));
    let stream = Some(load(MANY, &["XADD stream 1-{index} field {value}"]));
    vec![
        cpu(
            "LPUSH, RPOP: lists of 100",
            lists(),
            load(1000, &["LPUSH {lst:} {value}", "RPOP {lst:}"]),
            0.7,
        ),
        cpu("LRANGE 0 99: lists of 100", lists(), load(1000, &["LRANGE {lst:} 0 99"]), 0.8),
        cpu(
            "HSET: hashes of 20 fields",
            hashes(),
            load(10_000, &["HSET {hsh:} field:{number:20} {value}"]),
            0.7,
        ),
        cpu(
            "HGET: hashes of 20 fields",
            hashes(),
            load(10_000, &["HGET {hsh:} field:{number:20}"]),
            0.7,
        ),
        // Half of the members are there, at any time.
        cpu(
            "SADD, SREM: set of 1M",
            set(),
            load(2 * MANY, &["SADD set {mem:}", "SREM set {mem:}"]),
            0.7,
        ),
        cpu("SISMEMBER: set of 1M", set(), load(2 * MANY, &["SISMEMBER set {mem:}"]), 0.7),
        cpu("ZADD: zset of 1M", zset(), load(MANY, &["ZADD zset {number} {mem:}"]), 0.7),
        cpu(
            "ZRANGEBYSCORE, 10: zset of 1M",
            zset(),
            load(MANY, &["ZRANGEBYSCORE zset {number} +inf LIMIT 0 10"]),
            0.7,
        ),
        cpu("ZRANK: zset of 1M", zset(), load(MANY, &["ZRANK zset {mem:}"]), 0.7),
        cpu(
            "XADD: streams of 1000",
            None,
            load(100, &["XADD {stm:} MAXLEN ~ 1000 * field {value}"]),
            0.7,
        ),
        cpu(
            "XRANGE, 10: stream of 1M",
            stream,
            load(MANY, &["XRANGE stream 1-{number} + COUNT 10"]),
            0.7,
        ),
    ]
}

fn memory(name: &str, keys: u64, command: &str) -> Row {
    Row {
        scenario: Scenario::TypesMemory,
        name: format!("memory, {name}"),
        persistence: Persistence::Off,
        subjects: vec![Subject::Quire, Subject::Redis],
        work: Work::Grow(Role { value_bytes: SMALL_VALUE_BYTES, ..role(1, keys, &[command]) }),
        goals: bound(Metric::BytesPerKey, 0.9),
    }
}

fn memory_rows() -> Vec<Row> {
    let scores: String = (0..10).map(|n| format!(" {{number}} member:{n}")).collect();
    vec![
        memory(
            "1M hashes of 10 fields",
            MANY,
            &format!("HSET {{hsh:}}{}", numbered("field:", 10, "{value}")),
        ),
        memory("1M lists of 10", MANY, &format!("RPUSH {{lst:}}{}", " {value}".repeat(10))),
        memory("1M zsets of 10", MANY, &format!("ZADD {{zst:}}{scores}")),
        memory("zset of 5M, per member", MANY_MORE, "ZADD zset {number} {mem:}"),
        memory("hash of 5M, per field", MANY_MORE, "HSET hash {fld:} {value}"),
    ]
}

/// All of them, for `clients` connections.
pub fn rows(clients: usize) -> Vec<Row> {
    let mut rows = cpu_rows(clients);
    rows.extend(memory_rows());
    rows
}
