//! Sealed files -> keys, on the calling thread, one file after the other.
//!
//! By now every segment ends in its end-of-log line (a stock server's commands may follow), so
//! anything unreadable is a file that somebody changed meanwhile. Checksums are verified again
//! on the way: what is applied is what was judged.

use super::{
    Progress, RecoveryError, Refusal,
    keys::{self, Keys},
    scan::Fault,
};
use crate::{
    aof::{
        CommandReader,
        reader::{Expect, Item, SegmentReader},
    },
    command::Args,
    io::Storage,
};

/// A file to be replayed.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// Its name.
    pub name: String,
    /// Its length now, bytes.
    pub bytes: u64,
    /// Where to begin: behind an RDB.
    pub from: u64,
    /// That RDB has been loaded.
    pub loaded: bool,
    /// What its commits must be bound to.
    pub expect: Expect,
}

/// Which part of a file is replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What stands in commits.
    Commits,
    /// What stands outside.
    Commands,
}

/// Where a command stands.
#[derive(Debug, Clone, Copy, Default)]
pub struct Place {
    /// Where it, or the commit it is in, begins in its file.
    pub offset: u64,
    /// The database selected so far.
    pub db: usize,
}

/// Takes commands, one after the other.
pub trait Sink {
    /// One command.
    ///
    /// # Errors
    /// What is wrong with it.
    fn take(&mut self, args: Args<'_>, place: &mut Place) -> Result<(), String>;
}

impl Sink for Keys {
    fn take(&mut self, args: Args<'_>, place: &mut Place) -> Result<(), String> {
        self.apply(args, &mut place.db).map_err(|error| error.to_string())
    }
}

/// Hands a part of a file to `sink`.
///
/// # Errors
/// The storage's; a command the sink cannot take; a file that is not what it was.
pub async fn replay_file<S: Storage>(
    storage: &S,
    sealed: &Sealed,
    part: Part,
    sink: &mut impl Sink,
    progress: &Progress,
) -> Result<(), RecoveryError> {
    let file = storage.open(&sealed.name).await?;
    let mut reader = SegmentReader::new(sealed.expect, sealed.bytes).starting_at(sealed.from);
    // Commands of a stock server select their database; every file begins with the first one.
    let mut place = Place::default();
    let fail = |offset, what| RecoveryError::new(&sealed.name, Refusal::Command(what)).at(offset);
    loop {
        match reader.next_item() {
            Item::More => {
                let before = reader.fed();
                reader.feed_from(storage, &file).await?;
                progress.replayed(reader.fed() - before, 0);
            }
            Item::Commit { offset, body, .. } if part == Part::Commits => {
                let commands = replay_commit(body, offset, sink).map_err(|error| match error {
                    CommitError::Command(error) => fail(offset, error),
                    CommitError::Text(fault) => {
                        RecoveryError::new(&sealed.name, Refusal::Foreign(fault)).at(offset)
                    }
                })?;
                progress.replayed(0, commands);
            }
            Item::Command { offset, args, .. } if part == Part::Commands => {
                place.offset = offset;
                sink.take(args, &mut place).map_err(|error| fail(offset, error))?;
                progress.replayed(0, 1);
            }
            Item::Commit { .. } | Item::Command { .. } | Item::EndOfLog { .. } => {}
            Item::Bad { offset, .. } => {
                return Err(RecoveryError::new(&sealed.name, Refusal::Changed).at(offset));
            }
            Item::End => return Ok(()),
        }
    }
}

enum CommitError {
    Command(String),
    Text(Fault),
}

/// The commands of one commit; how many there were. A commit is whole, so MULTI and EXEC say
/// nothing here.
fn replay_commit(body: &[u8], offset: u64, sink: &mut impl Sink) -> Result<u64, CommitError> {
    let mut commands = CommandReader::new(body);
    let (mut place, mut count) = (Place { offset, db: 0 }, 0);
    loop {
        match commands.next_command() {
            Ok(None) => return Ok(count),
            Ok(Some(args)) => {
                sink.take(args, &mut place).map_err(CommitError::Command)?;
                count += u64::from(!keys::is_control(args));
            }
            // The checksum holds, so this is what was written: a bug, not damage.
            Err(fault) => return Err(CommitError::Text(Fault::Command(fault))),
        }
    }
}
