//! From a recovered directory to one that this run writes to.

use super::{Phase, Progress, RecoveryError, Recovered};
use crate::{
    io::{Method, Storage},
    manifest::{
        Event, Librarian, Manifest, Names, OpenSegment, Request, Wanted, remove_unlisted, switch,
    },
};

/// Which segments this run begins with.
#[derive(Debug, Clone, Copy)]
pub struct FirstSegments {
    /// The shard.
    pub shard: u16,
    /// How they are written.
    pub method: Method,
    /// Length of each, bytes.
    pub bytes: u64,
}

/// An open log directory.
pub struct Opened<S: Storage> {
    /// Its owner from now on.
    pub librarian: Librarian<S>,
    /// Per shard, in the order asked for: the segment to write to and the one after it.
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

/// Creates and lists the first two segments of every shard for run `run` (random, not 0), in one
/// switch, then deletes what recovery found to be left over. Before this has returned nothing may
/// be accepted from anybody.
///
/// # Errors
/// The storage's; no space. The directory can be recovered again.
pub async fn open<S: Storage>(
    storage: S,
    names: &Names,
    closed: Closed,
    run: u64,
    wanted: &[FirstSegments],
    progress: &Progress,
) -> Result<Opened<S>, RecoveryError> {
    assert_ne!(run, 0, "0 is the run of files that nobody wrote to");
    progress.enter(Phase::Open);
    let Closed { mut manifest, leftovers, found } = closed;
    manifest.epoch += 1;
    if !found {
        // ORDER: a manifest that lists nothing before the first segment: a crash in between is
        // then a fresh start (row K of the plan), not log files without a manifest (row B).
        let switched = switch(&storage, names, &manifest).await;
        switched.map_err(|error| RecoveryError::from(error.storage().clone()))?;
    }
    let mut librarian = Librarian::new(storage, names.clone(), manifest, run);
    let prepare = |first: &FirstSegments| {
        let FirstSegments { shard, method, bytes } = *first;
        Request::Prepare(Wanted { shard, method, bytes })
    };
    let twice = wanted.iter().chain(wanted).map(prepare).collect();
    let mut segments = Vec::with_capacity(wanted.len() * 2);
    for event in librarian.handle(twice).await {
        match event {
            Event::Prepared(segment) => segments.push(segment),
            Event::PrepareFailed { error, .. } => return Err(error.into()),
            Event::Sealed { .. }
            | Event::GlobalDone { .. }
            | Event::GenerationDone { .. }
            | Event::Discarded { .. }
            | Event::Refused { .. }
            | Event::Failed { .. }
            | Event::LeftBehind { .. } => {}
        }
    }
    // ORDER: only now, when a manifest without them is stable.
    remove_unlisted(librarian.storage(), librarian.manifest(), &leftovers).await?;
    let next = segments.split_off(wanted.len());
    let segments = segments.into_iter().zip(next).collect();
    progress.enter(Phase::Done);
    Ok(Opened { librarian, segments })
}
