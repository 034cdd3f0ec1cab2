//! Directives of Redis for things Quire does not do (yet, or ever): accepted with the value that
//! asks for nothing, refused with a sentence otherwise. A server that ignores a directive lies.

use super::directive::parse_memory;

/// One directive of Redis; a name ending in `*` stands for all names that begin so.
#[derive(Debug)]
pub(super) struct Foreign {
    /// Name or beginning of names.
    pub name: &'static str,
    /// The value that is true here, if there is one.
    pub value: Option<&'static str>,
    /// True when CONFIG GET shows it: the value is a fact about this server, not only harmless.
    pub is_fact: bool,
    /// Why no other value will do.
    pub why: &'static str,
}

/// Accepted because it asks for nothing.
const fn inert(name: &'static str, value: &'static str, why: &'static str) -> Foreign {
    Foreign { name, value: Some(value), is_fact: false, why }
}

/// Accepted because it is true.
const fn fact(name: &'static str, value: &'static str, why: &'static str) -> Foreign {
    Foreign { name, value: Some(value), is_fact: true, why }
}

/// Never accepted.
const fn refused(name: &'static str, why: &'static str) -> Foreign {
    Foreign { name, value: None, is_fact: false, why }
}

const NO_REPLICATION: &str = "Quire does not replicate yet";
const NO_SNAPSHOTS: &str = "Quire writes no RDB snapshots yet, its log is what persists";
const NO_REWRITE: &str = "Quire does not rewrite its log by itself yet";
const NO_EVICTION: &str = "Quire does not limit its memory yet";
const NO_ACL: &str = "Quire knows one user, `requirepass` sets its password";
const NO_MODULES: &str = "Quire loads no modules";
const NO_TYPE: &str = "Quire has no values of this type yet";
const NO_SYSLOG: &str = "Quire logs to standard output or to `logfile`";
const FOREGROUND: &str = "Quire stays in the foreground: let the service manager run it";
const NO_SLOWLOG: &str = "Quire keeps no slow log yet";
const PINNED: &str = "each shard pins itself to a CPU of the process' affinity mask (see taskset)";

pub(super) static TABLE: &[Foreign] = &[
    fact("save", "", NO_SNAPSHOTS),
    fact("stop-writes-on-bgsave-error", "yes", NO_SNAPSHOTS),
    inert("rdbcompression", "yes", NO_SNAPSHOTS),
    inert("rdbchecksum", "yes", NO_SNAPSHOTS),
    inert("dbfilename", "dump.rdb", NO_SNAPSHOTS),
    inert("rdb-del-sync-files", "no", NO_SNAPSHOTS),
    inert("rdb-save-incremental-fsync", "yes", NO_SNAPSHOTS),
    inert("sanitize-dump-payload", "no", NO_SNAPSHOTS),
    fact("auto-aof-rewrite-percentage", "0", NO_REWRITE),
    inert("auto-aof-rewrite-min-size", "64mb", NO_REWRITE),
    inert("no-appendfsync-on-rewrite", "no", NO_REWRITE),
    inert("aof-rewrite-incremental-fsync", "yes", NO_REWRITE),
    inert("aof-use-rdb-preamble", "yes", NO_REWRITE),
    fact("aof-load-truncated", "yes", "an unsynced tail is always cut, and said to be"),
    fact("aof-timestamp-enabled", "no", "Quire's log carries no timestamps"),
    fact("daemonize", "no", FOREGROUND),
    fact("supervised", "no", FOREGROUND),
    inert("pidfile", "", FOREGROUND),
    fact("always-show-logo", "no", "there is no logo"),
    fact("set-proc-title", "no", "Quire does not change its process title"),
    inert("proc-title-template", "{title} {listen-addr} {server-mode}", "no process title is set"),
    fact("syslog-enabled", "no", NO_SYSLOG),
    inert("syslog-ident", "redis", NO_SYSLOG),
    inert("syslog-facility", "local0", NO_SYSLOG),
    fact("maxmemory", "0", NO_EVICTION),
    fact("maxmemory-policy", "noeviction", NO_EVICTION),
    fact("maxmemory-clients", "0", NO_EVICTION),
    inert("maxmemory-samples", "5", NO_EVICTION),
    inert("maxmemory-eviction-tenacity", "10", NO_EVICTION),
    inert("lfu-log-factor", "10", NO_EVICTION),
    inert("lfu-decay-time", "1", NO_EVICTION),
    inert("lazyfree-lazy-eviction", "no", NO_EVICTION),
    inert("lazyfree-lazy-expire", "no", "values are freed where they are removed"),
    inert("lazyfree-lazy-server-del", "no", "values are freed where they are removed"),
    inert("lazyfree-lazy-user-del", "no", "values are freed where they are removed"),
    inert("lazyfree-lazy-user-flush", "no", "values are freed where they are removed"),
    fact("activedefrag", "no", "Quire does not defragment its memory"),
    inert("activerehashing", "yes", "tables never rehash more than one segment at a time"),
    fact("dynamic-hz", "no", "`hz` is kept whatever the number of clients"),
    inert("active-expire-effort", "1", "expired keys are found by their deadline"),
    inert("jemalloc-bg-thread", "no", "the allocator has no thread of its own"),
    inert("io-threads", "1", "each shard serves its own connections: set `shards`"),
    inert("io-threads-do-reads", "no", "each shard serves its own connections: set `shards`"),
    inert("oom-score-adj", "no", "Quire leaves its OOM score alone"),
    inert("oom-score-adj-values", "0 200 800", "Quire leaves its OOM score alone"),
    inert("disable-thp", "no", "Quire never forks, so huge pages cost it nothing"),
    inert("server_cpulist", "", PINNED),
    inert("bio_cpulist", "", PINNED),
    inert("aof_rewrite_cpulist", "", PINNED),
    inert("bgsave_cpulist", "", PINNED),
    refused("replicaof", NO_REPLICATION),
    refused("slaveof", NO_REPLICATION),
    inert("masterauth", "", NO_REPLICATION),
    inert("masteruser", "", NO_REPLICATION),
    inert("replica-serve-stale-data", "yes", NO_REPLICATION),
    inert("replica-read-only", "yes", NO_REPLICATION),
    inert("replica-priority", "100", NO_REPLICATION),
    inert("replica-lazy-flush", "no", NO_REPLICATION),
    inert("replica-ignore-maxmemory", "yes", NO_REPLICATION),
    inert("repl-diskless-sync", "yes", NO_REPLICATION),
    inert("repl-diskless-sync-delay", "5", NO_REPLICATION),
    inert("repl-diskless-sync-max-replicas", "0", NO_REPLICATION),
    inert("repl-diskless-load", "disabled", NO_REPLICATION),
    inert("repl-disable-tcp-nodelay", "no", NO_REPLICATION),
    inert("repl-backlog-size", "1mb", NO_REPLICATION),
    inert("repl-backlog-ttl", "3600", NO_REPLICATION),
    inert("repl-timeout", "60", NO_REPLICATION),
    inert("repl-ping-replica-period", "10", NO_REPLICATION),
    fact("min-replicas-to-write", "0", NO_REPLICATION),
    inert("min-replicas-max-lag", "10", NO_REPLICATION),
    refused("replica-*", NO_REPLICATION),
    refused("repl-*", NO_REPLICATION),
    inert("shutdown-timeout", "10", NO_REPLICATION),
    fact("cluster-enabled", "no", "Quire has no cluster mode yet"),
    refused("cluster-*", "Quire has no cluster mode yet"),
    fact("tls-port", "0", "Quire does not speak TLS"),
    refused("tls-*", "Quire does not speak TLS"),
    refused("sentinel", "Quire is not a sentinel"),
    refused("user", NO_ACL),
    inert("aclfile", "", NO_ACL),
    inert("acl-pubsub-default", "resetchannels", NO_ACL),
    inert("acllog-max-len", "128", NO_ACL),
    refused("rename-command", "commands cannot be renamed"),
    refused("loadmodule", NO_MODULES),
    fact("enable-module-command", "no", NO_MODULES),
    fact(
        "enable-protected-configs",
        "no",
        "no directive is protected: what CONFIG SET must not \
        change it cannot change",
    ),
    fact("notify-keyspace-events", "", "Quire has no pub/sub yet"),
    inert("tracking-table-max-keys", "1000000", "Quire does not track keys for clients"),
    fact("latency-monitor-threshold", "0", "Quire has no latency monitor yet"),
    fact("latency-tracking", "no", "Quire does not track latencies by command yet"),
    fact("slowlog-log-slower-than", "-1", NO_SLOWLOG),
    inert("slowlog-max-len", "128", NO_SLOWLOG),
    inert("lua-time-limit", "5000", "Quire runs no scripts yet"),
    inert("busy-reply-threshold", "5000", "Quire runs no scripts yet"),
    inert("hash-max-listpack-entries", "512", NO_TYPE),
    inert("hash-max-listpack-value", "64", NO_TYPE),
    inert("list-max-listpack-size", "-2", NO_TYPE),
    inert("list-compress-depth", "0", NO_TYPE),
    inert("set-max-intset-entries", "512", NO_TYPE),
    inert("zset-max-listpack-entries", "128", NO_TYPE),
    inert("zset-max-listpack-value", "64", NO_TYPE),
    inert("hll-sparse-max-bytes", "3000", NO_TYPE),
    inert("stream-node-max-bytes", "4096", NO_TYPE),
    inert("stream-node-max-entries", "100", NO_TYPE),
    inert("crash-log-enabled", "no", "a crash leaves a core dump, no report"),
    inert("crash-memcheck-enabled", "no", "a crash leaves a core dump, no report"),
    inert("bind-source-addr", "", "Quire opens no connections"),
    inert("socket-mark-id", "0", "Quire does not mark its sockets"),
    inert("shutdown-on-sigint", "default", "signals end Quire as SHUTDOWN does"),
    inert("shutdown-on-sigterm", "default", "signals end Quire as SHUTDOWN does"),
    inert("ignore-warnings", "", "Quire refuses instead"),
];

/// The row for this name (lower case).
pub(super) fn find(name: &str) -> Option<&'static Foreign> {
    TABLE.iter().find(|row| match row.name.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == row.name,
    })
}

impl Foreign {
    /// Accepts the one value that is true.
    ///
    /// # Errors
    /// A sentence why not, and what would be accepted.
    pub fn check(&self, values: &[&[u8]]) -> Result<(), String> {
        let Some(expected) = self.value else {
            return Err(format!("not supported: {}", self.why));
        };
        let given = String::from_utf8_lossy(&values.join(&b' ')).into_owned();
        let same_bytes = || parse_memory(&given).is_some_and(|b| parse_memory(expected) == Some(b));
        if given.eq_ignore_ascii_case(expected) || same_bytes() {
            return Ok(());
        }
        let expected = if expected.is_empty() { "\"\"" } else { expected };
        Err(format!("only {expected} is accepted: {}", self.why))
    }
}
