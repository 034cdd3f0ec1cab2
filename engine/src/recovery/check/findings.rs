//! From judgements to a report: what is lost, where, and what can be done about it.
//!
//! Owns the arithmetic of losses. Decides nothing: what counts as torn or damaged comes in.

use super::{
    FileReport, Finding, Repairable, Report, Severity, ShardReport, State, Stretch,
    repair::forgivable,
};
use crate::{
    aof::Lsn,
    manifest::{Entry, Kind, LOCK_FILE, Names, OurFile},
    recovery::{
        Fault, RecoveryError, Refusal,
        chain::Cut,
        judge::{Judged, JudgedChain, Scanned},
        plan::{Plan, Role},
        scan::{Commits, Piece},
        stages::Content,
        transactions::TransactionCut,
    },
};

/// What the findings are about.
pub(super) struct Found<'a> {
    pub(super) names: &'a Names,
    pub(super) listing: &'a [(String, u64)],
    pub(super) plan: &'a Plan,
    pub(super) scanned: &'a [Scanned],
}

/// The whole report; `refusals` are those of before the logs were judged.
pub(super) fn report(found: &Found<'_>, judged: &Judged, refusals: &[RecoveryError]) -> Report {
    let mut findings: Vec<Finding> =
        refusals.iter().map(|error| refused(found, judged, None, error)).collect();
    for (chain, error) in &judged.refusals {
        findings.push(refused(found, judged, chain.map(|at| &judged.chains[at]), error));
    }
    let refused_chain = |at: usize| judged.refusals.iter().any(|(chain, _)| *chain == Some(at));
    for (at, chain) in judged.chains.iter().enumerate() {
        let cut = chain.outcome.as_ref().ok().and_then(|judgement| judgement.cut.as_ref());
        if let (Some(cut), false) = (cut, refused_chain(at)) {
            findings.push(torn(found.scanned, chain, cut));
        }
    }
    findings.extend(judged.transaction_cuts.iter().map(incomplete));
    findings.extend(torn_commands(found, judged));
    findings.extend(notes(found, judged));
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    let narrowed = |chain: &JudgedChain| {
        let of = |cut: &TransactionCut| cut.run == chain.run && cut.shard == chain.shard;
        judged.transaction_cuts.iter().any(of)
    };
    let shard = |(at, chain): (usize, &JudgedChain)| {
        shard(found, chain, refused_chain(at), narrowed(chain))
    };
    let listed = found.plan.manifest.files.iter().filter(|entry| entry.kind != Kind::History);
    Report {
        manifest: found.plan.found,
        ours: found.plan.ours && found.plan.found,
        bytes: found.plan.files.iter().map(|file| file.bytes).sum(),
        files: listed.map(|entry| file(found, judged, entry)).collect(),
        shards: judged.chains.iter().enumerate().map(shard).collect(),
        findings,
    }
}

fn refused(
    found: &Found<'_>,
    judged: &Judged,
    chain: Option<&JudgedChain>,
    error: &RecoveryError,
) -> Finding {
    let RecoveryError { file, offset, kind } = error;
    let (mut lost, mut behind) = (None, None);
    match (&**kind, chain) {
        (Refusal::Rot { lsn, .. }, Some(chain)) => {
            (lost, behind) = losses(found.scanned, chain, file, offset.unwrap_or(0), *lsn);
        }
        (Refusal::Between(_), Some(chain)) => {
            // Nothing is missing between the two, but what follows rests on damaged stable data.
            let next = chain.outcome.as_ref().map_or(1, |judgement| judgement.last_lsn + 1);
            behind = losses(found.scanned, chain, file, offset.unwrap_or(0), next).1;
        }
        (Refusal::Stranger { .. }, Some(chain)) => lost = whole(found.scanned, chain, file),
        (Refusal::Missing, _) => lost = missing(found, file),
        _ => {}
    }
    let of_file = found.plan.manifest.files.iter().find(|entry| entry.name == *file);
    let shard = match found.names.recognise(file) {
        Some(OurFile::Segment { shard, .. }) => Some(shard),
        Some(
            OurFile::Global { .. }
            | OurFile::Delta { .. }
            | OurFile::Base { .. }
            | OurFile::Draft
            | OurFile::NewManifest,
        )
        | None => None,
    };
    let chain_run = chain.map(|chain| chain.run).filter(|&run| run != 0);
    let repairable = if forgivable(found.plan, found.scanned, judged, chain, error) {
        Repairable::WithLoss
    } else {
        Repairable::No
    };
    Finding {
        severity: Severity::Damage,
        kind: kind.name(),
        file: file.clone(),
        offset: *offset,
        run: chain_run.or_else(|| of_file.and_then(|entry| entry.run)),
        shard: chain.map(|chain| chain.shard).or(shard),
        lost,
        behind,
        what: kind.to_string(),
        way_out: kind.way_out(),
        repairable,
    }
}

fn torn(scanned: &[Scanned], chain: &JudgedChain, cut: &Cut) -> Finding {
    let (lost, behind) = losses(scanned, chain, &cut.file, cut.offset, cut.last_lsn + 1);
    let last = [lost, behind].into_iter().flatten().filter_map(|stretch| stretch.last).max();
    let what = cut.fault.map_or_else(|| "the log ends here".to_owned(), |f| f.to_string());
    Finding {
        severity: Severity::Torn,
        kind: "torn-tail",
        file: cut.file.clone(),
        offset: Some(cut.offset),
        run: Some(chain.run),
        shard: Some(chain.shard),
        lost: Some(Stretch {
            first: cut.last_lsn + 1,
            last,
            commits: cut.commits.max(lost.map_or(0, |lost| lost.commits)),
            bytes: cut.bytes,
        }),
        behind: None,
        what: format!(
            "{what}; nothing says that it had been synced, so it is the end a crash left behind"
        ),
        way_out: "start Quire, which cuts it off, or run quire-check --fix".to_owned(),
        repairable: Repairable::Yes,
    }
}

fn incomplete(cut: &TransactionCut) -> Finding {
    let shards: Vec<_> = cut.participants.iter().map(|shard| shard.to_string()).collect();
    Finding {
        severity: Severity::Torn,
        kind: "incomplete-transaction",
        file: cut.file.clone(),
        offset: Some(cut.offset),
        run: Some(cut.run),
        shard: Some(cut.shard),
        lost: Some(Stretch {
            first: cut.last_lsn + 1,
            last: Some(cut.dropped_lsn),
            commits: cut.commits,
            bytes: cut.bytes,
        }),
        behind: None,
        what: format!(
            "transaction {} of shards {} had not reached the log of shard {} when the server \
             died; it is dropped on all of them, with what follows it",
            cut.id,
            shards.join(", "),
            cut.missing_on
        ),
        way_out: "start Quire, which cuts it off, or run quire-check --fix".to_owned(),
        repairable: Repairable::Yes,
    }
}

/// What is missing from LSN `next` on, which was due at a place of a file, and what stands whole
/// behind it.
fn losses(
    scanned: &[Scanned],
    chain: &JudgedChain,
    file: &str,
    offset: u64,
    next: Lsn,
) -> (Option<Stretch>, Option<Stretch>) {
    let mut lost = Stretch { first: next, last: None, commits: 0, bytes: 0 };
    let mut behind: Option<Stretch> = None;
    // The last LSN that damaged headers speak of.
    let mut hinted: Option<Lsn> = None;
    let is_file = |&at: &usize| scanned[at].file.entry.name != file;
    for (at, index) in chain.members.iter().skip_while(|at| is_file(at)).enumerate() {
        let Scanned { file, scan, .. } = &scanned[*index];
        let from = if at == 0 { offset } else { 0 };
        if let Some(first) = file.entry.first_lsn.filter(|&first| first > next)
            && at > 0
            && behind.is_none()
        {
            lost.last = lost.last.max(Some(first - 1));
        }
        for piece in &scan.pieces {
            match *piece {
                Piece::Commits(commits) if commits.start >= from && commits.first >= next => {
                    let grown = behind.get_or_insert_with(|| {
                        lost.last = Some(commits.first - 1);
                        if at == 0 {
                            lost.bytes = lost.bytes.max(commits.start - from);
                        }
                        Stretch { first: commits.first, last: None, commits: 0, bytes: 0 }
                    });
                    grown.last = grown.last.max(Some(commits.next - 1));
                    grown.commits += commits.count;
                    grown.bytes += commits.end - commits.start;
                }
                Piece::End { offset, line } if offset >= from && line.last_lsn >= next => {
                    if behind.is_none() {
                        lost.last = lost.last.max(Some(line.last_lsn));
                    }
                }
                Piece::Damage { offset, fault: Fault::Short(h) | Fault::Checksum(h) }
                    if offset >= from && behind.is_none() && h.first_lsn >= next =>
                {
                    lost.commits += 1;
                    lost.bytes += h.body_bytes.min(file.bytes - offset);
                    hinted = hinted.max(Some(h.last_lsn()));
                }
                Piece::Commits(_) | Piece::Commands(_) | Piece::End { .. } => {}
                Piece::Damage { offset, fault: Fault::Header } if offset >= from => {
                    lost.commits += u64::from(behind.is_none());
                }
                Piece::Damage { .. } => {}
            }
        }
    }
    lost.last = lost.last.or(hinted);
    if let Some(last) = lost.last {
        // At least one commit held what is missing.
        lost.commits = lost.commits.max(u64::from(last >= next));
    }
    (lost.last.is_none_or(|last| last >= next).then_some(lost), behind)
}

fn commits(scanned: &Scanned) -> impl Iterator<Item = Commits> {
    scanned.scan.pieces.iter().filter_map(|piece| match piece {
        Piece::Commits(commits) => Some(*commits),
        Piece::Commands(_) | Piece::End { .. } | Piece::Damage { .. } => None,
    })
}

fn range(all: impl Iterator<Item = Commits>) -> Option<(Lsn, Lsn)> {
    all.filter(|c| c.next > c.first).fold(None, |range, c| {
        let (first, last) = range.unwrap_or((c.first, 0));
        Some((first.min(c.first), last.max(c.next - 1)))
    })
}

/// What a file should hold between its neighbours in the chain, where they say.
fn between(before: Option<Lsn>, after: Option<Lsn>, bytes: u64) -> Option<Stretch> {
    let first = before.map_or(1, |last| last + 1);
    if after == Some(first) {
        return None;
    }
    Some(Stretch { first, last: after.map(|after| after - 1), commits: 0, bytes })
}

/// What a file that is another one should have held.
fn whole(scanned: &[Scanned], chain: &JudgedChain, file: &str) -> Option<Stretch> {
    let at = chain.members.iter().position(|&at| scanned[at].file.entry.name == file)?;
    let last_of = |&at: &usize| range(commits(&scanned[at])).map(|(_, last)| last);
    let before = chain.members[..at].iter().rev().find_map(last_of);
    let first_of = |&at: &usize| range(commits(&scanned[at])).map(|(first, _)| first);
    let after = chain.members[at + 1..].iter().find_map(first_of);
    between(before, after, 0)
}

/// What a file that is not there should have held.
fn missing(found: &Found<'_>, file: &str) -> Option<Stretch> {
    let entries = &found.plan.manifest.files;
    let at = entries.iter().position(|entry| entry.name == *file)?;
    let Some(OurFile::Segment { shard, .. }) = found.names.recognise(file) else { return None };
    let run = entries[at].run;
    let of_chain = |entry: &Entry| {
        found.scanned.iter().find(|s| {
            let of_shard = matches!(s.file.role, Role::Segment { shard: s, .. } if s == shard);
            s.file.entry.name == entry.name && of_shard && run.is_none_or(|run| run == s.run())
        })
    };
    let lsns = |entry| of_chain(entry).and_then(|s| range(commits(s)));
    let before = entries[..at].iter().rev().find_map(lsns).map(|(_, last)| last);
    let after = entries[at + 1..].iter().find_map(lsns).map(|(first, _)| first);
    between(before, after, 0)
}

/// Last commands of Redis servers that are cut off, where no log of ours is torn.
fn torn_commands(found: &Found<'_>, judged: &Judged) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (scanned, verdict) in found.scanned.iter().zip(&judged.files) {
        let Some(verdict) = verdict else { continue };
        let foreign = match verdict.content {
            Content::Foreign => true,
            Content::Global | Content::Delta => false,
            Content::Segment { commands, .. } => commands,
        };
        if !foreign || verdict.keep >= scanned.file.bytes {
            continue;
        }
        let bytes = scanned.file.bytes - verdict.keep;
        findings.push(Finding {
            severity: Severity::Torn,
            kind: "torn-command",
            file: scanned.file.entry.name.clone(),
            offset: Some(verdict.keep),
            run: None,
            shard: None,
            lost: None,
            behind: None,
            what: format!(
                "the last command (or transaction) a Redis server wrote is not whole: {bytes} bytes"
            ),
            way_out: "start Quire or Redis, which cut it off, or run quire-check --fix".to_owned(),
            repairable: Repairable::Yes,
        });
    }
    findings
}

fn notes(found: &Found<'_>, judged: &Judged) -> Vec<Finding> {
    let mut notes = Vec::new();
    let mut note = |kind, file: &str, what: &str, way_out: &str| {
        notes.push(Finding {
            severity: Severity::Note,
            kind,
            file: file.to_owned(),
            offset: None,
            run: None,
            shard: None,
            lost: None,
            behind: None,
            what: what.to_owned(),
            way_out: way_out.to_owned(),
            repairable: Repairable::No,
        });
    };
    let manifest = found.names.manifest();
    if found.plan.found && !found.plan.ours {
        let what = "the manifest was not written by Quire, so it has no checksum";
        note("foreign-manifest", &manifest, what, "none is needed: it is read as Redis does");
    }
    if let Some(id) = judged.torn_history {
        let what = format!(
            "transaction {id} had not reached all its shards; it stays, because a Redis server has \
             loaded it since"
        );
        note("incomplete-history", &manifest, &what, "none is possible");
    }
    if let Some(file) = &judged.taken_over {
        let what = "a Redis server has appended to it; its commands count behind Quire's";
        note("redis-appended", file, what, "none is needed");
    }
    for (name, _) in found.listing {
        let entry = found.plan.manifest.files.iter().find(|entry| entry.name == *name);
        match (entry.map(|entry| entry.kind), found.names.recognise(name)) {
            (Some(Kind::Base | Kind::Incr), _) => {}
            (Some(Kind::History), _) => {
                note("history-file", name, "it has been replaced", "a start deletes it");
            }
            (None, Some(OurFile::NewManifest)) => {
                let what = "a manifest that was not finished; the one in force is whole";
                note("unfinished-manifest", name, what, "a start deletes it");
            }
            (None, Some(OurFile::Draft)) => {
                let what = "a checkpoint that was not finished; what it would replace is whole";
                note("unfinished-checkpoint", name, what, "a start deletes it");
            }
            (None, Some(_)) if found.plan.ours && found.plan.found => {
                let what = "no manifest lists it, so it holds no data";
                note("unlisted-file", name, what, "a start deletes it");
            }
            (None, _) if *name == manifest || name == LOCK_FILE => {}
            (None, _) => {
                note("other-file", name, "it is not listed", "none is needed: it is left alone");
            }
        }
    }
    notes
}

fn file(found: &Found<'_>, judged: &Judged, entry: &Entry) -> FileReport {
    let at = found.scanned.iter().position(|s| s.file.entry.name == entry.name);
    let scanned = at.map(|at| &found.scanned[at]);
    let (role, shard) = match (entry.kind, found.names.recognise(&entry.name)) {
        (Kind::Base, _) => ("base", None),
        (_, Some(OurFile::Segment { shard, .. })) => ("segment", Some(shard)),
        (_, Some(OurFile::Global { .. })) => ("global", None),
        (_, Some(OurFile::Delta { .. })) => ("delta", None),
        (_, Some(OurFile::Base { .. } | OurFile::Draft | OurFile::NewManifest) | None) => {
            ("redis", None)
        }
    };
    let planned = found.plan.files.iter().find(|file| file.entry.name == entry.name);
    FileReport {
        name: entry.name.clone(),
        role,
        shard,
        run: entry.run.or_else(|| scanned.and_then(|s| s.scan.run)),
        bytes: planned.map(|file| file.bytes),
        commits: scanned.map_or(0, |s| commits(s).map(|c| c.count).sum()),
        lsns: scanned.filter(|_| role == "segment").and_then(|s| range(commits(s))),
        keep: at.and_then(|at| judged.files[at]).map(|verdict| verdict.keep),
        sealed: scanned.is_some_and(is_sealed),
    }
}

fn is_sealed(scanned: &Scanned) -> bool {
    scanned.scan.pieces.iter().any(|piece| matches!(piece, Piece::End { .. }))
}

fn shard(found: &Found<'_>, chain: &JudgedChain, refused: bool, narrowed: bool) -> ShardReport {
    let members = || chain.members.iter().map(|&at| &found.scanned[at]);
    let claims = members().flat_map(|s| &s.scan.pieces).map(|piece| match piece {
        Piece::Commits(commits) => commits.synced,
        Piece::End { line, .. } => line.last_lsn,
        Piece::Commands(_) | Piece::Damage { .. } => 0,
    });
    let began = members().filter_map(|s| s.file.entry.first_lsn).map(|first| first.max(1) - 1);
    let (settled, cut, whole) = match &chain.outcome {
        Ok(judgement) => {
            let sealed = judgement.rulings.iter().all(|ruling| ruling.seal.is_none());
            (Some(judgement.last_lsn), judgement.cut.is_some(), sealed)
        }
        Err(_) => (None, false, false),
    };
    let state = match () {
        () if refused => State::Damaged,
        () if cut || narrowed => State::Torn,
        () if whole => State::Clean,
        () => State::Open,
    };
    ShardReport {
        run: chain.run,
        shard: chain.shard,
        files: chain.members.len(),
        bytes: members().map(|s| s.file.bytes).sum(),
        commits: members().flat_map(commits).map(|c| c.count).sum(),
        lsns: range(members().flat_map(commits)),
        transactions: members().map(|s| s.scan.parts.count).sum(),
        synced: claims.chain(began).max().unwrap_or(0),
        settled,
        state,
    }
}
