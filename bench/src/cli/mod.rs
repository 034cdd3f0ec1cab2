//! The command line: what may be asked, and what is made of it.

mod checkpoint;
mod compare;
mod hit_rate;
mod recovery;
mod run;
mod shards;
mod stalls;

use std::{io, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::{
    catalog,
    external::LoadTool,
    load::{Order, Until},
    measure::Settings,
    rounds::Rounds,
};

/// How a command ended that could be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should.
    Fine,
    /// A goal was missed.
    GoalMissed,
    /// A server answered with errors.
    ErrorReplies,
}

#[derive(Parser)]
#[command(
    version,
    about = "Measures Quire and any other server that speaks RESP.",
    after_help = "Exit codes: 0 fine; 1 could not be done; 2 a goal of `compare` or `stalls` was missed; \
                  3 a server answered with errors; 64 wrong arguments."
)]
pub struct Cli {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Measure one load on any number of servers, in turns.
    Run(run::Arguments),
    /// List the named scenarios and verbs.
    Scenarios,
    /// Start Quire and stock Redis, measure them in turns, print medians, ratios and goals.
    Compare(compare::Arguments),
    /// What a snapshot costs the clients, in memory and by itself, on Quire and stock Redis.
    Checkpoint(checkpoint::Arguments),
    /// How long Quire and stock Redis take to start with a base and a log tail.
    Recovery(recovery::Arguments),
    /// Whether freeing ten million elements holds up other clients, on Quire and stock Redis.
    Stalls(stalls::Arguments),
    /// Load every shard of a running Quire for itself, to compare their fsync policies.
    Shards(shards::Arguments),
    /// Fill a cache on Quire and stock Redis with the same requests and compare their hit rates.
    HitRate(hit_rate::Arguments),
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// What kept it from being done.
    pub fn act(self) -> io::Result<Verdict> {
        match self.action {
            Action::Run(arguments) => arguments.act(),
            Action::Scenarios => {
                print!("{}", scenarios());
                Ok(Verdict::Fine)
            }
            Action::Compare(arguments) => arguments.act(),
            Action::Checkpoint(arguments) => arguments.act(),
            Action::Recovery(arguments) => arguments.act(),
            Action::Stalls(arguments) => arguments.act(),
            Action::Shards(arguments) => arguments.act(),
            Action::HitRate(arguments) => arguments.act(),
        }
    }
}

fn scenarios() -> String {
    let mut text = "scenarios (run --scenario NAME):\n".to_owned();
    for scenario in catalog::SCENARIOS {
        text.push_str(&format!("  {:<18}{}\n", scenario.name, scenario.about));
    }
    text.push_str("\nverbs (run --mix VERB=WEIGHT,..):\n");
    for verb in crate::load::VERBS {
        text.push_str(&format!("  {:<18}{}\n", verb.name, verb.template));
    }
    text
}

/// How often, how long and from where.
#[derive(Args)]
struct Measuring {
    /// Rounds; medians are taken over them.
    #[arg(long, default_value_t = 3, value_parser = positive)]
    runs: usize,
    /// Measured seconds of one round.
    #[arg(long, default_value_t = 5.0, value_parser = seconds)]
    seconds: f64,
    /// Requests of one round, instead of --seconds; then nothing is left out to warm up.
    #[arg(long, conflicts_with = "seconds", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,
    /// CPUs of the load, a thread on each, as in 1,3.
    #[arg(long, value_delimiter = ',')]
    load_cpu: Vec<usize>,
    /// Threads of the load, if it is not pinned [default: half of the CPUs].
    #[arg(long, conflicts_with = "load_cpu", value_parser = positive)]
    threads: Option<usize>,
    /// Others may take this many percent of a core before a round counts as disturbed.
    #[arg(long, default_value_t = 10)]
    foreign_max: u32,
    /// How often a disturbed round is repeated.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
}

impl Measuring {
    fn rounds(&self) -> Rounds {
        Rounds { runs: self.runs, repeats: self.repeats }
    }

    fn settings(&self, tool: LoadTool) -> Settings {
        let until = match self.requests {
            Some(requests) => Until::Requests(requests),
            None => Until::Time {
                warm_up: Duration::from_millis(700),
                measured: Duration::from_secs_f64(self.seconds),
            },
        };
        let load_cpus = if self.load_cpu.is_empty() {
            let cpus = std::thread::available_parallelism().map_or(1, usize::from);
            vec![None; self.threads.unwrap_or((cpus / 2).max(1))]
        } else {
            self.load_cpu.iter().copied().map(Some).collect()
        };
        let foreign_share_max = f64::from(self.foreign_max) / 100.0;
        Settings { until, load_cpus, tool, foreign_share_max }
    }
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|&n| n > 0).ok_or_else(|| "a whole number from 1 on".to_owned())
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(s) if (0.01..=86_400.0).contains(&s) => Ok(s),
        _ => Err("seconds from 0.01 to 86400".to_owned()),
    }
}

/// `uniform`, `sequential`, `zipf` or `zipf:1.1`.
fn order(text: &str) -> Result<Order, String> {
    match text.split_once(':').unwrap_or((text, "0.99")) {
        ("uniform", _) => Ok(Order::Uniform),
        ("sequential", _) => Ok(Order::Sequential),
        ("zipf", exponent) => match exponent.parse::<f64>() {
            Ok(e) if e > 0.0 && e <= 5.0 => Ok(Order::Zipf(e)),
            _ => Err("zipf's exponent is above 0 and at most 5, as in zipf:0.99".to_owned()),
        },
        _ => Err("uniform, sequential, zipf or zipf:EXPONENT".to_owned()),
    }
}

#[cfg(test)]
mod tests;
