//! One load thread: its connections, its schedules, its results.
//!
//! ```text
//! closed loop: all replies of a batch are in -> send the next batch at once
//! open loop:   a request is due -> the connection that has been free longest sends it;
//!              none is free -> it waits, and its latency grows from when it was due
//! ```

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use super::{
    Role, RoleResult,
    connection::{Connection, Received},
    pace::Schedule,
};
use crate::system::{self, Readiness};

/// How long the open loop waits for replies to what was due in the measured time.
pub const GRACE: Duration = Duration::from_secs(2);

/// The times of a run, the same for all threads.
#[derive(Debug)]
pub struct Clock {
    /// From here on it counts.
    pub from: Instant,
    /// Up to here.
    pub to: Instant,
    /// Requests that may still be sent.
    pub budget: AtomicU64,
}

impl Clock {
    /// Takes up to `wanted` requests from the budget.
    fn admit(&self, wanted: u64) -> u64 {
        let take = |left: u64| (left > 0).then(|| left - left.min(wanted));
        let left = self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        left.map_or(0, |left| left.min(wanted))
    }

    fn is_spent(&self) -> bool {
        self.budget.load(Ordering::Relaxed) == 0
    }

    fn counts(&self, moment: Instant) -> bool {
        self.from <= moment && moment < self.to
    }
}

/// The connections of one thread, and when they send.
pub struct Worker {
    connections: Vec<Connection>,
    /// Per role: requests sent together by one connection.
    pipelines: Vec<usize>,
    /// Per role; none in a closed loop.
    schedules: Vec<Option<Schedule>>,
    /// Per role with a schedule: connections that may send.
    free: Vec<VecDeque<usize>>,
    /// Requests without a reply, all connections.
    outstanding: usize,
    results: Vec<RoleResult>,
    scratch: Vec<u8>,
}

impl Worker {
    /// Connects thread `index` of `threads`.
    ///
    /// # Errors
    /// Of the connections.
    pub fn connect(
        addr: SocketAddr,
        roles: &[Role],
        index: usize,
        threads: usize,
    ) -> io::Result<Self> {
        let mut connections = Vec::new();
        for (number, role) in roles.iter().enumerate() {
            for connection in (index..role.connections).step_by(threads) {
                connections.push(Connection::open(addr, number, role, connection)?);
            }
        }
        Ok(Self {
            connections,
            pipelines: roles.iter().map(|r| r.pipeline).collect(),
            schedules: Vec::new(),
            free: vec![VecDeque::new(); roles.len()],
            outstanding: 0,
            results: roles.iter().map(|_| RoleResult::empty()).collect::<io::Result<_>>()?,
            scratch: Vec::new(),
        })
    }

    /// Says when the open loops of thread `index` of `threads` send.
    pub fn schedule(&mut self, roles: &[Role], start: Instant, index: usize, threads: usize) {
        // A role with fewer connections than threads is in the first threads only.
        let schedule = |role: &Role| {
            let sharing = threads.min(role.connections);
            role.rate.map(|rate| Schedule::new(start, rate, index, sharing))
        };
        self.schedules = roles.iter().map(schedule).collect();
    }

    /// Runs until the clock says so.
    ///
    /// # Errors
    /// Of the connections.
    pub fn run(mut self, clock: &Clock) -> io::Result<Vec<RoleResult>> {
        system::precise_timers();
        let mut readiness = Readiness::new(self.connections.len())?;
        for (token, connection) in self.connections.iter().enumerate() {
            readiness.watch(connection.descriptor(), token)?;
        }
        let started = Instant::now();
        for token in 0..self.connections.len() {
            self.go_on(token, started, clock, true)?;
        }
        let (mut input, mut ready) = (vec![0; 256 * 1024], Vec::new());
        let mut received = Received::default();
        loop {
            let now = Instant::now();
            self.send_due(now, clock)?;
            if self.has_ended(now, clock) {
                break;
            }
            readiness.wait(self.patience(now, clock), &mut ready)?;
            for &token in &ready {
                let connection = &mut self.connections[token];
                let was_full = connection.outstanding() >= self.pipelines[connection.role];
                connection.receive(&mut input, &mut received)?;
                let now = Instant::now();
                self.note(token, now, &mut received, clock);
                self.go_on(token, now, clock, was_full)?;
            }
        }
        self.give_up(Instant::now(), clock);
        Ok(self.results)
    }

    fn note(&mut self, token: usize, now: Instant, received: &mut Received, clock: &Clock) {
        let role = self.connections[token].role;
        let (result, open) = (&mut self.results[role], self.schedules[role].is_some());
        let in_time = clock.counts(now);
        for sent in &received.answered {
            self.outstanding -= sent.requests;
            if in_time {
                result.replies += sent.requests as u64;
            }
            // The open loop asks what became of the requests of the measured time.
            if if open { clock.counts(sent.since) } else { in_time } {
                result.record(now - sent.since, sent.requests as u64);
            }
        }
        if in_time {
            result.nulls += received.nulls;
        }
        // Errors count whenever they come.
        result.errors += received.errors;
        if let Some(error) = received.first_error.take() {
            result.first_error.get_or_insert(error);
        }
    }

    /// Lets a connection send what it may send now.
    fn go_on(
        &mut self,
        token: usize,
        now: Instant,
        clock: &Clock,
        was_full: bool,
    ) -> io::Result<()> {
        let connection = &mut self.connections[token];
        let (role, pipeline) = (connection.role, self.pipelines[connection.role]);
        if self.schedules[role].is_some() {
            if was_full && connection.outstanding() < pipeline {
                self.free[role].push_back(token);
            }
        } else if connection.outstanding() == 0 && now < clock.to {
            let requests = clock.admit(pipeline as u64) as usize;
            if requests > 0 {
                connection.send(requests, None, &mut self.scratch)?;
                self.outstanding += requests;
            }
        }
        Ok(())
    }

    /// Sends what is due, as long as connections are free.
    fn send_due(&mut self, now: Instant, clock: &Clock) -> io::Result<()> {
        for role in 0..self.schedules.len() {
            let Some(schedule) = &mut self.schedules[role] else { continue };
            while let Some(&token) = self.free[role].front() {
                if clock.is_spent() {
                    break;
                }
                let Some(due) = schedule.take(now, clock.to) else { break };
                if clock.admit(1) == 0 {
                    break;
                }
                self.free[role].pop_front();
                let connection = &mut self.connections[token];
                connection.send(1, Some(due), &mut self.scratch)?;
                self.outstanding += 1;
                if connection.outstanding() < self.pipelines[role] {
                    self.free[role].push_back(token);
                }
            }
        }
        Ok(())
    }

    fn has_ended(&self, now: Instant, clock: &Clock) -> bool {
        let idle = self.outstanding == 0;
        if idle && clock.is_spent() {
            return true;
        }
        let mut schedules = self.schedules.iter().flatten().peekable();
        let closed = schedules.peek().is_none();
        now >= clock.to
            && (closed
                || now >= clock.to + GRACE
                || (idle && schedules.all(|s| s.next() >= clock.to)))
    }

    /// How long nothing is to be done without a reply.
    fn patience(&self, now: Instant, clock: &Clock) -> Duration {
        let due = self.schedules.iter().zip(&self.free).filter_map(|(schedule, free)| {
            let next = schedule.as_ref()?.next();
            (!free.is_empty() && next < clock.to).then(|| next.saturating_duration_since(now))
        });
        let end = (now < clock.to).then(|| clock.to - now);
        due.chain(end).fold(Duration::from_millis(100), Duration::min)
    }

    /// What the open loop has no reply for, it has waited for until now: at least that long.
    fn give_up(&mut self, now: Instant, clock: &Clock) {
        for connection in &self.connections {
            let result = &mut self.results[connection.role];
            if self.schedules[connection.role].is_none() {
                continue;
            }
            for sent in connection.in_flight().filter(|s| clock.counts(s.since)) {
                result.record(now - sent.since, sent.requests as u64);
                result.unanswered += sent.requests as u64;
            }
        }
        if clock.is_spent() {
            return;
        }
        for (schedule, result) in self.schedules.iter_mut().zip(&mut self.results) {
            let Some(schedule) = schedule else { continue };
            while let Some(due) = schedule.take(now, clock.to) {
                if clock.counts(due) {
                    result.record(now - due, 1);
                    result.unanswered += 1;
                }
            }
        }
    }
}
