//! What a snapshot costs while clients are served, and by itself: a data set, an open loop of reads
//! and writes at a share of the server's peak, first without a save, then with one save after the
//! other; then a save with nobody else there.
//!
//! ```text
//! noise     nothing runs: a loop on every CPU asks for the time, the longest gap is the machine's
//! fill      every key once
//! peak      closed loop, reads and writes half and half
//! quiet     open loop at `share` of the peak
//! saving    the same, while saves follow each other
//! idle      one save, nobody else
//! ```
//! Memory is the server's resident memory, and what its children have for themselves: a fork's
//! pages are counted when they are copied.

use std::{
    fs, io,
    net::SocketAddr,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    load::{self, Keys, Mix, Order, Role, Template, Until},
    metric, rounds,
    saver::{Save, Saver, cpu_with_children},
    server::{Program, Server},
    system,
};

/// What is asked of every server.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The servers, by name.
    pub programs: Vec<(String, Program)>,
    /// How to save.
    pub save: Save,
    /// Keys of 16 bytes.
    pub keys: u64,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// Connections.
    pub clients: usize,
    /// Of the peak, 0 to 1.
    pub share: f64,
    /// Of every phase.
    pub seconds: f64,
    /// Rounds; the medians count.
    pub runs: usize,
    /// CPUs of the load.
    pub load_cpus: Vec<usize>,
    /// Where servers keep their files.
    pub dir: PathBuf,
}

/// What clients saw in one phase.
#[derive(Debug, Default, Clone)]
pub struct Phase {
    /// Replies per second.
    pub per_s: f64,
    /// Latencies, ms.
    pub p50_ms: f64,
    /// The 99th percentile.
    pub p99_ms: f64,
    /// The 99.9th percentile.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// CPU of the server and its children per reply, us.
    pub cpu_us: f64,
}

/// What one server did in one round.
#[derive(Debug, Default, Clone)]
pub struct Outcome {
    /// Replies per second of the closed loop.
    pub peak_per_s: f64,
    /// Without a save.
    pub quiet: Phase,
    /// With saves.
    pub saving: Phase,
    /// How long each took, s.
    pub saves_s: Vec<f64>,
    /// Resident memory before, bytes.
    pub rss: u64,
    /// What it grew by while saving, children's own pages included, bytes.
    pub grown: u64,
    /// The pause of the cut, us, where the server says: 50th, 99th percentile, longest.
    pub cut_us: Option<(f64, f64, f64)>,
    /// The save with nobody else, s.
    pub idle_s: f64,
    /// Its CPU time, children included, s.
    pub idle_cpu_s: f64,
    /// The error replies.
    pub errors: u64,
}

/// By server, every round.
pub type Results = Vec<(String, Vec<Outcome>)>;

/// The longest time that a loop on one of the CPUs lost, ms.
pub fn noise_ms(cpus: &[usize], seconds: f64) -> f64 {
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let watch = |cpu: usize| {
        // Unpinned it still measures something.
        let _ = system::pin_thread(cpu);
        let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
        while last < end {
            let now = Instant::now();
            longest = longest.max(now - last);
            last = now;
        }
        longest
    };
    thread::scope(|scope| {
        let loops: Vec<_> = cpus.iter().map(|&cpu| scope.spawn(move || watch(cpu))).collect();
        let longest = loops.into_iter().filter_map(|l| l.join().ok()).max().unwrap_or_default();
        longest.as_secs_f64() * 1000.0
    })
}

/// One server in one round.
struct Subject<'a> {
    plan: &'a Plan,
    server: Server,
}

impl Subject<'_> {
    fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    fn cpus(&self) -> Vec<Option<usize>> {
        self.plan.load_cpus.iter().copied().map(Some).collect()
    }

    fn role(&self, mix: Mix, order: Order, pipeline: usize, rate: Option<f64>) -> Role {
        let (connections, value_bytes) = (self.plan.clients, self.plan.value_bytes);
        let keys = Keys::new(self.plan.keys, order);
        Role { connections, pipeline, mix, keys, value_bytes, rate }
    }

    fn fill(&self) -> io::Result<()> {
        let set = Mix::of("set").map_err(io::Error::other)?;
        let role = self.role(set, Order::Sequential, 32, None);
        load::run(self.addr(), &[role], Until::Requests(self.plan.keys), &self.cpus(), || ())?;
        Ok(())
    }

    /// Runs a phase; in an open loop with `rate`.
    fn phase(&self, rate: Option<f64>, outcome: &mut Outcome) -> io::Result<Phase> {
        let named = |name| load::named(name).and_then(|verb| Template::parse(verb.template));
        let both = named("get").and_then(|get| Mix::new(vec![(get, 1), (named("set")?, 1)]));
        let role = self.role(both.map_err(io::Error::other)?, Order::Uniform, 1, rate);
        let measured = Duration::from_secs_f64(self.plan.seconds);
        let until = Until::Time { warm_up: Duration::from_millis(700), measured };
        let (pid, mut cpu) = (self.server.pid(), Vec::new());
        let boundary = || cpu.push(cpu_with_children(pid));
        let result = load::run(self.addr(), &[role], until, &self.cpus(), boundary)?;
        let role = &result.roles[0];
        outcome.errors += role.errors;
        let at = |q| role.latency_ns.value_at_quantile(q) as f64 / 1e6;
        let used = cpu.last().zip(cpu.first()).map_or(0.0, |(to, from)| to - from);
        Ok(Phase {
            per_s: role.replies as f64 / result.elapsed.as_secs_f64(),
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: role.latency_ns.max() as f64 / 1e6,
            cpu_us: used * 1e6 / role.replies.max(1) as f64,
        })
    }

    fn measure(&self) -> io::Result<Outcome> {
        let mut outcome = Outcome::default();
        self.fill()?;
        outcome.peak_per_s = self.phase(None, &mut outcome)?.per_s;
        let rate = Some(outcome.peak_per_s * self.plan.share);
        outcome.quiet = self.phase(rate, &mut outcome)?;
        outcome.rss = self.server.rss()?;
        let (mut saver, pid) = (Saver::of(&self.server, self.plan.save)?, self.server.pid());
        let is_over = AtomicBool::new(false);
        let (saving, saves) = thread::scope(|scope| {
            let saves = scope.spawn(|| saver.save_until(&is_over));
            let saving = self.phase(rate, &mut outcome);
            is_over.store(true, Ordering::Relaxed);
            (saving, saves.join())
        });
        outcome.saving = saving?;
        let (times, most) = saves.map_err(|_| io::Error::other("the saver panicked"))??;
        outcome.saves_s = times;
        outcome.grown = most.saturating_sub(outcome.rss);
        let info = saver.client.info("persistence")?;
        outcome.cut_us = info
            .number("cut_p50_usec")
            .zip(info.number("cut_p99_usec"))
            .zip(info.number("cut_max_usec"))
            .map(|((p50, p99), longest)| (p50, p99, longest));
        let before = cpu_with_children(pid);
        outcome.idle_s = saver.save(Duration::from_millis(5), |_| ())?;
        outcome.idle_cpu_s = cpu_with_children(pid) - before;
        Ok(outcome)
    }
}

impl Plan {
    /// Measures all servers in turns, and how long the machine itself is away, ms.
    ///
    /// # Errors
    /// Of a server that does not start, a save that fails, a connection.
    pub fn run(&self) -> io::Result<(f64, Results)> {
        fs::create_dir_all(&self.dir)?;
        let bar = rounds::progress(self.runs * self.programs.len() + 1);
        bar.set_message("noise of the machine");
        let cpus: Vec<usize> =
            (0..thread::available_parallelism().map_or(1, usize::from)).collect();
        let noise = noise_ms(&cpus, self.seconds);
        bar.inc(1);
        let mut outcomes: Results =
            self.programs.iter().map(|(name, _)| (name.clone(), Vec::new())).collect();
        for _ in 0..self.runs {
            for ((name, program), (_, outcomes)) in self.programs.iter().zip(&mut outcomes) {
                bar.set_message(name.clone());
                let server = Server::start(program, self.save.persistence(), &self.dir)?;
                outcomes.push(Subject { plan: self, server }.measure()?);
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        Ok((noise, outcomes))
    }
}

/// The median of a figure over the rounds.
fn median(outcomes: &[Outcome], figure: impl Fn(&Outcome) -> f64) -> f64 {
    metric::median(&outcomes.iter().map(figure).collect::<Vec<_>>())
}

/// For people.
pub fn table(noise: f64, results: &Results) -> String {
    let mut text = format!("longest gap of an idle loop: {noise:.2} ms\n");
    for (name, outcomes) in results {
        let m = |figure: &dyn Fn(&Outcome) -> f64| median(outcomes, figure);
        text.push_str(&format!(
            "{name}: peak {:.0}/s, resident {:.0} MiB, grew by {:.1} MiB ({:.1} %) while saving\n",
            m(&|o| o.peak_per_s),
            m(&|o| o.rss as f64 / f64::from(1 << 20)),
            m(&|o| o.grown as f64 / f64::from(1 << 20)),
            m(&|o| o.grown as f64 * 100.0 / o.rss as f64),
        ));
        for (phase, of) in [
            ("quiet", (|o: &Outcome| o.quiet.clone()) as fn(&Outcome) -> Phase),
            ("saving", |o: &Outcome| o.saving.clone()),
        ] {
            text.push_str(&format!(
                "  {phase:<8}{:>9.0}/s  p50 {:.3}  p99 {:.3}  p99.9 {:.3}  max {:.2} ms  {:.2} us CPU each\n",
                m(&|o| of(o).per_s),
                m(&|o| of(o).p50_ms),
                m(&|o| of(o).p99_ms),
                m(&|o| of(o).p999_ms),
                m(&|o| of(o).max_ms),
                m(&|o| of(o).cpu_us),
            ));
        }
        text.push_str(&format!(
            "  p99.9 saving / quiet {:.2}; a save took {:.2} s ({:.0} in a round); idle {:.2} s, {:.2} s of CPU\n",
            m(&|o| o.saving.p999_ms / o.quiet.p999_ms),
            m(&|o| metric::median(&o.saves_s)),
            m(&|o| o.saves_s.len() as f64),
            m(&|o| o.idle_s),
            m(&|o| o.idle_cpu_s),
        ));
        if outcomes.iter().all(|o| o.cut_us.is_some()) {
            let cut = |o: &Outcome| o.cut_us.unwrap_or_default();
            text.push_str(&format!(
                "  cut: p50 {:.0}, p99 {:.0}, longest {:.0} us\n",
                m(&|o| cut(o).0),
                m(&|o| cut(o).1),
                m(&|o| cut(o).2),
            ));
        }
    }
    text
}
