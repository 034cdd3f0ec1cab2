//! CLIENT PAUSE, UNPAUSE, UNBLOCK: clients that wait, and those that wait no longer.

use super::Step;
use crate::{
    dispatch::everywhere::Task,
    net::connection::Connection,
    runtime::{
        attention::{Pause, Scope},
        control::Control,
        core::Core,
    },
};
use quire_engine::{
    command::{Args, CommandError, Reply},
    keyspace::canonical_int,
};
use std::time::Duration;

/// Milliseconds that a command may wait, as its arguments give them.
pub(super) fn timeout_ms(text: &[u8]) -> Result<u64, CommandError> {
    let ms = canonical_int(text)
        .ok_or(CommandError::new("ERR timeout is not an integer or out of range"))?;
    u64::try_from(ms).map_err(|_| CommandError::new("ERR timeout is negative"))
}

pub(super) fn pause(
    core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let scope = match args.try_get(3).map(<[u8]>::to_ascii_lowercase).as_deref() {
        _ if args.len() > 4 => return Err(super::help::wrong_arguments(args)),
        None | Some(b"all") => Scope::Everything,
        Some(b"write") => Scope::Writes,
        Some(_) => return Err(CommandError::new("ERR CLIENT PAUSE mode must be WRITE or ALL")),
    };
    let time = Duration::from_millis(timeout_ms(args.get(2))?);
    let until = core.now.checked_add(time).ok_or(CommandError::new("ERR timeout is too long"))?;
    core.shared.attention.pause(Pause { until, scope }, core.now);
    core.refresh_attention();
    Reply::new(out, conn.session.resp3).ok();
    Ok(Step::Reply)
}

pub(super) fn unpause(
    core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    core.shared.attention.unpause();
    // The other cores may be asleep; this one looks at the start of its next turn.
    core.shared.broadcast(|| Control::Look);
    Reply::new(out, conn.session.resp3).ok();
    Ok(Step::Reply)
}

/// What CLIENT UNBLOCK asks for: the client's id, and whether its command ends in an error.
fn unblock_of(args: Args<'_>) -> Result<(u64, bool), CommandError> {
    let is_error = match args.try_get(3).map(<[u8]>::to_ascii_lowercase).as_deref() {
        _ if args.len() > 4 => return Err(super::help::wrong_arguments(args)),
        None | Some(b"timeout") => false,
        Some(b"error") => true,
        Some(_) => {
            let text = "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR";
            return Err(CommandError::new(text));
        }
    };
    let id = canonical_int(args.get(2)).ok_or(CommandError::NOT_AN_INTEGER)?;
    // Ids are above zero: no client has one that is not.
    Ok((u64::try_from(id).unwrap_or(0), is_error))
}

pub(super) fn unblock(
    _core: &mut Core,
    _conn: &mut Connection,
    args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    unblock_of(args)?;
    Ok(Step::Everywhere(Task::ClientUnblock))
}

/// This core's part of CLIENT UNBLOCK: 1 if the client was here and blocked.
pub fn unblock_here(core: &mut Core, args: Args<'_>, out: &mut Vec<u8>) {
    let mut unblocked = false;
    if let Ok((id, is_error)) = unblock_of(args) {
        let index = core.conns.iter().position(|c| c.as_ref().is_some_and(|c| c.session.id == id));
        if let Some(mut conn) = index.and_then(|index| core.conns[index].take()) {
            unblocked =
                core.end_wait(&mut conn, is_error) || core.end_key_wait(&mut conn, is_error);
            core.put_back(conn);
        }
    }
    Reply::new(out, false).int(i64::from(unblocked));
}
