//! The log's I/O on the shard's ring: a plain `pwrite` for the turn's buffered commit, ring
//! operations for everything that may take as long as the disk does.

use super::ring::{Op, Ring, Token};
use io_uring::{opcode, squeue, types};
use quire_engine::io::{FileId, LogFault, LogIo, WriteSync};
use std::time::{Duration, Instant};

/// Faults an operator asked for (`DEBUG LOG-FAULT`), to try out what a broken disk does.
#[derive(Debug, Default, Clone, Copy)]
pub struct InjectedFault {
    /// Error number every sync completes with.
    pub sync: Option<i32>,
    /// Error number every write completes with.
    pub write: Option<i32>,
}

/// The write in flight (there is at most one): what its completions must say.
///
/// Of a write with a sync linked behind it, success is reported by the sync alone (one completion,
/// one wake-up less); a failed or short write reports itself and cuts the link, and whatever the
/// sync then says is void.
#[derive(Debug, Default)]
pub struct WriteInFlight {
    len: usize,
    running: bool,
    /// Its completion is that of its own sync too.
    syncs_itself: bool,
    /// When a write alone was started.
    started: Option<Instant>,
    /// Longest write that ended since [`WriteInFlight::take_longest`].
    longest: Option<Duration>,
}

impl WriteInFlight {
    /// Takes the write's own completion: the outcome.
    pub fn written(
        &mut self,
        result: i32,
        fault: InjectedFault,
        now: Instant,
    ) -> Option<Result<usize, LogFault>> {
        if let Some(started) = self.started.take() {
            self.took(now.saturating_duration_since(started));
        }
        let errno = fault.write.or((result < 0).then_some(-result));
        let outcome = match (errno, fault.sync) {
            (Some(errno), _) => Err(LogFault::Write(errno)),
            (None, Some(errno)) if self.syncs_itself => Err(LogFault::Sync(errno)),
            (None, _) => Ok(result as usize),
        };
        std::mem::take(&mut self.running).then_some(outcome)
    }

    fn took(&mut self, time: Duration) {
        self.longest = self.longest.max(Some(time));
    }

    /// The longest write since the last call; syncs are not writes.
    pub fn take_longest(&mut self) -> Option<Duration> {
        self.longest.take()
    }

    /// Takes the completion of the sync linked behind the write: the outcome of both.
    pub fn synced(&mut self, result: i32, fault: InjectedFault) -> Option<Result<usize, LogFault>> {
        let sync = fault.sync.or((result < 0).then_some(-result));
        let outcome = match (fault.write, sync) {
            (Some(errno), _) => Err(LogFault::Write(errno)),
            (None, Some(errno)) => Err(LogFault::Sync(errno)),
            (None, None) => Ok(self.len),
        };
        std::mem::take(&mut self.running).then_some(outcome)
    }
}

/// Closes a file of a log that nobody goes on with.
pub fn close(file: FileId) {
    // SAFETY: its owner gives it up here.
    unsafe { libc::close(file) };
}

/// A borrowed ring that does the log's work.
pub struct RingLogIo<'a> {
    /// The shard's ring.
    pub ring: &'a mut Ring,
    /// The write in flight.
    pub write: &'a mut WriteInFlight,
    /// Faults to inject.
    pub fault: InjectedFault,
    /// Time of this turn.
    pub now: Instant,
    /// Somebody wants to know how long writes take.
    pub is_timed: bool,
}

impl LogIo for RingLogIo<'_> {
    fn write_now(&mut self, file: FileId, offset: u64, bytes: &[u8]) -> Result<(), i32> {
        if let Some(errno) = self.fault.write {
            return Err(errno);
        }
        if !self.is_timed {
            return write_all(file, offset, bytes);
        }
        let started = Instant::now();
        let result = write_all(file, offset, bytes);
        self.write.took(started.elapsed());
        result
    }

    unsafe fn start_write(
        &mut self,
        file: FileId,
        offset: u64,
        bytes: *const u8,
        len: usize,
        sync: WriteSync,
    ) {
        let write = opcode::Write::new(types::Fd(file), bytes, len as u32).offset(offset).build();
        let token = Token::new(Op::LogWrite, 0);
        let longest = self.write.longest;
        let started = (self.is_timed && sync == WriteSync::None).then_some(self.now);
        let syncs_itself = sync == WriteSync::Itself;
        *self.write = WriteInFlight { len, running: true, syncs_itself, started, longest };
        // SAFETY: the caller keeps `bytes` unchanged until the completion is reported.
        unsafe {
            match sync {
                // A buffered write may block behind the running sync: never on this thread.
                WriteSync::None => self.ring.push(write.flags(squeue::Flags::ASYNC), token),
                WriteSync::Itself => {
                    let write = opcode::Write::new(types::Fd(file), bytes, len as u32)
                        .offset(offset)
                        .rw_flags(libc::RWF_DSYNC)
                        .build();
                    self.ring.push(write, token);
                }
                WriteSync::File => {
                    let write = write.flags(squeue::Flags::SKIP_SUCCESS);
                    let sync = opcode::Fsync::new(types::Fd(file))
                        .flags(types::FsyncFlags::DATASYNC)
                        .build();
                    self.ring.push_linked((write, token), (sync, Token::new(Op::LogSync, 1)));
                }
            }
        }
    }

    fn start_sync(&mut self, file: FileId) {
        let sync = opcode::Fsync::new(types::Fd(file)).flags(types::FsyncFlags::DATASYNC).build();
        // SAFETY: an fsync points to no memory.
        unsafe { self.ring.push(sync, Token::new(Op::LogSync, 0)) };
    }
}

fn write_all(file: FileId, mut offset: u64, mut bytes: &[u8]) -> Result<(), i32> {
    while !bytes.is_empty() {
        // SAFETY: the slice is valid for reads of its length.
        let n = unsafe { libc::pwrite(file, bytes.as_ptr().cast(), bytes.len(), offset as i64) };
        if n < 0 {
            let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
            if errno == libc::EINTR {
                continue;
            }
            return Err(errno);
        }
        if n == 0 {
            return Err(libc::EIO);
        }
        bytes = &bytes[n as usize..];
        offset += n as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO_FAULT: InjectedFault = InjectedFault { sync: None, write: None };

    fn running() -> WriteInFlight {
        WriteInFlight { len: 8192, running: true, ..WriteInFlight::default() }
    }

    #[test]
    fn a_write_that_was_cut_short_is_reported_once_and_its_sync_is_void() {
        let mut write = running();
        assert_eq!(write.written(4096, NO_FAULT, Instant::now()), Some(Ok(4096)));
        assert_eq!(write.synced(-libc::ECANCELED, NO_FAULT), None);
    }

    #[test]
    fn an_injected_sync_fault_hits_a_write_that_syncs_itself() {
        let fault = InjectedFault { sync: Some(libc::EIO), write: None };
        let mut write = WriteInFlight { syncs_itself: true, ..running() };
        let now = Instant::now();
        assert_eq!(write.written(8192, fault, now), Some(Err(LogFault::Sync(libc::EIO))));
        assert_eq!(running().written(8192, fault, now), Some(Ok(8192)));
    }

    #[test]
    fn a_failed_sync_is_never_taken_for_a_failed_write() {
        let mut write = running();
        assert_eq!(write.synced(-libc::EIO, NO_FAULT), Some(Err(LogFault::Sync(libc::EIO))));
        let mut write = running();
        assert_eq!(write.synced(0, NO_FAULT), Some(Ok(8192)));
    }
}
