//! Looking at a log directory without opening it: what recovery would find, all of it, in numbers;
//! and repairing what recovery would cut.
//!
//! ```text
//! listing, manifest -> plan::survey -> scan_file -> judge::judge -> findings.rs -> report.rs
//!                                                                -> load.rs (keys, digest)
//!                                                                -> repair.rs (cut, seal)
//!                                                   until.rs (a second) -> repair.rs
//! ```
//! No second opinion: what is damage, a torn tail or whole is said by the code that recovery
//! runs, which stops at the first thing to be refused where this goes on. Reading changes nothing.
//! A repair seals with recovery's own function; see `repair.rs` for what it may cut.

mod dump;
mod export;
mod file;
mod findings;
mod load;
mod repair;
mod report;
mod statistics;
mod until;

pub use dump::{Seen, dump};
pub use export::export;
pub use file::{FileContent, check_file};
pub(super) use load::load_keys;
pub use load::{Loaded, load};
pub use repair::{Refused, Removal, Repair, carry_out, set_aside};
pub use report::{FileReport, Finding, Repairable, Report, Severity, ShardReport, State, Stretch};
pub use statistics::{Big, OfDatabase, OfType, Statistics};

use super::{
    Phase, Progress, Readers, RecoveryError, Refusal, Team,
    judge::{self, Judged, Scanned},
    parallel,
    plan::{self, Plan},
    scan_file, stages,
};
use crate::{
    error::StorageError,
    io::Storage,
    manifest::{self, LoadError, Names},
};

/// A directory that was looked at.
pub struct Checked {
    /// What was found.
    pub report: Report,
    plan: Plan,
    scanned: Vec<Scanned>,
    judged: Judged,
    /// What had to be refused before the logs were judged.
    refusals: Vec<RecoveryError>,
    /// Whole files that are later than what is wanted.
    removed: Vec<Removal>,
}

/// Looks at everything. Takes as long as reading all listed files does.
///
/// # Errors
/// The directory cannot be listed. A file that cannot be read is a finding.
pub async fn check<S: Storage, R: Readers>(
    storage: &S,
    team: &Team<'_, R>,
    names: &Names,
    progress: &Progress,
) -> Result<Checked, StorageError> {
    progress.enter(Phase::Plan);
    let listing = storage.list().await?;
    let mut refusals = Vec::new();
    let manifest = match manifest::load(storage, names).await {
        Ok(manifest) => manifest,
        Err(LoadError::Storage(error)) => {
            refusals.push(RecoveryError::from(error));
            None
        }
        Err(LoadError::Format(error)) => {
            refusals.push(RecoveryError::new(names.manifest(), Refusal::Format(error)));
            None
        }
    };
    let unreadable = !refusals.is_empty();
    let (plan, refused) = plan::survey(names, &listing, manifest);
    if !unreadable {
        refusals = refused;
    }
    progress.enter(Phase::Scan);
    progress.set_total(plan.files.iter().map(|file| file.bytes).sum());
    let mut scanned = Vec::with_capacity(plan.files.len());
    for result in scan_all(team, &plan, progress) {
        match result {
            Ok(file) => scanned.push(file),
            Err(error) => refusals.push(error),
        }
    }
    let mut judged = judge::judge(&plan, &scanned);
    judged.check_order(&scanned);
    let found = findings::Found { names, listing: &listing, plan: &plan, scanned: &scanned };
    let report = findings::report(&found, &judged, &refusals);
    progress.enter(Phase::Done);
    Ok(Checked { report, plan, scanned, judged, refusals, removed: Vec::new() })
}

fn scan_all<R: Readers>(
    team: &Team<'_, R>,
    plan: &Plan,
    progress: &Progress,
) -> Vec<Result<Scanned, RecoveryError>> {
    let count = plan.files.len();
    let all = parallel::for_each(team, count, async |storage, at| {
        let last = at + 1 == count;
        // How many databases a server would have is unknown here.
        let rules = super::load::Rules::ANY;
        Ok(scan_file(storage, &plan.files[at], None, last, rules, progress).await)
    });
    all.unwrap_or_else(|error| vec![Err(error)])
}

impl Judged {
    /// What only the order of replay shows.
    fn check_order(&mut self, scanned: &[Scanned]) {
        let known: Option<Vec<_>> = self.files.iter().map(|v| v.map(|v| v.content)).collect();
        let names: Vec<_> = scanned.iter().map(|s| s.file.entry.name.as_str()).collect();
        if let Some(contents) = known
            && let Err(error) = stages::stages(&contents, &names)
        {
            self.refusals.push((None, error));
        }
    }
}
