//! Why a server does not start: one sentence that names the thing, the place and the way out.

use super::scan::Fault;
use crate::{aof::Lsn, error::StorageError, manifest::FormatError, rdb::RdbError};
use std::fmt;

/// A directory that is not opened. Nothing in it has been deleted.
#[derive(Debug, Clone)]
pub struct RecoveryError {
    /// The file, or the directory's thing, it is about.
    pub file: String,
    /// Byte offset, where there is one.
    pub offset: Option<u64>,
    /// What is wrong.
    pub kind: Box<Refusal>,
}

/// What can be wrong with a log directory.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// The disk failed.
    Storage(StorageError),
    /// Log files, but no manifest that says which of them are the data set.
    NoManifest {
        /// One of the files.
        example: String,
    },
    /// The manifest cannot be read.
    Format(FormatError),
    /// The manifest's lines are not those its checksum was made for.
    Edited,
    /// A listed file is not there.
    Missing,
    /// Two listed files have the same number.
    DuplicateNumber {
        /// The other one.
        other: String,
    },
    /// Stable data is gone or has changed.
    Rot {
        /// LSN of the first batch that is missing.
        lsn: Lsn,
        /// What stands in its place; `None`: nothing, the file ends.
        fault: Option<Fault>,
        /// What proves that it had been stable.
        proof: Proof,
    },
    /// A transaction over several shards that a shard's log lacks although it had been stable there.
    LostTransaction {
        /// The transaction.
        id: u64,
        /// The shard.
        shard: usize,
        /// The file that says so.
        named_in: String,
    },
    /// A log of an earlier run that has no end-of-log line although a later run followed.
    Unsealed,
    /// A file that says that the log before it ended otherwise than it did.
    Contradiction {
        /// LSN of the last batch before this place.
        found: Lsn,
        /// The last LSN before it as the file says: its end-of-log line, its next commit.
        sealed: Lsn,
    },
    /// Damage between two commits that follow each other.
    Between(Fault),
    /// A file that begins with a commit that belongs into another one.
    Stranger {
        /// The run that commit is of.
        run: u64,
        /// Its shard.
        shard: u16,
        /// The number of its file.
        number: u64,
    },
    /// A delta without the base it belongs to.
    NoBase,
    /// A delta that is not whole.
    Delta(Fault),
    /// A global segment that does not hold its one whole commit.
    Global(Fault),
    /// Something that is not a command where commands of a Redis server must be.
    Foreign(Fault),
    /// Commands without annotation where no Redis server can have put them.
    Misplaced,
    /// A Redis server appended although a shard's log was torn.
    StockOverTorn {
        /// The torn file.
        torn: String,
    },
    /// An RDB file with something that is not loaded: what.
    RdbContent(String),
    /// An RDB file with a value that cannot be: why.
    RdbValue(String),
    /// A key that an RDB file has although it is there already.
    DuplicateKey {
        /// The key.
        key: Vec<u8>,
        /// Its database.
        db: usize,
    },
    /// A chunk of a snapshot is not what the snapshot's index says: how.
    Chunk(String),
    /// A packed file that cannot be unpacked: why.
    Packed(String),
    /// An RDB file that cannot be read.
    Rdb(RdbError),
    /// A command that cannot be replayed.
    Command(String),
    /// A file changed while it was being recovered.
    Changed,
}

/// What proves that a batch had been on stable storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// A later commit of the shard says so.
    Commit {
        /// The file it is in.
        file: String,
        /// Where.
        offset: u64,
    },
    /// An end-of-log line says so.
    EndLine {
        /// The file it is in.
        file: String,
    },
    /// The manifest says that the epoch before ended with a later LSN.
    Manifest {
        /// The listed file.
        file: String,
    },
}

impl RecoveryError {
    /// About a file.
    pub fn new(file: impl Into<String>, kind: Refusal) -> Self {
        Self { file: file.into(), offset: None, kind: Box::new(kind) }
    }

    /// The same with a place in the file.
    pub fn at(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }
}

impl From<StorageError> for RecoveryError {
    fn from(error: StorageError) -> Self {
        let file = error.path.display().to_string();
        Self { file, offset: error.offset, kind: Box::new(Refusal::Storage(error)) }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proof::Commit { file, offset } => {
                write!(f, "the commit at offset {offset} of {file} says it was synced")
            }
            Proof::EndLine { file } => write!(f, "the end-of-log line of {file} covers it"),
            Proof::Manifest { file } => {
                write!(f, "the manifest says the epoch of {file} began after it")
            }
        }
    }
}

const RESTORE: &str = "restore the log directory from a backup, or move it away to start empty";
const RDB_WAY_OUT: &str = "start Redis on the directory, run CONFIG SET aof-use-rdb-preamble no \
                           and BGREWRITEAOF, then start Quire";

impl fmt::Display for RecoveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A storage error names its place itself.
        if !matches!(*self.kind, Refusal::Storage(_)) {
            write!(f, "{}", self.file)?;
            if let Some(offset) = self.offset {
                write!(f, " at offset {offset}")?;
            }
            f.write_str(": ")?;
        }
        write!(f, "{}; {}", self.kind, self.kind.way_out())
    }
}

impl Refusal {
    /// A word for it that never changes.
    pub fn name(&self) -> &'static str {
        match self {
            Refusal::Storage(_) => "unreadable",
            Refusal::NoManifest { .. } => "no-manifest",
            Refusal::Format(_) => "bad-manifest",
            Refusal::Edited => "edited-manifest",
            Refusal::Missing => "missing-file",
            Refusal::DuplicateNumber { .. } => "duplicate-number",
            Refusal::Rot { .. } => "rot",
            Refusal::LostTransaction { .. } => "lost-transaction",
            Refusal::Unsealed => "lost-end-line",
            Refusal::Contradiction { .. } => "contradiction",
            Refusal::Between(_) => "damage-between-commits",
            Refusal::Stranger { .. } => "swapped-file",
            Refusal::NoBase => "delta-without-base",
            Refusal::Delta(_) => "damaged-delta",
            Refusal::Global(_) => "damaged-global-segment",
            Refusal::Foreign(_) => "damaged-redis-part",
            Refusal::Misplaced => "misplaced-commands",
            Refusal::StockOverTorn { .. } => "redis-over-torn",
            Refusal::RdbContent(_) => "rdb-content",
            Refusal::RdbValue(_) | Refusal::Packed(_) | Refusal::Rdb(_) => "damaged-rdb",
            Refusal::DuplicateKey { .. } => "duplicate-key",
            Refusal::Chunk(_) => "damaged-chunk",
            Refusal::Command(_) => "unknown-command",
            Refusal::Changed => "changed-meanwhile",
        }
    }

    /// What its operator can do.
    pub fn way_out(&self) -> String {
        match self {
            Refusal::Storage(_) => "check the disk and its permissions, then start again".into(),
            Refusal::NoManifest { .. } => {
                "restore the manifest from a backup, or move the files away to start empty".into()
            }
            Refusal::Edited => "restore it from a backup; if the edit was meant, delete the last \
                                line (`# quire ...`) and start again"
                .into(),
            Refusal::Stranger { .. } => {
                format!("give the files back their own names, or {RESTORE}")
            }
            Refusal::Foreign(_) => {
                format!("repair it with redis-check-aof --fix if it is the last file, or {RESTORE}")
            }
            Refusal::StockOverTorn { .. } => RDB_WAY_OUT.into(),
            Refusal::RdbContent(_) => "remove it with the server that wrote it, or start that \
                                       server on the directory"
                .into(),
            Refusal::Command(_) => format!("start the server that wrote it, or {RESTORE}"),
            Refusal::Changed => "stop whatever else uses the directory and start again".into(),
            Refusal::Format(_)
            | Refusal::Missing
            | Refusal::DuplicateNumber { .. }
            | Refusal::Rot { .. }
            | Refusal::LostTransaction { .. }
            | Refusal::Unsealed
            | Refusal::Contradiction { .. }
            | Refusal::Between(_)
            | Refusal::NoBase
            | Refusal::Delta(_)
            | Refusal::Global(_)
            | Refusal::Misplaced
            | Refusal::RdbValue(_)
            | Refusal::DuplicateKey { .. }
            | Refusal::Chunk(_)
            | Refusal::Packed(_)
            | Refusal::Rdb(_) => RESTORE.into(),
        }
    }
}

/// What is wrong, without the place and the way out.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Storage(error) => error.fmt(f),
            Refusal::NoManifest { example } => {
                write!(f, "there is no such file, but there are log files ({example})")
            }
            Refusal::Format(error) => write!(f, "not a valid manifest, {error}"),
            Refusal::Edited => f.write_str("its checksum does not match, it was damaged or edited"),
            Refusal::Missing => f.write_str("the manifest lists this file and it is not there"),
            Refusal::DuplicateNumber { other } => {
                write!(f, "{other} is listed too and has the same number")
            }
            Refusal::Rot { lsn, fault, proof } => {
                match fault {
                    Some(fault) => write!(f, "{fault}")?,
                    None => f.write_str("the log ends")?,
                }
                write!(
                    f,
                    ", so the batch with LSN {lsn} is lost, although {proof}: the disk lost or \
                     changed stable data"
                )
            }
            Refusal::LostTransaction { id, shard, named_in } => write!(
                f,
                "the log of shard {shard} ends before transaction {id}, although {named_in} says \
                 that it had been stable on all its shards: the disk lost or changed stable data"
            ),
            Refusal::Unsealed => f.write_str(
                "this log of an earlier run has lost its end-of-log line, the disk lost or \
                 changed stable data",
            ),
            Refusal::Contradiction { found, sealed } => write!(
                f,
                "here the log goes on behind LSN {sealed}, but it has reached LSN {found}: the \
                 directory was put together from different ones"
            ),
            Refusal::Between(fault) => write!(
                f,
                "{fault}, between two commits that follow each other: the disk changed stable \
                 data"
            ),
            Refusal::Stranger { run, shard, number } => write!(
                f,
                "it begins with a commit of file {number} of shard {shard} in run {run:016x}: \
                 files were swapped, renamed or copied from another directory"
            ),
            Refusal::NoBase => f.write_str(
                "it holds what has changed since a base, and the manifest lists no base",
            ),
            Refusal::Delta(fault) => write!(
                f,
                "{fault}, in a delta, which was whole when the manifest listed it: the disk lost or \
                 changed stable data"
            ),
            Refusal::Global(fault) => write!(
                f,
                "{fault}, but the manifest says that this global command was committed: the disk \
                 lost or changed stable data"
            ),
            Refusal::Foreign(fault) => write!(f, "{fault}, in a part a Redis server wrote"),
            Refusal::Misplaced => f.write_str(
                "commands without annotation where no Redis server appends them, so their place \
                 in the order of writes is unknown",
            ),
            Refusal::StockOverTorn { torn } => write!(
                f,
                "a Redis server appended to this log after a crash had torn {torn}, so which of \
                 the torn writes it had seen is unknown"
            ),
            Refusal::RdbContent(what) => write!(f, "{what}, which this version does not load"),
            Refusal::RdbValue(what) => write!(f, "a value that cannot be, {what}"),
            Refusal::DuplicateKey { key, db } => write!(
                f,
                "key '{}' of database {db} comes a second time, so which value it has is unknown",
                key.escape_ascii()
            ),
            Refusal::Chunk(what) => write!(f, "a chunk of the snapshot is damaged, {what}"),
            Refusal::Packed(why) => write!(f, "a packed RDB file that cannot be unpacked, {why}"),
            Refusal::Rdb(error) => write!(f, "not a readable RDB file, {error}"),
            Refusal::Command(what) => write!(f, "{what}: this version cannot replay it"),
            Refusal::Changed => f.write_str("the file changed while it was being recovered"),
        }
    }
}

impl std::error::Error for RecoveryError {}
