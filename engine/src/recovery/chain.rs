//! The log of one shard in one run, over all its files: where it ends, and whether what is
//! missing had been stable. Pure: pieces in, rulings out.
//!
//! LSNs are contiguous over the files of a (run, shard), in list order. The first place where
//! the next batch is not found is a **break**. Damage alone is none: if the next file goes on with
//! the batch that was due, nothing is missing (a crash tore the end-of-log line of a segment that
//! was being sealed). A break is *rot* iff something valid behind it proves
//! that the missing batch had been synced: a commit whose `synced` reaches it, an end-of-log
//! line, the manifest's word on where a later epoch began. Rot is refused. Anything else is the
//! tail a crash left unsynced: it is cut there, and what follows is dropped, later files of the
//! same shard included, since those writes had been built on the missing one.
//!
//! | | found | ruling |
//! |---|---|---|
//! | a | contiguous commits, end-of-log line naming the last | kept as it is |
//! | b | contiguous commits, then filler or the end of the file | sealed behind the last commit |
//! | c | a break without proof | cut there, sealed; later files emptied and sealed |
//! | d | a break with proof | refuse: rot |
//! | e | an end-of-log line naming an earlier LSN than the commits reach, commits behind it | refuse: contradiction |
//! | f | commits whose LSN an earlier file holds already | refuse: contradiction |
//! | g | a file of an earlier run without end-of-log line | refuse: recovery had sealed it |
//! | h | commands behind an end-of-log line | a stock server's: kept; a torn last one is cut off if the file is the last listed |
//! | i | commands in the last listed file, SELECT first, where the file ended before | a stock server's: kept, sealed behind them; torn as in h |
//! | j | other commands | the rest of a torn commit: a break |
//! | k | commands of i, and a break in this chain or another of the run | refuse (`judge.rs`): the stock server may have seen what would be cut |
//! | l | the same behind damage that is the last thing of ours in the file, or behind what a stock server has left of a torn commit | refuse, as k |
//! | m | damage between two commits that follow each other in one file | refuse: no crash does that |
//! | n | commits of other runs, shards or files | nothing: a break if something else was due; but a file that begins with one of another listed file is not the listed one: refuse (`judge.rs`) |
//!
//! Transactions over several shards narrow what is kept afterwards (`transactions.rs`).

use super::{
    Proof, RecoveryError, Refusal,
    scan::{Commands, Commits, Fault, Piece, Scan},
};
use crate::{
    aof::{Lsn, header::END_BYTES, header::EndLine},
    io::Method,
    limits::LOG_BLOCK_BYTES,
};

/// One file of the chain.
pub struct ChainFile<'a> {
    /// Its name.
    pub name: &'a str,
    /// The number in its name.
    pub number: u64,
    /// Its length, bytes.
    pub bytes: u64,
    /// The manifest's word on the first LSN it can hold.
    pub first_lsn: Option<Lsn>,
    /// How it was written and how long it was made, if the manifest says.
    pub made: Option<(Method, u64)>,
    /// It is the last file listed: where a stock server appends.
    pub last_listed: bool,
    /// What stands in it.
    pub scan: &'a Scan,
}

/// The files of one shard in one run, in list order.
pub struct Chain<'a> {
    /// The run's id.
    pub run: u64,
    /// The shard.
    pub shard: u16,
    /// A later run's files are listed behind these.
    pub followed: bool,
    /// The manifest is ours; otherwise the first LSN of the first file is taken as it is.
    pub ours: bool,
    /// Its files.
    pub files: Vec<ChainFile<'a>>,
}

/// What becomes of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ruling {
    /// Bytes kept.
    pub keep: u64,
    /// The end-of-log line to be written there; `None`: it has one.
    pub seal: Option<EndLine>,
    /// First LSN it can hold, for the manifest.
    pub first_lsn: Lsn,
    /// Commits kept.
    pub commits: u64,
    /// Valid commits are cut off: a transaction in them is not whole.
    pub cuts_commits: bool,
    /// It holds commands of a stock server, to be replayed behind the epoch.
    pub commands: bool,
    /// A stock server has appended since we wrote to it last, and no end-of-log line says that
    /// this has been noticed.
    pub taken_over: bool,
}

/// Where the tail was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The shard.
    pub shard: u16,
    /// The file.
    pub file: String,
    /// Where.
    pub offset: u64,
    /// Last LSN kept; 0 = none.
    pub last_lsn: Lsn,
    /// What stands there; `None`: nothing, a later file shows the gap.
    pub fault: Option<Fault>,
    /// Commits that were dropped, as far as they can be told.
    pub commits: u64,
    /// Bytes of them.
    pub bytes: u64,
}

/// What becomes of the chain.
#[derive(Debug, Clone)]
pub struct Judgement {
    /// One per file.
    pub rulings: Vec<Ruling>,
    /// Last LSN kept; 0 = none.
    pub last_lsn: Lsn,
    /// The cut, if there was one.
    pub cut: Option<Cut>,
    /// Rows d and m: stable data is gone. The rulings keep what was found before it, which only
    /// somebody who accepts the loss may carry out.
    pub objection: Option<RecoveryError>,
}

struct Walk<'a> {
    chain: &'a Chain<'a>,
    next: Lsn,
    /// Damage that is a break if the next batch is not found behind it.
    suspect: Option<Cut>,
    /// The break.
    cut: Option<Cut>,
    /// The first proof that what is missing had been stable.
    objection: Option<RecoveryError>,
}

/// The state within one file.
struct InFile {
    /// Behind the last accepted thing.
    end: u64,
    /// Behind the last valid commit, accepted or not.
    seen: u64,
    sealed: bool,
    commits: u64,
    commands: bool,
    taken_over: bool,
    first_lsn: Lsn,
}

/// Goes through the table. Rows d and m are the judgement's objection.
///
/// # Errors
/// Rows e, f, g and l: there is no telling what to keep.
pub fn judge(chain: &Chain<'_>) -> Result<Judgement, RecoveryError> {
    let next = start_lsn(chain);
    let mut walk = Walk { chain, next, suspect: None, cut: None, objection: None };
    let mut rulings = Vec::with_capacity(chain.files.len());
    for file in &chain.files {
        match walk.file(file) {
            Ok(ruling) => rulings.push(ruling),
            // What was found first is what explains the rest.
            Err(error) => return Err(walk.objection.take().unwrap_or(error)),
        }
    }
    let Walk { next, suspect, cut, objection, .. } = walk;
    Ok(Judgement { rulings, last_lsn: next - 1, cut: cut.or(suspect), objection })
}

fn start_lsn(chain: &Chain<'_>) -> Lsn {
    let first = chain.files.first();
    if let Some(lsn) = first.and_then(|file| file.first_lsn) {
        return lsn.max(1);
    }
    if chain.ours {
        return 1;
    }
    let pieces = chain.files.iter().flat_map(|file| &file.scan.pieces);
    let mut told = pieces.filter_map(|piece| match piece {
        Piece::Commits(commits) => Some(commits.first),
        Piece::End { line, .. } => Some(line.last_lsn + 1),
        Piece::Commands(_) | Piece::Damage { .. } => None,
    });
    told.next().unwrap_or(1)
}

impl Walk<'_> {
    fn file(&mut self, file: &ChainFile<'_>) -> Result<Ruling, RecoveryError> {
        if let Some(first) = file.first_lsn
            && first != self.next
        {
            self.epoch_begins(file, first)?;
        }
        let mut state = InFile {
            end: 0,
            seen: 0,
            sealed: false,
            commits: 0,
            commands: false,
            taken_over: false,
            first_lsn: self.next,
        };
        for (at, piece) in file.scan.pieces.iter().enumerate() {
            match *piece {
                Piece::Commits(commits) => self.commits(file, &mut state, commits)?,
                Piece::End { offset, line } => self.end(file, &mut state, offset, line)?,
                Piece::Commands(commands) => self.commands(file, &mut state, at, commands)?,
                Piece::Damage { offset, fault } => self.damage(file, &mut state, offset, fault)?,
            }
        }
        if let Some(offset) = file.scan.overwritten {
            // Row l.
            let kind = Refusal::StockOverTorn { torn: file.name.to_owned() };
            return Err(RecoveryError::new(file.name, kind).at(offset));
        }
        if self.chain.followed && !state.sealed && file.bytes > 0 {
            // Row g.
            return Err(RecoveryError::new(file.name, Refusal::Unsealed).at(state.end));
        }
        let Chain { run, shard, .. } = *self.chain;
        let line = EndLine { run, shard, seq: file.number, last_lsn: self.next - 1 };
        Ok(Ruling {
            keep: state.end,
            seal: (!state.sealed).then_some(line),
            first_lsn: state.first_lsn,
            commits: state.commits,
            cuts_commits: false,
            commands: state.commands,
            taken_over: state.taken_over,
        })
    }

    /// The manifest says where this file's epoch began.
    fn epoch_begins(&mut self, file: &ChainFile<'_>, first: Lsn) -> Result<(), RecoveryError> {
        if first < self.next {
            let found = self.next - 1;
            let kind = Refusal::Contradiction { found, sealed: first - 1 };
            return Err(RecoveryError::new(file.name, kind));
        }
        self.break_at(file, 0, None);
        self.prove(first - 1, || Proof::Manifest { file: file.name.to_owned() });
        Ok(())
    }

    fn commits(
        &mut self,
        file: &ChainFile<'_>,
        state: &mut InFile,
        commits: Commits,
    ) -> Result<(), RecoveryError> {
        if commits.first < self.next {
            // Row f.
            let kind = Refusal::Contradiction { found: self.next - 1, sealed: commits.first - 1 };
            return Err(RecoveryError::new(file.name, kind).at(commits.start));
        }
        state.seen = commits.end;
        if self.cut.is_none() && commits.first == self.next {
            match self.suspect.take() {
                Some(suspect) if suspect.file == file.name => {
                    // Row m.
                    let kind = Refusal::Between(suspect.fault.unwrap_or(Fault::Header));
                    self.object(RecoveryError::new(file.name, kind).at(suspect.offset));
                    self.cut = Some(suspect);
                }
                _ => {
                    self.next = commits.next;
                    state.end = commits.end;
                    state.commits += commits.count;
                    return Ok(());
                }
            }
        }
        let fault = Fault::Gap { expected: self.next, found: commits.first };
        self.break_at(file, commits.start, Some(fault));
        if let Some(cut) = &mut self.cut {
            cut.commits += commits.count;
            cut.bytes += commits.end - commits.start;
        }
        let name = file.name.to_owned();
        self.prove(commits.synced, || Proof::Commit { file: name, offset: commits.synced_at });
        Ok(())
    }

    fn end(
        &mut self,
        file: &ChainFile<'_>,
        state: &mut InFile,
        offset: u64,
        line: EndLine,
    ) -> Result<(), RecoveryError> {
        if line.last_lsn + 1 < self.next {
            // Row e.
            let kind = Refusal::Contradiction { found: self.next - 1, sealed: line.last_lsn };
            return Err(RecoveryError::new(file.name, kind).at(offset));
        }
        if line.last_lsn >= self.next {
            self.break_at(file, offset, None);
            self.prove(line.last_lsn, || Proof::EndLine { file: file.name.to_owned() });
            return Ok(());
        }
        let broken = self.cut.as_ref().or(self.suspect.as_ref());
        let whole = broken.is_none_or(|cut| cut.file != file.name);
        if whole {
            state.sealed = true;
            state.end = offset + END_BYTES as u64;
        }
        Ok(())
    }

    fn commands(
        &mut self,
        file: &ChainFile<'_>,
        state: &mut InFile,
        at: usize,
        commands: Commands,
    ) -> Result<(), RecoveryError> {
        let behind = file.scan.pieces.get(at + 1);
        let stock = is_stock(file, state, commands, behind);
        let noticed = matches!(behind, Some(Piece::End { .. }));
        let broken = self.cut.is_some() || self.suspect.is_some();
        if !(state.sealed || stock || noticed && !broken) {
            // Row j.
            self.suspect_at(file, commands.start, Fault::Header);
            return Ok(());
        }
        // Rows h and i, perhaps k.
        let torn = commands.whole_end < commands.end;
        if torn && !(file.last_listed && behind.is_none_or(|p| matches!(p, Piece::Damage { .. }))) {
            let fault = Fault::Command(crate::aof::CommandFault::Cut);
            return Err(
                RecoveryError::new(file.name, Refusal::Foreign(fault)).at(commands.whole_end)
            );
        }
        state.end = commands.whole_end;
        state.commands |= commands.whole_end > commands.start;
        state.taken_over |= !state.sealed && !noticed;
        Ok(())
    }

    fn damage(
        &mut self,
        file: &ChainFile<'_>,
        state: &mut InFile,
        offset: u64,
        fault: Fault,
    ) -> Result<(), RecoveryError> {
        let cut_short = fault == Fault::Command(crate::aof::CommandFault::Cut);
        if state.sealed || state.taken_over {
            if fault == Fault::AfterEnd {
                // Row e.
                let (found, sealed) = (self.next, self.next - 1);
                let kind = Refusal::Contradiction { found, sealed };
                return Err(RecoveryError::new(file.name, kind).at(offset));
            }
            if !(cut_short && file.last_listed) {
                return Err(RecoveryError::new(file.name, Refusal::Foreign(fault)).at(offset));
            }
            // Row h: the torn last command goes.
            return Ok(());
        }
        self.suspect_at(file, offset, fault);
        let broken = self.cut.as_mut().or(self.suspect.as_mut());
        if let (Some(cut), Fault::Short(header) | Fault::Checksum(header)) = (broken, fault) {
            cut.commits += u64::from(header.first_lsn >= self.next);
            cut.bytes += header.body_bytes.min(file.bytes - offset);
        }
        Ok(())
    }

    fn suspect_at(&mut self, file: &ChainFile<'_>, offset: u64, fault: Fault) {
        if self.cut.is_none() && self.suspect.is_none() {
            self.suspect = Some(self.cut_at(file, offset, Some(fault)));
        }
    }

    fn cut_at(&self, file: &ChainFile<'_>, offset: u64, fault: Option<Fault>) -> Cut {
        Cut {
            shard: self.chain.shard,
            file: file.name.to_owned(),
            offset,
            last_lsn: self.next - 1,
            fault,
            commits: 0,
            bytes: 0,
        }
    }

    /// Row c, unless the log has broken before; at the damage before this place, if there is any.
    fn break_at(&mut self, file: &ChainFile<'_>, offset: u64, fault: Option<Fault>) {
        if self.cut.is_none() {
            let suspect = self.suspect.take();
            self.cut = Some(suspect.unwrap_or_else(|| self.cut_at(file, offset, fault)));
        }
    }

    /// Something valid says that everything up to `synced` had been stable.
    fn prove(&mut self, synced: Lsn, proof: impl FnOnce() -> Proof) {
        if let Some(cut) = &self.cut
            && synced >= self.next
        {
            // Row d.
            let kind = Refusal::Rot { lsn: self.next, fault: cut.fault, proof: proof() };
            self.object(RecoveryError::new(&cut.file, kind).at(cut.offset));
        }
    }

    fn object(&mut self, error: RecoveryError) {
        self.objection.get_or_insert(error);
    }
}

/// Whether only a stock server can have written these commands: it begins with SELECT, at the
/// end the last listed file had when we had written to it last.
///
/// A torn commit of ours cannot look like that. In a prefilled file its first block, with the
/// header, stays filler and the rest lies before the old end. In a buffered file the header is
/// the first thing behind the last commit, in the same page; what is lost reads as NULs.
fn is_stock(
    file: &ChainFile<'_>,
    state: &InFile,
    commands: Commands,
    behind: Option<&Piece>,
) -> bool {
    if !file.last_listed || !commands.selects {
        return false;
    }
    let to_the_end = commands.end == file.bytes && behind.is_none();
    match file.made {
        Some((Method::Direct, bytes)) => commands.start == bytes,
        Some((Method::Buffered, _)) => commands.start == state.seen,
        None if commands.start == state.seen => true,
        None => to_the_end && commands.start.is_multiple_of(LOG_BLOCK_BYTES as u64),
    }
}
