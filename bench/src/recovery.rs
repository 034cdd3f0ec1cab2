//! How long a server takes from its start until it serves: a base of all keys, and a log tail that
//! changes a part of them. Times are those of a warm page cache: parsing and building, not the
//! disk.

use std::{
    fs, io,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    client::Client,
    load::{self, Keys, Mix, Order, Role, Until},
    metric, rounds,
    saver::{Save, Saver, cpu_with_children},
    server::{Persistence, Program, Server},
};

/// Nothing takes longer.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is asked of every server.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The servers, by name.
    pub programs: Vec<(String, Program)>,
    /// Keys of 16 bytes.
    pub keys: u64,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// Writes behind the base, of random keys, percent of the keys.
    pub tail_percent: u32,
    /// Starts of each server.
    pub runs: usize,
    /// CPUs of the load.
    pub load_cpus: Vec<usize>,
    /// Where servers keep their files.
    pub dir: PathBuf,
}

/// One start.
#[derive(Debug, Clone, Copy)]
pub struct Start {
    /// Until PING was answered with PONG, s.
    pub seconds: f64,
    /// CPU time by then, s.
    pub cpu_s: f64,
    /// Resident memory then, bytes.
    pub rss: u64,
}

fn keys_of(server: &Server) -> io::Result<String> {
    Ok(Client::connect(server.addr())?.ask(&["DBSIZE"])?.to_string())
}

impl Plan {
    /// Makes a data set; the directory it is in, and how many keys there are: connections share
    /// the order, and the fast ones go further.
    fn fill(&self, program: &Program) -> io::Result<(PathBuf, String)> {
        let server = Server::start(program, Persistence::Everysec, &self.dir)?;
        let cpus: Vec<Option<usize>> = self.load_cpus.iter().copied().map(Some).collect();
        let set = |order, requests| {
            let mix = Mix::of("set").map_err(io::Error::other)?;
            let (keys, value_bytes) = (Keys::new(self.keys, order), self.value_bytes);
            let role = Role { connections: 50, pipeline: 32, mix, keys, value_bytes, rate: None };
            load::run(server.addr(), &[role], Until::Requests(requests), &cpus, || ())
        };
        set(Order::Sequential, self.keys)?;
        Saver::of(&server, Save::Bgrewriteaof)?.save(Duration::from_millis(20), |_| ())?;
        set(Order::Uniform, (self.keys * u64::from(self.tail_percent) / 100).max(1))?;
        let keys = keys_of(&server)?;
        Ok((server.stop()?, keys))
    }

    /// Fills every server, then starts all in turns.
    ///
    /// # Errors
    /// Of a server that does not start or end; and when keys are missing.
    pub fn run(&self) -> io::Result<Vec<(String, Vec<Start>)>> {
        fs::create_dir_all(&self.dir)?;
        let bar = rounds::progress(self.programs.len() * (self.runs + 1));
        let mut subjects = Vec::new();
        for (name, program) in &self.programs {
            bar.set_message(format!("{name}: filling"));
            let (dir, keys) = self.fill(program)?;
            subjects.push((name, program, dir, keys, Vec::new()));
            bar.inc(1);
        }
        for _ in 0..self.runs {
            for (name, program, dir, filled, starts) in &mut subjects {
                bar.set_message(name.to_string());
                let from = Instant::now();
                let server =
                    Server::start_in(program, Persistence::Everysec, dir.clone(), PATIENCE)?;
                let seconds = from.elapsed().as_secs_f64();
                starts.push(Start {
                    seconds,
                    cpu_s: cpu_with_children(server.pid()),
                    rss: server.rss()?,
                });
                let keys = keys_of(&server)?;
                if keys != *filled {
                    return Err(io::Error::other(format!("{name} has {keys} of {filled} keys")));
                }
                server.stop()?;
                bar.inc(1);
            }
        }
        bar.finish_and_clear();
        Ok(subjects
            .into_iter()
            .map(|(name, _, dir, _, starts)| {
                let _ = fs::remove_dir_all(dir);
                (name.clone(), starts)
            })
            .collect())
    }

    /// For people: medians, and the first server's time as a part of each other's.
    pub fn table(&self, results: &[(String, Vec<Start>)]) -> String {
        let median = |starts: &[Start], figure: fn(&Start) -> f64| {
            metric::median(&starts.iter().map(figure).collect::<Vec<_>>())
        };
        let mut text = format!(
            "{} keys with values of {} B, a tail of {} %, {} starts each, medians\n",
            self.keys, self.value_bytes, self.tail_percent, self.runs
        );
        for (name, starts) in results {
            text.push_str(&format!(
                "{name:<10}{:>8.2} s  {:>8.2} s of CPU  {:>8.0} MiB resident\n",
                median(starts, |s| s.seconds),
                median(starts, |s| s.cpu_s),
                median(starts, |s| s.rss as f64 / f64::from(1 << 20)),
            ));
        }
        if let [(first, a), rest @ ..] = results {
            for (name, b) in rest {
                let times = median(b, |s| s.seconds) / median(a, |s| s.seconds);
                text.push_str(&format!("{first} is {times:.2} times as fast as {name}\n"));
            }
        }
        text
    }
}
