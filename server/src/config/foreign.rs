//! Directives of Redis for things Quire does not do (yet, or ever): accepted with the value that
//! asks for nothing, refused with a sentence otherwise. A server that ignores a directive lies.
//!
//! With the rows of `directives.rs` and the aliases of `alias.rs` this is every directive of
//! Redis 7.0; a test asks stock Redis for the list.

use super::{When, directive::parse_memory};

/// What a directive of Redis may be set to here.
#[derive(Debug, Clone, Copy)]
pub(super) enum Accepts {
    /// These values, which all mean the same here; CONFIG GET shows the first.
    Only(&'static [&'static str]),
    /// Every value: Redis 7.0 itself ignores the directive.
    Anything,
    /// None.
    Nothing,
}

/// One directive of Redis; a name ending in `*` stands for all names that begin so.
#[derive(Debug)]
pub(super) struct Foreign {
    /// Name or beginning of names.
    pub name: &'static str,
    /// What it may be set to.
    pub accepts: Accepts,
    /// When Redis lets it be set.
    pub when: When,
    /// CONFIG GET shows it only when asked for by its whole name, as Redis does.
    pub is_hidden: bool,
    /// Why no other value will do.
    pub why: &'static str,
}

/// Accepted with the value that is true here.
const fn only(name: &'static str, value: &'static [&'static str], why: &'static str) -> Foreign {
    Foreign { name, accepts: Accepts::Only(value), when: When::Anytime, is_hidden: false, why }
}

/// The same; CONFIG SET says that it is immutable, as in Redis.
const fn fixed(name: &'static str, value: &'static [&'static str], why: &'static str) -> Foreign {
    Foreign { when: When::Startup, ..only(name, value, why) }
}

/// The same; CONFIG GET shows it only by its whole name.
const fn hidden(name: &'static str, value: &'static [&'static str], why: &'static str) -> Foreign {
    Foreign { is_hidden: true, ..only(name, value, why) }
}

/// Accepted whatever it says.
const fn ignored(name: &'static str) -> Foreign {
    let why = "Redis 7.0 accepts and ignores it";
    Foreign { accepts: Accepts::Anything, is_hidden: true, ..only(name, &[], why) }
}

/// Never accepted.
const fn refused(name: &'static str, why: &'static str) -> Foreign {
    Foreign { accepts: Accepts::Nothing, is_hidden: true, ..only(name, &[], why) }
}

const NO_REPLICATION: &str = "Quire does not replicate yet";
const NO_ACL: &str = "Quire knows one user, `requirepass` sets its password";
const NO_MODULES: &str = "Quire loads no modules";
const NO_CLUSTER: &str = "Quire has no cluster mode yet";
const NO_TLS: &str = "Quire does not speak TLS";
const NO_DEFRAG: &str = "Quire does not move values to defragment its memory";
const NO_FORK: &str = "Quire never forks: shards are placed by `server_cpulist`, storage threads \
                       by `bio_cpulist`";
const FOREGROUND: &str = "Quire stays in the foreground: let a service manager run it (see \
                          configs/systemd/quire.service), or start it with `&` or setsid";
const OWN_THREADS: &str = "each shard serves its own connections: set `shards`";

pub(super) static TABLE: &[Foreign] = &[
    // Snapshots
    only("rdb-del-sync-files", &["no"], NO_REPLICATION),
    only("sanitize-dump-payload", &["no"], "payloads are always checked whole"),
    // Log
    only("aof-disable-auto-gc", &["no"], "files that a checkpoint has replaced go at once"),
    only("aof-load-truncated", &["yes"], "an unsynced tail is always cut, and said to be"),
    // Process
    fixed("daemonize", &["no"], FOREGROUND),
    only(
        "crash-memcheck-enabled",
        &["no"],
        "after a crash no memory test is run: use memtester or memtest86",
    ),
    only("bind-source-addr", &[""], "Quire opens no connections"),
    only(
        "ignore-warnings",
        &["", "ARM64-COW-BUG"],
        "Quire gives no warning that could be switched off",
    ),
    fixed("aof_rewrite_cpulist", &[""], NO_FORK),
    fixed("bgsave_cpulist", &[""], NO_FORK),
    fixed("io-threads", &["1"], OWN_THREADS),
    fixed("io-threads-do-reads", &["no"], OWN_THREADS),
    only("activerehashing", &["yes"], "tables never rehash more than one segment at a time"),
    only("shutdown-timeout", &["10"], NO_REPLICATION),
    // Memory
    only("active-expire-effort", &["1"], "expired keys are found by their deadline"),
    only("jemalloc-bg-thread", &["no"], "the allocator has no thread of its own"),
    only("activedefrag", &["no"], NO_DEFRAG),
    only("active-defrag-ignore-bytes", &["104857600"], NO_DEFRAG),
    only("active-defrag-threshold-lower", &["10"], NO_DEFRAG),
    only("active-defrag-threshold-upper", &["100"], NO_DEFRAG),
    only("active-defrag-cycle-min", &["1"], NO_DEFRAG),
    only("active-defrag-cycle-max", &["25"], NO_DEFRAG),
    only("active-defrag-max-scan-fields", &["1000"], NO_DEFRAG),
    // Values
    only("list-compress-depth", &["0"], "Quire does not compress lists"),
    // Observing
    only("notify-keyspace-events", &[""], "Quire has no pub/sub yet"),
    only("tracking-table-max-keys", &["1000000"], "Quire does not track keys for clients"),
    // Access
    fixed("aclfile", &[""], NO_ACL),
    only("acl-pubsub-default", &["resetchannels"], NO_ACL),
    only("acllog-max-len", &["128"], NO_ACL),
    refused("user", NO_ACL),
    fixed("enable-module-command", &["no"], NO_MODULES),
    refused("loadmodule", NO_MODULES),
    // Replication
    fixed("replicaof", &["", "no one"], NO_REPLICATION),
    only("masterauth", &[""], NO_REPLICATION),
    only("masteruser", &[""], NO_REPLICATION),
    only("replica-serve-stale-data", &["yes"], NO_REPLICATION),
    only("replica-read-only", &["yes"], NO_REPLICATION),
    only("replica-priority", &["100"], NO_REPLICATION),
    only("replica-lazy-flush", &["no"], NO_REPLICATION),
    only("replica-ignore-maxmemory", &["yes"], NO_REPLICATION),
    only("replica-ignore-disk-write-errors", &["no"], NO_REPLICATION),
    only("replica-announce-ip", &[""], NO_REPLICATION),
    only("replica-announce-port", &["0"], NO_REPLICATION),
    only("replica-announced", &["yes"], NO_REPLICATION),
    only("propagation-error-behavior", &["ignore"], NO_REPLICATION),
    only("repl-diskless-sync", &["yes"], NO_REPLICATION),
    only("repl-diskless-sync-delay", &["5"], NO_REPLICATION),
    only("repl-diskless-sync-max-replicas", &["0"], NO_REPLICATION),
    only("repl-diskless-load", &["disabled"], NO_REPLICATION),
    only("repl-disable-tcp-nodelay", &["no"], NO_REPLICATION),
    only("min-replicas-to-write", &["0"], NO_REPLICATION),
    only("min-replicas-max-lag", &["10"], NO_REPLICATION),
    refused("replica-*", NO_REPLICATION),
    refused("repl-*", NO_REPLICATION),
    // Cluster
    fixed("cluster-enabled", &["no"], NO_CLUSTER),
    fixed("cluster-config-file", &["nodes.conf"], NO_CLUSTER),
    fixed("cluster-port", &["0"], NO_CLUSTER),
    only("cluster-node-timeout", &["15000"], NO_CLUSTER),
    only("cluster-migration-barrier", &["1"], NO_CLUSTER),
    only("cluster-replica-validity-factor", &["10"], NO_CLUSTER),
    only("cluster-replica-no-failover", &["no"], NO_CLUSTER),
    only("cluster-require-full-coverage", &["yes"], NO_CLUSTER),
    only("cluster-allow-reads-when-down", &["no"], NO_CLUSTER),
    only("cluster-allow-pubsubshard-when-down", &["yes"], NO_CLUSTER),
    only("cluster-allow-replica-migration", &["yes"], NO_CLUSTER),
    only("cluster-link-sendbuf-limit", &["0"], NO_CLUSTER),
    only("cluster-announce-ip", &[""], NO_CLUSTER),
    only("cluster-announce-port", &["0"], NO_CLUSTER),
    only("cluster-announce-tls-port", &["0"], NO_CLUSTER),
    only("cluster-announce-bus-port", &["0"], NO_CLUSTER),
    only("cluster-announce-hostname", &[""], NO_CLUSTER),
    only("cluster-preferred-endpoint-type", &["ip"], NO_CLUSTER),
    refused("cluster-*", NO_CLUSTER),
    refused("sentinel", "Quire is not a sentinel"),
    // TLS
    only("tls-port", &["0"], NO_TLS),
    only("tls-session-cache-size", &["20480"], NO_TLS),
    only("tls-session-cache-timeout", &["300"], NO_TLS),
    only("tls-cluster", &["no"], NO_TLS),
    only("tls-replication", &["no"], NO_TLS),
    only("tls-auth-clients", &["yes"], NO_TLS),
    only("tls-prefer-server-ciphers", &["no"], NO_TLS),
    only("tls-session-caching", &["yes"], NO_TLS),
    only("tls-cert-file", &[""], NO_TLS),
    only("tls-key-file", &[""], NO_TLS),
    only("tls-key-file-pass", &[""], NO_TLS),
    only("tls-client-cert-file", &[""], NO_TLS),
    only("tls-client-key-file", &[""], NO_TLS),
    only("tls-client-key-file-pass", &[""], NO_TLS),
    only("tls-dh-params-file", &[""], NO_TLS),
    only("tls-ca-cert-file", &[""], NO_TLS),
    only("tls-ca-cert-dir", &[""], NO_TLS),
    only("tls-protocols", &[""], NO_TLS),
    only("tls-ciphers", &[""], NO_TLS),
    only("tls-ciphersuites", &[""], NO_TLS),
    refused("tls-*", NO_TLS),
    // Aids of Redis' own tests, and what Redis itself has stopped obeying
    hidden("key-load-delay", &["0"], "an aid of Redis' own tests"),
    hidden("rdb-key-save-delay", &["0"], "an aid of Redis' own tests"),
    hidden("loading-process-events-interval-bytes", &["2097152"], "an aid of Redis' own tests"),
    hidden("watchdog-period", &["0"], "an aid of Redis' own tests"),
    hidden("use-exit-on-panic", &["no"], "an aid of Redis' own tests"),
    ignored("list-max-ziplist-entries"),
    ignored("list-max-ziplist-value"),
    ignored("lua-replicate-commands"),
];

/// The row for this name (lower case).
pub(super) fn find(name: &str) -> Option<&'static Foreign> {
    TABLE.iter().find(|row| match row.name.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == row.name,
    })
}

impl Foreign {
    /// The value CONFIG GET shows, if the directive can be set at all.
    pub fn value(&self) -> Option<&'static str> {
        match self.accepts {
            Accepts::Only(values) => values.first().copied(),
            Accepts::Anything | Accepts::Nothing => None,
        }
    }

    /// Accepts what is true.
    ///
    /// # Errors
    /// A sentence why not, and what would be accepted.
    pub fn check(&self, values: &[&[u8]]) -> Result<(), String> {
        let expected = match self.accepts {
            Accepts::Only(expected) => expected,
            Accepts::Anything => return Ok(()),
            Accepts::Nothing => return Err(format!("not supported: {}", self.why)),
        };
        let given = String::from_utf8_lossy(&values.join(&b' ')).into_owned();
        let bytes = parse_memory(&given);
        let is = |value: &&str| {
            given.eq_ignore_ascii_case(value) || (bytes.is_some() && parse_memory(value) == bytes)
        };
        if expected.iter().any(is) {
            return Ok(());
        }
        let first = expected.first().copied().unwrap_or_default();
        let first = if first.is_empty() { "\"\"" } else { first };
        Err(format!("only {first} is accepted: {}", self.why))
    }
}
