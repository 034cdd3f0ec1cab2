//! When a snapshot is written by itself: save points, growth of the log, what was put off.

use crate::{config::SavePoint, runtime::control::Purpose, runtime::core::Core};
use std::{sync::atomic::Ordering::Relaxed, time::Duration};

/// After a failed RDB file the next try by a save point comes no sooner, as in Redis.
const DUMP_RETRY: Duration = Duration::from_secs(5);
/// Failed bases in a row after which growth waits longer and longer, as in Redis.
const BASE_FAILURES: u64 = 3;
/// Longest such wait, minutes.
const BASE_WAIT_MAX_MINUTES: u64 = 60;

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
    fn growth_is_counted_from_the_base() {
        assert_eq!(grown_percent(200, 100), 100);
        assert_eq!(grown_percent(199, 100), 99);
        assert_eq!(grown_percent(50, 100), 0);
        assert_eq!(grown_percent(u64::MAX, 0), u64::MAX - 100);
    }
}
