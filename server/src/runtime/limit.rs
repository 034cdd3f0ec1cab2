//! `maxmemory` on a core: what its shard is told of the limit, and the end of a turn, when memory
//! that grew by what was no write of this shard is brought back.

use super::{core::Core, shared::Shared};
use crate::{
    config::Config,
    observe::{account, latency::Event},
};
use quire_engine::{
    keyspace::{Keyspace, Tracking},
    shard::{EvictionPolicy, Limit, Meter, Relief},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Most keys sampled for one eviction, whatever `maxmemory-samples` says: beyond that sampling
/// is as good as exact.
const SAMPLES_MAX: u32 = 1024;

/// How long one turn frees what has been removed.
const TRASH_SLICE: Duration = Duration::from_micros(100);

/// The process' memory as one shard sees it.
struct ProcessMeter {
    shared: Arc<Shared>,
    id: u16,
}

impl Meter for ProcessMeter {
    fn used(&self, _keyspace: &Keyspace) -> u64 {
        account::limited()
    }

    fn clock_us(&self) -> u64 {
        self.shared.started.elapsed().as_micros() as u64
    }

    fn others_can_evict(&self, policy: EvictionPolicy) -> bool {
        let evictable = |stats: &super::shared::CoreStats| {
            let counters = if policy.is_volatile() { &stats.expires } else { &stats.keys };
            counters.iter().any(|counter| counter.get() > 0)
        };
        policy != EvictionPolicy::NoEviction
            && (0..)
                .zip(&self.shared.cores)
                .any(|(id, core)| id != self.id && evictable(&core.stats))
    }

    fn note_over(&mut self, is_over: bool) {
        self.shared.over_limit.note(is_over, Instant::now());
    }
}

/// What is kept about the use of keys.
pub fn tracking(config: &Config) -> Tracking {
    if config.maxmemory_policy.counts_uses() {
        Tracking::Frequency {
            log_factor: config.lfu_log_factor,
            decay_minutes: config.lfu_decay_time,
        }
    } else {
        Tracking::Time
    }
}

fn limit_of(config: &Config) -> Limit {
    Limit {
        bytes: config.maxmemory,
        policy: config.maxmemory_policy,
        samples: config.maxmemory_samples.min(SAMPLES_MAX) as usize,
        tenacity: config.maxmemory_eviction_tenacity,
        tracking: tracking(config),
        shards: u64::from(config.shards),
    }
}

impl Core {
    /// Gives a shard that opens its meter and limit.
    pub fn limit_shard(&mut self) {
        let meter = ProcessMeter { shared: Arc::clone(&self.shared), id: self.id };
        if let Some(shard) = self.shard.as_mut() {
            shard.set_meter(Box::new(meter));
        }
        self.limit_changed();
    }

    /// Brings the shard's limit in line with the settings.
    pub fn limit_changed(&mut self) {
        let limit = limit_of(&self.live);
        if let Some(shard) = self.shard.as_mut() {
            shard.set_limit(limit, self.now_ms);
        }
    }

    /// End of turn: evicts if the limit does not hold, and calls other shards to when writes
    /// found nothing to evict here.
    pub fn keep_limit(&mut self) {
        self.evicting = false;
        if self.live.maxmemory == 0 || self.frozen {
            return;
        }
        let Some(shard) = self.shard.as_mut() else { return };
        let evicted = shard.stats.evicted_keys;
        let started = Instant::now();
        self.evicting = shard.evict_slice() == Relief::Unfinished;
        if shard.stats.evicted_keys != evicted {
            self.note_latency(Event::EvictionCycle, started.elapsed());
        }
        let Some(shard) = self.shard.as_mut() else { return };
        if shard.take_wants_help() {
            // Its own doorbell is silent: this core is awake.
            (0..self.shards()).for_each(|peer| self.ring_doorbell(peer));
        }
    }

    /// True when something has been removed whose memory is not free yet.
    #[inline]
    pub fn has_trash(&self) -> bool {
        self.shard.as_ref().is_some_and(|shard| !shard.keyspace.trash().is_empty())
    }

    /// End of turn: frees some of what has been removed.
    #[inline]
    pub fn free_trash(&mut self) {
        if self.has_trash() {
            self.free_slice();
        }
    }

    #[cold]
    fn free_slice(&mut self) {
        let Some(shard) = self.shard.as_mut() else { return };
        let started = Instant::now();
        while shard.keyspace.free_piece() && started.elapsed() < TRASH_SLICE {}
    }
}
