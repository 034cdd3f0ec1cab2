//! The simulated disk as [`Storage`]: every future is ready at once.

use super::{Change, Fate, Op, SimDisk};
use crate::{
    error::StorageError,
    io::{FileId, Method, Storage},
};
use std::{
    future::Future,
    io,
    pin::pin,
    task::{Context, Poll, Waker},
};

/// Runs a future that only ever waits for the simulated disk.
pub fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a future waits for something else than the simulated disk"),
    }
}

/// An open file of the simulated disk.
#[derive(Debug, Clone)]
pub struct SimFile {
    number: u64,
    name: String,
}

fn failed(op: &'static str, name: &str, errno: i32) -> StorageError {
    StorageError::new(op, name, &io::Error::from_raw_os_error(errno))
}

impl SimDisk {
    fn lookup(&self, op: &'static str, name: &str) -> Result<u64, StorageError> {
        let number = self.lock().names.get(name).copied();
        number.ok_or_else(|| failed(op, name, libc::ENOENT))
    }
}

impl Storage for SimDisk {
    type File = SimFile;

    async fn create(&self, name: &str) -> Result<SimFile, StorageError> {
        let mut disk = self.lock();
        let existing = disk.names.get(name).copied();
        let result = if let Some(number) = existing {
            disk.change(number, Change::Truncate(0)).map(|()| number)
        } else {
            let number = disk.next_inode;
            disk.next_inode += 1;
            let entry = name.to_owned();
            disk.inode(number);
            disk.rename_with(|names| {
                names.insert(entry, number);
                Ok(())
            })
            .map(|()| number)
        };
        let number = result.map_err(|e| failed("create", name, e))?;
        Ok(SimFile { number, name: name.to_owned() })
    }

    async fn open(&self, name: &str) -> Result<SimFile, StorageError> {
        Ok(SimFile { number: self.lookup("open", name)?, name: name.to_owned() })
    }

    async fn len(&self, file: &SimFile) -> Result<u64, StorageError> {
        Ok(self.lock().inode(file.number).live.len() as u64)
    }

    async fn read_at(
        &self,
        file: &SimFile,
        offset: u64,
        len: usize,
    ) -> Result<Vec<u8>, StorageError> {
        let mut disk = self.lock();
        if let Fate::Fail(errno) = disk.fate(Op::Read) {
            return Err(failed("read", &file.name, errno).at(offset));
        }
        let live = &disk.inode(file.number).live;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(live.len());
        Ok(live[start..start.saturating_add(len).min(live.len())].to_vec())
    }

    async fn write_at(
        &self,
        file: &SimFile,
        offset: u64,
        bytes: &[u8],
    ) -> Result<(), StorageError> {
        let change = Change::Write { offset, bytes: bytes.to_vec() };
        let result = self.lock().change(file.number, change);
        result.map_err(|e| failed("write", &file.name, e).at(offset))
    }

    async fn truncate(&self, file: &SimFile, len: u64) -> Result<(), StorageError> {
        let mut disk = self.lock();
        let result = disk.change(file.number, Change::Truncate(len));
        if result.is_ok() {
            let inode = disk.inode(file.number);
            inode.reserved = inode.reserved.min(len);
        }
        result.map_err(|e| failed("ftruncate", &file.name, e))
    }

    async fn reserve(&self, file: &SimFile, len: u64) -> Result<(), StorageError> {
        let mut disk = self.lock();
        let result = match disk.fate(Op::Write) {
            Fate::Fail(errno) => Err(errno),
            Fate::Crash => Err(libc::EIO),
            Fate::Done if disk.has_room(file.number, len) => Ok(()),
            Fate::Done => Err(libc::ENOSPC),
        };
        if result.is_ok() {
            let inode = disk.inode(file.number);
            inode.reserved = inode.reserved.max(len);
        }
        result.map_err(|e| failed("fallocate", &file.name, e))
    }

    async fn sync(&self, file: &SimFile) -> Result<(), StorageError> {
        let result = self.lock().sync(file.number);
        result.map_err(|e| failed("fdatasync", &file.name, e))
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), StorageError> {
        let result = self.lock().rename_with(|names| {
            let number = names.remove(from).ok_or(libc::ENOENT)?;
            names.insert(to.to_owned(), number);
            Ok(())
        });
        result.map_err(|e| failed("rename", from, e))
    }

    async fn remove(&self, name: &str) -> Result<(), StorageError> {
        let result =
            self.lock().rename_with(|names| names.remove(name).map(|_| ()).ok_or(libc::ENOENT));
        result.map_err(|e| failed("remove", name, e))
    }

    async fn sync_dir(&self) -> Result<(), StorageError> {
        let mut disk = self.lock();
        match disk.fate(Op::SyncDir) {
            Fate::Done => {
                disk.name_states.clear();
                Ok(())
            }
            Fate::Crash => Err(failed("fsync of directory", ".", libc::EIO)),
            Fate::Fail(errno) => Err(failed("fsync of directory", ".", errno)),
        }
    }

    async fn list(&self) -> Result<Vec<(String, u64)>, StorageError> {
        let disk = self.lock();
        let len = |n: &u64| disk.inodes.get(n).map_or(0, |i| i.live.len() as u64);
        Ok(disk.names.iter().map(|(name, n)| (name.clone(), len(n))).collect())
    }

    fn open_for_ring(&self, name: &str, method: Method) -> Result<FileId, StorageError> {
        let number = self.lookup("open", name)?;
        let mut disk = self.lock();
        disk.handles.push(Some((number, method)));
        Ok(disk.handles.len() as FileId - 1)
    }

    fn close_for_ring(&self, file: FileId) {
        if let Some(handle) = self.lock().handles.get_mut(file as usize) {
            *handle = None;
        }
    }
}
