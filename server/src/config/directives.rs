//! The table: one row per directive.

use super::directive::{
    Directive, Kind,
    When::{self, Anytime, Protected, Restart, Startup},
};
use super::{Config, FsyncPolicy, ShardPolicy, output_limit};
use quire_engine::limits::{SHARDS_MAX, STRING_BYTES_MAX};
use std::path::PathBuf;

/// Most addresses of `bind`.
const BIND_MAX: usize = 16;
/// Highest and lowest of what `hz` is kept between, as in Redis.
const HZ_RANGE: (i64, i64) = (1, 500);

const fn row(name: &'static str, when: When, kind: Kind, doc: &'static str) -> Directive {
    Directive { name, when, kind, doc }
}

/// A number kept in a field of any integer type that holds `min..=max`.
macro_rules! int {
    ($name:literal, $when:ident, $min:literal..=$max:expr, $field:ident, $doc:literal) => {
        row(
            $name,
            $when,
            Kind::Int {
                min: $min,
                max: $max,
                get: |c| i64::from(c.$field),
                // The range has been checked.
                set: |c, v| c.$field = v as _,
            },
            $doc,
        )
    };
}

macro_rules! bool {
    ($name:literal, $when:ident, $field:ident, $doc:literal) => {
        row($name, $when, Kind::Bool { get: |c| c.$field, set: |c, v| c.$field = v }, $doc)
    };
}

macro_rules! memory {
    ($name:literal, $when:ident, $min:expr, $max:expr, $field:ident, $doc:literal) => {
        row(
            $name,
            $when,
            Kind::Memory { min: $min, max: $max, get: |c| c.$field, set: |c, v| c.$field = v },
            $doc,
        )
    };
}

macro_rules! text {
    ($name:literal, $when:ident, $check:expr, $field:ident, $doc:literal) => {
        row(
            $name,
            $when,
            Kind::Text { check: $check, get: |c| c.$field.clone(), set: |c, v| c.$field = v },
            $doc,
        )
    };
}

macro_rules! threshold {
    ($name:literal, $field:ident, $doc:literal) => {
        row(
            $name,
            Anytime,
            Kind::Int {
                min: 0,
                max: i64::MAX,
                get: |c| c.limits.$field as i64,
                // The range has been checked.
                set: |c, v| c.limits.$field = v as _,
            },
            $doc,
        )
    };
}

macro_rules! choice {
    ($name:literal, $when:ident, $type:ident, $field:ident, $doc:literal) => {
        row(
            $name,
            $when,
            Kind::Enum {
                names: &$type::NAMES,
                get: |c| $type::ALL.iter().position(|v| *v == c.$field).unwrap_or(0),
                set: |c, v| c.$field = $type::ALL[v],
            },
            $doc,
        )
    };
}

mod latency;
mod memory;
mod process;
mod replication;
mod snapshot;

pub use replication::ReplicaFeed;

fn any_text(_: &str) -> Result<(), &'static str> {
    Ok(())
}

fn log_file_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("appendfilename can't be empty"),
        _ if name.contains('/') => Err("appendfilename can't be a path, just a filename"),
        _ => Ok(()),
    }
}

fn log_dir_name(name: &str) -> Result<(), &'static str> {
    match name {
        "" => Err("appenddirname can't be empty"),
        _ if name.contains('/') => Err("appenddirname can't be a path, just a dirname"),
        _ => Ok(()),
    }
}

fn directory_name(name: &str) -> Result<(), &'static str> {
    if name.is_empty() { Err("dir can't be empty") } else { Ok(()) }
}

fn set_bind(config: &mut Config, words: &[&str], _add: bool) -> Result<(), String> {
    if words.len() > BIND_MAX {
        return Err("Too many bind addresses specified.".to_owned());
    }
    let words = if words == [""] { &[] } else { words };
    for word in words {
        let address = word.strip_prefix('-').unwrap_or(word);
        if !matches!(address, "*" | "::*") && address.parse::<std::net::IpAddr>().is_err() {
            return Err(format!("'{word}' is not an IP address, nor * nor ::*"));
        }
    }
    config.bind = words.iter().map(|word| (*word).to_owned()).collect();
    Ok(())
}

fn set_shard_policies(config: &mut Config, words: &[&str], add: bool) -> Result<(), String> {
    let words = if words == [""] { &[] } else { words };
    let (pairs, rest) = words.as_chunks::<2>();
    if !rest.is_empty() {
        return Err("must be pairs of <list>/<number of shards> and a policy".to_owned());
    }
    let parsed: Result<Vec<_>, _> =
        pairs.iter().map(|[place, policy]| ShardPolicy::parse(place, policy)).collect();
    let parsed = parsed?;
    if !add {
        // By CONFIG SET: the number of shards is known and can be checked at once.
        super::policy::check(&parsed, config.shards)?;
        config.appendfsync_shard.clear();
    }
    config.appendfsync_shard.extend(parsed);
    Ok(())
}

fn show_shard_policies(config: &Config) -> String {
    let words: Vec<String> = config.appendfsync_shard.iter().map(ToString::to_string).collect();
    words.join(" ")
}

/// Every directive, by subject.
pub(super) static GROUPS: &[(&str, &[Directive])] = &[
    ("Network", NETWORK),
    ("Access", ACCESS),
    ("Protected commands and directives", process::ACCESS),
    ("Cores", CORES),
    ("Memory", memory::MEMORY),
    ("Replication", replication::REPLICATION),
    ("Persistence", PERSISTENCE),
    ("Snapshots", snapshot::SNAPSHOTS),
    ("Latency", latency::LATENCY),
    ("Values", VALUES),
    ("Log for operators", process::LOG),
    ("Process", process::PROCESS),
];

static NETWORK: &[Directive] = &[
    row(
        "bind",
        Anytime,
        Kind::Words { get: |c| c.bind.join(" "), set: set_bind },
        "Addresses to listen on, * and ::* for all of IPv4 and IPv6; a leading - makes an \
         address optional.",
    ),
    int!("port", Anytime, 0..=65535, port, "TCP port; 0 = no TCP."),
    row(
        "unixsocket",
        Startup,
        Kind::Text {
            check: any_text,
            get: |c| c.unixsocket.as_ref().map_or(String::new(), |p| p.display().to_string()),
            set: |c, v| c.unixsocket = (!v.is_empty()).then(|| PathBuf::from(v)),
        },
        "Path of a unix socket to listen on.",
    ),
    row(
        "unixsocketperm",
        Startup,
        Kind::Octal { max: 0o777, get: |c| c.unixsocketperm, set: |c, v| c.unixsocketperm = v },
        "Mode of the unix socket, octal; 0 = as the umask says.",
    ),
    int!(
        "tcp-backlog",
        Startup,
        0..=i32::MAX as i64,
        tcp_backlog,
        "Connections that may wait to \
        be accepted; the kernel's net.core.somaxconn caps it."
    ),
    int!(
        "socket-mark-id",
        Startup,
        0..=u32::MAX as i64,
        socket_mark_id,
        "Mark of the sockets for firewalls and routing (SO_MARK); 0 = none."
    ),
    int!(
        "timeout",
        Anytime,
        0..=i32::MAX as i64,
        timeout,
        "Seconds after which an idle client \
        is closed; 0 = never."
    ),
    int!(
        "tcp-keepalive",
        Anytime,
        0..=i32::MAX as i64,
        tcp_keepalive,
        "Seconds between TCP \
        keepalives; 0 = none."
    ),
    int!(
        "maxclients",
        Anytime,
        1..=u32::MAX as i64,
        maxclients,
        "Most clients at a time; \
        lowered at start if the limit of open files is too low."
    ),
    bool!(
        "protected-mode",
        Anytime,
        protected_mode,
        "Refuse other machines as long as no \
        password is set."
    ),
    memory!(
        "proto-max-bulk-len",
        Anytime,
        1 << 20,
        STRING_BYTES_MAX as u64,
        proto_max_bulk_len,
        "Longest argument of a command, bytes."
    ),
    memory!(
        "client-query-buffer-limit",
        Anytime,
        1 << 20,
        u32::MAX as u64,
        client_query_buffer_limit,
        "Most unprocessed bytes of one client."
    ),
    row(
        "client-output-buffer-limit",
        Anytime,
        Kind::Words {
            get: |c| output_limit::show(&c.client_output_buffer_limit),
            set: |c, words, _| output_limit::parse_into(&mut c.client_output_buffer_limit, words),
        },
        "<class> <hard> <soft> <seconds>: close a client of class normal, replica or pubsub \
         above hard unsent bytes, or above soft for so many seconds.",
    ),
];

static ACCESS: &[Directive] = &[row(
    "requirepass",
    Anytime,
    Kind::Bytes { get: |c| &c.requirepass, set: |c, v| c.requirepass = v },
    "Password of the default user; empty = none.",
)];

static CORES: &[Directive] = &[
    int!(
        "shards",
        Restart,
        0..=SHARDS_MAX as i64,
        shards,
        "Threads, each with its part of the \
        keys; 0 = one per usable CPU. May change from start to start."
    ),
    int!(
        "spin",
        Anytime,
        0..=1_000_000,
        spin,
        "Microseconds a shard looks for work before it \
        sleeps: lower latency for CPU time."
    ),
    int!(
        "storage-threads",
        Restart,
        1..=64,
        storage_threads,
        "Threads that create, fill and \
        list log files and read them at start."
    ),
    int!("databases", Startup, 1..=65535, databases, "Databases for SELECT."),
    row(
        "hz",
        Anytime,
        Kind::Int {
            min: 0,
            max: i32::MAX as i64,
            get: |c| i64::from(c.hz),
            set: |c, v| c.hz = v.clamp(HZ_RANGE.0, HZ_RANGE.1) as u32,
        },
        "Rounds a second of background work (expiry, timeouts), 1 to 500.",
    ),
    bool!("dynamic-hz", Anytime, dynamic_hz, "More rounds with many clients."),
];

static PERSISTENCE: &[Directive] = &[
    row(
        "dir",
        Protected,
        Kind::Text {
            check: directory_name,
            get: |c| c.dir.display().to_string(),
            set: |c, v| c.dir = PathBuf::from(v),
        },
        "Working directory: everything is stored below it.",
    ),
    bool!(
        "appendonly",
        Anytime,
        appendonly,
        "Log every change. Without it what was not saved is gone after a restart."
    ),
    row(
        "appendfilename",
        Startup,
        Kind::Text {
            check: log_file_name,
            get: |c| c.appendfilename.clone(),
            set: |c, v| c.appendfilename = v,
        },
        "First part of the names of the log's files.",
    ),
    row(
        "appenddirname",
        Startup,
        Kind::Text {
            check: log_dir_name,
            get: |c| c.appenddirname.clone(),
            set: |c, v| c.appenddirname = v,
        },
        "Directory of the log, below dir.",
    ),
    choice!(
        "appendfsync",
        Anytime,
        FsyncPolicy,
        appendfsync,
        "When the log reaches stable \
        storage: before each reply, once a second, or when the kernel likes."
    ),
    row(
        "appendfsync-shard",
        Anytime,
        Kind::Words { get: show_shard_policies, set: set_shard_policies },
        "<list>/<shards> <policy>: another appendfsync for some shards, as in 0,2-3/8 always. \
         Refused when there are not that many shards. Lines add up.",
    ),
    memory!(
        "aof-segment-size",
        Restart,
        64 << 10,
        16 << 30,
        aof_segment_size,
        "Largest log \
        file, bytes."
    ),
];

static VALUES: &[Directive] = &[
    threshold!("hash-max-listpack-entries", hash_entries, "Most fields of a small hash."),
    threshold!(
        "hash-max-listpack-value",
        hash_value,
        "Longest field or value of a small hash, bytes."
    ),
    threshold!("hll-sparse-max-bytes", hll_sparse_bytes, "Longest sparse HyperLogLog, bytes."),
    row(
        "list-max-listpack-size",
        Anytime,
        Kind::Int {
            min: i32::MIN as i64,
            max: i32::MAX as i64,
            get: |c| c.limits.list_node,
            set: |c, v| c.limits.list_node = v,
        },
        "Most elements of a list's node, or -1 .. -5: its bytes, 4 .. 64 KiB.",
    ),
    threshold!(
        "set-max-intset-entries",
        set_ints,
        "Most members of a set of integers that is kept as such."
    ),
    threshold!("zset-max-listpack-entries", zset_entries, "Most members of a small sorted set."),
    threshold!(
        "zset-max-listpack-value",
        zset_value,
        "Longest member of a small sorted set, bytes."
    ),
    threshold!(
        "stream-node-max-bytes",
        stream_node_bytes,
        "Bytes from which on a node of a stream takes no more entries, 0: no limit."
    ),
    threshold!(
        "stream-node-max-entries",
        stream_node_entries,
        "Most entries of a stream's node, 0: no limit."
    ),
];
