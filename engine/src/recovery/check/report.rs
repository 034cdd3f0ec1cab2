//! What a check found, as plain values: for people, for JSON, for a repair.

use crate::{aof::Lsn, recovery::RecoveryError};

/// How bad it is. Ordered: the worst finding is the state of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum State {
    /// Nothing is missing, every log has its end.
    #[default]
    Clean,
    /// Nothing is missing; the server was killed, so logs have no end-of-log line yet.
    Open,
    /// Unsynced ends that a start cuts off by itself.
    Torn,
    /// A server refuses to start.
    Damaged,
}

impl State {
    /// For people and for JSON.
    pub fn name(self) -> &'static str {
        match self {
            State::Clean => "clean",
            State::Open => "open",
            State::Torn => "torn",
            State::Damaged => "damaged",
        }
    }
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing is lost.
    Note,
    /// A start cuts it off by itself.
    Torn,
    /// A server refuses to start.
    Damage,
}

impl Severity {
    /// For people and for JSON.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Torn => "torn",
            Severity::Damage => "damage",
        }
    }
}

/// Which repair removes the cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repairable {
    /// None is needed, or none is possible.
    No,
    /// The ordinary one: what it cuts off had never been confirmed to be on stable storage.
    Yes,
    /// Only one that gives up stable data.
    WithLoss,
}

/// A stretch of a shard's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// First LSN.
    pub first: Lsn,
    /// Last LSN; `None`: nothing says how far it reached.
    pub last: Option<Lsn>,
    /// Commits in it that left a trace.
    pub commits: u64,
    /// Bytes they took, as far as that can be told.
    pub bytes: u64,
}

impl Stretch {
    /// Batches in it, one per command; `None`: unknown.
    pub fn batches(&self) -> Option<u64> {
        self.last.map(|last| (last + 1).saturating_sub(self.first))
    }
}

/// One thing found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// A word for it that never changes.
    pub kind: &'static str,
    /// The file it is about.
    pub file: String,
    /// Where in it, bytes.
    pub offset: Option<u64>,
    /// The run whose log it is in.
    pub run: Option<u64>,
    /// The shard whose log it is in.
    pub shard: Option<u16>,
    /// What is gone, or (torn) will be cut off.
    pub lost: Option<Stretch>,
    /// Whole commits behind it, which a repair with loss would give up as well.
    pub behind: Option<Stretch>,
    /// What it is, one sentence.
    pub what: String,
    /// What can be done.
    pub way_out: String,
    /// Which repair removes the cause.
    pub repairable: Repairable,
}

/// One listed file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// Its name.
    pub name: String,
    /// `base`, `segment`, `global` or `redis`.
    pub role: &'static str,
    /// The shard, of a segment.
    pub shard: Option<u16>,
    /// The run that wrote it, if anything says.
    pub run: Option<u64>,
    /// Its length, bytes; `None`: it is not there.
    pub bytes: Option<u64>,
    /// Valid commits in it.
    pub commits: u64,
    /// First and last LSN of them.
    pub lsns: Option<(Lsn, Lsn)>,
    /// Bytes that recovery keeps; `None`: it would refuse.
    pub keep: Option<u64>,
    /// It ends in its end-of-log line.
    pub sealed: bool,
}

/// The log of one shard in one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardReport {
    /// The run; 0: nothing was written.
    pub run: u64,
    /// The shard.
    pub shard: u16,
    /// Its files.
    pub files: usize,
    /// Their length, bytes.
    pub bytes: u64,
    /// Valid commits.
    pub commits: u64,
    /// First and last LSN of them.
    pub lsns: Option<(Lsn, Lsn)>,
    /// Parts of transactions over several shards among them.
    pub transactions: u64,
    /// Highest LSN that something valid says was on stable storage; 0: none.
    pub synced: Lsn,
    /// Highest LSN that survives recovery; `None`: it would refuse and nothing can be told.
    pub settled: Option<Lsn>,
    /// Its state.
    pub state: State,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// There is a manifest.
    pub manifest: bool,
    /// It is ours, checksum included.
    pub ours: bool,
    /// Bytes of all listed files.
    pub bytes: u64,
    /// Every listed file, in list order.
    pub files: Vec<FileReport>,
    /// Every shard's log, runs in list order.
    pub shards: Vec<ShardReport>,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Adds what only loading has shown.
    pub fn refuse(&mut self, error: &RecoveryError) {
        let RecoveryError { file, offset, kind } = error;
        let finding = Finding {
            severity: Severity::Damage,
            kind: kind.name(),
            file: file.clone(),
            offset: *offset,
            run: None,
            shard: None,
            lost: None,
            behind: None,
            what: kind.to_string(),
            way_out: kind.way_out(),
            repairable: Repairable::No,
        };
        self.findings.insert(0, finding);
    }

    /// The state of the whole.
    pub fn state(&self) -> State {
        let of_finding = |finding: &Finding| match finding.severity {
            Severity::Note => State::Clean,
            Severity::Torn => State::Torn,
            Severity::Damage => State::Damaged,
        };
        let shards = self.shards.iter().map(|shard| shard.state);
        shards.chain(self.findings.iter().map(of_finding)).max().unwrap_or_default()
    }
}
