//! The configuration: redis.conf, the command line, CONFIG GET and SET, over one table.
//!
//! ```text
//! arguments --cli.rs--> lines --file.rs (include)--> lines --directives.rs--> Config
//! Config --live.rs--> CONFIG GET / CONFIG SET, a generation number tells the cores
//! ```
//! `directives.rs` holds one row per directive, `foreign.rs` one row per directive of Redis whose
//! only possible value here is given; adding a directive is adding a row and a field.

mod alias;
mod checkpoint;
mod cli;
mod clients_limit;
pub mod cpus;
mod directive;
mod directives;
mod error;
mod file;
mod foreign;
mod live;
mod output_limit;
mod percentile;
mod policy;
mod process;
mod reference;
mod rename;
mod rewrite;
mod save_points;
pub mod title;

pub use checkpoint::{CheckpointDelta, RdbCompression};
pub use cli::{Invocation, parse_arguments};
pub use clients_limit::ClientsLimit;
pub use directive::{Directive, Kind, When, find, groups, table};
pub use directives::ReplicaFeed;
pub use error::{ConfigError, Origin};
pub use file::{Line, read_file, read_text};
pub use live::{LiveConfig, SetError};
pub use output_limit::{ClientClass, OutputLimit};
pub use percentile::Percentile;
pub use policy::ShardPolicy;
pub use process::{
    Allowed, LogFormat, LogLevel, OomScoreAdj, ShutdownOptions, Supervised, SyslogFacility,
};
pub use quire_engine::{aof::FsyncPolicy, shard::EvictionPolicy};
pub use reference::{markdown, usage};
pub use rename::{CommandNames, names as command_names};
pub use rewrite::{replace_file, rewritten};
pub use save_points::{SavePoint, SavePoints};

use quire_engine::{
    keyspace::LazyFree,
    limits::{SHARDS_MAX, STRING_BYTES_MAX},
    types::Limits,
};
use std::path::PathBuf;

/// Every setting, with its value. What a setting means is said in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is documented by its row in directives.rs")]
pub struct Config {
    pub limits: Limits,
    pub bind: Vec<String>,
    pub port: u16,
    pub unixsocket: Option<PathBuf>,
    pub unixsocketperm: u32,
    pub tcp_backlog: u32,
    pub timeout: u32,
    pub tcp_keepalive: u32,
    pub maxclients: u32,
    pub protected_mode: bool,
    pub requirepass: Vec<u8>,
    pub databases: u32,
    pub dir: PathBuf,
    pub appendonly: bool,
    pub appendfilename: String,
    pub appenddirname: String,
    pub appendfsync: FsyncPolicy,
    pub appendfsync_shard: Vec<ShardPolicy>,
    pub aof_segment_size: u64,
    pub save: SavePoints,
    pub dbfilename: String,
    pub rdbcompression: RdbCompression,
    pub aof_use_rdb_preamble: bool,
    pub aof_timestamp_enabled: bool,
    pub rdbchecksum: bool,
    pub stop_writes_on_bgsave_error: bool,
    pub rdb_save_incremental_fsync: bool,
    pub aof_rewrite_incremental_fsync: bool,
    pub auto_aof_rewrite_percentage: u32,
    pub auto_aof_rewrite_min_size: u64,
    pub no_appendfsync_on_rewrite: bool,
    pub checkpoint_delta: CheckpointDelta,
    /// 0 until [`Config::resolve`]: one per CPU.
    pub shards: u32,
    /// True when the number of shards was left to [`Config::resolve`].
    pub shards_by_cpus: bool,
    pub storage_threads: u32,
    pub spin: u32,
    pub proto_max_bulk_len: u64,
    pub client_query_buffer_limit: u64,
    pub client_output_buffer_limit: [OutputLimit; 3],
    pub maxmemory: u64,
    pub maxmemory_policy: EvictionPolicy,
    pub maxmemory_samples: u32,
    pub maxmemory_eviction_tenacity: u32,
    pub lfu_log_factor: u32,
    pub lfu_decay_time: u32,
    pub maxmemory_clients: ClientsLimit,
    pub lazyfree: LazyFree,
    pub replica_feed: ReplicaFeed,
    pub loglevel: LogLevel,
    pub logfile: String,
    pub log_format: LogFormat,
    pub syslog_enabled: bool,
    pub syslog_ident: String,
    pub syslog_facility: SyslogFacility,
    pub crash_log_enabled: bool,
    pub hz: u32,
    pub dynamic_hz: bool,
    pub enable_debug_command: Allowed,
    pub enable_protected_configs: Allowed,
    pub supervised: Supervised,
    pub pidfile: String,
    pub always_show_logo: bool,
    pub set_proc_title: bool,
    pub proc_title_template: String,
    pub oom_score_adj: OomScoreAdj,
    pub oom_score_adj_values: [i32; 3],
    pub disable_thp: bool,
    pub server_cpulist: String,
    pub bio_cpulist: String,
    pub socket_mark_id: u32,
    pub shutdown_on_sigint: ShutdownOptions,
    pub shutdown_on_sigterm: ShutdownOptions,
    /// Names that commands no longer have, and the ones they have instead; empty = none.
    pub rename_command: Vec<(Vec<u8>, Vec<u8>)>,
    pub slowlog_log_slower_than: i64,
    pub slowlog_max_len: i64,
    pub latency_monitor_threshold: i64,
    /// How long a script runs before others are told BUSY, ms; 0 = they wait.
    pub busy_reply_threshold: i64,
    pub latency_tracking: bool,
    pub latency_tracking_info_percentiles: Vec<Percentile>,
}

impl Config {
    /// The configuration that `lines` describe, later lines over earlier ones.
    ///
    /// # Errors
    /// The first line that cannot be obeyed.
    pub fn from_lines(lines: &[Line]) -> Result<Self, ConfigError> {
        let mut config = Self::default();
        for line in lines {
            directive::apply_line(&mut config, line)?;
        }
        Ok(config)
    }

    /// Settles what hangs on the machine (the number of shards) and checks what hangs on more
    /// than one directive.
    ///
    /// # Errors
    /// A per-shard policy that was written for another number of shards; nowhere to listen.
    pub fn resolve(&mut self, usable_cpus: usize) -> Result<(), ConfigError> {
        if self.shards == 0 {
            self.shards = usable_cpus.clamp(1, SHARDS_MAX) as u32;
            self.shards_by_cpus = true;
        }
        policy::check(&self.appendfsync_shard, self.shards)
            .map_err(|reason| ConfigError::whole("appendfsync-shard", reason))?;
        if self.supervised == Supervised::Upstart {
            let reason = "upstart is not supported: it is no longer maintained; run Quire under \
                          systemd with `supervised systemd`, or start it in the foreground with \
                          `supervised no` from whatever supervises it"
                .to_owned();
            return Err(ConfigError::whole("supervised", reason));
        }
        if (self.port == 0 || self.bind.is_empty()) && self.unixsocket.is_none() {
            let reason = "nowhere to listen: port is 0 (or bind is empty) and there is no \
                          unixsocket"
                .to_owned();
            return Err(ConfigError::whole("port", reason));
        }
        Ok(())
    }

    /// The save points in force.
    pub fn save_points(&self) -> &[SavePoint] {
        self.save.in_force(self.appendonly)
    }

    /// The fsync policy of every shard. Needs the number of shards, so [`Self::resolve`] first.
    pub fn fsync_policies(&self) -> Vec<FsyncPolicy> {
        policy::of_each_shard(self.appendfsync, &self.appendfsync_shard, self.shards)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            bind: vec!["*".to_owned(), "-::*".to_owned()],
            port: 6379,
            unixsocket: None,
            unixsocketperm: 0,
            tcp_backlog: 511,
            timeout: 0,
            tcp_keepalive: 300,
            maxclients: 10_000,
            protected_mode: true,
            requirepass: Vec::new(),
            databases: 16,
            dir: PathBuf::from("."),
            appendonly: true,
            appendfilename: "appendonly.aof".to_owned(),
            appenddirname: "appendonlydir".to_owned(),
            appendfsync: FsyncPolicy::EverySec,
            appendfsync_shard: Vec::new(),
            aof_segment_size: 64 << 20,
            save: SavePoints::default(),
            dbfilename: "dump.rdb".to_owned(),
            rdbcompression: RdbCompression::Lzf,
            aof_use_rdb_preamble: true,
            aof_timestamp_enabled: false,
            rdbchecksum: true,
            stop_writes_on_bgsave_error: true,
            rdb_save_incremental_fsync: true,
            aof_rewrite_incremental_fsync: true,
            auto_aof_rewrite_percentage: 100,
            auto_aof_rewrite_min_size: 64 << 20,
            no_appendfsync_on_rewrite: false,
            checkpoint_delta: CheckpointDelta::Auto,
            shards: 0,
            shards_by_cpus: false,
            storage_threads: 1,
            spin: 0,
            proto_max_bulk_len: STRING_BYTES_MAX as u64,
            client_query_buffer_limit: 1 << 30,
            client_output_buffer_limit: OutputLimit::DEFAULTS,
            maxmemory: 0,
            maxmemory_policy: EvictionPolicy::NoEviction,
            maxmemory_samples: 5,
            maxmemory_eviction_tenacity: 10,
            lfu_log_factor: 10,
            lfu_decay_time: 1,
            maxmemory_clients: ClientsLimit::default(),
            lazyfree: LazyFree::default(),
            replica_feed: ReplicaFeed::default(),
            loglevel: LogLevel::Notice,
            logfile: String::new(),
            log_format: LogFormat::Text,
            syslog_enabled: false,
            syslog_ident: "quire".to_owned(),
            syslog_facility: SyslogFacility::Local0,
            crash_log_enabled: true,
            hz: 10,
            dynamic_hz: true,
            enable_debug_command: Allowed::No,
            enable_protected_configs: Allowed::No,
            supervised: Supervised::No,
            pidfile: String::new(),
            always_show_logo: false,
            set_proc_title: true,
            proc_title_template: "{title} {listen-addr} {server-mode}".to_owned(),
            oom_score_adj: OomScoreAdj::No,
            oom_score_adj_values: [0, 200, 800],
            disable_thp: false,
            server_cpulist: String::new(),
            bio_cpulist: String::new(),
            socket_mark_id: 0,
            shutdown_on_sigint: ShutdownOptions::default(),
            shutdown_on_sigterm: ShutdownOptions::default(),
            rename_command: Vec::new(),
            slowlog_log_slower_than: 10_000,
            slowlog_max_len: 128,
            latency_monitor_threshold: 0,
            busy_reply_threshold: 5000,
            latency_tracking: true,
            latency_tracking_info_percentiles: percentile::DEFAULTS.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests;
