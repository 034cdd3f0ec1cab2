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
    load::{self, LoadResult, Order, Role, Until, Verb},
    metric::Metric,
    scenario::Work,
    server::{Persistence, Program, Server},
    system,
    usage::{self, Reading, Used},
};

/// How long and where measurements run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Measured time of a load.
    pub seconds: u64,
    /// The CPU of the load generator.
    pub load_cpu: usize,
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
    /// The load generator's share of its core: near 1, the server was not the limit.
    pub load_share: f64,
    /// Share of a core that other processes took.
    pub foreign_share: f64,
    /// Share of a core that the hypervisor took.
    pub steal_share: f64,
    /// True when others took too much for the numbers to be trusted.
    pub disturbed: bool,
}

impl Sample {
    fn new(values: BTreeMap<Metric, f64>, used: &Used, settings: &Settings) -> Self {
        let (foreign_share, steal_share) = (used.foreign_share, used.steal_share);
        let disturbed = foreign_share + steal_share > settings.foreign_share_max;
        Self { values, load_share: used.own_share, foreign_share, steal_share, disturbed }
    }
}

/// Runs the load generator on its core.
fn loaded(
    server: &Server,
    roles: &[Role],
    until: Until,
    cpu: usize,
) -> io::Result<(LoadResult, Vec<Reading>)> {
    let (addr, pid) = (server.addr(), server.pid());
    thread::scope(|scope| {
        let generator = scope.spawn(move || {
            system::pin_thread(cpu)?;
            let mut readings = Vec::new();
            let result = load::run(addr, roles, until, || readings.push(usage::read(pid)))?;
            Ok((result, readings.into_iter().collect::<io::Result<Vec<_>>>()?))
        });
        generator.join().map_err(|_| io::Error::other("the load generator panicked"))?
    })
}

/// Sets every key of `role` once, as fast as the server can.
///
/// # Errors
/// Of the load.
pub fn fill(server: &Server, role: &Role, cpu: usize) -> io::Result<()> {
    let sequential =
        Role { connections: 1, pipeline: 64, verb: Verb::Set, order: Order::Sequential, ..*role };
    loaded(server, &[sequential], Until::Requests(role.keys), cpu)?;
    Ok(())
}

/// Measures a load on a running server.
///
/// # Errors
/// Of the load, and when the server ends.
pub fn under_load(server: &Server, roles: &[Role], settings: &Settings) -> io::Result<Sample> {
    match (settings.tool, roles) {
        (LoadTool::Memtier | LoadTool::RedisBenchmark, [role]) => {
            under_foreign_load(server, role, settings)
        }
        _ => under_own_load(server, roles, settings),
    }
}

fn under_own_load(server: &Server, roles: &[Role], settings: &Settings) -> io::Result<Sample> {
    let until = Until::Time {
        warm_up: Duration::from_millis(700),
        measured: Duration::from_secs(settings.seconds),
    };
    let kernel_before = usage::kernel_threads_cpu();
    let (result, readings) = loaded(server, roles, until, settings.load_cpu)?;
    let [from, to] = &readings[..] else {
        return Err(io::Error::other("the load ended before it was measured"));
    };
    // A little too much: the warm-up's kernel threads are in it.
    let kernel = usage::kernel_between(&kernel_before, &usage::kernel_threads_cpu());
    let used = usage::between(from, to, kernel, 0.0);
    let (replies, first) = (result.replies().max(1) as f64, &result.roles[0].latency_ns);
    let percentile = |p: f64| first.value_at_quantile(p) as f64 / 1000.0;
    let values = BTreeMap::from([
        (Metric::OpsPerSecond, replies / result.elapsed.as_secs_f64()),
        (Metric::P50, percentile(0.5)),
        (Metric::P99, percentile(0.99)),
        (Metric::P999, percentile(0.999)),
        (Metric::CpuPerOp, used.server * 1e6 / replies),
        (Metric::RssMib, server.rss()? as f64 / f64::from(1 << 20)),
    ]);
    Ok(Sample::new(values, &used, settings))
}

fn under_foreign_load(server: &Server, role: &Role, settings: &Settings) -> io::Result<Sample> {
    let (addr, cpu) = (server.addr(), settings.load_cpu);
    let expected = if settings.tool == LoadTool::RedisBenchmark {
        // It wants a number of requests: find out how fast this server is.
        external::redis_benchmark(addr, role, 1, 20_000.0, cpu)?.ops_per_second
    } else {
        0.0
    };
    let kernel_before = usage::kernel_threads_cpu();
    let (from, children) = (usage::read(server.pid())?, usage::children_cpu());
    let reported = match settings.tool {
        LoadTool::Memtier => external::memtier(addr, role, settings.seconds, cpu)?,
        _ => external::redis_benchmark(addr, role, settings.seconds, expected, cpu)?,
    };
    let to = usage::read(server.pid())?;
    let kernel = usage::kernel_between(&kernel_before, &usage::kernel_threads_cpu());
    let used = usage::between(&from, &to, kernel, usage::children_cpu() - children);
    let mut values = BTreeMap::from([
        (Metric::OpsPerSecond, reported.ops_per_second),
        (Metric::CpuPerOp, used.server * 1e6 / reported.replies.max(1.0)),
        (Metric::RssMib, server.rss()? as f64 / f64::from(1 << 20)),
    ]);
    let names = [Metric::P50, Metric::P99, Metric::P999];
    let said = names.into_iter().zip(reported.percentiles_us);
    values.extend(said.filter_map(|(metric, value)| Some((metric, value?))));
    Ok(Sample::new(values, &used, settings))
}

/// Measures how resident memory grows while a fresh server takes `keys` keys.
///
/// # Errors
/// Of the server and the load.
pub fn growth(
    program: &Program,
    persistence: Persistence,
    base: &Path,
    (keys, value_bytes): (u64, usize),
    settings: &Settings,
) -> io::Result<Sample> {
    let server = Server::start(program, persistence, base)?;
    let role = Role {
        connections: 1,
        pipeline: 1,
        verb: Verb::Set,
        keys,
        value_bytes,
        order: Order::Sequential,
    };
    // Touch what the first command touches; then only keys are new.
    fill(&server, &Role { keys: 1, ..role }, settings.load_cpu)?;
    let (from, empty) = (usage::read(server.pid())?, server.rss()?);
    fill(&server, &role, settings.load_cpu)?;
    let (to, full) = (usage::read(server.pid())?, server.rss()?);
    let used = usage::between(&from, &to, 0.0, 0.0);
    let values = BTreeMap::from([
        (Metric::BytesPerKey, full.saturating_sub(empty) as f64 / keys as f64),
        (Metric::RssMib, full as f64 / f64::from(1 << 20)),
    ]);
    // Memory does not depend on who else was busy.
    Ok(Sample { disturbed: false, ..Sample::new(values, &used, settings) })
}

/// Measures a server that has connections and nothing to do.
///
/// # Errors
/// Of the connections, and when the server ends.
pub fn idleness(server: &Server, connections: usize, settings: &Settings) -> io::Result<Sample> {
    let addr = server.addr();
    let open: Vec<TcpStream> =
        (0..connections).map(|_| TcpStream::connect(addr)).collect::<io::Result<_>>()?;
    thread::sleep(Duration::from_millis(500));
    let (from, started) = (usage::read(server.pid())?, Instant::now());
    thread::sleep(Duration::from_secs(settings.seconds));
    let to = usage::read(server.pid())?;
    drop(open);
    let used = usage::between(&from, &to, 0.0, 0.0);
    let values = BTreeMap::from([
        (Metric::CpuPercent, used.server * 100.0 / started.elapsed().as_secs_f64()),
        (Metric::RssMib, server.rss()? as f64 / f64::from(1 << 20)),
    ]);
    // Others do not make an idle server busier.
    Ok(Sample { disturbed: false, ..Sample::new(values, &used, settings) })
}

/// The keys a work wants set before it is measured.
pub fn wants_filled(work: &Work) -> Option<&Role> {
    match work {
        Work::Load { roles, filled: true } => roles.first(),
        Work::Load { .. } | Work::Grow { .. } | Work::Idle { .. } => None,
    }
}
