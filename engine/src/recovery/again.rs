//! Reading files again that a running server has written or found: DEBUG RELOAD, DEBUG LOADAOF.
//! Nothing is changed here but the draft of a base. Blocks its thread.

use super::{
    Options, Progress, RecoveryError, Team,
    check::{check, load_keys},
    snapshot::load_snapshot,
};
use crate::{
    error::StorageError,
    io::system::{SystemStorage, run_ready},
    keyspace::Keyspace,
    snapshot::{ChunkOptions, Draft, DraftOptions, Facts, Written, write_whole},
};
use std::{io, path::Path};

/// The keys that a start on this log directory would have, one keyspace per shard. Nobody writes to
/// it meanwhile: neither its shards nor its librarian.
///
/// # Errors
/// Why a start would be refused.
pub fn read_log(
    directory: &Path,
    threads: usize,
    options: &Options,
) -> Result<Vec<Keyspace>, RecoveryError> {
    let storage = SystemStorage::read_only(directory);
    let team = Team { readers: &storage, threads };
    let progress = Progress::new();
    run_ready(async {
        let checked = check(&storage, &team, &options.names, &progress).await?;
        let keys = load_keys(&storage, &team, &checked, options, &progress).await?;
        Ok(keys.into_keyspaces())
    })
}

/// The keys of the RDB file `name`, one keyspace per shard; those whose deadline has passed are
/// passed over.
///
/// # Errors
/// It is not there, cannot be read whole, or holds what is not loaded.
pub fn read_snapshot(
    directory: &Path,
    name: &str,
    threads: usize,
    options: &Options,
) -> Result<Vec<Keyspace>, RecoveryError> {
    let path = directory.join(name);
    let found = std::fs::metadata(&path);
    found.map_err(|error: io::Error| StorageError::new("look at", &path, &error))?;
    let loaded = load_snapshot(directory, name, threads, options, &Progress::new());
    loaded.map(|(keyspaces, _)| keyspaces)
}

/// Writes keys to a draft of a base, which is stable afterwards.
///
/// # Errors
/// The storage's; there is no draft then.
pub fn draft_base(
    directory: &Path,
    name: &str,
    options: DraftOptions,
    keyspaces: &[Keyspace],
    chunks: &ChunkOptions,
    facts: &Facts,
) -> Result<Written, StorageError> {
    let storage = SystemStorage::new(directory);
    run_ready(async {
        let draft = Draft::begin(&storage, name.to_owned(), options).await?;
        write_whole(draft, keyspaces, chunks, facts).await
    })
}
