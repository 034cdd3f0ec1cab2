//! What `compare` compares: rows, each a load on the same setup of Quire and stock Redis, and the
//! project's goals that are read off them. One line here adds a row.

mod types;

use clap::ValueEnum;

use crate::{
    load::{Keys, Mix, Order, Role, Template, named},
    metric::Metric,
    server::Persistence,
};

/// Groups of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scenario {
    /// Every row.
    All,
    /// CPU per operation without persistence.
    CpuOff,
    /// What `everysec` adds.
    Everysec,
    /// `always`: throughput, CPU, and readers beside writers.
    Always,
    /// Memory per key.
    Memory,
    /// CPU of a server with connections and nothing to do.
    Idle,
    /// CPU per operation of the collections, without persistence.
    TypesCpu,
    /// Memory of the collections.
    TypesMemory,
}

/// One of the servers of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Quire, with the row's persistence.
    Quire,
    /// Quire without persistence, to see what persistence costs.
    QuireOff,
    /// Stock Redis, with the row's persistence.
    Redis,
}

impl Subject {
    /// As the report calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Quire => "quire",
            Self::QuireOff => "quire off",
            Self::Redis => "redis",
        }
    }
}

/// What is done to a server in a row.
#[derive(Debug, Clone)]
pub enum Work {
    /// Load for a while; percentiles are the first role's.
    Load {
        /// Whose keys are made before, each once and in order.
        fill: Vec<Role>,
        /// The load.
        roles: Vec<Role>,
    },
    /// Growth of resident memory while a fresh server takes every key of the role once.
    Grow(Role),
    /// Connections, and silence.
    Idle {
        /// Number of connections.
        connections: usize,
    },
}

/// A bound on the ratio of two subjects' medians.
#[derive(Debug, Clone, Copy)]
pub struct Goal {
    /// Of what.
    pub metric: Metric,
    /// Above the line.
    pub of: Subject,
    /// Below the line.
    pub to: Subject,
    /// The bound; for throughput the least ratio, for all others the greatest.
    pub bound: f64,
}

/// One comparison.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its scenario.
    pub scenario: Scenario,
    /// As the report calls it.
    pub name: String,
    /// Persistence of the servers.
    pub persistence: Persistence,
    /// Who takes part, in the order of the first round.
    pub subjects: Vec<Subject>,
    /// What is done.
    pub work: Work,
    /// What is expected.
    pub goals: Vec<Goal>,
}

const KEYS: u64 = 100_000;
const VALUE_BYTES: usize = 64;

/// The mix of one verb.
fn only(verb: &str) -> Mix {
    let template = named(verb).and_then(|verb| Template::parse(verb.template));
    let mix = template.and_then(|template| Mix::new(vec![(template, 1)]));
    // A test builds every row.
    mix.unwrap_or_else(|e| unreachable!("{e}"))
}

fn role(connections: usize, pipeline: usize, verb: &str) -> Role {
    let keys = Keys::new(KEYS, Order::Uniform);
    Role { connections, pipeline, mix: only(verb), keys, value_bytes: VALUE_BYTES, rate: None }
}

/// A load on strings, which are set before.
fn strings(roles: Vec<Role>) -> Work {
    let fill = roles.iter().take(1).map(|role| Role { mix: only("set"), ..role.clone() });
    Work::Load { fill: fill.collect(), roles }
}

fn goal(metric: Metric, of: Subject, to: Subject, bound: f64) -> Goal {
    Goal { metric, of, to, bound }
}

fn cpu_off(clients: usize, pipeline: usize, verb: &str) -> Row {
    let bound = if pipeline == 1 { 0.9 } else { 0.55 };
    Row {
        scenario: Scenario::CpuOff,
        name: format!("no persistence, {}, P{pipeline}", verb.to_uppercase()),
        persistence: Persistence::Off,
        subjects: vec![Subject::Quire, Subject::Redis],
        work: strings(vec![role(clients, pipeline, verb)]),
        goals: vec![goal(Metric::CpuPerOp, Subject::Quire, Subject::Redis, bound)],
    }
}

fn everysec(clients: usize, pipeline: usize) -> Row {
    let bound = if pipeline == 1 { 1.1 } else { 1.25 };
    Row {
        scenario: Scenario::Everysec,
        name: format!("everysec, SET, P{pipeline}"),
        persistence: Persistence::Everysec,
        subjects: vec![Subject::Quire, Subject::QuireOff, Subject::Redis],
        work: strings(vec![role(clients, pipeline, "set")]),
        goals: vec![goal(Metric::CpuPerOp, Subject::Quire, Subject::QuireOff, bound)],
    }
}

fn always(clients: usize, pipeline: usize) -> Row {
    let mut goals = vec![goal(
        Metric::OpsPerSecond,
        Subject::Quire,
        Subject::Redis,
        if pipeline == 1 { 1.9 } else { 1.6 },
    )];
    if pipeline == 1 {
        goals.push(goal(Metric::CpuPerOp, Subject::Quire, Subject::Redis, 0.6));
    }
    Row {
        scenario: Scenario::Always,
        name: format!("always, SET, P{pipeline}"),
        persistence: Persistence::Always,
        subjects: vec![Subject::Quire, Subject::Redis],
        work: strings(vec![role(clients, pipeline, "set")]),
        goals,
    }
}

fn readers(clients: usize) -> Row {
    Row {
        scenario: Scenario::Always,
        name: format!("always, {clients} readers beside 8 writers"),
        persistence: Persistence::Always,
        subjects: vec![Subject::Quire, Subject::Redis],
        work: strings(vec![role(clients, 1, "get"), role(8, 1, "set")]),
        goals: vec![goal(Metric::P99, Subject::Quire, Subject::Redis, 1.0 / 3.0)],
    }
}

fn memory() -> Row {
    let keys = Keys::new(1_000_000, Order::Sequential);
    Row {
        scenario: Scenario::Memory,
        name: "memory, 1M keys of 16 B with 64 B values".to_owned(),
        persistence: Persistence::Off,
        subjects: vec![Subject::Quire, Subject::Redis],
        work: Work::Grow(Role { keys, ..role(1, 1, "set") }),
        goals: vec![goal(Metric::BytesPerKey, Subject::Quire, Subject::Redis, 0.7)],
    }
}

fn idle(connections: usize) -> Row {
    Row {
        scenario: Scenario::Idle,
        name: format!("idle, {connections} connections"),
        persistence: Persistence::Everysec,
        subjects: vec![Subject::Quire, Subject::Redis],
        work: Work::Idle { connections },
        goals: Vec::new(),
    }
}

/// The rows of `wanted`, for `clients` connections.
pub fn rows(wanted: Scenario, clients: usize) -> Vec<Row> {
    let mut rows = Vec::new();
    for pipeline in [1, 16] {
        rows.extend(["get", "set"].map(|verb| cpu_off(clients, pipeline, verb)));
    }
    rows.extend([1, 16].map(|pipeline| everysec(clients, pipeline)));
    rows.extend([1, 16].map(|pipeline| always(clients, pipeline)));
    rows.extend([readers(clients), memory(), idle(clients)]);
    rows.extend(types::rows(clients));
    rows.retain(|row| wanted == Scenario::All || row.scenario == wanted);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_built_and_belongs_to_a_scenario() {
        let all = rows(Scenario::All, 50);
        assert_eq!(all.len(), 11 + types::rows(50).len());
        for row in &all {
            assert!(rows(row.scenario, 50).iter().any(|r| r.name == row.name), "{}", row.name);
            for goal in &row.goals {
                assert!(row.subjects.contains(&goal.of) && row.subjects.contains(&goal.to));
            }
        }
    }
}
