//! What is known of snapshots and checkpoints: which one runs, how the last ones ended, how big
//! the log has grown since. Written by core 0, read by INFO and by every core's tick.

use quire_engine::aof::Durations;
use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
};

/// Nothing of the kind has happened, as INFO says it.
pub const NEVER: i64 = -1;

/// Snapshots of one kind: RDB files, or checkpoints of the log.
#[derive(Debug)]
pub struct Kind {
    /// When the one that is being written began, ms since the process started; -1: none is.
    pub since_ms: AtomicI64,
    /// One is to be written as soon as possible.
    pub scheduled: AtomicBool,
    /// The last one failed.
    pub failed: AtomicBool,
    /// How many failed in a row.
    pub failures: AtomicU64,
    /// How many were written.
    pub written: AtomicU64,
    /// How long the last one took, s; -1: there was none.
    pub last_s: AtomicI64,
    /// What commands had to copy out during the last one, bytes.
    pub last_copied_bytes: AtomicU64,
}

impl Default for Kind {
    fn default() -> Self {
        Self {
            since_ms: AtomicI64::new(NEVER),
            scheduled: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            failures: AtomicU64::new(0),
            written: AtomicU64::new(0),
            last_s: AtomicI64::new(NEVER),
            last_copied_bytes: AtomicU64::new(0),
        }
    }
}

impl Kind {
    /// One is being written.
    pub fn is_running(&self) -> bool {
        self.since_ms.load(Relaxed) != NEVER
    }

    /// One begins, so many ms after the process started.
    pub fn begin(&self, at_ms: i64) {
        self.since_ms.store(at_ms, Relaxed);
        self.scheduled.store(false, Relaxed);
    }

    /// The one that is being written has ended: well, with an error, or because nobody wants it any
    /// more.
    pub fn end(&self, at_ms: i64, well: Option<bool>, copied_bytes: u64) {
        let since_ms = self.since_ms.swap(NEVER, Relaxed);
        let Some(well) = well else { return };
        self.last_s.store((at_ms - since_ms) / 1000, Relaxed);
        self.last_copied_bytes.store(copied_bytes, Relaxed);
        self.failed.store(!well, Relaxed);
        if well {
            self.written.fetch_add(1, Relaxed);
            self.failures.store(0, Relaxed);
        } else {
            self.failures.fetch_add(1, Relaxed);
        }
    }
}

/// All of it.
#[derive(Debug, Default)]
pub struct Saving {
    /// RDB files (SAVE, BGSAVE, save points).
    pub dumps: Kind,
    /// Bases and deltas of the log (BGREWRITEAOF, growth).
    pub bases: Kind,
    /// Backups.
    pub backups: Kind,
    /// Changes of keys there had been when the last RDB file was begun.
    pub changes_saved: AtomicU64,
    /// Bytes of the log's files when the base was written, or at start.
    pub base_bytes: AtomicU64,
    /// Bytes of the base in force, and of the delta behind it; 0: there is none.
    pub full_bytes: AtomicU64,
    /// As above.
    pub delta_bytes: AtomicU64,
    /// Deltas that were written.
    pub deltas: AtomicU64,
    /// The last checkpoint of this process was a delta.
    pub last_was_delta: AtomicBool,
    /// Bytes written to the log until then.
    pub base_log_bytes: AtomicU64,
    /// Keys of the snapshot that is being written.
    pub keys_total: AtomicU64,
    /// Bytes written of it.
    pub bytes_written: AtomicU64,
    /// How long commands stood still at the last cut, us, on the shard where it was longest.
    pub last_cut_us: AtomicU64,
    cuts: Mutex<Durations>,
}

impl Saving {
    /// How long every shard stood still at every cut.
    pub fn cuts(&self) -> MutexGuard<'_, Durations> {
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of the log now, when so many have been written to it.
    pub fn log_bytes(&self, written: u64) -> u64 {
        self.base_bytes.load(Relaxed) + written.saturating_sub(self.base_log_bytes.load(Relaxed))
    }

    /// There are these files of the log in force now.
    pub fn set_files(&self, full_bytes: u64, delta_bytes: u64) {
        self.full_bytes.store(full_bytes, Relaxed);
        self.delta_bytes.store(delta_bytes, Relaxed);
    }

    /// From now on growth counts from here.
    pub fn set_base(&self, bytes: u64, log_bytes: u64) {
        self.base_bytes.store(bytes, Relaxed);
        self.base_log_bytes.store(log_bytes, Relaxed);
    }
}
