//! What a recovery found, for the operator.

use super::{Cut, Phase, TransactionCut};
use std::{path::PathBuf, time::Duration};

/// What a recovery found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files read.
    pub files: usize,
    /// Bytes replayed.
    pub bytes: u64,
    /// Bytes of the base, 0 when there is none.
    pub base_bytes: u64,
    /// Bytes of the delta, 0 when there is none.
    pub delta_bytes: u64,
    /// Commits kept.
    pub commits: u64,
    /// Commands replayed.
    pub commands: u64,
    /// Keys that came from a snapshot.
    pub loaded: u64,
    /// What recovery did, and how long each part of it took.
    pub phases: Vec<(Phase, Duration)>,
    /// Keys loaded.
    pub keys: u64,
    /// Where unsynced tails were cut.
    pub cuts: Vec<Cut>,
    /// Where logs were cut because of transactions that were not whole.
    pub transaction_cuts: Vec<TransactionCut>,
    /// The first such transaction that was kept, because a stock server had built on it.
    pub torn_history: Option<u64>,
    /// The file a stock server has appended to since our last run.
    pub taken_over: Option<String>,
    /// The log of an older Redis that has become the directory's base.
    pub adopted: Option<PathBuf>,
    /// The manifest is ours.
    pub ours: bool,
    /// Files to be deleted.
    pub leftovers: usize,
}

impl Summary {
    /// One line per thing worth knowing, the overview first, how long it took last.
    pub fn lines(&self) -> Vec<String> {
        let Summary { keys, commands, loaded, bytes, files, .. } = self;
        let from = match loaded {
            0 => format!("{commands} commands"),
            loaded => format!("{loaded} keys of a snapshot and {commands} commands"),
        };
        let mut lines =
            vec![format!("Log loaded: {keys} keys from {from} in {files} files, {bytes} bytes")];
        if let Some(old) = &self.adopted {
            lines.push(format!("{} was moved into the log directory as its base", old.display()));
        }
        for cut in &self.cuts {
            lines.push(cut_line(cut));
        }
        lines.extend(self.transaction_cuts.iter().map(transaction_line));
        if let Some(id) = self.torn_history {
            lines.push(format!(
                "Transaction {id} was not whole when the server died; it is kept, and what came \
                 behind it, because a Redis server has loaded it since"
            ));
        }
        if let Some(file) = &self.taken_over {
            lines.push(format!(
                "A Redis server has appended to {file}: its commands were replayed behind ours"
            ));
        }
        if !self.ours {
            lines.push("The manifest was not written by Quire: read as stock Redis does".into());
        }
        if self.leftovers > 0 {
            lines.push(format!("{} files no manifest lists are deleted", self.leftovers));
        }
        let took = |(phase, time): &(Phase, Duration)| {
            format!("{} {:.3} s", phase.name(), time.as_secs_f64())
        };
        let phases: Vec<String> = self.phases.iter().map(took).collect();
        lines.push(format!("Time: {}", phases.join(", ")));
        lines
    }
}

fn transaction_line(cut: &TransactionCut) -> String {
    let TransactionCut { shard, file, offset, last_lsn, commits, id, missing_on, .. } = cut;
    format!(
        "Shard {shard}: cut at offset {offset} of {file} behind LSN {last_lsn}, because \
         transaction {id} had not reached the log of shard {missing_on}: {commits} commits dropped"
    )
}

fn cut_line(cut: &Cut) -> String {
    let Cut { shard, file, offset, last_lsn, commits, bytes, .. } = cut;
    let why = cut.fault.map_or_else(|| "the log ends there".to_owned(), |f| f.to_string());
    format!(
        "Shard {shard}: unsynced tail cut off at offset {offset} of {file} behind LSN {last_lsn} \
         ({why}): {commits} commits, {bytes} bytes dropped"
    )
}
