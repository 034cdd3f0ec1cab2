//! The fsync policy: the one place that names its variants.
//!
//! Pure decisions over LSNs and times: which level a reply waits for, when the next sync is due,
//! when an idle log is closed. Knows no files and does nothing itself.

use super::Lsn;
use crate::io::Method;
use std::collections::VecDeque;

/// Longest time `everysec` leaves an effect without starting to sync it, us.
const SYNC_INTERVAL_US: u64 = 1_000_000;
/// `everysec`: when an effect is older than this and still not synced, replies wait, us. This is
/// what makes "at most two seconds are lost" true when the disk stalls.
const UNSYNCED_AGE_MAX_US: u64 = 2_000_000;
/// `always`: idle time after which an empty commit is appended, us.
const IDLE_COMMIT_US: u64 = 1_000_000;

/// When the log is synced and what a reply waits for (`appendfsync`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FsyncPolicy {
    /// Every commit is synced; replies wait for it.
    Always,
    /// Synced once a second; replies wait until the process' death cannot lose them any more.
    EverySec,
    /// Synced when the kernel likes to; replies as with `EverySec`.
    No,
}

/// How far an LSN has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It has left the process' memory.
    Written,
    /// It is on stable storage.
    Synced,
}

/// Where a shard's log stands: what of it is settled.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    /// Highest LSN settled at level written.
    pub written: Lsn,
    /// Highest LSN settled at level synced.
    pub synced: Lsn,
    /// When the oldest effect not settled at that level was gathered, us; `None`: there is none.
    pub oldest_unsynced_us: Option<u64>,
}

impl FsyncPolicy {
    /// Every policy, in the order in which Redis names them.
    pub const ALL: [FsyncPolicy; 3] = [FsyncPolicy::EverySec, FsyncPolicy::Always, FsyncPolicy::No];

    /// Their names, in the order of [`Self::ALL`].
    pub const NAMES: [&'static str; 3] = ["everysec", "always", "no"];

    /// The policy of this name, as `appendfsync` spells it; any case.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name().eq_ignore_ascii_case(name))
    }

    /// The name `appendfsync` gives it.
    pub fn name(self) -> &'static str {
        match self {
            FsyncPolicy::Always => "always",
            FsyncPolicy::EverySec => "everysec",
            FsyncPolicy::No => "no",
        }
    }

    /// The policy while a snapshot is written and `no-appendfsync-on-rewrite` is set: the disk is
    /// spared syncs that no reply waits for. What replies promise stays.
    pub fn sparing(self) -> Self {
        match self {
            FsyncPolicy::Always => FsyncPolicy::Always,
            FsyncPolicy::EverySec | FsyncPolicy::No => FsyncPolicy::No,
        }
    }

    /// How segments are written under it.
    pub fn method(self) -> Method {
        match self {
            FsyncPolicy::Always => Method::Direct,
            FsyncPolicy::EverySec | FsyncPolicy::No => Method::Buffered,
        }
    }

    /// What replies wait for in ordinary times; whether readers are gated follows from it.
    pub fn level(self) -> Level {
        match self {
            FsyncPolicy::Always => Level::Synced,
            FsyncPolicy::EverySec | FsyncPolicy::No => Level::Written,
        }
    }

    /// Highest LSN that has reached what replies wait for now.
    pub fn reached(self, progress: Progress, now_us: u64) -> Lsn {
        match self {
            FsyncPolicy::Always => progress.synced,
            FsyncPolicy::EverySec if is_overdue(progress.oldest_unsynced_us, now_us) => {
                progress.synced
            }
            FsyncPolicy::EverySec | FsyncPolicy::No => progress.written,
        }
    }

    /// When a sync of what is written must start, us; `None`: not for the policy's sake. An idle
    /// log, with nothing unsynced, is never synced.
    pub fn sync_due_us(self, oldest_unsynced_us: Option<u64>) -> Option<u64> {
        match self {
            // Commits bring their own sync; what an earlier policy left is synced at once.
            FsyncPolicy::Always => oldest_unsynced_us,
            FsyncPolicy::EverySec => oldest_unsynced_us.map(|t| t.saturating_add(SYNC_INTERVAL_US)),
            FsyncPolicy::No => None,
        }
    }

    /// When an empty commit must follow the last one, us. It says `synced` of the last
    /// acknowledged commit, so that its rot is not mistaken for a torn tail.
    pub fn idle_commit_due_us(self, last_commit_us: u64) -> Option<u64> {
        match self {
            FsyncPolicy::Always => Some(last_commit_us.saturating_add(IDLE_COMMIT_US)),
            FsyncPolicy::EverySec | FsyncPolicy::No => None,
        }
    }
}

fn is_overdue(oldest_unsynced_us: Option<u64>, now_us: u64) -> bool {
    oldest_unsynced_us.is_some_and(|t| now_us.saturating_sub(t) > UNSYNCED_AGE_MAX_US)
}

/// Ages closer together than this share an entry, us.
const AGE_STEP_US: u64 = 10_000;
/// Most entries; beyond, the youngest grows. Reached where nothing is ever synced.
const AGES_MAX: usize = 512;

/// When the effects that are not synced were gathered. Never younger than the truth, at most
/// 10 ms older.
#[derive(Debug, Default)]
pub struct Ages {
    /// (last LSN, time of the first one), oldest first.
    entries: VecDeque<(Lsn, u64)>,
}

impl Ages {
    /// Everything up to `last` has been gathered by `now_us`.
    #[inline]
    pub fn note(&mut self, last: Lsn, now_us: u64) {
        let full = self.entries.len() >= AGES_MAX;
        match self.entries.back_mut() {
            Some((lsn, _)) if *lsn >= last => {}
            Some((lsn, since)) if full || now_us.saturating_sub(*since) < AGE_STEP_US => {
                *lsn = last;
            }
            _ => self.entries.push_back((last, now_us)),
        }
    }

    /// Everything up to `synced` needs no age any more.
    pub fn forget(&mut self, synced: Lsn) {
        while self.entries.front().is_some_and(|&(lsn, _)| lsn <= synced) {
            self.entries.pop_front();
        }
    }

    /// When the oldest one was gathered, us.
    #[inline]
    pub fn oldest_us(&self) -> Option<u64> {
        self.entries.front().map(|&(_, since)| since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_spares_syncs_promises_no_less_than_before() {
        for policy in FsyncPolicy::ALL {
            assert_eq!(policy.sparing().level(), policy.level());
            assert_eq!(policy.sparing().method(), policy.method());
        }
        assert_eq!(FsyncPolicy::EverySec.sparing().sync_due_us(Some(1)), None);
    }

    #[test]
    fn names_are_those_of_the_directive() {
        for policy in FsyncPolicy::ALL {
            assert_eq!(FsyncPolicy::parse(&policy.name().to_uppercase()), Some(policy));
        }
        assert_eq!(FsyncPolicy::parse("sometimes"), None);
    }

    #[test]
    fn everysec_replies_wait_while_an_effect_is_unsynced_for_two_seconds() {
        let progress = |oldest| Progress { written: 9, synced: 4, oldest_unsynced_us: oldest };
        let reached = |oldest, now| FsyncPolicy::EverySec.reached(progress(oldest), now);
        assert_eq!(reached(Some(500), 2_000_500), 9);
        assert_eq!(reached(Some(500), 2_000_501), 4);
        assert_eq!(reached(None, 9_000_000), 9);
        assert_eq!(FsyncPolicy::No.reached(progress(Some(0)), 9_000_000), 9);
        assert_eq!(FsyncPolicy::Always.reached(progress(Some(0)), 0), 4);
    }

    #[test]
    fn an_idle_log_is_never_synced_and_a_written_one_within_the_second() {
        assert_eq!(FsyncPolicy::EverySec.sync_due_us(None), None);
        assert_eq!(FsyncPolicy::EverySec.sync_due_us(Some(7)), Some(1_000_007));
        assert_eq!(FsyncPolicy::No.sync_due_us(Some(7)), None);
        assert_eq!(FsyncPolicy::Always.sync_due_us(Some(7)), Some(7));
    }

    #[test]
    fn ages_are_never_younger_than_the_truth() {
        let mut ages = Ages::default();
        for lsn in 1..=1000 {
            ages.note(lsn, lsn * 1000);
        }
        for synced in 0..1000 {
            ages.forget(synced);
            let since = ages.oldest_us().expect("something is unsynced");
            let truth = (synced + 1) * 1000;
            assert!(since <= truth && truth - since <= AGE_STEP_US, "{since} for {truth}");
        }
        ages.forget(1000);
        assert_eq!(ages.oldest_us(), None);
    }

    #[test]
    fn ages_of_a_log_that_is_never_synced_stay_bounded() {
        let mut ages = Ages::default();
        for lsn in 1..=10_000 {
            ages.note(lsn, lsn * AGE_STEP_US);
        }
        assert_eq!((ages.entries.len(), ages.oldest_us()), (AGES_MAX, Some(AGE_STEP_US)));
    }
}
