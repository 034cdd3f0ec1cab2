//! From a log directory to keys, or a refusal that says exactly what is missing.
//!
//! ```text
//! manifest + listing -> plan.rs (what to read) -> load/ (the snapshot the log builds on)
//!   -> scan.rs (what stands in the logs; rdb.rs)
//!   -> judge.rs (chain.rs: where each shard's log ends; foreign.rs: a stock server's files;
//!      transactions.rs: what several logs have only together)
//!   -> seal (cut, end-of-log line, sync: all logs, before anything else)
//!   -> stages.rs (order; a delta before the logs behind it) -> replay.rs / parallel.rs -> keys.rs
//!   -> open.rs (this run's first segments, the new manifest, leftovers deleted)
//! ```
//! What is promised:
//! * Nothing on disk changes before everything has been judged: a refusal leaves the directory as
//!   it was found.
//! * A recovered log is never appended to. It is sealed before this run writes anything, so a
//!   crash in the middle of recovery, however often, leads to the same keys.
//! * Stable data is never dropped in silence: what a commit, an end-of-log line or the manifest
//!   proves to have been synced is there, or the server does not start.
//! * The number of shards that wrote the log does not matter.
//!
//! `check/` looks at a directory with the same code and says everything it finds.

mod adopt;
mod again;
mod begin;
mod chain;
pub mod check;
mod cutting;
mod error;
mod foreign;
mod functions;
mod judge;
mod keys;
mod load;
mod open;
mod parallel;
mod pieces;
mod plan;
mod progress;
mod rdb;
mod replay;
mod scan;
mod snapshot;
mod stages;
mod start;
mod summary;
mod transactions;

pub use again::{draft_base, publish_base, read_log, read_snapshot, verify_snapshot};
pub use begin::{Begun, begin};
pub use chain::Cut;
pub use error::{Proof, RecoveryError, Refusal};
pub use open::{Closed, Opened, Opening, open};
pub use parallel::{Readers, Team};
pub use progress::{Pace, Phase, Progress};
pub use scan::Fault;
pub use snapshot::load_snapshot;
pub use start::{Start, StartError, Started, start};
pub use summary::Summary;
pub use transactions::TransactionCut;

use crate::{
    aof::{header::END_BYTES, reader::Expect, seal_segment},
    command::OwnedArgs,
    io::{Method, Storage},
    keyspace::{KeyHasher, Keyspace, Tracking},
    limits::DELTA_SHARD,
    manifest::{self, Entry, GLOBAL_SHARD, LoadError, Manifest, Names},
    snapshot::DELTA_NUMBER,
    types::Limits,
};
use judge::{Scanned, Verdict, Verdicts};
use keys::Keys;
use load::Rules;
use parallel::Alone;
use plan::{Plan, PlannedFile, Role};
use replay::{Part, Sealed, replay_file};
use stages::Stage;

/// What recovery must know of the server that starts.
#[derive(Debug, Clone)]
pub struct Options {
    /// Names of the files.
    pub names: Names,
    /// Number of shards from now on.
    pub shards: usize,
    /// Number of databases (`databases`).
    pub databases: usize,
    /// The hasher of all shards.
    pub hasher: KeyHasher,
    /// When small collections become big: those of the server, or OBJECT ENCODING would change
    /// with a restart.
    pub limits: Limits,
    /// What is kept about the use of keys.
    pub tracking: Tracking,
    /// Unix time, ms. Nothing expires during replay; only relative deadlines need it.
    pub now_ms: i64,
}

/// A recovered data set, and what is needed to open its directory for writing.
pub struct Recovered {
    /// The keys, one keyspace per shard.
    pub keyspaces: Vec<Keyspace>,
    /// Changes of function libraries, in their order.
    pub functions: Vec<OwnedArgs>,
    /// The files that hold them, all sealed; with the next free number and the last epoch.
    pub manifest: Manifest,
    /// What was found.
    pub summary: Summary,
    /// Files to be deleted once the next manifest is stable.
    leftovers: Vec<String>,
    /// There is a manifest.
    found: bool,
}

/// Reads the whole directory on the calling thread.
///
/// # Errors
/// As [`recover_with`].
pub async fn recover<S: Storage>(
    storage: &S,
    options: &Options,
    progress: &Progress,
) -> Result<Recovered, RecoveryError> {
    recover_with::<S, Alone<S>>(storage, None, options, progress).await
}

/// Reads the whole directory with the threads of a team, which are gone when it returns. Nothing
/// of the directory has changed when this fails before sealing, and never anything that a second
/// attempt would judge differently.
///
/// # Errors
/// Why the server must not start, in one sentence for its operator.
pub async fn recover_with<S: Storage, R: Readers>(
    storage: &S,
    team: Option<&Team<'_, R>>,
    options: &Options,
    progress: &Progress,
) -> Result<Recovered, RecoveryError> {
    progress.enter(Phase::Plan);
    let plan = read_plan(storage, &options.names).await?;
    progress.set_total(plan.files.iter().map(|file| file.bytes).sum());
    progress.enter(Phase::Load);
    let mut keys = Keys::new(options);
    let loaded = load_first(storage, team, &plan, &mut keys, progress).await?;
    progress.enter(Phase::Scan);
    let rules = keys.rules_of_base();
    let scanned = scan_files(storage, team, &plan, loaded, rules, progress).await?;
    let verdicts = judge::judge(&plan, &scanned).strict()?;
    let contents: Vec<_> = verdicts.files.iter().map(|verdict| verdict.content).collect();
    let names: Vec<_> = scanned.iter().map(|s| s.file.entry.name.as_str()).collect();
    let stages = stages::stages(&contents, &names)?;
    progress.enter(Phase::Seal);
    // ORDER: every log is cut and sealed before the first key is shown to anybody and before
    // this run writes its first byte: what was cut can never come back.
    let sealed = seal_files(storage, &scanned, &verdicts.files).await?;
    progress.enter(Phase::Replay);
    progress.set_total(replay_bytes(&stages, &sealed));
    for stage in &stages {
        replay_stage(storage, team, stage, &sealed, &mut keys, progress).await?;
        if *stage == Stage::Commands(0) && scanned[0].file.role == Role::Base {
            // What comes now, a delta first, has changed since the base.
            keys.are_base();
        }
    }
    Ok(finish(plan, &scanned, &verdicts, keys, progress))
}

async fn read_plan<S: Storage>(storage: &S, names: &Names) -> Result<Plan, RecoveryError> {
    let listing = storage.list().await?;
    let manifest = match manifest::load(storage, names).await {
        Ok(manifest) => manifest,
        Err(LoadError::Storage(error)) => return Err(error.into()),
        Err(LoadError::Format(error)) => {
            // Row C.
            return Err(RecoveryError::new(names.manifest(), Refusal::Format(error)));
        }
    };
    plan::plan(names, &listing, manifest)
}

/// Loads the RDB that the first file begins with, which nothing comes before: so it is read once,
/// not once to be verified and once to be loaded. Its length, `None` when there is none.
async fn load_first<S: Storage, R: Readers>(
    storage: &S,
    team: Option<&Team<'_, R>>,
    plan: &Plan,
    keys: &mut Keys,
    progress: &Progress,
) -> Result<Option<u64>, RecoveryError> {
    let Some(first) = plan.files.first() else { return Ok(None) };
    let name = &first.entry.name;
    let theirs = matches!(first.role, Role::Base | Role::Foreign);
    if !theirs || !load::begins_as_rdb(storage, name).await? {
        return Ok(None);
    }
    let rules = keys.rules_of_base();
    load::load(storage, team, name, rules, keys, progress).await.map(Some)
}

/// `loaded`: how much of the first file is an RDB that has been loaded.
async fn scan_files<S: Storage, R: Readers>(
    storage: &S,
    team: Option<&Team<'_, R>>,
    plan: &Plan,
    loaded: Option<u64>,
    rules: Rules,
    progress: &Progress,
) -> Result<Vec<Scanned>, RecoveryError> {
    let loaded = |at| loaded.filter(|_| at == 0);
    if let Some(team) = team {
        return parallel::for_each(team, plan.files.len(), async |storage, at| {
            scan_to_recover(storage, plan, at, loaded(at), rules, progress).await
        });
    }
    let mut scanned = Vec::with_capacity(plan.files.len());
    for at in 0..plan.files.len() {
        scanned.push(scan_to_recover(storage, plan, at, loaded(at), rules, progress).await?);
    }
    Ok(scanned)
}

async fn scan_to_recover<S: Storage>(
    storage: &S,
    plan: &Plan,
    at: usize,
    loaded: Option<u64>,
    rules: Rules,
    progress: &Progress,
) -> Result<Scanned, RecoveryError> {
    let last = at + 1 == plan.files.len();
    let mut scanned = scan_file(storage, &plan.files[at], loaded, last, rules, progress).await?;
    scanned.scan.parts.forget_stable();
    Ok(scanned)
}

async fn scan_file<S: Storage>(
    storage: &S,
    file: &PlannedFile,
    loaded: Option<u64>,
    last: bool,
    rules: Rules,
    progress: &Progress,
) -> Result<Scanned, RecoveryError> {
    let name = &file.entry.name;
    let ours = !matches!(file.role, Role::Base | Role::Foreign);
    let from = match loaded {
        Some(bytes) => {
            progress.scanned(bytes);
            bytes
        }
        None if ours => 0,
        None => rdb::scan(storage, name, rules, progress).await?,
    };
    let gap_max = if ours { scan::STOCK_ANNOTATION_BYTES_MAX } else { u64::MAX };
    let expect = expect(file.role, file.entry.run);
    let range = from..file.bytes;
    let mut scan = scan::scan(storage, name, range, expect, gap_max, progress).await?;
    if ours && last {
        let made = file.entry.bytes.filter(|_| file.entry.method == Some(Method::Direct));
        scan::find_overwritten(storage, name, file.bytes, made, &mut scan, progress).await?;
    }
    Ok(Scanned { file: file.clone(), from, loaded: loaded.is_some(), scan })
}

/// What the commits of a file must be bound to. Nothing is bound to a stock server's file.
fn expect(role: Role, run: Option<u64>) -> Expect {
    let (shard, seq) = match role {
        Role::Segment { number, shard } => (shard, number),
        Role::Global { number } => (GLOBAL_SHARD, number),
        Role::Delta { .. } => (DELTA_SHARD, DELTA_NUMBER),
        Role::Base | Role::Foreign => (GLOBAL_SHARD, 0),
    };
    Expect { shard, seq, run, next_lsn: None }
}

async fn seal_files<S: Storage>(
    storage: &S,
    scanned: &[Scanned],
    verdicts: &[Verdict],
) -> Result<Vec<Sealed>, RecoveryError> {
    // ORDER: valid commits go from the last file to the first, each cut stable before the next, and
    // all of them before the first end-of-log line. A crash in between leaves logs that have only
    // become shorter: had an earlier file been cut first, what still stands in a later one would
    // look like proof that the disk had lost what was cut.
    for (scanned, verdict) in scanned.iter().zip(verdicts).rev() {
        if verdict.cuts_commits {
            cutting::cut(storage, scanned, verdict.keep).await?;
        }
    }
    let mut sealed = Vec::with_capacity(scanned.len());
    for (scanned, verdict) in scanned.iter().zip(verdicts) {
        let bytes = seal_file(storage, scanned, verdict).await?;
        sealed.push(to_replay(scanned, bytes));
    }
    storage.sync_dir().await?;
    Ok(sealed)
}

/// A file to be replayed up to `bytes`.
fn to_replay(scanned: &Scanned, bytes: u64) -> Sealed {
    Sealed {
        name: scanned.file.entry.name.clone(),
        bytes,
        from: scanned.from,
        loaded: scanned.loaded,
        expect: expect(scanned.file.role, Some(scanned.run()).filter(|&run| run != 0)),
    }
}

/// Makes a file what the verdict says; its length afterwards.
async fn seal_file<S: Storage>(
    storage: &S,
    scanned: &Scanned,
    verdict: &Verdict,
) -> Result<u64, RecoveryError> {
    let file = storage.open(&scanned.file.entry.name).await?;
    if let Some(line) = verdict.seal {
        seal_segment(storage, &file, verdict.keep, &line).await?;
        return Ok(verdict.keep + END_BYTES as u64);
    }
    if verdict.keep < scanned.file.bytes {
        storage.truncate(&file, verdict.keep).await?;
    }
    // ORDER: also what looks as it should: a killed server leaves bytes in the page cache that
    // were never synced, and what is shown now must survive the next power cut.
    storage.sync(&file).await?;
    Ok(verdict.keep)
}

fn replay_bytes(stages: &[Stage], sealed: &[Sealed]) -> u64 {
    let bytes = |at: &usize| sealed[*at].bytes;
    let of_stage = |stage: &Stage| match stage {
        Stage::Epoch(shards) => shards.iter().flatten().map(bytes).sum(),
        Stage::Global(at) | Stage::Commands(at) => bytes(at),
    };
    stages.iter().map(of_stage).sum()
}

async fn replay_stage<S: Storage, R: Readers>(
    storage: &S,
    team: Option<&Team<'_, R>>,
    stage: &Stage,
    sealed: &[Sealed],
    keys: &mut Keys,
    progress: &Progress,
) -> Result<(), RecoveryError> {
    match stage {
        Stage::Epoch(chains) => {
            if let Some(team) = team {
                return parallel::replay_epoch(team, chains, sealed, keys, progress);
            }
            for &at in chains.iter().flatten() {
                replay_file(storage, &sealed[at], Part::Commits, keys, progress).await?;
            }
            Ok(())
        }
        Stage::Global(at) => {
            replay_file(storage, &sealed[*at], Part::Commits, keys, progress).await
        }
        Stage::Commands(at) => {
            let Sealed { name, from, loaded, .. } = &sealed[*at];
            if *from > 0 && !loaded {
                let rules = keys.rules_of_base();
                load::load(storage, team, name, rules, keys, progress).await?;
            }
            replay_file(storage, &sealed[*at], Part::Commands, keys, progress).await
        }
    }
}

/// The line of a sealed file.
fn sealed_entry(scanned: &Scanned, verdict: &Verdict) -> Entry {
    let mut entry = scanned.file.entry.clone();
    entry.first_lsn = verdict.first_lsn;
    // What was prefilled or reserved is cut off.
    entry.bytes = None;
    entry.method = None;
    entry
}

fn finish(
    plan: Plan,
    scanned: &[Scanned],
    verdicts: &Verdicts,
    keys: Keys,
    progress: &Progress,
) -> Recovered {
    let functions = keys.functions().take();
    let keyspaces = keys.into_keyspaces();
    let mut manifest = plan.manifest;
    manifest.files = Vec::with_capacity(scanned.len());
    let mut leftovers = plan.leftovers;
    for (scanned, verdict) in scanned.iter().zip(&verdicts.files) {
        if verdict.is_empty() {
            // Its end-of-log line proves nothing that the file with that LSN does not.
            leftovers.push(scanned.file.entry.name.clone());
            continue;
        }
        manifest.files.push(sealed_entry(scanned, verdict));
    }
    let bytes_of = |is: fn(Role) -> bool| {
        scanned.iter().filter(|s| is(s.file.role)).map(|s| s.file.bytes).sum()
    };
    let summary = Summary {
        files: scanned.len(),
        bytes: progress.bytes_total(),
        base_bytes: bytes_of(|role| role == Role::Base),
        delta_bytes: bytes_of(|role| matches!(role, Role::Delta { .. })),
        commits: verdicts.files.iter().map(|verdict| verdict.commits).sum(),
        commands: progress.commands(),
        phases: progress.times(),
        loaded: progress.keys(),
        keys: keyspaces.iter().map(|keyspace| keyspace.len() as u64).sum(),
        cuts: verdicts.cuts.clone(),
        transaction_cuts: verdicts.transaction_cuts.clone(),
        torn_history: verdicts.torn_history,
        taken_over: verdicts.taken_over.clone(),
        adopted: None,
        ours: plan.ours,
        leftovers: leftovers.len(),
    };
    Recovered { keyspaces, functions, manifest, summary, leftovers, found: plan.found }
}
