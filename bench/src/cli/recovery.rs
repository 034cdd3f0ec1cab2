//! `quire-bench recovery`.

use std::{io, path::PathBuf};

use clap::Args;

use super::{Verdict, positive};
use crate::{recovery::Plan, server::Program};

#[derive(Args)]
pub struct Arguments {
    /// Keys of 16 bytes.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,
    /// Bytes of a value.
    #[arg(long, default_value_t = 100)]
    value_bytes: usize,
    /// Writes behind the base, of random keys, percent of the keys.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1000))]
    tail_percent: u32,
    /// Starts of each server.
    #[arg(long, default_value_t = 3, value_parser = positive)]
    runs: usize,
    /// Quire's binary.
    #[arg(long, default_value = "target/release/quire-server")]
    quire: PathBuf,
    /// Shards of Quire, as in 1,2: each number is a server of its own.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    shards: Vec<usize>,
    /// Stock Redis' binary.
    #[arg(long, default_value = "redis-server")]
    redis: PathBuf,
    /// An argument for Quire alone; repeatable.
    #[arg(long, allow_hyphen_values = true)]
    quire_arg: Vec<String>,
    /// CPUs of the servers, as in 0,1 [default: all].
    #[arg(long, value_delimiter = ',')]
    server_cpu: Vec<usize>,
    /// CPUs of the load, a thread on each, as in 1,3.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    load_cpu: Vec<usize>,
    /// Where the servers keep their files.
    #[arg(long, default_value = "bench/results")]
    dir: PathBuf,
}

impl Arguments {
    pub fn act(self) -> io::Result<Verdict> {
        let program = |path, extra| Program { path, extra, cpus: self.server_cpu.clone() };
        let quire = |shards: &usize| {
            let mut extra = self.quire_arg.clone();
            extra.extend(["--shards".to_owned(), shards.to_string()]);
            (format!("quire/{shards}"), program(self.quire.clone(), extra))
        };
        let mut programs: Vec<_> = self.shards.iter().map(quire).collect();
        programs.push(("redis".to_owned(), program(self.redis.clone(), Vec::new())));
        let plan = Plan {
            programs,
            keys: self.keys,
            value_bytes: self.value_bytes,
            tail_percent: self.tail_percent,
            runs: self.runs,
            load_cpus: self.load_cpu,
            dir: self.dir,
        };
        let results = plan.run()?;
        print!("{}", plan.table(&results));
        Ok(Verdict::Fine)
    }
}
