//! Sections about the process: server, clients, replication, cpu, modules, cluster.

use super::{Facts, Fields, flag};
use crate::{
    families::REDIS_VERSION, observe::ticks::Ticks, process::notify, runtime::shared::Counter,
};
use quire_engine::keyspace::{AccessClock, Tracking};
use std::time::{SystemTime, UNIX_EPOCH};

/// A text file of one line.
fn read_line(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

pub(super) fn server(fields: &mut Fields, facts: Facts<'_>) {
    let Facts { shared, config, .. } = facts;
    let uptime = shared.started.elapsed().as_secs();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let executable = std::env::current_exe().unwrap_or_default();
    let file = shared.options.config_file.as_ref();
    fields.add("redis_version", REDIS_VERSION);
    fields.add("server_name", "quire");
    fields.add("quire_version", env!("CARGO_PKG_VERSION"));
    fields.add("redis_mode", "standalone");
    fields.add(
        "os",
        format_args!(
            "Linux {} {}",
            read_line("/proc/sys/kernel/osrelease"),
            std::env::consts::ARCH
        ),
    );
    fields.add("arch_bits", usize::BITS);
    fields.add("monotonic_clock", Ticks::new().name());
    fields.add("multiplexing_api", "io_uring");
    fields.add("process_id", std::process::id());
    fields.add("process_supervised", notify::supervisor());
    fields.add("run_id", &shared.run_id);
    fields.add("tcp_port", config.port);
    fields.add("server_time_usec", now.as_micros());
    fields.add("uptime_in_seconds", uptime);
    fields.add("uptime_in_days", uptime / 86_400);
    fields.add("hz", config.hz);
    fields.add("configured_hz", config.hz);
    let mut clock = AccessClock::new();
    clock.set(now.as_millis() as i64, Tracking::Time);
    fields.add("lru_clock", clock.fresh());
    fields.add("executable", executable.display());
    fields.add("config_file", file.map_or(String::new(), |path| path.display().to_string()));
    // Every shard serves its own connections.
    fields.add("io_threads_active", flag(shared.shards() > 1));
    fields.add("shards", shared.shards());
}

pub(super) fn clients(fields: &mut Fields, facts: Facts<'_>) {
    let Facts { shared, config, .. } = facts;
    let most = |pick: fn(&crate::runtime::shared::CoreStats) -> &Counter| {
        shared.cores.iter().map(|core| pick(&core.stats).get()).max().unwrap_or(0)
    };
    fields.add("connected_clients", shared.sum(|s| &s.clients));
    fields.add("cluster_connections", 0);
    fields.add("maxclients", config.maxclients);
    fields.add("client_recent_max_input_buffer", most(|s| &s.largest_input));
    fields.add("client_recent_max_output_buffer", most(|s| &s.largest_output));
    fields.add("blocked_clients", shared.sum(|s| &s.blocked));
    fields.add("tracking_clients", 0);
    fields.add("clients_in_timeout_table", shared.sum(|s| &s.timed));
}

pub(super) fn replication(fields: &mut Fields, facts: Facts<'_>) {
    fields.add("role", "master");
    fields.add("connected_slaves", 0);
    fields.add("master_failover_state", "no-failover");
    fields.add("master_replid", &facts.shared.replication_id);
    fields.add("master_replid2", "0".repeat(40));
    fields.add("master_repl_offset", 0);
    fields.add("second_repl_offset", -1);
    fields.zeros(&[
        "repl_backlog_active",
        "repl_backlog_size",
        "repl_backlog_first_byte_offset",
        "repl_backlog_histlen",
    ]);
}

pub(super) fn cpu(fields: &mut Fields, _facts: Facts<'_>) {
    for (who, suffix) in [(libc::RUSAGE_SELF, ""), (libc::RUSAGE_CHILDREN, "_children")] {
        // SAFETY: rusage is plain numbers, for which zero is a valid value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: getrusage writes one rusage at the given address, which is valid.
        unsafe { libc::getrusage(who, &raw mut usage) };
        for (name, time) in [("used_cpu_sys", usage.ru_stime), ("used_cpu_user", usage.ru_utime)] {
            fields.add(
                &format!("{name}{suffix}"),
                format_args!("{}.{:06}", time.tv_sec, time.tv_usec),
            );
        }
    }
}

/// There are none.
pub(super) fn modules(_fields: &mut Fields, _facts: Facts<'_>) {}

pub(super) fn cluster(fields: &mut Fields, _facts: Facts<'_>) {
    fields.add("cluster_enabled", 0);
}
