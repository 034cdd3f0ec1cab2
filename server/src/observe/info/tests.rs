//! What INFO is made of: sections by name, and the shape of every line.

use super::*;
use crate::{dispatch::table, observe::timings::Timings, options::Options};

fn names(words: &[&str]) -> Vec<&'static str> {
    let sections = Sections::of(words.iter().map(|word| word.as_bytes()));
    SECTIONS.iter().zip(sections.0).filter(|(_, w)| *w).map(|(s, _)| s.name).collect()
}

#[test]
fn sections_are_chosen_by_name() {
    assert_eq!(names(&["Server", "CPU", "nosuch"]), ["server", "cpu"]);
    assert_eq!(names(&["nosuch"]), [""; 0]);
    assert_eq!(names(&["all"]).len(), SECTIONS.len());
    assert!(!names(&[]).contains(&"commandstats"));
    assert_eq!(names(&["default"]), names(&[]));
    assert_eq!(names(&["default", "commandstats"]).len(), names(&[]).len() + 1);
    assert_eq!(SECTIONS[LATENCIES].name, "latencystats");
}

#[test]
fn every_line_is_a_title_a_field_or_empty() {
    let mut config = Config { shards: 2, ..Config::default() };
    config.resolve(2).unwrap();
    let options = Options::new(&config, vec![Some(1)], None);
    let shared = Shared::new(options, config.clone(), ["ab".repeat(20), "cd".repeat(20)]).unwrap();
    shared.cores[0].stats.keys[3].set(2);
    shared.cores[1].stats.keys[3].set(5);
    shared.cores[1].stats.expires[3].set(1);
    let mut errors = ErrorCounts::default();
    errors.add("WRONGTYPE", 2);
    let mut timings = Timings::new(table::names().len());
    (0..9).for_each(|_| _ = timings.executed(0, 0));
    timings.failed(0);
    let mut report = super::super::timings::Report::default();
    timings.report(&mut report, true);
    let facts = Facts {
        shared: &shared,
        config: &config,
        errors: &errors,
        totals: &report.totals,
        used: 4711,
        histograms: &report.histograms,
    };
    let text = text(facts, &Sections::of(std::iter::once(&b"all"[..])));
    let mut seen = std::collections::HashSet::new();
    for line in text.split("\r\n") {
        let field = line.split_once(':').is_some_and(|(name, _)| {
            assert!(seen.insert(name.to_owned()), "{name} is there twice");
            name.bytes()
                .all(|b| b.is_ascii_alphabetic() || b.is_ascii_digit() || b"_|-".contains(&b))
        });
        assert!(line.is_empty() || line.starts_with("# ") || field, "{line}");
    }
    for expected in [
        "redis_version:7.0.15",
        "used_memory:4711",
        "shards:2",
        "loading:1",
        "errorstat_WRONGTYPE:count=2",
        "db3:keys=7,expires=1,avg_ttl=0",
        "shard0:cpu=1,clients=0,keys=2,",
        "shard1:cpu=any,clients=0,keys=5,",
        &format!(
            "cmdstat_{}:calls=9,usec=0,usec_per_call=0.00,rejected_calls=0,failed_calls=1",
            table::names()[0]
        ),
        &format!("latency_percentiles_usec_{}:p50=0.001,p99=0.001,p99.9=0.001", table::names()[0]),
    ] {
        assert!(text.contains(&format!("\r\n{expected}")), "{expected} in {text}");
    }
}
