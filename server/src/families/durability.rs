//! WAITAOF and WAIT: what a client can ask about, and of, durability.

use super::{ServerSpec, Step, client_pause::timeout_ms};
use crate::{
    net::connection::{AofWait, Awaited, Connection, Parked},
    runtime::{control::Control, core::Core},
};
use quire_engine::{
    command::{Args, CommandError, Flags, Group, KeySpec, Reply},
    keyspace::canonical_int as parse_i64,
};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

pub(super) const SPECS: &[ServerSpec] = &[
    ServerSpec {
        name: "waitaof",
        arity: 4,
        flags: Flags::NOSCRIPT.with(Flags::BLOCKING),
        keys: KeySpec::None,
        group: Group::Generic,
        acl: &["@connection", "@blocking"],
        since: "7.2.0",
        complexity: "O(1)",
        summary: "Wait until the connection's earlier writes are synced to the append-only log",
        subcommands: &[],
        run: waitaof,
    },
    ServerSpec {
        name: "wait",
        arity: 3,
        flags: Flags::NOSCRIPT,
        keys: KeySpec::None,
        group: Group::Generic,
        acl: &["@connection"],
        since: "3.0.0",
        complexity: "O(1)",
        summary: "Wait until replicas have acknowledged the connection's earlier writes",
        subcommands: &[],
        run: wait,
    },
];

fn waitaof(
    core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let out_of_range = CommandError::new("ERR value is out of range, must be between 0 and 1");
    let numlocal = parse_i64(args.get(1)).ok_or(CommandError::NOT_AN_INTEGER)?;
    if !(0..=1).contains(&numlocal) {
        return Err(out_of_range);
    }
    let replicas = parse_i64(args.get(2)).ok_or(CommandError::NOT_AN_INTEGER)?;
    if replicas < 0 {
        return Err(CommandError::new("ERR value is out of range, must be positive"));
    }
    let timeout = timeout_ms(args.get(3))?;
    if numlocal > 0 && !core.shared.has_log() {
        return Err(CommandError::new(
            "ERR WAITAOF cannot be used when numlocal is set but appendonly is disabled.",
        ));
    }
    let wait = AofWait {
        awaited: Awaited::Logs,
        deadline: deadline(core, timeout),
        positions: conn.last_writes.clone(),
        numlocal,
        replicas,
    };
    // Inside a transaction nobody waits: what is true now is the answer.
    let wait = if core.executing { AofWait { deadline: Some(core.now), ..wait } } else { wait };
    if let Some(answer) = core.aof_wait_over(&wait) {
        write_answer(out, wait.awaited, answer);
        return Ok(Step::Reply);
    }
    for &(shard, _) in &wait.positions {
        core.want_positions(shard);
        core.shared.cores[shard as usize].mailbox.post(Control::SyncNow);
    }
    core.begin_wait(conn, wait);
    Ok(Step::Blocked)
}

/// When a wait of that many ms ends; 0 = never.
fn deadline(core: &Core, timeout_ms: u64) -> Option<Instant> {
    // What is too far away to be told never comes.
    core.now.checked_add(Duration::from_millis(timeout_ms)).filter(|_| timeout_ms > 0)
}

/// There are no replicas: whoever wants one waits until the time is over.
fn wait(
    core: &mut Core,
    conn: &mut Connection,
    args: Args<'_>,
    out: &mut Vec<u8>,
) -> Result<Step, CommandError> {
    let replicas = parse_i64(args.get(1)).ok_or(CommandError::NOT_AN_INTEGER)?;
    let timeout = timeout_ms(args.get(2))?;
    if replicas <= 0 || core.executing {
        write_answer(out, Awaited::Replicas, Ok(0));
        return Ok(Step::Reply);
    }
    let awaited = Awaited::Replicas;
    let deadline = deadline(core, timeout);
    let wait = AofWait { awaited, deadline, positions: Vec::new(), numlocal: 0, replicas };
    core.begin_wait(conn, wait);
    Ok(Step::Blocked)
}

/// The end of a wait: how many local logs are synced, or an error.
type Answer = Result<i64, CommandError>;

fn write_answer(out: &mut Vec<u8>, awaited: Awaited, answer: Answer) {
    let mut reply = Reply::new(out, false);
    match answer {
        Ok(_) if awaited == Awaited::Replicas => reply.int(0),
        Ok(local) => {
            reply.array(2);
            reply.int(local);
            // There are no replicas.
            reply.int(0);
        }
        Err(error) => reply.error(error.text()),
    }
}

impl Core {
    /// The answer, if the wait is over.
    fn aof_wait_over(&self, wait: &AofWait) -> Option<Answer> {
        let cell = |shard: u16| &self.shared.cores[shard as usize];
        let synced = wait
            .positions
            .iter()
            .all(|&(shard, lsn)| cell(shard).synced.load(Ordering::Acquire) >= lsn);
        let local = i64::from(synced && self.shared.has_log());
        let failed = wait.positions.iter().any(|&(shard, lsn)| {
            let lost = cell(shard).failed.load(Ordering::Acquire)
                || cell(shard).never_synced_from.load(Ordering::Acquire) <= lsn;
            lost && cell(shard).synced.load(Ordering::Acquire) < lsn
        });
        if failed && wait.numlocal > 0 {
            return Some(Err(CommandError::new(
                "MISCONF The append-only log has failed: earlier writes of this connection may not be on disk",
            )));
        }
        let timed_out = wait.deadline.is_some_and(|d| self.now >= d);
        if (local >= wait.numlocal && wait.replicas == 0) || timed_out {
            return Some(Ok(local));
        }
        None
    }

    fn begin_wait(&mut self, conn: &mut Connection, wait: AofWait) {
        self.waits_until = self.waits_until.into_iter().chain(wait.deadline).min();
        conn.aof_wait = Some(wait);
        self.waiting_aof.push(conn.index);
    }

    /// Ends a client's wait before its time, as if that were over or with an error; false if it
    /// does not wait.
    pub fn end_wait(&mut self, conn: &mut Connection, with_error: bool) -> bool {
        let Some(wait) = conn.aof_wait.take().filter(|_| conn.parked == Parked::Blocked) else {
            return false;
        };
        let answer = if with_error {
            Err(CommandError::new("UNBLOCKED client unblocked via CLIENT UNBLOCK"))
        } else {
            let now = Some(self.now);
            self.aof_wait_over(&AofWait { deadline: now, ..wait.clone() }).unwrap_or(Ok(0))
        };
        write_answer(&mut conn.out.buf, wait.awaited, answer);
        self.unpark(conn);
        true
    }

    /// End of turn: answers waits that are over.
    pub fn check_aof_waits(&mut self) {
        if self.waiting_aof.is_empty() {
            return;
        }
        self.waits_until = None;
        for index in std::mem::take(&mut self.waiting_aof) {
            let Some(mut conn) = self.conns[index as usize].take() else { continue };
            let Some(wait) = conn.aof_wait.as_ref() else {
                self.put_back(conn);
                continue;
            };
            for &(shard, _) in &wait.positions {
                self.want_positions(shard);
            }
            match self.aof_wait_over(wait) {
                None => {
                    self.waits_until = self.waits_until.into_iter().chain(wait.deadline).min();
                    self.waiting_aof.push(index);
                }
                Some(answer) => {
                    let awaited = wait.awaited;
                    conn.aof_wait = None;
                    write_answer(&mut conn.out.buf, awaited, answer);
                    if conn.parked == Parked::Blocked {
                        self.unpark(&mut conn);
                    }
                }
            }
            self.put_back(conn);
        }
    }
}
