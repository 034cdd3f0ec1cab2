//! Whether freeing much at once holds up those who ask for something else meanwhile.
//!
//! ```text
//! noise     nothing runs: a loop on every CPU asks for the time, the longest gap is the machine's
//! fill      one big set, or as many keys
//! idle      a client asks for one key after the other, one request at a time
//! freeing   the same, while another client sends the command, until everything is freed
//! ```
//! A client that waits for every reply sees a stall once, in full. What the machine does meanwhile it
//! sees too: hence the idle phase, which is as long, and the noise.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    checkpoint::noise_ms,
    client::{self, Client, Reply},
    load::{self, Keys, Mix, Order, Role, Template, Until},
    metric, rounds,
    server::{Persistence, Program, Server},
    system,
};

/// Elements of one command that fills.
const AT_ONCE: u64 = 10;
/// How long a server may take to free everything.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often it is asked whether it has.
const PAUSE: Duration = Duration::from_millis(50);

/// What is freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// One set.
    Unlink,
    /// All keys, each with a string.
    Flush,
}

impl Case {
    const ALL: [Self; 2] = [Self::Unlink, Self::Flush];

    fn about(self, elements: u64) -> String {
        match self {
            Self::Unlink => format!("UNLINK of a set of {elements} members"),
            Self::Flush => format!("FLUSHALL ASYNC of {elements} keys"),
        }
    }

    fn command(self) -> &'static [&'static str] {
        match self {
            Self::Unlink => &["UNLINK", "set"],
            Self::Flush => &["FLUSHALL", "ASYNC"],
        }
    }

    fn filling(self) -> String {
        match self {
            Self::Unlink => format!("SADD set{}", " {mem:}".repeat(AT_ONCE as usize)),
            Self::Flush => format!("MSET{}", " {key:} {value}".repeat(AT_ONCE as usize)),
        }
    }
}

/// What is asked of every server.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The servers, by name.
    pub programs: Vec<(String, Program)>,
    /// Members, or keys.
    pub elements: u64,
    /// Of the idle phase, and the least of the other.
    pub seconds: f64,
    /// Rounds.
    pub runs: usize,
    /// The CPU of the client that asks.
    pub load_cpu: usize,
    /// Most that a reply may take longer than without, ms.
    pub bound_ms: f64,
    /// Where servers keep their files.
    pub dir: PathBuf,
}

/// What the client that asks saw in one phase, ms.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    replies: u64,
    p999_ms: f64,
    longest_ms: f64,
}

/// One server in one round.
#[derive(Debug, Clone, Copy)]
pub struct Outcome {
    idle: Seen,
    freeing: Seen,
    /// How long the command itself took, ms.
    command_ms: f64,
    /// When the server said that nothing is left, s.
    freed_s: f64,
}

/// Every round of every case and server.
pub type Results = Vec<(Case, String, Vec<Outcome>)>;

/// Asks for one key after the other until it is over.
fn ask_until(addr: SocketAddr, cpu: usize, is_over: &AtomicBool) -> io::Result<Seen> {
    // Unpinned it still measures something.
    let _ = system::pin_thread(cpu);
    let mut stream = TcpStream::connect(addr)?;
    stream.set_nodelay(true)?;
    let request = client::encode(&["GET", "no such key"]);
    let (mut reply, mut times) = ([0; 5], Vec::new());
    while !is_over.load(Ordering::Relaxed) {
        let started = Instant::now();
        stream.write_all(&request)?;
        stream.read_exact(&mut reply)?;
        times.push(started.elapsed().as_nanos() as u64);
        if reply != *b"$-1\r\n" {
            return Err(io::Error::other("GET of an absent key did not answer null"));
        }
    }
    times.sort_unstable();
    let at = |q: f64| times.get((times.len() as f64 * q) as usize).or(times.last());
    let ms = |ns: Option<&u64>| ns.map_or(0.0, |&ns| ns as f64 / 1e6);
    Ok(Seen { replies: times.len() as u64, p999_ms: ms(at(0.999)), longest_ms: ms(times.last()) })
}

/// Fields of INFO: what is still to be freed.
fn is_freed(client: &mut Client) -> io::Result<bool> {
    let info = client.info("memory")?;
    info.number("lazyfree_pending_objects")
        .map(|left| left == 0.0)
        .ok_or_else(|| io::Error::other("INFO has no lazyfree_pending_objects"))
}

impl Plan {
    fn fill(&self, case: Case, addr: SocketAddr) -> io::Result<()> {
        let template = Template::parse(&case.filling());
        let mix = template.and_then(|t| Mix::new(vec![(t, 1)])).map_err(io::Error::other)?;
        let role = Role {
            connections: 1,
            pipeline: 16,
            mix,
            keys: Keys::new(self.elements, Order::Sequential),
            value_bytes: 16,
            rate: None,
        };
        let until = Until::Requests(self.elements.div_ceil(AT_ONCE));
        let result = load::run(addr, &[role], until, &[Some(self.load_cpu)], || ())?;
        result.first_error().map_or(Ok(()), |e| Err(io::Error::other(format!("filling: -{e}"))))
    }

    /// Runs `meanwhile` beside the client that asks.
    fn watch<R>(
        &self,
        addr: SocketAddr,
        meanwhile: impl FnOnce() -> io::Result<R>,
    ) -> io::Result<(Seen, R)> {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let asking = scope.spawn(|| ask_until(addr, self.load_cpu, &is_over));
            thread::sleep(PAUSE);
            let result = meanwhile();
            is_over.store(true, Ordering::Relaxed);
            let seen = asking.join().map_err(|_| io::Error::other("the asking thread panicked"))?;
            Ok((seen?, result?))
        })
    }

    fn measure(&self, case: Case, program: &Program) -> io::Result<Outcome> {
        let server = Server::start(program, Persistence::Off, &self.dir)?;
        let addr = server.addr();
        self.fill(case, addr)?;
        let mut client = Client::connect(addr)?;
        let length = Duration::from_secs_f64(self.seconds);
        // It asks INFO as often as the other phase does.
        let (idle, ()) = self.watch(addr, || {
            let end = Instant::now() + length;
            while Instant::now() < end {
                is_freed(&mut client)?;
                thread::sleep(PAUSE);
            }
            Ok(())
        })?;
        let (freeing, (command_ms, freed_s)) = self.watch(addr, || {
            let started = Instant::now();
            if let Reply::Error(error) = client.ask(case.command())? {
                return Err(io::Error::other(error));
            }
            let command_ms = started.elapsed().as_secs_f64() * 1e3;
            let mut freed_s = None;
            while freed_s.is_none() || started.elapsed() < length {
                thread::sleep(PAUSE);
                if is_freed(&mut client)? {
                    freed_s.get_or_insert(started.elapsed().as_secs_f64());
                } else if started.elapsed() > PATIENCE {
                    return Err(io::Error::other("not freed within two minutes"));
                }
            }
            Ok((command_ms, freed_s.unwrap_or_default()))
        })?;
        Ok(Outcome { idle, freeing, command_ms, freed_s })
    }

    /// Measures all servers in turns, and how long the machine itself is away, ms.
    ///
    /// # Errors
    /// Of a server that does not start, of a connection, and when something is not freed.
    pub fn run(&self) -> io::Result<(f64, Results)> {
        fs::create_dir_all(&self.dir)?;
        let bar = rounds::progress(Case::ALL.len() * self.runs * self.programs.len() + 1);
        bar.set_message("noise of the machine");
        let cpus: Vec<usize> =
            (0..thread::available_parallelism().map_or(1, usize::from)).collect();
        let noise = noise_ms(&cpus, self.seconds);
        bar.inc(1);
        let mut results = Results::new();
        for case in Case::ALL {
            let from = results.len();
            results.extend(self.programs.iter().map(|(name, _)| (case, name.clone(), Vec::new())));
            for _ in 0..self.runs {
                for (index, (name, program)) in self.programs.iter().enumerate() {
                    bar.set_message(format!("{}: {name}", case.about(self.elements)));
                    results[from + index].2.push(self.measure(case, program)?);
                    bar.inc(1);
                }
            }
        }
        bar.finish_and_clear();
        Ok((noise, results))
    }
}

fn median(outcomes: &[Outcome], figure: impl Fn(&Outcome) -> f64) -> f64 {
    metric::median(&outcomes.iter().map(figure).collect::<Vec<_>>())
}

/// What the longest reply took more than without, ms.
fn beyond(outcomes: &[Outcome]) -> f64 {
    median(outcomes, |o| o.freeing.longest_ms - o.idle.longest_ms)
}

/// True when the first server, Quire, is within the bound.
pub fn is_met(plan: &Plan, results: &Results) -> bool {
    let first = plan.programs.first().map(|(name, _)| name);
    results
        .iter()
        .filter(|(_, name, _)| Some(name) == first)
        .all(|(_, _, outcomes)| beyond(outcomes) <= plan.bound_ms)
}

/// For people.
pub fn table(plan: &Plan, noise: f64, results: &Results) -> String {
    let mut text = format!("longest gap of an idle loop: {noise:.2} ms\n");
    let mut last = None;
    for (case, name, outcomes) in results {
        if last.replace(*case) != Some(*case) {
            text.push_str(&format!("\n{}\n", case.about(plan.elements)));
        }
        for (phase, of) in [
            ("idle", (|o: &Outcome| o.idle) as fn(&Outcome) -> Seen),
            ("freeing", |o: &Outcome| o.freeing),
        ] {
            let longest = outcomes.iter().map(|o| of(o).longest_ms).fold(0.0, f64::max);
            text.push_str(&format!(
                "  {name:<8}{phase:<8}{:>9.0} replies  p99.9 {:.3}  longest {:.2} ms (of all rounds {longest:.2})\n",
                median(outcomes, |o| of(o).replies as f64),
                median(outcomes, |o| of(o).p999_ms),
                median(outcomes, |o| of(o).longest_ms),
            ));
        }
        let beyond = beyond(outcomes);
        text.push_str(&format!(
            "  {name:<8}the command took {:.2} ms, all was freed after {:.1} s; \
             longest beyond idle {beyond:.2} ms, {} {:.2}\n",
            median(outcomes, |o| o.command_ms),
            median(outcomes, |o| o.freed_s),
            if beyond <= plan.bound_ms { "within" } else { "ABOVE" },
            plan.bound_ms,
        ));
    }
    text
}
