//! Runs Quire beside stock Redis, interleaved, and reports medians and ratios.
//!
//! ```text
//! quire-bench compare --scenario all      both servers, every row, goals at the end
//! quire-bench load --port 6379 --verb set one load on a server that runs already
//! ```
//! The table goes to stdout, progress to stderr, every measurement to a file of JSON lines.

mod compare;
mod external;
mod load;
mod measure;
mod metric;
mod report;
mod scenario;
mod server;
mod system;
mod usage;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};

use crate::{
    compare::Plan,
    external::LoadTool,
    load::{Order, Role, Until, Verb},
    measure::Settings,
    scenario::Scenario,
    server::Program,
};

#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Start both servers, measure them in turns, print medians, ratios and goals. Exits with 2
    /// when a goal is missed.
    Compare(CompareArgs),
    /// Put a load on a running server.
    Load(LoadArgs),
}

#[derive(Args)]
struct CompareArgs {
    /// What to compare.
    #[arg(long, value_enum, default_value = "all")]
    scenario: Scenario,
    /// Quire's binary.
    #[arg(long, default_value = "target/release/quire-server")]
    quire: PathBuf,
    /// Stock Redis' binary.
    #[arg(long, default_value = "redis-server")]
    redis: PathBuf,
    /// An argument for Quire alone; repeatable.
    #[arg(long, allow_hyphen_values = true)]
    quire_arg: Vec<String>,
    /// An argument for Redis alone; repeatable.
    #[arg(long, allow_hyphen_values = true)]
    redis_arg: Vec<String>,
    /// Rounds per row.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Measured seconds of one run.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Connections.
    #[arg(long, default_value_t = 50)]
    clients: usize,
    /// Who makes the load; rows with several roles always use our own.
    #[arg(long, value_enum, default_value = "own")]
    load: LoadTool,
    /// The CPU of the server.
    #[arg(long, default_value_t = 0)]
    server_cpu: usize,
    /// The CPU of the load.
    #[arg(long, default_value_t = 1)]
    load_cpu: usize,
    /// Others may take this many percent of a core before a run counts as disturbed.
    #[arg(long, default_value_t = 10)]
    foreign_max: u32,
    /// How often a disturbed run is repeated.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Where the servers keep their files: the disk that is measured.
    #[arg(long, default_value = "bench/results")]
    dir: PathBuf,
    /// Where measurements go, as JSON lines.
    #[arg(long, default_value = "bench/results/compare.jsonl")]
    json: PathBuf,
}

impl CompareArgs {
    fn plan(self) -> Plan {
        let program = |path, extra| Program { path, extra, cpu: self.server_cpu };
        Plan {
            rows: scenario::rows(self.scenario, self.clients),
            quire: program(self.quire, self.quire_arg),
            redis: program(self.redis, self.redis_arg),
            runs: self.runs,
            repeats: self.repeats,
            dir: self.dir,
            settings: Settings {
                seconds: self.seconds,
                load_cpu: self.load_cpu,
                tool: self.load,
                foreign_share_max: f64::from(self.foreign_max) / 100.0,
            },
            json: self.json,
        }
    }
}

#[derive(Args)]
struct LoadArgs {
    /// Address of the server.
    #[arg(long, default_value = "127.0.0.1")]
    host: IpAddr,
    /// Port of the server.
    #[arg(long, default_value_t = 6379)]
    port: u16,
    /// The command.
    #[arg(long, value_enum, default_value = "set")]
    verb: Verb,
    /// Connections.
    #[arg(long, default_value_t = 50)]
    clients: usize,
    /// Requests sent together.
    #[arg(long, default_value_t = 1)]
    pipeline: usize,
    /// Number of keys.
    #[arg(long, default_value_t = 100_000)]
    keys: u64,
    /// Bytes of a value.
    #[arg(long, default_value_t = 64)]
    value_bytes: usize,
    /// Measured seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

fn load_once(args: &LoadArgs) -> io::Result<()> {
    let role = Role {
        connections: args.clients,
        pipeline: args.pipeline,
        verb: args.verb,
        keys: args.keys,
        value_bytes: args.value_bytes,
        order: Order::Uniform,
    };
    let until = Until::Time {
        warm_up: Duration::from_millis(500),
        measured: Duration::from_secs(args.seconds),
    };
    let result = load::run(SocketAddr::new(args.host, args.port), &[role], until, || {})?;
    let (replies, latency) = (result.replies(), &result.roles[0].latency_ns);
    let us = |quantile: f64| latency.value_at_quantile(quantile) as f64 / 1000.0;
    println!(
        "{} ops/s  p50 {:.0} us  p99 {:.0} us  p99.9 {:.0} us",
        (replies as f64 / result.elapsed.as_secs_f64()) as u64,
        us(0.5),
        us(0.99),
        us(0.999)
    );
    Ok(())
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Action::Compare(args) => args.plan().run(),
        Action::Load(args) => load_once(&args).map(|()| true),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(e) => {
            eprintln!("quire-bench: {e}");
            ExitCode::FAILURE
        }
    }
}
