//! What people and programs read: the table of medians and ratios, the goals, and JSON.

use std::fmt::Write as _;

use crate::{
    json::Json,
    measure::Sample,
    metric::{Metric, median},
};

/// A bound on the ratio of two subjects' medians.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    /// Of what.
    pub metric: Metric,
    /// The subject above the line, by its place.
    pub of: usize,
    /// The one below.
    pub to: usize,
    /// For what is better when it is more the least ratio, for all else the greatest.
    pub bound: f64,
}

/// All measurements of one row.
#[derive(Debug)]
pub struct RowResult {
    /// As the report calls it.
    pub name: String,
    /// Who took part.
    pub subjects: Vec<String>,
    /// Per subject, one sample per round.
    pub samples: Vec<Vec<Sample>>,
    /// Which subjects are set in relation, by their places.
    pub ratios: Vec<(usize, usize)>,
    /// What is expected.
    pub goals: Vec<Bound>,
}

impl RowResult {
    fn values(&self, subject: usize, metric: Metric) -> Vec<f64> {
        self.samples[subject].iter().filter_map(|s| s.values.get(&metric).copied()).collect()
    }

    fn median(&self, subject: usize, metric: Metric) -> Option<f64> {
        let values = self.values(subject, metric);
        (!values.is_empty()).then(|| median(&values))
    }

    /// Ratio of the medians, and the least and greatest ratio of one round.
    fn ratio(&self, metric: Metric, of: usize, to: usize) -> Option<(f64, f64, f64)> {
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

    /// Error replies to one subject, all rounds.
    fn errors(&self, subject: usize) -> u64 {
        self.samples[subject].iter().map(|s| s.errors).sum()
    }
}

/// True when the ratio is on the right side of the goal's bound.
fn is_met(goal: &Bound, ratio: f64) -> bool {
    if goal.metric.more_is_better() { ratio >= goal.bound } else { ratio <= goal.bound }
}

/// True when every goal of every row is met; a goal that could not be measured is not.
pub fn all_met(results: &[RowResult]) -> bool {
    results.iter().all(|result| {
        result.goals.iter().all(|goal| {
            result.ratio(goal.metric, goal.of, goal.to).is_some_and(|(r, ..)| is_met(goal, r))
        })
    })
}

/// True when some server answered with an error.
pub fn has_errors(results: &[RowResult]) -> bool {
    results.iter().any(|r| (0..r.subjects.len()).any(|subject| r.errors(subject) > 0))
}

/// The report: per row its subjects' medians and ratios, then errors, then all goals. Columns
/// that would be empty are left out.
pub fn table(results: &[RowResult]) -> String {
    let has_values = |metric: &Metric| {
        results.iter().any(|r| (0..r.subjects.len()).any(|s| !r.values(s, *metric).is_empty()))
    };
    let metrics: Vec<Metric> = Metric::ALL.into_iter().filter(has_values).collect();
    let width = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0) + 2;
    let name = width(&mut results.iter().map(|r| r.name.len()).chain([10]));
    let subject = width(&mut results.iter().flat_map(|r| {
        let ratios = r.ratios.iter().map(|&(a, b)| r.subjects[a].len() + r.subjects[b].len() + 1);
        r.subjects.iter().map(String::len).chain(ratios)
    }));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write!(text, "{:<name$}{:<subject$}", "medians", "");
    for metric in &metrics {
        let _ = write!(text, "{:>11}", metric.title());
    }
    text.push_str("  load%  foreign%  disturbed  errors\n");
    for result in results {
        row_lines(result, &metrics, (name, subject), &mut text);
    }
    for result in results {
        for (index, subject) in result.subjects.iter().enumerate() {
            let first = result.samples[index].iter().find_map(|s| s.first_error.as_ref());
            if let Some(error) = first {
                let _ = writeln!(text, "\n{subject} answered {} first with -{error}", result.name);
            }
        }
    }
    if results.iter().any(|r| !r.goals.is_empty()) {
        text.push_str(
            "\ngoals (ratio of medians, in brackets the least and greatest of one round)\n",
        );
    }
    for result in results {
        for goal in &result.goals {
            let _ = writeln!(text, "{}", goal_line(result, goal));
        }
    }
    text
}

fn row_lines(
    result: &RowResult,
    metrics: &[Metric],
    (name_width, subject_width): (usize, usize),
    text: &mut String,
) {
    for (index, subject) in result.subjects.iter().enumerate() {
        let name = if index == 0 { result.name.as_str() } else { "" };
        let _ = write!(text, "{name:<name_width$}{subject:<subject_width$}");
        for &metric in metrics {
            let median = result.median(index, metric);
            let shown = median.map_or_else(|| "-".to_owned(), |m| metric.show(m));
            let _ = write!(text, "{shown:>11}");
        }
        let samples = &result.samples[index];
        let known = samples.iter().all(|s| s.foreign_share.is_some());
        let foreign = if known {
            format!("{:.0}", result.share(index, Sample::foreign))
        } else {
            "?".to_owned()
        };
        let disturbed = samples.iter().filter(|s| s.disturbed).count();
        let _ = writeln!(
            text,
            "{:>7.0}{foreign:>10}{disturbed:>8}/{}{:>8}",
            result.share(index, |s| s.load_share),
            samples.len(),
            result.errors(index),
        );
    }
    for &(of, to) in &result.ratios {
        let title = format!("{}/{}", result.subjects[of], result.subjects[to]);
        let _ = write!(text, "{:<name_width$}{title:<subject_width$}", "");
        for &metric in metrics {
            let ratio = result.ratio(metric, of, to);
            let shown = ratio.map_or_else(|| "-".into(), |(r, ..)| format!("{r:.2}x"));
            let _ = write!(text, "{shown:>11}");
        }
        text.push('\n');
    }
}

fn goal_line(result: &RowResult, goal: &Bound) -> String {
    let name = format!(
        "{}: {} of {} to {}",
        result.name,
        goal.metric.title(),
        result.subjects[goal.of],
        result.subjects[goal.to]
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

/// The fields of one measurement.
pub fn sample_json(sample: &Sample) -> Vec<(String, Json)> {
    let values = sample.values.iter().map(|(m, v)| (m.json_name().to_owned(), Json::Number(*v)));
    let more = [
        ("load_share", Json::Number(sample.load_share)),
        ("foreign_share", Json::from(sample.foreign_share)),
        ("steal_share", Json::Number(sample.steal_share)),
        ("disturbed", Json::Bool(sample.disturbed)),
        ("errors", Json::Count(sample.errors)),
        ("first_error", sample.first_error.as_ref().map_or(Json::Null, Json::text)),
    ];
    values.chain(more.map(|(name, value)| (name.to_owned(), value))).collect()
}

/// All rows, every measurement in them.
pub fn json(results: &[RowResult]) -> Json {
    Json::List(results.iter().map(row_json).collect())
}

fn row_json(result: &RowResult) -> Json {
    let subject = |(index, name): (usize, &String)| {
        let medians = Metric::ALL.into_iter().filter_map(|metric| {
            Some((metric.json_name().to_owned(), Json::Number(result.median(index, metric)?)))
        });
        let rounds = result.samples[index].iter().map(|s| Json::Object(sample_json(s))).collect();
        Json::object([
            ("name", Json::text(name)),
            ("median", Json::Object(medians.collect())),
            ("errors", Json::Count(result.errors(index))),
            ("rounds", Json::List(rounds)),
        ])
    };
    let ratio = |&(of, to): &(usize, usize)| {
        let ratios = Metric::ALL.into_iter().filter_map(|metric| {
            let (ratio, ..) = result.ratio(metric, of, to)?;
            Some((metric.json_name().to_owned(), Json::Number(ratio)))
        });
        Json::object([
            ("of", Json::text(&result.subjects[of])),
            ("to", Json::text(&result.subjects[to])),
        ])
        .with(ratios)
    };
    let goal = |goal: &Bound| {
        let found = result.ratio(goal.metric, goal.of, goal.to);
        Json::object([
            ("metric", Json::text(goal.metric.json_name())),
            ("of", Json::text(&result.subjects[goal.of])),
            ("to", Json::text(&result.subjects[goal.to])),
            ("bound", Json::Number(goal.bound)),
            ("ratio", Json::from(found.map(|(r, ..)| r))),
            ("met", Json::Bool(found.is_some_and(|(r, ..)| is_met(goal, r)))),
        ])
    };
    Json::object([
        ("name", Json::text(&result.name)),
        ("subjects", Json::List(result.subjects.iter().enumerate().map(subject).collect())),
        ("ratios", Json::List(result.ratios.iter().map(ratio).collect())),
        ("goals", Json::List(result.goals.iter().map(goal).collect())),
    ])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn result(quire_ops: &[f64], redis_ops: &[f64]) -> RowResult {
        let samples = |ops: &[f64]| {
            ops.iter()
                .map(|&ops| Sample {
                    values: BTreeMap::from([(Metric::OpsPerSecond, ops)]),
                    load_share: 0.5,
                    foreign_share: Some(0.0),
                    steal_share: 0.0,
                    disturbed: false,
                    errors: 0,
                    first_error: None,
                })
                .collect()
        };
        RowResult {
            name: "always, SET, P1".to_owned(),
            subjects: vec!["quire".to_owned(), "redis".to_owned()],
            samples: vec![samples(quire_ops), samples(redis_ops)],
            ratios: vec![(0, 1)],
            goals: vec![Bound { metric: Metric::OpsPerSecond, of: 0, to: 1, bound: 1.9 }],
        }
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
        assert!(
            text.lines().any(|l| l.trim_start().starts_with("quire/redis") && l.ends_with("2.00x")),
            "{text}"
        );
        assert!(text.contains("2.00x >= 1.90x  [1.75 .. 2.50]"), "{text}");
        assert!(!text.contains("p99"), "nothing was measured for it: {text}");
    }

    #[test]
    fn error_replies_are_shown_and_noticed() {
        let mut bad = result(&[1.0, 2.0], &[1.0, 2.0]);
        assert!(!has_errors(std::slice::from_ref(&bad)));
        bad.samples[1][1].errors = 7;
        bad.samples[1][1].first_error = Some("OOM no".to_owned());
        let text = table(std::slice::from_ref(&bad));
        assert!(text.contains("redis answered always, SET, P1 first with -OOM no"), "{text}");
        assert!(has_errors(&[bad]));
    }

    #[test]
    fn json_has_medians_ratios_and_goals() {
        let text = json(&[result(&[190.0, 200.0, 210.0], &[100.0, 80.0, 120.0])]).to_string();
        for part in [
            r#""name":"quire","median":{"ops_per_second":200.000}"#,
            r#""of":"quire","to":"redis","ops_per_second":2.000"#,
            r#""bound":1.900,"ratio":2.000,"met":true"#,
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }
}
