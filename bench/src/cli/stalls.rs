//! `quire-bench stalls`.

use std::{io, path::PathBuf};

use clap::Args;

use super::{Verdict, positive, seconds};
use crate::{
    server::Program,
    stalls::{self, Plan},
};

#[derive(Args)]
pub struct Arguments {
    /// Members of the set, and keys.
    #[arg(long, default_value_t = 10_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    elements: u64,
    /// Seconds of the phase before, and the least of the phase with the command.
    #[arg(long, default_value_t = 3.0, value_parser = seconds)]
    seconds: f64,
    /// Rounds.
    #[arg(long, default_value_t = 3, value_parser = positive)]
    runs: usize,
    /// Most that Quire's longest reply may take beyond the phase before, ms.
    #[arg(long, default_value_t = 2.0)]
    bound_ms: f64,
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
    /// The CPU of the load.
    #[arg(long, default_value_t = 1)]
    load_cpu: usize,
    /// Where the servers keep their files.
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
            elements: self.elements,
            seconds: self.seconds,
            runs: self.runs,
            load_cpu: self.load_cpu,
            bound_ms: self.bound_ms,
            dir: self.dir,
        };
        let (noise, results) = plan.run()?;
        print!("{}", stalls::table(&plan, noise, &results));
        Ok(if stalls::is_met(&plan, &results) { Verdict::Fine } else { Verdict::GoalMissed })
    }
}
