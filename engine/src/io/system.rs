//! Storage by plain system calls: every call blocks its thread, every future is ready at once.
//!
//! For threads that have nothing else to do: the readers of a recovery, which read file after file
//! from end to end. An executor per reader bought nothing there, and once in some five hundred
//! recoveries one of several executors created side by side never woke again
//! (docs/design/0005). Knows nothing of executors.

use super::{FileId, Method, Storage};
use crate::error::StorageError;
use std::{
    fs::{File, OpenOptions},
    io,
    os::{
        fd::{AsRawFd, IntoRawFd},
        unix::fs::{FileExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    pin::pin,
    task::{Context, Poll, Waker},
};

/// The files of one directory.
#[derive(Debug, Clone)]
pub struct SystemStorage {
    dir: PathBuf,
    writable: bool,
}

/// An open file and its path.
#[derive(Debug)]
pub struct SystemFile {
    file: File,
    path: PathBuf,
}

impl SystemStorage {
    /// The files of `dir`, which must exist.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), writable: true }
    }

    /// The same for looking only: works without the right to write, and refuses to.
    pub fn read_only(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), writable: false }
    }

    fn read_write(&self) -> OpenOptions {
        let mut options = OpenOptions::new();
        options.read(true).write(self.writable);
        options
    }

    /// Names may change here.
    fn may_change(&self, op: &'static str, path: &Path) -> Result<(), StorageError> {
        let read_only = || io::Error::from_raw_os_error(libc::EROFS);
        if self.writable { Ok(()) } else { Err(StorageError::new(op, path, &read_only())) }
    }

    fn with(
        &self,
        name: &str,
        op: &'static str,
        options: &OpenOptions,
    ) -> Result<SystemFile, StorageError> {
        let path = self.dir.join(name);
        let file = options.open(&path).map_err(|e| StorageError::new(op, &path, &e))?;
        Ok(SystemFile { file, path })
    }
}

/// Runs a future of [`SystemStorage`] calls alone, which never waits.
pub fn run_ready<T>(work: impl Future<Output = T>) -> T {
    let work = pin!(work);
    match work.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("blocking calls are done when they return"),
    }
}

fn told<T>(result: io::Result<T>, op: &'static str, file: &SystemFile) -> Result<T, StorageError> {
    result.map_err(|e| StorageError::new(op, &file.path, &e))
}

impl Storage for SystemStorage {
    type File = SystemFile;

    async fn create(&self, name: &str) -> Result<SystemFile, StorageError> {
        self.may_change("create", &self.dir.join(name))?;
        self.with(name, "create", self.read_write().create(true).truncate(true))
    }

    async fn open(&self, name: &str) -> Result<SystemFile, StorageError> {
        self.with(name, "open", &self.read_write())
    }

    async fn len(&self, file: &SystemFile) -> Result<u64, StorageError> {
        Ok(told(file.file.metadata(), "stat", file)?.len())
    }

    async fn read_at(
        &self,
        file: &SystemFile,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, StorageError> {
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while filled < len {
            let at = offset + filled as u64;
            match file.file.read_at(&mut bytes[filled..], at) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(StorageError::new("read", &file.path, &e).at(at)),
            }
        }
        bytes.truncate(filled);
        Ok(bytes)
    }

    async fn write_at(
        &self,
        file: &SystemFile,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), StorageError> {
        told(file.file.write_all_at(bytes, offset), "write", file).map_err(|e| e.at(offset))
    }

    async fn truncate(&self, file: &SystemFile, len: u64) -> Result<(), StorageError> {
        told(file.file.set_len(len), "ftruncate", file)
    }

    async fn reserve(&self, file: &SystemFile, len: u64) -> Result<(), StorageError> {
        let fd = file.file.as_raw_fd();
        // SAFETY: a valid descriptor; the call takes no pointers.
        let failed =
            unsafe { libc::fallocate(fd, libc::FALLOC_FL_KEEP_SIZE, 0, len as libc::off_t) } != 0;
        let result = if failed { Err(io::Error::last_os_error()) } else { Ok(()) };
        match result {
            // A file system that cannot reserve: a full disk is met by the write then.
            Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
            result => told(result, "fallocate", file),
        }
    }

    async fn sync(&self, file: &SystemFile) -> Result<(), StorageError> {
        told(file.file.sync_all(), "fsync", file)
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let from = self.dir.join(from);
        self.may_change("rename", &from)?;
        std::fs::rename(&from, self.dir.join(to)).map_err(|e| StorageError::new("rename", from, &e))
    }

    async fn remove(&self, name: &str) -> Result<(), StorageError> {
        let path = self.dir.join(name);
        self.may_change("unlink", &path)?;
        std::fs::remove_file(&path).map_err(|e| StorageError::new("unlink", path, &e))
    }

    async fn sync_dir(&self) -> Result<(), StorageError> {
        let synced = File::open(&self.dir).and_then(|dir| dir.sync_all());
        synced.map_err(|e| StorageError::new("sync of directory", &self.dir, &e))
    }

    async fn list(&self) -> Result<Vec<(String, u64)>, StorageError> {
        super::glommio::list(&self.dir).map_err(|e| StorageError::new("listing", &self.dir, &e))
    }

    fn open_for_ring(&self, name: &str, method: Method) -> Result<FileId, StorageError> {
        let flags = match method {
            Method::Buffered => 0,
            Method::Direct => libc::O_DIRECT,
        };
        let file = self.with(name, "open", self.read_write().custom_flags(flags))?;
        Ok(file.file.into_raw_fd())
    }

    fn close_for_ring(&self, file: FileId) {
        // SAFETY: the descriptor came from `open_for_ring`, and its owner gives it up here.
        unsafe { libc::close(file) };
    }
}
