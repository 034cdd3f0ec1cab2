//! A snapshot (`dump.rdb`) -> keys, for a server without a log: one thread reads, every shard has a
//! loader. The file is only read; keys whose deadline has passed are not loaded, as in Redis.

use super::{
    Options, Phase, Progress, RecoveryError, Team, keys::Keys, parallel, rdb, replay::Sealed,
};
use crate::{
    aof::reader::Expect, error::StorageError, io::system::SystemStorage, keyspace::Keyspace,
    manifest::GLOBAL_SHARD,
};
use std::{fs, io, path::Path};

/// Loads a snapshot; the keyspaces, one per shard, empty when there is no such file. `progress`
/// can be watched from other threads.
///
/// # Errors
/// Why the server must not start, in one sentence for its operator: the file cannot be read whole,
/// or holds what is not loaded.
pub fn load_snapshot(
    directory: &Path,
    name: &str,
    options: &Options,
    progress: &Progress,
) -> Result<Vec<Keyspace>, RecoveryError> {
    let mut keys = Keys::new(options);
    let path = directory.join(name);
    match fs::metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(StorageError::new("look at", &path, &error).into()),
        Ok(found) => {
            progress.enter(Phase::Replay);
            progress.set_total(found.len());
            let expect = Expect { shard: GLOBAL_SHARD, seq: 0, run: None, next_lsn: None };
            let sealed =
                [Sealed { name: name.to_owned(), bytes: found.len(), from: found.len(), expect }];
            let team = Team { readers: &SystemStorage::new(directory), threads: 1 };
            let rules =
                rdb::Rules { databases: options.databases, alive_at_ms: Some(options.now_ms) };
            parallel::load_rdb(&team, 0, &sealed, rules, &mut keys, progress)?;
        }
    }
    progress.enter(Phase::Done);
    Ok(keys.into_keyspaces())
}
