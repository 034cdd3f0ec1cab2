//! What the configuration resolves to: plain values the cores work with.
//!
//! [`Options`] are fixed at start; [`Live`] may change at run time and is shared by copy.

use quire_engine::aof::FsyncPolicy;
use std::path::PathBuf;

/// Fixed at start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Shards (= cores' threads).
    pub shards: usize,
    /// Databases for SELECT.
    pub databases: usize,
    /// Working directory, absolute.
    pub dir: PathBuf,
    /// Directory of the log inside `dir`.
    pub append_dir: String,
    /// First part of the log's file names.
    pub append_file: String,
    /// Log or not.
    pub appendonly: bool,
    /// Largest segment, bytes.
    pub segment_bytes_max: u64,
    /// Addresses to listen on.
    pub bind: Vec<String>,
    /// TCP port, 0 = none.
    pub port: u16,
    /// Unix socket path.
    pub unixsocket: Option<PathBuf>,
    /// Its permissions.
    pub unixsocketperm: Option<u32>,
    /// Listen backlog.
    pub tcp_backlog: i32,
    /// CPU of each shard, where pinned.
    pub cpus: Vec<Option<usize>>,
    /// Storage executor threads.
    pub storage_threads: usize,
    /// DEBUG allowed: 0 no, 1 yes, 2 from this machine only.
    pub debug_command: u8,
    /// Configuration file, if any.
    pub config_file: Option<PathBuf>,
}

/// Limits of a client class' output buffer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutputLimit {
    /// Close at once above this many bytes; 0 = no limit.
    pub hard: usize,
    /// Close when above this many bytes ...
    pub soft: usize,
    /// ... for so many seconds.
    pub soft_seconds: u64,
}

/// May change at run time.
#[derive(Debug, Clone)]
pub struct Live {
    /// Connections at most.
    pub maxclients: usize,
    /// Idle seconds after which a client is closed, 0 = never.
    pub timeout: u64,
    /// Seconds of TCP keepalive, 0 = off.
    pub tcp_keepalive: u32,
    /// Password of the default user.
    pub requirepass: Option<Vec<u8>>,
    /// Refuse other machines while there is neither password nor explicit bind.
    pub protected_mode: bool,
    /// Longest bulk string in a request, bytes.
    pub proto_max_bulk_len: usize,
    /// Longest query buffer, bytes.
    pub query_buffer_limit: usize,
    /// Output buffer limit of normal clients.
    pub output_limit: OutputLimit,
    /// Fsync policy of each shard.
    pub policies: Vec<FsyncPolicy>,
    /// Housekeeping ticks a second.
    pub hz: u32,
    /// Microseconds to look for work before sleeping.
    pub spin_us: u64,
}
