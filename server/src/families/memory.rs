//! MEMORY STATS, DOCTOR, PURGE, MALLOC-STATS. (USAGE and HELP are the engine's: they are rows of
//! the same container there.)
//!
//! STATS and DOCTOR are tasks of every core: each publishes its figures first. PURGE is one too,
//! since every thread keeps some free memory for itself.

use super::{ServerSpec, Step, server_row};
use crate::{
    dispatch::everywhere::Task,
    net::connection::Connection,
    observe::{
        account, allocator,
        breakdown::{Breakdown, ratio},
    },
    runtime::core::Core,
};
use quire_engine::{
    command::{Args, CommandError, Flags, Reply},
    number::write_double,
};

const NONE: Flags = Flags(0);

pub(super) const SPECS: &[ServerSpec] = &[
    server_row("memory|stats", 2, NONE, "4.0.0", "Show memory usage details", stats),
    server_row("memory|doctor", 2, NONE, "4.0.0", "Outputs memory problems report", doctor),
    server_row("memory|purge", 2, NONE, "4.0.0", "Ask the allocator to release memory", purge),
    ServerSpec {
        complexity: "Depends on how much memory is allocated, could be slow",
        ..server_row(
            "memory|malloc-stats",
            2,
            NONE,
            "4.0.0",
            "Show allocator internal stats",
            malloc_stats,
        )
    },
];

fn stats(
    _core: &mut Core,
    _conn: &mut Connection,
    _args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    Ok(Step::Everywhere(Task::MemoryStats))
}

fn doctor(
    _core: &mut Core,
    _conn: &mut Connection,
    _args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    Ok(Step::Everywhere(Task::MemoryDoctor))
}

fn purge(
    _core: &mut Core,
    _conn: &mut Connection,
    _args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    Ok(Step::Everywhere(Task::Purge))
}

fn malloc_stats(
    _core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    Reply::new(out, conn.session.resp3).verbatim("txt", &allocator::report());
    Ok(Step::Reply)
}

/// PURGE's reply, once every thread has given back what it kept.
pub fn join_purge(out: &mut Vec<u8>) {
    allocator::purge();
    Reply::new(out, false).ok();
}

/// DOCTOR's reply.
pub fn join_diagnosis(core: &Core, conn: &Connection, out: &mut Vec<u8>) {
    let text = Breakdown::of(&core.shared, account::allocated()).diagnosis();
    Reply::new(out, conn.session.resp3).verbatim("txt", text.as_bytes());
}

/// A figure of STATS.
enum Figure {
    Bytes(u64),
    /// A difference may be below zero.
    Difference(i64),
    Ratio(f64),
}

/// STATS' reply.
pub fn join_stats(core: &Core, conn: &Connection, out: &mut Vec<u8>) {
    use Figure::{Bytes, Difference, Ratio};
    let parts = Breakdown::of(&core.shared, account::allocated());
    let memory = &parts.memory;
    let difference = |a: u64, b: u64| Difference(a as i64 - b as i64);
    let above_start = memory.used.saturating_sub(memory.startup);
    let head = [
        ("peak.allocated", Bytes(memory.peak)),
        ("total.allocated", Bytes(memory.used)),
        ("startup.allocated", Bytes(memory.startup)),
        ("replication.backlog", Bytes(0)),
        ("clients.slaves", Bytes(0)),
        ("clients.normal", Bytes(parts.clients)),
        ("cluster.links", Bytes(0)),
        ("aof.buffer", Bytes(parts.log)),
        ("lua.caches", Bytes(parts.scripts)),
        ("functions.caches", Bytes(parts.functions)),
    ];
    let tail = [
        ("overhead.total", Bytes(parts.overhead())),
        ("keys.count", Bytes(parts.keys)),
        ("keys.bytes-per-key", Bytes(above_start.checked_div(parts.keys).unwrap_or(0))),
        ("dataset.bytes", Bytes(parts.dataset())),
        ("dataset.percentage", Ratio(parts.dataset_percent())),
        ("peak.percentage", Ratio(100.0 * ratio(memory.used, memory.peak))),
        ("allocator.allocated", Bytes(memory.allocated)),
        ("allocator.active", Bytes(memory.active)),
        ("allocator.resident", Bytes(memory.resident)),
        ("allocator-fragmentation.ratio", Ratio(ratio(memory.active, memory.allocated))),
        ("allocator-fragmentation.bytes", difference(memory.active, memory.allocated)),
        ("allocator-rss.ratio", Ratio(ratio(memory.resident, memory.active))),
        ("allocator-rss.bytes", difference(memory.resident, memory.active)),
        ("rss-overhead.ratio", Ratio(ratio(memory.rss, memory.resident))),
        ("rss-overhead.bytes", difference(memory.rss, memory.resident)),
        ("fragmentation", Ratio(ratio(memory.rss, memory.used))),
        ("fragmentation.bytes", difference(memory.rss, memory.used)),
    ];
    let mut reply = Reply::new(out, conn.session.resp3);
    reply.map(head.len() + parts.databases.len() + tail.len());
    let mut digits = Vec::new();
    let mut put = |reply: &mut Reply<'_>, (name, figure): (&str, Figure)| {
        reply.bulk(name.as_bytes());
        match figure {
            Bytes(bytes) => reply.int(bytes as i64),
            Difference(bytes) => reply.int(bytes),
            Ratio(ratio) => {
                digits.clear();
                write_double(&mut digits, ratio);
                if reply.is_resp3() {
                    reply.raw(b",");
                    reply.raw(&digits);
                    reply.raw(b"\r\n");
                } else {
                    reply.bulk(&digits);
                }
            }
        }
    };
    head.into_iter().for_each(|field| put(&mut reply, field));
    for part in &parts.databases {
        reply.bulk(format!("db.{}", part.db).as_bytes());
        reply.map(3);
        put(&mut reply, ("overhead.hashtable.main", Bytes(part.tables)));
        put(&mut reply, ("overhead.hashtable.expires", Bytes(part.deadlines)));
        put(&mut reply, ("overhead.hashtable.slot-to-keys", Bytes(0)));
    }
    tail.into_iter().for_each(|field| put(&mut reply, field));
}
