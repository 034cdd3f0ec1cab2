//! `quire-bench compare`.

use std::{io, path::PathBuf, time::Duration};

use clap::Args;

use super::{Verdict, positive};
use crate::{
    compare::Plan,
    external::LoadTool,
    json::Json,
    load::Until,
    measure::Settings,
    report,
    rounds::Rounds,
    scenario::{self, Scenario},
    server::Program,
};

#[derive(Args)]
pub struct Arguments {
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
    /// Only the row of this name; if there is none, the rows whose names contain it.
    #[arg(long, default_value = "")]
    row: String,
    /// Rounds per row.
    #[arg(long, default_value_t = 5, value_parser = positive)]
    runs: usize,
    /// Measured seconds of one run.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Connections.
    #[arg(long, default_value_t = 50, value_parser = positive)]
    clients: usize,
    /// Who makes the load; our own where the tool cannot.
    #[arg(long, value_enum, default_value = "own")]
    load: LoadTool,
    /// The CPU of the server.
    #[arg(long, default_value_t = 0)]
    server_cpu: usize,
    /// CPUs of the load, a thread on each, as in 1,3.
    #[arg(long, value_delimiter = ',', default_value = "1")]
    load_cpu: Vec<usize>,
    /// Others may take this many percent of a core before a run counts as disturbed.
    #[arg(long, default_value_t = 10)]
    foreign_max: u32,
    /// How often a disturbed run is repeated.
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// Where the servers keep their files: the disk that is measured.
    #[arg(long, default_value = "bench/results")]
    dir: PathBuf,
    /// Where every measurement goes as it is made, as JSON lines.
    #[arg(long, default_value = "bench/results/compare.jsonl")]
    journal: PathBuf,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    fn plan(self) -> Plan {
        let program = |path, extra| Program { path, extra, cpus: vec![self.server_cpu] };
        let mut rows = scenario::rows(self.scenario, self.clients);
        let exact = rows.iter().any(|row| row.name == self.row);
        rows.retain(|row| row.name == self.row || (!exact && row.name.contains(&self.row)));
        Plan {
            rows,
            quire: program(self.quire, self.quire_arg),
            redis: program(self.redis, self.redis_arg),
            rounds: Rounds { runs: self.runs, repeats: self.repeats },
            dir: self.dir,
            settings: Settings {
                until: Until::Time {
                    warm_up: Duration::from_millis(700),
                    measured: Duration::from_secs(self.seconds),
                },
                load_cpus: self.load_cpu.into_iter().map(Some).collect(),
                tool: self.load,
                foreign_share_max: f64::from(self.foreign_max) / 100.0,
            },
            journal: self.journal,
        }
    }

    pub fn act(self) -> io::Result<Verdict> {
        let json = self.json;
        let plan = self.plan();
        let (results, environment) = plan.run()?;
        if json {
            let rows = report::json(&results);
            println!("{}", Json::object([("environment", environment), ("rows", rows)]));
        } else {
            print!("{}", report::table(&results));
            println!("every measurement: {}", plan.journal.display());
        }
        Ok(if report::has_errors(&results) {
            Verdict::ErrorReplies
        } else if report::all_met(&results) {
            Verdict::Fine
        } else {
            Verdict::GoalMissed
        })
    }
}
