//! The comparison with stock Redis: every row on every subject, interleaved, and the project's
//! goals.

use std::{
    fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::{
    environment,
    json::Json,
    measure::{self, Sample, Settings},
    report::{self, Bound, RowResult},
    rounds::{self, Rounds},
    scenario::{Row, Subject, Work},
    server::{Persistence, Program, Server},
    target::Target,
};

/// Everything a comparison needs to know.
#[derive(Debug)]
pub struct Plan {
    /// What is compared.
    pub rows: Vec<Row>,
    /// The program called quire.
    pub quire: Program,
    /// The program called redis.
    pub redis: Program,
    /// How often.
    pub rounds: Rounds,
    /// Where servers keep their files.
    pub dir: PathBuf,
    /// How to measure.
    pub settings: Settings,
    /// Where every measurement is written as a line of JSON.
    pub journal: PathBuf,
}

impl Plan {
    fn program(&self, subject: Subject) -> &Program {
        match subject {
            Subject::Quire | Subject::QuireOff => &self.quire,
            Subject::Redis => &self.redis,
        }
    }

    fn persistence(row: &Row, subject: Subject) -> Persistence {
        if subject == Subject::QuireOff { Persistence::Off } else { row.persistence }
    }

    fn start(&self, row: &Row, subject: Subject) -> io::Result<Target> {
        let program = self.program(subject);
        let server = Server::start(program, Self::persistence(row, subject), &self.dir)?;
        let target = Target::started(server);
        if let Work::Load { fill, .. } = &row.work {
            for role in fill {
                measure::fill(&target, role, &role.mix, &self.settings)?;
            }
        }
        Ok(target)
    }

    fn measure(&self, row: &Row, subject: Subject, target: Option<&Target>) -> io::Result<Sample> {
        match (&row.work, target) {
            (Work::Load { roles, .. }, Some(target)) => {
                measure::under_load(target, roles, &self.settings)
            }
            (Work::Idle { connections }, Some(target)) => {
                measure::idleness(target, *connections, &self.settings)
            }
            (Work::Grow(role), _) => measure::growth(
                self.program(subject),
                Self::persistence(row, subject),
                &self.dir,
                role,
                &self.settings,
            ),
            (Work::Load { .. } | Work::Idle { .. }, None) => {
                Err(io::Error::other("no server runs for this row"))
            }
        }
    }

    fn run_row(
        &self,
        row: &Row,
        journal: &mut Journal,
        bar: &indicatif::ProgressBar,
    ) -> io::Result<RowResult> {
        // A memory measurement starts its own server every time.
        let grows = matches!(row.work, Work::Grow(_));
        let targets: Vec<Option<Target>> = row
            .subjects
            .iter()
            .map(|&s| if grows { Ok(None) } else { self.start(row, s).map(Some) })
            .collect::<io::Result<_>>()?;
        let measure = |index: usize| {
            let subject: Subject = row.subjects[index];
            bar.set_message(format!("{}: {}", row.name, subject.name()));
            self.measure(row, subject, targets[index].as_ref())
        };
        let measured = |index: usize, round: usize, sample: &Sample| {
            bar.inc(1);
            journal.measured(&row.name, row.subjects[index].name(), round, sample)
        };
        let samples = self.rounds.interleave(row.subjects.len(), measure, measured)?;
        let place = |subject| row.subjects.iter().position(|&s| s == subject);
        let goals = row.goals.iter().filter_map(|goal| {
            let (of, to) = (place(goal.of)?, place(goal.to)?);
            Some(Bound { metric: goal.metric, of, to, bound: goal.bound })
        });
        Ok(RowResult {
            name: row.name.clone(),
            subjects: row.subjects.iter().map(|s| s.name().to_owned()).collect(),
            ratios: place(Subject::Quire).zip(place(Subject::Redis)).into_iter().collect(),
            goals: goals.collect(),
            samples,
        })
    }

    /// Runs everything; the results and what they belong to.
    ///
    /// # Errors
    /// Of the first measurement that fails.
    pub fn run(&self) -> io::Result<(Vec<RowResult>, Json)> {
        fs::create_dir_all(&self.dir)?;
        let environment = self.describe()?;
        let mut journal = Journal::create(&self.journal)?;
        journal.line(&environment)?;
        let steps = self.rows.iter().map(|r| r.subjects.len() * self.rounds.runs).sum();
        let bar = rounds::progress(steps);
        let mut results = Vec::new();
        for row in &self.rows {
            results.push(self.run_row(row, &mut journal, &bar)?);
        }
        bar.finish_and_clear();
        Ok((results, environment))
    }

    /// What the numbers belong to: programs and machine.
    fn describe(&self) -> io::Result<Json> {
        let version = |program: &Program| -> io::Result<Json> {
            let server = Server::start(program, Persistence::Off, &self.dir)?;
            Ok(Json::Text(Target::started(server).version()))
        };
        let path = |program: &Program| Json::text(program.path.display().to_string());
        let programs = [
            ("quire".to_owned(), path(&self.quire)),
            ("quire_version".to_owned(), version(&self.quire)?),
            ("redis".to_owned(), path(&self.redis)),
            ("redis_version".to_owned(), version(&self.redis)?),
            ("load".to_owned(), Json::text(self.settings.tool.name())),
        ];
        Ok(environment::describe(Some(&self.dir)).with(programs))
    }
}

/// Writes measurements down as they come, one JSON object per line.
#[derive(Debug)]
struct Journal {
    file: fs::File,
}

impl Journal {
    /// Starts the file anew.
    fn create(path: &Path) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(Self { file: fs::File::create(path)? })
    }

    fn line(&mut self, value: &Json) -> io::Result<()> {
        writeln!(self.file, "{value}")
    }

    fn measured(&mut self, row: &str, subject: &str, round: usize, s: &Sample) -> io::Result<()> {
        let head = Json::object([
            ("row", Json::text(row)),
            ("subject", Json::text(subject)),
            ("round", Json::Count(round as u64)),
        ]);
        self.line(&head.with(report::sample_json(s)))
    }
}
