//! FLUSHALL, FLUSHDB, SWAPDB: the whole data set at once.

use super::{ServerSpec, Step};
use crate::{
    net::connection::Connection,
    runtime::{control::GlobalOp, core::Core},
};
use quire_engine::{
    command::{Args, CommandError, Flags, Group, KeySpec},
    keyspace::canonical_int as parse_i64,
};

pub(super) const SPECS: &[ServerSpec] = &[
    ServerSpec {
        name: "flushall",
        arity: -1,
        flags: Flags::WRITE,
        keys: KeySpec::None,
        group: Group::Server,
        acl: &["@keyspace", "@dangerous"],
        since: "1.0.0",
        complexity: "O(N) where N is the total number of keys in all databases",
        summary: "Remove all keys from all databases",
        subcommands: &[],
        run: flushall,
    },
    ServerSpec {
        name: "flushdb",
        arity: -1,
        flags: Flags::WRITE,
        keys: KeySpec::None,
        group: Group::Server,
        acl: &["@keyspace", "@dangerous"],
        since: "1.0.0",
        complexity: "O(N) where N is the number of keys in the selected database",
        summary: "Remove all keys from the current database",
        subcommands: &[],
        run: flushdb,
    },
    ServerSpec {
        name: "swapdb",
        arity: 3,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::None,
        group: Group::Server,
        acl: &["@keyspace", "@dangerous"],
        since: "4.0.0",
        complexity: "O(N) where N is the count of clients watching or blocking on keys from both databases.",
        summary: "Swaps two Redis databases",
        subcommands: &[],
        run: swapdb,
    },
];

/// Whether memory is to be freed later: ASYNC, or no option and `lazyfree-lazy-user-flush`.
fn flushes_lazily(core: &Core, args: Args<'_>) -> Result<bool, CommandError> {
    match args.try_get(1) {
        None => Ok(core.live.lazyfree.user_flush),
        Some(option) if args.len() == 2 && option.eq_ignore_ascii_case(b"async") => Ok(true),
        Some(option) if args.len() == 2 && option.eq_ignore_ascii_case(b"sync") => Ok(false),
        Some(_) => Err(CommandError::SYNTAX),
    }
}

fn flushall(
    core: &mut Core,
    _conn: &mut Connection,
    args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let lazily = flushes_lazily(core, args)?;
    core.admit_global()?;
    Ok(Step::Global(GlobalOp::FlushAll { lazily }))
}

fn flushdb(
    core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let lazily = flushes_lazily(core, args)?;
    core.admit_global()?;
    Ok(Step::Global(GlobalOp::FlushDb { db: conn.session.db as u16, lazily }))
}

fn swapdb(
    core: &mut Core,
    _conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let databases = core.shared.options.databases as i64;
    // Redis reads an `int`: what does not fit one is no index at all.
    let number = |i: usize, which: &'static str| {
        let index = parse_i64(args.get(i)).and_then(|n| i32::try_from(n).ok());
        index.map(i64::from).ok_or(CommandError::new(which))
    };
    let a = number(1, "ERR invalid first DB index")?;
    let b = number(2, "ERR invalid second DB index")?;
    if !(0..databases).contains(&a) || !(0..databases).contains(&b) {
        return Err(CommandError::new("ERR DB index is out of range"));
    }
    core.admit_global()?;
    if a == b {
        quire_engine::command::Reply::new(out, false).ok();
        return Ok(Step::Reply);
    }
    Ok(Step::Global(GlobalOp::SwapDb(a as u16, b as u16)))
}

impl Core {
    /// Refuses a change of the data set while a log does not take writes.
    fn admit_global(&self) -> Result<(), CommandError> {
        match self.shard.as_ref() {
            Some(shard) if shard.staging.enabled() => shard.staging.admit(4096),
            _ => Ok(()),
        }
    }
}
