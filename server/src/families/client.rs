//! CLIENT: who is connected, from where, and how to get rid of them.
//!
//! LIST and KILL are tasks of every core: each looks at its own connections, the asking core
//! joins what they say.

use super::{
    ServerSpec, Step,
    client_filter::Filter,
    client_pause::{pause, unblock, unpause},
    client_state::{caching, getredir, no_evict, no_touch, tracking, trackinginfo},
    connection::{is_one_word, set_name},
    connection_row, help,
};
use crate::{
    dispatch::everywhere::Task,
    net::connection::{Connection, Parked},
    runtime::core::Core,
    session::{Peer, ReplyMode},
};
use quire_engine::command::{Args, CommandError, Flags, Group, KeySpec, Reply};
use std::fmt::Write as _;

const PLAIN: Flags = Flags::NOSCRIPT.with(Flags::LOADING).with(Flags::STALE);
const ADMIN: Flags = PLAIN.with(Flags::ADMIN);

pub(super) const SPECS: &[ServerSpec] = &[ServerSpec {
    name: "client",
    arity: -2,
    flags: Flags(0),
    keys: KeySpec::None,
    group: Group::Connection,
    acl: &[],
    since: "2.4.0",
    complexity: "Depends on subcommand.",
    summary: "Commands about client connections",
    subcommands: &[
        connection_row("client|id", 2, PLAIN, "5.0.0", "The connection's client id", id),
        connection_row("client|info", 2, PLAIN, "6.2.0", "What is known of this connection", info),
        ServerSpec {
            complexity: "O(N) where N is the number of client connections",
            ..connection_row("client|list", -2, ADMIN, "2.4.0", "What is known of all", list)
        },
        ServerSpec {
            complexity: "O(N) where N is the number of client connections",
            ..connection_row("client|kill", -3, ADMIN, "2.4.0", "Closes connections", kill)
        },
        connection_row("client|setname", 3, PLAIN, "2.6.9", "Names the connection", setname),
        connection_row("client|getname", 2, PLAIN, "2.6.9", "The connection's name", getname),
        connection_row("client|setinfo", 4, PLAIN, "7.2.0", "Names the client library", setinfo),
        connection_row("client|pause", -3, ADMIN, "2.9.50", "Has clients wait", pause),
        ServerSpec {
            complexity: "O(N) Where N is the number of paused clients",
            ..connection_row("client|unpause", 2, ADMIN, "6.2.0", "Ends a pause", unpause)
        },
        ServerSpec {
            complexity: "O(log N) where N is the number of client connections",
            ..connection_row("client|unblock", -3, ADMIN, "5.0.0", "Ends a client's wait", unblock)
        },
        connection_row(
            "client|no-evict",
            3,
            ADMIN,
            "7.0.0",
            "Keeps the connection whatever memory its buffers take",
            no_evict,
        ),
        connection_row(
            "client|no-touch",
            3,
            PLAIN,
            "7.2.0",
            "Has the connection's commands leave access times alone",
            no_touch,
        ),
        connection_row("client|tracking", -3, PLAIN, "6.0.0", "Switches tracking", tracking),
        connection_row(
            "client|trackinginfo",
            2,
            PLAIN,
            "6.2.0",
            "Whether and how keys are tracked for the connection",
            trackinginfo,
        ),
        connection_row(
            "client|getredir",
            2,
            PLAIN,
            "6.0.0",
            "The client that is told instead of the connection",
            getredir,
        ),
        connection_row(
            "client|caching",
            3,
            PLAIN,
            "6.0.0",
            "Whether the keys of the next command are tracked",
            caching,
        ),
        connection_row("client|reply", 3, PLAIN, "3.2.0", "Switches replies on and off", reply),
        connection_row(
            "client|help",
            2,
            Flags::LOADING.with(Flags::STALE),
            "5.0.0",
            "What CLIENT can do",
            client_help,
        ),
    ],
    run: help::bare_container,
}];

fn id(
    _core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    Reply::new(out, conn.session.resp3).int(conn.session.id as i64);
    Ok(Step::Reply)
}

fn info(
    core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let mut text = String::new();
    describe(core, conn, Some(args), &mut text);
    Reply::new(out, conn.session.resp3).verbatim("txt", text.as_bytes());
    Ok(Step::Reply)
}

fn list(
    _core: &mut Core,
    _conn: &mut Connection,
    args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    // Each core reads the arguments again; here they are only checked.
    Filter::of_list(args)?;
    Ok(Step::Everywhere(Task::ClientList))
}

fn kill(
    _core: &mut Core,
    _conn: &mut Connection,
    args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    Filter::of_kill(args)?;
    Ok(Step::Everywhere(Task::ClientKill))
}

fn setname(
    _core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    set_name(&mut conn.session, args.get(2))?;
    Reply::new(out, conn.session.resp3).ok();
    Ok(Step::Reply)
}

fn getname(
    _core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let mut reply = Reply::new(out, conn.session.resp3);
    match conn.session.name.as_slice() {
        [] => reply.null(),
        name => reply.bulk(name),
    }
    Ok(Step::Reply)
}

fn setinfo(
    _core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let (attribute, value) = (args.get(2), args.get(3));
    let (name, field) = if attribute.eq_ignore_ascii_case(b"lib-name") {
        ("lib-name", &mut conn.session.lib_name)
    } else if attribute.eq_ignore_ascii_case(b"lib-ver") {
        ("lib-ver", &mut conn.session.lib_ver)
    } else {
        return Err(CommandError::quoting("ERR Unrecognized option '", attribute, "'"));
    };
    if !is_one_word(value) {
        return Err(CommandError::owned(format!(
            "ERR {name} cannot contain spaces, newlines or special characters."
        )));
    }
    *field = value.to_vec();
    Reply::new(out, conn.session.resp3).ok();
    Ok(Step::Reply)
}

fn reply(
    _core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let session = &mut conn.session;
    match args.get(2).to_ascii_lowercase().as_slice() {
        b"on" => {
            session.reply_mode = ReplyMode::On;
            Reply::new(out, session.resp3).ok();
        }
        b"off" => session.reply_mode = ReplyMode::Off,
        b"skip" if session.reply_mode != ReplyMode::Off => session.reply_mode = ReplyMode::Skip,
        b"skip" => {}
        _ => return Err(CommandError::SYNTAX),
    }
    Ok(Step::Reply)
}

fn client_help(
    _core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let lines = [
        "CACHING (YES|NO)",
        "    Enable/disable tracking of the keys for next command in OPTIN/OPTOUT modes.",
        "GETREDIR",
        "    Return the client ID we are redirecting to when tracking is enabled.",
        "GETNAME",
        "    Return the name of the current connection.",
        "ID",
        "    Return the ID of the current connection.",
        "INFO",
        "    Return information about the current client connection.",
        "KILL <ip:port>",
        "    Kill connection made from <ip:port>.",
        "KILL <option> <value> [<option> <value> [...]]",
        "    Kill connections. Options are:",
        "    * ADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made from the specified address",
        "    * LADDR (<ip:port>|<unixsocket>:0)",
        "      Kill connections made to specified local address",
        "    * ID <client-id>",
        "      Kill the connection with the specified client ID",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Kill connections by type.",
        "    * USER <username>",
        "      Kill connections authenticated by <username>.",
        "    * SKIPME (YES|NO)",
        "      Skip killing current connection (default: yes).",
        "LIST [options ...]",
        "    Return information about client connections. Options:",
        "    * TYPE (NORMAL|MASTER|REPLICA|PUBSUB)",
        "      Return clients of specified type.",
        "    * ID <client-id> [<client-id> ...]",
        "      Return clients with the specified IDs.",
        "UNPAUSE",
        "    Stop the current client pause, resuming traffic.",
        "PAUSE <timeout> [WRITE|ALL]",
        "    Suspend all, or just write, clients for <timeout> milliseconds.",
        "REPLY (ON|OFF|SKIP)",
        "    Control the replies sent to the current connection.",
        "SETINFO (LIB-NAME|LIB-VER) <value>",
        "    Say which library the current connection is made by.",
        "SETNAME <name>",
        "    Assign the name <name> to the current connection.",
        "UNBLOCK <clientid> [TIMEOUT|ERROR]",
        "    Unblock the specified blocked client.",
        "TRACKING (ON|OFF) [REDIRECT <id>] [BCAST] [PREFIX <prefix> [...]]",
        "         [OPTIN] [OPTOUT] [NOLOOP]",
        "    Control server assisted client side caching.",
        "TRACKINGINFO",
        "    Report tracking status for the current connection.",
        "NO-EVICT (ON|OFF)",
        "    Protect current client connection from eviction.",
        "NO-TOUCH (ON|OFF)",
        "    Leave access times of keys alone on the current connection.",
    ];
    help::write("CLIENT", &lines, conn, out);
    Ok(Step::Reply)
}

/// As Redis has it: a container whose sub-command was none was no command.
fn last_command(name: &'static str) -> &'static str {
    use quire_engine::families::table;
    let row = table::lookup(name.as_bytes());
    if row.is_some_and(table::is_container) { crate::dispatch::NO_COMMAND } else { name }
}

/// One line of CLIENT LIST. Fields that Redis has and that have no meaning here are left out.
/// `request` are the arguments of the command the connection is executing, if it is.
fn describe(core: &Core, conn: &Connection, request: Option<Args<'_>>, line: &mut String) {
    let session = &conn.session;
    let mut flags = String::new();
    for (is_set, flag) in [
        (session.is_monitor, 'O'),
        (conn.multi.as_ref().is_some_and(|multi| multi.is_open), 'x'),
        (matches!(conn.parked, Parked::Blocked | Parked::Paused), 'b'),
        (conn.close_after_reply, 'c'),
        (matches!(session.peer, Peer::Unix(_)), 'U'),
        (session.no_evict, 'e'),
        (session.no_touch, 'T'),
    ] {
        if is_set {
            flags.push(flag);
        }
    }
    if flags.is_empty() {
        flags.push('N');
    }
    let events = match (conn.receiving, conn.out.is_sending()) {
        (true, true) => "rw",
        (true, false) => "r",
        (false, true) => "w",
        (false, false) => "",
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let argv = request.map_or(0, |args| args.bytes());
    // While buffered input is being worked on, it is elsewhere.
    let query = conn.input.len().saturating_sub(conn.input_at) + request.map_or(0, request_bytes);
    let query_free = conn.input.capacity() - conn.input.len();
    let queue = conn.multi.as_ref();
    let multi = queue.filter(|multi| multi.is_open).map_or(-1, |multi| multi.commands.len() as i64);
    let multi_bytes = queue.map_or(0, |multi| multi.memory_bytes());
    let output = conn.out.bytes() + conn.held.len();
    let ready = conn.slots.iter().filter(|slot| slot.ready).count();
    let total = conn.memory_bytes() + request.map_or(0, request_bytes);
    // Writing to a String cannot fail.
    let _ = writeln!(
        line,
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={flags} db={} sub=0 psub=0 \
         ssub=0 multi={multi} qbuf={query} qbuf-free={query_free} argv-mem={argv} multi-mem={multi_bytes} rbs={} \
         rbp={} obl={} oll={ready} omem={output} tot-mem={total} events={events} cmd={} user=default redir=-1 \
         resp={} lib-name={} lib-ver={} shard={}",
        session.id,
        session.peer.remote_address(),
        session.peer.local_address(),
        conn.raw_fd(),
        text(&session.name),
        core.now.saturating_duration_since(session.created).as_secs(),
        (core.now_ms - session.last_ms).max(0) / 1000,
        session.db,
        conn.out.buf.capacity(),
        // The buffer is as large as it has ever had to be since it was last given back.
        conn.out.buf.capacity(),
        conn.out.buf.len(),
        last_command(session.last_command),
        if session.resp3 { 3 } else { 2 },
        text(&session.lib_name),
        text(&session.lib_ver),
        core.id,
    );
}

/// Bytes of a command as clients send it.
fn request_bytes(args: Args<'_>) -> usize {
    let head =
        |n: usize| "*\r\n".len() + n.checked_ilog10().map_or(1, |digits| digits as usize + 1);
    args.iter_from(0).fold(head(args.len()), |sum, arg| sum + head(arg.len()) + arg.len() + 2)
}

/// This core's part of CLIENT LIST: lines.
pub fn list_here(core: &Core, current: Option<&Connection>, args: Args<'_>, out: &mut Vec<u8>) {
    let mut text = String::new();
    if let Ok(filter) = Filter::of_list(args) {
        let others = core.conns.iter().flatten().map(|conn| (conn.as_ref(), None));
        for (conn, request) in others.chain(current.map(|conn| (conn, Some(args)))) {
            if !conn.closing && filter.matches(&conn.session) {
                describe(core, conn, request, &mut text);
            }
        }
    }
    out.extend_from_slice(text.as_bytes());
}

/// Joins the parts of CLIENT LIST.
pub fn join_lists(conn: &Connection, parts: &[Vec<u8>], out: &mut Vec<u8>) {
    Reply::new(out, conn.session.resp3).verbatim("txt", &in_order(parts));
}

/// The lines of all parts in the order of ids.
fn in_order(parts: &[Vec<u8>]) -> Vec<u8> {
    let mut lines: Vec<(u64, &[u8])> = parts
        .iter()
        .flat_map(|part| part.split_inclusive(|&b| b == b'\n'))
        .map(|line| (id_of(line), line))
        .collect();
    lines.sort_unstable();
    lines.into_iter().flat_map(|(_, line)| line).copied().collect()
}

/// The number behind `id=`.
fn id_of(line: &[u8]) -> u64 {
    let digits = line.strip_prefix(b"id=").unwrap_or_default();
    digits.iter().take_while(|b| b.is_ascii_digit()).fold(0, |id, b| id * 10 + u64::from(b - b'0'))
}

/// This core's part of CLIENT KILL: closes connections, says how many.
pub fn kill_here(
    core: &mut Core,
    current: Option<&mut Connection>,
    args: Args<'_>,
    out: &mut Vec<u8>,
) {
    let mut killed = 0;
    if let Ok(filter) = Filter::of_kill(args) {
        for index in 0..core.conns.len() {
            let matches = |conn: &Connection| !conn.closing && filter.matches(&conn.session);
            if !core.conns[index].as_deref().is_some_and(matches) {
                continue;
            }
            if let Some(mut conn) = core.conns[index].take() {
                core.begin_close(&mut conn);
                core.put_back(conn);
                killed += 1;
            }
        }
        if let Some(conn) = current
            && !filter.skips_current
            && filter.matches(&conn.session)
        {
            // It still gets its answer.
            conn.close_after_reply = true;
            killed += 1;
        }
    }
    Reply::new(out, false).int(killed);
}

/// Joins the parts of CLIENT KILL: the number, or for the old form whether there was one.
pub fn join_kills(args: Args<'_>, parts: &[Vec<u8>], out: &mut Vec<u8>) {
    let killed: i64 = parts.iter().map(|part| crate::dispatch::gather::integer(part)).sum();
    let mut reply = Reply::new(out, false);
    if args.len() > 3 {
        reply.int(killed);
    } else if killed == 0 {
        reply.error("ERR No such client");
    } else {
        reply.ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_all_cores_are_in_the_order_of_ids() {
        let parts = [b"id=3 a\nid=120 b\n".to_vec(), Vec::new(), b"id=20 c\n".to_vec()];
        assert_eq!(in_order(&parts), b"id=3 a\nid=20 c\nid=120 b\n");
    }

    #[test]
    fn the_old_form_of_kill_says_whether_there_was_one() {
        let joined = |words: &[&[u8]], parts: &[&[u8]]| {
            let args = quire_engine::command::OwnedArgs::from_slices(words);
            let parts: Vec<Vec<u8>> = parts.iter().map(|p| p.to_vec()).collect();
            let mut out = Vec::new();
            join_kills(args.as_args(), &parts, &mut out);
            String::from_utf8(out).unwrap()
        };
        let old: [&[u8]; 3] = [b"client", b"kill", b"1.2.3.4:5"];
        let new: [&[u8]; 4] = [b"client", b"kill", b"id", b"7"];
        assert_eq!(joined(&old, &[b":0\r\n", b":1\r\n"]), "+OK\r\n");
        assert_eq!(joined(&old, &[b":0\r\n", b":0\r\n"]), "-ERR No such client\r\n");
        assert_eq!(joined(&new, &[b":2\r\n", b":1\r\n"]), ":3\r\n");
    }
}
