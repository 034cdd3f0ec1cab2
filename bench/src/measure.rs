//! One measurement: one row's work on one running server, with the CPU it cost and a verdict on
//! whether the machine was quiet meanwhile.

use std::{
    collections::BTreeMap,
    io,
    net::TcpStream,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{
    external::{self, LoadTool},
    load::{self, Mix, Order, Role, Until},
    metric::Metric,
    server::{Persistence, Program, Server},
    target::Target,
    usage::{self, Used},
};

/// How long and where measurements run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a load is measured.
    pub until: Until,
    /// A load thread per entry, with its CPU if it is pinned.
    pub load_cpus: Vec<Option<usize>>,
    /// Who makes the load.
    pub tool: LoadTool,
    /// A measurement during which others took more than this share of a core is disturbed.
    pub foreign_share_max: f64,
}

/// The result of one measurement.
#[derive(Debug, Clone)]
pub struct Sample {
    /// What was measured.
    pub values: BTreeMap<Metric, f64>,
    /// The load generator's share of a core: near its number of threads, the server was not the
    /// limit.
    pub load_share: f64,
    /// Share of a core that other processes took; unknown when the server's is.
    pub foreign_share: Option<f64>,
    /// Share of a core that the hypervisor took.
    pub steal_share: f64,
    /// True when others took too much for the numbers to be trusted.
    pub disturbed: bool,
    /// Error replies.
    pub errors: u64,
    /// The first of them.
    pub first_error: Option<String>,
}

impl Sample {
    fn new(values: BTreeMap<Metric, f64>, used: &Used, settings: &Settings) -> Self {
        let mut sample = Self {
            values,
            load_share: used.own_share,
            foreign_share: used.foreign_share,
            steal_share: used.steal_share,
            disturbed: false,
            errors: 0,
            first_error: None,
        };
        sample.disturbed = sample.foreign() > settings.foreign_share_max;
        sample
    }

    /// What others took, as far as it is known, as a share of a core.
    pub fn foreign(&self) -> f64 {
        self.foreign_share.unwrap_or(0.0) + self.steal_share
    }
}

fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

/// Sends `mix` once for every key of `role`, in order, as fast as the server can.
///
/// # Errors
/// Of the connections, and an error reply.
pub fn fill(target: &Target, role: &Role, mix: &Mix, settings: &Settings) -> io::Result<()> {
    let mut sequential = Role { connections: 1, pipeline: 64, mix: mix.clone(), ..role.clone() };
    let tool = settings.tool.for_load(std::slice::from_ref(role));
    sequential.keys = external::keys_of(tool, &role.keys);
    sequential.keys.order = Order::Sequential;
    sequential.rate = None;
    let until = Until::Requests(role.keys.count);
    let cpus = settings.load_cpus.get(..1).unwrap_or_default();
    let result = load::run(target.addr(), &[sequential], until, cpus, || {})?;
    result.first_error().map_or(Ok(()), |error| {
        Err(io::Error::other(format!("filling: the server answered -{error}")))
    })
}

/// Measures a load on a running server, with the tool of the settings where it can do this load,
/// with our own otherwise.
///
/// # Errors
/// Of the load, and when the server ends.
pub fn under_load(target: &Target, roles: &[Role], settings: &Settings) -> io::Result<Sample> {
    match settings.tool.for_load(roles) {
        LoadTool::Own | LoadTool::Auto => under_own_load(target, roles, settings),
        tool => under_foreign_load(target, &roles[0], tool, settings),
    }
}

fn reading(target: &Target) -> io::Result<usage::Reading> {
    usage::read(target.cpu(), target.is_here())
}

fn under_own_load(target: &Target, roles: &[Role], settings: &Settings) -> io::Result<Sample> {
    let kernel_before = usage::kernel_threads_cpu();
    let mut readings = Vec::new();
    let boundary = || readings.push(reading(target));
    let result = load::run(target.addr(), roles, settings.until, &settings.load_cpus, boundary)?;
    let readings = readings.into_iter().collect::<io::Result<Vec<_>>>()?;
    let [from, to] = &readings[..] else {
        return Err(io::Error::other("the load ended before it was measured"));
    };
    // A little too much: the warm-up's kernel threads are in it.
    let kernel = usage::kernel_between(&kernel_before, &usage::kernel_threads_cpu());
    let used = usage::between(from, to, kernel, 0.0);
    let (replies, first) = (result.replies().max(1) as f64, &result.roles[0]);
    let percentile = |p: f64| first.latency_ns.value_at_quantile(p) as f64 / 1000.0;
    let mut values = BTreeMap::from([
        (Metric::OpsPerSecond, result.replies() as f64 / result.elapsed.as_secs_f64()),
        (Metric::P50, percentile(0.5)),
        (Metric::P99, percentile(0.99)),
        (Metric::P999, percentile(0.999)),
        (Metric::Max, first.latency_ns.max() as f64 / 1000.0),
    ]);
    values.extend(used.server.map(|cpu| (Metric::CpuPerOp, cpu * 1e6 / replies)));
    values.extend(target.rss().map(|bytes| (Metric::RssMib, mib(bytes))));
    if first.nulls > 0 {
        let hits = 1.0 - first.nulls as f64 / first.replies.max(1) as f64;
        values.insert(Metric::HitPercent, hits * 100.0);
    }
    if roles.iter().any(|r| r.rate.is_some()) {
        let unanswered: u64 = result.roles.iter().map(|r| r.unanswered).sum();
        values.insert(Metric::Unanswered, unanswered as f64);
    }
    let mut sample = Sample::new(values, &used, settings);
    sample.errors = result.roles.iter().map(|r| r.errors).sum();
    sample.first_error = result.first_error().map(str::to_owned);
    Ok(sample)
}

fn under_foreign_load(
    target: &Target,
    role: &Role,
    tool: LoadTool,
    settings: &Settings,
) -> io::Result<Sample> {
    let kernel_before = usage::kernel_threads_cpu();
    let drive = external::Drive { addr: target.addr(), role, cpus: &settings.load_cpus };
    let requests = if tool == LoadTool::Memtier {
        None
    } else {
        // It wants a number of requests: find out how fast this server is.
        Some(drive.requests_for(settings.until)?)
    };
    let (from, children) = (reading(target)?, usage::children_cpu());
    let reported = match requests {
        None => drive.memtier(settings.until)?,
        Some(requests) => drive.redis_benchmark(requests)?,
    };
    let to = reading(target)?;
    let kernel = usage::kernel_between(&kernel_before, &usage::kernel_threads_cpu());
    let used = usage::between(&from, &to, kernel, usage::children_cpu() - children);
    let mut values = BTreeMap::from([(Metric::OpsPerSecond, reported.ops_per_second)]);
    let replies = reported.replies.max(1.0);
    values.extend(used.server.map(|cpu| (Metric::CpuPerOp, cpu * 1e6 / replies)));
    values.extend(target.rss().map(|bytes| (Metric::RssMib, mib(bytes))));
    let said = [
        (Metric::P50, reported.p50_us),
        (Metric::P99, reported.p99_us),
        (Metric::P999, reported.p999_us),
        (Metric::Max, reported.max_us),
        (Metric::HitPercent, reported.hit_percent),
    ];
    values.extend(said.into_iter().filter_map(|(metric, value)| Some((metric, value?))));
    let mut sample = Sample::new(values, &used, settings);
    (sample.errors, sample.first_error) = (reported.errors, reported.first_error);
    Ok(sample)
}

/// Measures how resident memory grows while a fresh server takes every key of `role`.
///
/// # Errors
/// Of the server and the load.
pub fn growth(
    program: &Program,
    persistence: Persistence,
    base: &Path,
    role: &Role,
    settings: &Settings,
) -> io::Result<Sample> {
    let target = Target::started(Server::start(program, persistence, base)?);
    let gone = || io::Error::other("the server has ended");
    // Touch what the first command touches; then only keys are new.
    let mut one = role.clone();
    one.keys.count = 1;
    fill(&target, &one, &role.mix, settings)?;
    let (from, empty) = (reading(&target)?, target.rss().ok_or_else(gone)?);
    fill(&target, role, &role.mix, settings)?;
    let (to, full) = (reading(&target)?, target.rss().ok_or_else(gone)?);
    let used = usage::between(&from, &to, 0.0, 0.0);
    let values = BTreeMap::from([
        (Metric::BytesPerKey, (full - empty).max(0.0) / role.keys.count as f64),
        (Metric::RssMib, mib(full)),
    ]);
    // Memory does not depend on who else was busy.
    Ok(Sample { disturbed: false, ..Sample::new(values, &used, settings) })
}

/// Measures a server that has connections and nothing to do.
///
/// # Errors
/// Of the connections, and when the server ends.
pub fn idleness(target: &Target, connections: usize, settings: &Settings) -> io::Result<Sample> {
    let addr = target.addr();
    let open: Vec<TcpStream> =
        (0..connections).map(|_| TcpStream::connect(addr)).collect::<io::Result<_>>()?;
    thread::sleep(Duration::from_millis(500));
    let silence = match settings.until {
        Until::Time { measured, .. } => measured,
        Until::Requests(_) => Duration::from_secs(5),
    };
    let (from, started) = (reading(target)?, Instant::now());
    thread::sleep(silence);
    let to = reading(target)?;
    let seconds = started.elapsed().as_secs_f64();
    drop(open);
    let used = usage::between(&from, &to, 0.0, 0.0);
    let mut values = BTreeMap::new();
    values.extend(used.server.map(|cpu| (Metric::CpuPercent, cpu * 100.0 / seconds)));
    values.extend(target.rss().map(|bytes| (Metric::RssMib, mib(bytes))));
    // Others do not make an idle server busier.
    Ok(Sample { disturbed: false, ..Sample::new(values, &used, settings) })
}
