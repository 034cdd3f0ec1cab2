//! Cutting a directory to its consistent point and sealing it, as a start would, without one.
//!
//! What a repair may do:
//! * **Torn ends** are cut where recovery cuts them, and every log gets its end-of-log line, by
//!   recovery's own function. Stock Redis then loads the directory.
//! * **Damaged stable data** is cut away only by a caller who accepts the loss: the log of the
//!   shard ends before the damage, what is behind goes. That is a state the shard once had, so
//!   it is refused where it would not be: when a later run or a global command builds on what
//!   would be cut, or when a Redis server does.
//! * Everything else is refused, with the reason.
//!
//! Whatever is removed has been copied and synced elsewhere before ([`set_aside`]). A crash in the
//! middle leaves a directory that the same repair finishes.

use super::{Checked, Finding, Repairable, Severity};
use crate::{
    error::StorageError,
    io::Storage,
    manifest::{Entry, Kind, Names, OurFile, switch},
    recovery::{
        RecoveryError, Refusal,
        judge::{Judged, JudgedChain, Scanned, Verdict, last_run},
        plan::{Plan, Role},
        seal_files, sealed_entry,
        stages::Content,
    },
};
use std::fmt;

/// Bytes copied at once.
const COPY_BYTES: usize = 1 << 20;

/// What happens to one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The file.
    pub file: String,
    /// Bytes kept.
    pub keep: u64,
    /// Bytes cut off.
    pub cut: u64,
    /// How many of them, from `keep` on, are copied aside; what is behind is filler.
    pub worth: u64,
    /// The last LSN of the end-of-log line to be written; `None`: it has one, or needs none.
    pub seal: Option<u64>,
}

/// What a repair will do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repair {
    /// Files that change.
    pub files: Vec<Removal>,
    /// Files that are not there and are listed no more.
    pub unlisted: Vec<String>,
}

impl Repair {
    /// There is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.unlisted.is_empty()
    }

    /// Bytes to be copied aside.
    pub fn worth(&self) -> u64 {
        self.files.iter().map(|file| file.worth).sum()
    }
}

/// Why there is no repair.
#[derive(Debug, Clone)]
pub enum Refused {
    /// It would give up stable data, and the caller has not accepted that.
    Loss(Vec<Finding>),
    /// No cut makes these right.
    Hopeless(Vec<Finding>),
    /// There is no way back to that second.
    NotInTime(String),
    /// The directory cannot be read.
    Storage(StorageError),
}

impl From<StorageError> for Refused {
    fn from(error: StorageError) -> Self {
        Refused::Storage(error)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, findings: &[Finding]| {
            findings.iter().try_for_each(|Finding { kind, file, way_out, .. }| {
                write!(f, "\n  {kind} {file}: {way_out}")
            })
        };
        match self {
            Refused::Loss(findings) => {
                f.write_str("a repair would give up data that had been on stable storage")?;
                list(f, findings)
            }
            Refused::Hopeless(findings) => {
                f.write_str("cutting logs does not repair this")?;
                list(f, findings)
            }
            Refused::NotInTime(why) => f.write_str(why),
            Refused::Storage(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Refused {}

/// Whether a shard's log could end before this damage and be a state that the shard once had.
pub(super) fn forgivable(
    plan: &Plan,
    scanned: &[Scanned],
    judged: &Judged,
    chain: Option<&JudgedChain>,
    error: &RecoveryError,
) -> bool {
    let run = match (&*error.kind, chain) {
        // Something else is wrong with the chain where there are no rulings.
        (Refusal::Rot { .. } | Refusal::Between(_), Some(chain)) => {
            chain.outcome.is_ok().then_some(chain.run)
        }
        (Refusal::Missing, None) => {
            let entry = plan.manifest.files.iter().find(|entry| entry.name == error.file);
            let segment = entry.filter(|entry| entry.kind == Kind::Incr && entry.run.is_some());
            segment.and_then(|entry| entry.run)
        }
        (Refusal::LostTransaction { .. }, _) => last_run(scanned),
        _ => None,
    };
    let Some(run) = run else { return false };
    let listed = plan.manifest.files.iter();
    let mut behind = listed.skip_while(|entry| entry.name != error.file).skip(1);
    let builds_on_it = |entry: &Entry| {
        let there = scanned.iter().find(|scanned| scanned.file.entry.name == entry.name);
        match there.map(|scanned| (scanned.file.role, scanned.run())) {
            Some((Role::Segment { .. }, other)) => other != 0 && other != run,
            Some(_) => true,
            None => entry.kind != Kind::History && entry.run != Some(run),
        }
    };
    // A Redis server's commands had been executed on what would be cut.
    let redis = judged.files.iter().flatten().any(|verdict| {
        matches!(verdict.content, Content::Segment { commands: true, run: of, .. } if of == Some(run))
    });
    judged.taken_over.is_none() && !redis && !behind.any(builds_on_it)
}

impl Checked {
    /// The first thing a server would refuse.
    pub(super) fn first_refusal(&self) -> Option<&RecoveryError> {
        self.refusals.first().or_else(|| self.judged.refusals.first().map(|(_, error)| error))
    }

    /// What a repair would do; nothing has changed when this returns. With `accept_loss` also
    /// where it gives up stable data.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn repair<S: Storage>(
        &self,
        storage: &S,
        names: &Names,
        accept_loss: bool,
    ) -> Result<Repair, Refused> {
        let of = |wanted| {
            let damage = self.report.findings.iter().filter(|f| f.severity == Severity::Damage);
            damage.filter(|f| f.repairable == wanted).cloned().collect::<Vec<_>>()
        };
        let (hopeless, lossy) = (of(Repairable::No), of(Repairable::WithLoss));
        if !hopeless.is_empty() {
            return Err(Refused::Hopeless(hopeless));
        }
        if !(lossy.is_empty() || accept_loss) {
            return Err(Refused::Loss(lossy));
        }
        let mut repair = Repair { unlisted: self.missing(names), files: self.removed.clone() };
        repair.unlisted.extend(self.removed.iter().map(|removal| removal.file.clone()));
        for (scanned, verdict) in self.scanned.iter().zip(self.judged.files.iter().flatten()) {
            let bytes = scanned.file.bytes;
            if verdict.keep < bytes || verdict.seal.is_some() {
                let name = &scanned.file.entry.name;
                repair.files.push(Removal {
                    file: name.clone(),
                    keep: verdict.keep,
                    cut: bytes - verdict.keep,
                    worth: worth(storage, name, verdict.keep, bytes).await?,
                    seal: verdict.seal.map(|line| line.last_lsn),
                });
            }
        }
        Ok(repair)
    }

    fn missing(&self, names: &Names) -> Vec<String> {
        let there = |entry: &Entry| self.scanned.iter().any(|s| s.file.entry.name == entry.name);
        let segment = |name: &str| matches!(names.recognise(name), Some(OurFile::Segment { .. }));
        let listed = self.plan.manifest.files.iter();
        let missing = listed.filter(|e| e.kind == Kind::Incr && segment(&e.name) && !there(e));
        missing.map(|entry| entry.name.clone()).collect()
    }
}

/// Bytes from `keep` on that are more than filler.
async fn worth<S: Storage>(
    storage: &S,
    name: &str,
    keep: u64,
    bytes: u64,
) -> Result<u64, StorageError> {
    let file = storage.open(name).await?;
    let (mut at, mut worth) = (keep, 0);
    while at < bytes {
        let chunk = storage.read_at(&file, at, COPY_BYTES).await?;
        if chunk.is_empty() {
            break;
        }
        if let Some(last) = chunk.iter().rposition(|byte| !b"#.\n".contains(byte)) {
            worth = at - keep + last as u64 + 1;
        }
        at += chunk.len() as u64;
    }
    Ok(worth)
}

/// Copies what a repair will remove, and the manifest, into another directory, and makes the
/// copies stable. Their names say from where: `<file>.from-<offset>`. The names of the copies.
///
/// # Errors
/// The storages'. The directory to be repaired is as it was.
pub async fn set_aside<S: Storage, A: Storage>(
    storage: &S,
    aside: &A,
    names: &Names,
    repair: &Repair,
) -> Result<Vec<String>, StorageError> {
    let manifest = names.manifest();
    let mut copies = Vec::new();
    if storage.list().await?.iter().any(|(name, _)| *name == manifest) {
        let file = storage.open(&manifest).await?;
        let bytes = storage.len(&file).await?;
        copy(storage, aside, &manifest, &manifest, 0..bytes).await?;
        copies.push(manifest);
    }
    for Removal { file, keep, worth, .. } in &repair.files {
        if *worth > 0 {
            let to = format!("{file}.from-{keep}");
            copy(storage, aside, file, &to, *keep..keep + worth).await?;
            copies.push(to);
        }
    }
    aside.sync_dir().await?;
    Ok(copies)
}

async fn copy<S: Storage, A: Storage>(
    storage: &S,
    aside: &A,
    from: &str,
    to: &str,
    range: std::ops::Range<u64>,
) -> Result<(), StorageError> {
    let source = storage.open(from).await?;
    let target = aside.create(to).await?;
    let mut at = range.start;
    while at < range.end {
        let len = COPY_BYTES.min((range.end - at) as usize);
        let chunk = storage.read_at(&source, at, len).await?;
        if chunk.is_empty() {
            break;
        }
        aside.write_at(&target, at - range.start, &chunk).await?;
        at += chunk.len() as u64;
    }
    aside.sync(&target).await
}

/// Does what [`Checked::repair`] said, for the directory as [`super::check`] found it.
///
/// ORDER: only after [`set_aside`] returned: what is cut here is nowhere else.
///
/// # Errors
/// The storage's; the same repair can be tried again from the beginning.
pub async fn carry_out<S: Storage>(
    storage: &S,
    names: &Names,
    checked: &Checked,
    repair: &Repair,
) -> Result<(), RecoveryError> {
    let Checked { plan, scanned, judged, .. } = checked;
    let verdicts: Vec<Verdict> = judged.files.iter().copied().flatten().collect();
    assert_eq!(verdicts.len(), scanned.len(), "a repair exists only when all is judged");
    if !checked.removed.is_empty() {
        // ORDER: what is later is listed no more before anything earlier is cut: the other way round a
        // crash leaves a log that ends, and files that go on behind its end.
        let switched = switch(storage, names, &plan.manifest).await;
        switched.map_err(|error| RecoveryError::from(error.storage().clone()))?;
    }
    seal_files(storage, scanned, &verdicts).await?;
    if !plan.ours && repair.unlisted.is_empty() {
        // A Redis server's list stays its own.
        return Ok(());
    }
    let mut manifest = plan.manifest.clone();
    manifest.files.retain(|entry| !repair.unlisted.contains(&entry.name));
    for entry in &mut manifest.files {
        let at = scanned.iter().position(|scanned| scanned.file.entry.name == entry.name);
        if let Some(at) = at {
            *entry = sealed_entry(&scanned[at], &verdicts[at]);
        }
    }
    // ORDER: behind the cuts. It says where the logs begin and that nothing is prefilled any
    // more, which is true of sealed files only.
    let switched = switch(storage, names, &manifest).await;
    switched.map_err(|error| RecoveryError::from(error.storage().clone()))?;
    for Removal { file, .. } in &checked.removed {
        // They are set aside and listed nowhere.
        storage.remove(file).await?;
    }
    Ok(())
}
