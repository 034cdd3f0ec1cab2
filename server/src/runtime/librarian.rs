//! The way to the librarian: requests out, events to the mailboxes of those concerned; and the
//! life of its thread: recovery, opening, keeping.

use super::{
    control::{Control, Opening},
    shared::Shared,
};
use crate::{observe::progress, process::notify, start::random_u64};
use quire_engine::{
    aof::{OpenSegment, SEGMENT_BYTES_MIN, WantSegment},
    error::StorageError,
    keyspace::{KeyHasher, Keyspace},
    manifest::{Errand, Event, LibrarianThread, Names, Request, Wanted},
    recovery,
};
use std::{
    sync::{Arc, atomic::Ordering, mpsc},
    time::Instant,
};

/// What the keeper of the files is told.
pub enum Task {
    /// Something for the librarian; without a log there is none.
    Request(Request),
    /// Work that needs the log's directory to stand still; it may take long.
    Errand(Errand),
}

/// Sends tasks to the keeper's thread.
#[derive(Clone)]
pub struct Librarian {
    tasks: mpsc::Sender<Task>,
}

impl Librarian {
    /// Tasks go to `tasks`.
    pub fn new(tasks: mpsc::Sender<Task>) -> Self {
        Self { tasks }
    }

    fn tell(&self, task: Task) {
        if self.tasks.send(task).is_err() {
            // It leaves only after every sender has, or with a recovery that failed, which ends
            // the process.
            tracing::error!("the librarian is gone");
        }
    }

    /// Sends a request. Its events come by mail.
    pub fn send(&self, request: Request) {
        self.tell(Task::Request(request));
    }

    /// Has an errand run: after everything asked before, before everything asked later.
    pub fn run(&self, errand: Errand) {
        self.tell(Task::Errand(errand));
    }

    /// Asks for a shard's next segment.
    pub fn prepare(&self, shard: u16, want: WantSegment) {
        self.send(Request::Prepare(Wanted { shard, segment: want }));
    }
}

/// What recovery must know of this server.
///
/// # Errors
/// `appendfilename` cannot be a file name.
pub fn recovery_options(shared: &Shared) -> Result<recovery::Options, String> {
    let options = &shared.options;
    let names = Names::new(&options.append_file)
        .ok_or_else(|| format!("appendfilename '{}' cannot be a file name", options.append_file))?;
    Ok(recovery::Options {
        names,
        shards: options.shards,
        databases: options.databases,
        hasher: KeyHasher::random(),
        limits: options.limits,
        tracking: super::limit::tracking(&shared.config.load()),
        now_ms: super::core::unix_ms(),
    })
}

/// Threads that read: nobody else needs the processors meanwhile.
pub fn loading_threads(shared: &Shared) -> usize {
    shared.options.storage_threads.max(shared.options.shards)
}

/// The keys a server without a log begins with: those of the snapshot in `dir`, if there is one.
///
/// # Errors
/// Why the server must not start, in one sentence.
pub fn load_snapshot(shared: &Arc<Shared>) -> Result<Vec<Keyspace>, String> {
    let options = recovery_options(shared)?;
    let began = Instant::now();
    let watch = progress::watch(Arc::clone(shared));
    let name = &shared.config.load().dbfilename;
    let threads = loading_threads(shared);
    let loaded =
        recovery::load_snapshot(&shared.options.dir, name, threads, &options, &shared.progress);
    watch.stop();
    let keyspaces = loaded.map_err(|e| e.to_string())?;
    let keys: usize = keyspaces.iter().map(Keyspace::len).sum();
    if keys > 0 {
        let seconds = began.elapsed().as_secs_f64();
        tracing::info!("DB loaded from disk: {keys} keys, {seconds:.3} seconds");
    }
    Ok(keyspaces)
}

/// Recovers the data set, opens every shard, then does what shards ask until the last has left.
///
/// # Errors
/// Why the server must not start, in one sentence.
pub fn keep(shared: &Arc<Shared>, run: u64, inbox: &mpsc::Receiver<Task>) -> Result<(), String> {
    let options = &shared.options;
    let bytes = SEGMENT_BYTES_MIN.min(options.segment_bytes_max);
    let policies = shared.config.load().fsync_policies();
    let start = recovery::Start {
        directory: shared.log_dir(),
        old_log: options.dir.join(&options.append_file),
        options: recovery_options(shared)?,
        run,
        threads: loading_threads(shared),
        segments: policies.iter().map(|p| WantSegment { method: p.method(), bytes }).collect(),
    };
    let began = Instant::now();
    let watch = progress::watch(Arc::clone(shared));
    let started = recovery::start(&start, &shared.progress).map_err(|e| e.to_string());
    watch.stop();
    let started = started?;
    for line in started.summary.lines() {
        tracing::info!("{line}");
    }
    let snapshot = &shared.config.load().dbfilename;
    if started.summary.files == 0 && shared.options.dir.join(snapshot).exists() {
        tracing::warn!(
            "There is a {snapshot}, but appendonly is yes and the log is new: it is not loaded, as \
             in Redis. To begin with its keys, load it in Redis (appendonly no), run CONFIG SET \
             appendonly yes there, and start Quire on that directory"
        );
    }
    shared.epoch.store(started.librarian.manifest().epoch, Ordering::Release);
    shared.saving.set_base(started.summary.bytes, 0);
    let seconds = began.elapsed().as_secs_f64();
    tracing::info!("DB loaded from append only file: {seconds:.3} seconds");
    let to = Arc::clone(shared);
    let (thread, desk) = LibrarianThread::spawn(started.librarian, move |event| tell(&to, event))
        .map_err(|e| e.to_string())?;
    let parts = started.keyspaces.into_iter().zip(started.segments);
    for (cell, (keyspace, segments)) in shared.cores.iter().zip(parts) {
        let opening =
            Opening { keyspace, run, seed: random_u64()?, segments: Some(Box::new(segments)) };
        cell.mailbox.post(Control::Open(Box::new(opening)));
    }
    shared.loading.store(false, Ordering::Release);
    tracing::info!("Data is in {}", shared.log_dir().display());
    tracing::info!("Ready to accept connections");
    notify::ready();
    while let Ok(task) = inbox.recv() {
        match task {
            Task::Request(request) => desk.ask(request),
            Task::Errand(errand) => desk.run(errand),
        }
    }
    drop(desk);
    thread.join();
    drop(started.lock);
    Ok(())
}

/// An event to whom it concerns.
fn tell(shared: &Shared, event: Event) {
    let post = |core: u16, message| shared.cores[core as usize].mailbox.post(message);
    match event {
        Event::Prepared { shard, segment } => post(shard, Control::SegmentReady(segment)),
        Event::PrepareFailed { shard, error } => post(shard, Control::SegmentFailed(error)),
        Event::Retired { number } => shared.broadcast(|| Control::Retired(number, None)),
        Event::GlobalDone { epoch } | Event::GenerationDone { epoch } => {
            shared.epoch.store(epoch, Ordering::Release);
            post(0, Control::Published(Ok(())));
        }
        Event::Refused { ref what, ref error } | Event::Failed { ref what, ref error } => {
            tracing::warn!("Could not {what}: {error}");
            if matches!(event, Event::Failed { .. }) {
                // Which manifest a restart would find is unknown.
                shared.fail_log(error);
            }
            match what.rsplit(' ').next().and_then(|n| n.parse::<u64>().ok()) {
                Some(number) if what.starts_with("retire") => {
                    shared.broadcast(|| Control::Retired(number, Some(error.clone())));
                }
                _ if what.ends_with("checkpoint") => {
                    post(0, Control::Checkpointed(Err(error.clone())));
                }
                _ => post(0, Control::Published(Err(error.clone()))),
            }
        }
        Event::CheckpointDone { base } => {
            tracing::debug!("{base} is the base now");
            post(0, Control::Checkpointed(Ok(())));
        }
        Event::LeftBehind { error } => {
            tracing::warn!("{error}. The file is listed nowhere and goes at the next start");
        }
    }
}

/// First and next segment of a shard.
pub type Segments = (OpenSegment, OpenSegment);

/// Why a segment could not be retired, if so.
pub type Retirement = Option<StorageError>;
