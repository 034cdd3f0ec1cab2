//! What the configuration says about this start, resolved: plain values that never change.

use crate::config::Config;
use quire_engine::types::Limits;
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
    /// Unix socket path.
    pub unixsocket: Option<PathBuf>,
    /// CPU of each shard, where pinned.
    pub cpus: Vec<Option<usize>>,
    /// When small collections become big, until CONFIG SET says otherwise.
    pub limits: Limits,
    /// Storage executor threads.
    pub storage_threads: usize,
    /// Configuration file, if any.
    pub config_file: Option<PathBuf>,
}

impl Options {
    /// From a resolved configuration; `cpus` of each shard as far as they are pinned.
    pub fn new(config: &Config, cpus: Vec<Option<usize>>, config_file: Option<PathBuf>) -> Self {
        Self {
            shards: config.shards as usize,
            databases: config.databases as usize,
            dir: config.dir.clone(),
            append_dir: config.appenddirname.clone(),
            append_file: config.appendfilename.clone(),
            appendonly: config.appendonly,
            segment_bytes_max: config.aof_segment_size,
            unixsocket: config.unixsocket.clone(),
            cpus,
            limits: config.limits,
            storage_threads: config.storage_threads as usize,
            config_file,
        }
    }
}
