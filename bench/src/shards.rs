//! Each shard of a running Quire for itself: the same load on keys of one shard after the other,
//! in turns, so that the fsync policies of shards can be compared.
//!
//! INFO's section `shards` says how many there are and each one's policy (`shard0:..,fsync=..`).
//! A key's slot is CRC16(key) mod 16384 as in Redis Cluster; 64 slots are a group; shard i of n
//! owns the groups g with g * n / 256 = i.

use std::{io, net::SocketAddr};

use quire_engine::slot;

use crate::{
    client::Client,
    environment,
    json::Json,
    load::{Keys, Order, Role},
    measure::{self, Sample, Settings},
    report::{self, RowResult},
    rounds::{self, Rounds},
    target::Target,
};

/// Everything this needs to know.
#[derive(Debug)]
pub struct Plan {
    /// The server.
    pub addr: SocketAddr,
    /// The shards that are measured; all, if there are none.
    pub only: Vec<usize>,
    /// What is asked of each; `keys.count` is the number of keys per shard.
    pub role: Role,
    /// How often.
    pub rounds: Rounds,
    /// How to measure.
    pub settings: Settings,
}

/// One shard as INFO describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Its number.
    pub number: usize,
    /// Its fsync policy.
    pub policy: String,
    /// The CPU it is pinned to, `any` if it is not.
    pub cpu: String,
}

/// Reads lines such as `shard0:cpu=0,..,fsync=always,..`.
fn read_shards<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<Shard> {
    fields
        .filter_map(|(name, value)| {
            let number = name.strip_prefix("shard")?.parse().ok()?;
            let part = |wanted: &str| {
                let mut parts = value.split(',').filter_map(|part| part.split_once('='));
                parts.find_map(|(name, value)| (name == wanted).then(|| value.to_owned()))
            };
            let unknown = || "unknown".to_owned();
            let policy = part("fsync").unwrap_or_else(unknown);
            Some(Shard { number, policy, cpu: part("cpu").unwrap_or_else(unknown) })
        })
        .collect()
}

/// The shard of `shards` that owns the key with this number.
fn owner(number: u64, shards: usize) -> usize {
    let key = format!("key:{number:012}");
    slot::shard_of_group(slot::group_of_slot(slot::slot_of(key.as_bytes())), shards)
}

/// The first `count` keys of one shard.
fn keys_of(shard: usize, shards: usize, count: u64, order: Order) -> Keys {
    let numbers = (0..).filter(|&number| owner(number, shards) == shard);
    Keys::listed(numbers.take(count as usize).collect(), order)
}

impl Plan {
    /// Measures every shard.
    ///
    /// # Errors
    /// When the server cannot be reached, has no shards or not those, or the load fails.
    pub fn run(&self) -> io::Result<(RowResult, Json)> {
        let target = Target::at(self.addr)?;
        let info = Client::connect(self.addr)?.info("shards")?;
        let all = read_shards(info.lines());
        if all.is_empty() {
            return Err(io::Error::other(format!(
                "{} ({}) has no section `shards` in INFO: this needs a Quire server",
                self.addr,
                target.version()
            )));
        }
        if let Some(missing) = self.only.iter().find(|n| **n >= all.len()) {
            let last = all.len() - 1;
            return Err(io::Error::other(format!("no shard {missing}: they are 0 to {last}")));
        }
        let chosen = |s: &&Shard| self.only.is_empty() || self.only.contains(&s.number);
        let shards: Vec<&Shard> = all.iter().filter(chosen).collect();
        let bar = rounds::progress(shards.len() * self.rounds.runs);
        let mut roles = Vec::new();
        for shard in &shards {
            bar.set_message(format!("shard {} is filled", shard.number));
            let mut role = self.role.clone();
            role.keys = keys_of(shard.number, all.len(), role.keys.count, role.keys.order);
            for mix in crate::catalog::fillings(&role.mix).map_err(io::Error::other)? {
                measure::fill(&target, &role, &mix, &self.settings)?;
            }
            roles.push(role);
        }
        let measure = |index: usize| {
            bar.set_message(format!("shard {}", shards[index].number));
            measure::under_load(&target, &roles[index..=index], &self.settings)
        };
        let measured = |_, _, _: &Sample| {
            bar.inc(1);
            Ok(())
        };
        let samples = self.rounds.interleave(shards.len(), measure, measured)?;
        bar.finish_and_clear();
        let name = crate::run::name_of(&self.role.mix, self.role.pipeline);
        let title = |s: &&Shard| format!("shard {} {}", s.number, s.policy);
        let described = |s: &Shard| {
            Json::object([
                ("shard", Json::Count(s.number as u64)),
                ("fsync", Json::text(&s.policy)),
                ("cpu", Json::text(&s.cpu)),
            ])
        };
        let more = [
            ("address".to_owned(), Json::text(self.addr.to_string())),
            ("version".to_owned(), Json::text(target.version())),
            ("shards".to_owned(), Json::List(all.iter().map(described).collect())),
        ];
        let row = RowResult {
            name,
            subjects: shards.iter().map(title).collect(),
            ratios: (1..shards.len()).map(|index| (index, 0)).collect(),
            goals: Vec::new(),
            samples,
        };
        Ok((row, environment::describe(None).with(more)))
    }
}

/// For programs: one object.
pub fn json(row: &RowResult, environment: Json) -> Json {
    Json::object([("environment", environment), ("rows", report::json(std::slice::from_ref(row)))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_and_their_policies_are_read_whatever_else_is_in_the_line() {
        let lines = [
            ("shard0", "cpu=0,clients=1,keys=0,fsync=always,lsn=0,written=0,synced=0"),
            ("shard1", "cpu=any,ops_per_sec=7,fsync=everysec"),
            ("shards", "2"),
            ("shard2", "keys=1"),
        ];
        let shard = |number, policy: &str, cpu: &str| {
            let (policy, cpu) = (policy.to_owned(), cpu.to_owned());
            Shard { number, policy, cpu }
        };
        assert_eq!(
            read_shards(lines.into_iter()),
            [shard(0, "always", "0"), shard(1, "everysec", "any"), shard(2, "unknown", "unknown")]
        );
    }

    #[test]
    fn keys_of_a_shard_are_its_own_and_the_shards_share_all_keys() {
        for shards in [1, 3, 4] {
            let mut all: Vec<u64> = (0..shards)
                .flat_map(|shard| {
                    let keys = keys_of(shard, shards, 300, Order::Uniform);
                    assert_eq!(keys.count, 300);
                    keys.listed.expect("numbers").to_vec()
                })
                .collect();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), shards * 300, "no key has two owners");
        }
    }
}
