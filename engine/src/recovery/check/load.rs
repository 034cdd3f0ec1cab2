//! Loading a directory into memory without changing it: what a server would have after a start.

use super::{Checked, Statistics};
use crate::{
    command::OwnedArgs,
    digest::Digest,
    io::Storage,
    keyspace::Keyspace,
    recovery::{
        Options, Phase, Progress, Readers, RecoveryError, Team, judge::Verdict, keys::Keys,
        replay::Sealed, replay_bytes, replay_stage, stages, to_replay,
    },
};

/// What a server would have after a start.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Keys.
    pub keys: u64,
    /// Commands they came from.
    pub commands: u64,
    /// DEBUG DIGEST of the data set.
    pub digest: String,
    /// What it consists of.
    pub statistics: Statistics,
    /// Changes of function libraries, in their order.
    pub functions: Vec<OwnedArgs>,
}

/// Loads what recovery would keep; what it is, and its keys. The directory stays as it is.
///
/// # Errors
/// What a server would refuse: the first such thing that [`super::check`] found, or a command that
/// cannot be replayed, which only loading shows.
pub async fn load<S: Storage, R: Readers>(
    storage: &S,
    team: &Team<'_, R>,
    checked: &Checked,
    options: &Options,
    progress: &Progress,
) -> Result<(Loaded, Vec<Keyspace>), RecoveryError> {
    let keys = load_keys(storage, team, checked, options, progress).await?;
    Ok(loaded(keys, options.now_ms, progress))
}

/// The keys alone.
pub(in crate::recovery) async fn load_keys<S: Storage, R: Readers>(
    storage: &S,
    team: &Team<'_, R>,
    checked: &Checked,
    options: &Options,
    progress: &Progress,
) -> Result<Keys, RecoveryError> {
    if let Some(error) = checked.first_refusal() {
        return Err(error.clone());
    }
    let verdicts: Vec<_> = checked.judged.files.iter().flatten().collect();
    let contents: Vec<_> = verdicts.iter().map(|verdict| verdict.content).collect();
    let names: Vec<_> = checked.scanned.iter().map(|s| s.file.entry.name.as_str()).collect();
    let stages = stages::stages(&contents, &names)?;
    let as_kept = |(scanned, verdict): (_, &&Verdict)| to_replay(scanned, verdict.keep);
    let kept: Vec<Sealed> = checked.scanned.iter().zip(&verdicts).map(as_kept).collect();
    progress.enter(Phase::Replay);
    progress.set_total(replay_bytes(&stages, &kept));
    let mut keys = Keys::new(options);
    for stage in &stages {
        replay_stage(storage, Some(team), stage, &kept, &mut keys, progress).await?;
    }
    progress.enter(Phase::Done);
    Ok(keys)
}

/// What was loaded, and the keys themselves.
pub(super) fn loaded(mut keys: Keys, now_ms: i64, progress: &Progress) -> (Loaded, Vec<Keyspace>) {
    let digest = digest(&mut keys).hex();
    let functions = keys.functions().take();
    let keyspaces = keys.into_keyspaces();
    let count = keyspaces.iter().map(|keyspace| keyspace.len() as u64).sum();
    let statistics = Statistics::of(&keyspaces, now_ms);
    (
        Loaded { keys: count, commands: progress.commands(), digest, statistics, functions },
        keyspaces,
    )
}

fn digest(keys: &mut Keys) -> Digest {
    let databases = keys.databases();
    let shards = keys.shards_mut();
    let of_database = |db: usize| {
        let parts = shards.iter().filter_map(|shard| shard.digest(db));
        parts.reduce(Digest::xor).map(|digest| (db as u32, digest))
    };
    Digest::of_databases((0..databases).filter_map(of_database))
}
