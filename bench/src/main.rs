//! Runs Quire beside stock Redis, interleaved, and reports medians and ratios.
//!
//! ```text
//! quire-bench compare --scenario all      both servers, every row, goals at the end
//! quire-bench load --port 6379 --verb set one load on a server that runs already
//! ```
//! The table goes to stdout, progress to stderr, every measurement to a file of JSON lines.

mod client;
mod compare;
mod external;
mod hit_rate;
mod json;
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
    hit_rate::HitRate,
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
    /// Fill a cache on both servers with the same requests and compare their hit rates.
    HitRate(HitRateArgs),
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
struct HitRateArgs {
    /// The limit, as in redis.conf.
    #[arg(long, default_value = "100mb")]
    maxmemory: String,
    /// The eviction policy, as in redis.conf.
    #[arg(long, default_value = "allkeys-lru")]
    policy: String,
    /// Number of keys that are asked for.
    #[arg(long, default_value_t = 1_500_000, value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,
    /// Zipf's exponent; 0 for uniform reads.
    #[arg(long, default_value_t = 0.99, value_parser = exponent)]
    zipf: f64,
    /// Bytes of a value.
    #[arg(long, default_value_t = 512)]
    value_bytes: usize,
    /// GETs in all.
    #[arg(long, default_value_t = 4_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    requests: u64,
    /// GETs that fill the cache first and are not counted [default: half of the requests].
    #[arg(long)]
    warm_up: Option<u64>,
    /// GETs sent together.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=1024))]
    window: u64,
    /// The same seed gives the same requests.
    #[arg(long, default_value_t = 1)]
    seed: u64,
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
    /// The CPU of the servers.
    #[arg(long, default_value_t = 0)]
    server_cpu: usize,
    /// Where the servers keep their files.
    #[arg(long, default_value = "bench/results")]
    dir: PathBuf,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    json: bool,
}

fn exponent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(e) if (0.0..=5.0).contains(&e) => Ok(e),
        _ => Err("a number from 0 to 5".to_owned()),
    }
}

fn hit_rates(args: HitRateArgs) -> io::Result<bool> {
    let program = |path, extra| Program { path, extra, cpu: args.server_cpu };
    let warm_up = args.warm_up.unwrap_or(args.requests / 2);
    if warm_up >= args.requests {
        return Err(io::Error::other("--warm-up leaves none of --requests to be counted"));
    }
    let run = HitRate {
        programs: vec![
            ("quire".to_owned(), program(args.quire, args.quire_arg)),
            ("redis".to_owned(), program(args.redis, args.redis_arg)),
        ],
        maxmemory: args.maxmemory,
        policy: args.policy,
        keys: args.keys,
        exponent: args.zipf,
        value_bytes: args.value_bytes,
        requests: args.requests,
        warm_up,
        window: args.window as usize,
        seed: args.seed,
        dir: args.dir,
    };
    let outcomes = run.run()?;
    if args.json {
        println!("{}", run.json(&outcomes));
    } else {
        print!("{}", run.table(&outcomes));
    }
    Ok(outcomes.iter().all(|(_, o)| o.errors == 0))
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
        Action::HitRate(args) => hit_rates(args),
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
