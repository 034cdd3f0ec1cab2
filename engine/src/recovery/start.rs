//! The real thing: from the path of a log directory to keys and an open log, on the calling
//! thread and as many reader and loader threads as are allowed.

use super::{
    Opened, Opening, Options, Progress, RecoveryError, Summary, Team, adopt::adopt, open,
    recover_with,
};
use crate::{
    aof::{OpenSegment, WantSegment},
    command::OwnedArgs,
    error::StorageError,
    io::{glommio::GlommioStorage, system::SystemStorage},
    keyspace::Keyspace,
    manifest::{DirectoryLock, Librarian, LockError, storage_executor},
};
use std::{fmt, path::PathBuf};

/// Everything a server needs to begin.
pub struct Started {
    /// To be held as long as the server lives.
    pub lock: DirectoryLock,
    /// The keys, one keyspace per shard.
    pub keyspaces: Vec<Keyspace>,
    /// Changes of function libraries, in their order.
    pub functions: Vec<OwnedArgs>,
    /// What was found.
    pub summary: Summary,
    /// The owner of the directory, to be given a thread.
    pub librarian: Librarian<GlommioStorage>,
    /// Per shard: the segment to write to and the one after it.
    pub segments: Vec<(OpenSegment, OpenSegment)>,
}

/// Why a server does not start.
#[derive(Debug, Clone)]
pub enum StartError {
    /// Somebody else uses the directory.
    Lock(LockError),
    /// The directory cannot be recovered.
    Recovery(RecoveryError),
}

impl From<StorageError> for StartError {
    fn from(error: StorageError) -> Self {
        StartError::Recovery(error.into())
    }
}

impl From<RecoveryError> for StartError {
    fn from(error: RecoveryError) -> Self {
        StartError::Recovery(error)
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Lock(error) => error.fmt(f),
            StartError::Recovery(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StartError {}

/// What to start.
#[derive(Debug, Clone)]
pub struct Start {
    /// The log directory (`dir`/`appenddirname`); created where it does not exist.
    pub directory: PathBuf,
    /// Where Redis before version 7 kept its log: `appendfilename` in `dir`.
    pub old_log: PathBuf,
    /// What recovery must know.
    pub options: Options,
    /// This run's id: random, not 0.
    pub run: u64,
    /// What each shard's log begins with.
    pub segments: Vec<WantSegment>,
    /// Threads that read, at least 1; every shard has a thread that loads besides.
    pub threads: usize,
}

/// Locks, recovers and opens a log directory. Takes as long as loading does; `progress` can be
/// watched from other threads.
///
/// # Errors
/// Why the server must not start, in one sentence for its operator.
pub fn start(start: &Start, progress: &Progress) -> Result<Started, StartError> {
    storage_executor("recovery")?.run(async {
        let Start { directory, old_log, options, run, segments, threads } = start;
        let storage = GlommioStorage::open_or_create(directory).await?;
        // ORDER: before the first look at the directory: whoever holds the lock may change it.
        let lock = DirectoryLock::acquire(directory).map_err(StartError::Lock)?;
        let adopted = adopt(&storage, directory, old_log, &options.names).await?;
        let readers = SystemStorage::new(directory);
        let team = Team { readers: &readers, threads: (*threads).max(1) };
        let recovered = recover_with(&storage, Some(&team), options, progress).await?;
        let mut recovered = recovered;
        let functions = std::mem::take(&mut recovered.functions);
        let (keyspaces, mut summary, closed) = recovered.split();
        summary.adopted = adopted.then(|| old_log.clone());
        let opening = Opening {
            directory: directory.clone(),
            names: options.names.clone(),
            run: *run,
            shards: segments.clone(),
        };
        let Opened { librarian, segments } = open(storage, closed, opening, progress).await?;
        Ok(Started { lock, keyspaces, functions, summary, librarian, segments })
    })
}
