//! From a recovered directory to one that this run writes to.

use super::{Phase, Progress, Recovered, RecoveryError};
use crate::{
    aof::{OpenSegment, WantSegment},
    io::Storage,
    manifest::{Event, Librarian, Manifest, Names, Request, Wanted, remove_unlisted, switch},
};
use std::path::PathBuf;

/// An open log directory.
pub struct Opened<S: Storage> {
    /// Its owner from now on.
    pub librarian: Librarian<S>,
    /// Per shard, in order of their numbers: the segment to write to and the one after it.
    pub segments: Vec<(OpenSegment, OpenSegment)>,
}

/// What [`open`] needs of a recovery; the keys go elsewhere.
pub struct Closed {
    manifest: Manifest,
    leftovers: Vec<String>,
    found: bool,
}

impl Recovered {
    /// Parts the keys from the directory.
    pub fn split(self) -> (Vec<crate::keyspace::Keyspace>, super::Summary, Closed) {
        let closed =
            Closed { manifest: self.manifest, leftovers: self.leftovers, found: self.found };
        (self.keyspaces, self.summary, closed)
    }
}

/// Who opens a directory, and what for.
#[derive(Debug, Clone)]
pub struct Opening {
    /// The directory, for error messages.
    pub directory: PathBuf,
    /// Names of the files.
    pub names: Names,
    /// The run's id: random, not 0.
    pub run: u64,
    /// What every shard begins with; the position is the shard's number.
    pub shards: Vec<WantSegment>,
}

/// Creates and lists the first two segments of every shard in one switch, then deletes what recovery found to be left over. Before this has returned nothing may
/// be accepted from anybody.
///
/// # Errors
/// The storage's; no space. The directory can be recovered again.
pub async fn open<S: Storage>(
    storage: S,
    closed: Closed,
    opening: Opening,
    progress: &Progress,
) -> Result<Opened<S>, RecoveryError> {
    let Opening { directory, names, run, shards } = opening;
    assert_ne!(run, 0, "0 is the run of files that nobody wrote to");
    progress.enter(Phase::Open);
    let Closed { mut manifest, leftovers, found } = closed;
    manifest.epoch += 1;
    if !found {
        // ORDER: a manifest that lists nothing before the first segment: a crash in between is
        // then a fresh start (row K of the plan), not log files without a manifest (row B).
        let switched = switch(&storage, &names, &manifest).await;
        switched.map_err(|error| RecoveryError::from(error.storage().clone()))?;
    }
    let librarian = Librarian::new(storage, directory, names, manifest, run);
    let opened = make_segments(librarian, &shards).await?;
    // ORDER: only now, when a manifest without them is stable.
    let librarian = &opened.librarian;
    remove_unlisted(librarian.storage(), librarian.manifest(), &leftovers).await?;
    progress.enter(Phase::Done);
    Ok(opened)
}

/// Has a librarian make the first two segments of every shard.
pub(super) async fn make_segments<S: Storage>(
    mut librarian: Librarian<S>,
    shards: &[WantSegment],
) -> Result<Opened<S>, RecoveryError> {
    let prepare = |(shard, &segment)| Request::Prepare(Wanted { shard: shard as u16, segment });
    let twice = [shards; 2].into_iter().flat_map(|all| all.iter().enumerate().map(prepare));
    let mut segments = Vec::with_capacity(shards.len() * 2);
    for event in librarian.handle(twice.collect()).await {
        match event {
            Event::Prepared { segment, .. } => segments.push(segment),
            Event::PrepareFailed { error, .. } => return Err(error.into()),
            Event::Retired { .. }
            | Event::GlobalDone { .. }
            | Event::GenerationDone { .. }
            | Event::CheckpointDone { .. }
            | Event::Discarded
            | Event::Refused { .. }
            | Event::Failed { .. }
            | Event::LeftBehind { .. } => {}
        }
    }
    let next = segments.split_off(shards.len());
    let segments = segments.into_iter().zip(next).collect();
    Ok(Opened { librarian, segments })
}
