//! Core 0's part of a backup.
//!
//! ```text
//! wish -> cut, walk, scribe (as any snapshot) -> verified by reading the file -> manifest
//! ```
//! ORDER: the manifest comes last, and is what makes the directory one that a server starts on: half a
//! backup, whatever ended it, is never taken for a whole one. A backup that ends early takes its files
//! and the directories made for it with it.

use crate::{
    observe::backup::State,
    runtime::{
        control::{Control, Origin, Wish},
        core::Core,
    },
};
use quire_engine::{
    manifest::Names,
    recovery::{Progress, publish_base, verify_snapshot},
    snapshot::Written,
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

impl Core {
    /// The directory of a backup's log, and the name of its base.
    pub(super) fn backup_place(&self) -> (PathBuf, Names, String) {
        let names = Names::new(&self.shared.options.append_file).unwrap_or_default();
        let directory = self.shared.backup.lock().directory.join(&self.shared.options.append_dir);
        let base = names.base(1);
        (directory, names, base)
    }

    /// Core 0: a backup is wanted.
    pub(super) fn backup_wished(&mut self, origin: Option<Origin>) {
        if let Some(origin) = origin {
            self.answer_later(origin, b"+Backup started\r\n".to_vec());
        }
        self.checkpoints.waiting.push_back((Wish::Backup, None));
        self.next_checkpoint();
    }

    /// Core 0: it is not wanted any more.
    pub(super) fn abort_backup(&mut self, origin: Option<Origin>) {
        let state = self.shared.backup.lock().state;
        match state {
            State::Waiting => {
                self.checkpoints.waiting.retain(|(wish, _)| *wish != Wish::Backup);
                self.end_backup(State::Aborted, String::new());
            }
            State::Writing => self.give_up_checkpoint(None),
            State::Verifying => self.shared.backup.lock().is_unwanted = true,
            State::None | State::Done | State::Failed | State::Aborted => {}
        }
        if let Some(origin) = origin {
            self.answer_later(origin, b"+OK\r\n".to_vec());
        }
    }

    /// Core 0: it is written.
    pub(super) fn backup_written(&mut self, written: &Written, copied_bytes: u64) {
        self.shared.saving.backups.end(self.since_start_ms(), Some(true), copied_bytes);
        self.verify_backup(written);
        self.next_checkpoint();
    }

    /// A thread of its own reads all of it, then makes it one that a server
    /// starts on.
    fn verify_backup(&mut self, written: &Written) {
        let (directory, names, base) = self.backup_place();
        let progress = Arc::new(Progress::new());
        {
            let mut backup = self.shared.backup.lock();
            backup.state = State::Verifying;
            (backup.keys, backup.bytes) = (written.keys, written.bytes);
            backup.verified = Some(Arc::clone(&progress));
        }
        let shared = Arc::clone(&self.shared);
        let thread = std::thread::Builder::new().name("backup".to_owned());
        let spawned = thread.spawn(move || {
            let verified = verify_snapshot(&directory, &base, &progress);
            let is_unwanted = shared.backup.lock().is_unwanted;
            let result = match verified {
                Ok(()) if is_unwanted => Err(String::new()),
                Ok(()) => publish_base(&directory, &names, &base).map_err(|e| e.to_string()),
                Err(error) => Err(error.to_string()),
            };
            if result.is_err() {
                // Whatever is left says why below.
                let _ = fs::remove_file(directory.join(&base));
                let _ = fs::remove_file(directory.join(names.manifest()));
            }
            shared.cores[0].mailbox.post(Control::BackedUp(result));
        });
        if let Err(error) = spawned {
            self.backed_up(Err(error.to_string()));
        }
    }

    /// Core 0: the backup is whole, or has failed.
    pub fn backed_up(&mut self, result: Result<(), String>) {
        match result {
            Ok(()) => self.end_backup(State::Done, String::new()),
            Err(reason) if reason.is_empty() => self.end_backup(State::Aborted, reason),
            Err(reason) => self.end_backup(State::Failed, reason),
        }
        self.next_checkpoint();
    }

    /// Core 0: says how it has ended; directories that were made for one that is not whole go.
    fn end_backup(&self, state: State, error: String) {
        if state != State::Done {
            remove_directories(&self.shared.backup.lock().made);
        }
        self.say_backup_ended(state, error);
    }

    fn say_backup_ended(&self, state: State, error: String) {
        let mut backup = self.shared.backup.lock();
        let directory = backup.directory.display();
        match state {
            State::Done => tracing::info!("Backup written to {directory}"),
            _ => tracing::warn!("No backup in {directory}: {} {error}", state.name()),
        }
        backup.state = state;
        backup.error = error;
        backup.ended_s = Some(self.now_ms / 1000);
    }

    /// Core 0: the snapshot of a backup is given up; the scribe removes what there is of it.
    pub(super) fn backup_given_up(&self, reason: Option<&str>) {
        let (state, error) = match reason {
            Some(reason) => (State::Failed, reason),
            None => (State::Aborted, "given up: BACKUP ABORT, FLUSHALL or the end of the server"),
        };
        self.say_backup_ended(state, error.to_owned());
    }
}

/// Removes empty directories, in this order.
pub fn remove_directories(made: &[impl AsRef<Path>]) {
    for directory in made {
        let directory = directory.as_ref();
        if let Err(error) = fs::remove_dir(directory) {
            tracing::warn!("{} stays: {error}", directory.display());
        }
    }
}
