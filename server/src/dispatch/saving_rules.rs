//! When a snapshot is written by itself: save points, growth of the log, what was put off; and
//! whether a checkpoint of the log is a base or a delta.

use crate::{
    config::{CheckpointDelta, SavePoint},
    runtime::{control::Purpose, core::Core},
};
use quire_engine::manifest::Names;
use std::{
    sync::atomic::Ordering::{Acquire, Relaxed},
    time::Duration,
};

/// After a failed RDB file the next try by a save point comes no sooner, as in Redis.
const DUMP_RETRY: Duration = Duration::from_secs(5);
/// Failed bases in a row after which growth waits longer and longer, as in Redis.
const BASE_FAILURES: u64 = 3;
/// Longest such wait, minutes.
const BASE_WAIT_MAX_MINUTES: u64 = 60;

/// A delta that would be larger than so much of the base, per cent, is not worth it: it is written
/// anew with every checkpoint and executed with every start.
const DELTA_SHARE_PERCENT: u64 = 30;

/// What is to be written now, if anything.
pub(super) fn due(core: &Core) -> Option<Purpose> {
    let saving = &core.shared.saving;
    let has_log = core.shared.has_log();
    if has_log && saving.bases.scheduled.load(Relaxed) {
        return Some(Purpose::Base);
    }
    let changes =
        core.shared.sum(|stats| &stats.changes).saturating_sub(saving.changes_saved.load(Relaxed));
    let since_s = core.now_ms / 1000 - core.shared.last_save_s.load(Relaxed);
    let may_try = !saving.dumps.failed.load(Relaxed)
        || core.checkpoints.dump_tried.is_none_or(|at| at.elapsed() > DUMP_RETRY);
    let reached = |point: &SavePoint| changes >= point.changes && since_s > point.seconds as i64;
    if let Some(point) = core.live.save_points().iter().find(|point| reached(point))
        && may_try
    {
        tracing::info!("{} changes in {} seconds. Saving...", point.changes, point.seconds);
        return Some(Purpose::Dump);
    }
    if has_log && log_has_grown(core) {
        return Some(Purpose::Base);
    }
    saving.dumps.scheduled.load(Relaxed).then_some(Purpose::Dump)
}

/// The name that a checkpoint of the log is written under.
pub(super) fn draft_name(core: &Core, purpose: Purpose, commands: bool) -> String {
    let names = Names::new(&core.shared.options.append_file).unwrap_or_default();
    match purpose {
        Purpose::Delta => names.delta_draft(),
        _ if commands => names.command_draft(),
        _ => names.draft(),
    }
}

/// A base or a delta, when the log is to be written anew.
pub(super) fn form(core: &Core) -> Purpose {
    let (shared, saving) = (&core.shared, &core.shared.saving);
    let full_bytes = saving.full_bytes.load(Relaxed);
    let is_unknown = shared.sum(|stats| &stats.changes_unknown) > 0;
    let has_failed = shared.cores.iter().any(|core| core.failed.load(Acquire));
    // A delta has no function libraries.
    let are_others = core.shared.libraries.generation() != core.checkpoints.base_libraries;
    // The cure of a log that has failed is a base.
    if core.checkpoints.needs_base || is_unknown || has_failed || full_bytes == 0 || are_others {
        return Purpose::Base;
    }
    match core.live.checkpoint_delta {
        CheckpointDelta::Never => Purpose::Base,
        CheckpointDelta::Always => Purpose::Delta,
        CheckpointDelta::Auto => {
            let databases = 0..shared.options.databases;
            let keys: u64 = databases.map(|db| shared.sum(|stats| &stats.keys[db])).sum();
            let changed = shared.sum(|stats| &stats.changed_keys);
            let gone = shared.sum(|stats| &stats.gone_bytes);
            if is_worth_it(changed, keys.max(1), gone, full_bytes) {
                Purpose::Delta
            } else {
                Purpose::Base
            }
        }
    }
}

/// Whether a delta of so many changed keys among all, and of so many bytes of names, is small enough
/// beside a base of so many bytes.
pub(super) fn is_worth_it(changed: u64, keys: u64, gone_bytes: u64, full_bytes: u64) -> bool {
    let values = u128::from(changed) * u128::from(full_bytes) / u128::from(keys);
    // A name becomes a DEL.
    let names = 2 * u128::from(gone_bytes);
    (values + names).saturating_mul(100) <= u128::from(full_bytes) * u128::from(DELTA_SHARE_PERCENT)
}

/// `auto-aof-rewrite-percentage` and `auto-aof-rewrite-min-size`.
fn log_has_grown(core: &Core) -> bool {
    let (percentage, least) =
        (u64::from(core.live.auto_aof_rewrite_percentage), core.live.auto_aof_rewrite_min_size);
    let saving = &core.shared.saving;
    let now = saving.log_bytes(core.shared.sum(|stats| &stats.log_bytes));
    if percentage == 0 || now < least {
        return false;
    }
    let failures = saving.bases.failures.load(Relaxed);
    if failures >= BASE_FAILURES {
        let minutes = 1u64.checked_shl((failures - BASE_FAILURES) as u32).unwrap_or(u64::MAX);
        let wait = Duration::from_secs(60 * minutes.clamp(1, BASE_WAIT_MAX_MINUTES));
        if core.checkpoints.base_tried.is_some_and(|at| at.elapsed() < wait) {
            return false;
        }
    }
    let growth = grown_percent(now, saving.base_bytes.load(Relaxed));
    if growth < percentage {
        return false;
    }
    tracing::info!("Starting automatic rewriting of AOF on {growth}% growth");
    true
}

/// By how many percent a log is larger than its base was; Redis takes an empty base for one byte.
fn grown_percent(now: u64, base: u64) -> u64 {
    let ratio = u128::from(now) * 100 / u128::from(base.max(1));
    u64::try_from(ratio).unwrap_or(u64::MAX).saturating_sub(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delta_is_worth_it_up_to_a_share_of_the_base() {
        assert!(is_worth_it(0, 1, 0, 1000));
        assert!(is_worth_it(300, 1000, 0, 1 << 40));
        assert!(!is_worth_it(301, 1000, 0, 1 << 40));
        assert!(is_worth_it(100, 1000, 100, 1000));
        assert!(!is_worth_it(100, 1000, 101, 1000));
        assert!(!is_worth_it(u64::MAX, 1, u64::MAX, u64::MAX));
    }

    #[test]
    fn growth_is_counted_from_the_base() {
        assert_eq!(grown_percent(200, 100), 100);
        assert_eq!(grown_percent(199, 100), 99);
        assert_eq!(grown_percent(50, 100), 0);
        assert_eq!(grown_percent(u64::MAX, 0), u64::MAX - 100);
    }
}
