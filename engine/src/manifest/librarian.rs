//! The one owner of the manifest after start: every segment is created, filled, sealed, listed
//! and deleted here, one request after the other.
//!
//! Invariants:
//! * A segment is stable and listed before anybody can write a commit to it.
//! * An error leaves the old manifest in force. When that cannot be known (the directory sync
//!   failed), the librarian is done: it answers [`Event::Failed`] to everything.
//! * A file is deleted only after a manifest without it is stable.
//! * Numbers are never used twice, failures included.
//!
//! A global command (FLUSHDB, SWAPDB) is written alone into a small segment that is listed
//! between the old segments and the next ones: `s0.1 s1.2 | g.5 | s0.3 s1.4`. Redis' order is
//! `seq`, strictly increasing, and the next segments were listed before the command came: they
//! keep their *number* (it is in their name and in their commits) and get a new `seq` behind it.
//! Stock replays in that order; the rename makes all of it true at once.
//!
//! Knows nothing of sockets, policies or what commits contain.

mod checkpoint;

use super::{
    Asked, Entry, Event, GLOBAL_SHARD, Kind, Manifest, Names, OurFile, Position, Request,
    SwitchError, Wanted, remove_unlisted, switch,
};
use crate::{
    aof::{
        OpenSegment, RetiredSegment, fill_segment,
        header::{EndLine, HEADER_BYTES, Header},
        seal_segment,
    },
    error::StorageError,
    io::Storage,
    limits::LOG_BLOCK_BYTES,
};
use std::path::PathBuf;

/// Owns the manifest of one log directory.
pub struct Librarian<S: Storage> {
    storage: S,
    /// Only for the paths in error messages.
    directory: PathBuf,
    names: Names,
    manifest: Manifest,
    run: u64,
    /// The manifest on disk, while the log that begins has not taken effect.
    begun_over: Option<Manifest>,
    failed: Option<StorageError>,
}

impl<S: Storage> Librarian<S> {
    /// Takes over `manifest`, which is the one in force in `storage`, for run `run`. `directory`
    /// is where that is, for error messages.
    pub fn new(storage: S, directory: PathBuf, names: Names, manifest: Manifest, run: u64) -> Self {
        Self { storage, directory, names, manifest, run, begun_over: None, failed: None }
    }

    /// A log begins in a directory whose manifest is `manifest`, of whatever was there: until its
    /// first checkpoint that one stays in force, and nothing of the new log is listed on disk. So a
    /// crash before it leaves what there was.
    #[must_use]
    pub fn beginning(mut self) -> Self {
        self.begun_over = Some(self.manifest.clone());
        self
    }

    /// The manifest in force.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The storage.
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// Does what is asked, in order; neighbouring [`Request::Prepare`]s share one manifest switch.
    pub async fn handle(&mut self, requests: Vec<Request>) -> Vec<Event> {
        let mut events = Vec::new();
        let mut wanted = Vec::new();
        for request in requests {
            if let Request::Prepare(w) = request {
                wanted.push(w);
                continue;
            }
            self.prepare(std::mem::take(&mut wanted), &mut events).await;
            self.one(request, &mut events).await;
        }
        self.prepare(wanted, &mut events).await;
        events
    }

    async fn one(&mut self, request: Request, events: &mut Vec<Event>) {
        let what = Asked::from(&request);
        if let Some(error) = self.failed.clone() {
            events.push(Event::Failed { what, error });
            return;
        }
        let mut doomed = Vec::new();
        let done = match request {
            Request::Prepare(_) => unreachable!("gathered by `handle`"),
            Request::Retire { shard, segment } => self.retire(shard, segment, &mut doomed).await,
            Request::Global { commands, positions } => self.global(&commands, &positions).await,
            Request::NewGeneration { positions } => {
                self.new_generation(&positions, &mut doomed).await
            }
            Request::Discard => self.discard(&mut doomed),
            Request::Checkpoint { draft, positions, epoch } => {
                self.checkpoint(&draft, &positions, epoch, &mut doomed).await
            }
        };
        match done {
            Ok(event) => {
                events.push(event);
                // ORDER: after the switch, and after the answer: nobody waits for a deletion.
                if let Err(error) = remove_unlisted(&self.storage, &self.manifest, &doomed).await {
                    events.push(Event::LeftBehind { error });
                }
                match self.forget_history().await {
                    Ok(()) => {}
                    Err(SwitchError::Before(error)) => events.push(Event::LeftBehind { error }),
                    Err(SwitchError::Unknown(error)) => {
                        self.failed = Some(error.clone());
                        let what = Asked::Forget;
                        events.push(Event::Failed { what, error });
                    }
                }
            }
            Err(SwitchError::Before(error)) => events.push(Event::Refused { what, error }),
            Err(SwitchError::Unknown(error)) => {
                self.failed = Some(error.clone());
                events.push(Event::Failed { what, error });
            }
        }
    }

    /// Creates all that is wanted and lists what could be created in one switch.
    async fn prepare(&mut self, wanted: Vec<Wanted>, events: &mut Vec<Event>) {
        let mut made: Vec<(Wanted, Entry)> = Vec::new();
        for want in wanted {
            let created = match self.failed.clone() {
                Some(error) => Err(error),
                None => self.create(want).await,
            };
            match created {
                Ok(entry) => made.push((want, entry)),
                Err(error) => events.push(Event::PrepareFailed { shard: want.shard, error }),
            }
        }
        if made.is_empty() {
            return;
        }
        let mut new = self.manifest.clone();
        new.files.extend(made.iter().map(|(_, entry)| entry.clone()));
        let listed = self.list(new).await;
        for (want, entry) in made {
            let shard = want.shard;
            let opened = match &listed {
                Ok(()) => self.open(want, &entry),
                Err(switch) => Err(self.unlisted(switch, &entry.name).await),
            };
            events.push(match opened {
                Ok(segment) => Event::Prepared { shard, segment },
                Err(error) => Event::PrepareFailed { shard, error },
            });
        }
    }

    /// A file could not be listed.
    async fn unlisted(&mut self, switch: &SwitchError, name: &str) -> StorageError {
        match switch {
            SwitchError::Before(error) => {
                // Best effort: space may be what is missing. What stays is not listed.
                let _ = self.storage.remove(name).await;
                error.clone()
            }
            SwitchError::Unknown(error) => {
                self.failed = Some(error.clone());
                error.clone()
            }
        }
    }

    fn take_number(&mut self) -> u64 {
        let number = self.manifest.next_number.max(1);
        self.manifest.next_number = number + 1;
        number
    }

    /// Creates a segment with stable bytes; its name is not stable yet.
    async fn create(&mut self, wanted: Wanted) -> Result<Entry, StorageError> {
        let number = self.take_number();
        let name = self.names.segment(number, wanted.shard);
        let bytes = wanted.segment.bytes.next_multiple_of(LOG_BLOCK_BYTES as u64);
        let made = async {
            let file = self.storage.create(&name).await?;
            // ORDER: stable before the file is listed. A listed file whose filler is not stable
            // can come back with holes of NULs, which stock refuses.
            fill_segment(&self.storage, &file, wanted.segment.method, bytes).await
        };
        if let Err(error) = made.await {
            // Gives the space back; a failed sync is not tried again on this file but on another.
            let _ = self.storage.remove(&name).await;
            return Err(error);
        }
        let mut entry = Entry::new(name, number, Kind::Incr);
        entry.epoch = Some(self.manifest.epoch);
        entry.run = Some(self.run);
        entry.method = Some(wanted.segment.method);
        entry.bytes = Some(bytes);
        Ok(entry)
    }

    fn open(&self, wanted: Wanted, entry: &Entry) -> Result<OpenSegment, StorageError> {
        let method = wanted.segment.method;
        Ok(OpenSegment {
            file: self.storage.open_for_ring(&entry.name, method)?,
            path: self.directory.join(&entry.name),
            seq: entry.seq,
            method,
            capacity: entry.bytes.unwrap_or(0),
        })
    }

    /// Puts `new` in force; the files it adds have stable bytes.
    async fn list(&mut self, mut new: Manifest) -> Result<(), SwitchError> {
        new.next_number = self.manifest.next_number;
        // ORDER: the names of new files before the manifest that lists them: otherwise a crash
        // can keep the manifest and lose a file, and the next start refuses.
        self.storage.sync_dir().await.map_err(SwitchError::Unknown)?;
        if self.begun_over.is_some() {
            self.manifest = new;
            return Ok(());
        }
        switch(&self.storage, &self.names, &new).await?;
        self.manifest = new;
        Ok(())
    }

    async fn retire(
        &mut self,
        shard: u16,
        retired: RetiredSegment,
        doomed: &mut Vec<String>,
    ) -> Result<Event, SwitchError> {
        let RetiredSegment { segment, end, last_lsn } = retired;
        self.storage.close_for_ring(segment.file);
        let number = segment.seq;
        let name = self.names.segment(number, shard);
        if !self.manifest.lists(&name) {
            // It went with its data set while it was in use.
            return Ok(Event::Retired { number });
        }
        // A manifest without any file line is taken for a log by stock Redis' redis-check-aof.
        if end == 0 && self.manifest.files.len() > 1 {
            let mut new = self.manifest.clone();
            self.unlist_empty(&mut new, &name, shard);
            self.list(new).await?;
            doomed.push(name);
            return Ok(Event::Retired { number });
        }
        let sealed = async {
            let file = self.storage.open(&name).await?;
            let line = EndLine { run: self.run, shard, seq: number, last_lsn };
            seal_segment(&self.storage, &file, end, &line).await
        };
        sealed.await.map_err(SwitchError::Before)?;
        Ok(Event::Retired { number })
    }

    /// Takes an empty segment out of `new`. What its line says of the LSN its shard goes on with
    /// is said by the shard's next one from now on.
    fn unlist_empty(&self, new: &mut Manifest, name: &str, shard: u16) {
        let Some(at) = new.position(name) else { return };
        let gone = new.files.remove(at);
        let heir = new.files[at..].iter_mut().find(|entry| {
            let file = self.names.recognise(&entry.name);
            entry.run == gone.run
                && matches!(file, Some(OurFile::Segment { shard: s, .. }) if s == shard)
        });
        if let Some(heir) = heir {
            heir.first_lsn = heir.first_lsn.or(gone.first_lsn);
        }
    }

    async fn global(
        &mut self,
        commands: &[u8],
        positions: &[Position],
    ) -> Result<Event, SwitchError> {
        let epoch = self.manifest.epoch + 1;
        let number = self.take_number();
        let name = self.names.global(number);
        let header = Header {
            run: self.run,
            shard: GLOBAL_SHARD,
            seq: number,
            first_lsn: epoch,
            batches: 1,
            body_bytes: commands.len() as u64,
            synced: 0,
        };
        let end = EndLine { run: self.run, shard: GLOBAL_SHARD, seq: number, last_lsn: epoch };
        let mut line = [0; HEADER_BYTES];
        header.encode(&mut line, commands);
        let text = [&line[..], commands, &end.encode()].concat();
        let written = async {
            let file = self.storage.create(&name).await?;
            self.storage.write_at(&file, 0, &text).await?;
            // ORDER: before it is listed: the manifest is the commit point of the command.
            self.storage.sync(&file).await
        };
        if let Err(error) = written.await {
            let _ = self.storage.remove(&name).await;
            return Err(SwitchError::Before(error));
        }
        let mut entry = Entry::new(name.clone(), number, Kind::Incr);
        entry.epoch = Some(epoch);
        entry.run = Some(self.run);
        let mut new = self.manifest.clone();
        let mut moved = self.move_next(&mut new, positions, epoch);
        new.files.push(entry);
        for entry in &mut moved {
            entry.seq = self.take_number();
        }
        new.files.extend(moved);
        new.epoch = epoch;
        let listed = self.list(new).await;
        if let Err(SwitchError::Before(_)) = &listed {
            let _ = self.storage.remove(&name).await;
        }
        listed.map(|()| Event::GlobalDone { epoch })
    }

    async fn new_generation(
        &mut self,
        positions: &[Position],
        doomed: &mut Vec<String>,
    ) -> Result<Event, SwitchError> {
        let epoch = self.manifest.epoch + 1;
        let mut new = self.manifest.clone();
        let moved = self.move_next(&mut new, positions, epoch);
        let old = std::mem::replace(&mut new.files, moved);
        new.epoch = epoch;
        self.bury(&old, &mut new, doomed);
        self.list(new).await?;
        Ok(Event::GenerationDone { epoch })
    }

    /// Takes what the shards go on in out of `new`, in list order, for the epoch that begins: of
    /// each shard the next segment and whatever was prepared after it.
    fn move_next(&self, new: &mut Manifest, positions: &[Position], epoch: u64) -> Vec<Entry> {
        let mut moved = Vec::new();
        let mut kept = Vec::new();
        let mut found = 0;
        for mut entry in std::mem::take(&mut new.files) {
            let at = match self.names.recognise(&entry.name) {
                Some(OurFile::Segment { number, shard }) if entry.run == Some(self.run) => {
                    let at = positions.iter().find(|p| p.shard == shard && p.next <= number);
                    at.map(|position| (position, number))
                }
                _ => None,
            };
            match at {
                Some((position, number)) => {
                    entry.epoch = Some(epoch);
                    if position.next == number {
                        entry.first_lsn = Some(position.last_lsn + 1);
                        found += 1;
                    }
                    moved.push(entry);
                }
                None => kept.push(entry),
            }
        }
        new.files = kept;
        assert_eq!(found, positions.len(), "every shard's next segment is listed, once");
        moved
    }
}
