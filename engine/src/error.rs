//! Errors of storage, by audience: what failed, where, and at which offset.

use std::{fmt, io, path::PathBuf};

/// A storage operation that failed; `Display` is for the operator.
#[derive(Debug, Clone)]
pub struct StorageError {
    /// What was tried, as a verb: "write", "fdatasync", "rename" ...
    pub op: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// Byte offset, where there is one.
    pub offset: Option<u64>,
    /// The system's error number.
    pub errno: i32,
}

impl StorageError {
    /// From an `io::Error`; errors without a number (short reads) count as EIO.
    pub fn new(op: &'static str, path: impl Into<PathBuf>, source: &io::Error) -> Self {
        Self {
            op,
            path: path.into(),
            offset: None,
            errno: source.raw_os_error().unwrap_or(libc::EIO),
        }
    }

    /// The same with the byte offset it happened at.
    pub fn at(mut self, offset: u64) -> Self {
        self.offset = Some(offset);
        self
    }

    /// The system's words for the error number, as Redis prints them ("No space left on device").
    pub fn reason(&self) -> String {
        let text = io::Error::from_raw_os_error(self.errno).to_string();
        text.split(" (os error").next().unwrap_or_default().to_owned()
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} failed", self.op, self.path.display())?;
        if let Some(offset) = self.offset {
            write!(f, " at offset {offset}")?;
        }
        write!(f, ": {} (errno {})", self.reason(), self.errno)
    }
}

impl std::error::Error for StorageError {}
