//! How far recovery is: counters that other threads read for -LOADING, INFO and the log.

use std::{
    sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// What recovery is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Reading the manifest and the directory.
    Plan,
    /// Verifying every commit.
    Scan,
    /// Cutting and sealing the logs.
    Seal,
    /// Replaying them.
    Replay,
    /// Creating the segments of this run.
    Open,
    /// Done.
    Done,
}

impl Phase {
    const ALL: [Phase; 6] =
        [Phase::Plan, Phase::Scan, Phase::Seal, Phase::Replay, Phase::Open, Phase::Done];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Plan => "reading the manifest",
            Phase::Scan => "verifying the log",
            Phase::Seal => "sealing the log",
            Phase::Replay => "loading",
            Phase::Open => "preparing the log",
            Phase::Done => "done",
        }
    }
}

/// Shared between recovery's threads and whoever shows it. All counters are approximate while
/// recovery runs.
#[derive(Debug, Default)]
pub struct Progress {
    phase: AtomicU8,
    bytes_total: AtomicU64,
    bytes_scanned: AtomicU64,
    bytes_replayed: AtomicU64,
    commands: AtomicU64,
}

impl Progress {
    /// Nothing done yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is being done.
    pub fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Relaxed)).min(Phase::ALL.len() - 1)]
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }

    pub(super) fn set_total(&self, bytes: u64) {
        self.bytes_total.store(bytes, Relaxed);
    }

    pub(super) fn scanned(&self, bytes: u64) {
        self.bytes_scanned.fetch_add(bytes, Relaxed);
    }

    pub(super) fn replayed(&self, bytes: u64, commands: u64) {
        self.bytes_replayed.fetch_add(bytes, Relaxed);
        self.commands.fetch_add(commands, Relaxed);
    }

    /// Bytes of all files that hold data.
    pub fn bytes_total(&self) -> u64 {
        self.bytes_total.load(Relaxed)
    }

    /// Bytes verified.
    pub fn bytes_scanned(&self) -> u64 {
        self.bytes_scanned.load(Relaxed)
    }

    /// Bytes replayed.
    pub fn bytes_replayed(&self) -> u64 {
        self.bytes_replayed.load(Relaxed)
    }

    /// Commands replayed.
    pub fn commands(&self) -> u64 {
        self.commands.load(Relaxed)
    }

    /// Time still needed at the replay's average speed, `elapsed` after it began.
    pub fn remaining(&self, elapsed: Duration) -> Option<Duration> {
        let done = self.bytes_replayed();
        let left = self.bytes_total().saturating_sub(done);
        (done > 0).then(|| elapsed.mul_f64(left as f64 / done as f64))
    }
}
