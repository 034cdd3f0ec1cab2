//! Checkpoints: a new base, or a delta behind the one there is, takes the place of everything that was
//! logged before its cut.
//!
//! At the cut every shard went on in its next segment, which was listed already, so nothing of the
//! manifest changes until the base is whole: old base, old segments and new ones are listed meanwhile,
//! and give the same keys. Then one switch:
//!
//! ```text
//! base.3 s0.4 s1.5 s0.6 | s1.7 s0.8 g.9 s0.10 s1.11     cut: s1 goes on in 7, s0 in 8
//! base.12               | s1.7 s0.8 g.9 s0.10 s1.11
//! ```
//! A delta leaves the base where it is and takes the place of the delta before and of everything that
//! was logged before its cut, earlier runs included. It must be replayed before what is behind the
//! cut, so that gets a new `seq`, as behind a global command:
//!
//! ```text
//! base.3 delta.9 s0.4 s1.5 s0.6 | s1.7 s0.8       cut as above
//! base.3 delta.12               | s1.7 s0.8
//! ```
//! A global command is behind the cut when its epoch is above the cut's: whoever orders a cut lets no
//! global command begin between the flips. A segment that was flipped to at the cut and left again
//! without a commit may be gone by now; what it said of LSNs is said by the shard's next one.

use super::{Entry, Event, Kind, Librarian, Manifest, OurFile, Position, SwitchError};
use crate::{error::StorageError, io::Storage};
use std::io;

impl<S: Storage> Librarian<S> {
    /// Puts the finished file `draft` in the place of everything before the cut.
    pub(super) async fn checkpoint(
        &mut self,
        draft: &str,
        positions: &[Position],
        epoch: u64,
        doomed: &mut Vec<String>,
    ) -> Result<Event, SwitchError> {
        let is_delta = draft == self.names.delta_draft();
        let base = self.manifest.files.iter().find(|entry| entry.kind == Kind::Base).cloned();
        if is_delta && base.is_none() {
            // There is no such thing without a base; whoever asks knows that there is one.
            let _ = self.storage.remove(draft).await;
            return Err(SwitchError::Before(self.no_base(draft)));
        }
        let number = self.take_number();
        let name = if is_delta {
            self.names.delta(number)
        } else if draft == self.names.command_draft() {
            self.names.command_base(number)
        } else {
            self.names.base(number)
        };
        if let Err(error) = self.storage.rename(draft, &name).await {
            let _ = self.storage.remove(draft).await;
            return Err(SwitchError::Before(error));
        }
        let mut new = self.manifest.clone();
        let mut kept = self.since_cut(&new, positions, epoch);
        let mut files = Vec::with_capacity(kept.len() + 2);
        if is_delta {
            let mut delta = Entry::new(name.clone(), number, Kind::Incr);
            (delta.run, delta.epoch) = (Some(self.run), Some(epoch));
            files.extend(base);
            files.push(delta);
            for entry in &mut kept {
                entry.seq = self.take_number();
            }
        } else {
            files.push(Entry::new(name.clone(), number, Kind::Base));
        }
        files.extend(kept);
        let old = std::mem::replace(&mut new.files, files);
        self.bury(&old, &mut new, doomed);
        // ORDER: the draft's bytes were synced when it was finished, its new name is in here,
        // before the manifest that lists it.
        // With its first base a log that begins takes effect.
        let begun_over = self.begun_over.take();
        let listed = self.list(new).await;
        if let Err(SwitchError::Before(_)) = &listed {
            self.begun_over = begun_over;
            let _ = self.storage.remove(&name).await;
        }
        listed.map(|()| Event::CheckpointDone { file: name })
    }

    fn no_base(&self, draft: &str) -> StorageError {
        let error = io::Error::from_raw_os_error(libc::ENOENT);
        StorageError::new("find the base of", self.directory.join(draft), &error)
    }

    /// Gives up a log that has not taken effect: the manifest on disk is the one in force again.
    pub(super) fn discard(&mut self, doomed: &mut Vec<String>) -> Result<Event, SwitchError> {
        if let Some(before) = self.begun_over.clone() {
            let made = std::mem::replace(&mut self.manifest, before);
            // Numbers are never used twice.
            self.manifest.next_number = made.next_number;
            doomed.extend([self.names.draft(), self.names.command_draft()]);
            let made = made.files.into_iter().map(|entry| entry.name);
            doomed.extend(made.filter(|name| !self.manifest.lists(name)));
            if self.manifest.files.is_empty() {
                // There was no log: nothing is left that looks like one. Last, so that a crash
                // leaves no files without a list.
                doomed.push(self.names.manifest());
            }
        }
        Ok(Event::Discarded)
    }

    /// What stays listed: of each shard the segment it went on in at the cut, with what follows,
    /// and global commands since.
    fn since_cut(&self, manifest: &Manifest, positions: &[Position], epoch: u64) -> Vec<Entry> {
        let mut kept = Vec::new();
        let mut missing: Vec<Position> = positions.to_vec();
        for entry in &manifest.files {
            let mut entry = entry.clone();
            match self.names.recognise(&entry.name) {
                Some(OurFile::Segment { number, shard }) if entry.run == Some(self.run) => {
                    let cut = positions.iter().find(|p| p.shard == shard);
                    if cut.is_none_or(|cut| number < cut.next) {
                        continue;
                    }
                    if let Some(at) = missing.iter().position(|p| p.shard == shard) {
                        entry.first_lsn = Some(missing.swap_remove(at).last_lsn + 1);
                    }
                }
                Some(OurFile::Global { .. }) if entry.epoch > Some(epoch) => {}
                _ => continue,
            }
            kept.push(entry);
        }
        assert!(missing.is_empty(), "every shard goes on in a listed segment: {missing:?}");
        kept
    }

    /// Gives up the files of `old` that `new` does not list. Those with a name that only we make
    /// can be told from data whenever a crash leaves them; others stay listed as history until
    /// they are gone.
    pub(super) fn bury(&self, old: &[Entry], new: &mut Manifest, doomed: &mut Vec<String>) {
        for entry in old.iter().filter(|entry| !new.lists(&entry.name)).cloned().collect::<Vec<_>>()
        {
            if self.names.recognise(&entry.name).is_some() {
                doomed.push(entry.name);
            } else {
                new.files.insert(0, Entry::new(entry.name, entry.seq, Kind::History));
            }
        }
    }

    /// Deletes files that are listed as history, then forgets them.
    pub(super) async fn forget_history(&mut self) -> Result<(), SwitchError> {
        let mut new = self.manifest.clone();
        new.files.retain(|entry| entry.kind != Kind::History);
        if new.files.len() == self.manifest.files.len() {
            return Ok(());
        }
        let there = self.storage.list().await.map_err(SwitchError::Before)?;
        for entry in self.manifest.files.iter().filter(|entry| entry.kind == Kind::History) {
            if there.iter().any(|(name, _)| *name == entry.name) {
                // ORDER: while it is still listed: a crash cannot make it a file that nobody knows.
                self.storage.remove(&entry.name).await.map_err(SwitchError::Before)?;
            }
        }
        self.list(new).await
    }
}
