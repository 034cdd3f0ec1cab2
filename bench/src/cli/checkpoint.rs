//! `quire-bench checkpoint`.

use std::{io, path::PathBuf};

use clap::Args;

use super::{Verdict, positive, seconds};
use crate::{
    checkpoint::{self, Plan},
    saver::Save,
    server::Program,
};

#[derive(Args)]
pub struct Arguments {
    /// How to save.
    #[arg(long, value_enum, default_value = "bgrewriteaof")]
    save: Save,
    /// Keys of 16 bytes.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    keys: u64,
    /// Bytes of a value.
    #[arg(long, default_value_t = 100)]
    value_bytes: usize,
    /// Connections.
    #[arg(long, default_value_t = 50, value_parser = positive)]
    clients: usize,
    /// Load while saving, percent of the server's peak.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100))]
    load_percent: u32,
    /// Measured seconds of one phase.
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    seconds: f64,
    /// Rounds.
    #[arg(long, default_value_t = 3, value_parser = positive)]
    runs: usize,
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
    /// CPUs of the servers, as in 0,1.
    #[arg(long, value_delimiter = ',', default_value = "0")]
    server_cpu: Vec<usize>,
    /// CPUs of the load, a thread on each, as in 1,3.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    load_cpu: Vec<usize>,
    /// Where the servers keep their files: the disk that is measured.
    #[arg(long, default_value = "bench/results")]
    dir: PathBuf,
}

impl Arguments {
    pub fn act(self) -> io::Result<Verdict> {
        let program = |path, extra| Program { path, extra, cpus: self.server_cpu.clone() };
        let plan = Plan {
            programs: vec![
                ("quire".to_owned(), program(self.quire, self.quire_arg)),
                ("redis".to_owned(), program(self.redis, self.redis_arg)),
            ],
            save: self.save,
            keys: self.keys,
            value_bytes: self.value_bytes,
            clients: self.clients,
            share: f64::from(self.load_percent) / 100.0,
            seconds: self.seconds,
            runs: self.runs,
            load_cpus: self.load_cpu,
            dir: self.dir,
        };
        let (noise, results) = plan.run()?;
        print!("{}", checkpoint::table(noise, &results));
        let fine = results.iter().all(|(_, rounds)| rounds.iter().all(|o| o.errors == 0));
        Ok(if fine { Verdict::Fine } else { Verdict::ErrorReplies })
    }
}
