//! Section persistence.

use super::{Facts, Fields, flag};
use crate::runtime::shared::Counter;
use std::{
    sync::atomic::Ordering,
    time::{SystemTime, UNIX_EPOCH},
};

pub(super) fn persistence(fields: &mut Fields, facts: Facts<'_>) {
    let shared = facts.shared;
    let is_loading = shared.loading.load(Ordering::Acquire);
    let has_failed = shared.cores.iter().any(|core| core.failed.load(Ordering::Acquire));
    let most = |pick: fn(&crate::runtime::shared::CoreStats) -> &Counter| {
        shared.cores.iter().map(|core| pick(&core.stats).get()).max().unwrap_or(0)
    };
    fields.add("loading", flag(is_loading));
    fields.add("async_loading", 0);
    fields.add("rdb_changes_since_last_save", shared.sum(|s| &s.changes));
    fields.add("rdb_bgsave_in_progress", 0);
    fields.add("rdb_saves", 0);
    fields.add("aof_enabled", flag(shared.options.appendonly));
    fields.add("aof_rewrite_in_progress", 0);
    fields.add("aof_rewrite_scheduled", 0);
    fields.add("aof_rewrites", 0);
    fields.add("aof_last_write_status", if has_failed { "err" } else { "ok" });
    if shared.options.appendonly {
        fields.add("aof_commits", shared.sum(|s| &s.commits));
        fields.add("aof_batches", shared.sum(|s| &s.batches));
        fields.add("aof_written_bytes", shared.sum(|s| &s.log_bytes));
        fields.add("aof_syncs", shared.sum(|s| &s.syncs));
        fields.add("aof_last_sync_usec", most(|s| &s.last_sync_us));
        fields.add("aof_longest_sync_usec", most(|s| &s.max_sync_us));
        fields.add("aof_reserved_bytes", shared.sum(|s| &s.reserved));
        fields.add("aof_buffer_length", shared.sum(|s| &s.staged));
        fields.add("aof_waiting_clients", shared.sum(|s| &s.gated));
    }
    if is_loading {
        let progress = &shared.progress;
        let (done, total) = (progress.bytes_replayed(), progress.bytes_total());
        let started = SystemTime::now() - shared.started.elapsed();
        let started = started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        fields.add("loading_start_time", started);
        fields.add("loading_phase", progress.phase().name());
        fields.add("loading_total_bytes", total);
        fields.add("loading_verified_bytes", progress.bytes_scanned());
        fields.add("loading_loaded_bytes", done);
        fields.add(
            "loading_loaded_perc",
            format_args!("{:.2}", 100.0 * done as f64 / total.max(1) as f64),
        );
        fields.add("loading_loaded_commands", progress.commands());
        if let Some(left) = progress.remaining(shared.started.elapsed()) {
            fields.add("loading_eta_seconds", left.as_secs());
        }
    }
}
