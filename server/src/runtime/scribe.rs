//! The scribe: the thread that writes snapshots to files.
//!
//! Owns a storage executor. Shards send their chunks as they fill them, each at most
//! [`CHUNKS_MAX`] ahead of the disk: a slow disk holds the walks up, never a client. One
//! snapshot at a time. What came of it is told to core 0. Knows neither walks nor the manifest.

use super::{control::Control, shared::Shared};
use crate::dispatch::backup::remove_directories;
use crate::process::kernel;
use quire_engine::{
    error::StorageError,
    io::{Storage, glommio::GlommioStorage},
    manifest::storage_executor,
    snapshot::{Chunk, CommandDraft, DeltaDraft, Draft, DraftOptions, Facts, Written, replace},
};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{Builder, JoinHandle},
};

/// Chunks of one shard that may be on their way.
pub const CHUNKS_MAX: usize = 4;
/// How the name of an RDB file that is being written begins; the process' number follows.
const TEMPORARY: &str = "temp-quire-";

/// A snapshot to be written.
#[derive(Debug)]
pub struct Order {
    /// Its number in this process.
    pub id: u64,
    /// The directory.
    pub directory: PathBuf,
    /// The name it is written under.
    pub draft: String,
    /// The name it gets in the end; none: somebody else gives it one.
    pub name: Option<String>,
    /// It is a delta, of this run's log.
    pub delta_of: Option<u64>,
    /// Directories that were made for it and go with it if it is not finished, innermost first.
    pub made: Vec<PathBuf>,
    /// As commands instead of an RDB.
    pub commands: bool,
    /// How it is written.
    pub options: DraftOptions,
}

/// What the scribe is told.
pub enum Note {
    /// Begin a snapshot.
    Begin(Order),
    /// The next chunk of the snapshot with this number.
    Chunk(u64, Chunk),
    /// All chunks have been sent: complete it.
    Finish(u64, Facts),
    /// Nobody wants it any more.
    GiveUp(u64),
}

/// Sends notes to the scribe; one per core.
#[derive(Clone)]
pub struct Scribe {
    notes: Sender<Note>,
}

impl Scribe {
    /// Sends a note.
    pub fn tell(&self, note: Note) {
        if self.notes.send(note).is_err() {
            tracing::error!("the scribe is gone");
        }
    }

    /// Sends a chunk of a snapshot.
    pub fn chunk(&self, shared: &Shared, id: u64, chunk: Chunk) {
        shared.leads[usize::from(chunk.shard)].sent();
        self.tell(Note::Chunk(id, chunk));
    }

    /// A scribe and its notes, which [`spawn`] takes.
    pub fn new() -> (Self, Receiver<Note>) {
        let (notes, inbox) = channel();
        (Self { notes }, inbox)
    }
}

/// Starts the thread. It ends when nobody can tell it anything any more.
///
/// # Errors
/// The thread could not be made.
pub fn spawn(shared: Arc<Shared>, inbox: Receiver<Note>) -> io::Result<JoinHandle<()>> {
    Builder::new().name("scribe".to_owned()).spawn(move || {
        // A storage executor pins memory: it is made when it is needed.
        let Ok(first) = inbox.recv() else { return };
        // Where it shares a CPU with a shard, clients come first: a walk that waits hurts nobody.
        kernel::run_behind();
        match storage_executor("scribe") {
            Ok(executor) => executor.run(serve(&shared, first, &inbox)),
            Err(error) => refuse(&shared, first, &inbox, &error),
        }
    })
}

async fn serve(shared: &Shared, first: Note, inbox: &Receiver<Note>) {
    let mut note = first;
    loop {
        match note {
            Note::Begin(order) => {
                let (id, made) = (order.id, order.made.clone());
                let result = write(shared, order, inbox).await;
                if !matches!(result, Some(Ok(_))) {
                    remove_directories(&made);
                }
                if let Some(result) = result {
                    shared.cores[0].mailbox.post(Control::Scribed(id, result));
                }
            }
            Note::Chunk(_, chunk) => thrown_away(shared, &chunk),
            // Of a snapshot that has failed.
            Note::Finish(..) | Note::GiveUp(_) => {}
        }
        match inbox.recv() {
            Ok(next) => note = next,
            Err(_) => return,
        }
    }
}

/// There is no executor: nothing can be written.
fn refuse(shared: &Shared, first: Note, inbox: &Receiver<Note>, error: &StorageError) {
    for note in std::iter::once(first).chain(inbox.iter()) {
        match note {
            Note::Begin(order) => {
                let refused = Control::Scribed(order.id, Err(error.clone()));
                shared.cores[0].mailbox.post(refused);
            }
            Note::Chunk(_, chunk) => thrown_away(shared, &chunk),
            Note::Finish(..) | Note::GiveUp(_) => {}
        }
    }
}

fn thrown_away(shared: &Shared, chunk: &Chunk) {
    let shard = usize::from(chunk.shard);
    if shared.leads[shard].taken() {
        shared.cores[shard].mailbox.post(Control::Look);
    }
}

/// What is being written.
enum Sheet<'s, S: Storage> {
    Snapshot(Draft<'s, S>),
    Delta(DeltaDraft<'s, S>),
    Commands(Box<CommandDraft<'s, S>>),
}

impl<'s, S: Storage> Sheet<'s, S> {
    async fn begin(storage: &'s S, order: &Order) -> Result<Self, StorageError> {
        let (draft, options) = (order.draft.clone(), order.options);
        if order.commands {
            let draft = CommandDraft::begin(storage, draft, options).await?;
            return Ok(Sheet::Commands(Box::new(draft)));
        }
        Ok(match order.delta_of {
            None => Sheet::Snapshot(Draft::begin(storage, draft, options).await?),
            Some(run) => {
                let syncs = options.sync_as_it_grows;
                Sheet::Delta(DeltaDraft::begin(storage, draft, run, syncs).await?)
            }
        })
    }

    fn awaits(&self) -> Option<u16> {
        match self {
            Sheet::Snapshot(draft) => draft.awaits(),
            Sheet::Delta(_) => None,
            Sheet::Commands(draft) => draft.awaits(),
        }
    }

    fn bytes(&self) -> u64 {
        match self {
            Sheet::Snapshot(draft) => draft.bytes(),
            Sheet::Delta(draft) => draft.bytes(),
            Sheet::Commands(draft) => draft.bytes(),
        }
    }

    async fn put(&mut self, chunk: Chunk) -> Result<(), StorageError> {
        match self {
            Sheet::Snapshot(draft) => draft.put(chunk).await,
            Sheet::Delta(draft) => draft.put(chunk).await,
            Sheet::Commands(draft) => draft.put(chunk).await,
        }
    }

    async fn finish(&mut self, facts: &Facts) -> Result<Written, StorageError> {
        match self {
            Sheet::Snapshot(draft) => draft.finish(facts).await,
            Sheet::Delta(draft) => draft.finish().await,
            Sheet::Commands(draft) => draft.finish(facts).await,
        }
    }

    async fn abandon(self) -> Result<(), StorageError> {
        match self {
            Sheet::Snapshot(draft) => draft.abandon().await,
            Sheet::Delta(draft) => draft.abandon().await,
            Sheet::Commands(draft) => draft.abandon().await,
        }
    }
}

/// Writes one snapshot; None when it was given up.
async fn write(
    shared: &Shared,
    order: Order,
    inbox: &Receiver<Note>,
) -> Option<Result<Written, StorageError>> {
    let storage = match GlommioStorage::open_or_create(&order.directory).await {
        Ok(storage) => storage,
        Err(error) => return Some(Err(error)),
    };
    let mut draft = match Sheet::begin(&storage, &order).await {
        Ok(draft) => draft,
        Err(error) => return Some(Err(error)),
    };
    let result = fill(shared, &order, inbox, &storage, &mut draft).await;
    if !matches!(result, Some(Ok(_)))
        && let Err(error) = draft.abandon().await
    {
        tracing::warn!("{error}. The unfinished snapshot goes at the next start");
    }
    result
}

async fn fill<S: Storage>(
    shared: &Shared,
    order: &Order,
    inbox: &Receiver<Note>,
    storage: &S,
    draft: &mut Sheet<'_, S>,
) -> Option<Result<Written, StorageError>> {
    // Chunks that came while another shard's value was in the middle.
    let mut held: Vec<Chunk> = Vec::new();
    loop {
        let awaited = |chunk: &Chunk| draft.awaits().is_none_or(|shard| shard == chunk.shard);
        let chunk = match held.iter().position(awaited) {
            Some(at) => held.remove(at),
            None => match inbox.recv() {
                Ok(Note::Chunk(id, chunk)) if id == order.id => {
                    held.push(chunk);
                    continue;
                }
                Ok(Note::Chunk(_, chunk)) => {
                    thrown_away(shared, &chunk);
                    continue;
                }
                Ok(Note::Finish(id, facts)) if id == order.id => {
                    return Some(finish(order, &facts, storage, draft).await);
                }
                Ok(Note::GiveUp(id)) if id == order.id => {
                    held.iter().for_each(|chunk| thrown_away(shared, chunk));
                    return None;
                }
                Ok(Note::Begin(_) | Note::Finish(..) | Note::GiveUp(_)) => continue,
                // The server leaves in the middle.
                Err(_) => return None,
            },
        };
        let shard = chunk.shard;
        let put = draft.put(chunk).await;
        shared.saving.bytes_written.store(draft.bytes(), Ordering::Relaxed);
        if shared.leads[usize::from(shard)].taken() {
            shared.cores[usize::from(shard)].mailbox.post(Control::Look);
        }
        if let Err(error) = put {
            held.iter().for_each(|chunk| thrown_away(shared, chunk));
            return Some(Err(error));
        }
    }
}

async fn finish<S: Storage>(
    order: &Order,
    facts: &Facts,
    storage: &S,
    draft: &mut Sheet<'_, S>,
) -> Result<Written, StorageError> {
    let written = draft.finish(facts).await?;
    if let Some(name) = &order.name {
        replace(storage, &order.draft, name).await?;
    }
    Ok(written)
}

/// The name an RDB file of this process is written under; `salt` tells apart processes of one number.
pub fn temporary_name(salt: u32) -> String {
    format!("{TEMPORARY}{}-{salt:08x}.rdb", std::process::id())
}

/// Removes what processes that are gone have left unfinished.
pub fn remove_leftovers(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| {
            let rest = name.strip_prefix(TEMPORARY)?.strip_suffix(".rdb")?;
            rest.split_once('-')?.0.parse::<u32>().ok()
        });
        if let Some(process) = process
            && (process == std::process::id() || !Path::new(&format!("/proc/{process}")).exists())
        {
            match fs::remove_file(entry.path()) {
                Ok(()) => tracing::info!("Removed {}: it was not finished", entry.path().display()),
                Err(error) => tracing::warn!("Cannot remove {}: {error}", entry.path().display()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_processes_that_are_gone_left_unfinished_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let mine = temporary_name(7);
        let gone = format!("{TEMPORARY}{}-00000001.rdb", u32::MAX - 7);
        let parent = format!("{TEMPORARY}{}-00000001.rdb", std::os::unix::process::parent_id());
        let others = ["dump.rdb", "temp-123.rdb", "temp-quire-x-1.rdb", parent.as_str()];
        for name in others.iter().copied().chain([mine.as_str(), gone.as_str()]) {
            fs::write(folder.path().join(name), "x").unwrap();
        }
        remove_leftovers(folder.path());
        let mut left: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let mut expected: Vec<String> = others.iter().map(|name| (*name).to_owned()).collect();
        expected.sort();
        assert_eq!(left, expected);
    }
}
