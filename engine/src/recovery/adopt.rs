//! A log as Redis before version 7 kept it: one file beside where the log directory is. It becomes
//! the base of a log directory, as Redis 7 makes it.
//!
//! | | beside | in the directory | decision |
//! |---|---|---|---|
//! | a | no such file | | nothing to do |
//! | b | the file | nothing of a log | list it, then move it in |
//! | c | the file | a manifest that lists it alone, and it is not there | a crash between the two steps of b: move it in |
//! | d | the file | anything else | it is an old copy: leave it alone |
//!
//! Knows nothing of what the file holds: that is judged as any base is.

use super::RecoveryError;
use crate::{
    error::StorageError,
    io::Storage,
    manifest::{self, Entry, Kind, Manifest, Names},
};
use std::{fs, path::Path};

/// Makes `directory` a log directory whose base is the file `old`, if it is to become that; true
/// when it was moved. The caller has the directory's lock.
///
/// # Errors
/// The storage's. A second attempt goes on where this one ended.
pub async fn adopt<S: Storage>(
    storage: &S,
    directory: &Path,
    old: &Path,
    names: &Names,
) -> Result<bool, RecoveryError> {
    // Row a; a directory of that name is none of ours.
    let Some(name) = old.file_name().and_then(|name| name.to_str()).filter(|_| old.is_file())
    else {
        return Ok(false);
    };
    let listing = storage.list().await?;
    let is_there = listing.iter().any(|(listed, _)| listed == name);
    match manifest::load(storage, names).await {
        Ok(None) if !listing.iter().any(|(listed, _)| names.is_log_file(listed)) => {
            // ORDER: the list before the file: with the file there and no list, nobody would know
            // whether it is the data set.
            let manifest =
                Manifest { files: vec![Entry::new(name, 1, Kind::Base)], ..Manifest::default() };
            let switched = manifest::switch(storage, names, &manifest).await;
            switched.map_err(|error| RecoveryError::from(error.storage().clone()))?;
        }
        Ok(Some((manifest, _))) if !is_there && lists_alone(&manifest, name) => {}
        // Row d, and what recovery refuses.
        _ => return Ok(false),
    }
    let told = |op, path: &Path, result: std::io::Result<()>| {
        result.map_err(|error| RecoveryError::from(StorageError::new(op, path, &error)))
    };
    told("rename", old, fs::rename(old, directory.join(name)))?;
    // ORDER: the name in the directory before the one beside it goes for good.
    storage.sync_dir().await?;
    if let Some(beside) = old.parent() {
        let beside = if beside.as_os_str().is_empty() { Path::new(".") } else { beside };
        told("sync", beside, fs::File::open(beside).and_then(|folder| folder.sync_all()))?;
    }
    Ok(true)
}

fn lists_alone(manifest: &Manifest, name: &str) -> bool {
    matches!(manifest.files.as_slice(), [only] if only.kind == Kind::Base && only.name == name)
}
