//! An RDB file by itself: `quire-check dump.rdb`.

use super::{Arguments, json::Json, progress::Bar, statistics};
use quire_engine::{
    io::system::{SystemStorage, run_ready},
    keyspace::Keyspace,
    recovery::{
        Options, Progress, RecoveryError, Refusal, Team,
        check::{FileContent, check_file},
    },
};
use std::{
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Number of the document's shape.
const SCHEMA: u64 = 1;
/// Exit codes, as of directories.
const WHOLE: u8 = 0;
const DAMAGED: u8 = 2;

/// Directory and name of a file.
///
/// # Errors
/// A name that is not UTF-8.
pub fn parts(path: &Path) -> Result<(PathBuf, String), String> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| format!("{}: no readable file name", path.display()))?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    Ok((directory.unwrap_or(Path::new(".")).to_owned(), name.to_owned()))
}

/// Verifies and loads an RDB file; what is in it, and its keys.
///
/// # Errors
/// Why a server would refuse it.
pub fn load(
    (directory, name): &(PathBuf, String),
    threads: usize,
    options: &Options,
) -> Result<(FileContent, Vec<Keyspace>), RecoveryError> {
    let (storage, progress) = (SystemStorage::read_only(directory), Arc::new(Progress::new()));
    let _bar = Bar::show(&progress);
    let team = Team { readers: &storage, threads };
    run_ready(check_file(&storage, &team, name, options, &progress))
}

/// Checks an RDB file and prints what is in it; the exit code.
///
/// # Errors
/// One sentence: nothing could be checked.
pub fn check(
    arguments: &Arguments,
    path: &Path,
    threads: usize,
    options: &Options,
) -> Result<u8, String> {
    if arguments.fix || arguments.dump.is_some() {
        return Err(format!(
            "{} is an RDB file: --fix and --dump are about log directories",
            path.display()
        ));
    }
    let found = load(&parts(path)?, threads, options);
    let found = found.map(|(content, _)| content);
    if let Err(error) = &found
        && matches!(*error.kind, Refusal::Storage(_))
    {
        return Err(error.to_string());
    }
    let text = if arguments.json {
        format!("{}\n", document(path, found.as_ref()))
    } else {
        text(path, found.as_ref())
    };
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(if found.is_ok() { WHOLE } else { DAMAGED })
}

fn text(path: &Path, found: Result<&FileContent, &RecoveryError>) -> String {
    let path = path.display();
    let content = match found {
        Ok(content) => content,
        Err(error) => return format!("{path}: {error}\n\nDAMAGED: Quire refuses to load it\n"),
    };
    let FileContent { bytes, rdb_bytes, chunks, loaded } = content;
    let index = chunks.map_or_else(
        || "no index: written by another server".to_owned(),
        |chunks| format!("{chunks} indexed chunks"),
    );
    let behind = match bytes - rdb_bytes {
        0 => String::new(),
        behind => format!(", and {behind} bytes behind the RDB that were not looked at"),
    };
    let (keys, digest) = (loaded.keys, &loaded.digest);
    let statistics = statistics::text(loaded);
    format!(
        "{path}: {rdb_bytes} bytes, {index}{behind}\n\nloads: {keys} keys, digest {digest}\n\
         {statistics}\nclean: nothing is missing; Quire and stock Redis load it\n"
    )
}

fn document(path: &Path, found: Result<&FileContent, &RecoveryError>) -> Json {
    let mut fields = vec![
        ("schema", SCHEMA.into()),
        ("file", path.display().to_string().into()),
        ("state", if found.is_ok() { "clean" } else { "damaged" }.into()),
        ("exit_code", u64::from(if found.is_ok() { WHOLE } else { DAMAGED }).into()),
    ];
    match found {
        Ok(FileContent { bytes, rdb_bytes, chunks, loaded }) => fields.extend([
            ("bytes", (*bytes).into()),
            ("rdb_bytes", (*rdb_bytes).into()),
            ("chunks", (*chunks).into()),
            ("loaded", statistics::document(loaded)),
        ]),
        Err(error) => fields.extend([
            ("kind", error.kind.name().into()),
            ("offset", error.offset.into()),
            ("what", error.kind.to_string().into()),
            ("way_out", error.kind.way_out().into()),
        ]),
    }
    Json::Object(fields)
}
