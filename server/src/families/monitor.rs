//! MONITOR and LASTSAVE.

use super::{ServerSpec, Step, server_row};
use crate::{net::connection::Connection, runtime::core::Core};
use quire_engine::command::{Args, CommandError, Flags, Reply};
use std::sync::atomic::Ordering;

const OPEN: Flags = Flags::LOADING.with(Flags::STALE);

pub(super) const SPECS: &[ServerSpec] = &[
    server_row(
        "monitor",
        1,
        Flags::ADMIN.with(Flags::NOSCRIPT).with(OPEN),
        "1.0.0",
        "Shows every command the server executes, as it does",
        monitor,
    ),
    ServerSpec {
        acl: &["@admin", "@dangerous"],
        ..server_row(
            "lastsave",
            1,
            Flags::FAST.with(OPEN),
            "1.0.0",
            "When the data set was last saved to an RDB file",
            lastsave,
        )
    },
];

fn monitor(
    core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    // Who monitors already is not answered, as in Redis.
    if !conn.session.is_monitor {
        core.set_monitor(conn, true);
        Reply::new(out, conn.session.resp3).ok();
    }
    Ok(Step::Reply)
}

fn lastsave(
    core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let last_s = core.shared.last_save_s.load(Ordering::Acquire);
    Reply::new(out, conn.session.resp3).int(last_s);
    Ok(Step::Reply)
}
