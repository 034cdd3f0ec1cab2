//! `quire-bench hit-rate`.

use std::{io, path::PathBuf};

use clap::Args;

use super::Verdict;
use crate::{hit_rate::HitRate, server::Program};

#[derive(Args)]
pub struct Arguments {
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

impl Arguments {
    pub fn act(self) -> io::Result<Verdict> {
        let args = self;
        let program = |path, extra| Program { path, extra, cpus: vec![args.server_cpu] };
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
        let fine = outcomes.iter().all(|(_, o)| o.errors == 0);
        Ok(if fine { Verdict::Fine } else { Verdict::ErrorReplies })
    }
}
