//! Scans -> what becomes of every file. Pure: the last step before anything on disk changes, so
//! whatever is refused leaves the directory as it was found.

use super::{
    RecoveryError, Refusal,
    chain::{self, Chain, ChainFile, Cut, Judgement, Ruling},
    foreign,
    plan::{Plan, PlannedFile, Role},
    scan::{Fault, Piece, Scan},
    stages::Content,
    transactions::TransactionCut,
};
use crate::{
    aof::{Lsn, header::EndLine},
    manifest::Kind,
};

/// A file that was read.
pub struct Scanned {
    /// As planned.
    pub file: PlannedFile,
    /// Where its commands begin: behind an RDB.
    pub from: u64,
    /// The RDB in front of them has been loaded.
    pub loaded: bool,
    /// What stands in it.
    pub scan: Scan,
}

impl Scanned {
    /// The run that wrote it; 0 when nothing says, in which case it holds no commit.
    pub fn run(&self) -> u64 {
        self.file.entry.run.or(self.scan.run).unwrap_or(0)
    }
}

/// What becomes of one file.
#[derive(Debug, Clone, Copy)]
pub struct Verdict {
    /// Bytes kept.
    pub keep: u64,
    /// The end-of-log line to be written there.
    pub seal: Option<EndLine>,
    /// First LSN it can hold, for the manifest.
    pub first_lsn: Option<Lsn>,
    /// Commits kept.
    pub commits: u64,
    /// Valid commits are cut off, with a transaction that is not whole.
    pub cuts_commits: bool,
    /// What it is to the order of replay.
    pub content: Content,
}

impl Verdict {
    /// A segment that nobody ever wrote to, or of which nothing is kept.
    pub fn is_empty(&self) -> bool {
        matches!(self.content, Content::Segment { commands: false, .. }) && self.commits == 0
    }
}

/// What becomes of all files.
pub struct Verdicts {
    /// One per file.
    pub files: Vec<Verdict>,
    /// Where logs were cut.
    pub cuts: Vec<Cut>,
    /// Where they were cut because of transactions that are not whole.
    pub transaction_cuts: Vec<TransactionCut>,
    /// The first such transaction that is kept, because a stock server has built on it.
    pub torn_history: Option<u64>,
    /// The file a stock server has appended to since our last run.
    pub taken_over: Option<String>,
}

/// The log of one shard in one run.
pub struct JudgedChain {
    /// The run; 0 when nothing says, in which case it holds no commit.
    pub run: u64,
    /// The shard.
    pub shard: u16,
    /// Its files, by their position.
    pub members: Vec<usize>,
    /// What becomes of it.
    pub outcome: Result<Judgement, RecoveryError>,
}

/// What becomes of all files, as far as there is an answer.
pub struct Judged {
    /// One per file; none where there is no telling.
    pub files: Vec<Option<Verdict>>,
    /// Every shard's log.
    pub chains: Vec<JudgedChain>,
    /// Where logs are cut because of transactions that are not whole.
    pub transaction_cuts: Vec<TransactionCut>,
    /// The first such transaction that is kept, because a stock server has built on it.
    pub torn_history: Option<u64>,
    /// What must be refused, first what recovery would say, with the chain it is about.
    pub refusals: Vec<(Option<usize>, RecoveryError)>,
    /// The file a stock server has appended to since our last run.
    pub taken_over: Option<String>,
}

impl Judged {
    /// The verdicts that may be carried out.
    ///
    /// # Errors
    /// The first thing that must be refused.
    pub fn strict(mut self) -> Result<Verdicts, RecoveryError> {
        if !self.refusals.is_empty() {
            return Err(self.refusals.swap_remove(0).1);
        }
        Ok(self.into_verdicts())
    }

    /// The verdicts there are, what rulings with an objection keep included.
    pub fn into_verdicts(self) -> Verdicts {
        let outcomes = self.chains.into_iter().filter_map(|chain| chain.outcome.ok());
        Verdicts {
            files: self.files.into_iter().flatten().collect(),
            cuts: outcomes.filter_map(|judged| judged.cut).collect(),
            transaction_cuts: self.transaction_cuts,
            torn_history: self.torn_history,
            taken_over: self.taken_over,
        }
    }
}

/// Judges every file.
pub fn judge(plan: &Plan, files: &[Scanned]) -> Judged {
    // A base alone is the last file too, as in Redis.
    let last_listed = files
        .iter()
        .rposition(|f| f.file.entry.kind == Kind::Incr)
        .or_else(|| files.len().checked_sub(1));
    let mut judged = Judged {
        files: vec![None; files.len()],
        chains: Vec::new(),
        transaction_cuts: Vec::new(),
        torn_history: None,
        refusals: Vec::new(),
        taken_over: None,
    };
    let mut seen = vec![false; files.len()];
    for (at, scanned) in files.iter().enumerate() {
        let name = &scanned.file.entry.name;
        let last = last_listed == Some(at);
        match scanned.file.role {
            Role::Base | Role::Foreign => {
                match foreign::judge(name, &scanned.scan, scanned.from, last) {
                    Ok(keep) => judged.files[at] = Some(plain(keep, Content::Foreign)),
                    Err(error) => judged.refusals.push((None, error)),
                }
            }
            Role::Global { .. } => match check_global(scanned) {
                Ok(()) => judged.files[at] = Some(plain(scanned.file.bytes, Content::Global)),
                Err(error) => judged.refusals.push((None, error)),
            },
            Role::Delta { .. } => match check_delta(scanned) {
                Ok(()) => judged.files[at] = Some(plain(scanned.file.bytes, Content::Delta)),
                Err(error) => judged.refusals.push((None, error)),
            },
            Role::Segment { shard, .. } if !seen[at] => {
                let run = scanned.run();
                let members = members(files, run, shard);
                members.iter().for_each(|&member| seen[member] = true);
                let chain = build(plan, files, &members, run, shard, last_listed);
                let outcome = find_stranger(files, &members).and_then(|()| chain::judge(&chain));
                judged.chain(files, JudgedChain { run, shard, members, outcome });
            }
            Role::Segment { .. } => {}
        }
    }
    judged.judge_transactions(files);
    judged.check_taken_over(files);
    judged
}

impl Judged {
    fn chain(&mut self, files: &[Scanned], chain: JudgedChain) {
        let at = self.chains.len();
        match &chain.outcome {
            Ok(judgement) => {
                self.refusals.extend(judgement.objection.clone().map(|error| (Some(at), error)));
                for (&member, ruling) in chain.members.iter().zip(&judgement.rulings) {
                    self.files[member] = Some(verdict(chain.shard, chain.run, ruling));
                    if ruling.taken_over {
                        self.taken_over = Some(files[member].file.entry.name.clone());
                    }
                }
            }
            Err(error) => self.refusals.push((Some(at), error.clone())),
        }
        self.chains.push(chain);
    }

    /// Row k of the chain's table.
    fn check_taken_over(&mut self, files: &[Scanned]) {
        let Some(file) = &self.taken_over else { return };
        let last_run = last_run(files);
        let of_last = self.chains.iter().filter(|chain| last_run == Some(chain.run));
        let cut = of_last.filter_map(|chain| chain.outcome.as_ref().ok()?.cut.as_ref()).next();
        if let Some(cut) = cut {
            // The stock server has loaded what would be cut, and its writes build on it.
            let kind = Refusal::StockOverTorn { torn: cut.file.clone() };
            self.refusals.push((None, RecoveryError::new(file, kind)));
        }
    }
}

/// A file that begins with a commit of another listed file, or of a file with its number that
/// another shard or another run made: it is not the one that was listed.
///
/// No crash does that: numbers are never used twice, and a listed file keeps its blocks. What
/// belongs to neither is nothing, as everywhere: a crash can uncover stale blocks of files that
/// have been deleted.
fn find_stranger(files: &[Scanned], members: &[usize]) -> Result<(), RecoveryError> {
    for &member in members {
        let scanned = &files[member];
        let Some(header) = &scanned.scan.stranger else { continue };
        let belongs = Role::Segment { number: header.seq, shard: header.shard };
        let renamed = match scanned.file.role {
            Role::Segment { number, .. } => number == header.seq,
            Role::Base | Role::Delta { .. } | Role::Global { .. } | Role::Foreign => false,
        };
        if renamed || files.iter().any(|f| f.file.role == belongs) {
            let (run, shard, number) = (header.run, header.shard, header.seq);
            let kind = Refusal::Stranger { run, shard, number };
            return Err(RecoveryError::new(&scanned.file.entry.name, kind).at(0));
        }
    }
    Ok(())
}

fn plain(keep: u64, content: Content) -> Verdict {
    Verdict { keep, seal: None, first_lsn: None, commits: 0, cuts_commits: false, content }
}

pub(super) fn verdict(shard: u16, run: u64, ruling: &Ruling) -> Verdict {
    let run = (run != 0).then_some(run);
    Verdict {
        keep: ruling.keep,
        seal: ruling.seal,
        first_lsn: Some(ruling.first_lsn),
        commits: ruling.commits,
        cuts_commits: ruling.cuts_commits,
        content: Content::Segment { shard, run, commands: ruling.commands },
    }
}

/// The run that was the last to write.
pub(super) fn last_run(files: &[Scanned]) -> Option<u64> {
    files.iter().rev().map(Scanned::run).find(|&run| run != 0)
}

fn members(files: &[Scanned], run: u64, shard: u16) -> Vec<usize> {
    let belongs = |f: &Scanned| {
        matches!(f.file.role, Role::Segment { shard: s, .. } if s == shard) && f.run() == run
    };
    files.iter().enumerate().filter(|(_, f)| belongs(f)).map(|(at, _)| at).collect()
}

fn build<'a>(
    plan: &Plan,
    files: &'a [Scanned],
    members: &[usize],
    run: u64,
    shard: u16,
    last_listed: Option<usize>,
) -> Chain<'a> {
    let last = members.last().copied().unwrap_or(0);
    let others = files.iter().skip(last + 1).map(Scanned::run);
    let chain_file = |&at: &usize| {
        let PlannedFile { entry, bytes, role } = &files[at].file;
        let number = match role {
            Role::Segment { number, .. } => *number,
            Role::Base | Role::Delta { .. } | Role::Global { .. } | Role::Foreign => 0,
        };
        ChainFile {
            name: &entry.name,
            number,
            bytes: *bytes,
            first_lsn: entry.first_lsn,
            made: entry.method.zip(entry.bytes),
            last_listed: last_listed == Some(at),
            scan: &files[at].scan,
        }
    };
    Chain {
        run,
        shard,
        followed: run != 0 && others.into_iter().any(|other| other != 0 && other != run),
        ours: plan.ours,
        files: members.iter().map(chain_file).collect(),
    }
}

/// A global segment was synced before it was listed: it is whole, or the disk has lost it.
fn check_global(scanned: &Scanned) -> Result<(), RecoveryError> {
    match scanned.scan.pieces.as_slice() {
        [Piece::Commits(_), Piece::End { .. }] => Ok(()),
        _ => Err(not_whole(scanned, Refusal::Global)),
    }
}

/// So was a delta. Its commits count from 1, and its last line says how many there are.
fn check_delta(scanned: &Scanned) -> Result<(), RecoveryError> {
    match scanned.scan.pieces.as_slice() {
        [Piece::End { line, .. }] if line.last_lsn == 0 => Ok(()),
        [Piece::Commits(commits), Piece::End { line, .. }]
            if commits.first == 1 && commits.next == line.last_lsn + 1 =>
        {
            Ok(())
        }
        _ => Err(not_whole(scanned, Refusal::Delta)),
    }
}

/// The first thing that is wrong with a file that had been stable as a whole.
fn not_whole(scanned: &Scanned, kind: impl Fn(Fault) -> Refusal) -> RecoveryError {
    let cut = Fault::Command(crate::aof::CommandFault::Cut);
    let mut due = 1;
    let wrong = scanned.scan.pieces.iter().find_map(|piece| match piece {
        Piece::Damage { offset, fault } => Some((*offset, *fault)),
        Piece::Commands(commands) => Some((commands.start, Fault::Header)),
        Piece::Commits(commits) => {
            let was_due = std::mem::replace(&mut due, commits.next);
            (commits.first != was_due).then_some((commits.start, Fault::Header))
        }
        Piece::End { offset, line } => (line.last_lsn + 1 != due).then_some((*offset, cut)),
    });
    let (offset, fault) = wrong.unwrap_or((scanned.file.bytes, cut));
    RecoveryError::new(&scanned.file.entry.name, kind(fault)).at(offset)
}
