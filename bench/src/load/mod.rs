//! The load generator: closed loop, one thread, many connections.
//!
//! Each connection sends a batch of `pipeline` requests, waits for all its replies, sends the
//! next. Latency is taken per reply, from just before its batch was written. Connections belong
//! to roles, which are measured apart (writers beside readers).
//!
//! Being closed-loop, it slows down with the server: percentiles are those of clients that wait,
//! not of requests that arrive at a rate.

mod keys;
mod reply;
mod workload;

use std::{
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    os::fd::AsRawFd as _,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;

pub use self::{
    keys::{KeySource, Keys, Order},
    reply::{Kind, ReplyCutter},
    workload::{Verb, Workload},
};
use crate::system::Readiness;

/// Some connections that do the same.
#[derive(Debug, Clone, Copy)]
pub struct Role {
    /// Connections.
    pub connections: usize,
    /// Requests sent together.
    pub pipeline: usize,
    /// What they ask.
    pub verb: Verb,
    /// Number of keys.
    pub keys: u64,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// How keys are chosen.
    pub order: Order,
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
    /// Their latencies, ns.
    pub latency_ns: Histogram<u64>,
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
}

struct Connection {
    stream: TcpStream,
    role: usize,
    pipeline: usize,
    workload: Workload,
    cutter: ReplyCutter,
    outstanding: usize,
    sent_at: Instant,
}

impl Connection {
    fn open(addr: SocketAddr, role: usize, shape: &Role, seed: u64) -> io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self {
            stream,
            role,
            pipeline: shape.pipeline,
            workload: Workload::new(
                shape.verb,
                KeySource::new(&Keys::new(shape.keys, shape.order), seed, 0, 1),
                shape.value_bytes,
            ),
            cutter: ReplyCutter::default(),
            outstanding: 0,
            sent_at: Instant::now(),
        })
    }

    fn send(&mut self, requests: usize, scratch: &mut Vec<u8>) -> io::Result<()> {
        scratch.clear();
        for _ in 0..requests {
            self.workload.push_request(scratch);
        }
        self.outstanding = requests;
        self.sent_at = Instant::now();
        let mut sent = 0;
        while sent < scratch.len() {
            match self.stream.write(&scratch[sent..]) {
                Ok(n) => sent += n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    // More than a socket buffer, which only very large batches are: wait for the
                    // server, which has nothing of ours to wait for.
                    self.stream.set_nonblocking(false)?;
                    self.stream.write_all(&scratch[sent..])?;
                    self.stream.set_nonblocking(true)?;
                    return Ok(());
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

fn broken(what: impl Into<String>) -> io::Error {
    io::Error::other(what.into())
}

/// Runs `roles` against `addr`. `boundary` is called when measuring starts and when it ends, for
/// readings that belong to exactly that time.
///
/// # Errors
/// Connections that fail, and the first error reply: a server that refuses is not measured.
pub fn run(
    addr: SocketAddr,
    roles: &[Role],
    until: Until,
    mut boundary: impl FnMut(),
) -> io::Result<LoadResult> {
    let mut connections = Vec::new();
    for (index, role) in roles.iter().enumerate() {
        for _ in 0..role.connections {
            let seed = 1 + connections.len() as u64;
            connections.push(Connection::open(addr, index, role, seed)?);
        }
    }
    let mut readiness = Readiness::new(connections.len())?;
    let mut scratch = Vec::new();
    for (token, connection) in connections.iter().enumerate() {
        readiness.watch(connection.stream.as_raw_fd(), token)?;
    }
    let mut results = empty_results(roles.len())?;
    let started = Instant::now();
    let (mut measuring_since, end, mut budget) = match until {
        Until::Time { warm_up, measured } => (None, started + warm_up + measured, u64::MAX),
        Until::Requests(n) => (Some(started), started + Duration::from_secs(3600), n),
    };
    if measuring_since.is_some() {
        boundary();
    }
    let mut active = 0;
    for connection in &mut connections {
        let requests = (connection.pipeline as u64).min(budget);
        budget -= requests;
        if requests > 0 {
            connection.send(requests as usize, &mut scratch)?;
            active += 1;
        }
    }
    let mut input = vec![0; 256 * 1024];
    let mut ready = Vec::new();
    while active > 0 {
        readiness.wait(100, &mut ready)?;
        let now = Instant::now();
        if let Until::Time { warm_up, .. } = until {
            if now >= end {
                break;
            }
            if measuring_since.is_none() && now >= started + warm_up {
                results = empty_results(roles.len())?;
                boundary();
                measuring_since = Some(Instant::now());
            }
        }
        for &token in &ready {
            let connection = &mut connections[token];
            receive(connection, &mut input, &mut results)?;
            if connection.outstanding > 0 {
                continue;
            }
            let requests = (connection.pipeline as u64).min(budget);
            if matches!(until, Until::Requests(_)) {
                budget -= requests;
            }
            if requests > 0 {
                connection.send(requests as usize, &mut scratch)?;
            } else {
                active -= 1;
            }
        }
    }
    let elapsed = measuring_since.map_or(Duration::ZERO, |since| since.elapsed());
    boundary();
    Ok(LoadResult { roles: results, elapsed })
}

fn empty_results(roles: usize) -> io::Result<Vec<RoleResult>> {
    (0..roles)
        .map(|_| {
            // 1 us to 100 s, three digits.
            let latency_ns = Histogram::new_with_bounds(1_000, 100_000_000_000, 3)
                .map_err(|e| broken(e.to_string()))?;
            Ok(RoleResult { replies: 0, latency_ns })
        })
        .collect()
}

fn receive(
    connection: &mut Connection,
    input: &mut [u8],
    results: &mut [RoleResult],
) -> io::Result<()> {
    let n = match connection.stream.read(input) {
        Ok(0) => return Err(broken("the server closed a connection")),
        Ok(n) => n,
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
        Err(e) => return Err(e),
    };
    let latency = connection.sent_at.elapsed().as_nanos() as u64;
    let (mut replies, mut error) = (0, None);
    connection.cutter.feed(&input[..n], |kind| {
        replies += 1;
        if let Kind::Error(text) = kind {
            error.get_or_insert_with(|| String::from_utf8_lossy(text).into_owned());
        }
    });
    if let Some(error) = error {
        return Err(broken(format!("the server answered -{error}")));
    }
    if replies > connection.outstanding {
        return Err(broken("the server sent more replies than there were requests"));
    }
    connection.outstanding -= replies;
    let result = &mut results[connection.role];
    result.replies += replies as u64;
    result.latency_ns.saturating_record_n(latency.max(1_000), replies as u64);
    Ok(())
}
