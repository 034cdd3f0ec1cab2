//! Staying within `maxmemory`: when a write may take memory, and which keys make room for it.
//!
//! The limit is one for the whole process; a [`Meter`] says how much of it is used. A shard asks
//! the meter seldom: what it finds free it grants itself as **room**, in portions, and writes
//! spend the room by the size of their arguments. So the hot path is a subtraction, and the limit
//! is missed by no more than a portion per shard. A write that finds no room left evicts keys of
//! its shard until the limit holds, or, when that takes too long
//! (`maxmemory-eviction-tenacity`), runs all the same and leaves the rest to
//! [`Shard::evict_slice`] at the end of the turn.
//!
//! An evicted key is logged as a deletion in a batch of its own that no reply waits for; readers
//! who find the key absent wait for it like for any other. Without room in the log nothing is
//! evicted: the deletion could not be made to last.
//!
//! Does not know: what is counted as memory, other shards, clients.

mod policy;
mod pool;

#[cfg(test)]
mod tests;

pub use policy::EvictionPolicy;

use super::Shard;
use crate::{
    command::{CommandError, EFFECT_FRAME_BYTES},
    effect::Effect,
    keyspace::{Keyspace, Tracking},
};
use policy::Choice;
use pool::{Pool, Wish};

/// Largest portion of room that a shard grants itself, bytes.
const PORTION: u64 = 64 * 1024;
/// Once over the limit, this part of it is freed beyond what is needed, so that not every write
/// comes here.
const SLACK_SHARE: u64 = 1024;
/// Most of that, bytes.
const SLACK_MAX: u64 = PORTION;
/// Above the limit by this part of it, not even keys of other shards that could be evicted let a
/// write through.
const OVERSHOOT_SHARE: u64 = 50;
/// Keys evicted and pieces freed between two looks at the clock.
const STEPS_PER_LOOK: u64 = 16;
/// Room in the log for the deletion of one key of usual length, bytes.
/// LIMIT: keys may be longer; the log keeps a reserve for what a deletion needs.
const DELETION_BYTES: usize = EFFECT_FRAME_BYTES + 1024;

/// What is true of the process' memory, for all shards.
pub trait Meter: Send {
    /// Bytes that count against the limit; `keyspace` is the asking shard's.
    fn used(&self, keyspace: &Keyspace) -> u64;
    /// A clock that never goes back, microseconds.
    fn clock_us(&self) -> u64;
    /// True when other shards have keys that may be evicted.
    fn others_can_evict(&self, policy: EvictionPolicy) -> bool;
    /// This shard could not bring the process within the limit, or sees that it holds again.
    fn note_over(&mut self, is_over: bool);
}

/// Unlimited memory.
struct Boundless;

impl Meter for Boundless {
    fn used(&self, _keyspace: &Keyspace) -> u64 {
        0
    }

    fn clock_us(&self) -> u64 {
        0
    }

    fn others_can_evict(&self, _policy: EvictionPolicy) -> bool {
        false
    }

    fn note_over(&mut self, _is_over: bool) {}
}

/// The directives about the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// `maxmemory`, bytes; 0 = none.
    pub bytes: u64,
    /// `maxmemory-policy`.
    pub policy: EvictionPolicy,
    /// `maxmemory-samples`.
    pub samples: usize,
    /// `maxmemory-eviction-tenacity`, 0 to 100.
    pub tenacity: u32,
    /// What the policy needs to know of the use of keys.
    pub tracking: Tracking,
    /// Shards that share the limit.
    pub shards: u64,
}

impl Default for Limit {
    fn default() -> Self {
        Self {
            bytes: 0,
            policy: EvictionPolicy::NoEviction,
            samples: 5,
            tenacity: 10,
            tracking: Tracking::Time,
            shards: 1,
        }
    }
}

impl Limit {
    /// How long one eviction may take, microseconds: Redis' curve.
    fn slice_us(&self) -> u64 {
        match self.tenacity {
            low @ 0..=10 => 50 * u64::from(low),
            high @ 11..=99 => (500.0 * 1.15f64.powi(high as i32 - 10)) as u64,
            _ => u64::MAX,
        }
    }

    /// Where an eviction ends, bytes.
    fn target(&self) -> u64 {
        self.bytes - (self.bytes / SLACK_SHARE).min(SLACK_MAX)
    }
}

/// What an eviction has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relief {
    /// The limit holds.
    Held,
    /// It does not yet: time was up.
    Unfinished,
    /// It does not, and this shard has nothing (more) to evict.
    Nothing,
}

/// One shard's view of the limit.
pub(super) struct Eviction {
    limit: Limit,
    meter: Box<dyn Meter>,
    /// Bytes that writes may take before the meter is asked again.
    room: i64,
    pool: Pool,
    /// The meter has been told that the limit does not hold.
    is_over: bool,
    /// A write found nothing to evict here.
    wants_help: bool,
}

impl Default for Eviction {
    fn default() -> Self {
        Self {
            limit: Limit::default(),
            meter: Box::new(Boundless),
            room: i64::MAX,
            pool: Pool::default(),
            is_over: false,
            wants_help: false,
        }
    }
}

impl Eviction {
    pub(super) fn limit(&self) -> &Limit {
        &self.limit
    }

    /// Takes `bytes` from the room; false when it is used up.
    #[inline]
    pub(super) fn spend(&mut self, bytes: usize) -> bool {
        self.room -= bytes as i64;
        self.room >= 0
    }

    /// Portions out what is free.
    fn grant(&mut self, used: u64) {
        let free = self.limit.bytes.saturating_sub(used) / self.limit.shards.max(1);
        self.room = free.min(PORTION) as i64;
    }

    /// Notes whether the limit holds, as far as evicting could bring that about.
    fn note(&mut self, holds: bool) {
        if self.is_over == holds {
            self.is_over = !holds;
            self.meter.note_over(!holds);
        }
    }
}

impl Shard {
    /// Sets the source of [`Meter::used`]; without one there is no limit.
    pub fn set_meter(&mut self, meter: Box<dyn Meter>) {
        self.eviction.meter = meter;
    }

    /// Sets limit and policy.
    pub fn set_limit(&mut self, limit: Limit, now_ms: i64) {
        if limit.policy != self.eviction.limit.policy {
            self.eviction.pool.clear();
        }
        self.eviction.limit = limit;
        self.eviction.room = if limit.bytes == 0 { i64::MAX } else { 0 };
        if limit.bytes == 0 {
            self.eviction.note(true);
        }
        self.advance_clock(now_ms);
    }

    /// Says what is kept about the use of keys, before there is a limit: while they are loaded.
    pub fn track(&mut self, tracking: Tracking, now_ms: i64) {
        self.eviction.limit.tracking = tracking;
        self.advance_clock(now_ms);
    }

    /// Takes memory that is held by something else than keys from the room of the next writes:
    /// they look at the meter the sooner.
    #[inline]
    pub fn spend_room(&mut self, bytes: usize) {
        self.eviction.spend(bytes);
    }

    /// True, once, after writes found nothing to evict here that other shards may have.
    pub fn take_wants_help(&mut self) -> bool {
        std::mem::take(&mut self.eviction.wants_help)
    }

    /// Room for a write that has none: from what is free, or by evicting.
    ///
    /// # Errors
    /// Redis' `-OOM` when there is none and the command must not run without.
    #[cold]
    #[inline(never)]
    pub(super) fn make_room(&mut self, deny_oom: bool) -> Result<(), CommandError> {
        match self.relieve() {
            Relief::Held | Relief::Unfinished => Ok(()),
            Relief::Nothing if !deny_oom => Ok(()),
            Relief::Nothing => {
                let Eviction { limit, meter, .. } = &self.eviction;
                let most = limit.bytes + limit.bytes / OVERSHOOT_SHARE;
                if meter.others_can_evict(limit.policy) && meter.used(&self.keyspace) <= most {
                    self.eviction.wants_help = true;
                    return Ok(());
                }
                Err(CommandError::OUT_OF_MEMORY)
            }
        }
    }

    /// Evicts for a slice of time if the limit does not hold. For the end of a turn: memory also
    /// grows by what is no write of this shard.
    pub fn evict_slice(&mut self) -> Relief {
        if self.eviction.limit.bytes == 0 { Relief::Held } else { self.relieve() }
    }

    /// Whether a command that must not run out of memory may be split over shards: true unless
    /// the limit does not hold and nothing can be evicted. Its parts run as [`Shard::is_part`].
    pub fn has_memory(&mut self) -> bool {
        self.eviction.limit.bytes == 0 || self.make_room(true).is_ok()
    }

    fn relieve(&mut self) -> Relief {
        let used = self.eviction.meter.used(&self.keyspace);
        let limit = self.eviction.limit;
        if limit.bytes == 0 || used <= limit.bytes {
            self.eviction.note(true);
            if limit.bytes > 0 {
                self.eviction.grant(used);
            }
            return Relief::Held;
        }
        let relief = self.evict_down(used);
        self.eviction.note(relief == Relief::Held);
        if relief == Relief::Held {
            let used = self.eviction.meter.used(&self.keyspace);
            self.eviction.grant(used);
        } else {
            self.eviction.room = 0;
        }
        relief
    }

    /// Frees what has been removed already, then evicts, until the target is reached, time is up,
    /// or nothing is left.
    fn evict_down(&mut self, mut used: u64) -> Relief {
        let limit = self.eviction.limit;
        let started_us = self.eviction.meter.clock_us();
        let mut steps = 0;
        while used > limit.target() {
            let mut excess = (used - limit.target()) as i64;
            while excess > 0 {
                if self.keyspace.free_piece() {
                    // Nobody knows how much it was.
                    excess = 0;
                } else {
                    let Some(bytes) = self.evict_one() else { return Relief::Nothing };
                    excess -= bytes as i64;
                }
                steps += 1;
                if steps % STEPS_PER_LOOK == 0
                    && self.eviction.meter.clock_us() - started_us > limit.slice_us()
                {
                    let used = self.eviction.meter.used(&self.keyspace);
                    return if used <= limit.bytes { Relief::Held } else { Relief::Unfinished };
                }
            }
            used = self.eviction.meter.used(&self.keyspace);
        }
        Relief::Held
    }

    /// Evicts one key; its bytes, None when there is none or the log has no room.
    fn evict_one(&mut self) -> Option<usize> {
        let Self {
            eviction: Eviction { limit, pool, .. },
            keyspace,
            lazy,
            random,
            staging,
            stats,
            watches,
            ..
        } = self;
        let choice = limit.policy.choice();
        if matches!(choice, Choice::None) {
            return None;
        }
        let wish = Wish { choice, is_volatile: limit.policy.is_volatile(), samples: limit.samples };
        loop {
            // ORDER: before the key is removed: a deletion that cannot be logged would bring the
            // old value back after a restart.
            staging.admit(DELETION_BYTES).ok()?;
            let candidate = pool.next(keyspace, random, wish)?;
            let clock = keyspace.clock().clone();
            // A candidate that was used after it was sampled is none any more.
            let still = |entry: crate::keyspace::Entry<'_>| match choice {
                Choice::Best(score) => score(&clock, &entry) >= candidate.score,
                Choice::Any | Choice::Ending | Choice::None => true,
            };
            let mut log = |key: &[u8], hash| {
                staging.begin();
                watches.changed(candidate.db, hash);
                staging.touch_write(hash);
                staging.push(candidate.db as u16, Effect::Del { key });
                staging.end();
            };
            let evicted = keyspace.with_db(candidate.db, lazy.eviction, |database| {
                database.evict(candidate.key, still, &mut log)
            });
            if let Some(bytes) = evicted {
                stats.evicted_keys += 1;
                return Some(bytes);
            }
        }
    }
}
