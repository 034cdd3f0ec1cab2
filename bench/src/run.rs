//! One load on any number of servers, by address or started here, in turns.

use std::{io, path::PathBuf, time::Duration};

use crate::{
    catalog, environment,
    json::Json,
    load::{self, Mix, Role, Until},
    measure::{self, Sample, Settings},
    report::{self, RowResult},
    rounds::{self, Rounds},
    server::{Persistence, Program, Server},
    target::Target,
};

/// How fast an open loop sends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// Requests per second.
    PerSecond(f64),
    /// A share of what the slowest of the servers does in a closed loop.
    OfPeak(f64),
}

impl Rate {
    /// `20000`, or `50%`.
    ///
    /// # Errors
    /// A sentence about what it must be.
    pub fn parse(text: &str) -> Result<Self, String> {
        let positive = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite() && *n > 0.0);
        let rate = match text.strip_suffix('%') {
            Some(percent) => positive(percent).map(|p| Self::OfPeak(p / 100.0)),
            None => positive(text).map(Self::PerSecond),
        };
        rate.ok_or_else(|| "requests per second, or a share of the peak, as in 50%".to_owned())
    }
}

/// Where a subject comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// It runs already.
    At(std::net::SocketAddr),
    /// We start it.
    Start(Program),
}

/// Everything a run needs to know.
#[derive(Debug)]
pub struct Plan {
    /// As the report calls the load.
    pub name: String,
    /// The servers, by name.
    pub subjects: Vec<(String, Source)>,
    /// Who asks for what.
    pub roles: Vec<Role>,
    /// An open loop, if given.
    pub rate: Option<Rate>,
    /// Whether to set what is read before.
    pub fill: bool,
    /// Of servers we start.
    pub persistence: Persistence,
    /// Where servers we start keep their files.
    pub dir: PathBuf,
    /// How often.
    pub rounds: Rounds,
    /// How to measure.
    pub settings: Settings,
}

/// What a run found.
#[derive(Debug)]
pub struct Outcome {
    /// The measurements.
    pub row: RowResult,
    /// What they belong to.
    pub environment: Json,
    /// The load as it was made.
    pub load: Json,
    /// The same in a line for people.
    pub summary: String,
}

impl Plan {
    fn open(&self, source: &Source) -> io::Result<Target> {
        match source {
            Source::At(addr) => Target::at(*addr),
            Source::Start(program) => {
                Server::start(program, self.persistence, &self.dir).map(Target::started)
            }
        }
    }

    fn fill(&self, target: &Target) -> io::Result<()> {
        for role in &self.roles {
            for mix in catalog::fillings(&role.mix).map_err(io::Error::other)? {
                measure::fill(target, role, &mix, &self.settings)?;
            }
        }
        Ok(())
    }

    /// Sets the roles' rates: shares of the whole rate by their connections.
    fn pace(&mut self, targets: &[Target]) -> io::Result<Option<f64>> {
        let rate = match self.rate {
            None => return Ok(None),
            Some(Rate::PerSecond(rate)) => rate,
            Some(Rate::OfPeak(share)) => {
                let until = Until::Time {
                    warm_up: Duration::from_millis(500),
                    measured: Duration::from_secs(2),
                };
                let mut peak = f64::MAX;
                for target in targets {
                    let cpus = &self.settings.load_cpus;
                    let result = load::run(target.addr(), &self.roles, until, cpus, || {})?;
                    let ops = result.replies() as f64 / result.elapsed.as_secs_f64();
                    peak = peak.min(ops);
                }
                (peak * share).max(1.0)
            }
        };
        let connections: usize = self.roles.iter().map(|r| r.connections).sum();
        for role in &mut self.roles {
            role.rate = Some(rate * role.connections as f64 / connections as f64);
        }
        Ok(Some(rate))
    }

    /// Runs it.
    ///
    /// # Errors
    /// Of servers that cannot be reached or started, and of the load.
    pub fn run(mut self) -> io::Result<Outcome> {
        let starts = self.subjects.iter().any(|(_, s)| matches!(s, Source::Start(_)));
        if starts {
            std::fs::create_dir_all(&self.dir)?;
        }
        let bar = rounds::progress(self.subjects.len() * self.rounds.runs);
        let mut targets = Vec::new();
        for (name, source) in &self.subjects {
            bar.set_message(format!("{name}: starts"));
            let target = self.open(source)?;
            if self.fill {
                bar.set_message(format!("{name}: is filled"));
                self.fill(&target)?;
            }
            targets.push(target);
        }
        let rate = self.pace(&targets)?;
        let measure = |index: usize| {
            bar.set_message(self.subjects[index].0.clone());
            measure::under_load(&targets[index], &self.roles, &self.settings)
        };
        let measured = |_, _, _: &Sample| {
            bar.inc(1);
            Ok(())
        };
        let samples = self.rounds.interleave(targets.len(), measure, measured)?;
        bar.finish_and_clear();
        let subjects = self.subjects.iter().zip(&targets).map(|((name, _), target)| {
            Json::object([
                ("name", Json::text(name)),
                ("address", Json::text(target.addr().to_string())),
                ("version", Json::text(target.version())),
            ])
        });
        let servers = ("servers".to_owned(), Json::List(subjects.collect()));
        let environment = environment::describe(starts.then_some(self.dir.as_path()));
        Ok(Outcome {
            row: RowResult {
                name: self.name.clone(),
                subjects: self.subjects.iter().map(|(name, _)| name.clone()).collect(),
                ratios: (1..samples.len()).map(|index| (index, 0)).collect(),
                goals: Vec::new(),
                samples,
            },
            environment: environment.with([servers]),
            load: self.load_json(rate),
            summary: self.summary(rate),
        })
    }

    fn summary(&self, rate: Option<f64>) -> String {
        let tool = self.settings.tool.for_load(&self.roles).name();
        let pace =
            rate.map_or("closed loop".to_owned(), |r| format!("open loop, {r:.0} requests/s"));
        let threads = self.settings.load_cpus.len();
        format!("load: {tool}, {pace}, {threads} thread{}", if threads == 1 { "" } else { "s" })
    }

    fn load_json(&self, rate: Option<f64>) -> Json {
        let role = |role: &Role| {
            Json::object([
                ("mix", Json::text(role.mix.to_string())),
                ("connections", Json::Count(role.connections as u64)),
                ("pipeline", Json::Count(role.pipeline as u64)),
                ("keys", Json::Count(role.keys.count)),
                ("order", Json::text(format!("{:?}", role.keys.order).to_lowercase())),
                ("value_bytes", Json::Count(role.value_bytes as u64)),
                ("rate", Json::from(role.rate)),
            ])
        };
        let (seconds, requests) = match self.settings.until {
            Until::Time { measured, .. } => (Json::Number(measured.as_secs_f64()), Json::Null),
            Until::Requests(n) => (Json::Null, Json::Count(n)),
        };
        Json::object([
            ("scenario", Json::text(&self.name)),
            ("tool", Json::text(self.settings.tool.for_load(&self.roles).name())),
            ("threads", Json::Count(self.settings.load_cpus.len() as u64)),
            ("loop", Json::text(if rate.is_some() { "open" } else { "closed" })),
            ("rate", Json::from(rate)),
            ("seconds", seconds),
            ("requests", requests),
            ("roles", Json::List(self.roles.iter().map(role).collect())),
        ])
    }
}

impl Outcome {
    /// For people.
    pub fn table(&self) -> String {
        format!("{}\n{}", self.summary, report::table(std::slice::from_ref(&self.row)))
    }

    /// For programs: one object.
    pub fn json(&self) -> Json {
        Json::object([
            ("environment", self.environment.clone()),
            ("load", self.load.clone()),
            ("rows", report::json(std::slice::from_ref(&self.row))),
        ])
    }
}

/// The name of a mix, for loads that are no named scenario.
pub fn name_of(mix: &Mix, pipeline: usize) -> String {
    format!("{mix}, P{pipeline}")
}

#[cfg(test)]
mod tests {
    use super::Rate;

    #[test]
    fn rates_are_numbers_or_shares() {
        assert_eq!(Rate::parse("20000"), Ok(Rate::PerSecond(20_000.0)));
        assert_eq!(Rate::parse("50%"), Ok(Rate::OfPeak(0.5)));
        for text in ["0", "-1", "x", "%", "0%", "inf", "NaN"] {
            assert!(Rate::parse(text).is_err(), "{text}");
        }
    }
}
