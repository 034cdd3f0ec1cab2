//! One server per log directory: an exclusive lock on a file in it, held as long as the process
//! lives. The kernel lets go of it however the process ends, so a stale lock cannot exist.

use super::LOCK_FILE;
use crate::error::StorageError;
use std::{
    fmt,
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

/// Held by the server that owns the directory.
#[derive(Debug)]
pub struct DirectoryLock {
    file: File,
}

impl Drop for DirectoryLock {
    fn drop(&mut self) {
        // Closing is not enough while a child process, just forked, still has the descriptor.
        // When this fails the end of the process does it.
        let _ = self.file.unlock();
    }
}

/// Why the directory is not ours.
#[derive(Debug, Clone)]
pub enum LockError {
    /// Somebody else holds it.
    Held {
        /// The directory.
        directory: PathBuf,
        /// The process that said so in the lock file, if it is legible.
        process: Option<u32>,
    },
    /// The lock file cannot be made or locked.
    Storage(StorageError),
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Held { directory, process } => {
                write!(f, "another server")?;
                if let Some(process) = process {
                    write!(f, " (process {process})")?;
                }
                write!(
                    f,
                    " is using the log directory {}: stop it, or give this one a `dir` of its own",
                    directory.display()
                )
            }
            LockError::Storage(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LockError {}

impl DirectoryLock {
    /// Takes the lock of `directory`, which must exist; never waits.
    pub fn acquire(directory: &Path) -> Result<Self, LockError> {
        let path = directory.join(LOCK_FILE);
        let failed = |op| {
            let path = path.clone();
            move |error: std::io::Error| LockError::Storage(StorageError::new(op, path, &error))
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed("open"))?;
        let mut file = lock(file, directory, failed("lock"))?;
        let process = format!("{}\n", std::process::id());
        file.set_len(0).map_err(failed("truncate"))?;
        file.seek(SeekFrom::Start(0)).map_err(failed("seek"))?;
        file.write_all(process.as_bytes()).map_err(failed("write"))?;
        Ok(Self { file })
    }

    /// Keeps servers out while somebody only looks at `directory`: needs no right to write and
    /// leaves no trace. `None` when no server has ever used the directory, so there is no lock.
    ///
    /// # Errors
    /// A server holds it; the lock file cannot be read.
    pub fn observe(directory: &Path) -> Result<Option<Self>, LockError> {
        let path = directory.join(LOCK_FILE);
        let failed = |op| {
            let path = path.clone();
            move |error: std::io::Error| LockError::Storage(StorageError::new(op, path, &error))
        };
        match File::open(&path) {
            Ok(file) => Ok(Some(Self { file: lock(file, directory, failed("lock"))? })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed("open")(error)),
        }
    }
}

fn lock(
    mut file: File,
    directory: &Path,
    failed: impl FnOnce(std::io::Error) -> LockError,
) -> Result<File, LockError> {
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Only to say who it is: the lock is what counts.
            let process =
                file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            Err(LockError::Held { directory: directory.to_owned(), process })
        }
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_one_owner_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let held = DirectoryLock::acquire(directory.path()).unwrap();
        let refused = DirectoryLock::acquire(directory.path()).unwrap_err().to_string();
        let expected = format!("another server (process {})", std::process::id());
        assert!(refused.starts_with(&expected), "{refused}");
        let refused = DirectoryLock::observe(directory.path()).unwrap_err().to_string();
        assert!(refused.starts_with(&expected), "{refused}");
        drop(held);
        let observed = DirectoryLock::observe(directory.path()).unwrap();
        assert!(observed.is_some() && DirectoryLock::acquire(directory.path()).is_err());
        drop(observed);
        assert!(DirectoryLock::acquire(directory.path()).is_ok());
        let nobodys = tempfile::tempdir().unwrap();
        assert!(DirectoryLock::observe(nobodys.path()).unwrap().is_none());
        assert!(!nobodys.path().join(LOCK_FILE).exists(), "looking has left a trace");
    }
}
