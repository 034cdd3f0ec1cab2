//! RDB files -> keys, by value: verified and loaded in one pass.
//!
//! ```text
//! ours:    chunks (indexed.rs), many readers \
//!                                              rdb::Reader -> intake.rs (values) -> batch.rs -> owner
//! theirs:  one reader (stream.rs)            /
//! ```
//! Whoever reads a file builds the values; a batch is put in by whoever has the shard (`hands.rs`):
//! the same thread, or the shard's loader. The number of shards that wrote the file does not
//! matter. Memory beyond that of the keys: one window and one batch per shard and reader, a few
//! batches per loader.
//!
//! Nothing loaded here may be shown to anybody before the function that loads has returned: the
//! checksum stands at the end.

mod batch;
mod hands;
mod indexed;
mod intake;
mod stream;

use super::{
    Progress, Readers, RecoveryError, Refusal, Team,
    keys::Keys,
    parallel::Shared,
    pieces::{PIECE_BYTES, Pieces},
};
use crate::{
    io::Storage,
    rdb::{Problem, RdbError},
};
use hands::{Loaders, Owners};
pub use intake::Terms;
use intake::{Hand, Intake};

/// What is loaded of a file.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Number of databases.
    pub databases: usize,
    /// Keys whose deadline lies before this are passed over, Unix time in ms: Redis does so with a
    /// snapshot.
    pub alive_at_ms: Option<i64>,
}

impl Rules {
    /// Any number of databases, every key.
    pub const ANY: Self = Self { databases: usize::MAX, alive_at_ms: None };
}

/// True when a file begins as an RDB does, packed or not.
///
/// # Errors
/// It cannot be read.
pub async fn begins_as_rdb<S: Storage>(storage: &S, name: &str) -> Result<bool, RecoveryError> {
    Ok(Pieces::open(storage, name).await?.is_some())
}

fn not_rdb(name: &str) -> RecoveryError {
    let kind = Problem::Expected("REDIS or VALKEY and a version");
    let error = RdbError { offset: 0, key: None, kind };
    RecoveryError::new(name, Refusal::Rdb(error)).at(0)
}

/// How many chunks a file's index has; `None` when there is no index.
///
/// # Errors
/// It cannot be read.
pub async fn chunks<S: Storage>(storage: &S, name: &str) -> Result<Option<u64>, RecoveryError> {
    Ok(indexed::find(storage, name).await?.map(|map| map.chunks()))
}

/// Loads the RDB that a file begins with; its length.
///
/// # Errors
/// It cannot be read, holds what is not loaded, or a key that is there already. What was loaded
/// until then is worth nothing.
pub async fn load<S: Storage, R: Readers>(
    storage: &S,
    team: Option<&Team<'_, R>>,
    name: &str,
    rules: Rules,
    keys: &mut Keys,
    progress: &Progress,
) -> Result<u64, RecoveryError> {
    if !begins_as_rdb(storage, name).await? {
        return Err(not_rdb(name));
    }
    let terms = keys.terms(rules);
    if let Some(map) = indexed::find(storage, name).await? {
        let owners = Owners::new(name, keys, progress);
        return indexed::load(storage, team, &map, &terms, &owners, progress).await;
    }
    let Some(team) = team else {
        let owners = Owners::new(name, keys, progress);
        return stream::load(storage, Intake::new(name, &terms), &mut &owners, progress).await;
    };
    let shared = Shared::new(1);
    let mut length = 0;
    Loaders::lend(name, keys, &shared, progress, |mut loaders| {
        let done = team.readers.run(async |storage| {
            stream::load(storage, Intake::new(name, &terms), &mut loaders, progress).await
        });
        match done.map_err(RecoveryError::from).flatten() {
            Ok(bytes) => length = bytes,
            Err(error) => shared.note(Err(error)),
        }
    });
    shared.outcome()?;
    Ok(length)
}
