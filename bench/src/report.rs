//! What people and programs read: the table of medians and ratios, the goals, and one line of
//! JSON per measurement.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::Path,
};

use crate::{
    measure::Sample,
    metric::{Metric, median},
    scenario::{Goal, Row, Subject},
};

/// All measurements of one row; `samples` in the order of its subjects.
#[derive(Debug)]
pub struct RowResult {
    /// The row.
    pub row: Row,
    /// Per subject, one sample per round.
    pub samples: Vec<Vec<Sample>>,
}

impl RowResult {
    fn values(&self, subject: Subject, metric: Metric) -> Vec<f64> {
        let index = self.row.subjects.iter().position(|&s| s == subject);
        let samples = index.map_or(&[][..], |i| &self.samples[i]);
        samples.iter().filter_map(|s| s.values.get(&metric).copied()).collect()
    }

    /// Ratio of the medians, and the least and greatest ratio of one round.
    fn ratio(&self, metric: Metric, of: Subject, to: Subject) -> Option<(f64, f64, f64)> {
        let (above, below) = (self.values(of, metric), self.values(to, metric));
        let bottom = median(&below);
        if above.is_empty() || bottom == 0.0 {
            return None;
        }
        let rounds = above.iter().zip(&below).map(|(a, b)| a / b);
        let (least, greatest) = rounds.fold((f64::MAX, f64::MIN), |(l, g), r| (l.min(r), g.max(r)));
        Some((median(&above) / bottom, least, greatest))
    }

    fn share(&self, subject: usize, of: fn(&Sample) -> f64) -> f64 {
        median(&self.samples[subject].iter().map(of).collect::<Vec<_>>()) * 100.0
    }
}

/// True when the ratio is on the right side of the goal's bound.
fn is_met(goal: &Goal, ratio: f64) -> bool {
    if goal.metric.more_is_better() { ratio >= goal.bound } else { ratio <= goal.bound }
}

/// True when every goal of every row is met; a goal that could not be measured is not.
pub fn all_met(results: &[RowResult]) -> bool {
    results.iter().all(|result| {
        result.row.goals.iter().all(|goal| {
            result.ratio(goal.metric, goal.of, goal.to).is_some_and(|(r, ..)| is_met(goal, r))
        })
    })
}

/// The report: per row its subjects' medians and Quire's ratios, then all goals.
pub fn table(results: &[RowResult]) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(text, "{:<44}{:<11}", "medians", "");
    for metric in Metric::ALL {
        let _ = write!(text, "{:>11}", metric.title());
    }
    text.push_str("  load%  foreign%  disturbed\n");
    for result in results {
        row_lines(result, &mut text);
    }
    text.push_str("\ngoals (ratio of medians, in brackets the least and greatest of one round)\n");
    for result in results {
        for goal in &result.row.goals {
            let _ = writeln!(text, "{}", goal_line(result, goal));
        }
    }
    text
}

fn row_lines(result: &RowResult, text: &mut String) {
    for (index, &subject) in result.row.subjects.iter().enumerate() {
        let name = if index == 0 { result.row.name.as_str() } else { "" };
        let _ = write!(text, "{name:<44}{:<11}", subject.name());
        for metric in Metric::ALL {
            let values = result.values(subject, metric);
            let shown = if values.is_empty() { "-".into() } else { metric.show(median(&values)) };
            let _ = write!(text, "{shown:>11}");
        }
        let disturbed = result.samples[index].iter().filter(|s| s.disturbed).count();
        let _ = writeln!(
            text,
            "{:>7.0}{:>10.0}{:>8}/{}",
            result.share(index, |s| s.load_share),
            result.share(index, |s| s.foreign_share + s.steal_share),
            disturbed,
            result.samples[index].len(),
        );
    }
    let _ = write!(text, "{:<44}{:<11}", "", "ratio");
    for metric in Metric::ALL {
        let ratio = result.ratio(metric, Subject::Quire, Subject::Redis);
        let shown = ratio.map_or_else(|| "-".into(), |(r, ..)| format!("{r:.2}x"));
        let _ = write!(text, "{shown:>11}");
    }
    text.push('\n');
}

fn goal_line(result: &RowResult, goal: &Goal) -> String {
    let name = format!(
        "{}: {} of {} to {}",
        result.row.name,
        goal.metric.title(),
        goal.of.name(),
        goal.to.name()
    );
    let wanted = if goal.metric.more_is_better() { ">=" } else { "<=" };
    match result.ratio(goal.metric, goal.of, goal.to) {
        Some((ratio, least, greatest)) => {
            let verdict = if is_met(goal, ratio) { "met" } else { "MISSED" };
            format!(
                "{verdict:<7}{name:<70} {ratio:.2}x {wanted} {:.2}x  [{least:.2} .. {greatest:.2}]",
                goal.bound
            )
        }
        None => format!("{:<7}{name}: not measured", "MISSED"),
    }
}

/// Writes measurements down as they come, one JSON object per line.
#[derive(Debug)]
pub struct Journal {
    file: fs::File,
}

impl Journal {
    /// Starts the file anew.
    ///
    /// # Errors
    /// Of the file system.
    pub fn create(path: &Path) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        Ok(Self { file: fs::File::create(path)? })
    }

    /// The first line: what the numbers belong to.
    ///
    /// # Errors
    /// Of the file system.
    pub fn machine(&mut self, facts: &[(&str, String)]) -> io::Result<()> {
        let fields: Vec<String> = facts
            .iter()
            .map(|(name, value)| format!("{}:{}", quoted(name), quoted(value)))
            .collect();
        writeln!(self.file, "{{{}}}", fields.join(","))
    }

    /// One measurement.
    ///
    /// # Errors
    /// Of the file system.
    pub fn measured(
        &mut self,
        row: &Row,
        subject: Subject,
        round: usize,
        sample: &Sample,
    ) -> io::Result<()> {
        let mut line = format!(
            "{{\"row\":{},\"subject\":{},\"round\":{round}",
            quoted(&row.name),
            quoted(subject.name())
        );
        for (metric, value) in &sample.values {
            let _ = write!(line, ",\"{}\":{value:.3}", metric.json_name());
        }
        writeln!(
            self.file,
            "{line},\"load_share\":{:.3},\"foreign_share\":{:.3},\"steal_share\":{:.3},\"disturbed\":{}}}",
            sample.load_share, sample.foreign_share, sample.steal_share, sample.disturbed
        )
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => out.push(' '),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::scenario::{Scenario, rows};

    fn result(quire_ops: &[f64], redis_ops: &[f64]) -> RowResult {
        let mut row = rows(Scenario::Always, 50).remove(0);
        row.goals.truncate(1);
        let samples = |ops: &[f64]| {
            ops.iter()
                .map(|&ops| Sample {
                    values: BTreeMap::from([(Metric::OpsPerSecond, ops)]),
                    load_share: 0.5,
                    foreign_share: 0.0,
                    steal_share: 0.0,
                    disturbed: false,
                })
                .collect()
        };
        RowResult { row, samples: vec![samples(quire_ops), samples(redis_ops)] }
    }

    #[test]
    fn a_goal_is_met_by_medians_and_missed_without_measurements() {
        assert!(all_met(&[result(&[190.0, 200.0, 1.0], &[100.0, 100.0, 100.0])]));
        assert!(!all_met(&[result(&[180.0, 189.0, 500.0], &[100.0, 100.0, 100.0])]));
        assert!(!all_met(&[result(&[], &[])]));
    }

    #[test]
    fn the_report_says_medians_ratios_and_verdicts() {
        let text = table(&[result(&[190.0, 200.0, 210.0], &[100.0, 80.0, 120.0])]);
        assert!(text.contains("always, SET, P1"), "{text}");
        assert!(text.contains("2.00x >= 1.90x  [1.75 .. 2.50]"), "{text}");
    }

    #[test]
    fn json_strings_are_escaped() {
        assert_eq!(quoted("a\"b\\c\n"), "\"a\\\"b\\\\c \"");
    }
}
