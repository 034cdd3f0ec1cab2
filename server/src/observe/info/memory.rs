//! Section memory.

use super::{Facts, Fields};
use crate::{observe::memory::Memory, runtime::shared::Counted};
use quire_engine::aof;

pub(super) fn memory(fields: &mut Fields, facts: Facts<'_>) {
    let shared = facts.shared;
    let memory = Memory::sample();
    let dataset = shared.sum(|s| &s.keyspace_bytes);
    let ratio = |a: u64, b: u64| a as f64 / b.max(1) as f64;
    fields.bytes("used_memory", memory.used);
    fields.bytes("used_memory_rss", memory.rss);
    fields.bytes("used_memory_peak", memory.peak);
    fields.add(
        "used_memory_peak_perc",
        format_args!("{:.2}%", 100.0 * ratio(memory.used, memory.peak)),
    );
    fields.add("used_memory_overhead", memory.used.saturating_sub(dataset));
    fields.add("used_memory_dataset", dataset);
    fields.add("allocator_allocated", memory.allocated);
    fields.add("allocator_active", memory.active);
    fields.add("allocator_resident", memory.resident);
    fields.bytes("total_system_memory", memory.total);
    fields.bytes("maxmemory", facts.config.maxmemory);
    fields.add("maxmemory_policy", facts.config.maxmemory_policy.name());
    let fragmentation = ratio(memory.active, memory.allocated);
    fields.add("allocator_frag_ratio", format_args!("{fragmentation:.2}"));
    let fragmentation = ratio(memory.rss, memory.used);
    fields.add("mem_fragmentation_ratio", format_args!("{fragmentation:.2}"));
    fields.add(
        "mem_clients_normal",
        shared.sum(|s| &s.query_bytes) + shared.sum(|s| &s.output_bytes),
    );
    fields.add("mem_not_counted_for_evict", aof::buffer_bytes());
    fields.add("mem_aof_buffer", aof::buffer_bytes());
    fields.add("mem_allocator", "jemalloc");
    fields.add("lazyfree_pending_objects", shared.sum(|s| &s.lazily_pending));
    fields.add("lazyfreed_objects", shared.counted(Counted::LazilyFreed));
}
