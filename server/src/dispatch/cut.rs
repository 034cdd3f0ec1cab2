//! Every core's part of a snapshot: the cut, then the walk.
//!
//! At the cut a core executes nothing between its own and everybody's: so nobody sees or writes
//! anything that is on both sides. What was logged before it is in the segment that the log leaves
//! then, what comes later in the next one; neither waits for the disk. The last core to arrive opens the
//! gate, unless the order says that it stays closed (a server that saves and leaves).
//!
//! The walk goes on in slices of `SLICE` at the end of turns, when the replies of the turn have
//! left, as long as the scribe keeps up. A turn without commands walks at once; turns with commands
//! leave it one part in `REST` + 1 of the time: whoever keeps a core busy loses no more to a
//! snapshot, and a snapshot never stops. The walk measures its slices by work, so the work asked for
//! follows what the last slice took.

use crate::{
    config::RdbCompression,
    runtime::{
        control::{Control, CutOrder, CutReport, Purpose},
        core::Core,
    },
};
use quire_engine::{
    keyspace::{Changes, Scope},
    manifest::Position,
    snapshot::{ChunkOptions, Usage, WalkStats, Walked},
};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

/// How long a turn walks: what a request that comes meanwhile waits at most, about.
const SLICE: Duration = Duration::from_micros(50);
/// A busy core rests from the walk for so many times as long as the last slice took.
const REST: u32 = 3;
/// The work of a slice, in the walk's own microseconds: at first, at least, at most.
const WORK_US: (u64, u64, u64) = (20, 4, 200);

/// The work of the next slice, when the last one asked for `work_us` and took so long.
fn next_work_us(work_us: u64, took: Duration) -> u64 {
    let took_us = (took.as_micros() as u64).max(1);
    let wanted = work_us * SLICE.as_micros() as u64 / took_us;
    // One slice that was interrupted says little about the next: by halves.
    wanted.clamp(work_us / 2, work_us * 2).clamp(WORK_US.1, WORK_US.2)
}

/// What a core is doing for a snapshot.
#[derive(Debug, Default)]
pub struct Walking {
    order: Option<CutOrder>,
    /// When this core stopped executing; None: it executes.
    stands_since: Option<Instant>,
    /// The log has not gone on in its next segment yet.
    is_parting: bool,
    /// Last LSN before the cut.
    lsn: u64,
    /// Keys at the cut, and what of them had changed, if that was known.
    keys: u64,
    changes: Option<Changes>,
    /// The generation of function libraries at the cut.
    pub(super) libraries: u64,
    /// Their texts (core 0).
    pub(super) functions: Vec<Box<[u8]>>,
    /// The walk is not done.
    walks: bool,
    /// There is something to walk and room for it.
    has_more: bool,
    /// The work of the next slice, us by the walk's count.
    work_us: u64,
    /// While commands come, it does not walk before.
    rests_until: Option<Instant>,
    /// Commands of this core when it looked last.
    commands_seen: u64,
}

impl Walking {
    /// True when the loop should not sleep.
    #[inline]
    pub fn has_more(&self) -> bool {
        self.has_more && !self.waits_at_gate()
    }

    /// It has cut and others have not: it leaves the CPU to them, where shards share one. Where the
    /// gate stays closed until the walk is done there is nobody to wait for.
    fn waits_at_gate(&self) -> bool {
        self.stands_since.is_some() && self.order.is_some_and(|order| !order.stays_closed)
    }

    /// This core goes on although the gate has not been opened.
    pub fn leave_gate(&mut self) {
        self.stands_since = None;
    }
}

impl Core {
    /// The cut.
    pub fn cut(&mut self, order: CutOrder) {
        let began = Instant::now();
        let usage = self.usage();
        let options =
            ChunkOptions { compress: self.live.rdbcompression == RdbCompression::Lzf, usage };
        let (mut lsn, mut keys, mut total, mut changes) = (0, 0, 0, None);
        if let Some(shard) = self.shard.as_mut() {
            (total, changes) = (shard.keyspace.len() as u64, shard.keyspace.changes());
            let scope = match order.purpose {
                Purpose::Dump | Purpose::Backup => Scope::All,
                Purpose::Base => Scope::Base,
                Purpose::Delta => Scope::Changes,
            };
            shard.begin_walk(scope, &options);
            lsn = shard.staging.last_lsn();
            keys = shard.walk_stats().map_or(0, |stats| stats.keys);
        }
        let parts = order.purpose.is_of_log();
        // A log that begins has nothing to part from.
        let begun = if parts { self.begin_log() } else { None };
        if parts && begun.is_none() {
            self.with_log(|log, staging, _, _| log.cut(staging));
        }
        let stats = &self.cell().stats;
        stats.walked.set(0);
        stats.copied_bytes.set(0);
        if let Some(shard) = self.shard.as_ref() {
            stats.changes.set(shard.stats.changes);
        }
        self.shared.saving.keys_total.fetch_add(keys, Ordering::Relaxed);
        self.walking = Walking {
            order: Some(order),
            stands_since: Some(began),
            is_parting: parts && begun.is_none() && self.log.is_some(),
            lsn,
            keys: total,
            changes,
            libraries: self.shared.libraries.generation(),
            functions: if self.id == 0 { self.library_texts() } else { Vec::new() },
            walks: true,
            has_more: true,
            work_us: WORK_US.0,
            rests_until: None,
            commands_seen: self.commands,
        };
        if self.live.no_appendfsync_on_rewrite {
            self.adopt_policy();
        }
        self.frozen = true;
        // Nobody waits for a report of a synced log.
        self.freeze_reported = true;
        // ORDER: this core's keys are cut before it counts itself in, and it executes nothing
        // until everybody has: an effect behind one core's cut cannot be the cause of one before
        // another's.
        let are_all = self.shared.gate.arrive(order.id, self.shards());
        if are_all && !order.stays_closed {
            for (peer, core) in self.shared.cores.iter().enumerate() {
                if peer != usize::from(self.id) {
                    core.mailbox.post(Control::GateOpen(order.id));
                }
            }
            self.gate_open(order.id);
        }
        if !self.walking.is_parting {
            self.report_cut(begun);
        }
    }

    /// Texts of the function libraries, for whoever writes them.
    pub(super) fn library_texts(&self) -> Vec<Box<[u8]>> {
        let shelf = self.shared.libraries.shelf();
        shelf.libraries().map(|library| library.source.clone()).collect()
    }

    /// How keys were used is worth its bytes when the policy goes by it.
    fn usage(&self) -> Usage {
        if !self.live.maxmemory_policy.goes_by_use() {
            return Usage::Unsaid;
        }
        let clock = self.shard.as_ref().map(|shard| shard.keyspace.clock().clone());
        Usage::By(clock.unwrap_or_default())
    }

    /// Goes by the policy that is in force now.
    pub fn adopt_policy(&mut self) {
        let policy = self.live.fsync_policies()[self.id as usize];
        let saving = &self.shared.saving;
        let is_saving = saving.dumps.is_running() || saving.bases.is_running();
        let spares = self.live.no_appendfsync_on_rewrite && is_saving;
        let policy = if spares { policy.sparing() } else { policy };
        self.with_log(|log, staging, _, _| {
            if log.policy() != policy {
                log.set_policy(policy, staging);
            }
        });
    }

    /// All cores have cut: go on.
    pub fn gate_open(&mut self, id: u64) {
        if self.walking.order.is_none_or(|order| order.id != id) {
            return;
        }
        let Some(since) = self.walking.stands_since.take() else { return };
        let us = since.elapsed().as_micros() as u64;
        let saving = &self.shared.saving;
        saving.cuts().add(us);
        saving.last_cut_us.fetch_max(us, Ordering::Relaxed);
        self.thaw(None);
    }

    fn report_cut(&self, position: Option<Position>) {
        let Walking { lsn, keys, changes, .. } = self.walking;
        let report = CutReport { shard: self.id, lsn, position, keys, changes };
        let Some(order) = self.walking.order else { return };
        self.shared.cores[0].mailbox.post(Control::CutDone(order.id, report));
    }

    /// End of turn, after the log was pumped: says when the log has gone on in its next segment.
    #[inline]
    pub fn after_cut(&mut self) {
        if self.walking.is_parting {
            self.report_parted();
        }
    }

    #[cold]
    fn report_parted(&mut self) {
        let Some(log) = self.log.as_ref() else { return };
        if log.is_rotating() || log.failed().is_some() {
            // A log that has failed is told of by others.
            return;
        }
        let position =
            Position { shard: self.id, last_lsn: self.walking.lsn, next: log.current().seq };
        self.walking.is_parting = false;
        self.report_cut(Some(position));
    }

    /// End of turn, when replies are on their way: walks on.
    #[inline]
    pub fn walk_on(&mut self) {
        if self.walking.walks && !self.walking.waits_at_gate() {
            self.walk_a_slice();
        }
    }

    #[cold]
    fn walk_a_slice(&mut self) {
        let Some(CutOrder { id, .. }) = self.walking.order else { return };
        let began = Instant::now();
        let is_busy = self.commands != self.walking.commands_seen;
        self.walking.commands_seen = self.commands;
        if is_busy && self.walking.rests_until.is_some_and(|until| began < until) {
            return;
        }
        if is_busy {
            // Nobody's reply waits for a slice.
            self.ring.submit_now();
        }
        let Some(shard) = self.shard.as_mut() else { return };
        let lead = &self.shared.leads[usize::from(self.id)];
        self.walking.has_more = false;
        if !lead.has_room() {
            return;
        }
        let walked = shard.walk_slice(self.walking.work_us);
        let mut is_empty = false;
        while lead.has_room() {
            match shard.take_chunk() {
                Some(chunk) => self.scribe.chunk(&self.shared, id, chunk),
                None => {
                    is_empty = true;
                    break;
                }
            }
        }
        let ended = Instant::now();
        self.walking.work_us = next_work_us(self.walking.work_us, ended - began);
        self.walking.rests_until = Some(ended + (ended - began) * REST);
        let stats = shard.walk_stats().unwrap_or_default();
        let own = &self.shared.cores[usize::from(self.id)].stats;
        own.walked.set(stats.walked + stats.copied);
        own.copied_bytes.set(stats.copied_bytes);
        let result = match walked {
            Walked::More | Walked::Full => {
                self.walking.has_more = is_empty || walked == Walked::More;
                // Whoever shares this CPU, another shard whose gate has opened or a client, does not
                // wait for a whole turn of the scheduler.
                std::thread::yield_now();
                return;
            }
            Walked::Done if !is_empty => {
                // The scribe wakes this core.
                return;
            }
            Walked::Done => Ok(stats),
            Walked::GivenUp => Err(None),
            Walked::Failed(unwritable) => Err(Some(unwritable.to_string())),
        };
        self.end_walk(id, result);
    }

    fn end_walk(&mut self, id: u64, result: Result<WalkStats, Option<String>>) {
        if let Some(shard) = self.shard.as_mut() {
            shard.abort_walk();
        }
        self.walking.walks = false;
        self.shared.cores[0].mailbox.post(Control::Walked(id, result));
    }

    /// The base of the last cut is in force: what has changed has changed since then.
    pub fn base_in_force(&mut self) {
        if let Some(shard) = self.shard.as_mut() {
            shard.keyspace.base_in_force();
        }
    }

    /// Nobody wants the snapshot any more.
    pub fn give_up_walk(&mut self, id: u64) {
        if self.walking.order.is_none_or(|order| order.id != id) {
            return;
        }
        self.gate_open(id);
        if let Some(shard) = self.shard.as_mut() {
            shard.abort_walk();
            shard.keyspace.base_failed();
        }
        self.walking = Walking::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_come_to_take_as_long_as_they_should_whatever_work_costs() {
        for us_of_work in [0.2, 1.0, 4.0] {
            let mut work_us = WORK_US.0;
            for _ in 0..10 {
                let took = Duration::from_secs_f64(work_us as f64 * us_of_work / 1e6);
                work_us = next_work_us(work_us, took);
            }
            let took = Duration::from_secs_f64(work_us as f64 * us_of_work / 1e6);
            assert!(took > SLICE / 2 && took < SLICE * 3 / 2, "{us_of_work}: {took:?}");
        }
    }

    #[test]
    fn one_interrupted_slice_does_not_stop_the_walk() {
        let mut work_us = 40;
        work_us = next_work_us(work_us, Duration::from_secs(1));
        assert_eq!(work_us, 20);
        for _ in 0..20 {
            work_us = next_work_us(work_us, Duration::from_secs(1));
        }
        assert_eq!(work_us, WORK_US.1);
    }
}
