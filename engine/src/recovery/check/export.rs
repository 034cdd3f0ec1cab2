//! A loaded data set -> a plain RDB file, which any Redis since 7.0 loads.

use crate::{
    error::StorageError,
    io::Storage,
    keyspace::Keyspace,
    snapshot::{ChunkOptions, Draft, DraftOptions, Facts, Usage, Written, replace, write_whole},
};

/// Writes all keys to the file `name`, which is replaced when everything is stable.
///
/// # Errors
/// The storage's; what was there before is still there.
pub async fn export<S: Storage>(
    storage: &S,
    name: &str,
    keyspaces: &[Keyspace],
    facts: &Facts,
) -> Result<Written, StorageError> {
    let databases = keyspaces.iter().map(Keyspace::databases).max().unwrap_or(0);
    let options = DraftOptions {
        shards: facts.cut.len(),
        databases,
        summed: true,
        packed: false,
        sync_as_it_grows: true,
    };
    let chunks = ChunkOptions { compress: true, usage: Usage::Unsaid };
    let temporary = format!("{name}.temporary");
    let draft = Draft::begin(storage, temporary.clone(), options).await?;
    let written = write_whole(draft, keyspaces, &chunks, facts).await?;
    replace(storage, &temporary, name).await?;
    Ok(written)
}
