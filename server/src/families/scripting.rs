//! EVAL and its variants, and SCRIPT. What they do is in `scripting` and `dispatch/scripts.rs`.

use super::{ServerSpec, Step, help, server_row};
use crate::{
    net::connection::Connection,
    runtime::core::Core,
    scripting::registry::{from_hex, to_hex},
};
use quire_engine::command::{Args, CommandError, Flags, Group, KeySpec, Reply};

/// Flags of what runs a script.
const RUNS: Flags = Flags::NOSCRIPT
    .with(Flags::SKIP_MONITOR)
    .with(Flags::NO_MANDATORY_KEYS)
    .with(Flags::STALE)
    .with(Flags::MOVABLEKEYS);
/// Of what runs one that may write.
pub(super) const MAY_WRITE: Flags = RUNS.with(Flags::MAY_REPLICATE);
/// Of what runs one that may not.
pub(super) const READS: Flags = RUNS.with(Flags::READONLY);

/// A command that runs a script.
pub(super) const fn runs(
    name: &'static str,
    flags: Flags,
    since: &'static str,
    complexity: &'static str,
    summary: &'static str,
) -> ServerSpec {
    ServerSpec {
        group: Group::Scripting,
        keys: KeySpec::Counted { count: 2 },
        complexity,
        ..server_row(name, -3, flags, since, summary, run)
    }
}

/// A command about scripts.
pub(super) const fn about(
    name: &'static str,
    arity: i16,
    flags: Flags,
    since: &'static str,
    summary: &'static str,
    run: super::ServerFn,
) -> ServerSpec {
    ServerSpec { group: Group::Scripting, ..server_row(name, arity, flags, since, summary, run) }
}

const DEPENDS: &str = "Depends on the script that is executed.";
const OPEN: Flags = Flags::LOADING.with(Flags::STALE);

pub(super) const SPECS: &[ServerSpec] = &[
    runs("eval", MAY_WRITE, "2.6.0", DEPENDS, "Runs a Lua script"),
    runs("evalsha", MAY_WRITE, "2.6.0", DEPENDS, "Runs a Lua script that is known, by its SHA1"),
    runs("eval_ro", READS, "7.0.0", DEPENDS, "Runs a Lua script that does not write"),
    runs(
        "evalsha_ro",
        READS,
        "7.0.0",
        DEPENDS,
        "Runs a Lua script that is known and does not write, by its SHA1",
    ),
    ServerSpec {
        complexity: "Depends on subcommand.",
        subcommands: &[
            about("script|help", 2, OPEN, "5.0.0", "What SCRIPT can do", script_help),
            about(
                "script|kill",
                2,
                Flags::NOSCRIPT.with(Flags::ALLOW_BUSY),
                "2.6.0",
                "Ends scripts that have run too long and have not written",
                kill,
            ),
            ServerSpec {
                complexity: "O(N) with N being the number of scripts to check (so checking a \
                             single script is an O(1) operation).",
                ..about(
                    "script|exists",
                    -3,
                    Flags::NOSCRIPT,
                    "2.6.0",
                    "Which scripts are known",
                    exists,
                )
            },
            ServerSpec {
                complexity: "O(N) with N being the number of scripts in cache",
                ..about("script|flush", -2, Flags::NOSCRIPT, "2.6.0", "Forgets all scripts", flush)
            },
            ServerSpec {
                complexity: "O(N) with N being the length in bytes of the script body.",
                ..about(
                    "script|load",
                    3,
                    Flags::NOSCRIPT.with(Flags::STALE),
                    "2.6.0",
                    "Has a script known, to be run by its SHA1",
                    load,
                )
            },
            about(
                "script|debug",
                3,
                Flags::NOSCRIPT,
                "3.2.0",
                "Is refused: there is no debugger",
                debug,
            ),
        ],
        ..about(
            "script",
            -2,
            Flags(0),
            "2.6.0",
            "A container for commands about scripts",
            help::bare_container,
        )
    },
];

fn run(
    _core: &mut Core,
    _conn: &mut Connection,
    _args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    Ok(Step::Script)
}

fn script_help(
    _core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    help::write(
        "SCRIPT",
        &[
            "DEBUG (YES|SYNC|NO)",
            "    Set the debug mode for subsequent scripts executed.",
            "EXISTS <sha1> [<sha1> ...]",
            "    Return information about the existence of the scripts in the script cache.",
            "FLUSH [ASYNC|SYNC]",
            "    Flush the Lua scripts cache. Very dangerous on replicas.",
            "    When called without the optional mode argument, the behavior is determined by the",
            "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
            "    * ASYNC: Asynchronously flush the scripts cache.",
            "    * SYNC: Synchronously flush the scripts cache.",
            "KILL",
            "    Kill the currently executing Lua script.",
            "LOAD <script>",
            "    Load a script into the scripts cache without executing it.",
        ],
        conn,
        out,
    );
    Ok(Step::Reply)
}

fn kill(
    core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    core.shared.busy.stop(true)?;
    Reply::new(out, conn.session.resp3).ok();
    Ok(Step::Reply)
}

fn exists(
    core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let mut reply = Reply::new(out, conn.session.resp3);
    reply.array(args.len() - 2);
    for hex in args.iter_from(2) {
        let known = from_hex(hex).and_then(|sha| core.shared.scripts.get(&sha));
        reply.int(i64::from(known.is_some()));
    }
    Ok(Step::Reply)
}

/// Both ways are the same: what interpreters hold is freed by each core when it runs its next script.
fn flush(
    core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let is_mode =
        |mode: &[u8]| mode.eq_ignore_ascii_case(b"sync") || mode.eq_ignore_ascii_case(b"async");
    if args.len() > 3 || args.try_get(2).is_some_and(|mode| !is_mode(mode)) {
        return Err(CommandError::new("ERR SCRIPT FLUSH only support SYNC|ASYNC option"));
    }
    core.shared.scripts.flush();
    Reply::new(out, conn.session.resp3).ok();
    Ok(Step::Reply)
}

fn load(
    core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let mut scripting = core.scripting.take().unwrap_or_default();
    let added = scripting.add(&core.shared.scripts, args.get(2));
    core.scripting = Some(scripting);
    Reply::new(out, conn.session.resp3).bulk(to_hex(&added?).as_bytes());
    Ok(Step::Reply)
}

fn debug(
    _core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    match args.get(2).to_ascii_lowercase().as_slice() {
        b"no" => {
            // There is nothing to end.
            Reply::new(out, conn.session.resp3).ok();
            Ok(Step::Reply)
        }
        b"yes" | b"sync" => Err(CommandError::new(
            "ERR Quire has no script debugger: debug the script on a Redis server, or with \
             redis.log",
        )),
        _ => Err(CommandError::new("ERR Use SCRIPT DEBUG YES/SYNC/NO")),
    }
}
