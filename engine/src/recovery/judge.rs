//! Scans -> what becomes of every file. Pure: the last step before anything on disk changes, so
//! whatever is refused leaves the directory as it was found.

use super::{
    RecoveryError, Refusal,
    chain::{self, Chain, ChainFile, Cut, Ruling},
    foreign,
    plan::{Plan, PlannedFile, Role},
    scan::{Fault, Piece, Scan},
    stages::Content,
};
use crate::{
    aof::{Lsn, header::EndLine},
    manifest::Kind,
};

/// A file that was read.
pub struct Scanned {
    /// As planned.
    pub file: PlannedFile,
    /// Where its commands begin: behind an RDB without keys.
    pub from: u64,
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
    /// The file a stock server has appended to since our last run.
    pub taken_over: Option<String>,
}

/// Judges every file.
///
/// # Errors
/// Whatever must be refused.
pub fn judge(plan: &Plan, files: &[Scanned]) -> Result<Verdicts, RecoveryError> {
    let last_listed = files.iter().rposition(|f| f.file.entry.kind == Kind::Incr);
    let mut verdicts: Vec<Option<Verdict>> = vec![None; files.len()];
    let (mut cuts, mut taken_over) = (Vec::new(), None);
    for (at, scanned) in files.iter().enumerate() {
        let name = &scanned.file.entry.name;
        let last = last_listed == Some(at);
        match scanned.file.role {
            Role::Base | Role::Foreign => {
                let keep = foreign::judge(name, &scanned.scan, scanned.from, last)?;
                verdicts[at] = Some(plain(keep, Content::Foreign));
            }
            Role::Global { .. } => {
                check_global(scanned)?;
                verdicts[at] = Some(plain(scanned.file.bytes, Content::Global));
            }
            Role::Segment { shard, .. } if verdicts[at].is_none() => {
                let run = scanned.run();
                let members = members(files, run, shard);
                let chain = build(plan, files, &members, run, shard, last_listed);
                let judged = chain::judge(&chain)?;
                for (&member, ruling) in members.iter().zip(&judged.rulings) {
                    verdicts[member] = Some(verdict(shard, run, ruling));
                    if ruling.taken_over {
                        taken_over = Some(files[member].file.entry.name.clone());
                    }
                }
                cuts.extend(judged.cut.map(|cut| (run, cut)));
            }
            Role::Segment { .. } => {}
        }
    }
    if let Some(file) = &taken_over
        && let Some((_, cut)) = cuts.iter().find(|(run, _)| last_run(files) == Some(*run))
    {
        // The stock server has loaded what would be cut, and its writes build on it.
        let kind = Refusal::StockOverTorn { torn: cut.file.clone() };
        return Err(RecoveryError::new(file, kind));
    }
    let cuts = cuts.into_iter().map(|(_, cut)| cut).collect();
    Ok(Verdicts { files: verdicts.into_iter().flatten().collect(), cuts, taken_over })
}

fn plain(keep: u64, content: Content) -> Verdict {
    Verdict { keep, seal: None, first_lsn: None, commits: 0, content }
}

fn verdict(shard: u16, run: u64, ruling: &Ruling) -> Verdict {
    let run = (run != 0).then_some(run);
    Verdict {
        keep: ruling.keep,
        seal: ruling.seal,
        first_lsn: Some(ruling.first_lsn),
        commits: ruling.commits,
        content: Content::Segment { shard, run, commands: ruling.commands },
    }
}

fn last_run(files: &[Scanned]) -> Option<u64> {
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
            Role::Base | Role::Global { .. } | Role::Foreign => 0,
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
    let refuse = |offset, fault| {
        Err(RecoveryError::new(&scanned.file.entry.name, Refusal::Global(fault)).at(offset))
    };
    match scanned.scan.pieces.as_slice() {
        [Piece::Commits(_), Piece::End { .. }] => Ok(()),
        pieces => match pieces.iter().find_map(|piece| match piece {
            Piece::Damage { offset, fault } => Some((*offset, *fault)),
            Piece::Commands(commands) => Some((commands.start, Fault::Header)),
            Piece::Commits(_) | Piece::End { .. } => None,
        }) {
            Some((offset, fault)) => refuse(offset, fault),
            None => refuse(scanned.file.bytes, Fault::Command(crate::aof::CommandFault::Cut)),
        },
    }
}
