//! Section memory.

use super::{Facts, Fields};
use crate::{
    observe::breakdown::{Breakdown, ratio},
    runtime::shared::Counted,
};

pub(super) fn memory(fields: &mut Fields, facts: Facts<'_>) {
    let shared = facts.shared;
    let parts = Breakdown::of(shared, facts.used);
    let memory = &parts.memory;
    let percent = |share: f64| format!("{share:.2}%");
    let difference = |a: u64, b: u64| a as i64 - b as i64;
    fields.bytes("used_memory", memory.used);
    fields.bytes("used_memory_rss", memory.rss);
    fields.bytes("used_memory_peak", memory.peak);
    fields.add("used_memory_peak_perc", percent(100.0 * ratio(memory.used, memory.peak)));
    fields.add("used_memory_overhead", parts.overhead());
    fields.add("used_memory_startup", memory.startup);
    fields.add("used_memory_dataset", parts.dataset());
    fields.add("used_memory_dataset_perc", percent(parts.dataset_percent()));
    fields.add("allocator_allocated", memory.allocated);
    fields.add("allocator_active", memory.active);
    fields.add("allocator_resident", memory.resident);
    fields.bytes("total_system_memory", memory.total);
    let (eval, functions) = (shared.sum(|s| &s.eval_bytes), shared.sum(|s| &s.function_bytes));
    let (scripts, script_bytes) = shared.scripts.figures();
    let (libraries, function_count) = shared.libraries.shelf().counts();
    let library_bytes = shared.libraries.bytes();
    fields.bytes("used_memory_lua", eval);
    fields.add("used_memory_vm_eval", eval);
    fields.add("used_memory_scripts_eval", script_bytes);
    fields.add("number_of_cached_scripts", scripts);
    fields.add("number_of_functions", function_count);
    fields.add("number_of_libraries", libraries);
    fields.add("used_memory_vm_functions", functions);
    fields.bytes("used_memory_vm_total", eval + functions);
    fields.add("used_memory_functions", library_bytes);
    fields.bytes("used_memory_scripts", script_bytes + library_bytes);
    fields.bytes("maxmemory", facts.config.maxmemory);
    fields.add("maxmemory_policy", facts.config.maxmemory_policy.name());
    for (ratio_name, bytes_name, a, b) in [
        ("allocator_frag_ratio", "allocator_frag_bytes", memory.active, memory.allocated),
        ("allocator_rss_ratio", "allocator_rss_bytes", memory.resident, memory.active),
        ("rss_overhead_ratio", "rss_overhead_bytes", memory.rss, memory.resident),
        ("mem_fragmentation_ratio", "mem_fragmentation_bytes", memory.rss, memory.used),
    ] {
        fields.add(ratio_name, format_args!("{:.2}", ratio(a, b)));
        fields.add(bytes_name, difference(a, b));
    }
    fields.add("mem_not_counted_for_evict", parts.log);
    fields.zeros(&[
        "mem_replication_backlog",
        "mem_total_replication_buffers",
        "mem_clients_slaves",
    ]);
    fields.add("mem_clients_normal", parts.clients);
    fields.add("mem_cluster_links", 0);
    fields.add("mem_aof_buffer", parts.log);
    fields.add("mem_allocator", "jemalloc");
    fields.add("active_defrag_running", 0);
    fields.add("lazyfree_pending_objects", shared.sum(|s| &s.lazily_pending));
    fields.add("lazyfreed_objects", shared.counted(Counted::LazilyFreed));
}
