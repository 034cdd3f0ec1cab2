//! Other people's load generators, for a second opinion: memtier_benchmark and redis-benchmark,
//! as PATH finds them. They drive closed loops of one role; what they print is read back, error
//! replies included.

use std::{
    env, io,
    net::SocketAddr,
    process::{Command, Output},
};

use clap::ValueEnum;

use crate::{
    load::{Keys, Order, Role, Until, named},
    system,
};

/// Who makes the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LoadTool {
    /// memtier_benchmark if it is on PATH, redis-benchmark otherwise; our own for loads that
    /// neither can make.
    Auto,
    /// The generator in this program.
    Own,
    /// memtier_benchmark
    Memtier,
    /// redis-benchmark
    RedisBenchmark,
}

/// memtier_benchmark writes numbers without leading zeros: from here on they have the twelve
/// digits of our own keys.
const MEMTIER_KEYS_FROM: u64 = 100_000_000_000;

/// True when PATH has such a program.
fn is_on_path(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

impl LoadTool {
    /// As the report calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Own => "own",
            Self::Memtier => "memtier_benchmark",
            Self::RedisBenchmark => "redis-benchmark",
        }
    }

    /// Whether the tool can make this load.
    ///
    /// # Errors
    /// A sentence that says why not.
    pub fn can_drive(self, roles: &[Role]) -> Result<(), String> {
        let refuse = |why: &str| Err(format!("{} {why}", self.name()));
        if matches!(self, Self::Own | Self::Auto) {
            return Ok(());
        }
        let [role] = roles else { return refuse("drives one role, not several") };
        if role.rate.is_some() {
            return refuse("has no open loop that counts from when a request was due");
        }
        if role.keys.listed.is_some() {
            return refuse("cannot choose the keys of one shard");
        }
        match self {
            Self::Memtier if ratio(role).is_none() => refuse("drives mixes of get and set only"),
            Self::RedisBenchmark if role.mix.parts().len() != 1 => refuse("drives one verb only"),
            Self::RedisBenchmark if role.mix.parts()[0].0.is_ours() => {
                refuse("has one kind of random numbers only")
            }
            Self::RedisBenchmark if role.keys.order != Order::Uniform => {
                refuse("chooses keys uniformly only")
            }
            _ => Ok(()),
        }
    }

    /// The tool that will make this load: the asked one if it can, our own otherwise.
    pub fn for_load(self, roles: &[Role]) -> Self {
        match self {
            Self::Auto => [Self::Memtier, Self::RedisBenchmark]
                .into_iter()
                .find(|tool| is_on_path(tool.name()))
                .map_or(Self::Own, |tool| tool.for_load(roles)),
            tool if tool.can_drive(roles).is_ok() => tool,
            _ => Self::Own,
        }
    }
}

/// The keys that the tool asks for when it makes this load.
pub fn keys_of(tool: LoadTool, keys: &Keys) -> Keys {
    if tool == LoadTool::Memtier {
        let numbers = MEMTIER_KEYS_FROM..MEMTIER_KEYS_FROM + keys.count;
        Keys::listed(numbers.collect(), keys.order)
    } else {
        keys.clone()
    }
}

/// SET:GET, if the mix has nothing else.
fn ratio(role: &Role) -> Option<String> {
    let (mut set, mut get) = (0, 0);
    for (template, weight) in role.mix.parts() {
        let is = |name| named(name).is_ok_and(|verb| verb.template == template.text);
        match (is("set"), is("get")) {
            (true, _) => set += weight,
            (_, true) => get += weight,
            _ => return None,
        }
    }
    Some(format!("{set}:{get}"))
}

/// What such a tool reported.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reported {
    /// Replies per second.
    pub ops_per_second: f64,
    /// Replies in all.
    pub replies: f64,
    /// Latency, us.
    pub p50_us: Option<f64>,
    /// Latency, us.
    pub p99_us: Option<f64>,
    /// Latency, us.
    pub p999_us: Option<f64>,
    /// Latency, us.
    pub max_us: Option<f64>,
    /// GETs that found something, percent.
    pub hit_percent: Option<f64>,
    /// Error replies.
    pub errors: u64,
    /// The first of them.
    pub first_error: Option<String>,
}

/// One role on one server.
#[derive(Debug, Clone, Copy)]
pub struct Drive<'a> {
    /// The server.
    pub addr: SocketAddr,
    /// What to ask.
    pub role: &'a Role,
    /// A thread per entry, pinned where it names a CPU.
    pub cpus: &'a [Option<usize>],
}

fn failed(command: &Command, output: &Output) -> io::Error {
    let name = command.get_program().to_string_lossy();
    let said = [&output.stdout, &output.stderr].map(|o| String::from_utf8_lossy(o).into_owned());
    io::Error::other(format!("{name} {}, it said:\n{}", output.status, said.concat()))
}

impl Drive<'_> {
    fn run(&self, command: &mut Command) -> io::Result<Output> {
        let cpus: Vec<usize> = self.cpus.iter().flatten().copied().collect();
        system::pin_command(command, &cpus);
        let name = command.get_program().to_string_lossy().into_owned();
        command
            .output()
            .map_err(|e| io::Error::new(e.kind(), format!("{name} does not start: {e}")))
    }

    fn threads(&self) -> usize {
        self.cpus.len().clamp(1, self.role.connections)
    }

    /// Drives the role with memtier_benchmark.
    ///
    /// # Errors
    /// When the tool is missing, fails, prints something else, or cannot do it.
    pub fn memtier(&self, until: Until) -> io::Result<Reported> {
        let role = self.role;
        let ratio = ratio(role).ok_or_else(|| io::Error::other("no mix of get and set"))?;
        let (threads, mut command) = (self.threads(), Command::new("memtier_benchmark"));
        let (pattern, exponent) = match role.keys.order {
            Order::Uniform => ("R:R", None),
            Order::Sequential => ("P:P", None),
            Order::Zipf(exponent) => ("Z:Z", Some(exponent.to_string())),
        };
        let clients = role.connections / threads;
        command
            .args(["--server", &self.addr.ip().to_string()])
            .args(["--port", &self.addr.port().to_string(), "--hide-histogram"])
            .args(["--threads", &threads.to_string(), "--clients", &clients.to_string()])
            .args(["--pipeline", &role.pipeline.to_string(), "--ratio", &ratio])
            .args(["--data-size", &role.value_bytes.to_string(), "--key-pattern", pattern])
            .args(["--key-prefix", "key:", "--key-minimum", &MEMTIER_KEYS_FROM.to_string()])
            .args(["--key-maximum", &(MEMTIER_KEYS_FROM + role.keys.count - 1).to_string()])
            .args(["--print-percentiles", "50,99,99.9,100"]);
        if let Some(exponent) = &exponent {
            command.args(["--key-zipf-exp", exponent]);
        }
        match until {
            Until::Time { measured, .. } => {
                let seconds = measured.as_secs().max(1);
                command.args(["--test-time", &seconds.to_string()])
            }
            Until::Requests(n) => {
                let each = (n / (threads * clients) as u64).max(1);
                command.args(["--requests", &each.to_string()])
            }
        };
        let output = self.run(&mut command)?;
        let progress = String::from_utf8_lossy(&output.stderr);
        read_memtier(&String::from_utf8_lossy(&output.stdout), &progress)
            .filter(|_| output.status.success())
            .ok_or_else(|| failed(&command, &output))
    }

    /// How many requests redis-benchmark sends until then.
    ///
    /// # Errors
    /// Of the short run that finds out.
    pub fn requests_for(&self, until: Until) -> io::Result<u64> {
        match until {
            Until::Requests(n) => Ok(n),
            Until::Time { measured, .. } => {
                let probe = self.redis_benchmark(20_000)?;
                Ok((probe.ops_per_second * measured.as_secs_f64()).max(1000.0) as u64)
            }
        }
    }

    /// Drives the role with redis-benchmark.
    ///
    /// # Errors
    /// When the tool is missing, fails other than by an error reply, or prints something else.
    pub fn redis_benchmark(&self, requests: u64) -> io::Result<Reported> {
        let [(template, _)] = self.role.mix.parts() else {
            return Err(io::Error::other("redis-benchmark drives one verb only"));
        };
        let value = "x".repeat(self.role.value_bytes);
        let mut command = Command::new("redis-benchmark");
        command
            .args(["-h", &self.addr.ip().to_string(), "-p", &self.addr.port().to_string()])
            .args(["--csv", "-n", &requests.to_string()])
            .args(["-c", &self.role.connections.to_string()])
            .args(["-P", &self.role.pipeline.to_string()])
            .args(["-r", &self.role.keys.count.to_string()]);
        if self.threads() > 1 {
            command.args(["--threads", &self.threads().to_string()]);
        }
        command.args(template.for_redis_benchmark(&value));
        let output = self.run(&mut command)?;
        let stderr = String::from_utf8_lossy(&output.stderr);
        if let Some(error) = stderr.lines().find_map(|l| l.strip_prefix("Error from server: ")) {
            // It ends at the first error reply, so there is nothing to measure.
            return Ok(Reported {
                errors: 1,
                first_error: Some(error.to_owned()),
                ..Reported::default()
            });
        }
        read_redis_benchmark(&String::from_utf8_lossy(&output.stdout), requests as f64)
            .filter(|_| output.status.success())
            .ok_or_else(|| failed(&command, &output))
    }
}

/// Reads the table of memtier_benchmark by the heads of its columns, and its complaints.
fn read_memtier(stdout: &str, stderr: &str) -> Option<Reported> {
    let heads: Vec<&str> = stdout
        .lines()
        .find(|l| l.starts_with("Type ") && l.contains("Ops/sec"))?
        .split("  ")
        .map(str::trim)
        .filter(|head| !head.is_empty())
        .collect();
    let totals = stdout.lines().find(|l| l.starts_with("Totals"))?;
    let cells: Vec<&str> = totals.split_ascii_whitespace().collect();
    let cell = |head: &str| -> Option<f64> {
        cells.get(heads.iter().position(|h| *h == head)?)?.parse().ok()
    };
    let us = |head: &str| cell(head).map(|ms| ms * 1000.0);
    let (hits, misses) = (cell("Hits/sec").unwrap_or(0.0), cell("Misses/sec").unwrap_or(0.0));
    let complaint = "handle error response: -";
    let errors = stderr.lines().filter_map(|line| Some(line.split_once(complaint)?.1));
    // The progress line, rewritten in place; its last version counts all replies.
    let replies = stderr.rsplit(['\r', '[']).find_map(|part| {
        let before = part.split_once(" ops,")?.0;
        before.rsplit(' ').next()?.parse().ok()
    });
    let ops_per_second = cell("Ops/sec")?;
    Some(Reported {
        ops_per_second,
        replies: replies.unwrap_or(0.0),
        p50_us: us("p50 Latency"),
        p99_us: us("p99 Latency"),
        p999_us: us("p99.9 Latency"),
        max_us: us("p100 Latency"),
        hit_percent: (misses > 0.0).then(|| hits * 100.0 / (hits + misses)),
        errors: errors.clone().count() as u64,
        first_error: errors.clone().next().map(|e| e.trim_end().to_owned()),
    })
}

/// Reads `"name","rps","avg","min","p50","p95","p99","max"`, latencies in ms. The name is the
/// command and may hold anything: columns count from the right.
fn read_redis_benchmark(text: &str, replies: f64) -> Option<Reported> {
    let line = text.lines().rfind(|l| l.starts_with('"') && !l.starts_with("\"test\""))?;
    let mut cells = line.rsplit("\",\"").map(|f| f.trim_matches('"').parse::<f64>().ok());
    let mut next = || cells.next().flatten();
    let (max, p99, _p95, p50) = (next()?, next()?, next()?, next()?);
    let (_min, _avg, ops_per_second) = (next()?, next()?, next()?);
    Some(Reported {
        ops_per_second,
        replies,
        p50_us: Some(p50 * 1000.0),
        p99_us: Some(p99 * 1000.0),
        max_us: Some(max * 1000.0),
        ..Reported::default()
    })
}

#[cfg(test)]
mod tests;
