//! Hit rates of a full cache: reads by Zipf's law, every miss is set, on each server in turn with
//! the same arguments and the same requests.
//!
//! One connection sends windows of GETs; the misses of a window are set before the next window
//! is read, as an application with a database behind its cache would. So the requests depend only
//! on the seed and on what the server has evicted.

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::PathBuf,
    time::Instant,
};

use indicatif::ProgressBar;

use crate::{
    client::Client,
    environment,
    json::Json,
    load::{KeySource, Keys, Kind, Order, ReplyCutter},
    rounds,
    server::{Persistence, Program, Server},
};

/// What is asked of every server.
#[derive(Debug, Clone)]
pub struct HitRate {
    /// The servers, by name.
    pub programs: Vec<(String, Program)>,
    /// As `maxmemory` is written.
    pub maxmemory: String,
    /// As `maxmemory-policy` is written.
    pub policy: String,
    /// Number of keys that are asked for.
    pub keys: u64,
    /// Zipf's exponent; uniform if 0.
    pub exponent: f64,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// GETs in all.
    pub requests: u64,
    /// GETs that fill the cache first and are not counted.
    pub warm_up: u64,
    /// GETs sent together.
    pub window: usize,
    /// The same seed gives the same requests.
    pub seed: u64,
    /// Where servers keep their files.
    pub dir: PathBuf,
}

/// What one server did.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Outcome {
    /// Counted GETs.
    pub reads: u64,
    /// Those that found a value.
    pub hits: u64,
    /// Error replies, GET or SET, warm-up included.
    pub errors: u64,
    /// The first of them.
    pub first_error: Option<String>,
    /// Keys at the end.
    pub keys: u64,
    /// `evicted_keys` at the end.
    pub evicted: u64,
    /// `maxmemory`, bytes.
    pub maxmemory: u64,
    /// Greatest `used_memory` seen, a hundred looks spread over the run, bytes.
    pub used_memory_max: u64,
    /// The time it took.
    pub seconds: f64,
}

impl Outcome {
    /// Hits, percent of the counted reads.
    pub fn hit_percent(&self) -> f64 {
        self.hits as f64 * 100.0 / (self.reads.max(1)) as f64
    }
}

/// The connection with its tally.
struct Reader {
    stream: TcpStream,
    cutter: ReplyCutter,
    input: Vec<u8>,
    errors: u64,
    first_error: Option<String>,
}

impl Reader {
    fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        let (cutter, input) = (ReplyCutter::default(), vec![0; 256 * 1024]);
        Ok(Self { stream, cutter, input, errors: 0, first_error: None })
    }

    /// Sends requests and waits for all replies; true for those that are values.
    fn exchange(&mut self, requests: &[u8], replies: usize) -> io::Result<Vec<bool>> {
        self.stream.write_all(requests)?;
        let mut values = Vec::with_capacity(replies);
        while values.len() < replies {
            let n = self.stream.read(&mut self.input)?;
            if n == 0 {
                return Err(io::Error::other("the server closed the connection"));
            }
            let (errors, first) = (&mut self.errors, &mut self.first_error);
            self.cutter.feed(&self.input[..n], |kind| {
                if let Kind::Error(text) = &kind {
                    *errors += 1;
                    first.get_or_insert_with(|| String::from_utf8_lossy(text).into_owned());
                }
                values.push(kind == Kind::Value);
            });
        }
        Ok(values)
    }
}

fn push_get(key: u64, out: &mut Vec<u8>) {
    // Writing to memory does not fail.
    let _ = write!(out, "*2\r\n$3\r\nGET\r\n$16\r\nkey:{key:012}\r\n");
}

impl HitRate {
    /// A SET of the key; with a deadline when the policy evicts only keys that have one.
    fn push_set(&self, key: u64, value: &str, out: &mut Vec<u8>) {
        if self.policy.starts_with("volatile") {
            // An hour and more: far behind the end of the run, and different for volatile-ttl.
            let seconds = 3600 + key % 3600;
            let _ = write!(
                out,
                "*5\r\n$3\r\nSET\r\n$16\r\nkey:{key:012}\r\n${}\r\n{value}\r\n$2\r\nEX\r\n$4\r\n{seconds}\r\n",
                value.len()
            );
        } else {
            let _ = write!(
                out,
                "*3\r\n$3\r\nSET\r\n$16\r\nkey:{key:012}\r\n${}\r\n{value}\r\n",
                value.len()
            );
        }
    }

    fn start(&self, program: &Program) -> io::Result<Server> {
        let mut program = program.clone();
        let limit = ["--maxmemory", &self.maxmemory, "--maxmemory-policy", &self.policy];
        program.extra.splice(0..0, limit.map(str::to_owned));
        Server::start(&program, Persistence::Off, &self.dir)
    }

    /// Asks one server; `bar` moves by a hundred steps.
    fn ask(&self, addr: SocketAddr, bar: &ProgressBar) -> io::Result<Outcome> {
        let order = if self.exponent == 0.0 { Order::Uniform } else { Order::Zipf(self.exponent) };
        let mut source = KeySource::new(&Keys::new(self.keys, order), self.seed, 0, 1);
        let value: String = ('a'..='z').cycle().take(self.value_bytes).collect();
        let (mut reader, mut observer) = (Reader::open(addr)?, Client::connect(addr)?);
        let mut outcome = Outcome::default();
        let (mut asked, mut looks, started) = (0, 0, Instant::now());
        let (mut keys, mut requests) = (Vec::new(), Vec::new());
        while asked < self.requests {
            keys.clear();
            requests.clear();
            // A window never reaches over the end of the warm-up: it counts whole or not at all.
            let end = if asked < self.warm_up { self.warm_up } else { self.requests };
            let window = (self.window as u64).min(end - asked);
            keys.extend((0..window).map(|_| source.next()));
            keys.iter().for_each(|&key| push_get(key, &mut requests));
            let found = reader.exchange(&requests, keys.len())?;
            if asked >= self.warm_up {
                outcome.reads += window;
                outcome.hits += found.iter().filter(|&&hit| hit).count() as u64;
            }
            asked += window;
            let mut missed: Vec<u64> =
                keys.iter().zip(&found).filter_map(|(&key, &hit)| (!hit).then_some(key)).collect();
            missed.sort_unstable();
            missed.dedup();
            requests.clear();
            missed.iter().for_each(|&key| self.push_set(key, &value, &mut requests));
            reader.exchange(&requests, missed.len())?;
            if asked * 100 / self.requests > looks {
                looks = asked * 100 / self.requests;
                let used = observer.info("memory")?.number("used_memory").unwrap_or_default();
                outcome.used_memory_max = outcome.used_memory_max.max(used as u64);
                bar.inc(1);
            }
        }
        outcome.seconds = started.elapsed().as_secs_f64();
        (outcome.errors, outcome.first_error) = (reader.errors, reader.first_error);
        let size = observer.ask(&["DBSIZE"])?.to_string();
        outcome.keys = size.parse().map_err(|_| io::Error::other(format!("DBSIZE: {size}")))?;
        let number = |info: &crate::client::Info, field| info.number(field).unwrap_or_default();
        outcome.evicted = number(&observer.info("stats")?, "evicted_keys") as u64;
        outcome.maxmemory = number(&observer.info("memory")?, "maxmemory") as u64;
        Ok(outcome)
    }

    /// Runs every server once.
    ///
    /// # Errors
    /// Of a server that does not start, refuses a directive, or ends.
    pub fn run(&self) -> io::Result<Vec<(String, Outcome)>> {
        std::fs::create_dir_all(&self.dir)?;
        let bar = rounds::progress(self.programs.len() * 100);
        let mut outcomes = Vec::new();
        for (name, program) in &self.programs {
            bar.set_message(name.clone());
            let server = self.start(program)?;
            outcomes.push((name.clone(), self.ask(server.addr(), &bar)?));
        }
        bar.finish_and_clear();
        Ok(outcomes)
    }

    /// For people.
    pub fn table(&self, outcomes: &[(String, Outcome)]) -> String {
        let mut text = format!(
            "{}, {}: {} reads (+ {} to warm up) of {} keys, zipf {}, values of {} B\n\
             {:<12}{:>9}{:>11}{:>11}{:>14}{:>12}{:>10}{:>10}\n",
            self.policy,
            self.maxmemory,
            self.requests - self.warm_up,
            self.warm_up,
            self.keys,
            self.exponent,
            self.value_bytes,
            "server",
            "hits %",
            "keys",
            "evicted",
            "used max MiB",
            "% of limit",
            "errors",
            "kGET/s"
        );
        for (name, o) in outcomes {
            let share = if o.maxmemory > 0 {
                format!("{:.1}", o.used_memory_max as f64 * 100.0 / o.maxmemory as f64)
            } else {
                "-".to_owned()
            };
            text.push_str(&format!(
                "{name:<12}{:>9.2}{:>11}{:>11}{:>14.1}{share:>12}{:>10}{:>10.0}\n",
                o.hit_percent(),
                o.keys,
                o.evicted,
                o.used_memory_max as f64 / f64::from(1 << 20),
                o.errors,
                self.requests as f64 / o.seconds / 1000.0,
            ));
        }
        for (name, o) in outcomes {
            if let Some(error) = &o.first_error {
                text.push_str(&format!("{name} answered first -{error}\n"));
            }
        }
        if let [(first, a), rest @ ..] = outcomes {
            for (name, b) in rest {
                let points = a.hit_percent() - b.hit_percent();
                text.push_str(&format!("{first} - {name}: {points:+.2} points\n"));
            }
        }
        text
    }

    /// For programs: one object.
    pub fn json(&self, outcomes: &[(String, Outcome)]) -> Json {
        let servers = outcomes
            .iter()
            .map(|(name, o)| {
                Json::object([
                    ("name", Json::text(name)),
                    ("reads", Json::Count(o.reads)),
                    ("hits", Json::Count(o.hits)),
                    ("hit_percent", Json::Number(o.hit_percent())),
                    ("keys", Json::Count(o.keys)),
                    ("evicted_keys", Json::Count(o.evicted)),
                    ("maxmemory_bytes", Json::Count(o.maxmemory)),
                    ("used_memory_max_bytes", Json::Count(o.used_memory_max)),
                    ("errors", Json::Count(o.errors)),
                    ("first_error", o.first_error.as_ref().map_or(Json::Null, Json::text)),
                    ("seconds", Json::Number(o.seconds)),
                ])
            })
            .collect();
        let environment = environment::describe(Some(&self.dir));
        Json::object([
            ("environment", environment),
            ("maxmemory", Json::text(&self.maxmemory)),
            ("policy", Json::text(&self.policy)),
            ("keys", Json::Count(self.keys)),
            ("zipf_exponent", Json::Number(self.exponent)),
            ("value_bytes", Json::Count(self.value_bytes as u64)),
            ("requests", Json::Count(self.requests)),
            ("warm_up", Json::Count(self.warm_up)),
            ("seed", Json::Count(self.seed)),
            ("servers", Json::List(servers)),
        ])
    }
}
