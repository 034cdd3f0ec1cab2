//! The backup that is being written, or the last one: what BACKUP STATUS says. Core 0 and the thread
//! that verifies write it, every core may read it.

use quire_engine::recovery::Progress;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// How far a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// There was none.
    #[default]
    None,
    /// Another snapshot is being written first.
    Waiting,
    /// Keys are being written.
    Writing,
    /// What was written is being read.
    Verifying,
    /// It is whole.
    Done,
    /// It could not be made; nothing of it is left.
    Failed,
    /// Nobody wanted it any more; nothing of it is left.
    Aborted,
}

impl State {
    /// For BACKUP STATUS.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Waiting => "waiting",
            Self::Writing => "writing",
            Self::Verifying => "verifying",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
        }
    }
}

/// A backup.
#[derive(Debug, Default)]
pub struct Backup {
    /// How far it is.
    pub state: State,
    /// Where it goes.
    pub directory: PathBuf,
    /// Directories that were made for it, innermost first.
    pub made: Vec<PathBuf>,
    /// When it was asked for, Unix time, s.
    pub started_s: i64,
    /// When it ended, Unix time, s.
    pub ended_s: Option<i64>,
    /// Keys and bytes, once written.
    pub keys: u64,
    /// As above.
    pub bytes: u64,
    /// How far verifying is.
    pub verified: Option<Arc<Progress>>,
    /// It is to be given up although it is being verified.
    pub is_unwanted: bool,
    /// Why it failed.
    pub error: String,
}

impl Backup {
    /// One that is asked for now.
    pub fn begin(directory: PathBuf, made: Vec<PathBuf>, started_s: i64) -> Self {
        Self { state: State::Waiting, directory, made, started_s, ..Self::default() }
    }

    /// It has not ended.
    pub fn is_under_way(&self) -> bool {
        matches!(self.state, State::Waiting | State::Writing | State::Verifying)
    }
}

/// The backup, shared.
#[derive(Debug, Default)]
pub struct Shared(Mutex<Backup>);

impl Shared {
    /// The backup; not to be held while waiting for anything.
    pub fn lock(&self) -> MutexGuard<'_, Backup> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
