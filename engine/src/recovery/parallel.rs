//! Scanning and replaying with several threads.
//!
//! ```text
//! reader (a shard's files of one epoch, in order) --batches--> loader (one shard's keys)
//! reader                                          --batches--> loader
//! ```
//! A reader verifies, parses and routes; a loader executes. The shards of an epoch have no key in
//! common, every key has one loader, and a channel keeps its order: so every key sees its
//! commands in the order they were logged in. Channels are bounded: a slow loader holds its
//! readers back, never memory. Does not judge anything: the first error wins, all stop.

use super::{
    Progress, RecoveryError, Refusal,
    functions::{FunctionChanges, is_function},
    keys::{self, Keys},
    replay::{Part, Place, Sealed, Sink, replay_file},
};
use crate::{
    command::{Args, Span},
    error::StorageError,
    io::{
        Storage,
        system::{SystemStorage, run_ready},
    },
    shard::Shard,
};
use std::{
    marker::PhantomData,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread,
};

/// Bytes of commands gathered for one loader before they are handed over.
const BATCH_BYTES: usize = 64 * 1024;
/// Commands gathered for one loader before they are handed over.
const BATCH_COMMANDS: usize = 1024;
/// Batches waiting for one loader.
const QUEUE_BATCHES: usize = 8;

/// Gives every thread access to the same directory.
pub trait Readers: Sync {
    /// What they read it with.
    type Storage: Storage;
    /// Runs `work` to its end on the calling thread.
    ///
    /// # Errors
    /// The thread cannot have access.
    fn run<T>(&self, work: impl AsyncFnOnce(&Self::Storage) -> T) -> Result<T, StorageError>;
}

/// Every thread that reads has nothing else to do and blocks.
impl Readers for SystemStorage {
    type Storage = SystemStorage;

    fn run<T>(&self, work: impl AsyncFnOnce(&SystemStorage) -> T) -> Result<T, StorageError> {
        Ok(run_ready(work(self)))
    }
}

/// How many threads share the work, and what they read with.
#[derive(Debug)]
pub struct Team<'r, R: Readers> {
    /// Access to the directory.
    pub readers: &'r R,
    /// Threads that read; every shard has a thread that loads besides.
    pub threads: usize,
}

/// The readers of a recovery that does everything on its own thread.
pub struct Alone<S>(PhantomData<fn() -> S>, std::convert::Infallible);

impl<S: Storage> Readers for Alone<S> {
    type Storage = S;

    fn run<T>(&self, _work: impl AsyncFnOnce(&S) -> T) -> Result<T, StorageError> {
        match self.1 {}
    }
}

/// Does `job` for every index below `count`, on the team's threads; the results in order.
pub fn for_each<R: Readers, T: Send>(
    team: &Team<'_, R>,
    count: usize,
    job: impl AsyncFn(&R::Storage, usize) -> Result<T, RecoveryError> + Sync,
) -> Result<Vec<T>, RecoveryError> {
    let shared = Shared::new(count);
    let results: Vec<Mutex<Option<T>>> = (0..count).map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..team.threads.min(count) {
            scope.spawn(|| {
                let done = team.readers.run(async |storage| {
                    while let Some(index) = shared.next() {
                        let result = job(storage, index).await?;
                        *results[index].lock().unwrap_or_else(PoisonError::into_inner) =
                            Some(result);
                    }
                    Ok(())
                });
                shared.note(done.map_err(RecoveryError::from).flatten());
            });
        }
    });
    shared.outcome()?;
    let results = results.into_iter().map(|r| r.into_inner());
    Ok(results.filter_map(|result| result.unwrap_or_else(PoisonError::into_inner)).collect())
}

/// Replays the commits of one epoch: the files of each chain in order, chains in parallel.
pub fn replay_epoch<R: Readers>(
    team: &Team<'_, R>,
    chains: &[Vec<usize>],
    sealed: &[Sealed],
    keys: &mut Keys,
    progress: &Progress,
) -> Result<(), RecoveryError> {
    route(team, chains.len(), sealed, keys, async |storage, index, router| {
        for &file in &chains[index] {
            router.file = file;
            replay_file(storage, &sealed[file], Part::Commits, router, progress).await?;
        }
        Ok(())
    })
}

/// Does `jobs` jobs on the team's threads, whose commands go to the loader of their key.
fn route<R: Readers>(
    team: &Team<'_, R>,
    jobs: usize,
    sealed: &[Sealed],
    keys: &mut Keys,
    job: impl AsyncFn(&R::Storage, usize, &mut Router<'_>) -> Result<(), RecoveryError> + Sync,
) -> Result<(), RecoveryError> {
    let shared = Shared::new(jobs);
    let (databases, now_ms) = (keys.databases(), keys.now_ms());
    let functions = keys.functions().clone();
    thread::scope(|scope| {
        let mut senders = Vec::new();
        for shard in keys.shards_mut() {
            let (sender, receiver) = sync_channel(QUEUE_BATCHES);
            senders.push(sender);
            let shared = &shared;
            scope.spawn(move || load(shard, now_ms, sealed, &receiver, shared));
        }
        for _ in 0..team.threads.min(jobs) {
            let mut router = Router::new(senders.clone(), databases, &shared, &functions);
            let (shared, job) = (&shared, &job);
            scope.spawn(move || {
                let done = team.readers.run(async |storage| {
                    while let Some(index) = shared.next() {
                        job(storage, index, &mut router).await?;
                    }
                    router.flush();
                    Ok(())
                });
                shared.note(done.map_err(RecoveryError::from).flatten());
            });
        }
    });
    shared.outcome()
}

/// What the threads share: which work is next, whether to go on, what went wrong first.
pub struct Shared {
    next: AtomicUsize,
    count: usize,
    stop: AtomicBool,
    error: Mutex<Option<RecoveryError>>,
}

impl Shared {
    /// Work of `count` pieces.
    pub fn new(count: usize) -> Self {
        Self {
            next: AtomicUsize::new(0),
            count,
            stop: AtomicBool::new(false),
            error: Mutex::new(None),
        }
    }

    /// The next piece of work; none when there is none or somebody has failed.
    pub fn next(&self) -> Option<usize> {
        let index = self.next.fetch_add(1, Relaxed);
        (index < self.count && !self.stops()).then_some(index)
    }

    /// Whether somebody has failed.
    pub fn stops(&self) -> bool {
        self.stop.load(Relaxed)
    }

    /// Notes how somebody ended.
    pub fn note(&self, result: Result<(), RecoveryError>) {
        if let Err(error) = result {
            let mut first = self.error.lock().unwrap_or_else(PoisonError::into_inner);
            // Whoever was told to stop comes later than the reason.
            first.get_or_insert(error);
            self.stop.store(true, Relaxed);
        }
    }

    /// The first thing that went wrong so far.
    pub fn error(&self) -> Option<RecoveryError> {
        self.stops()
            .then(|| self.error.lock().unwrap_or_else(PoisonError::into_inner).clone())
            .flatten()
    }

    /// What went wrong first.
    pub fn outcome(self) -> Result<(), RecoveryError> {
        let error = self.error.into_inner().unwrap_or_else(PoisonError::into_inner);
        error.map_or(Ok(()), Err)
    }
}

/// One command of a batch.
struct Head {
    db: u32,
    first_span: u32,
    spans: u32,
    offset: u64,
}

/// Commands of one file for one loader.
#[derive(Default)]
struct Batch {
    file: usize,
    bytes: Vec<u8>,
    spans: Vec<Span>,
    heads: Vec<Head>,
}

/// Hands every command to the loader that owns its key.
struct Router<'s> {
    senders: Vec<SyncSender<Batch>>,
    pending: Vec<Batch>,
    databases: usize,
    /// The file being read.
    file: usize,
    shared: &'s Shared,
    functions: &'s FunctionChanges,
}

impl<'s> Router<'s> {
    fn new(
        senders: Vec<SyncSender<Batch>>,
        databases: usize,
        shared: &'s Shared,
        functions: &'s FunctionChanges,
    ) -> Self {
        let pending = senders.iter().map(|_| Batch::default()).collect();
        Self { senders, pending, databases, file: 0, shared, functions }
    }

    fn send(&mut self, shard: usize) {
        let batch = std::mem::take(&mut self.pending[shard]);
        // A loader ends only when all its senders are gone.
        let _ = self.senders[shard].send(batch);
    }

    fn flush(&mut self) {
        for shard in 0..self.pending.len() {
            if !self.pending[shard].heads.is_empty() {
                self.send(shard);
            }
        }
    }
}

impl Sink for Router<'_> {
    fn take(&mut self, args: Args<'_>, place: &mut Place) -> Result<(), String> {
        if self.shared.stops() {
            return Err("stopped".to_owned());
        }
        if keys::is_control(args) {
            return keys::control(args, self.databases, &mut place.db);
        }
        if is_function(args) {
            self.functions.note(args);
            return Ok(());
        }
        let Some(key) = keys::only_key(args) else {
            let name = String::from_utf8_lossy(args.get(0)).into_owned();
            return Err(format!("'{}' is no command of one key", name.escape_debug()));
        };
        let shard = keys::owner(key, self.pending.len());
        if self.pending[shard].file != self.file && !self.pending[shard].heads.is_empty() {
            self.send(shard);
        }
        let batch = &mut self.pending[shard];
        batch.file = self.file;
        let first_span = batch.spans.len() as u32;
        for arg in args.iter_from(0) {
            batch.spans.push(Span { start: batch.bytes.len() as u32, len: arg.len() as u32 });
            batch.bytes.extend_from_slice(arg);
        }
        batch.heads.push(Head {
            db: place.db as u32,
            first_span,
            spans: args.len() as u32,
            offset: place.offset,
        });
        if batch.bytes.len() >= BATCH_BYTES || batch.heads.len() >= BATCH_COMMANDS {
            self.send(shard);
        }
        Ok(())
    }
}

/// Executes what arrives for one shard, until all readers are done.
fn load(
    shard: &mut Shard,
    now_ms: i64,
    sealed: &[Sealed],
    batches: &Receiver<Batch>,
    shared: &Shared,
) {
    for batch in batches {
        for head in &batch.heads {
            // ORDER: goes on taking batches, so that no reader waits for ever.
            if shared.stops() {
                break;
            }
            let from = head.first_span as usize;
            let args = Args::new(&batch.bytes, &batch.spans[from..from + head.spans as usize]);
            let mut db = head.db as usize;
            if let Err(error) = shard.replay(args, &mut db, now_ms) {
                let name = &sealed[batch.file].name;
                let kind = Refusal::Command(error.to_string());
                shared.note(Err(RecoveryError::new(name, kind).at(head.offset)));
            }
        }
    }
}
