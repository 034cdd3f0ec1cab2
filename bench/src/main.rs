//! Measures Quire and any other server that speaks RESP: beside each other, interleaved, with
//! medians and ratios.
//!
//! ```text
//! quire-bench run --scenario mixed --target 127.0.0.1:6379    one load on running servers
//! quire-bench compare                                         Quire and Redis, goals at the end
//! quire-bench shards --target 127.0.0.1:6379                  fsync policies of shards
//! quire-bench checkpoint                                      what a snapshot costs
//! quire-bench stalls                                          what freeing much at once costs
//! quire-bench recovery                                        how long a start takes
//! quire-bench hit-rate                                        what a full cache keeps
//! ```
//! Results go to stdout, progress to stderr.

mod catalog;
mod checkpoint;
mod cli;
mod client;
mod compare;
mod environment;
mod external;
mod hit_rate;
mod json;
mod load;
mod measure;
mod metric;
mod recovery;
mod report;
mod rounds;
mod run;
mod saver;
mod scenario;
mod server;
mod shards;
mod stalls;
mod system;
mod target;
mod usage;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Verdict};

/// EX_USAGE of sysexits.h; clap's own 2 is taken.
const WRONG_ARGUMENTS: u8 = 64;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => {
            // It cannot do more than print; that a pipe is closed is nobody's business.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { WRONG_ARGUMENTS } else { 0 });
        }
    };
    match cli.act() {
        Ok(Verdict::Fine) => ExitCode::SUCCESS,
        Ok(Verdict::GoalMissed) => ExitCode::from(2),
        Ok(Verdict::ErrorReplies) => ExitCode::from(3),
        Err(e) => {
            eprintln!("quire-bench: {e}");
            ExitCode::FAILURE
        }
    }
}
