//! `appendfsync-shard`: an fsync policy for some shards.
//!
//! Written as `<list>/<shards> <policy>`, for example `0,2-3/8 always`: shards 0, 2 and 3 of 8.
//! The number of shards is part of it because which keys a shard owns hangs on that number: with
//! another one the directive would silently protect other keys, so it is refused instead.

use quire_engine::aof::FsyncPolicy;
use std::fmt;

/// A policy for some of the shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardPolicy {
    /// First and last shard of each run, both included.
    pub ranges: Vec<(u32, u32)>,
    /// The number of shards this was written for.
    pub shards: u32,
    /// The policy.
    pub policy: FsyncPolicy,
}

impl ShardPolicy {
    /// From `<list>/<shards>` and the name of a policy.
    ///
    /// # Errors
    /// A sentence saying what is wrong and how it should look.
    pub fn parse(place: &str, policy: &str) -> Result<Self, String> {
        let shape = || format!("'{place}' must be <list>/<number of shards>, as in 0,2-3/8");
        let (list, shards) = place.split_once('/').ok_or_else(shape)?;
        let shards: u32 = shards.parse().map_err(|_| shape())?;
        let mut ranges = Vec::new();
        for part in list.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let first: u32 = first.parse().map_err(|_| shape())?;
            let last: u32 = last.parse().map_err(|_| shape())?;
            if first > last || last >= shards {
                return Err(format!(
                    "'{part}' is not among the shards 0-{} of {shards}",
                    shards.saturating_sub(1)
                ));
            }
            ranges.push((first, last));
        }
        let position = FsyncPolicy::NAMES.iter().position(|name| name.eq_ignore_ascii_case(policy));
        match position {
            Some(index) => Ok(Self { ranges, shards, policy: FsyncPolicy::ALL[index] }),
            None => Err(format!(
                "'{policy}' must be one of the following: {}",
                FsyncPolicy::NAMES.join(", ")
            )),
        }
    }
}

impl fmt::Display for ShardPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.ranges.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            write!(f, "{first}")?;
            if last > first {
                write!(f, "-{last}")?;
            }
        }
        write!(f, "/{} {}", self.shards, self.policy.name())
    }
}

/// Refuses what was written for another number of shards.
pub(super) fn check(policies: &[ShardPolicy], shards: u32) -> Result<(), String> {
    match policies.iter().find(|policy| policy.shards != shards) {
        None => Ok(()),
        Some(policy) => Err(format!(
            "'{policy}' was written for {} shards, but there are {shards}: keys live on other \
             shards now, so decide anew which ones it is for (or set shards {})",
            policy.shards, policy.shards
        )),
    }
}

/// The policy of every shard; later entries over earlier ones.
pub(super) fn of_each_shard(
    common: FsyncPolicy,
    policies: &[ShardPolicy],
    shards: u32,
) -> Vec<FsyncPolicy> {
    (0..shards)
        .map(|shard| {
            let holds = |p: &&ShardPolicy| p.ranges.iter().any(|r| (r.0..=r.1).contains(&shard));
            policies.iter().rev().find(holds).map_or(common, |p| p.policy)
        })
        .collect()
}
