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

use super::{
    Entry, Event, GLOBAL_SHARD, Kind, Manifest, Names, OpenSegment, OurFile, Position, Request,
    SwitchError, Wanted, remove_unlisted, switch,
};
use crate::{
    aof::{
        Lsn,
        header::{EndLine, HEADER_BYTES, Header, filler},
    },
    error::StorageError,
    io::{Method, Storage},
    limits::LOG_BLOCK_BYTES,
};

/// Bytes of filler written at once.
const FILL_BYTES: usize = 1 << 20;

/// Owns the manifest of one log directory.
pub struct Librarian<S: Storage> {
    storage: S,
    names: Names,
    manifest: Manifest,
    run: u64,
    waiting: Vec<Wanted>,
    failed: Option<StorageError>,
}

impl<S: Storage> Librarian<S> {
    /// Takes over `manifest`, which is the one in force in `storage`, for run `run`.
    pub fn new(storage: S, names: Names, manifest: Manifest, run: u64) -> Self {
        Self { storage, names, manifest, run, waiting: Vec::new(), failed: None }
    }

    /// The manifest in force.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The storage.
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// True while a segment waits for space: [`Librarian::retry`] is due in a second.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
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
            self.prepare(std::mem::take(&mut wanted), false, &mut events).await;
            self.one(request, &mut events).await;
        }
        self.prepare(wanted, false, &mut events).await;
        events
    }

    /// Tries again what waits for space.
    pub async fn retry(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let waiting = std::mem::take(&mut self.waiting);
        self.prepare(waiting, true, &mut events).await;
        events
    }

    async fn one(&mut self, request: Request, events: &mut Vec<Event>) {
        let what = describe(&request);
        if let Some(error) = self.failed.clone() {
            events.push(Event::Failed { what, error });
            return;
        }
        let mut doomed = Vec::new();
        let done = match request {
            Request::Prepare(_) => unreachable!("gathered by `handle`"),
            Request::Seal { shard, number, end, last_lsn, file } => {
                if let Some(file) = file {
                    self.storage.close_for_ring(file);
                }
                let sealed = self.seal(shard, number, end, last_lsn).await;
                sealed.map(|()| Event::Sealed { number }).map_err(SwitchError::Before)
            }
            Request::Global { commands, positions } => self.global(&commands, &positions).await,
            Request::NewGeneration { positions } => {
                self.new_generation(&positions, &mut doomed).await
            }
            Request::Discard { segment } => self.discard(segment, &mut doomed).await,
        };
        match done {
            Ok(event) => {
                events.push(event);
                // ORDER: after the switch, and after the answer: nobody waits for a deletion.
                if let Err(error) = remove_unlisted(&self.storage, &self.manifest, &doomed).await {
                    events.push(Event::LeftBehind { error });
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
    async fn prepare(&mut self, wanted: Vec<Wanted>, again: bool, events: &mut Vec<Event>) {
        let mut made: Vec<(Wanted, Entry)> = Vec::new();
        for want in wanted {
            if let Some(error) = self.failed.clone() {
                events.push(Event::PrepareFailed { wanted: want, error, waiting: false });
                continue;
            }
            match self.create(want).await {
                Ok(entry) => made.push((want, entry)),
                Err(error) => self.not_prepared(want, error, again, events),
            }
        }
        if made.is_empty() {
            return;
        }
        let mut new = self.manifest.clone();
        new.files.extend(made.iter().map(|(_, entry)| entry.clone()));
        match self.list(new).await {
            Ok(()) => {
                for (want, entry) in made {
                    match self.open(want, &entry) {
                        Ok(segment) => events.push(Event::Prepared(segment)),
                        Err(error) => self.not_prepared(want, error, again, events),
                    }
                }
            }
            Err(switch) => {
                let known = matches!(switch, SwitchError::Before(_));
                for (want, entry) in made {
                    if known {
                        // Best effort: the space is what is missing. What stays is unlisted.
                        let _ = self.storage.remove(&entry.name).await;
                        self.not_prepared(want, switch.storage().clone(), again, events);
                    } else {
                        let error = switch.storage().clone();
                        self.failed = Some(error.clone());
                        events.push(Event::PrepareFailed { wanted: want, error, waiting: false });
                    }
                }
            }
        }
    }

    fn not_prepared(
        &mut self,
        wanted: Wanted,
        error: StorageError,
        again: bool,
        events: &mut Vec<Event>,
    ) {
        let waiting = matches!(error.errno, libc::ENOSPC | libc::EDQUOT);
        if waiting {
            self.waiting.push(wanted);
        }
        if !(again && waiting) {
            events.push(Event::PrepareFailed { wanted, error, waiting });
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
        let bytes = wanted.bytes.next_multiple_of(LOG_BLOCK_BYTES as u64);
        let made = async {
            let file = self.storage.create(&name).await?;
            match wanted.method {
                Method::Direct => self.fill(&file, bytes).await?,
                Method::Buffered => self.storage.reserve(&file, bytes).await?,
            }
            // ORDER: before the file is listed. A listed file whose filler is not stable can come
            // back with holes of NULs, which stock refuses.
            self.storage.sync(&file).await
        };
        if let Err(error) = made.await {
            // Gives the space back; a failed sync is not tried again on this file but on another.
            let _ = self.storage.remove(&name).await;
            return Err(error);
        }
        let mut entry = Entry::new(name, number, Kind::Incr);
        entry.epoch = Some(self.manifest.epoch);
        entry.run = Some(self.run);
        entry.method = Some(wanted.method);
        entry.bytes = Some(bytes);
        Ok(entry)
    }

    async fn fill(&self, file: &S::File, bytes: u64) -> Result<(), StorageError> {
        let block = filler(FILL_BYTES.min(bytes as usize));
        let mut at = 0;
        while at < bytes {
            let part = block.len().min((bytes - at) as usize);
            self.storage.write_at(file, at, &block[..part]).await?;
            at += part as u64;
        }
        Ok(())
    }

    fn open(&self, wanted: Wanted, entry: &Entry) -> Result<OpenSegment, StorageError> {
        Ok(OpenSegment {
            shard: wanted.shard,
            file: self.storage.open_for_ring(&entry.name, wanted.method)?,
            number: entry.seq,
            name: entry.name.clone(),
            method: wanted.method,
            capacity: entry.bytes.unwrap_or(0),
        })
    }

    /// Puts `new` in force; the files it adds have stable bytes.
    async fn list(&mut self, mut new: Manifest) -> Result<(), SwitchError> {
        new.next_number = self.manifest.next_number;
        // ORDER: the names of new files before the manifest that lists them: otherwise a crash
        // can keep the manifest and lose a file, and the next start refuses.
        self.storage.sync_dir().await.map_err(SwitchError::Unknown)?;
        switch(&self.storage, &self.names, &new).await?;
        self.manifest = new;
        Ok(())
    }

    async fn seal(
        &self,
        shard: u16,
        number: u64,
        end: u64,
        last_lsn: Lsn,
    ) -> Result<(), StorageError> {
        let name = self.names.segment(number, shard);
        let file = self.storage.open(&name).await?;
        seal_file(
            &self.storage,
            &file,
            end,
            EndLine { run: self.run, shard, seq: number, last_lsn },
        )
        .await
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
        self.list(new).await?;
        doomed.extend(old.into_iter().map(|entry| entry.name));
        Ok(Event::GenerationDone { epoch })
    }

    /// Takes the shards' next segments out of `new`, in list order, for the epoch that begins.
    fn move_next(&self, new: &mut Manifest, positions: &[Position], epoch: u64) -> Vec<Entry> {
        let mut moved = Vec::new();
        let mut kept = Vec::new();
        for mut entry in std::mem::take(&mut new.files) {
            let at = match self.names.recognise(&entry.name) {
                Some(OurFile::Segment { number, shard }) => {
                    positions.iter().find(|p| p.shard == shard && p.next == number)
                }
                _ => None,
            };
            match at {
                Some(position) => {
                    entry.epoch = Some(epoch);
                    entry.first_lsn = Some(position.last_lsn + 1);
                    moved.push(entry);
                }
                None => kept.push(entry),
            }
        }
        new.files = kept;
        assert_eq!(moved.len(), positions.len(), "every shard's next segment is listed, once");
        moved
    }

    async fn discard(
        &mut self,
        segment: OpenSegment,
        doomed: &mut Vec<String>,
    ) -> Result<Event, SwitchError> {
        self.storage.close_for_ring(segment.file);
        let mut new = self.manifest.clone();
        new.files.retain(|entry| entry.name != segment.name);
        self.list(new).await?;
        doomed.push(segment.name);
        Ok(Event::Discarded { number: segment.number })
    }
}

/// Cuts a segment at `end`, writes its end-of-log line there and syncs it.
pub async fn seal_file<S: Storage>(
    storage: &S,
    file: &S::File,
    end: u64,
    line: EndLine,
) -> Result<(), StorageError> {
    storage.truncate(file, end).await?;
    // ORDER: the cut before the line, so that nothing of what was behind the cut can ever stand
    // behind an end-of-log line, where a stock server's commands are believed.
    storage.sync(file).await?;
    storage.write_at(file, end, &line.encode()).await?;
    storage.sync(file).await
}

fn describe(request: &Request) -> String {
    match request {
        Request::Prepare(wanted) => format!("prepare a segment of shard {}", wanted.shard),
        Request::Seal { number, .. } => format!("seal segment {number}"),
        Request::Global { .. } => "log a global command".to_owned(),
        Request::NewGeneration { .. } => "begin with an empty data set".to_owned(),
        Request::Discard { segment } => format!("discard segment {}", segment.number),
    }
}
