//! How far recovery is: counters that other threads read for -LOADING, INFO and the log.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// What recovery is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Reading the manifest and the directory.
    Plan,
    /// Loading the snapshot that the log builds on.
    Load,
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
    const ALL: [Phase; 7] = [
        Phase::Plan,
        Phase::Load,
        Phase::Scan,
        Phase::Seal,
        Phase::Replay,
        Phase::Open,
        Phase::Done,
    ];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Plan => "reading the manifest",
            Phase::Scan => "verifying the log",
            Phase::Seal => "sealing the log",
            Phase::Load => "loading the snapshot",
            Phase::Replay => "loading the log",
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
    keys: AtomicU64,
    /// Every phase with its beginning and how much was done by then, bytes.
    begun: Mutex<Vec<(Phase, Instant, u64)>>,
}

/// How fast recovery is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Bytes per second since the phase began.
    pub bytes_per_second: f64,
    /// Time that what is left takes at this speed.
    pub left: Duration,
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
        let begun = (phase, Instant::now(), self.bytes_done());
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).push(begun);
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

    pub(super) fn loaded(&self, bytes: u64, keys: u64) {
        self.bytes_replayed.fetch_add(bytes, Relaxed);
        self.keys.fetch_add(keys, Relaxed);
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

    /// Keys loaded by value.
    pub fn keys(&self) -> u64 {
        self.keys.load(Relaxed)
    }

    /// Bytes that are done in the sense of the phase: verified while the log is verified, loaded
    /// else.
    pub fn bytes_done(&self) -> u64 {
        match self.phase() {
            Phase::Scan => self.bytes_scanned(),
            Phase::Plan | Phase::Load | Phase::Seal | Phase::Replay | Phase::Open | Phase::Done => {
                self.bytes_replayed()
            }
        }
    }

    /// How fast the phase is; `None` before anything is done in it.
    pub fn pace(&self) -> Option<Pace> {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let &(_, since, before) = begun.last()?;
        let done = self.bytes_done();
        let left = self.bytes_total().saturating_sub(done) as f64;
        let bytes_per_second = done.saturating_sub(before) as f64 / since.elapsed().as_secs_f64();
        let left = Duration::try_from_secs_f64(left / bytes_per_second).ok()?;
        Some(Pace { bytes_per_second, left })
    }

    /// The phases so far and how long each took; the last one until now.
    pub fn times(&self) -> Vec<(Phase, Duration)> {
        let begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let ends = begun.iter().skip(1).map(|(_, at, _)| *at).chain([Instant::now()]);
        begun.iter().zip(ends).map(|((phase, at, _), end)| (*phase, end - *at)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_counts_what_the_phase_has_done() {
        let progress = Progress::new();
        progress.enter(Phase::Load);
        progress.set_total(1000);
        assert_eq!(progress.pace(), None);
        progress.loaded(400, 3);
        assert!(progress.pace().is_some_and(|pace| pace.bytes_per_second > 0.0));
        progress.enter(Phase::Scan);
        assert_eq!((progress.bytes_done(), progress.keys()), (0, 3));
        assert_eq!(progress.pace(), None, "what another phase did is not this one's pace");
        progress.scanned(1000);
        assert!(progress.pace().is_some_and(|pace| pace.left.is_zero()));
        let phases: Vec<_> = progress.times().into_iter().map(|(phase, _)| phase).collect();
        assert_eq!(phases, [Phase::Load, Phase::Scan]);
    }
}
