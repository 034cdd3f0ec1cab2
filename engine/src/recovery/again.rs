//! Reading files again that a running server has written or found: DEBUG RELOAD, DEBUG LOADAOF.
//! Nothing is changed here but the draft of a base. Blocks its thread.

use super::{
    Options, Progress, RecoveryError, Refusal, Team,
    check::{check, load_keys},
    load::Rules,
    rdb,
    snapshot::load_snapshot,
};
use crate::{
    error::StorageError,
    io::system::{SystemStorage, run_ready},
    keyspace::Keyspace,
    manifest::{Entry, Kind, Manifest, Names, switch},
    snapshot::{ChunkOptions, Draft, DraftOptions, Facts, Written, write_whole},
};
use std::{fs, io, path::Path};

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

/// Reads an RDB file from the first byte to its checksum, loading nothing.
///
/// # Errors
/// It cannot be read, or is not whole.
pub fn verify_snapshot(
    directory: &Path,
    name: &str,
    progress: &Progress,
) -> Result<(), RecoveryError> {
    let storage = SystemStorage::read_only(directory);
    match run_ready(rdb::scan(&storage, name, Rules::ANY, progress))? {
        0 => Err(RecoveryError::new(name, Refusal::RdbContent("no RDB at all".to_owned()))),
        _ => Ok(()),
    }
}

/// Makes a directory whose only file is this base one that a start loads; all names down to it are
/// stable afterwards.
///
/// # Errors
/// The storage's.
pub fn publish_base(directory: &Path, names: &Names, base: &str) -> Result<(), StorageError> {
    let storage = SystemStorage::new(directory);
    let entry = Entry::new(base, 1, Kind::Base);
    let manifest = Manifest { files: vec![entry], next_number: 2, ..Manifest::default() };
    run_ready(switch(&storage, names, &manifest)).map_err(|error| error.storage().clone())?;
    // ORDER: the directory's own name, and that of the one it lies in, before anybody relies on it.
    for above in directory.ancestors().skip(1).take(2) {
        let synced = fs::File::open(above).and_then(|folder| folder.sync_all());
        synced.map_err(|error| StorageError::new("sync of directory", above, &error))?;
    }
    Ok(())
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
