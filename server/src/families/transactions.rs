//! MULTI, EXEC, DISCARD, WATCH, UNWATCH. What they do is in `dispatch/transaction`.

use super::{ServerSpec, Step, server_row};
use crate::{net::connection::Connection, runtime::core::Core};
use quire_engine::command::{Args, CommandError, Flags, Group, KeySpec, Reply};

/// Flags of those that are as good as nothing.
const LIGHT: Flags = Flags::NOSCRIPT
    .with(Flags::LOADING)
    .with(Flags::STALE)
    .with(Flags::FAST)
    .with(Flags::ALLOW_BUSY);

const fn row(
    name: &'static str,
    since: &'static str,
    summary: &'static str,
    run: super::ServerFn,
) -> ServerSpec {
    ServerSpec { group: Group::Transactions, ..server_row(name, 1, LIGHT, since, summary, run) }
}

pub(super) const SPECS: &[ServerSpec] = &[
    row("multi", "1.2.0", "Begins a transaction: what follows is queued", multi),
    ServerSpec {
        flags: Flags::NOSCRIPT.with(Flags::LOADING).with(Flags::STALE).with(Flags::SKIP_SLOWLOG),
        complexity: "Depends on commands in the transaction",
        ..row("exec", "1.2.0", "Executes what was queued since MULTI", exec)
    },
    ServerSpec {
        complexity: "O(N), when N is the number of queued commands",
        ..row("discard", "2.0.0", "Forgets what was queued since MULTI", discard)
    },
    ServerSpec {
        arity: -2,
        keys: KeySpec::ALL,
        complexity: "O(1) for every key.",
        ..row("watch", "2.2.0", "Has EXEC do nothing if one of the keys changes before", watch)
    },
    row("unwatch", "2.2.0", "Watches no key any longer", unwatch),
];

fn multi(
    _core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let multi = conn.multi.get_or_insert_default();
    if multi.is_open {
        return Err(CommandError::new("ERR MULTI calls can not be nested"));
    }
    multi.is_open = true;
    Reply::new(out, conn.session.resp3).ok();
    Ok(Step::Reply)
}

fn exec(
    _core: &mut Core,
    _conn: &mut Connection,
    _args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    Ok(Step::Exec)
}

fn discard(
    core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    if conn.multi.as_ref().is_none_or(|multi| !multi.is_open) {
        return Err(CommandError::new("ERR DISCARD without MULTI"));
    }
    core.discard(conn);
    Reply::new(out, conn.session.resp3).ok();
    Ok(Step::Reply)
}

fn watch(
    _core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    if conn.multi.as_ref().is_some_and(|multi| multi.is_open) {
        return Err(CommandError::new("ERR WATCH inside MULTI is not allowed"));
    }
    Ok(Step::Watch)
}

fn unwatch(
    core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    if let Some(multi) = conn.multi.as_mut() {
        let watched = multi.take_watched();
        if !multi.is_open {
            conn.multi = None;
        }
        core.unwatch(&watched);
    }
    Reply::new(out, conn.session.resp3).ok();
    Ok(Step::Reply)
}
