//! Transactions over several shards: which of them are whole, and where logs are cut because of
//! those that are not. Pure: parts in, cuts out.
//!
//! A transaction that one participant's log lacks is dropped from all of them, with everything
//! behind it there, since that had been built on it; which may tear further transactions, and so
//! on until nothing changes. Nothing acknowledged is lost: see `aof/frontier.rs`.
//!
//! **What a log has.** All logs hold their transactions in the order of their ids and without
//! gaps, so a log has reached a transaction iff the last one it keeps is not lower. That also
//! holds for a part that is there no more because a base covers it: a base begins all logs anew at
//! one moment between two transactions, so either all parts of one are behind that moment, or
//! none is looked for.
//!
//! **What must be there.** Lines say which transactions had been stable everywhere when they were
//! written. One of those that a log lacks was lost by the disk, not by a crash: refused, like rot.
//!
//! Only the last run's logs are looked at: the start that followed an earlier one has settled it.
//! Where a stock server's commands stand behind them the logs are history: it has executed them,
//! and its writes build on that.

use super::{
    RecoveryError, Refusal,
    chain::{Judgement, Ruling},
    judge::{Judged, JudgedChain, Scanned, last_run},
    plan::Role,
};
use crate::{
    aof::{Lsn, Participants, Transaction, TransactionLine, header::EndLine},
    limits::SHARDS_MAX,
};

/// One shard's part of a transaction, as found in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// The transaction.
    pub transaction: Transaction,
    /// Its LSN here.
    pub lsn: Lsn,
    /// Where its commit begins.
    pub offset: u64,
    /// Valid commits in the file before it.
    pub commits: u64,
}

/// What a file says about transactions over several shards.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// Its parts, in file order.
    pub parts: Vec<Part>,
    /// How many there were.
    pub count: u64,
    /// All transactions of the run below this id had been stable everywhere.
    pub stable_below: u64,
    /// The highest stable transaction that names each shard, of those no longer in `parts`.
    stable: Vec<(usize, u64)>,
}

impl Parts {
    /// A valid commit; `before` valid ones stand in the file before it.
    pub fn note(&mut self, body: &[u8], lsn: Lsn, offset: u64, before: u64) {
        let Some(line) = TransactionLine::at_start_of(body) else { return };
        let TransactionLine { transaction, stable_below } = line;
        self.parts.push(Part { transaction, lsn, offset, commits: before });
        self.count += 1;
        self.stable_below = self.stable_below.max(stable_below);
    }

    /// Forgets parts that are certain to be whole, except the last of them: their number is that
    /// of all transactions since the last base.
    pub fn forget_stable(&mut self) {
        let stable = self.parts.iter().filter(|part| part.transaction.id < self.stable_below);
        let last = stable.count().saturating_sub(1);
        let mut highest = [0; SHARDS_MAX];
        for part in self.parts.drain(..last) {
            for shard in part.transaction.participants.iter() {
                highest[shard] = part.transaction.id.max(highest[shard]);
            }
        }
        self.parts.shrink_to_fit();
        let named = highest.into_iter().enumerate().filter(|&(_, id)| id > 0);
        self.stable = named.collect();
    }

    /// The shards that must have reached some transaction, `below` being the run's word.
    fn must_have(&self, below: u64) -> impl Iterator<Item = (usize, u64)> {
        let there = self.parts.iter().filter(move |part| part.transaction.id < below);
        let there = there.flat_map(|part| {
            part.transaction.participants.iter().map(|shard| (shard, part.transaction.id))
        });
        there.chain(self.stable.iter().copied())
    }
}

/// A log that was cut because of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionCut {
    /// The run.
    pub run: u64,
    /// The shard.
    pub shard: u16,
    /// The file.
    pub file: String,
    /// Where.
    pub offset: u64,
    /// Last LSN kept; 0 = none.
    pub last_lsn: Lsn,
    /// Last LSN that is dropped.
    pub dropped_lsn: Lsn,
    /// Commits that are dropped.
    pub commits: u64,
    /// Bytes that are dropped, filler included.
    pub bytes: u64,
    /// The transaction.
    pub id: u64,
    /// Its participants.
    pub participants: Participants,
    /// One of them whose log lacks it.
    pub missing_on: usize,
}

/// One log of the run.
struct Log {
    /// Position among the judged chains.
    chain: usize,
    shard: usize,
    /// The parts it keeps, with the position of their file in the chain.
    parts: Vec<(usize, Part)>,
    /// How many of them stay.
    kept: usize,
    /// The shard that lacks the first of the others.
    missing_on: usize,
}

impl Log {
    /// The last transaction it keeps; 0: none.
    fn last(&self) -> u64 {
        self.kept.checked_sub(1).map_or(0, |last| self.parts[last].1.transaction.id)
    }
}

impl Judged {
    /// Narrows the logs of the last run to what transactions allow.
    pub(super) fn judge_transactions(&mut self, files: &[Scanned]) {
        let Some(run) = last_run(files) else { return };
        let mut logs = self.logs(files, run);
        if logs.iter().all(|log| log.parts.is_empty()) {
            return;
        }
        self.refuse_lost(files, run, &logs);
        close(&mut logs);
        let cut = || logs.iter().filter(|log| log.kept < log.parts.len());
        if self.is_history(run) {
            self.torn_history = cut().map(|log| log.parts[log.kept].1.transaction.id).min();
            return;
        }
        for log in cut() {
            self.narrow(files, log);
        }
    }

    fn logs(&self, files: &[Scanned], run: u64) -> Vec<Log> {
        let of_run = self.chains.iter().enumerate().filter(|(_, chain)| chain.run == run);
        of_run
            .filter_map(|(at, chain)| {
                let judgement = chain.outcome.as_ref().ok()?;
                let members = chain.members.iter().zip(&judgement.rulings).enumerate();
                let parts = members.flat_map(|(member, (&file, ruling))| {
                    let parts = files[file].scan.parts.parts.iter();
                    let kept = parts.filter(move |part| part.offset < ruling.keep);
                    kept.map(move |&part| (member, part))
                });
                let parts: Vec<_> = parts.collect();
                let (shard, kept) = (usize::from(chain.shard), parts.len());
                Some(Log { chain: at, shard, parts, kept, missing_on: 0 })
            })
            .collect()
    }

    /// Transactions that some line says were stable on all their shards, and that one lacks.
    fn refuse_lost(&mut self, files: &[Scanned], run: u64, logs: &[Log]) {
        let of_run = || files.iter().filter(|file| file.run() == run);
        let below = of_run().map(|file| file.scan.parts.stable_below).max().unwrap_or(0);
        let mut last = [0; SHARDS_MAX];
        for log in logs {
            last[log.shard] = log.last();
        }
        let mut lost: Vec<(usize, u64, &str)> = Vec::new();
        for file in of_run() {
            for (shard, id) in file.scan.parts.must_have(below) {
                if last[shard] < id && !lost.iter().any(|&(known, ..)| known == shard) {
                    lost.push((shard, id, &file.file.entry.name));
                }
            }
        }
        for (shard, id, named_in) in lost {
            let log = logs.iter().find(|log| log.shard == shard);
            let chain = log.map(|log| &self.chains[log.chain]);
            let refused = |(at, _): &(Option<usize>, RecoveryError)| {
                at.is_some() && *at == log.map(|log| log.chain)
            };
            if self.refusals.iter().any(refused) {
                // What the log itself says about its damage comes first.
                continue;
            }
            let last_file = chain.and_then(|chain| chain.members.last());
            let name = last_file.map_or(named_in, |&at| files[at].file.entry.name.as_str());
            let kind = Refusal::LostTransaction { id, shard, named_in: named_in.to_owned() };
            self.refusals.push((log.map(|log| log.chain), RecoveryError::new(name, kind)));
        }
    }

    /// A stock server's commands stand behind this run's logs.
    fn is_history(&self, run: u64) -> bool {
        let of_run = self.chains.iter().filter(|chain| chain.run == run);
        let mut rulings = of_run.filter_map(|chain| chain.outcome.as_ref().ok());
        rulings.any(|judgement| judgement.rulings.iter().any(|ruling| ruling.commands))
    }

    /// Cuts one log before the first part that does not stay.
    fn narrow(&mut self, files: &[Scanned], log: &Log) {
        let chain = &mut self.chains[log.chain];
        let (member, part) = log.parts[log.kept];
        if let Some(error) = builds_on(files, chain, log) {
            self.refusals.push((Some(log.chain), error));
            return;
        }
        let Ok(judgement) = &mut chain.outcome else { return };
        let file = &files[chain.members[member]].file.entry.name;
        let commits = |rulings: &[Ruling]| rulings.iter().map(|r| r.commits).sum::<u64>();
        let bytes = |rulings: &[Ruling]| rulings.iter().map(|r| r.keep).sum::<u64>();
        let (before, kept) = (commits(&judgement.rulings), bytes(&judgement.rulings));
        let dropped_lsn = judgement.last_lsn;
        cut(judgement, files, (chain.run, chain.shard), &chain.members, (member, &part));
        self.transaction_cuts.push(TransactionCut {
            run: chain.run,
            shard: chain.shard,
            file: file.clone(),
            offset: part.offset,
            last_lsn: part.lsn - 1,
            dropped_lsn,
            commits: before - commits(&judgement.rulings),
            bytes: kept - bytes(&judgement.rulings),
            id: part.transaction.id,
            participants: part.transaction.participants,
            missing_on: log.missing_on,
        });
        for (&at, ruling) in chain.members.iter().zip(&judgement.rulings).skip(member) {
            self.files[at] = Some(super::judge::verdict(chain.shard, chain.run, ruling));
        }
    }
}

/// Until nothing changes: a log ends before its first transaction that some participant has not
/// reached.
fn close(logs: &mut [Log]) {
    let mut last = [0; SHARDS_MAX];
    for log in &*logs {
        last[log.shard] = log.last();
    }
    loop {
        let mut narrower = false;
        for log in &mut *logs {
            let torn = log.parts[..log.kept].iter().enumerate().find_map(|(at, (_, part))| {
                let Transaction { id, participants } = part.transaction;
                participants.iter().find(|&shard| last[shard] < id).map(|shard| (at, shard))
            });
            if let Some((at, missing_on)) = torn {
                (log.kept, log.missing_on) = (at, missing_on);
                last[log.shard] = log.last();
                narrower = true;
            }
        }
        if !narrower {
            return;
        }
    }
}

/// What an epoch that began behind a part proves: all logs had been synced then.
fn builds_on(files: &[Scanned], chain: &JudgedChain, log: &Log) -> Option<RecoveryError> {
    let (member, part) = log.parts[log.kept];
    let at = chain.members[member];
    let later = files[at + 1..].iter().find(|file| match file.file.role {
        Role::Global { .. } => true,
        Role::Segment { .. } => file.file.entry.first_lsn.is_some_and(|first| {
            let ours = chain.members.iter().any(|&m| files[m].file.entry == file.file.entry);
            ours && first > part.lsn
        }),
        Role::Base | Role::Delta { .. } | Role::Foreign => false,
    })?;
    let (id, shard) = (part.transaction.id, log.missing_on);
    let kind = Refusal::LostTransaction { id, shard, named_in: later.file.entry.name.clone() };
    Some(RecoveryError::new(&files[at].file.entry.name, kind).at(part.offset))
}

/// Ends a judged log before a part of the file at `member`.
fn cut(
    judgement: &mut Judgement,
    files: &[Scanned],
    (run, shard): (u64, u16),
    members: &[usize],
    (member, part): (usize, &Part),
) {
    let last_lsn = part.lsn - 1;
    judgement.last_lsn = last_lsn;
    for (at, ruling) in judgement.rulings.iter_mut().enumerate().skip(member) {
        let seq = match files[members[at]].file.role {
            Role::Segment { number, .. } => number,
            Role::Base | Role::Delta { .. } | Role::Global { .. } | Role::Foreign => 0,
        };
        ruling.seal = Some(EndLine { run, shard, seq, last_lsn });
        ruling.cuts_commits = true;
        if at == member {
            (ruling.keep, ruling.commits) = (part.offset, part.commits);
        } else {
            (ruling.keep, ruling.commits, ruling.first_lsn) = (0, 0, part.lsn);
        }
    }
}
