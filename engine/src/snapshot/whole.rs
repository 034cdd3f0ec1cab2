//! A data set that stands still -> a snapshot.

use super::{ChunkOptions, ChunkWriter, Draft, Facts, Record, Written};
use crate::{
    error::StorageError,
    io::Storage,
    keyspace::Keyspace,
    limits::GROUPS,
    slot::{group_of_slot, slot_of},
};

/// Bytes after which a chunk is written.
const CHUNK_BYTES: usize = 256 * 1024;
/// Keys taken at once.
const KEYS: usize = 256;

/// Puts all keys into a draft that has just begun and completes it; a draft that fails is given up.
///
/// # Errors
/// The storage's.
pub async fn write_whole<S: Storage>(
    mut draft: Draft<'_, S>,
    keyspaces: &[Keyspace],
    chunks: &ChunkOptions,
    facts: &Facts,
) -> Result<Written, StorageError> {
    let written = fill(&mut draft, keyspaces, chunks, facts).await;
    if written.is_err() {
        // The first error is the one that matters.
        let _ = draft.abandon().await;
    }
    written
}

async fn fill<S: Storage>(
    draft: &mut Draft<'_, S>,
    keyspaces: &[Keyspace],
    chunks: &ChunkOptions,
    facts: &Facts,
) -> Result<Written, StorageError> {
    let databases = keyspaces.iter().map(Keyspace::databases).max().unwrap_or(0);
    for db in 0..databases {
        for (shard, keyspace) in keyspaces.iter().enumerate() {
            let mut writer = ChunkWriter::new(shard as u16, chunks);
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
