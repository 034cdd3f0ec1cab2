//! The load generator: closed and open loop, several threads, many connections.
//!
//! *Closed loop*: each connection sends a batch of `pipeline` requests, waits for all its replies,
//! sends the next. Latency is taken per reply, from just before its batch was written. It slows
//! down with the server: percentiles are those of clients that wait.
//!
//! *Open loop*: requests are due at a rate, whatever the server does, and latency counts from
//! then (`pace.rs`). Percentiles are those of requests that arrive.
//!
//! Connections belong to roles, which are measured apart (writers beside readers). Every reply
//! is looked at: errors and nulls are counted.

mod connection;
mod keys;
mod pace;
mod reply;
mod template;
mod worker;

use std::{
    io,
    net::SocketAddr,
    sync::atomic::AtomicU64,
    thread,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

use self::worker::{Clock, Worker};
pub use self::{
    keys::{KeySource, Keys, Order},
    reply::{Kind, ReplyCutter},
    template::{Mix, Template, VERBS, named},
};
use crate::system;

/// Some connections that do the same.
#[derive(Debug, Clone)]
pub struct Role {
    /// Connections.
    pub connections: usize,
    /// Requests that one connection may have without a reply.
    pub pipeline: usize,
    /// What they ask.
    pub mix: Mix,
    /// For which keys.
    pub keys: Keys,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// Requests per second of the whole role in an open loop; a closed loop without.
    pub rate: Option<f64>,
}

/// When a run ends.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// A warm-up, then the measured time.
    Time {
        /// Not measured.
        warm_up: Duration,
        /// Measured.
        measured: Duration,
    },
    /// So many requests in all; nothing is left out.
    Requests(u64),
}

/// What one role got.
#[derive(Debug)]
pub struct RoleResult {
    /// Replies within the measured time.
    pub replies: u64,
    /// Null replies among them.
    pub nulls: u64,
    /// Error replies, warm-up included.
    pub errors: u64,
    /// The first error.
    pub first_error: Option<String>,
    /// Requests of an open loop that were due and got no reply in time.
    pub unanswered: u64,
    /// Latencies, ns.
    pub latency_ns: Histogram<u64>,
}

impl RoleResult {
    fn empty() -> io::Result<Self> {
        // 1 us to 100 s, three digits.
        let latency_ns = Histogram::new_with_bounds(1_000, 100_000_000_000, 3)
            .map_err(|e| io::Error::other(e.to_string()))?;
        let (replies, nulls, errors, first_error, unanswered) = (0, 0, 0, None, 0);
        Ok(Self { replies, nulls, errors, first_error, unanswered, latency_ns })
    }

    fn record(&mut self, latency: Duration, requests: u64) {
        let latency_ns = (latency.as_nanos() as u64).max(1_000);
        self.latency_ns.saturating_record_n(latency_ns, requests);
    }

    fn add(&mut self, other: Self) -> io::Result<()> {
        self.replies += other.replies;
        self.nulls += other.nulls;
        self.errors += other.errors;
        self.unanswered += other.unanswered;
        self.first_error = self.first_error.take().or(other.first_error);
        // Equal bounds: it cannot fail for size.
        self.latency_ns.add(&other.latency_ns).map_err(|e| io::Error::other(e.to_string()))
    }
}

/// What a run got.
#[derive(Debug)]
pub struct LoadResult {
    /// Per role, in order.
    pub roles: Vec<RoleResult>,
    /// The measured time.
    pub elapsed: Duration,
}

impl LoadResult {
    /// Replies of all roles.
    pub fn replies(&self) -> u64 {
        self.roles.iter().map(|r| r.replies).sum()
    }

    /// The first error reply of any role.
    pub fn first_error(&self) -> Option<&str> {
        self.roles.iter().find_map(|r| r.first_error.as_deref())
    }
}

/// Runs `roles` against `addr` from one thread per entry of `cpus`, pinned where it names a CPU.
/// `boundary` is called when measuring starts and when it ends, for readings that belong to that
/// time.
///
/// # Errors
/// Of the connections; error replies are counted instead.
pub fn run(
    addr: SocketAddr,
    roles: &[Role],
    until: Until,
    cpus: &[Option<usize>],
    mut boundary: impl FnMut(),
) -> io::Result<LoadResult> {
    let threads = cpus.len().max(1);
    let mut workers = (0..threads)
        .map(|index| Worker::connect(addr, roles, index, threads))
        .collect::<io::Result<Vec<_>>>()?;
    let start = Instant::now();
    let (warm_up, measured, budget) = match until {
        Until::Time { warm_up, measured } => (warm_up, measured, u64::MAX),
        // An hour is for ever.
        Until::Requests(n) => (Duration::ZERO, Duration::from_secs(3600), n),
    };
    let from = start + warm_up;
    let clock = Clock { from, to: from + measured, budget: AtomicU64::new(budget) };
    for (index, worker) in workers.iter_mut().enumerate() {
        worker.schedule(roles, start, index, threads);
    }
    thread::scope(|scope| {
        let clock = &clock;
        let running: Vec<_> = workers
            .into_iter()
            .enumerate()
            .map(|(index, worker)| {
                let cpu = cpus.get(index).copied().flatten();
                scope.spawn(move || {
                    cpu.map_or(Ok(()), system::pin_thread)?;
                    worker.run(clock)
                })
            })
            .collect();
        thread::sleep(clock.from.saturating_duration_since(Instant::now()));
        boundary();
        if let Until::Time { .. } = until {
            thread::sleep(clock.to.saturating_duration_since(Instant::now()));
            boundary();
        }
        let mut results =
            roles.iter().map(|_| RoleResult::empty()).collect::<io::Result<Vec<_>>>()?;
        for thread in running {
            let got = thread.join().map_err(|_| io::Error::other("a load thread panicked"))??;
            for (result, more) in results.iter_mut().zip(got) {
                result.add(more)?;
            }
        }
        let elapsed = match until {
            Until::Time { measured, .. } => measured,
            Until::Requests(_) => {
                boundary();
                start.elapsed()
            }
        };
        Ok(LoadResult { roles: results, elapsed })
    })
}

#[cfg(test)]
mod tests;
