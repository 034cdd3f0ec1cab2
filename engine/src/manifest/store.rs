//! The manifest on disk: load, atomic switch, deleting what is no longer listed.
//!
//! Invariant: at every moment, whatever is lost in a crash, the directory holds one manifest that
//! is whole, and every file it lists is there with the bytes it had when it was listed. Knows
//! nothing of what the files contain.

use super::{FormatError, Manifest, Names, Trailer, parse};
use crate::{error::StorageError, io::Storage};
use std::fmt;

/// Largest manifest we read, bytes: far above anything real (a million files).
const MANIFEST_BYTES_MAX: u64 = 256 << 20;

/// Why there is no usable manifest.
#[derive(Debug, Clone)]
pub enum LoadError {
    /// The disk failed.
    Storage(StorageError),
    /// The text is not a manifest.
    Format(FormatError),
}

impl From<StorageError> for LoadError {
    fn from(error: StorageError) -> Self {
        LoadError::Storage(error)
    }
}

/// A switch that failed, by what is known about the outcome.
#[derive(Debug, Clone)]
pub enum SwitchError {
    /// The old manifest is in force.
    Before(StorageError),
    /// Either may be in force after a crash: nothing listed in one of them may be deleted, and
    /// nothing may rely on the new one.
    Unknown(StorageError),
}

impl SwitchError {
    /// What failed.
    pub fn storage(&self) -> &StorageError {
        match self {
            SwitchError::Before(error) | SwitchError::Unknown(error) => error,
        }
    }
}

impl fmt::Display for SwitchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SwitchError::Before(error) => write!(f, "the manifest was not replaced: {error}"),
            SwitchError::Unknown(error) => {
                write!(f, "whether the manifest was replaced is unknown: {error}")
            }
        }
    }
}

/// Reads the manifest; `None` when the directory has none.
pub async fn load<S: Storage>(
    storage: &S,
    names: &Names,
) -> Result<Option<(Manifest, Trailer)>, LoadError> {
    let name = names.manifest();
    if !storage.list().await?.iter().any(|(listed, _)| *listed == name) {
        return Ok(None);
    }
    let file = storage.open(&name).await?;
    let len = storage.len(&file).await?;
    if len > MANIFEST_BYTES_MAX {
        return Err(LoadError::Format(FormatError { line: 0, what: "the file is too large" }));
    }
    let text = storage.read_at(&file, 0, len as usize).await?;
    parse(&text).map(Some).map_err(LoadError::Format)
}

/// Puts `manifest` in force. Every file it lists must be stable: bytes by `sync`, names by
/// `sync_dir`, both before this is called.
pub async fn switch<S: Storage>(
    storage: &S,
    names: &Names,
    manifest: &Manifest,
) -> Result<(), SwitchError> {
    let new = names.new_manifest();
    let text = manifest.print();
    let written = async {
        let file = storage.create(&new).await?;
        storage.write_at(&file, 0, &text).await?;
        // ORDER: the bytes before the name that makes them the manifest; the other way round a
        // crash can leave an empty or torn manifest in force.
        storage.sync(&file).await?;
        storage.rename(&new, &names.manifest()).await
    };
    written.await.map_err(SwitchError::Before)?;
    // ORDER: the new name before anything that relies on it: a commit to a newly listed file, or
    // the removal of one that is listed no more. Until here a crash may bring the old one back.
    storage.sync_dir().await.map_err(SwitchError::Unknown)
}

/// Removes `names`, files that no manifest lists any more, oldest first; missing ones are fine.
/// Stops at the first error: what is left is removed after the next start.
///
/// ORDER: only after [`switch`] returned `Ok` for a manifest without them.
pub async fn remove_unlisted<S: Storage>(
    storage: &S,
    manifest: &Manifest,
    names: &[String],
) -> Result<usize, StorageError> {
    let there = storage.list().await?;
    let mut removed = 0;
    for name in names {
        assert!(!manifest.lists(name), "{name} is listed: removing it would lose data");
        if there.iter().any(|(listed, _)| listed == name) {
            storage.remove(name).await?;
            removed += 1;
        }
    }
    Ok(removed)
}
