//! What a core does a few times a second: expiry, idle clients, output limits, figures.

use super::core::Core;
use crate::{
    dispatch::table,
    net::connection::Connection,
    observe::{latency::Event, memory::note_peak},
};
use quire_engine::command::ErrorCounts;
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

/// Keys the active expiry may delete per tick and per round before clients get their turn.
const EXPIRE_KEYS: usize = 400;

/// Clients per tick above which `dynamic-hz` has ticks come more often, as in Redis.
const CLIENTS_PER_TICK: usize = 200;
/// What a write is refused with while RDB files cannot be written: Redis' text.
const NOT_SAVED: &str = "MISCONF Redis is configured to save RDB snapshots, but it's currently \
    unable to persist to disk. Commands that may modify the data set are disabled, because this \
    instance is configured to report errors during writes if RDB snapshotting fails \
    (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB \
    error.";

/// Most ticks a second.
const HZ_MAX: u32 = 500;

/// `hz`, doubled under `dynamic-hz` until no tick has too many clients to look after.
fn effective_hz(hz: u32, is_dynamic: bool, clients: usize) -> u32 {
    let mut hz = hz.clamp(1, HZ_MAX);
    while is_dynamic && clients / hz as usize > CLIENTS_PER_TICK && hz < HZ_MAX {
        hz = (hz * 2).min(HZ_MAX);
    }
    hz
}

impl Core {
    /// How often this core ticks now.
    pub fn ticks_per_second(&self) -> u32 {
        let clients = self.conns.len() - self.free.len();
        effective_hz(self.live.hz, self.live.dynamic_hz, clients)
    }

    /// Has the log say when commits are made, or not.
    pub fn tell_second(&mut self) {
        let second = self.live.aof_timestamp_enabled.then_some((self.now_ms / 1000) as u32);
        if let Some(shard) = self.shard.as_mut() {
            shard.staging.set_second(second);
        }
    }

    /// One tick.
    pub fn tick(&mut self) {
        if let Some(shard) = self.shard.as_mut()
            && !self.frozen
            && self.expires_actively
            && self.watch.pause.is_none()
        {
            let started = Instant::now();
            shard.expire_cycle(self.now_ms, EXPIRE_KEYS);
            let time = started.elapsed();
            self.cell().stats.expire_us.add(time.as_micros() as u64);
            self.note_latency(Event::ExpireCycle, time);
        }
        self.tell_second();
        self.check_clients();
        self.publish_figures();
        self.check_saving();
        let cell = self.cell();
        cell.rates.sample(self.now, [cell.stats.commands.get(), cell.stats.commits.get()]);
        if self.id == 0 {
            self.next_checkpoint();
            note_peak();
            let shared = &self.shared;
            let sums = [
                shared.sum(|s| &s.commands),
                shared.sum(|s| &s.net_in),
                shared.sum(|s| &s.net_out),
            ];
            shared.rates.sample(self.now, sums);
        }
    }

    /// What snapshots mean for this core's log: writes are refused while they fail
    /// (`stop-writes-on-bgsave-error`), syncs spared while one is written.
    fn check_saving(&mut self) {
        let refuses = self.live.stop_writes_on_bgsave_error
            && !self.live.save_points().is_empty()
            && self.shared.saving.dumps.failed.load(Ordering::Relaxed);
        if let Some(shard) = self.shard.as_mut() {
            shard.staging.set_refusal(refuses.then_some(NOT_SAVED));
        }
        if self.live.no_appendfsync_on_rewrite {
            self.adopt_policy();
        }
    }

    /// Closes clients that are idle too long or do not read their replies.
    fn check_clients(&mut self) {
        let timeout = Duration::from_secs(u64::from(self.live.timeout));
        let limit = self.live.client_output_buffer_limit[0];
        let limited = limit.hard_bytes > 0 || limit.soft_bytes > 0;
        if timeout.is_zero() && !limited {
            return;
        }
        for index in 0..self.conns.len() {
            let Some(mut conn) = self.conns[index].take() else { continue };
            let idle_ms = (self.now_ms - conn.session.last_ms).max(0) as u64;
            let blocked = conn.parked == crate::net::connection::Parked::Blocked;
            if !timeout.is_zero() && u128::from(idle_ms) > timeout.as_millis() && !blocked {
                tracing::debug!("Closing idle client id={}", conn.session.id);
                self.begin_close(&mut conn);
            } else if limited && self.over_output_limit(&mut conn) {
                tracing::warn!(
                    "Client id={} closed for overcoming of output buffer limits ({} bytes)",
                    conn.session.id,
                    conn.out.bytes()
                );
                self.begin_close(&mut conn);
            }
            self.put_back(conn);
        }
    }

    fn over_output_limit(&self, conn: &mut Connection) -> bool {
        let limit = self.live.client_output_buffer_limit[0];
        let bytes = conn.out.bytes() + conn.held.len();
        if limit.hard_bytes > 0 && bytes > limit.hard_bytes as usize {
            return true;
        }
        if limit.soft_bytes == 0 || bytes <= limit.soft_bytes as usize {
            conn.soft_limit_since = None;
            return false;
        }
        let since = *conn.soft_limit_since.get_or_insert(self.now);
        self.now.duration_since(since) >= Duration::from_secs(limit.soft_seconds)
    }

    /// Key counts by database, for DBSIZE-like figures and global operations.
    pub fn publish_key_counts(&self) {
        let Some(shard) = self.shard.as_ref() else { return };
        let stats = &self.cell().stats;
        for db in 0..shard.keyspace.databases() {
            stats.keys[db].set(shard.keyspace.db(db).len() as u64);
            stats.expires[db].set(shard.keyspace.db(db).with_deadline() as u64);
            stats.table_bytes[db].set(shard.keyspace.db(db).table_memory_bytes() as u64);
            stats.deadline_bytes[db].set(shard.keyspace.db(db).deadline_memory_bytes() as u64);
        }
    }

    /// Error replies of this core's shard, and of commands that did not reach one.
    pub fn error_counts(&self) -> ErrorCounts {
        let mut counts = self.errors.clone();
        if let Some(shard) = self.shard.as_ref() {
            counts.merge(&shard.stats.errors);
        }
        counts
    }

    /// What takes more than a number, for whoever asked; `histograms` of commands too if wanted.
    pub fn report(&mut self, histograms: bool) {
        self.publish_figures();
        let cell = self.cell();
        let mut report = cell.report();
        report.errors = self.error_counts();
        self.timings.report(&mut report.commands, histograms);
        if let Some(shard) = self.shard.as_ref() {
            for (totals, name) in report.commands.totals.iter_mut().zip(table::names()) {
                let count = |errors: &ErrorCounts| errors.of(name);
                totals.failed += count(&shard.stats.failed);
                // A command the log does not admit was not executed.
                let refused = count(&shard.stats.refused);
                totals.rejected += refused;
                totals.calls -= refused.min(totals.calls);
            }
            for db in 0..shard.keyspace.databases() {
                let left_ms = shard.keyspace.db(db).mean_time_left_ms(self.now_ms);
                cell.stats.time_left_ms[db].set(left_ms);
            }
        }
        if let Some(log) = self.log.as_ref() {
            report.syncs = log.stats().sync_us.clone();
        }
    }

    /// Everything INFO shows of this core.
    pub fn publish_figures(&mut self) {
        self.publish_key_counts();
        let gated = self.gated.len() as u64;
        if let Some(scripting) = self.scripting.as_mut() {
            let (eval, functions) = (scripting.eval_bytes(), scripting.function_bytes());
            self.cell().stats.eval_bytes.set(eval);
            self.cell().stats.function_bytes.set(functions);
        }
        let (mut client_bytes, mut largest_client) = (0, 0);
        let (mut largest_input, mut largest_output, mut timed) = (0, 0, 0);
        for conn in self.conns.iter().flatten() {
            let (input, out) = (conn.input.capacity() as u64, conn.out.bytes() as u64);
            let bytes = conn.memory_bytes() as u64;
            client_bytes += bytes;
            if !conn.session.no_evict && !conn.closing {
                largest_client = bytes.max(largest_client);
            }
            timed += u64::from(conn.aof_wait.as_ref().is_some_and(|w| w.deadline.is_some()));
            timed += u64::from(conn.blocked.as_ref().is_some_and(|b| b.has_deadline()));
            largest_input = largest_input.max(input);
            largest_output = largest_output.max(out);
        }
        let stats = &self.cell().stats;
        stats.gated.set(gated);
        stats.client_bytes.set(client_bytes);
        stats.largest_client.set(largest_client);
        stats.timed.set(timed);
        stats.largest_input.set(largest_input);
        stats.largest_output.set(largest_output);
        stats.reads.set(self.reads);
        stats.turns.set(self.turn);
        stats.enters.set(self.ring.enters);
        stats.commands.set(self.commands);
        stats.errors.set(self.error_counts().total());
        if let Some(shard) = self.shard.as_ref() {
            stats.hits.set(shard.stats.keyspace_hits);
            stats.misses.set(shard.stats.keyspace_misses);
            stats.expired.set(shard.stats.expired_keys);
            stats.evicted.set(shard.stats.evicted_keys);
            stats.lazily_freed.set(shard.keyspace.trash().freed());
            stats.lazily_pending.set(shard.keyspace.trash().pending());
            stats.changes.set(shard.stats.changes);
            let changes = shard.keyspace.changes();
            stats.changes_unknown.set(u64::from(changes.is_none()));
            let changes = changes.unwrap_or_default();
            stats.changed_keys.set(changes.keys as u64);
            stats.gone_bytes.set(changes.names_bytes as u64);
            stats.last_lsn.set(shard.staging.last_lsn());
            stats.staged.set(shard.staging.staged_bytes() as u64);
            stats.reserved.set(shard.staging.reserved());
        }
        if let Some(log) = self.log.as_ref() {
            let figures = log.stats();
            stats.commits.set(figures.commits);
            stats.batches.set(figures.batches);
            stats.log_bytes.set(figures.bytes);
            stats.syncs.set(figures.syncs);
            stats.last_sync_us.set(figures.last_sync_us);
            stats.max_sync_us.set(figures.longest_sync_us);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_clients_make_ticks_come_more_often_if_they_may() {
        assert_eq!(effective_hz(10, true, 2000), 10);
        assert_eq!(effective_hz(10, true, 2010), 20);
        assert_eq!(effective_hz(10, false, 1_000_000), 10);
        assert_eq!(effective_hz(10, true, 1_000_000), 500);
        assert_eq!(effective_hz(0, true, 0), 1);
    }
}
