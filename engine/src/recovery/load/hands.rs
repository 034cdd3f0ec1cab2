//! Who puts batches in.
//!
//! [`Owners`]: whoever has made a batch takes the shard for as long as it takes to put it in.
//! [`Loaders`]: every shard has a thread that does, so that one reader need not.

use super::{
    batch::{Batch, Duplicate},
    intake::Hand,
};
use crate::recovery::{Progress, RecoveryError, Refusal, keys::Keys, parallel::Shared};
use crate::shard::Shard;
use std::{
    sync::{
        Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

/// Batches waiting for one loader.
const QUEUE_BATCHES: usize = 8;

/// Puts a batch in.
fn put_in(
    name: &str,
    shard: &mut Shard,
    batch: &mut Batch,
    progress: &Progress,
) -> Result<(), RecoveryError> {
    progress.loaded(0, batch.len() as u64);
    batch.put_in(&mut shard.keyspace).map_err(|Duplicate { key, db, offset }| {
        RecoveryError::new(name, Refusal::DuplicateKey { key, db }).at(offset)
    })
}

/// Every shard, to be taken for a batch.
pub struct Owners<'k> {
    name: &'k str,
    shards: Vec<Mutex<&'k mut Shard>>,
    progress: &'k Progress,
}

impl<'k> Owners<'k> {
    /// Owners of `keys`, for keys of file `name`.
    pub fn new(name: &'k str, keys: &'k mut Keys, progress: &'k Progress) -> Self {
        let shards = keys.shards_mut().iter_mut().map(Mutex::new).collect();
        Self { name, shards, progress }
    }

    /// The file whose keys they are.
    pub fn name(&self) -> &'k str {
        self.name
    }
}

impl Hand for &Owners<'_> {
    fn hand(&mut self, shard: usize, batch: &mut Batch) -> Result<(), RecoveryError> {
        let mut shard = self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner);
        put_in(self.name, &mut shard, batch, self.progress)
    }
}

/// The ways to the shards' loaders.
pub struct Loaders<'s> {
    senders: Vec<SyncSender<Batch>>,
    shared: &'s Shared,
}

impl Loaders<'_> {
    /// Runs `read` with a loader for every shard beside it, and returns when all are done.
    pub fn lend(
        name: &str,
        keys: &mut Keys,
        shared: &Shared,
        progress: &Progress,
        read: impl FnOnce(Loaders<'_>),
    ) {
        thread::scope(|scope| {
            let mut senders = Vec::new();
            for shard in keys.shards_mut() {
                let (sender, receiver) = sync_channel(QUEUE_BATCHES);
                senders.push(sender);
                scope.spawn(move || run(name, shard, &receiver, shared, progress));
            }
            read(Loaders { senders, shared });
        });
    }
}

impl Hand for Loaders<'_> {
    fn hand(&mut self, shard: usize, batch: &mut Batch) -> Result<(), RecoveryError> {
        if let Some(error) = self.shared.error() {
            return Err(error);
        }
        // A loader ends only when all its senders are gone.
        let _ = self.senders[shard].send(std::mem::take(batch));
        Ok(())
    }
}

/// Puts in what arrives for one shard, until the reader is done.
fn run(
    name: &str,
    shard: &mut Shard,
    batches: &Receiver<Batch>,
    shared: &Shared,
    progress: &Progress,
) {
    for mut batch in batches {
        // ORDER: goes on taking batches, so that the reader does not wait for ever.
        if !shared.stops() {
            shared.note(put_in(name, shard, &mut batch, progress));
        }
    }
}
