//! The comparison: every row on every subject, interleaved (A B A B ..), so that what the machine
//! does meanwhile hits both; disturbed measurements are repeated.

use std::{
    io,
    path::{Path, PathBuf},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    measure::{self, Sample, Settings},
    report::{self, RowResult},
    scenario::{Row, Subject, Work},
    server::{Persistence, Program, Server},
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
    /// Rounds.
    pub runs: usize,
    /// How often a disturbed measurement is repeated before it is taken as it is.
    pub repeats: usize,
    /// Where servers keep their files.
    pub dir: PathBuf,
    /// How to measure.
    pub settings: Settings,
    /// Where every measurement is written as a line of JSON.
    pub json: PathBuf,
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

    fn start(&self, row: &Row, subject: Subject) -> io::Result<Server> {
        let program = self.program(subject);
        let server = Server::start(program, Self::persistence(row, subject), &self.dir)?;
        if let Some(role) = measure::wants_filled(&row.work) {
            measure::fill(&server, role, self.settings.load_cpu)?;
        }
        Ok(server)
    }

    fn measure(&self, row: &Row, subject: Subject, server: Option<&Server>) -> io::Result<Sample> {
        match (&row.work, server) {
            (Work::Load { roles, .. }, Some(server)) => {
                measure::under_load(server, roles, &self.settings)
            }
            (Work::Idle { connections }, Some(server)) => {
                measure::idleness(server, *connections, &self.settings)
            }
            (Work::Grow { keys, value_bytes }, _) => measure::growth(
                self.program(subject),
                Self::persistence(row, subject),
                &self.dir,
                (*keys, *value_bytes),
                &self.settings,
            ),
            (Work::Load { .. } | Work::Idle { .. }, None) => {
                Err(io::Error::other("no server runs for this row"))
            }
        }
    }

    fn undisturbed(
        &self,
        row: &Row,
        subject: Subject,
        server: Option<&Server>,
    ) -> io::Result<Sample> {
        let mut best: Option<Sample> = None;
        for _ in 0..=self.repeats {
            let sample = self.measure(row, subject, server)?;
            let quieter = best.as_ref().is_none_or(|b| sample.foreign_share < b.foreign_share);
            if quieter {
                best = Some(sample);
            }
            if best.as_ref().is_some_and(|b| !b.disturbed) {
                break;
            }
        }
        best.ok_or_else(|| io::Error::other("nothing was measured"))
    }

    fn run_row(
        &self,
        row: &Row,
        journal: &mut report::Journal,
        bar: &ProgressBar,
    ) -> io::Result<RowResult> {
        // A memory measurement starts its own server every time.
        let grows = matches!(row.work, Work::Grow { .. });
        let servers: Vec<Option<Server>> = row
            .subjects
            .iter()
            .map(|&s| if grows { Ok(None) } else { self.start(row, s).map(Some) })
            .collect::<io::Result<_>>()?;
        let mut samples = vec![Vec::new(); row.subjects.len()];
        for round in 0..self.runs {
            for (index, &subject) in row.subjects.iter().enumerate() {
                bar.set_message(format!("{}: {}", row.name, subject.name()));
                let sample = self.undisturbed(row, subject, servers[index].as_ref())?;
                journal.measured(row, subject, round, &sample)?;
                samples[index].push(sample);
                bar.inc(1);
            }
        }
        Ok(RowResult { row: row.clone(), samples })
    }

    /// Runs everything and prints the report. Returns whether every goal was met.
    ///
    /// # Errors
    /// Of the first measurement that fails.
    pub fn run(&self) -> io::Result<bool> {
        std::fs::create_dir_all(&self.dir)?;
        let mut journal = report::Journal::create(&self.json)?;
        journal.machine(&self.describe()?)?;
        let steps: usize = self.rows.iter().map(|r| r.subjects.len() * self.runs).sum();
        let bar = ProgressBar::new(steps as u64);
        // The template is a constant of ours: should it be refused, the plain bar will do.
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {eta} {msg}") {
            bar.set_style(style);
        }
        let mut results = Vec::new();
        for row in &self.rows {
            results.push(self.run_row(row, &mut journal, &bar)?);
        }
        bar.finish_and_clear();
        print!("{}", report::table(&results));
        println!("every measurement: {}", self.json.display());
        Ok(report::all_met(&results))
    }

    /// What the numbers belong to: programs and machine.
    fn describe(&self) -> io::Result<Vec<(&'static str, String)>> {
        let version = |program: &Program| -> io::Result<String> {
            let server = Server::start(program, Persistence::Off, &self.dir)?;
            Ok(server.info("redis_version").unwrap_or_default())
        };
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpu = read("/proc/cpuinfo");
        let model = cpu.lines().find_map(|l| l.strip_prefix("model name")).unwrap_or_default();
        Ok(vec![
            ("quire", self.quire.path.display().to_string()),
            ("quire_redis_version", version(&self.quire)?),
            ("redis", self.redis.path.display().to_string()),
            ("redis_version", version(&self.redis)?),
            ("kernel", read("/proc/sys/kernel/osrelease").trim().to_owned()),
            ("cpu", model.trim_start_matches([' ', '\t', ':']).to_owned()),
            ("file_system", file_system(&self.dir, &read("/proc/self/mounts"))),
            ("load", format!("{:?}", self.settings.tool)),
            ("seconds", self.settings.seconds.to_string()),
        ])
    }
}

/// Type and device of the file system that `dir` is on, by the longest matching mount point.
fn file_system(dir: &Path, mounts: &str) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let (device, point, kind) = (fields.next()?, fields.next()?, fields.next()?);
            dir.starts_with(point).then(|| (point.len(), format!("{kind} on {device}")))
        })
        .max()
        .map_or_else(String::new, |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n";
        assert_eq!(file_system(Path::new("/tmp"), mounts), "tmpfs on tmpfs");
        assert_eq!(file_system(Path::new("/"), mounts), "ext4 on /dev/a");
    }
}
