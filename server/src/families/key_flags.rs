//! What a command does with each of its keys, in Redis' words: `RO`, `RW`, `OW` (overwrites without
//! looking), `RM`, and whether that accesses, updates, inserts or deletes the value.
//!
//! Rows are those of Redis' own tables, for every command of 7.0 that names keys; a command that
//! is in none does what most of its kind do.

use super::catalog::Entry;
use quire_engine::command::{Args, Flags};

type Words = &'static [&'static str];

const READS: Words = &["RO", "access"];
const WRITES: Words = &["RW", "update"];

/// Commands that do the same with all their keys; those that read and access are left out.
const ALIKE: &[(Words, &[&str])] = &[
    (READS, &["xreadgroup"]),
    (
        &["RW", "insert"],
        &[
            "append",
            "hsetnx",
            "linsert",
            "lpush",
            "lpushx",
            "pfadd",
            "rpush",
            "rpushx",
            "sadd",
            "xgroup|create",
            "xgroup|createconsumer",
        ],
    ),
    (&["RW", "update", "access", "variable_flags"], &["bitfield"]),
    (
        &["RW", "access", "delete"],
        &[
            "blmpop", "blpop", "brpop", "bzmpop", "bzpopmax", "bzpopmin", "getdel", "lmpop",
            "lpop", "rpop", "spop", "zmpop", "zpopmax", "zpopmin",
        ],
    ),
    (
        &["RW", "access", "update"],
        &[
            "decr",
            "decrby",
            "eval",
            "evalsha",
            "fcall",
            "getex",
            "getset",
            "hincrby",
            "hincrbyfloat",
            "incr",
            "incrby",
            "incrbyfloat",
            "move",
            "setbit",
            "zincrby",
        ],
    ),
    (&["RM", "delete"], &["del", "unlink"]),
    (
        &["RO"],
        &[
            "exists",
            "hexists",
            "hlen",
            "hstrlen",
            "llen",
            "memory|usage",
            "object|encoding",
            "object|freq",
            "object|idletime",
            "object|refcount",
            "scard",
            "sismember",
            "strlen",
            "touch",
            "type",
            "watch",
            "xlen",
            "zcard",
        ],
    ),
    (
        &["RW", "update"],
        &[
            "expire",
            "expireat",
            "geoadd",
            "hmset",
            "hset",
            "lset",
            "persist",
            "pexpire",
            "pexpireat",
            "setrange",
            "xack",
            "xadd",
            "xclaim",
            "xgroup|setid",
            "xsetid",
            "zadd",
        ],
    ),
    (
        &["RW", "delete"],
        &[
            "hdel",
            "lrem",
            "ltrim",
            "srem",
            "xautoclaim",
            "xdel",
            "xgroup|delconsumer",
            "xgroup|destroy",
            "xtrim",
            "zrem",
            "zremrangebylex",
            "zremrangebyrank",
            "zremrangebyscore",
        ],
    ),
    (&["OW", "update"], &["mset", "psetex", "restore-asking", "restore", "setex"]),
    (&["OW", "insert"], &["msetnx", "setnx"]),
    (&["RW", "access"], &["pfcount", "pfdebug"]),
    (&["RW", "access", "update", "variable_flags"], &["set"]),
];

/// Commands that do one thing with the first key and another with the others.
const FIRST_AND_OTHERS: &[(&str, Words, Words)] = &[
    ("bitop", &["OW", "update"], &["RO", "access"]),
    ("blmove", &["RW", "access", "delete"], &["RW", "insert"]),
    ("brpoplpush", &["RW", "access", "delete"], &["RW", "insert"]),
    ("copy", &["RO", "access"], &["OW", "update"]),
    ("georadius", READS, &["OW", "update"]),
    ("georadiusbymember", READS, &["OW", "update"]),
    ("geosearchstore", &["OW", "update"], &["RO", "access"]),
    ("lmove", &["RW", "access", "delete"], &["RW", "insert"]),
    ("pfmerge", &["RW", "access", "insert"], &["RO", "access"]),
    ("rename", &["RW", "access", "delete"], &["OW", "update"]),
    ("renamenx", &["RW", "access", "delete"], &["OW", "insert"]),
    ("rpoplpush", &["RW", "access", "delete"], &["RW", "insert"]),
    ("sdiffstore", &["OW", "update"], &["RO", "access"]),
    ("sinterstore", &["RW", "update"], &["RO", "access"]),
    ("smove", &["RW", "access", "delete"], &["RW", "insert"]),
    ("sort", READS, &["OW", "update"]),
    ("sunionstore", &["OW", "update"], &["RO", "access"]),
    ("zdiffstore", &["OW", "update"], &["RO", "access"]),
    ("zinterstore", &["OW", "update"], &["RO", "access"]),
    ("zrangestore", &["OW", "update"], &["RO", "access"]),
    ("zunionstore", &["OW", "update"], &["RO", "access"]),
];

/// What a command does with its first key and with the others, whatever its arguments.
pub(super) fn of(entry: &Entry) -> (Words, Words) {
    if let Some((_, first, others)) = FIRST_AND_OTHERS.iter().find(|row| row.0 == entry.name) {
        return (first, others);
    }
    let alike = ALIKE.iter().find(|(_, names)| names.contains(&entry.name));
    let default = if entry.flags.has(Flags::WRITE) { WRITES } else { READS };
    let words = alike.map_or(default, |(words, _)| words);
    (words, words)
}

/// The same of a command line, where the arguments may make a difference.
pub(super) fn of_line(entry: &Entry, line: Args<'_>) -> (Words, Words) {
    let words: Words = match entry.name {
        "set" if line.iter_from(3).any(|arg| arg.eq_ignore_ascii_case(b"get")) => {
            &["RW", "access", "update"]
        }
        "set" => &["OW", "update"],
        "bitfield" if only_reads(line) => READS,
        "bitfield" => &["RW", "access", "update"],
        _ => return of(entry),
    };
    (words, words)
}

/// Whether a BITFIELD reads and is sure to do nothing else.
fn only_reads(line: Args<'_>) -> bool {
    let mut at = 2;
    while let Some(word) = line.try_get(at) {
        let left = line.len() - at - 1;
        if word.eq_ignore_ascii_case(b"get") && left >= 2 {
            at += 3;
        } else if word.eq_ignore_ascii_case(b"overflow") && left >= 1 {
            at += 2;
        } else {
            return false;
        }
    }
    true
}
