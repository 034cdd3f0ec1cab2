//! The configuration: redis.conf, the command line, CONFIG GET and SET, over one table.
//!
//! ```text
//! arguments --cli.rs--> lines --file.rs (include)--> lines --directives.rs--> Config
//! Config --live.rs--> CONFIG GET / CONFIG SET, a generation number tells the cores
//! ```
//! `directives.rs` holds one row per directive, `foreign.rs` one row per directive of Redis whose
//! only possible value here is given; adding a directive is adding a row and a field.

mod cli;
mod directive;
mod directives;
mod error;
mod file;
mod foreign;
mod live;
mod output_limit;
mod policy;

pub use cli::{Invocation, parse_arguments, usage};
pub use directive::{Directive, Kind, When, find, table};
pub use error::{ConfigError, Origin};
pub use file::{Line, read_file, read_text};
pub use live::{LiveConfig, SetError};
pub use output_limit::{ClientClass, OutputLimit};
pub use policy::ShardPolicy;
pub use quire_engine::aof::FsyncPolicy;

use quire_engine::limits::{SHARDS_MAX, STRING_BYTES_MAX};
use std::path::PathBuf;

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Much.
    Verbose,
    /// What an operator wants to know.
    Notice,
    /// What an operator must know.
    Warning,
}

impl LogLevel {
    /// Every level, most talkative first.
    pub const ALL: [LogLevel; 4] = [Self::Debug, Self::Verbose, Self::Notice, Self::Warning];
    /// Their names in the configuration, in the order of [`Self::ALL`].
    pub const NAMES: [&'static str; 4] = ["debug", "verbose", "notice", "warning"];
}

/// Who may use DEBUG.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DebugCommand {
    /// Nobody.
    No,
    /// Everybody.
    Yes,
    /// Clients on this machine.
    Local,
}

impl DebugCommand {
    /// Every value.
    pub const ALL: [DebugCommand; 3] = [Self::No, Self::Yes, Self::Local];
    /// Their names in the configuration, in the order of [`Self::ALL`].
    pub const NAMES: [&'static str; 3] = ["no", "yes", "local"];
}

/// Every setting, with its value. What a setting means is said in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is documented by its row in directives.rs")]
pub struct Config {
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
    /// 0 until [`Config::resolve`]: one per CPU.
    pub shards: u32,
    pub storage_threads: u32,
    pub spin: u32,
    pub proto_max_bulk_len: u64,
    pub client_query_buffer_limit: u64,
    pub client_output_buffer_limit: [OutputLimit; 3],
    pub loglevel: LogLevel,
    pub logfile: String,
    pub hz: u32,
    pub enable_debug_command: DebugCommand,
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
        }
        policy::check(&self.appendfsync_shard, self.shards)
            .map_err(|reason| ConfigError::whole("appendfsync-shard", reason))?;
        if (self.port == 0 || self.bind.is_empty()) && self.unixsocket.is_none() {
            let reason = "nowhere to listen: port is 0 (or bind is empty) and there is no \
                          unixsocket"
                .to_owned();
            return Err(ConfigError::whole("port", reason));
        }
        Ok(())
    }

    /// The fsync policy of every shard. Needs the number of shards, so [`Self::resolve`] first.
    pub fn fsync_policies(&self) -> Vec<FsyncPolicy> {
        policy::of_each_shard(self.appendfsync, &self.appendfsync_shard, self.shards)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
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
            shards: 0,
            storage_threads: 1,
            spin: 0,
            proto_max_bulk_len: STRING_BYTES_MAX as u64,
            client_query_buffer_limit: 1 << 30,
            client_output_buffer_limit: OutputLimit::DEFAULTS,
            loglevel: LogLevel::Notice,
            logfile: String::new(),
            hz: 10,
            enable_debug_command: DebugCommand::No,
        }
    }
}

#[cfg(test)]
mod tests;
