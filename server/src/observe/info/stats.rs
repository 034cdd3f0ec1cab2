//! Section stats: what happened since the start, or since CONFIG RESETSTAT.

use super::{Facts, Fields};
use crate::runtime::shared::Counted;
use std::time::Instant;

pub(super) fn stats(fields: &mut Fields, facts: Facts<'_>) {
    let shared = facts.shared;
    let counted = |what: Counted| shared.counted(what);
    fields.add("total_connections_received", counted(Counted::Connections));
    fields.add("total_commands_processed", counted(Counted::Commands));
    let [commands, input, output] = shared.rates.per_second();
    let kilobytes = |bytes: u64| format!("{:.2}", bytes as f64 / 1024.0);
    fields.add("instantaneous_ops_per_sec", commands);
    fields.add("total_net_input_bytes", counted(Counted::NetIn));
    fields.add("total_net_output_bytes", counted(Counted::NetOut));
    fields.zeros(&["total_net_repl_input_bytes", "total_net_repl_output_bytes"]);
    fields.add("instantaneous_input_kbps", kilobytes(input));
    fields.add("instantaneous_output_kbps", kilobytes(output));
    fields.add("instantaneous_input_repl_kbps", kilobytes(0));
    fields.add("instantaneous_output_repl_kbps", kilobytes(0));
    fields.add("rejected_connections", counted(Counted::Rejected));
    fields.zeros(&["sync_full", "sync_partial_ok", "sync_partial_err"]);
    fields.add("expired_keys", counted(Counted::Expired));
    fields.add("expire_cycle_cpu_milliseconds", counted(Counted::ExpireUs) / 1000);
    fields.add("evicted_keys", counted(Counted::Evicted));
    fields.add("evicted_clients", counted(Counted::EvictedClients));
    let (current, all) = shared.over_limit.times(Instant::now());
    fields.add("total_eviction_exceeded_time", all.as_millis());
    fields.add("current_eviction_exceeded_time", current.as_millis());
    fields.add("keyspace_hits", counted(Counted::Hits));
    fields.add("keyspace_misses", counted(Counted::Misses));
    fields.zeros(&[
        "pubsub_channels",
        "pubsub_patterns",
        "pubsubshard_channels",
        "latest_fork_usec",
        "total_forks",
        "migrate_cached_sockets",
        "slave_expires_tracked_keys",
        "tracking_total_keys",
        "tracking_total_items",
        "tracking_total_prefixes",
        "unexpected_error_replies",
    ]);
    fields.add("total_error_replies", facts.errors.total());
    fields.add("dump_payload_sanitizations", 0);
    fields.add("total_reads_processed", counted(Counted::Reads));
    fields.add("total_writes_processed", counted(Counted::Writes));
    fields.add("total_loop_turns", counted(Counted::Turns));
    fields.add("total_ring_enters", counted(Counted::Enters));
    fields.add("total_hops", counted(Counted::HopsOut));
    fields.add("total_hop_batches", counted(Counted::HopBatchesOut));
}
