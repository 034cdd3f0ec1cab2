//! FUNCTION, FCALL, FCALL_RO.
//!
//! Libraries change on shard 0 alone: whoever wants a change asks it (a task), it checks the library,
//! puts it on the shelf and logs the command. So changes have one order, which is that of its log.

use super::{
    ServerSpec, Step, help,
    scripting::{MAY_WRITE, READS, about, runs},
};
use crate::{
    net::connection::Connection,
    runtime::core::Core,
    scripting::{Interpreter, Library, Shelf},
};
use quire_engine::{
    aof::Lsn,
    command::{Args, CommandError, Flags, Group, OwnedArgs, Reply},
    glob,
    rdb::dump,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

const OPEN: Flags = Flags::LOADING.with(Flags::STALE);
const CHANGES: Flags = Flags::WRITE.with(Flags::NOSCRIPT);
const ADDS: Flags = CHANGES.with(Flags::DENYOOM);
const DEPENDS: &str = "Depends on the function that is executed.";
/// How long a library may take to register its functions.
const LOAD_TIME: Duration = Duration::from_millis(500);

const fn row(
    name: &'static str,
    arity: i16,
    flags: Flags,
    complexity: &'static str,
    summary: &'static str,
    run: super::ServerFn,
) -> ServerSpec {
    ServerSpec { complexity, ..about(name, arity, flags, "7.0.0", summary, run) }
}

pub(super) const SPECS: &[ServerSpec] = &[
    runs("fcall", MAY_WRITE, "7.0.0", DEPENDS, "Runs a function"),
    runs("fcall_ro", READS, "7.0.0", DEPENDS, "Runs a function that does not write"),
    ServerSpec {
        group: Group::Scripting,
        subcommands: &[
            row("function|help", 2, OPEN, "O(1)", "What FUNCTION can do", function_help),
            row(
                "function|kill",
                2,
                Flags::NOSCRIPT.with(Flags::ALLOW_BUSY),
                "O(1)",
                "Ends functions that have run too long and have not written",
                kill,
            ),
            row(
                "function|dump",
                2,
                Flags::NOSCRIPT,
                "O(N) where N is the number of functions",
                "All libraries as one payload",
                dump_all,
            ),
            row(
                "function|restore",
                -3,
                ADDS,
                "O(N) where N is the number of functions on the payload",
                "Adds the libraries of a payload",
                change,
            ),
            row(
                "function|flush",
                -2,
                CHANGES,
                "O(N) where N is the number of functions deleted",
                "Deletes all libraries",
                change,
            ),
            row(
                "function|load",
                -3,
                ADDS,
                "O(1) (considering compilation time is redundant)",
                "Adds a library",
                change,
            ),
            row("function|delete", 3, CHANGES, "O(1)", "Deletes a library", change),
            row(
                "function|list",
                -2,
                Flags::NOSCRIPT,
                "O(N) where N is the number of functions",
                "Which libraries there are",
                list,
            ),
            row(
                "function|stats",
                2,
                Flags::NOSCRIPT.with(Flags::ALLOW_BUSY),
                "O(1)",
                "Which function runs, and how many there are",
                stats,
            ),
        ],
        ..row(
            "function",
            -2,
            Flags(0),
            "Depends on subcommand.",
            "A container for commands about functions",
            help::bare_container,
        )
    },
];

fn kill(
    core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    core.shared.busy.stop(false)?;
    Reply::new(out, conn.session.resp3).ok();
    Ok(Step::Reply)
}

fn change(
    _core: &mut Core,
    _conn: &mut Connection,
    _args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    Ok(Step::Functions)
}

/// The change that a command means, on shard 0: its reply, and the LSN to wait for.
///
/// # Errors
/// Redis' texts; nothing has changed then.
pub fn change_here(
    core: &mut Core,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Lsn, CommandError> {
    let mut shelf = Shelf::clone(&core.shared.libraries.shelf());
    let sub = args.get(1).to_ascii_lowercase();
    {
        let shard = core.shard_at(0).ok_or(crate::dispatch::LOADING)?;
        shard.staging.admit(args.bytes() + 4096)?;
        if matches!(sub.as_slice(), b"load" | b"restore") && !shard.has_memory() {
            return Err(CommandError::OUT_OF_MEMORY);
        }
    }
    let mut reply = Reply::new(out, false);
    match apply(&mut shelf, args, Some(LOAD_TIME))? {
        Some(name) => reply.bulk(&name),
        None => reply.ok(),
    }
    let shard = core.shard_at(0).ok_or(crate::dispatch::LOADING)?;
    let mut logged = vec![&b"FUNCTION"[..]];
    logged.extend(args.iter_from(1));
    let mut lsn = shard.log_keyless(&logged);
    let known = lsn;
    if lsn == 0 && shard.staging.enabled() {
        // Inside a transaction, whose batch has no number yet.
        lsn = shard.staging.last_lsn() + 1;
    }
    core.shared.libraries.replace(shelf, lsn);
    Ok(known)
}

/// Carries out a command on a set: FUNCTION LOAD, DELETE, FLUSH, RESTORE. The name of a library that
/// was loaded. `time` is what a library may take.
///
/// # Errors
/// Redis' texts.
pub fn apply(
    shelf: &mut Shelf,
    args: Args<'_>,
    time: Option<Duration>,
) -> Result<Option<Vec<u8>>, CommandError> {
    let is = |at: usize, word: &str| {
        args.try_get(at).is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    };
    if is(1, "load") {
        let options = args.len().saturating_sub(3);
        for at in 2..2 + options {
            if !is(at, "replace") {
                return Err(CommandError::quoting("ERR Unknown option given: ", args.get(at), ""));
            }
        }
        let library = library(shelf, args.get(args.len() - 1), options > 0, time)?;
        let name = library.name.clone();
        shelf.put(Arc::new(library))?;
        return Ok(Some(name));
    }
    if is(1, "delete") {
        if !shelf.remove(args.get(2)) {
            return Err(CommandError::new("ERR Library not found"));
        }
    } else if is(1, "flush") {
        if args.len() > 3 {
            return Err(help::wrong_arguments(args));
        }
        if args.len() == 3 && !is(2, "sync") && !is(2, "async") {
            return Err(CommandError::new("ERR FUNCTION FLUSH only supports SYNC|ASYNC option"));
        }
        *shelf = Shelf::default();
    } else {
        restore(shelf, args, time)?;
    }
    Ok(None)
}

fn restore(shelf: &mut Shelf, args: Args<'_>, time: Option<Duration>) -> Result<(), CommandError> {
    if args.len() > 4 {
        return Err(help::wrong_arguments(args));
    }
    let policy = args.try_get(3).unwrap_or(b"append").to_ascii_lowercase();
    if !matches!(policy.as_slice(), b"append" | b"replace" | b"flush") {
        return Err(CommandError::new(
            "ERR Wrong restore policy given, value should be either FLUSH, APPEND or REPLACE.",
        ));
    }
    let wrong = CommandError::new("ERR DUMP payload version or checksum are wrong");
    let sources = dump::read_functions(args.try_get(2).unwrap_or_default()).ok_or(wrong)?;
    let sources = sources.map_err(|text| CommandError::owned(format!("ERR {text}")))?;
    let mut restored = Shelf::default();
    for source in sources {
        let library = library(&restored, &source, false, time)?;
        restored.put(Arc::new(library))?;
    }
    if policy == b"flush" {
        *shelf = restored;
        return Ok(());
    }
    shelf.join(&restored, policy == b"replace")
}

/// A library of its text, to be put on a shelf.
fn library(
    shelf: &Shelf,
    source: &[u8],
    replaces: bool,
    time: Option<Duration>,
) -> Result<Library, CommandError> {
    let until = time.map(|time| Instant::now() + time);
    let mut interpreter = Interpreter::new(false)
        .map_err(|text| CommandError::owned(format!("ERR Cannot start Lua: {text}")))?;
    let is_taken = |name: &[u8]| shelf.has(name) && !replaces;
    Ok(interpreter.load_library(source, is_taken, until)?.0)
}

fn dump_all(
    core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let shelf = core.shared.libraries.shelf();
    let payload = dump::functions(shelf.libraries().map(|library| &*library.source));
    Reply::new(out, conn.session.resp3).bulk(&payload);
    Ok(Step::Reply)
}

fn list(
    core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let (mut with_code, mut pattern) = (false, None);
    let mut at = 2;
    while let Some(option) = args.try_get(at) {
        if !with_code && option.eq_ignore_ascii_case(b"withcode") {
            with_code = true;
        } else if pattern.is_none() && option.eq_ignore_ascii_case(b"libraryname") {
            at += 1;
            let name = args.try_get(at);
            pattern =
                Some(name.ok_or(CommandError::new("ERR library name argument was not given"))?);
        } else {
            return Err(CommandError::quoting("ERR Unknown argument ", option, ""));
        }
        at += 1;
    }
    let shelf = core.shared.libraries.shelf();
    let is_wanted = |library: &&Arc<Library>| {
        let name = library.name.to_ascii_lowercase();
        pattern.is_none_or(|pattern| glob::matches(&pattern.to_ascii_lowercase(), &name))
    };
    let wanted: Vec<_> = shelf.libraries().filter(is_wanted).collect();
    let mut reply = Reply::new(out, conn.session.resp3);
    reply.array(wanted.len());
    for library in wanted {
        reply.map(if with_code { 4 } else { 3 });
        reply.bulk(b"library_name");
        reply.bulk(&library.name);
        reply.bulk(b"engine");
        reply.bulk(b"LUA");
        reply.bulk(b"functions");
        reply.array(library.functions.len());
        for function in &library.functions {
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(&function.name);
            reply.bulk(b"description");
            match &function.description {
                Some(text) => reply.bulk(text),
                None => reply.null(),
            }
            reply.bulk(b"flags");
            reply.set(function.flags.names().count());
            function.flags.names().for_each(|name| reply.simple(name));
        }
        if with_code {
            reply.bulk(b"library_code");
            reply.bulk(&library.source);
        }
    }
    Ok(Step::Reply)
}

fn stats(
    core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let running = core.shared.busy.running();
    if let Some(busy) = running.as_ref().filter(|busy| busy.is_eval) {
        return Err(busy.error());
    }
    let (libraries, functions) = core.shared.libraries.shelf().counts();
    let mut reply = Reply::new(out, conn.session.resp3);
    reply.map(2);
    reply.bulk(b"running_script");
    match running {
        None => reply.null(),
        Some(busy) => {
            reply.map(3);
            reply.bulk(b"name");
            reply.bulk(busy.name.as_bytes());
            reply.bulk(b"command");
            reply.array(busy.command.len());
            busy.command.iter().for_each(|word| reply.bulk(word));
            reply.bulk(b"duration_ms");
            reply.int(busy.began.elapsed().as_millis() as i64);
        }
    }
    reply.bulk(b"engines");
    reply.map(1);
    reply.bulk(b"LUA");
    reply.map(2);
    reply.bulk(b"libraries_count");
    reply.int(libraries as i64);
    reply.bulk(b"functions_count");
    reply.int(functions as i64);
    Ok(Step::Reply)
}

fn function_help(
    _core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    help::write("FUNCTION", HELP, conn, out);
    Ok(Step::Reply)
}

/// The libraries that changes of a log or a file, in their order, lead to.
///
/// # Errors
/// A change that cannot be made, and why.
pub fn replayed(changes: &[OwnedArgs]) -> Result<Shelf, String> {
    let mut shelf = Shelf::default();
    for args in changes {
        let done = apply(&mut shelf, args.as_args(), None);
        done.map_err(|error| format!("Failed loading a function library: {error}"))?;
    }
    Ok(shelf)
}

const HELP: &[&str] = &[
    "LOAD [REPLACE] <FUNCTION CODE>",
    "    Create a new library with the given library name and code.",
    "DELETE <LIBRARY NAME>",
    "    Delete the given library.",
    "LIST [LIBRARYNAME PATTERN] [WITHCODE]",
    "    Return general information on all the libraries:",
    "    * Library name",
    "    * The engine used to run the Library",
    "    * Library description",
    "    * Functions list",
    "    * Library code (if WITHCODE is given)",
    "    It also possible to get only function that matches a pattern using LIBRARYNAME argument.",
    "STATS",
    "    Return information about the current function running:",
    "    * Function name",
    "    * Command used to run the function",
    "    * Duration in MS that the function is running",
    "    If no function is running, return nil",
    "    In addition, returns a list of available engines.",
    "KILL",
    "    Kill the current running function.",
    "FLUSH [ASYNC|SYNC]",
    "    Delete all the libraries.",
    "    When called without the optional mode argument, the behavior is determined by the",
    "    lazyfree-lazy-user-flush configuration directive. Valid modes are:",
    "    * ASYNC: Asynchronously flush the libraries.",
    "    * SYNC: Synchronously flush the libraries.",
    "DUMP",
    "    Return a serialized payload representing the current libraries, can be restored using FUNCTION RESTORE command",
    "RESTORE <PAYLOAD> [FLUSH|APPEND|REPLACE]",
    "    Restore the libraries represented by the given payload, it is possible to give a restore policy to",
    "    control how to handle existing libraries (default APPEND):",
    "    * FLUSH: delete all existing libraries.",
    "    * APPEND: appends the restored libraries to the existing libraries. On collision, abort.",
    "    * REPLACE: appends the restored libraries to the existing libraries, On collision, replace the old",
    "      libraries with the new libraries (notice that even on this option there is a chance of failure",
    "      in case of functions name collision with another library).",
];
