//! A log that begins while the server runs (`CONFIG SET appendonly yes`).
//!
//! Its directory may hold an older log. That stays in force, whatever happens, until the new one
//! has a base; it is looked at only as far as names and numbers go, and its keys are not loaded: the
//! running server's are the data.

use super::{
    Opened, Opening, RecoveryError, Start, StartError, open::make_segments, plan, read_plan,
};
use crate::{
    io::glommio::GlommioStorage,
    manifest::{DirectoryLock, Kind, Librarian, remove_unlisted, storage_executor, switch},
};

/// A log that has begun.
pub struct Begun {
    /// To be held as long as there is a log.
    pub lock: DirectoryLock,
    /// The owner of the directory, to be given a thread, and the segments of every shard.
    pub opened: Opened<GlommioStorage>,
    /// The epoch that begins.
    pub epoch: u64,
}

/// Locks the directory and makes the first segments of every shard, listed nowhere yet.
///
/// # Errors
/// Somebody else uses the directory; what is in it is not whole; the storage's.
pub fn begin(start: &Start) -> Result<Begun, StartError> {
    storage_executor("begin")?.run(async {
        let Start { directory, options, run, segments, .. } = start;
        let storage = GlommioStorage::open_or_create(directory).await?;
        // ORDER: before the first look at the directory: whoever holds the lock may change it.
        let lock = DirectoryLock::acquire(directory).map_err(StartError::Lock)?;
        let plan::Plan { mut manifest, leftovers, .. } =
            read_plan(&storage, &options.names).await?;
        manifest.files.retain(|entry| entry.kind != Kind::History);
        manifest.epoch += 1;
        // ORDER: the manifest is ours from here on, and what it does not list goes at the next
        // start: files of a log that never took effect are not taken for somebody's data.
        let switched = switch(&storage, &options.names, &manifest).await;
        switched.map_err(|error| RecoveryError::from(error.storage().clone()))?;
        remove_unlisted(&storage, &manifest, &leftovers).await?;
        let epoch = manifest.epoch;
        let names = options.names.clone();
        let opening =
            Opening { directory: directory.clone(), names, run: *run, shards: segments.clone() };
        let Opening { directory, names, run, shards } = opening;
        let librarian = Librarian::new(storage, directory, names, manifest, run).beginning();
        let opened = make_segments(librarian, &shards).await?;
        Ok(Begun { lock, opened, epoch })
    })
}
