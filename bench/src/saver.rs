//! Asking servers for snapshots and watching them: when each ends, what memory and CPU time the
//! server and its children take meanwhile.

use std::{
    fs, io,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::{
    client::{Client, Reply},
    server::{Persistence, Server},
    system, usage,
};

/// How a snapshot is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Save {
    /// `BGSAVE`, without a log.
    Bgsave,
    /// `BGREWRITEAOF`, with a log under `everysec`.
    Bgrewriteaof,
}

impl Save {
    /// What it needs.
    pub fn persistence(self) -> Persistence {
        match self {
            Self::Bgsave => Persistence::Off,
            Self::Bgrewriteaof => Persistence::Everysec,
        }
    }

    fn command(self) -> &'static str {
        match self {
            Self::Bgsave => "BGSAVE",
            Self::Bgrewriteaof => "BGREWRITEAOF",
        }
    }

    /// The fields of INFO: one is running; how the last one ended.
    fn fields(self) -> (&'static str, &'static str) {
        match self {
            Self::Bgsave => ("rdb_bgsave_in_progress", "rdb_last_bgsave_status"),
            Self::Bgrewriteaof => ("aof_rewrite_in_progress", "aof_last_bgrewrite_status"),
        }
    }
}

fn children(pid: u32) -> Vec<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Pages a process shares with nobody, bytes; 0 when it is gone.
fn own_pages(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let of = |line: &str| line.split_ascii_whitespace().nth(1)?.parse::<u64>().ok();
    text.lines().filter(|line| line.starts_with("Private_")).filter_map(of).sum::<u64>() * 1024
}

/// CPU seconds of a process, its living children, and those it has waited for.
pub fn cpu_with_children(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let waited = stat.rsplit_once(')').map_or(0.0, |(_, rest)| {
        let ticks = rest.split_ascii_whitespace().skip(13).take(2);
        ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / system::ticks_per_second()
    });
    let living: f64 =
        children(pid).into_iter().filter_map(|child| usage::process_cpu(child).ok()).sum();
    usage::process_cpu(pid).unwrap_or_default() + living + waited
}

/// Asks for saves and watches them.
pub struct Saver {
    /// Its connection.
    pub client: Client,
    save: Save,
    pid: u32,
}

impl Saver {
    /// Of this server.
    ///
    /// # Errors
    /// Of the connection.
    pub fn of(server: &Server, save: Save) -> io::Result<Self> {
        Ok(Self { client: Client::connect(server.addr())?, save, pid: server.pid() })
    }

    fn is_saving(&mut self) -> io::Result<bool> {
        let info = self.client.info("persistence")?;
        let (running, status) = self.save.fields();
        if info.field(status) != Some("ok") {
            return Err(io::Error::other(format!("a save failed: {status} is not ok")));
        }
        Ok(info.number(running) == Some(1.0))
    }

    /// Saves once; `look` is called every `pause` meanwhile. Returns the seconds it took.
    ///
    /// # Errors
    /// When it is refused or fails.
    pub fn save(&mut self, pause: Duration, mut look: impl FnMut(u32)) -> io::Result<f64> {
        let started = Instant::now();
        if let Reply::Error(error) = self.client.ask(&[self.save.command()])? {
            return Err(io::Error::other(format!("{}: {error}", self.save.command())));
        }
        loop {
            thread::sleep(pause);
            look(self.pid);
            if !self.is_saving()? {
                return Ok(started.elapsed().as_secs_f64());
            }
        }
    }

    /// Saves until it is over; how long each took, and the most memory.
    ///
    /// # Errors
    /// When one is refused or fails.
    pub fn save_until(&mut self, is_over: &AtomicBool) -> io::Result<(Vec<f64>, u64)> {
        let (mut times, mut most) = (Vec::new(), 0);
        // The first one starts in the warm-up, so that no measured moment is without.
        thread::sleep(Duration::from_millis(300));
        while !is_over.load(Ordering::Relaxed) {
            times.push(self.save(Duration::from_millis(50), |pid| {
                let own: u64 = children(pid).into_iter().map(own_pages).sum();
                most = most.max(usage::process_rss(pid).unwrap_or_default() + own);
            })?);
        }
        Ok((times, most))
    }
}
