//! Sections about the data and who holds it: shards, keyspace.

use super::{Facts, Fields};
use crate::runtime::shared::Counter;
use std::sync::atomic::{AtomicU64, Ordering};

/// Percentiles of sync durations that are shown, with their names.
const PERCENTILES: [(&str, f64); 3] = [("p50", 50.0), ("p99", 99.0), ("p99.9", 99.9)];

/// `a / b`, to two places; 0 of nothing.
fn ratio(a: u64, b: u64) -> f64 {
    if b == 0 { 0.0 } else { a as f64 / b as f64 }
}

pub(super) fn shards(fields: &mut Fields, facts: Facts<'_>) {
    let Facts { shared, config, .. } = facts;
    let policies = config.fsync_policies();
    for (id, core) in shared.cores.iter().enumerate() {
        let s = &core.stats;
        let position = |position: &AtomicU64| position.load(Ordering::Acquire);
        let cpu = shared.options.cpus.get(id).copied().flatten();
        let policy = match policies.get(id) {
            Some(policy) if shared.has_log() => policy.name(),
            _ => "none",
        };
        let [ops, commits] = core.rates.per_second();
        let syncs = core.report().syncs.clone();
        let percentiles: String = PERCENTILES
            .iter()
            .map(|(name, percent)| format!(",sync_us_{name}={}", syncs.percentile(*percent)))
            .collect();
        fields.add(
            &format!("shard{id}"),
            format_args!(
                "cpu={},clients={},keys={},commands={},ops_per_sec={ops},hops_in={},\
                 hops_in_batch={:.2},hops_out={},hops_out_batch={:.2},fsync={policy},lsn={},\
                 written={},synced={},settled={},commits={},commits_per_sec={commits},\
                 batches_per_commit={:.2},syncs={}{percentiles},sync_us_max={},staged_bytes={},\
                 reserved_bytes={}",
                cpu.map_or("any".to_owned(), |cpu| cpu.to_string()),
                s.clients.get(),
                s.keys.iter().map(Counter::get).sum::<u64>(),
                s.commands.get(),
                s.hops_in.get(),
                ratio(s.hops_in.get(), s.hop_batches_in.get()),
                s.hops_out.get(),
                ratio(s.hops_out.get(), s.hop_batches_out.get()),
                s.last_lsn.get(),
                position(&core.written),
                position(&core.synced),
                core.released(Ordering::Acquire),
                s.commits.get(),
                ratio(s.batches.get(), s.commits.get()),
                s.syncs.get(),
                s.max_sync_us.get(),
                s.staged.get(),
                s.reserved.get(),
            ),
        );
    }
}

pub(super) fn keyspace(fields: &mut Fields, facts: Facts<'_>) {
    let shared = facts.shared;
    for db in 0..shared.options.databases {
        let keys = shared.sum(|s| &s.keys[db]);
        if keys > 0 {
            let expires = shared.sum(|s| &s.expires[db]);
            let left_ms = shared.average_ttl_ms(db);
            fields.add(
                &format!("db{db}"),
                format_args!("keys={keys},expires={expires},avg_ttl={left_ms}"),
            );
        }
    }
}
