//! BACKUP: a copy of all keys at one moment, in a directory of its own, while serving.
//!
//! What it writes is a log directory with a base and nothing else: whoever starts on it, Quire or stock
//! Redis, has the keys as they were at the cut. How it is made: `dispatch/backup.rs`.

use super::{ServerSpec, Step, help, server_row};
use crate::{
    net::connection::Connection,
    observe::backup::{Backup, State},
    runtime::{control::Wish, core::Core, preflight},
};
use quire_engine::command::{Args, CommandError, Flags, Reply};
use std::{
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::atomic::Ordering::Relaxed,
    time::{SystemTime, UNIX_EPOCH},
};

const ADMIN: Flags = Flags::ADMIN.with(Flags::NOSCRIPT);

pub(super) const SPECS: &[ServerSpec] = &[ServerSpec {
    complexity: "Depends on subcommand.",
    subcommands: &[
        ServerSpec {
            complexity: "O(N) in the background, where N is the total number of keys in all databases",
            ..server_row(
                "backup|start",
                3,
                ADMIN.with(Flags::NO_MULTI),
                "1.0.0",
                "Writes all keys into an empty directory in the background",
                start,
            )
        },
        server_row("backup|status", 2, ADMIN, "1.0.0", "How far the backup is", status),
        server_row(
            "backup|abort",
            2,
            ADMIN.with(Flags::NO_MULTI),
            "1.0.0",
            "Gives up the backup and removes what it has written",
            abort,
        ),
        server_row(
            "backup|help",
            2,
            Flags::LOADING.with(Flags::STALE),
            "1.0.0",
            "What BACKUP can do",
            backup_help,
        ),
    ],
    ..server_row(
        "backup",
        -2,
        Flags(0),
        "1.0.0",
        "Copies all keys while serving",
        help::bare_container,
    )
}];

fn start(
    core: &mut Core,
    _conn: &mut Connection,
    args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let path = Path::new(std::ffi::OsStr::from_bytes(args.get(2)));
    let directory = core.live.dir.join(path);
    let mut backup = core.shared.backup.lock();
    if backup.is_under_way() {
        return Err(CommandError::owned(format!(
            "ERR A backup to {} is in progress: BACKUP ABORT ends it",
            backup.directory.display()
        )));
    }
    let made = prepare(&directory, &core.shared.options.append_dir)
        .map_err(|reason| CommandError::owned(format!("ERR {}: {reason}", directory.display())))?;
    *backup = Backup::begin(directory, made, unix_s());
    drop(backup);
    Ok(Step::Wish(Wish::Backup))
}

fn unix_s() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs() as i64)
}

/// Makes the directory of a backup with the one for the log in it; those that were made, innermost
/// first.
fn prepare(directory: &Path, log: &str) -> Result<Vec<PathBuf>, String> {
    let told = |error: io::Error| preflight::reason(&error);
    match fs::read_dir(directory) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(
                    "the directory is not empty, and a backup goes into an empty one".into()
                );
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err("it is there and no directory".into());
        }
        Err(error) => return Err(told(error)),
    }
    let mut made = Vec::new();
    for path in [directory.to_owned(), directory.join(log)] {
        match fs::create_dir(&path) {
            Ok(()) => made.insert(0, path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                for path in &made {
                    // It was made a moment ago and is empty.
                    let _ = fs::remove_dir(path);
                }
                return Err(told(error));
            }
        }
    }
    Ok(made)
}

fn abort(
    core: &mut Core,
    _conn: &mut Connection,
    _args: Args<'_>,
    _out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    if !core.shared.backup.lock().is_under_way() {
        return Err(CommandError::new("ERR No backup is in progress"));
    }
    Ok(Step::Wish(Wish::AbortBackup))
}

fn status(
    core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let shared = &core.shared;
    let backup = shared.backup.lock();
    let is_writing = backup.state == State::Writing;
    let saving = &shared.saving;
    let (total, done, bytes) = if is_writing {
        let total = saving.keys_total.load(Relaxed);
        let done = shared.sum(|stats| &stats.walked).min(total);
        (total, done, saving.bytes_written.load(Relaxed))
    } else {
        (backup.keys, backup.keys, backup.bytes)
    };
    let elapsed_s = (backup.ended_s.unwrap_or_else(unix_s) - backup.started_s).max(0);
    let elapsed_s = if backup.state == State::None { 0 } else { elapsed_s };
    let rate = |n: u64| n / (elapsed_s.max(1) as u64);
    let left_s = match (is_writing, done) {
        (true, 1..) => (elapsed_s as u64) * (total - done) / done,
        _ => 0,
    };
    let verified = backup.verified.as_ref().map_or(0, |progress| progress.bytes_scanned());
    let fields: [(&str, i64); 8] = [
        ("started_at", backup.started_s),
        ("elapsed_seconds", elapsed_s),
        ("keys_processed", done as i64),
        ("keys_total", total as i64),
        ("bytes_written", bytes as i64),
        ("bytes_per_second", rate(bytes) as i64),
        ("bytes_verified", verified as i64),
        ("eta_seconds", left_s as i64),
    ];
    let mut reply = Reply::new(out, conn.session.resp3);
    reply.map(3 + fields.len());
    reply.bulk(b"state");
    reply.bulk(backup.state.name().as_bytes());
    reply.bulk(b"directory");
    reply.bulk(backup.directory.as_os_str().as_bytes());
    for (name, value) in fields {
        reply.bulk(name.as_bytes());
        reply.int(value);
    }
    reply.bulk(b"error");
    reply.bulk(backup.error.as_bytes());
    Ok(Step::Reply)
}

fn backup_help(
    _core: &mut Core,
    conn: &mut Connection,
    _args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let lines = [
        "ABORT",
        "    Give up the backup that is in progress and remove what it has written.",
        "START <directory>",
        "    Write all keys, as they are now, into an empty or new directory. Starting a",
        "    server with --dir <directory> restores them.",
        "STATUS",
        "    Progress of the backup, or how the last one ended.",
    ];
    help::write("BACKUP", &lines, conn, out);
    Ok(Step::Reply)
}
