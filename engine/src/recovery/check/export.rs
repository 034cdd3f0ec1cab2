//! A loaded data set -> a plain RDB file, which any Redis since 7.0 loads.

use crate::{
    error::StorageError,
    io::Storage,
    keyspace::Keyspace,
    limits::GROUPS,
    slot::{group_of_slot, slot_of},
    snapshot::{
        ChunkOptions, ChunkWriter, Draft, DraftOptions, Facts, Record, Usage, Written, replace,
    },
};

/// Bytes after which a chunk is written.
const CHUNK_BYTES: usize = 256 * 1024;
/// Keys taken at once.
const KEYS: usize = 256;

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
    let options =
        DraftOptions { shards: facts.cut.len(), databases, summed: true, sync_as_it_grows: true };
    let temporary = format!("{name}.temporary");
    let mut draft = Draft::begin(storage, temporary.clone(), options).await?;
    match fill(&mut draft, keyspaces, databases, facts).await {
        Ok(written) => {
            replace(storage, &temporary, name).await?;
            Ok(written)
        }
        Err(error) => {
            // The first error is the one that matters.
            let _ = draft.abandon().await;
            Err(error)
        }
    }
}

async fn fill<S: Storage>(
    draft: &mut Draft<'_, S>,
    keyspaces: &[Keyspace],
    databases: usize,
    facts: &Facts,
) -> Result<Written, StorageError> {
    let chunks = ChunkOptions { compress: true, usage: Usage::Unsaid };
    for db in 0..databases {
        for (shard, keyspace) in keyspaces.iter().enumerate() {
            let mut writer = ChunkWriter::new(shard as u16, &chunks);
            let (mut cursor, mut more) = (0, true);
            while more {
                cursor = keyspace.db(db).scan(cursor, 0..GROUPS, KEYS, &mut |entry| {
                    let group = u16::from(group_of_slot(slot_of(entry.key())));
                    let pushed = writer.push(db as u16, group, Record::from(entry));
                    debug_assert_eq!(pushed, Ok(()), "every value of the keyspace can be written");
                });
                more = cursor != 0;
                let full = writer.bytes() >= CHUNK_BYTES || !more;
                if let Some(chunk) = full.then(|| writer.take()).flatten() {
                    draft.put(chunk).await?;
                }
            }
        }
    }
    draft.finish(facts).await
}
