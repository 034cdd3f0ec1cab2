//! The command line of `quire-check`.

use clap::{Parser, Subcommand};
use std::path::PathBuf;

/// Looks at a log directory of Quire (or Redis 7), or an RDB file of any server, without starting
/// one: every file, every commit, whether anything is missing, and what a start would do. Changes
/// nothing without --fix.
#[derive(Debug, Clone, Parser)]
#[command(name = "quire-check", version, after_help = EXIT_CODES)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// What else it does
    #[command(subcommand)]
    pub action: Option<Action>,
    /// The log directory, the directory it is in, its manifest, or an RDB file [default: from
    /// --config]
    pub path: Option<PathBuf>,
    /// Take directory and names (dir, appenddirname, appendfilename) from this redis.conf
    #[arg(long, value_name = "FILE", conflicts_with = "path")]
    pub config: Option<PathBuf>,
    /// First part of the files' names
    #[arg(long, value_name = "NAME", default_value = "appendonly.aof", conflicts_with = "config")]
    pub appendfilename: String,
    /// Print one JSON document (docs/quire-check.md describes it)
    #[arg(long)]
    pub json: bool,
    /// Also load everything into memory as a server would: finds commands that cannot be replayed,
    /// prints the number of keys and their DEBUG DIGEST
    #[arg(long)]
    pub load: bool,
    /// Databases a server would have, for --load [default: from --config, or 16]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub databases: Option<u32>,
    /// Cut torn ends and seal every log, after copying aside what is removed; then stock Redis
    /// loads the directory. Says what it will do and asks first
    #[arg(long)]
    pub fix: bool,
    /// With --fix: also end logs before damage to stable data. Acknowledged writes are lost
    #[arg(long, requires = "fix")]
    pub accept_loss: bool,
    /// With --fix: back to this second (Unix time): every log ends before what is later, transactions
    /// whole. Needs aof-timestamp-enabled, and a base that is older
    #[arg(long, value_name = "SECONDS", requires = "fix", conflicts_with_all = ["accept_loss", "load"])]
    pub truncate_to_timestamp: Option<u32>,
    /// With --fix: do not ask
    #[arg(long, requires = "fix")]
    pub yes: bool,
    /// With --fix: where copies go [default: removed-TIME in the log directory]
    #[arg(long, value_name = "DIR", requires = "fix")]
    pub aside: Option<PathBuf>,
    /// Print what stands in this file of the directory, commit by commit, instead of checking
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fix", "load"])]
    pub dump: Option<String>,
    /// With --dump: also every command
    #[arg(long, requires = "dump")]
    pub commands: bool,
    /// Threads that read [default: one per usable CPU, at most 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub threads: Option<u16>,
}

/// What else it does.
#[derive(Debug, Clone, Subcommand)]
pub enum Action {
    /// Load a directory or an RDB file as a server would, and write everything to one plain RDB
    /// file that any Redis since 7.0 loads
    Export {
        /// The log directory, the directory it is in, its manifest, or an RDB file
        from: PathBuf,
        /// The file to be written; one of that name is replaced when the new one is whole
        to: PathBuf,
        /// First part of the files' names
        #[arg(long, value_name = "NAME", default_value = "appendonly.aof")]
        appendfilename: String,
        /// Databases there may be
        #[arg(long, value_name = "N", default_value_t = 16)]
        #[arg(value_parser = clap::value_parser!(u32).range(1..))]
        databases: u32,
    },
}

const EXIT_CODES: &str = "\
Exit codes:
  0  nothing is missing; Quire starts (also: a killed server's logs, whole but not sealed)
  1  torn ends that no sync had confirmed; Quire starts and cuts them off by itself
  2  damage: Quire refuses to start, and says so
  3  not checked: wrong usage, no such directory, a server is using it, nothing could be read
After --fix the code is that of the repaired directory; 2 too when the repair was refused.";
