//! An RDB file by itself, whoever wrote it: verified and loaded as a start would, by its index
//! in parallel if it has one.

use super::{Loaded, load::loaded};
use crate::{
    io::Storage,
    keyspace::Keyspace,
    recovery::{
        Options, Phase, Progress, Readers, RecoveryError, Team,
        keys::Keys,
        load::{self, Rules},
    },
};

/// An RDB file.
#[derive(Debug, Clone)]
pub struct FileContent {
    /// Length of the file, bytes.
    pub bytes: u64,
    /// Length of the RDB in it: what follows is something else.
    pub rdb_bytes: u64,
    /// Chunks that its index has; none: it has no index.
    pub chunks: Option<u64>,
    /// What is in it.
    pub loaded: Loaded,
}

/// Loads an RDB file; what is in it, and its keys. Keys whose deadline has passed are loaded too.
///
/// # Errors
/// Why a server would refuse it.
pub async fn check_file<S: Storage, R: Readers>(
    storage: &S,
    team: &Team<'_, R>,
    name: &str,
    options: &Options,
    progress: &Progress,
) -> Result<(FileContent, Vec<Keyspace>), RecoveryError> {
    let file = storage.open(name).await?;
    let bytes = storage.len(&file).await?;
    progress.set_total(bytes);
    progress.enter(Phase::Load);
    let mut keys = Keys::new(options);
    let rules = Rules { databases: options.databases, alive_at_ms: None };
    let chunks = load::chunks(storage, name).await?;
    let rdb_bytes = load::load(storage, Some(team), name, rules, &mut keys, progress).await?;
    progress.enter(Phase::Done);
    let (loaded, keyspaces) = loaded(keys, options.now_ms, progress);
    Ok((FileContent { bytes, rdb_bytes, chunks, loaded }, keyspaces))
}
