//! DEBUG: digests of the data set, loading its files again, sleeping, a disk that fails. Whatever
//! else Redis' DEBUG can do is refused.

use super::{ServerSpec, Step, allows, debug_protocol, help, server_row};
use crate::{
    dispatch::{everywhere::Task, gather::elements},
    net::connection::Connection,
    runtime::{
        control::{GlobalOp, Reload, Wish},
        core::Core,
        log_io::InjectedFault,
    },
};
use quire_engine::{
    command::{Args, CommandError, Flags, Reply},
    digest::Digest,
    keyspace::canonical_int,
};
use std::{sync::atomic::Ordering, time::Duration};

pub(super) const SPECS: &[ServerSpec] = &[ServerSpec {
    complexity: "Depends on subcommand.",
    ..server_row(
        "debug",
        -2,
        Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::LOADING).with(Flags::STALE),
        "1.0.0",
        "Commands for debugging",
        debug,
    )
}];

/// True when the client may use DEBUG.
fn is_allowed(core: &Core, conn: &Connection) -> bool {
    allows(core.live.enable_debug_command, conn)
}

fn debug(
    core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    if !is_allowed(core, conn) {
        return Err(CommandError::new(
            "ERR DEBUG command not allowed. If the enable-debug-command option is set to \
             \"local\", you can run it from a local connection, otherwise you need to set this \
             option in the configuration file, and then restart the server.",
        ));
    }
    let name = args.get(1);
    match (name.to_ascii_lowercase().as_slice(), args.len()) {
        (b"object", 3..=4) => Ok(Step::Everywhere(Task::Object)),
        (b"set-active-expire", 3) => Ok(Step::Everywhere(Task::ActiveExpire)),
        (b"set-disable-deny-scripts", 3) => {
            let is_on = args.get(2) != b"0";
            core.shared.scripts_debug.store(is_on, Ordering::Relaxed);
            Reply::new(out, conn.session.resp3).ok();
            Ok(Step::Reply)
        }
        (b"error", 3) => {
            // The very text, as Redis gives it back: what its code is is up to the client.
            let text = String::from_utf8_lossy(args.get(2)).into_owned();
            Err(CommandError::owned(text))
        }
        (b"log", 3) => {
            tracing::info!("DEBUG LOG: {}", args.get(2).escape_ascii());
            Reply::new(out, conn.session.resp3).ok();
            Ok(Step::Reply)
        }
        (b"protocol", 3) => {
            debug_protocol::write(args.get(2), &mut Reply::new(out, conn.session.resp3))?;
            Ok(Step::Reply)
        }
        (b"sleep", 3) => Ok(Step::Everywhere(Task::Sleep)),
        (b"reload", _) => Ok(Step::Wish(Wish::Load(GlobalOp::Reload(reload_options(args)?)))),
        (b"loadaof", _) => {
            if !core.shared.has_log() {
                return Err(CommandError::new("ERR There is no log to load: appendonly is no"));
            }
            Ok(Step::Wish(Wish::Load(GlobalOp::LoadLog)))
        }
        (b"config-rewrite-force-all", 2) => Ok(Step::RewriteConfig { all: true }),
        (b"digest", 2) => Ok(Step::Everywhere(Task::Digest)),
        (b"digest-value", _) => Ok(Step::Everywhere(Task::DigestValue)),
        (b"log-fault", 5) => {
            let (shard, _) = fault_of(args)?;
            if shard >= core.shards() {
                return Err(CommandError::new("ERR no such shard"));
            }
            Ok(Step::Everywhere(Task::LogFault))
        }
        (b"help", 2) => {
            debug_help(conn, out);
            Ok(Step::Reply)
        }
        _ => Err(CommandError::quoting(
            "ERR unknown subcommand or wrong number of arguments for '",
            &name[..name.len().min(128)],
            "'. Try DEBUG HELP.",
        )),
    }
}

fn debug_help(conn: &Connection, out: &mut Vec<u8>) {
    let lines = [
        "CONFIG-REWRITE-FORCE-ALL",
        "    Like CONFIG REWRITE but writes all configuration options, including",
        "    keywords not listed in original configuration file or default values.",
        "DIGEST",
        "    Output a hex signature representing the current DB content.",
        "DIGEST-VALUE <key> [<key> ...]",
        "    Output a hex signature of the values of all the specified keys.",
        "ERROR <string>",
        "    Return a Redis protocol error with <string> as message.",
        "LOADAOF",
        "    Flush the AOF buffers on disk and reload the AOF in memory.",
        "LOG <message>",
        "    Write <message> to the server log.",
        "LOG-FAULT <shard> (WRITE|SYNC) <errno>",
        "    Have writes or syncs of that shard's log fail with <errno>; 0 ends it.",
        "OBJECT <key>",
        "    Show low level info about `key` and associated value.",
        "PROTOCOL <type>",
        "    Reply with a test value of the specified type. <type> can be: string,",
        "    integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
        "    true, false.",
        "RELOAD [option ...]",
        "    Save the RDB on disk and reload it back to memory. Valid <option> values:",
        "    * MERGE: conflicting keys will be loaded from RDB.",
        "    * NOFLUSH: the existing database will not be removed before load, but",
        "      conflicting keys are an error, and nothing is loaded.",
        "    * NOSAVE: the database will be loaded from an existing RDB file.",
        "    Examples:",
        "    * DEBUG RELOAD: verify that the server is able to persist, flush and reload",
        "      the database.",
        "    * DEBUG RELOAD NOSAVE: replace the current database with the contents of an",
        "      existing RDB file.",
        "    * DEBUG RELOAD NOSAVE NOFLUSH MERGE: add the contents of an existing RDB",
        "      file to the database.",
        "SET-ACTIVE-EXPIRE <0|1>",
        "    Setting it to 0 disables expiring keys in background when they are not",
        "    accessed (otherwise the Redis behavior). Setting it to 1 reenables back the",
        "    default.",
        "SET-DISABLE-DENY-SCRIPTS <0|1>",
        "    Whether scripts may use DEBUG: ERROR, LOG, PROTOCOL, SLEEP.",
        "SLEEP <seconds>",
        "    Stop the server for <seconds>. Decimals allowed.",
    ];
    help::write("DEBUG", &lines, conn, out);
}

/// The options of DEBUG RELOAD.
fn reload_options(args: Args<'_>) -> Result<Reload, CommandError> {
    let mut reload = Reload { save: true, flush: true, merge: false };
    for option in args.iter_from(2) {
        match option.to_ascii_lowercase().as_slice() {
            b"merge" => reload.merge = true,
            b"noflush" => reload.flush = false,
            b"nosave" => reload.save = false,
            _ => {
                return Err(CommandError::new(
                    "ERR DEBUG RELOAD only supports the MERGE, NOFLUSH and NOSAVE options.",
                ));
            }
        }
    }
    Ok(reload)
}

/// The shard and the faults that `DEBUG LOG-FAULT` names.
fn fault_of(args: Args<'_>) -> Result<(usize, InjectedFault), CommandError> {
    let number = |at: usize| {
        let number = canonical_int(args.get(at)).and_then(|n| u16::try_from(n).ok());
        number.ok_or(CommandError::NOT_AN_INTEGER)
    };
    let (shard, errno) = (number(2)?, number(4)?);
    let errno = (errno != 0).then_some(i32::from(errno));
    let fault = match args.get(3).to_ascii_lowercase().as_slice() {
        b"write" => InjectedFault { write: errno, sync: None },
        b"sync" => InjectedFault { sync: errno, write: None },
        _ => return Err(CommandError::SYNTAX),
    };
    Ok((usize::from(shard), fault))
}

/// DEBUG LOG-FAULT, where this core is meant.
pub fn inject_fault_here(core: &mut Core, args: Args<'_>) {
    if let Ok((shard, fault)) = fault_of(args)
        && shard == usize::from(core.id)
    {
        core.fault = fault;
    }
}

/// This core's part of DEBUG OBJECT: a line about its own key, null for another's.
pub fn describe_here(core: &Core, db: usize, args: Args<'_>, out: &mut Vec<u8>) {
    let key = args.get(2);
    let shard = core.shard.as_ref().filter(|_| core.owner_of(key) == core.id);
    match shard.and_then(|shard| shard.describe(db, key, core.now_ms)) {
        Some(line) => Reply::new(out, false).simple(&line),
        None => Reply::new(out, false).null(),
    }
}

/// Joins the parts of DEBUG OBJECT.
pub fn join_descriptions(parts: &[Vec<u8>], out: &mut Vec<u8>) {
    match parts.iter().find(|part| part.starts_with(b"+")) {
        Some(line) => out.extend_from_slice(line),
        None => Reply::new(out, false).error(CommandError::NO_SUCH_KEY.text()),
    }
}

/// DEBUG SLEEP on this core. What is no number is no time, as in Redis.
pub fn sleep_here(args: Args<'_>) {
    let seconds = std::str::from_utf8(args.get(2)).ok().and_then(|text| text.parse::<f64>().ok());
    if let Some(Ok(time)) = seconds.map(Duration::try_from_secs_f64) {
        std::thread::sleep(time);
    }
}

/// This core's part of DEBUG DIGEST-VALUE: the digests of its own keys, null for others'.
pub fn digest_values_here(core: &Core, db: usize, args: Args<'_>, out: &mut Vec<u8>) {
    let mut reply = Reply::new(out, false);
    reply.array(args.len() - 2);
    for key in args.iter_from(2) {
        match core.shard.as_ref() {
            Some(shard) if core.owner_of(key) == core.id => {
                reply.simple(&shard.digest_value(db, key).hex());
            }
            _ => reply.null(),
        }
    }
}

/// Joins the parts of DEBUG DIGEST-VALUE.
pub fn join_digest_values(parts: &[Vec<u8>], out: &mut Vec<u8>) {
    let parts: Vec<Vec<&[u8]>> = parts.iter().map(|part| elements(part)).collect();
    let count = parts.first().map_or(0, Vec::len);
    let mut reply = Reply::new(out, false);
    reply.array(count);
    for key in 0..count {
        let known = parts.iter().filter_map(|part| part.get(key)).find(|e| e.starts_with(b"+"));
        // Without a shard (still loading) nobody knows the key.
        reply.raw(known.copied().unwrap_or(b"$-1\r\n"));
    }
}

/// Joins the digest parts of all shards to DEBUG DIGEST's answer: the parts of one database are
/// XORed, then the databases follow each other.
pub fn join_digests(parts: &[Vec<u8>], out: &mut Vec<u8>) {
    let mut databases: Vec<Option<Digest>> = Vec::new();
    for part in parts {
        for (db, element) in elements(part).into_iter().enumerate() {
            if databases.len() <= db {
                databases.resize(db + 1, None);
            }
            let digest = bulk_text(element).and_then(Digest::from_hex);
            databases[db] = match (databases[db], digest) {
                (Some(a), Some(b)) => Some(a.xor(b)),
                (a, b) => a.or(b),
            };
        }
    }
    let parts = databases.into_iter().enumerate();
    let parts = parts.filter_map(|(db, digest)| Some((db as u32, digest?)));
    Reply::new(out, false).simple(&Digest::of_databases(parts).hex());
}

/// The text of a bulk string; nothing for null.
fn bulk_text(element: &[u8]) -> Option<&str> {
    let (_, text) = std::str::from_utf8(element).ok()?.strip_prefix('$')?.split_once("\r\n")?;
    text.strip_suffix("\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(digests: &[Option<Digest>]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut reply = Reply::new(&mut out, false);
        reply.array(digests.len());
        for digest in digests {
            match digest {
                Some(digest) => reply.bulk(digest.hex().as_bytes()),
                None => reply.null(),
            }
        }
        out
    }

    fn joined(parts: &[Vec<u8>]) -> String {
        let mut out = Vec::new();
        join_digests(parts, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_data_set_has_the_same_digest_on_any_number_of_shards() {
        let a = Digest::ZERO.mix(b"a").mix_type(0).mix(b"hello").of_key();
        let b = Digest::ZERO.mix(b"b").mix_type(0).mix(b"world").of_key();
        // DEBUG DIGEST of redis-server 7.0.15 for a = hello, b = world in database 0.
        let expected = "+52911a260cc1a27cb0495bb78fe951d62d5e357e\r\n";
        assert_eq!(joined(&[part(&[Some(a.xor(b)), None])]), expected);
        assert_eq!(joined(&[part(&[Some(a), None]), part(&[Some(b), None])]), expected);
        assert_eq!(joined(&[part(&[None]), part(&[None])]), format!("+{}\r\n", "0".repeat(40)));
    }

    #[test]
    fn digests_of_values_come_from_the_shards_that_own_the_keys() {
        let parts = [b"*2\r\n+aa\r\n$-1\r\n".to_vec(), b"*2\r\n$-1\r\n+bb\r\n".to_vec()];
        let mut out = Vec::new();
        join_digest_values(&parts, &mut out);
        assert_eq!(out, b"*2\r\n+aa\r\n+bb\r\n");
    }
}
