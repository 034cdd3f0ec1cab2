//! What processes and the machine have used so far, from /proc: CPU time and memory.
//!
//! CPU of a process counts all its threads, ended ones included. Foreign CPU is what other
//! processes took on any core; kernel threads (write-back, journal) work for the servers and are
//! kept apart. CPU time the hypervisor took away is steal.

use std::{collections::HashMap, fs, io, time::Instant};

use crate::system;

/// CPU seconds (user and system) used by a process since it started, from its stat line.
fn cpu_of_stat(stat: &str) -> Option<f64> {
    // The name may hold anything, blanks and brackets too: fields count from the last bracket.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    Some(ticks / system::ticks_per_second())
}

fn is_kernel_thread(stat: &str) -> bool {
    // The parent, second field after the name, of every kernel thread is kthreadd, 2.
    stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(1)) == Some("2")
}

/// CPU seconds of a process, all threads.
///
/// # Errors
/// When the process is gone.
pub fn process_cpu(pid: u32) -> io::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    cpu_of_stat(&stat).ok_or_else(|| io::Error::other("an unreadable /proc/PID/stat"))
}

/// CPU seconds of our children that have ended and were waited for.
pub fn children_cpu() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let Some((_, rest)) = stat.rsplit_once(')') else { return 0.0 };
    let ticks = rest.split_ascii_whitespace().skip(13).take(2);
    ticks.filter_map(|t| t.parse::<f64>().ok()).sum::<f64>() / system::ticks_per_second()
}

/// Resident memory of a process, bytes.
///
/// # Errors
/// When the process is gone.
pub fn process_rss(pid: u32) -> io::Result<u64> {
    let statm = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let pages = statm.split_ascii_whitespace().nth(1).and_then(|p| p.parse::<u64>().ok());
    let pages = pages.ok_or_else(|| io::Error::other("an unreadable /proc/PID/statm"))?;
    Ok(pages * system::page_bytes())
}

/// A reading of everything.
#[derive(Debug, Clone)]
pub struct Reading {
    at: Instant,
    /// The server's CPU seconds, if known.
    server: Option<f64>,
    /// Whether it uses this machine's.
    here: bool,
    /// Our own CPU seconds.
    own: f64,
    /// User, nice and system time of the machine, seconds.
    busy: f64,
    /// Stolen time of the machine, seconds.
    steal: f64,
}

/// Takes a reading; `server` is the CPU seconds the server has used, and `here` whether it does so
/// on this machine.
///
/// # Errors
/// When there is no /proc.
pub fn read(server: Option<f64>, here: bool) -> io::Result<Reading> {
    let stat = fs::read_to_string("/proc/stat")?;
    let fields: Vec<f64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_ascii_whitespace()
        .skip(1)
        .map(|f| f.parse().unwrap_or(0.0) / system::ticks_per_second())
        .collect();
    let field = |i: usize| fields.get(i).copied().unwrap_or(0.0);
    Ok(Reading {
        at: Instant::now(),
        server,
        here,
        own: process_cpu(std::process::id())?,
        busy: field(0) + field(1) + field(2),
        steal: field(7),
    })
}

/// CPU seconds of every kernel thread together.
pub fn kernel_threads_cpu() -> HashMap<u32, f64> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    entries
        .flatten()
        .filter_map(|e| e.file_name().to_string_lossy().parse::<u32>().ok())
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            is_kernel_thread(&stat).then(|| cpu_of_stat(&stat).map(|cpu| (pid, cpu)))?
        })
        .collect()
}

/// What was used between two readings.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// The server's CPU seconds, if known.
    pub server: Option<f64>,
    /// Our own share of one core.
    pub own_share: f64,
    /// Everybody else's share of one core, kernel threads not counted; unknown when the server's
    /// is.
    pub foreign_share: Option<f64>,
    /// The share of one core the hypervisor took.
    pub steal_share: f64,
}

/// The difference of two readings; `kernel` is what kernel threads used meanwhile, and `helper`
/// what a load generator of its own process did.
pub fn between(from: &Reading, to: &Reading, kernel: f64, helper: f64) -> Used {
    let seconds = (to.at - from.at).as_secs_f64().max(1e-9);
    let server = from.server.zip(to.server).map(|(from, to)| to - from);
    let own = to.own - from.own + helper;
    let in_busy = if to.here { server } else { Some(0.0) };
    let foreign = in_busy.map(|server| (to.busy - from.busy - server - own - kernel).max(0.0));
    Used {
        server,
        own_share: own / seconds,
        foreign_share: foreign.map(|f| f / seconds),
        steal_share: (to.steal - from.steal) / seconds,
    }
}

/// What kernel threads used between two calls of [`kernel_threads_cpu`].
pub fn kernel_between(from: &HashMap<u32, f64>, to: &HashMap<u32, f64>) -> f64 {
    to.iter().map(|(pid, cpu)| cpu - from.get(pid).unwrap_or(&0.0)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines_are_read_behind_any_name() {
        let stat = "7 (a) b (c) S 2 0 0 0 -1 0 0 0 0 0 150 50 0 0 20 0 1 0 1 0 0";
        let ticks = system::ticks_per_second();
        assert!((cpu_of_stat(stat).expect("readable") - 200.0 / ticks).abs() < 1e-9);
        assert!(is_kernel_thread(stat));
    }

    #[test]
    fn our_own_cpu_time_grows_with_work() {
        let before = process_cpu(std::process::id()).expect("we are alive");
        let end = Instant::now() + std::time::Duration::from_millis(60);
        while Instant::now() < end {
            std::hint::black_box((0..1000u64).sum::<u64>());
        }
        assert!(process_cpu(std::process::id()).expect("we are alive") > before);
        assert!(process_rss(std::process::id()).expect("we are alive") > 100_000);
    }
}
