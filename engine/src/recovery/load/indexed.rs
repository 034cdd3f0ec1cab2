//! A snapshot of ours, whose index says where its chunks are: every thread reads, verifies and
//! loads chunks of its own.
//!
//! ```text
//! header, index, checksum of the whole  -> chunk, chunk ..  by owner -> a thread each -> owner's keys
//! ```
//! A packed chunk is unpacked by whoever reads it. A chunk is read and summed outside of any lock; its keys go to their owner batch by batch.
//! Threads begin with the chunks of different shards, so they seldom want the same one.
//!
//! The index is not trusted either: a chunk must have the checksum, the number of keys and the slot
//! groups it is indexed with, and what lies between chunks must be filler. The checksum of the file
//! is put together from theirs.

use super::{
    Hand, Intake, PIECE_BYTES,
    hands::Owners,
    intake::{ALL, Terms},
};
use crate::{
    io::Storage,
    rdb::{Event, Reader, crc64},
    recovery::{Progress, Readers, RecoveryError, Refusal, Team, parallel::Shared, pieces::broken},
    slot::shard_of_group,
    snapshot::{Found, Index, Indexed, Unpacker},
};
use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    thread,
};

/// The version whose chunks there are.
const VERSION: u32 = 10;
/// Longest chunk that is read as a whole, bytes: larger ones hold one big value.
const WHOLE_BYTES_MAX: u64 = 4 << 20;
/// What a chunk begins with: a database.
const DATABASE: u8 = 0xFE;
/// What the end of the keys is, and its length with the checksum behind it.
const END: u8 = 0xFF;
const END_BYTES: usize = 9;

/// A snapshot with an index.
pub struct Map {
    index: Index,
    /// Where the chunks end.
    at: u64,
    /// Length of the file.
    bytes: u64,
}

impl Map {
    /// Number of chunks.
    pub fn chunks(&self) -> u64 {
        self.index.chunks.len() as u64
    }
}

/// Looks for an index. `None`: there is none, or none that can be right, so that the file is to be
/// read as any other.
///
/// # Errors
/// The storage's.
pub async fn find<S: Storage>(storage: &S, name: &str) -> Result<Option<Map>, RecoveryError> {
    let file = storage.open(name).await?;
    let bytes = storage.len(&file).await?;
    match Index::find(storage, &file, bytes).await? {
        Found::Index { index, at } => Ok(Some(Map { index, at, bytes })),
        Found::None | Found::Damaged(_) => Ok(None),
    }
}

/// Loads the snapshot; its length.
///
/// # Errors
/// As [`super::load`].
pub async fn load<S: Storage, R: Readers>(
    storage: &S,
    team: Option<&Team<'_, R>>,
    map: &Map,
    terms: &Terms,
    owners: &Owners<'_>,
    progress: &Progress,
) -> Result<u64, RecoveryError> {
    let job = Job { name: owners.name(), map, terms, progress };
    let head = job.head(storage, &mut &*owners).await?;
    match team {
        Some(team) => job.with_team(team, owners)?,
        None => {
            let file = storage.open(job.name).await?;
            let mut seat = job.seat()?;
            for chunk in &map.index.chunks {
                job.chunk(storage, &file, chunk, &mut seat, &mut &*owners).await?;
            }
        }
    }
    job.end(storage, head).await?;
    Ok(map.bytes)
}

/// One snapshot to be loaded.
struct Job<'j> {
    name: &'j str,
    map: &'j Map,
    terms: &'j Terms,
    progress: &'j Progress,
}

/// What a thread reads chunks with.
struct Seat<'j> {
    intake: Intake<'j>,
    unpacker: Option<Unpacker>,
}

/// A list of chunks, taken one by one.
#[derive(Default)]
struct Queue<'j> {
    chunks: Vec<&'j Indexed>,
    next: AtomicUsize,
}

impl<'j> Job<'j> {
    fn refuse<T>(&self, offset: u64, what: impl Into<String>) -> Result<T, RecoveryError> {
        Err(RecoveryError::new(self.name, Refusal::Chunk(what.into())).at(offset))
    }

    /// Chunks by the shard that owns their first group, in the order of the file.
    fn queues(&self) -> Vec<Queue<'j>> {
        let shards = self.terms.shards;
        let mut queues: Vec<Queue<'j>> = (0..shards).map(|_| Queue::default()).collect();
        for chunk in &self.map.index.chunks {
            // The index has been checked: groups are below 256.
            queues[shard_of_group(chunk.first_group as u8, shards)].chunks.push(chunk);
        }
        queues
    }

    fn with_team<R: Readers>(
        &self,
        team: &Team<'_, R>,
        owners: &Owners<'_>,
    ) -> Result<(), RecoveryError> {
        let queues = self.queues();
        let shared = Shared::new(0);
        let threads = team.threads.clamp(1, self.map.index.chunks.len().max(1));
        thread::scope(|scope| {
            for thread in 0..threads {
                let (queues, shared) = (&queues, &shared);
                scope.spawn(move || {
                    let first = thread * queues.len() / threads;
                    let done = team.readers.run(async |storage| {
                        self.work(storage, first, queues, owners, shared).await
                    });
                    shared.note(done.map_err(RecoveryError::from).flatten());
                });
            }
        });
        shared.outcome()
    }

    /// Loads chunks until there are none left, those of queue `first` before others.
    async fn work<S: Storage>(
        &self,
        storage: &S,
        first: usize,
        queues: &[Queue<'j>],
        owners: &Owners<'_>,
        shared: &Shared,
    ) -> Result<(), RecoveryError> {
        let file = storage.open(self.name).await?;
        let mut seat = self.seat()?;
        for queue in queues[first..].iter().chain(&queues[..first]) {
            while !shared.stops() {
                let next = queue.next.fetch_add(1, Relaxed);
                let Some(&chunk) = queue.chunks.get(next) else { break };
                self.chunk(storage, &file, chunk, &mut seat, &mut &*owners).await?;
            }
        }
        Ok(())
    }

    /// Loads one chunk.
    async fn chunk<S: Storage>(
        &self,
        storage: &S,
        file: &S::File,
        chunk: &Indexed,
        seat: &mut Seat<'_>,
        to: &mut impl Hand,
    ) -> Result<(), RecoveryError> {
        let Indexed { offset, bytes, crc, keys, first_group, last_group, .. } = *chunk;
        let padded = chunk.padded_bytes();
        seat.intake.expect((first_group as u8, last_group as u8));
        let (mut reader, mut begun) = (Reader::part(VERSION, offset), false);
        let (mut sum, mut at) = (0, 0);
        while at < padded {
            let wanted = if padded <= WHOLE_BYTES_MAX { padded } else { PIECE_BYTES as u64 };
            let wanted = wanted.min(padded - at) as usize;
            let piece = storage.read_at(file, offset + at, wanted).await?;
            if piece.len() < wanted {
                return self.refuse(offset, "the file has become shorter");
            }
            self.progress.loaded(piece.len() as u64, 0);
            if self.map.index.summed {
                sum = crc64::update(sum, &piece);
            }
            let last = at + piece.len() as u64 == padded;
            if last && self.map.index.summed && sum != crc {
                return self.refuse(
                    offset,
                    format!("its checksum is {sum:016x}, and the index has {crc:016x} for it"),
                );
            }
            let content = (bytes.saturating_sub(at) as usize).min(piece.len());
            let (content, filler) = piece.split_at(content);
            if last && !self.map.index.is_filler(filler) {
                return self.refuse(offset, "what fills it up is not filler");
            }
            at += piece.len() as u64;
            self.content(content, (&mut reader, &mut begun), seat, to)?;
            if last && !seat.unpacker.as_ref().is_none_or(Unpacker::is_between_frames) {
                return self.refuse(offset, "it ends in the middle of a frame");
            }
            if last {
                reader.end();
                self.events(&mut reader, &mut seat.intake, to)?;
            }
        }
        let intake = &mut seat.intake;
        intake.flush(to)?;
        if intake.keys() != keys {
            let found = intake.keys();
            return self.refuse(offset, format!("it has {found} keys, and the index says {keys}"));
        }
        Ok(())
    }

    /// Reads bytes of a chunk's content, unpacked where they are packed; `begun` says that it is not
    /// its beginning.
    fn content(
        &self,
        stored: &[u8],
        (reader, begun): (&mut Reader, &mut bool),
        seat: &mut Seat<'_>,
        to: &mut impl Hand,
    ) -> Result<(), RecoveryError> {
        let Seat { intake, unpacker } = seat;
        let mut plain = |bytes: &[u8]| {
            // Or its keys would be in the database of the chunk before, for who reads on.
            if !std::mem::replace(begun, true) && bytes.first() != Some(&DATABASE) {
                return self.refuse(reader.offset(), "it does not begin with a database");
            }
            reader.feed(bytes);
            self.events(reader, intake, to)
        };
        let Some(unpacker) = unpacker else { return plain(stored) };
        let mut rest = stored;
        while let Some(bytes) = self.unpacked(unpacker, &mut rest)? {
            plain(bytes)?;
        }
        Ok(())
    }

    /// What comes next of packed bytes.
    fn unpacked<'u>(
        &self,
        unpacker: &'u mut Unpacker,
        stored: &mut &[u8],
    ) -> Result<Option<&'u [u8]>, RecoveryError> {
        unpacker.next(stored).map_err(|error| broken(self.name, 0, &error))
    }

    /// What a thread reads chunks with.
    fn seat(&self) -> Result<Seat<'j>, RecoveryError> {
        let unpacker = match self.map.index.packed {
            true => Some(Unpacker::new().map_err(|error| broken(self.name, 0, &error))?),
            false => None,
        };
        Ok(Seat { intake: Intake::new(self.name, self.terms), unpacker })
    }

    /// Takes all events there are.
    fn events(
        &self,
        reader: &mut Reader,
        intake: &mut Intake<'_>,
        to: &mut impl Hand,
    ) -> Result<(), RecoveryError> {
        loop {
            match reader.next() {
                Err(error) => {
                    let offset = error.offset;
                    return Err(RecoveryError::new(self.name, Refusal::Rdb(error)).at(offset));
                }
                Ok(Event::More | Event::End { .. }) => return Ok(()),
                Ok(event) => intake.take(event, to)?,
            }
        }
    }

    /// Reads what stands before the chunks; its checksum.
    async fn head<S: Storage>(
        &self,
        storage: &S,
        to: &mut impl Hand,
    ) -> Result<u64, RecoveryError> {
        let file = storage.open(self.name).await?;
        let end = self.map.index.header_bytes;
        let Seat { mut intake, mut unpacker } = self.seat()?;
        intake.expect(ALL);
        let mut reader = Reader::head();
        let (mut sum, mut at) = (0, 0);
        while at < end {
            let wanted = (end - at).min(PIECE_BYTES as u64) as usize;
            let piece = storage.read_at(&file, at, wanted).await?;
            if piece.is_empty() {
                return self.refuse(at, "the file has become shorter");
            }
            self.progress.loaded(piece.len() as u64, 0);
            sum = crc64::update(sum, &piece);
            at += piece.len() as u64;
            match &mut unpacker {
                None => reader.feed(&piece),
                Some(unpacker) => {
                    let mut rest = &piece[..];
                    while let Some(plain) = self.unpacked(unpacker, &mut rest)? {
                        reader.feed(plain);
                        self.events(&mut reader, &mut intake, to)?;
                    }
                }
            }
            if at == end {
                reader.end();
            }
            self.events(&mut reader, &mut intake, to)?;
        }
        intake.flush(to)?;
        Ok(sum)
    }

    /// Compares the checksum of the file with those of its parts, whose first is `head`.
    async fn end<S: Storage>(&self, storage: &S, head: u64) -> Result<(), RecoveryError> {
        let Map { index, at, bytes } = self.map;
        let file = storage.open(self.name).await?;
        // The index has been read whole before.
        let tail = storage.read_at(&file, *at, (bytes - at) as usize).await?;
        self.progress.loaded(tail.len() as u64, 0);
        if index.packed {
            return self.packed_end(&tail);
        }
        let Some((tail, stored)) = tail.split_last_chunk::<8>() else {
            return self.refuse(*at, "the file has become shorter");
        };
        let stored = u64::from_le_bytes(*stored);
        if stored == 0 || !index.summed {
            return Ok(());
        }
        let mut sum = head;
        for chunk in &index.chunks {
            sum = crc64::combine(sum, chunk.crc, chunk.padded_bytes());
        }
        sum = crc64::combine(sum, crc64::update(0, tail), tail.len() as u64);
        if sum == stored {
            return Ok(());
        }
        let what = format!(
            "its parts have the checksum {sum:016x}, and the file's end says {stored:016x}"
        );
        self.refuse(bytes - 8, what)
    }
    /// Looks at what stands behind the chunks of a packed file. Every chunk has been compared with
    /// its own checksum, and frames have theirs: that of the plain file is for who unpacks it.
    fn packed_end(&self, tail: &[u8]) -> Result<(), RecoveryError> {
        let Some(mut unpacker) = self.seat()?.unpacker else { return Ok(()) };
        let (mut rest, mut end): (_, Vec<u8>) = (tail, Vec::new());
        while let Some(plain) = self.unpacked(&mut unpacker, &mut rest)? {
            end.extend(plain);
        }
        // Without checksums there is none to compare: who reads on would.
        let fits = self.map.index.summed || end.ends_with(&[0; 8]);
        let ends = end.len() == END_BYTES && end[0] == END && unpacker.is_between_frames();
        match ends && fits {
            true => Ok(()),
            false => self.refuse(self.map.at, "what stands behind the last is not the end"),
        }
    }
}
