//! The real disk: files of one directory, through glommio.
//!
//! Every call runs inside a `LocalExecutor` the caller owns (a storage executor, never a shard
//! thread); no executor is created here. Small or unaligned accesses go through the page cache,
//! large aligned writes past it, so that filling a segment leaves no dirty pages behind.
//! Alignment is always the log block: what sysfs says of it is not to be trusted. Does not know
//! what the files mean, and checks no kernel features: whoever starts the executor does.

use super::{FileId, Method, Storage};
use crate::{error::StorageError, limits::LOG_BLOCK_BYTES};
use glommio::{
    GlommioError,
    io::{BufferedFile, Directory, DmaFile, OpenOptions},
};
use std::{
    cell::RefCell,
    ffi::CString,
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    rc::Rc,
};

/// Aligned writes of at least this go past the page cache, bytes.
const DIRECT_BYTES_MIN: usize = 64 * 1024;
/// Bytes read or written by one request to the kernel.
const CHUNK_BYTES: usize = 1024 * 1024;

/// The files of one directory.
#[derive(Debug, Clone)]
pub struct GlommioStorage {
    dir: PathBuf,
}

#[derive(Debug, Clone)]
enum Direct {
    /// Not tried yet.
    Untried,
    Open(Rc<DmaFile>),
    /// The file system refuses.
    Refused,
}

/// An open file.
#[derive(Debug)]
pub struct GlommioFile {
    path: PathBuf,
    buffered: BufferedFile,
    direct: RefCell<Direct>,
}

fn failed(op: &'static str, path: &Path, error: &GlommioError<()>) -> StorageError {
    let errno = error.raw_os_error().unwrap_or(libc::EIO);
    StorageError { op, path: path.to_owned(), offset: None, errno }
}

impl GlommioStorage {
    /// The files of `dir`, which is created (and its name synced) where it does not exist.
    ///
    /// # Errors
    /// Creating it or syncing its parent failed.
    pub async fn open_or_create(dir: &Path) -> Result<Self, StorageError> {
        if !dir.is_dir() {
            let made = dir.to_owned();
            let result =
                glommio::executor().spawn_blocking(move || std::fs::create_dir_all(made)).await;
            result.map_err(|e| StorageError::new("mkdir", dir, &e))?;
            let parent = match dir.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            sync_dir(parent).await?;
        }
        Ok(Self { dir: dir.to_owned() })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    async fn open_with(
        &self,
        op: &'static str,
        name: &str,
        create: bool,
    ) -> Result<GlommioFile, StorageError> {
        let path = self.dir.join(name);
        let buffered = OpenOptions::new()
            .read(true)
            .write(true)
            .create(create)
            .truncate(create)
            .buffered_open(&path)
            .await
            .map_err(|e| failed(op, &path, &e))?;
        Ok(GlommioFile { path, buffered, direct: RefCell::new(Direct::Untried) })
    }
}

async fn sync_dir(dir: &Path) -> Result<(), StorageError> {
    let opened = Directory::open(dir).await.map_err(|e| failed("open of directory", dir, &e))?;
    let result = opened.sync().await;
    // Nothing was written through the descriptor: its closing cannot lose anything.
    let _ = opened.close().await;
    result.map_err(|e| failed("fsync of directory", dir, &e))
}

impl GlommioFile {
    /// The file opened past the page cache, where the file system allows it.
    async fn direct(&self) -> Option<Rc<DmaFile>> {
        let known = self.direct.borrow().clone();
        match known {
            Direct::Open(file) => Some(file),
            Direct::Refused => None,
            Direct::Untried => {
                let opened =
                    OpenOptions::new().read(true).write(true).dma_open(&self.path).await.ok();
                let opened = opened.map(Rc::new);
                *self.direct.borrow_mut() = opened.clone().map_or(Direct::Refused, Direct::Open);
                opened
            }
        }
    }

    async fn write_direct(
        &self,
        file: &DmaFile,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), GlommioError<()>> {
        let mut done = 0;
        while done < bytes.len() {
            let chunk = &bytes[done..bytes.len().min(done + CHUNK_BYTES)];
            let mut buf = file.alloc_dma_buffer(chunk.len());
            buf.as_bytes_mut()[..chunk.len()].copy_from_slice(chunk);
            let written = file.write_at(buf, offset + done as u64).await?;
            // A part that ends inside a block is written again from the block's beginning.
            let whole = written.min(chunk.len()) / LOG_BLOCK_BYTES * LOG_BLOCK_BYTES;
            if whole == 0 {
                return Err(io::Error::from_raw_os_error(libc::EIO).into());
            }
            done += whole;
        }
        Ok(())
    }

    async fn write_buffered(&self, offset: u64, bytes: &[u8]) -> Result<(), GlommioError<()>> {
        let mut done = 0;
        while done < bytes.len() {
            let chunk = bytes[done..bytes.len().min(done + CHUNK_BYTES)].to_vec();
            let written = self.buffered.write_at(chunk, offset + done as u64).await?;
            if written == 0 {
                return Err(io::Error::from_raw_os_error(libc::EIO).into());
            }
            done += written;
        }
        Ok(())
    }
}

impl Storage for GlommioStorage {
    type File = GlommioFile;

    async fn create(&self, name: &str) -> Result<GlommioFile, StorageError> {
        self.open_with("create", name, true).await
    }

    async fn open(&self, name: &str) -> Result<GlommioFile, StorageError> {
        self.open_with("open", name, false).await
    }

    async fn len(&self, file: &GlommioFile) -> Result<u64, StorageError> {
        file.buffered.file_size().await.map_err(|e| failed("fstat", &file.path, &e))
    }

    async fn read_at(
        &self,
        file: &GlommioFile,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, StorageError> {
        let mut bytes = Vec::new();
        while bytes.len() < len {
            let at = offset + bytes.len() as u64;
            let wanted = CHUNK_BYTES.min(len - bytes.len());
            let result = file.buffered.read_at(at, wanted).await;
            let chunk = result.map_err(|e| failed("read", &file.path, &e).at(at))?;
            if chunk.is_empty() {
                break;
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    async fn write_at(
        &self,
        file: &GlommioFile,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), StorageError> {
        let aligned = offset.is_multiple_of(LOG_BLOCK_BYTES as u64)
            && bytes.len().is_multiple_of(LOG_BLOCK_BYTES);
        let direct =
            if aligned && bytes.len() >= DIRECT_BYTES_MIN { file.direct().await } else { None };
        let result = match direct {
            Some(direct) => file.write_direct(&direct, offset, bytes).await,
            None => file.write_buffered(offset, bytes).await,
        };
        result.map_err(|e| failed("write", &file.path, &e).at(offset))
    }

    async fn truncate(&self, file: &GlommioFile, len: u64) -> Result<(), StorageError> {
        file.buffered.truncate(len).await.map_err(|e| failed("ftruncate", &file.path, &e))
    }

    async fn reserve(&self, file: &GlommioFile, len: u64) -> Result<(), StorageError> {
        match file.buffered.pre_allocate(len, true).await {
            // A file system that cannot reserve: a full disk is met by the write then.
            Err(e) if e.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(()),
            result => result.map_err(|e| failed("fallocate", &file.path, &e)),
        }
    }

    async fn sync(&self, file: &GlommioFile) -> Result<(), StorageError> {
        file.buffered.fdatasync().await.map_err(|e| failed("fdatasync", &file.path, &e))
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let (from, to) = (self.dir.join(from), self.dir.join(to));
        glommio::io::rename(&from, &to).await.map_err(|e| failed("rename", &from, &e))
    }

    async fn remove(&self, name: &str) -> Result<(), StorageError> {
        let path = self.dir.join(name);
        glommio::io::remove(&path).await.map_err(|e| failed("remove", &path, &e))
    }

    async fn sync_dir(&self) -> Result<(), StorageError> {
        sync_dir(&self.dir).await
    }

    async fn list(&self) -> Result<Vec<(String, u64)>, StorageError> {
        let dir = self.dir.clone();
        let result = glommio::executor().spawn_blocking(move || list(&dir)).await;
        result.map_err(|e| StorageError::new("listing", &self.dir, &e))
    }

    fn open_for_ring(&self, name: &str, method: Method) -> Result<FileId, StorageError> {
        let path = self.dir.join(name);
        let fd = match method {
            Method::Buffered => open(&path, 0),
            Method::Direct => match open(&path, libc::O_DIRECT) {
                // A file system without O_DIRECT (tmpfs of older kernels): the page cache it is.
                Err(e) if e.raw_os_error() == Some(libc::EINVAL) => open(&path, 0),
                result => result,
            },
        };
        fd.map_err(|e| StorageError::new("open", path, &e))
    }

    fn close_for_ring(&self, file: FileId) {
        // SAFETY: the descriptor came from `open_for_ring`, and its owner gives it up here. Errors
        // of closing say nothing of synced bytes.
        unsafe { libc::close(file) };
    }
}

fn open(path: &Path, flags: libc::c_int) -> io::Result<FileId> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: the name is a NUL-terminated string that outlives the call.
    let fd = unsafe { libc::open(name.as_ptr(), libc::O_RDWR | libc::O_CLOEXEC | flags) };
    if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(fd) }
}

/// Regular files only; names that are not UTF-8 are not ours.
pub(super) fn list(dir: &Path) -> io::Result<Vec<(String, u64)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = match entry.metadata() {
            Ok(meta) => meta,
            // Removed meanwhile.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(e),
        };
        if meta.is_file()
            && let Ok(name) = entry.file_name().into_string()
        {
            files.push((name, meta.len()));
        }
    }
    files.sort();
    Ok(files)
}
