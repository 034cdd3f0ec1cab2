//! The text of INFO. Every field is a fact: what Redis reports and Quire does not have is left
//! out, unless its value here is true by construction (no replicas, no scripts, no eviction).
//!
//! Figures are those the cores published last; INFO asks them to publish first.

use super::memory::{Memory, human};
use crate::{
    config::Config,
    families::REDIS_VERSION,
    runtime::shared::{Counter, Shared},
};
use quire_engine::{command::ErrorCounts, families::table};
use std::{
    fmt::{Display, Write as _},
    sync::atomic::Ordering,
    time::{SystemTime, UNIX_EPOCH},
};

/// What the text is made of.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Figures of all cores.
    pub shared: &'a Shared,
    /// The configuration.
    pub config: &'a Config,
    /// Error replies by code.
    pub errors: &'a ErrorCounts,
}

/// One section.
struct Section {
    /// Name in the request, lower case.
    name: &'static str,
    /// Name in the text.
    title: &'static str,
    /// Part of INFO without arguments.
    is_default: bool,
    write: fn(&mut Fields, Facts<'_>),
}

const fn section(
    name: &'static str,
    title: &'static str,
    is_default: bool,
    write: fn(&mut Fields, Facts<'_>),
) -> Section {
    Section { name, title, is_default, write }
}

const SECTIONS: [Section; 11] = [
    section("server", "Server", true, server),
    section("clients", "Clients", true, clients),
    section("memory", "Memory", true, memory),
    section("persistence", "Persistence", true, persistence),
    section("stats", "Stats", true, stats),
    section("replication", "Replication", true, replication),
    section("cpu", "CPU", true, cpu),
    section("commandstats", "Commandstats", false, command_stats),
    section("errorstats", "Errorstats", true, error_stats),
    section("shards", "Shards", true, shards),
    section("keyspace", "Keyspace", true, keyspace),
];

/// Which sections are wanted.
#[derive(Debug, PartialEq, Eq)]
pub struct Sections([bool; SECTIONS.len()]);

impl Sections {
    /// From the arguments of INFO: names, `default`, `all`, `everything`; none means default.
    pub fn of<'a>(names: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut wanted = [false; SECTIONS.len()];
        let mut any = false;
        for name in names {
            any = true;
            let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
            for (wanted, section) in wanted.iter_mut().zip(&SECTIONS) {
                *wanted |= is(section.name)
                    || is("all")
                    || is("everything")
                    || (is("default") && section.is_default);
            }
        }
        if !any {
            wanted = SECTIONS.each_ref().map(|section| section.is_default);
        }
        Self(wanted)
    }
}

/// `name:value` lines.
struct Fields(String);

impl Fields {
    fn add(&mut self, name: &str, value: impl Display) {
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{name}:{value}\r\n");
    }

    /// Bytes, and the same for people.
    fn bytes(&mut self, name: &str, bytes: u64) {
        self.add(name, bytes);
        self.add(&format!("{name}_human"), human(bytes));
    }
}

/// The text of the wanted sections.
pub fn text(facts: Facts<'_>, sections: &Sections) -> String {
    let mut fields = Fields(String::new());
    for (section, wanted) in SECTIONS.iter().zip(sections.0) {
        if wanted {
            let separator = if fields.0.is_empty() { "" } else { "\r\n" };
            let _ = write!(fields.0, "{separator}# {}\r\n", section.title);
            (section.write)(&mut fields, facts);
        }
    }
    fields.0
}

fn flag(yes: bool) -> u8 {
    u8::from(yes)
}

/// A text file of one line.
fn read_line(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

fn server(fields: &mut Fields, facts: Facts<'_>) {
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
    fields.add("multiplexing_api", "io_uring");
    fields.add("process_id", std::process::id());
    fields.add("process_supervised", "no");
    fields.add("run_id", &shared.run_id);
    fields.add("tcp_port", config.port);
    fields.add("server_time_usec", now.as_micros());
    fields.add("uptime_in_seconds", uptime);
    fields.add("uptime_in_days", uptime / 86_400);
    fields.add("hz", config.hz);
    fields.add("configured_hz", config.hz);
    fields.add("executable", executable.display());
    fields.add("config_file", file.map_or(String::new(), |path| path.display().to_string()));
    fields.add("shards", shared.shards());
}

fn clients(fields: &mut Fields, facts: Facts<'_>) {
    let Facts { shared, config, .. } = facts;
    fields.add("connected_clients", shared.sum(|s| &s.clients));
    fields.add("cluster_connections", 0);
    fields.add("maxclients", config.maxclients);
    fields.add("blocked_clients", shared.sum(|s| &s.blocked));
    fields.add("tracking_clients", 0);
}

fn memory(fields: &mut Fields, facts: Facts<'_>) {
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
    fields.add("allocator_allocated", memory.used);
    fields.add("allocator_active", memory.active);
    fields.add("allocator_resident", memory.resident);
    fields.bytes("total_system_memory", memory.total);
    fields.bytes("maxmemory", 0);
    fields.add("maxmemory_policy", "noeviction");
    let fragmentation = ratio(memory.active, memory.used);
    fields.add("allocator_frag_ratio", format_args!("{fragmentation:.2}"));
    let fragmentation = ratio(memory.rss, memory.used);
    fields.add("mem_fragmentation_ratio", format_args!("{fragmentation:.2}"));
    fields.add(
        "mem_clients_normal",
        shared.sum(|s| &s.query_bytes) + shared.sum(|s| &s.output_bytes),
    );
    fields.add("mem_aof_buffer", shared.sum(|s| &s.staged));
    fields.add("mem_allocator", "jemalloc");
}

fn persistence(fields: &mut Fields, facts: Facts<'_>) {
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

fn stats(fields: &mut Fields, facts: Facts<'_>) {
    let shared = facts.shared;
    fields.add("total_connections_received", shared.sum(|s| &s.connections));
    fields.add("total_commands_processed", shared.sum(|s| &s.commands));
    fields.add("total_net_input_bytes", shared.sum(|s| &s.net_in));
    fields.add("total_net_output_bytes", shared.sum(|s| &s.net_out));
    fields.add("rejected_connections", shared.sum(|s| &s.rejected));
    fields.add("expired_keys", shared.sum(|s| &s.expired));
    fields.add("evicted_keys", 0);
    fields.add("evicted_clients", 0);
    fields.add("keyspace_hits", shared.sum(|s| &s.hits));
    fields.add("keyspace_misses", shared.sum(|s| &s.misses));
    fields.add("pubsub_channels", 0);
    fields.add("pubsub_patterns", 0);
    fields.add("latest_fork_usec", 0);
    fields.add("total_forks", 0);
    fields.add("total_error_replies", shared.sum(|s| &s.errors));
    fields.add("total_loop_turns", shared.sum(|s| &s.turns));
    fields.add("total_ring_enters", shared.sum(|s| &s.enters));
    fields.add("total_hops", shared.sum(|s| &s.hops_out));
    fields.add("total_hop_batches", shared.sum(|s| &s.hop_batches_out));
}

fn replication(fields: &mut Fields, _facts: Facts<'_>) {
    fields.add("role", "master");
    fields.add("connected_slaves", 0);
}

fn cpu(fields: &mut Fields, _facts: Facts<'_>) {
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

/// Calls of commands on shards; those of the server itself are not counted one by one.
fn command_stats(fields: &mut Fields, facts: Facts<'_>) {
    let shared = facts.shared;
    for (id, spec) in table::SPECS.iter().enumerate() {
        let calls: u64 = shared.cores.iter().map(|core| core.stats.calls[id].get()).sum();
        if calls > 0 {
            fields.add(&format!("cmdstat_{}", spec.name), format_args!("calls={calls}"));
        }
    }
}

fn error_stats(fields: &mut Fields, facts: Facts<'_>) {
    for (code, count) in facts.errors.sorted() {
        fields.add(&format!("errorstat_{code}"), format_args!("count={count}"));
    }
}

fn shards(fields: &mut Fields, facts: Facts<'_>) {
    let Facts { shared, config, .. } = facts;
    let policies = config.fsync_policies();
    for (id, core) in shared.cores.iter().enumerate() {
        let s = &core.stats;
        let position = |position: &std::sync::atomic::AtomicU64| position.load(Ordering::Acquire);
        let cpu = shared.options.cpus.get(id).copied().flatten();
        let policy = match policies.get(id) {
            Some(policy) if shared.options.appendonly => policy.name(),
            _ => "none",
        };
        fields.add(
            &format!("shard{id}"),
            format_args!(
                "cpu={},clients={},keys={},commands={},hops_in={},hops_out={},fsync={policy},\
                 lsn={},written={},synced={}",
                cpu.map_or("any".to_owned(), |cpu| cpu.to_string()),
                s.clients.get(),
                s.keys.iter().map(Counter::get).sum::<u64>(),
                s.commands.get(),
                s.hops_in.get(),
                s.hops_out.get(),
                s.last_lsn.get(),
                position(&core.written),
                position(&core.synced),
            ),
        );
    }
}

fn keyspace(fields: &mut Fields, facts: Facts<'_>) {
    let shared = facts.shared;
    for db in 0..shared.options.databases {
        let keys = shared.sum(|s| &s.keys[db]);
        if keys > 0 {
            let expires = shared.sum(|s| &s.expires[db]);
            fields.add(&format!("db{db}"), format_args!("keys={keys},expires={expires}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;

    fn names(words: &[&str]) -> Vec<&'static str> {
        let sections = Sections::of(words.iter().map(|word| word.as_bytes()));
        SECTIONS.iter().zip(sections.0).filter(|(_, w)| *w).map(|(s, _)| s.name).collect()
    }

    #[test]
    fn sections_are_chosen_by_name() {
        assert_eq!(names(&["Server", "CPU", "nosuch"]), ["server", "cpu"]);
        assert_eq!(names(&["nosuch"]), [""; 0]);
        assert_eq!(names(&["all"]).len(), SECTIONS.len());
        assert!(!names(&[]).contains(&"commandstats"));
        assert_eq!(names(&["default"]), names(&[]));
        assert_eq!(names(&["default", "commandstats"]).len(), names(&[]).len() + 1);
    }

    #[test]
    fn every_line_is_a_title_a_field_or_empty() {
        let mut config = Config { shards: 2, ..Config::default() };
        config.resolve(2).unwrap();
        let options = Options::new(&config, vec![Some(1)], None);
        let shared = Shared::new(options, config.clone(), "ab".repeat(20)).unwrap();
        shared.cores[0].stats.keys[3].set(2);
        shared.cores[1].stats.keys[3].set(5);
        shared.cores[1].stats.expires[3].set(1);
        shared.cores[1].stats.calls[0].set(9);
        let mut errors = ErrorCounts::default();
        errors.add("WRONGTYPE", 2);
        let facts = Facts { shared: &shared, config: &config, errors: &errors };
        let text = text(facts, &Sections::of(std::iter::once(&b"all"[..])));
        for line in text.split("\r\n") {
            let field = line.split_once(':').is_some_and(|(name, _)| {
                name.bytes()
                    .all(|b| b.is_ascii_alphabetic() || b.is_ascii_digit() || b"_|".contains(&b))
            });
            assert!(line.is_empty() || line.starts_with("# ") || field, "{line}");
        }
        for expected in [
            "redis_version:7.0.15",
            "shards:2",
            "loading:1",
            "errorstat_WRONGTYPE:count=2",
            "db3:keys=7,expires=1",
            "shard0:cpu=1,clients=0,keys=2,",
            "shard1:cpu=any,clients=0,keys=5,",
            &format!("cmdstat_{}:calls=9", table::SPECS[0].name),
        ] {
            assert!(text.contains(&format!("\r\n{expected}")), "{expected} in {text}");
        }
    }
}
