//! MONITOR.

use super::{ServerSpec, Step, server_row};
use crate::{net::connection::Connection, runtime::core::Core};
use quire_engine::command::{Args, CommandError, Flags, Reply};

const OPEN: Flags = Flags::LOADING.with(Flags::STALE);

pub(super) const SPECS: &[ServerSpec] = &[server_row(
    "monitor",
    1,
    Flags::ADMIN.with(Flags::NOSCRIPT).with(OPEN),
    "1.0.0",
    "Shows every command the server executes, as it does",
    monitor,
)];

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
