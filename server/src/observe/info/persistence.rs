//! Section persistence.

use super::{Facts, Fields, flag};
use crate::{
    observe::saving::{Kind, NEVER},
    runtime::shared::{Counter, Shared},
};
use std::{
    sync::atomic::Ordering::{self, Relaxed},
    time::{SystemTime, UNIX_EPOCH},
};

/// What is known of snapshots, in Redis' order and then what it has no field for.
fn snapshots(fields: &mut Fields, shared: &Shared) {
    let saving = &shared.saving;
    let now_ms = shared.started.elapsed().as_millis() as i64;
    let (dumps, bases) = (&saving.dumps, &saving.bases);
    let running = [dumps, bases, &saving.backups].into_iter().find(|kind| kind.is_running());
    let status = |kind: &Kind| if kind.failed.load(Relaxed) { "err" } else { "ok" };
    let seconds = |kind: &Kind| {
        let since_ms = kind.since_ms.load(Relaxed);
        if since_ms == NEVER { NEVER } else { (now_ms - since_ms) / 1000 }
    };
    let total = saving.keys_total.load(Relaxed);
    let done = shared.sum(|s| &s.walked).min(total);
    let figure = |n: u64| if running.is_some() { n } else { 0 };
    fields.add("current_cow_size", figure(shared.sum(|s| &s.copied_bytes)));
    fields.add("current_save_keys_processed", figure(done));
    fields.add("current_save_keys_total", figure(total));
    let changes = shared.sum(|s| &s.changes);
    let unsaved = changes.saturating_sub(saving.changes_saved.load(Relaxed));
    fields.add("rdb_changes_since_last_save", unsaved);
    fields.add("rdb_bgsave_in_progress", flag(dumps.is_running()));
    fields.add("rdb_last_save_time", shared.last_save_s.load(Ordering::Acquire));
    fields.add("rdb_last_bgsave_status", status(dumps));
    fields.add("rdb_last_bgsave_time_sec", dumps.last_s.load(Relaxed));
    fields.add("rdb_current_bgsave_time_sec", seconds(dumps));
    fields.add("rdb_saves", dumps.written.load(Relaxed));
    fields.add("rdb_last_cow_size", dumps.last_copied_bytes.load(Relaxed));
    fields.add("aof_enabled", flag(shared.has_log()));
    fields.add("aof_rewrite_in_progress", flag(bases.is_running()));
    fields.add("aof_rewrite_scheduled", flag(bases.scheduled.load(Relaxed)));
    fields.add("aof_last_rewrite_time_sec", bases.last_s.load(Relaxed));
    fields.add("aof_current_rewrite_time_sec", seconds(bases));
    fields.add("aof_last_bgrewrite_status", status(bases));
    fields.add("aof_rewrites", bases.written.load(Relaxed));
    fields.add("aof_rewrites_consecutive_failures", bases.failures.load(Relaxed));
    fields.add("aof_last_cow_size", bases.last_copied_bytes.load(Relaxed));
    if shared.has_log() {
        let log_bytes = saving.log_bytes(shared.sum(|s| &s.log_bytes));
        fields.add("aof_current_size", log_bytes);
        fields.add("aof_base_size", saving.base_bytes.load(Relaxed));
        // The files of the last checkpoint, and what the next delta would be made of.
        let (full, delta) = (&saving.full_bytes, &saving.delta_bytes);
        fields.add("aof_full_size", full.load(Relaxed));
        fields.add("aof_delta_size", delta.load(Relaxed));
        fields.add("aof_deltas", saving.deltas.load(Relaxed));
        let last = match bases.written.load(Relaxed) {
            0 => "none",
            _ if saving.last_was_delta.load(Relaxed) => "delta",
            _ => "full",
        };
        fields.add("aof_last_checkpoint", last);
        fields.add("aof_changed_keys", shared.sum(|s| &s.changed_keys));
        fields.add("aof_gone_keys_bytes", shared.sum(|s| &s.gone_bytes));
        fields.add("aof_changes_known", flag(shared.sum(|s| &s.changes_unknown) == 0));
    }
    // There is no fork whose time could be told: commands stand still for this long.
    fields.add("latest_cut_usec", saving.last_cut_us.load(Relaxed));
    let cuts = saving.cuts();
    for (name, percent) in [("cut_p50_usec", 50.0), ("cut_p99_usec", 99.0), ("cut_max_usec", 100.0)]
    {
        fields.add(name, cuts.percentile(percent));
    }
    drop(cuts);
    if let Some(kind) = running {
        let bytes = saving.bytes_written.load(Relaxed);
        let ms = (now_ms - kind.since_ms.load(Relaxed)).max(1) as u64;
        fields.add("current_save_bytes", bytes);
        fields.add("current_save_bytes_per_sec", bytes * 1000 / ms);
        if let Some(left) = (total - done).saturating_mul(ms).checked_div(done) {
            fields.add("current_save_eta_seconds", left.div_ceil(1000));
        }
    }
}

pub(super) fn persistence(fields: &mut Fields, facts: Facts<'_>) {
    let shared = facts.shared;
    let is_loading = shared.loading.load(Ordering::Acquire);
    let has_failed = shared.cores.iter().any(|core| core.failed.load(Ordering::Acquire));
    let most = |pick: fn(&crate::runtime::shared::CoreStats) -> &Counter| {
        shared.cores.iter().map(|core| pick(&core.stats).get()).max().unwrap_or(0)
    };
    fields.add("loading", flag(is_loading));
    fields.add("async_loading", 0);
    snapshots(fields, shared);
    fields.add("aof_last_write_status", if has_failed { "err" } else { "ok" });
    if shared.has_log() {
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
        let (done, total) = (progress.bytes_done(), progress.bytes_total());
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
        fields.add("loading_loaded_keys", progress.keys());
        fields.add("loading_loaded_commands", progress.commands());
        if let Some(pace) = progress.pace() {
            fields.add("loading_bytes_per_second", pace.bytes_per_second as u64);
            fields.add("loading_eta_seconds", pace.left.as_secs());
        }
    }
}
