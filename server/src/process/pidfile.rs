//! `pidfile`: holds the process' number while the server runs.

use std::{fs, path::PathBuf};

/// A written pidfile; dropping it removes the file.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
}

impl PidFile {
    /// Writes the file, if one is asked for. A relative path counts from the working directory.
    ///
    /// # Errors
    /// It cannot be written: whoever relies on it would look after another process.
    pub fn write(path: &str) -> Result<Option<Self>, String> {
        if path.is_empty() {
            return Ok(None);
        }
        fs::write(path, format!("{}\n", std::process::id()))
            .map_err(|error| format!("cannot write pidfile {path}: {error}"))?;
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.into());
        Ok(Some(Self { path }))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        tracing::info!("Removing the pid file.");
        // Gone already is as good.
        let _ = fs::remove_file(&self.path);
    }
}
