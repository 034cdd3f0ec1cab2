//! What stands in one file, item by item, for people who want to see it.

use super::Stretch;
use crate::{
    aof::{
        TransactionLine,
        header::{END_BYTES, EndLine, Header},
        reader::{Expect, Fault, Item, SegmentReader},
    },
    command::Args,
    io::Storage,
    limits::DELTA_SHARD,
    manifest::{GLOBAL_SHARD, Names, OurFile},
    recovery::{Progress, RecoveryError, load::Rules, rdb},
    snapshot::DELTA_NUMBER,
};

/// One item of a file.
#[derive(Debug)]
pub enum Seen<'a> {
    /// A valid commit.
    Commit {
        /// Where its header begins.
        offset: u64,
        /// Its header.
        header: Header,
        /// Its body, for a [`crate::aof::CommandReader`].
        body: &'a [u8],
    },
    /// A command outside commits.
    Command {
        /// Where it begins.
        offset: u64,
        /// Its length, bytes.
        bytes: u64,
        /// The command.
        args: Args<'a>,
    },
    /// An end-of-log line.
    End {
        /// Where it begins.
        offset: u64,
        /// Its length, bytes.
        bytes: u64,
        /// The line.
        line: EndLine,
    },
    /// Nothing acceptable, up to the next item.
    Damage {
        /// Where it begins.
        offset: u64,
        /// Why.
        fault: Fault,
    },
}

impl Seen<'_> {
    /// The transaction over several shards that a commit begins with a part of.
    pub fn transaction(&self) -> Option<TransactionLine> {
        let Seen::Commit { body, .. } = self else { return None };
        TransactionLine::at_start_of(body)
    }

    /// The stretch of a commit.
    pub fn stretch(&self) -> Option<Stretch> {
        let Seen::Commit { header, .. } = self else { return None };
        Some(Stretch {
            first: header.first_lsn,
            last: Some(header.last_lsn()),
            commits: 1,
            bytes: header.body_bytes,
        })
    }
}

/// Shows every item of a file to `see`, which returns false to stop.
///
/// # Errors
/// The storage's; an RDB that cannot be passed over.
pub async fn dump<S: Storage>(
    storage: &S,
    names: &Names,
    name: &str,
    mut see: impl FnMut(Seen<'_>) -> bool,
) -> Result<(), RecoveryError> {
    let file = storage.open(name).await?;
    let bytes = storage.len(&file).await?;
    let (shard, seq, from) = match names.recognise(name) {
        Some(OurFile::Segment { number, shard }) => (shard, number, 0),
        Some(OurFile::Global { number }) => (GLOBAL_SHARD, number, 0),
        Some(OurFile::Delta { .. }) => (DELTA_SHARD, DELTA_NUMBER, 0),
        Some(OurFile::Base { .. } | OurFile::Draft | OurFile::NewManifest) | None => {
            (GLOBAL_SHARD, 0, rdb::scan(storage, name, Rules::ANY, &Progress::new()).await?)
        }
    };
    let expect = Expect { shard, seq, run: None, next_lsn: None };
    let mut reader = SegmentReader::new(expect, bytes).starting_at(from);
    loop {
        let more = match reader.next_item() {
            Item::More => {
                reader.feed_from(storage, &file).await?;
                continue;
            }
            Item::End => return Ok(()),
            Item::Commit { offset, header, body } => see(Seen::Commit { offset, header, body }),
            Item::Command { offset, bytes, args } => see(Seen::Command { offset, bytes, args }),
            Item::EndOfLog { offset, end } => {
                see(Seen::End { offset, bytes: END_BYTES as u64, line: end })
            }
            Item::Bad { offset, fault } => {
                let more = see(Seen::Damage { offset, fault });
                reader.resync();
                more
            }
        };
        if !more {
            return Ok(());
        }
    }
}
