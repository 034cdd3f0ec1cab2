//! `quire-check export FROM TO`: any data directory, log directory or RDB file as one plain RDB
//! file, which any Redis since 7.0 loads.

use super::snapshot::parts;
use crate::families::functions::replayed;
use quire_engine::{
    command::OwnedArgs,
    io::system::{SystemStorage, run_ready},
    keyspace::Keyspace,
    recovery::check::export,
    snapshot::Facts,
};
use std::{
    io::Write,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

/// The version of Redis whose format it is.
const REDIS_VERSION: &str = "7.0.15";

/// Writes the keys to the file `to` and says so.
///
/// # Errors
/// One sentence: what could not be written.
pub fn write(keyspaces: &[Keyspace], functions: &[OwnedArgs], to: &Path) -> Result<(), String> {
    let (directory, name) = parts(to)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let facts = Facts {
        redis_version: REDIS_VERSION.to_owned(),
        created_s: now.as_secs() as i64,
        used_memory: keyspaces.iter().map(Keyspace::memory_bytes).sum::<usize>() as u64,
        run: None,
        cut: Vec::new(),
        functions: replayed(functions)?.libraries().map(|of| of.source.clone()).collect(),
    };
    let storage = SystemStorage::new(&directory);
    let written = run_ready(export(&storage, &name, keyspaces, &facts));
    let written = written.map_err(|error| error.to_string())?;
    let (keys, bytes) = (written.keys, written.bytes);
    let _ = writeln!(std::io::stdout(), "{}: {keys} keys, {bytes} bytes", to.display());
    Ok(())
}
