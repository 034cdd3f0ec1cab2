//! SLOWLOG: the commands that took long, of all shards in one list.

use super::{ServerSpec, Step, help, server_row};
use crate::{net::connection::Connection, runtime::core::Core};
use quire_engine::{
    command::{Args, CommandError, Flags, Reply},
    keyspace::canonical_int,
};

const ADMIN: Flags = Flags::ADMIN.with(Flags::LOADING).with(Flags::STALE);
/// Entries SLOWLOG GET shows unless told otherwise.
const COUNT_DEFAULT: usize = 10;

pub(super) const SPECS: &[ServerSpec] = &[ServerSpec {
    complexity: "Depends on subcommand.",
    subcommands: &[
        ServerSpec {
            complexity: "O(N) where N is the number of entries returned",
            ..server_row("slowlog|get", -2, ADMIN, "2.2.12", "Entries of the slow log", get)
        },
        server_row("slowlog|len", 2, ADMIN, "2.2.12", "Length of the slow log", len),
        ServerSpec {
            complexity: "O(N) where N is the number of entries in the slowlog",
            ..server_row("slowlog|reset", 2, ADMIN, "2.2.12", "Empties the slow log", reset)
        },
        server_row(
            "slowlog|help",
            2,
            Flags::LOADING.with(Flags::STALE),
            "6.2.0",
            "What SLOWLOG can do",
            slowlog_help,
        ),
    ],
    ..server_row(
        "slowlog",
        -2,
        Flags(0),
        "2.2.12",
        "Commands about the slow log",
        help::bare_container,
    )
}];

fn get(
    core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    if args.len() > 3 {
        return Err(help::wrong_arguments(args));
    }
    let count = match args.try_get(2) {
        None => COUNT_DEFAULT,
        Some(text) => match canonical_int(text) {
            Some(-1) => usize::MAX,
            Some(count @ 0..) => count as usize,
            _ => {
                let text = "ERR count should be greater than or equal to -1";
                return Err(CommandError::new(text));
            }
        },
    };
    let entries = core.shared.slowlog.newest(count);
    let mut reply = Reply::new(out, conn.session.resp3);
    reply.array(entries.len());
    for entry in entries {
        reply.array(6);
        reply.int(entry.id as i64);
        reply.int(entry.time_s);
        reply.int(entry.us as i64);
        reply.array(entry.args.len());
        entry.args.iter().for_each(|arg| reply.bulk(arg));
        reply.bulk(entry.address.as_bytes());
        reply.bulk(&entry.name);
    }
    Ok(Step::Reply)
}

fn len(
    core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    Reply::new(out, conn.session.resp3).int(core.shared.slowlog.len() as i64);
    Ok(Step::Reply)
}

fn reset(
    core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    core.shared.slowlog.reset();
    Reply::new(out, conn.session.resp3).ok();
    Ok(Step::Reply)
}

fn slowlog_help(
    _core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let lines = [
        "GET [<count>]",
        "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
        "    Entries are made of:",
        "    id, timestamp, time in microseconds, arguments array, client IP and port,",
        "    client name",
        "LEN",
        "    Return the length of the slowlog.",
        "RESET",
        "    Reset the slowlog.",
    ];
    help::write("SLOWLOG", &lines, conn, out);
    Ok(Step::Reply)
}
