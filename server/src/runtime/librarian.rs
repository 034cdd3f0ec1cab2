//! The way to the librarian: requests out, events to the mailboxes of those concerned; and the
//! life of its thread: recovery, opening, keeping.

use super::{
    control::{Control, Opening},
    shared::Shared,
};
use crate::{observe::progress, process::notify, start::random_u64};
use quire_engine::{
    aof::{OpenSegment, SEGMENT_BYTES_MIN, WantSegment},
    command::OwnedArgs,
    error::StorageError,
    io::glommio::GlommioStorage,
    keyspace::{KeyHasher, Keyspace},
    manifest::{
        Asked, DirectoryLock, Errand, Event, LibrarianDesk, LibrarianThread, Names, Request, Wanted,
    },
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
    /// A log begins: open its directory.
    Begin,
    /// There is no log any more: leave its directory. What was asked before is done first.
    Leave,
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

    /// A log begins, or there is none any more; core 0 is told.
    pub fn begin(&self) {
        self.tell(Task::Begin);
    }

    /// There is no log any more; core 0 is told when its directory is left.
    pub fn leave(&self) {
        self.tell(Task::Leave);
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
pub fn load_snapshot(shared: &Arc<Shared>) -> Result<(Vec<Keyspace>, Vec<OwnedArgs>), String> {
    let options = recovery_options(shared)?;
    let began = Instant::now();
    let watch = progress::watch(Arc::clone(shared));
    let name = &shared.config.load().dbfilename;
    let threads = loading_threads(shared);
    let loaded =
        recovery::load_snapshot(&shared.options.dir, name, threads, &options, &shared.progress);
    watch.stop();
    let (keyspaces, functions) = loaded.map_err(|e| e.to_string())?;
    let keys: usize = keyspaces.iter().map(Keyspace::len).sum();
    if keys > 0 {
        let seconds = began.elapsed().as_secs_f64();
        tracing::info!("DB loaded from disk: {keys} keys, {seconds:.3} seconds");
    }
    Ok((keyspaces, functions))
}

fn start_of(shared: &Shared, run: u64) -> Result<recovery::Start, String> {
    let options = &shared.options;
    let bytes = SEGMENT_BYTES_MIN.min(options.segment_bytes_max);
    let config = shared.config.load();
    let policies = config.fsync_policies();
    Ok(recovery::Start {
        directory: shared.log_dir(),
        old_log: config.dir.join(&options.append_file),
        options: recovery_options(shared)?,
        run,
        threads: loading_threads(shared),
        segments: policies.iter().map(|p| WantSegment { method: p.method(), bytes }).collect(),
    })
}

/// An open log directory.
pub struct Kept {
    thread: LibrarianThread,
    desk: LibrarianDesk,
    lock: DirectoryLock,
}

impl Kept {
    fn new(
        shared: &Arc<Shared>,
        librarian: quire_engine::manifest::Librarian<GlommioStorage>,
        lock: DirectoryLock,
    ) -> Result<Self, StorageError> {
        let to = Arc::clone(shared);
        let (thread, desk) = LibrarianThread::spawn(librarian, move |event| tell(&to, event))?;
        Ok(Self { thread, desk, lock })
    }

    /// Leaves the directory when everything asked has been done.
    fn leave(self) {
        let Self { thread, desk, lock } = self;
        drop(desk);
        thread.join();
        drop(lock);
    }
}

/// Does what cores ask of the files until the last core has left.
pub fn keep(shared: &Arc<Shared>, run: u64, inbox: &mpsc::Receiver<Task>, kept: Option<Kept>) {
    let mut kept = kept;
    let tell_first = |message| shared.cores[0].mailbox.post(message);
    while let Ok(task) = inbox.recv() {
        match (task, &kept) {
            (Task::Request(request), Some(kept)) => kept.desk.ask(request),
            // Of a log that is gone.
            (Task::Request(_), None) => {}
            (Task::Errand(errand), Some(kept)) => kept.desk.run(errand),
            (Task::Errand(errand), None) => errand(),
            (Task::Begin, _) => match begin(shared, run) {
                Ok((opened, segments)) => {
                    kept = Some(opened);
                    tell_first(Control::LogBegun(Ok(segments)));
                }
                Err(error) => tell_first(Control::LogBegun(Err(error))),
            },
            (Task::Leave, _) => {
                if let Some(kept) = kept.take() {
                    kept.leave();
                }
                tell_first(Control::LogLeft);
            }
        }
    }
    if let Some(kept) = kept {
        kept.leave();
    }
}

/// Opens the directory of a log that begins.
fn begin(shared: &Arc<Shared>, run: u64) -> Result<(Kept, Vec<Segments>), String> {
    let begun = recovery::begin(&start_of(shared, run)?).map_err(|e| e.to_string())?;
    shared.epoch.store(begun.epoch, Ordering::Release);
    let recovery::Opened { librarian, segments } = begun.opened;
    let kept = Kept::new(shared, librarian, begun.lock).map_err(|e| e.to_string())?;
    Ok((kept, segments))
}

/// Recovers the data set and opens every shard.
///
/// # Errors
/// Why the server must not start, in one sentence.
pub fn open(shared: &Arc<Shared>, run: u64) -> Result<Kept, String> {
    let start = start_of(shared, run)?;
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
             in Redis. To begin with its keys, start with appendonly no and then run CONFIG SET \
             appendonly yes"
        );
    }
    if !started.functions.is_empty() {
        // A generation that no base is known to have: the next checkpoint is a base.
        shared.libraries.replace(crate::families::functions::replayed(&started.functions)?, 0);
    }
    shared.epoch.store(started.librarian.manifest().epoch, Ordering::Release);
    let (base, delta) = (started.summary.base_bytes, started.summary.delta_bytes);
    shared.saving.set_files(base, delta);
    shared.saving.set_base(started.summary.bytes, 0);
    let seconds = began.elapsed().as_secs_f64();
    tracing::info!("DB loaded from append only file: {seconds:.3} seconds");
    let kept = Kept::new(shared, started.librarian, started.lock).map_err(|e| e.to_string())?;
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
    Ok(kept)
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
        Event::Refused { what, ref error } | Event::Failed { what, ref error } => {
            tracing::warn!("Could not {what}: {error}");
            if matches!(event, Event::Failed { .. }) {
                if shared.log_begins.load(Ordering::Acquire) {
                    post(0, Control::LogLost(error.to_string()));
                } else {
                    // Which manifest a restart would find is unknown.
                    shared.fail_log(error);
                }
            }
            let failed = Err(error.clone());
            match what {
                Asked::Retire(number) => {
                    shared.broadcast(|| Control::Retired(number, Some(error.clone())));
                }
                // Nobody waits: the files go at the next start.
                Asked::Discard | Asked::Forget => {}
                Asked::Checkpoint => post(0, Control::Checkpointed(failed)),
                Asked::Prepare(_) | Asked::Global | Asked::NewGeneration => {
                    post(0, Control::Published(failed));
                }
            }
        }
        Event::Discarded => {}
        Event::CheckpointDone { file } => {
            tracing::debug!("{file} is in force now");
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
