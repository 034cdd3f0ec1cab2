//! CLIENT NO-EVICT, NO-TOUCH, TRACKING and its kin: how a connection wants to be treated.
//!
//! Keys are not tracked for clients: TRACKING ON is refused, everything else answers for a
//! connection that is not in tracking mode.

use super::Step;
use crate::{net::connection::Connection, runtime::core::Core};
use quire_engine::command::{Args, CommandError, Reply};

/// `on` or `off`.
fn switch(word: &[u8]) -> Result<bool, CommandError> {
    if word.eq_ignore_ascii_case(b"on") {
        Ok(true)
    } else if word.eq_ignore_ascii_case(b"off") {
        Ok(false)
    } else {
        Err(CommandError::SYNTAX)
    }
}

pub(super) fn no_evict(
    _core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    conn.session.no_evict = switch(args.get(2))?;
    Reply::new(out, conn.session.resp3).ok();
    Ok(Step::Reply)
}

pub(super) fn no_touch(
    _core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    conn.session.no_touch = switch(args.get(2))?;
    Reply::new(out, conn.session.resp3).ok();
    Ok(Step::Reply)
}

pub(super) fn tracking(
    _core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    if switch(args.get(2))? {
        return Err(CommandError::new(
            "ERR CLIENT TRACKING is not supported: this server does not remember which client \
             has read which key",
        ));
    }
    Reply::new(out, conn.session.resp3).ok();
    Ok(Step::Reply)
}

pub(super) fn trackinginfo(
    _core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let mut reply = Reply::new(out, conn.session.resp3);
    reply.map(3);
    reply.bulk(b"flags");
    reply.set(1);
    reply.bulk(b"off");
    reply.bulk(b"redirect");
    reply.int(-1);
    reply.bulk(b"prefixes");
    reply.array(0);
    Ok(Step::Reply)
}

pub(super) fn getredir(
    _core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    Reply::new(out, conn.session.resp3).int(-1);
    Ok(Step::Reply)
}

pub(super) fn caching(
    _core: &mut Core,
    _conn: &mut Connection,
    _args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    Err(CommandError::new(
        "ERR CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or \
         OPTOUT mode enabled",
    ))
}
