//! What a command cost: counted by command, and noted when it was slow.
//!
//! A command that one shard runs whole is counted there, where it ran. Of one that was split,
//! each part's answer brings the time it took, and the connection's core counts the sum. The slow
//! log wants to know the client, so a slow command that ran elsewhere is told to the connection's
//! core, ahead of anything the client can see of it.

use super::{
    hop::{Return, put_slow},
    redact, table,
};
use crate::{
    net::connection::Connection,
    observe::{
        latency::{Event, Sample},
        slowlog::{self, Entry},
    },
    runtime::core::{Core, unix_ms},
};
use quire_engine::command::{Args, Flags, OwnedArgs};
use std::time::Duration;

/// A slow command: how long it took, us, and its arguments, cut.
pub type Slow = (u64, Vec<Vec<u8>>);

/// A split command on its way: what it was, and what its parts cost so far.
#[derive(Debug)]
pub struct Call {
    /// Number of the command.
    pub id: u16,
    /// Its flags.
    pub flags: Flags,
    /// Its arguments.
    pub args: OwnedArgs,
    /// Time of its parts so far.
    pub ticks: u64,
}

impl Call {
    /// A command that is about to be split.
    pub fn new(id: u16, flags: Flags, args: Args<'_>) -> Box<Self> {
        let args = OwnedArgs::from_slices(&args.iter_from(0).collect::<Vec<_>>());
        Box::new(Self { id, flags, args, ticks: 0 })
    }
}

impl Core {
    /// From which duration on a command is slow, for whatever reason; `None` = never.
    pub fn slow_from(&self) -> Option<Duration> {
        let slowlog = u64::try_from(self.live.slowlog_log_slower_than).ok();
        let monitor = u64::try_from(self.live.latency_monitor_threshold).ok().filter(|ms| *ms > 0);
        let slowlog = slowlog.map(Duration::from_micros);
        let monitor = monitor.map(Duration::from_millis);
        slowlog.into_iter().chain(monitor).min()
    }

    /// A command of this core's connection has run here, in `ticks`.
    #[inline]
    pub fn account(
        &mut self,
        conn: &Connection,
        id: u16,
        flags: Flags,
        args: Args<'_>,
        ticks: u64,
    ) {
        if self.timings.executed(id, ticks) {
            self.note_slow(conn, flags, args, ticks);
        }
    }

    /// A part of a split command took that long.
    #[inline]
    pub fn charge(&self, conn: &mut Connection, seq: u32, ticks: u64) {
        if ticks != 0
            && let Some(call) = conn.slot(seq).and_then(|slot| slot.call.as_mut())
        {
            call.ticks += ticks;
        }
    }

    /// The reply of a split command is complete.
    pub fn account_split(&mut self, conn: &mut Connection, seq: u32) {
        if let Some(call) = conn.slot(seq).and_then(|slot| slot.call.take()) {
            self.account(conn, call.id, call.flags, call.args.as_args(), call.ticks);
        }
    }

    /// A command of another core's connection has run here; `replies` go to that core.
    #[inline]
    pub fn account_for(
        &mut self,
        to: Return,
        id: u16,
        args: Args<'_>,
        ticks: u64,
        replies: &mut Vec<u8>,
    ) {
        if let Some((us, args)) = self.account_as_part(id, args, ticks) {
            put_slow(replies, to, us, args.into_iter());
        }
    }

    /// As [`Core::account_for`], in the middle of a reply: what belongs in the slow log, if
    /// anything.
    #[inline]
    pub fn account_as_part(&mut self, id: u16, args: Args<'_>, ticks: u64) -> Option<Slow> {
        if self.timings.executed(id, ticks) {
            let us = self.timings.to_ns(ticks) / 1000;
            let flags = super::table::engine_flags(id);
            self.note_command_latency(flags, us);
            if self.belongs_in_slowlog(flags, us) {
                return Some((us, cut(args)));
            }
        }
        None
    }

    #[cold]
    fn note_slow(&mut self, conn: &Connection, flags: Flags, args: Args<'_>, ticks: u64) {
        let us = self.timings.to_ns(ticks) / 1000;
        self.note_command_latency(flags, us);
        if self.belongs_in_slowlog(flags, us) {
            self.push_slow(conn, us, cut(args));
        }
    }

    fn belongs_in_slowlog(&self, flags: Flags, us: u64) -> bool {
        !flags.has(Flags::SKIP_SLOWLOG)
            && u64::try_from(self.live.slowlog_log_slower_than).is_ok_and(|limit| us >= limit)
    }

    fn note_command_latency(&self, flags: Flags, us: u64) {
        let event = if flags.has(Flags::FAST) { Event::FastCommand } else { Event::Command };
        self.note_latency(event, Duration::from_micros(us));
    }

    /// Adds to the slow log what this connection's command cost.
    pub fn push_slow(&self, conn: &Connection, us: u64, args: Vec<Vec<u8>>) {
        let entry = Entry {
            id: 0,
            time_s: unix_ms() / 1000,
            us,
            args,
            address: conn.session.peer.remote_address(),
            name: conn.session.name.clone(),
        };
        self.shared.slowlog.push(entry, self.live.slowlog_max_len as usize);
    }

    /// Something took that long: LATENCY remembers it if that is longer than it should.
    pub fn note_latency(&self, event: Event, time: Duration) {
        let threshold = self.live.latency_monitor_threshold;
        let ms = time.as_millis() as u64;
        if threshold > 0 && ms >= threshold as u64 {
            self.shared.latency.add(event, Sample { time_s: unix_ms() / 1000, ms });
        }
    }

    /// True when durations are worth measuring for LATENCY.
    #[inline]
    pub fn monitors_latency(&self) -> bool {
        self.live.latency_monitor_threshold > 0
    }

    /// The number of names and counters a core needs.
    pub fn command_count() -> usize {
        table::names().len()
    }
}

fn cut(args: Args<'_>) -> Vec<Vec<u8>> {
    let hidden = redact::hidden(args);
    let list: Vec<&[u8]> = args.iter_from(0).collect();
    slowlog::cut(list.into_iter(), |at| hidden.contains(&at))
}
