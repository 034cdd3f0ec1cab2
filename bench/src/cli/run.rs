//! `quire-bench run`.

use std::{io, path::PathBuf};

use clap::Args;

use super::{Measuring, Verdict, order, positive};
use crate::{
    catalog,
    external::LoadTool,
    load::{Mix, Order, Role, Template},
    report,
    run::{self, Plan, Rate, Source},
    server::{Persistence, Program},
    target,
};

#[derive(Args)]
pub struct Arguments {
    /// A named scenario; `quire-bench scenarios` lists them. Other flags change parts of it.
    #[arg(long, default_value = "mixed")]
    scenario: String,
    /// A server that runs: [NAME=]HOST:PORT; repeatable. Its keys called key:..., ctr:... and the
    /// like are overwritten.
    #[arg(long)]
    target: Vec<String>,
    /// A server to start: quire, redis, or NAME=PATH [ARGUMENT ..]; repeatable.
    #[arg(long)]
    start: Vec<String>,
    /// Verbs with weights instead of the scenario's, as in get=4,set=1.
    #[arg(long, alias = "verb")]
    mix: Option<String>,
    /// A command of your own, as in 'SET {key:} {value}' or, with a weight, '3=LPUSH {lst:} a';
    /// repeatable. {number} is a random number, {PREFIX:} a key, {value} the value.
    #[arg(long, conflicts_with = "mix")]
    command: Vec<String>,
    /// Connections (of the scenario's first role).
    #[arg(long, value_parser = positive)]
    connections: Option<usize>,
    /// Requests of one connection without a reply.
    #[arg(long, value_parser = positive)]
    pipeline: Option<usize>,
    /// Number of keys.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    keys: Option<u64>,
    /// uniform, sequential, zipf or zipf:EXPONENT.
    #[arg(long, value_parser = order)]
    distribution: Option<Order>,
    /// Bytes of a value.
    #[arg(long)]
    value_bytes: Option<usize>,
    /// Open loop: requests per second, or a share of the closed loop's throughput on the slowest
    /// server, as in 50%. Latency counts from when a request was due.
    #[arg(long, value_parser = Rate::parse)]
    rate: Option<Rate>,
    /// Who makes the load. auto takes memtier_benchmark or redis-benchmark if PATH has one that
    /// can make this load.
    #[arg(long, value_enum, default_value = "own")]
    load: LoadTool,
    /// Do not set the keys that are read first.
    #[arg(long)]
    no_fill: bool,
    /// Persistence of servers that are started.
    #[arg(long, value_enum, default_value = "off")]
    persistence: Persistence,
    /// CPUs of servers that are started, as in 0,1 [default: any].
    #[arg(long, value_delimiter = ',')]
    server_cpu: Vec<usize>,
    /// Where servers that are started keep their files.
    #[arg(long, default_value = "bench/results")]
    dir: PathBuf,
    #[command(flatten)]
    measuring: Measuring,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    fn subjects(&self) -> Result<Vec<(String, Source)>, String> {
        let mut subjects = Vec::new();
        for text in &self.target {
            let (name, address) = text.split_once('=').unwrap_or((text, text));
            subjects.push((name.to_owned(), Source::At(target::resolve(address)?)));
        }
        for text in &self.start {
            let (name, command) = match (text.split_once('='), text.as_str()) {
                (Some((name, command)), _) => (name, command),
                (None, "quire") => ("quire", "target/release/quire-server"),
                (None, "redis") => ("redis", "redis-server"),
                (None, _) => return Err(format!("--start {text}: quire, redis or NAME=PATH")),
            };
            let mut words = command.split_ascii_whitespace();
            let path = words.next().ok_or_else(|| format!("--start {text}: no path"))?.into();
            let (extra, cpus) = (words.map(str::to_owned).collect(), self.server_cpu.clone());
            subjects.push((name.to_owned(), Source::Start(Program { path, extra, cpus })));
        }
        if subjects.is_empty() {
            return Err("no server: give --target HOST:PORT or --start quire".to_owned());
        }
        for (index, (name, _)) in subjects.iter().enumerate() {
            if subjects[..index].iter().any(|(other, _)| other == name) {
                return Err(format!("two servers are called {name}: give names, as in a=..."));
            }
        }
        Ok(subjects)
    }

    /// The mix of the flags, if they give one.
    fn own_mix(&self) -> Result<Option<Mix>, String> {
        let parts = match &self.mix {
            Some(mix) => catalog::parse_mix(mix)?,
            None => self.command.iter().map(|text| command(text)).collect::<Result<_, _>>()?,
        };
        if parts.is_empty() { Ok(None) } else { Mix::new(parts).map(Some) }
    }

    fn roles(&self) -> Result<(String, Vec<Role>), String> {
        let scenario = catalog::find(&self.scenario)?;
        let mut roles =
            scenario.shapes.iter().map(catalog::Shape::role).collect::<Result<Vec<_>, _>>()?;
        let mut name = scenario.name.to_owned();
        if let Some(mix) = self.own_mix()? {
            roles.truncate(1);
            name = run::name_of(&mix, self.pipeline.unwrap_or(roles[0].pipeline));
            roles[0].mix = mix;
        }
        roles[0].connections = self.connections.unwrap_or(roles[0].connections);
        for role in &mut roles {
            role.pipeline = self.pipeline.unwrap_or(role.pipeline);
            role.keys.count = self.keys.unwrap_or(role.keys.count);
            role.keys.order = self.distribution.unwrap_or(role.keys.order);
            role.value_bytes = self.value_bytes.unwrap_or(role.value_bytes);
        }
        Ok((name, roles))
    }

    fn plan(&self) -> Result<Plan, String> {
        let (name, roles) = self.roles()?;
        if self.rate.is_some() && !matches!(self.load, LoadTool::Own | LoadTool::Auto) {
            return Err(format!("--rate: {} has no open loop; leave --load out", self.load.name()));
        }
        // A tool that was asked for by name is not replaced in silence.
        self.load.can_drive(&roles)?;
        Ok(Plan {
            name,
            subjects: self.subjects()?,
            roles,
            rate: self.rate,
            fill: !self.no_fill,
            persistence: self.persistence,
            dir: self.dir.clone(),
            rounds: self.measuring.rounds(),
            settings: self.measuring.settings(self.load),
        })
    }

    pub fn act(self) -> io::Result<Verdict> {
        let outcome = self.plan().map_err(io::Error::other)?.run()?;
        if self.json {
            println!("{}", outcome.json());
        } else {
            print!("{}", outcome.table());
        }
        let failed = report::has_errors(std::slice::from_ref(&outcome.row));
        Ok(if failed { Verdict::ErrorReplies } else { Verdict::Fine })
    }
}

/// `TEMPLATE`, or `WEIGHT=TEMPLATE`.
fn command(text: &str) -> Result<(Template, u32), String> {
    let weighted = text.split_once('=').and_then(|(w, t)| Some((w.trim().parse().ok()?, t)));
    let (weight, template) = weighted.unwrap_or((1, text));
    Ok((Template::parse(template)?, weight))
}
