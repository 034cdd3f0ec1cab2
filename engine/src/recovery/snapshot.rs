//! A snapshot (`dump.rdb`) -> keys, for a server without a log. The file is only read; keys whose
//! deadline has passed are not loaded, as in Redis.

use super::{
    Options, Phase, Progress, RecoveryError, Team,
    keys::Keys,
    load::{self, Rules},
};
use crate::{
    command::OwnedArgs,
    error::StorageError,
    io::system::{SystemStorage, run_ready},
    keyspace::Keyspace,
};
use std::{fs, io, path::Path};

/// Loads a snapshot with as many threads as allowed: the keyspaces, one per shard, empty when there is
/// no such file, and its function libraries. `progress` can be watched from other threads.
///
/// # Errors
/// Why the server must not start, in one sentence for its operator: the file cannot be read whole,
/// or holds what is not loaded.
pub fn load_snapshot(
    directory: &Path,
    name: &str,
    threads: usize,
    options: &Options,
    progress: &Progress,
) -> Result<(Vec<Keyspace>, Vec<OwnedArgs>), RecoveryError> {
    let mut keys = Keys::new(options);
    let path = directory.join(name);
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(StorageError::new("look at", &path, &error).into()),
        Ok(found) => {
            progress.enter(Phase::Load);
            progress.set_total(found.len());
            let storage = SystemStorage::new(directory);
            let team = Team { readers: &storage, threads };
            let rules = Rules { databases: options.databases, alive_at_ms: Some(options.now_ms) };
            run_ready(load::load(&storage, Some(&team), name, rules, &mut keys, progress))?;
        }
    }
    progress.enter(Phase::Done);
    let functions = keys.functions().take();
    Ok((keys.into_keyspaces(), functions))
}
