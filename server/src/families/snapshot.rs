//! SAVE, BGSAVE, BGREWRITEAOF, LASTSAVE and SHUTDOWN: what a client can ask about, and of, the files.

use super::{ServerSpec, Step, server_row};
use crate::{
    net::connection::Connection,
    runtime::{control::Wish, core::Core},
};
use quire_engine::command::{Args, CommandError, Flags, Group, KeySpec, Reply};
use std::sync::atomic::Ordering;

const OPEN: Flags = Flags::LOADING.with(Flags::STALE);
const ALONE: Flags = Flags::ADMIN.with(Flags::NOSCRIPT).with(Flags::NO_ASYNC_LOADING);
const DANGEROUS: &[&str] = &["@admin", "@dangerous"];
const ALL_KEYS: &str = "O(N) where N is the total number of keys in all databases";

pub(super) const SPECS: &[ServerSpec] = &[
    ServerSpec {
        complexity: ALL_KEYS,
        ..server_row(
            "save",
            1,
            ALONE.with(Flags::NO_MULTI),
            "1.0.0",
            "Writes all keys to the RDB file and replies when it is there",
            save,
        )
    },
    server_row(
        "bgsave",
        -1,
        ALONE,
        "1.0.0",
        "Writes all keys to the RDB file in the background",
        bgsave,
    ),
    server_row(
        "bgrewriteaof",
        1,
        ALONE,
        "1.0.0",
        "Writes a new base of the append-only log in the background",
        bgrewriteaof,
    ),
    ServerSpec {
        acl: DANGEROUS,
        ..server_row(
            "lastsave",
            1,
            Flags::FAST.with(OPEN),
            "1.0.0",
            "When the data set was last saved to an RDB file",
            lastsave,
        )
    },
    ServerSpec {
        name: "shutdown",
        arity: -1,
        flags: Flags::ADMIN
            .with(Flags::NOSCRIPT)
            .with(OPEN)
            .with(Flags::NO_MULTI)
            .with(Flags::ALLOW_BUSY),
        keys: KeySpec::None,
        group: Group::Server,
        acl: DANGEROUS,
        since: "1.0.0",
        complexity: "O(N) when saving, where N is the total number of keys in all databases when saving data, otherwise O(1)",
        summary: "Synchronously save the dataset to disk and then shut down the server",
        subcommands: &[],
        run: shutdown,
    },
];

fn save(
    _core: &mut Core,
    _conn: &mut Connection,
    _args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    Ok(Step::Wish(Wish::Save))
}

fn bgsave(
    _core: &mut Core,
    _conn: &mut Connection,
    args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    match args.try_get(1) {
        None => Ok(Step::Wish(Wish::BgSave { schedule: false })),
        Some(word) if args.len() == 2 && word.eq_ignore_ascii_case(b"schedule") => {
            Ok(Step::Wish(Wish::BgSave { schedule: true }))
        }
        Some(_) => Err(CommandError::SYNTAX),
    }
}

fn bgrewriteaof(
    core: &mut Core,
    _conn: &mut Connection,
    _args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    if !core.shared.has_log() {
        return Err(CommandError::new(
            "ERR There is no log to rewrite: appendonly is no. BGSAVE writes an RDB file",
        ));
    }
    Ok(Step::Wish(Wish::BgRewriteAof))
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

fn shutdown(
    core: &mut Core,
    _conn: &mut Connection,
    args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let (mut save, mut nosave, mut force, mut now, mut abort) = (false, false, false, false, false);
    for option in args.iter_from(1) {
        match option.to_ascii_lowercase().as_slice() {
            b"save" => save = true,
            b"nosave" => nosave = true,
            // There are no replicas to wait for.
            b"now" => now = true,
            b"force" => force = true,
            b"abort" => abort = true,
            _ => return Err(CommandError::SYNTAX),
        }
    }
    if (abort && (save || nosave || force || now)) || (save && nosave) {
        return Err(CommandError::SYNTAX);
    }
    if abort {
        // A shutdown that saves lets nobody in; one that does not is over at once.
        return Err(CommandError::new("ERR No shutdown in progress."));
    }
    if let Some(error) = core.shared.busy.refusal(None) {
        if !nosave {
            return Err(error);
        }
        // ORDER: at once, as if the process were killed: nothing of the script is in a log, and what
        // has been acknowledged is.
        tracing::warn!("User requested shutdown while a script is busy, exiting now.");
        std::process::exit(0);
    }
    tracing::info!("User requested shutdown...");
    let save = if save { Some(true) } else { nosave.then_some(false) };
    Ok(Step::Wish(Wish::Leave { save, force }))
}
