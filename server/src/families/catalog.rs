//! Every command of the server in one shape, whoever executes it: what COMMAND shows.
//!
//! The engine's rows and the server's rows differ only in what they run. ACL categories follow
//! from flags and group, as in Redis, plus those a row names.

use super::{ServerSpec, all};
use crate::dispatch::table::{is_callable, own_name};
use quire_engine::{
    command::{Args, CommandSpec, Flags, Group, KeySpec},
    families::table,
};

/// One command or sub-command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    /// Name, lower case; sub-commands as `config|get`.
    pub name: &'static str,
    /// Redis' arity.
    pub arity: i16,
    /// Flags.
    pub flags: Flags,
    /// Keys.
    pub keys: KeySpec,
    /// Group.
    pub group: Group,
    /// First Redis version that has it.
    pub since: &'static str,
    /// Complexity.
    pub complexity: &'static str,
    /// One sentence.
    pub summary: &'static str,
    acl: &'static [&'static str],
    source: Source,
}

#[derive(Debug, Clone, Copy)]
enum Source {
    Engine,
    Server(&'static [ServerSpec]),
}

/// Every ACL category, in Redis' order.
const CATEGORIES: [&str; 21] = [
    "@keyspace",
    "@read",
    "@write",
    "@set",
    "@sortedset",
    "@list",
    "@hash",
    "@string",
    "@bitmap",
    "@hyperloglog",
    "@geo",
    "@stream",
    "@pubsub",
    "@admin",
    "@fast",
    "@slow",
    "@blocking",
    "@dangerous",
    "@connection",
    "@transaction",
    "@scripting",
];

fn of_engine(spec: &'static CommandSpec) -> Entry {
    Entry {
        name: spec.name,
        arity: spec.arity,
        flags: spec.flags,
        keys: spec.keys,
        group: spec.group,
        since: spec.since,
        complexity: spec.complexity,
        summary: spec.summary,
        acl: spec.acl,
        source: Source::Engine,
    }
}

fn of_server(spec: &'static ServerSpec) -> Entry {
    Entry {
        name: spec.name,
        arity: spec.arity,
        flags: spec.flags,
        keys: spec.keys,
        group: spec.group,
        since: spec.since,
        complexity: spec.complexity,
        summary: spec.summary,
        acl: spec.acl,
        source: Source::Server(spec.subcommands),
    }
}

/// Every command, without sub-commands.
pub(super) fn entries() -> impl Iterator<Item = Entry> {
    let engine = table::SPECS.iter().filter(|spec| !spec.name.contains('|'));
    let server = all().filter(|spec| !spec.name.contains('|'));
    let all = engine.map(|spec| of_engine(spec)).chain(server.map(of_server));
    all.filter(|entry| is_callable(entry.name))
}

/// The command of that name, in any case; `client|kill` is a name too.
pub(super) fn find(name: &[u8]) -> Option<Entry> {
    let mut parts = name.splitn(2, |&b| b == b'|');
    let container = own_name(parts.next().unwrap_or_default())?;
    let entry = entries().find(|e| e.name.as_bytes().eq_ignore_ascii_case(container))?;
    match parts.next() {
        None => Some(entry),
        Some(sub) => entry.subcommand(sub),
    }
}

impl Entry {
    /// Its sub-commands.
    pub fn subcommands(&self) -> Vec<Entry> {
        match self.source {
            Source::Server(subcommands) => subcommands.iter().map(of_server).collect(),
            Source::Engine => {
                let is_own = |name: &str| {
                    name.strip_prefix(self.name).is_some_and(|rest| rest.starts_with('|'))
                };
                let engine = table::SPECS.iter().filter(|spec| is_own(spec.name));
                let server = all().filter(|spec| is_own(spec.name));
                engine.map(|spec| of_engine(spec)).chain(server.map(of_server)).collect()
            }
        }
    }

    fn subcommand(&self, name: &[u8]) -> Option<Entry> {
        self.subcommands().into_iter().find(|sub| {
            let own = sub.name.split_once('|').map_or("", |(_, own)| own);
            own.as_bytes().eq_ignore_ascii_case(name)
        })
    }

    /// The command that these arguments are: itself or a sub-command.
    pub fn resolve(self, args: Args<'_>) -> Option<Entry> {
        if self.subcommands().is_empty() {
            return Some(self);
        }
        match args.try_get(1) {
            Some(name) => self.subcommand(name),
            None => Some(self),
        }
    }

    /// True when `argc` arguments (the name included) are acceptable.
    pub fn accepts(&self, argc: usize) -> bool {
        let argc = argc as i64;
        let arity = i64::from(self.arity);
        if arity >= 0 { argc == arity } else { argc >= -arity }
    }

    /// Its ACL categories, in Redis' order.
    pub fn categories(&self) -> Vec<&'static str> {
        let has = |flag: Flags| self.flags.has(flag);
        // A container is of no category: its sub-commands are.
        let is_leaf = self.subcommands().is_empty();
        let holds = |category: &str| {
            self.acl.contains(&category)
                || match category {
                    // Those of scripts are of no other category, as in Redis.
                    "@read" => has(Flags::READONLY) && self.group != Group::Scripting,
                    "@write" => has(Flags::WRITE),
                    "@admin" | "@dangerous" => has(Flags::ADMIN),
                    "@pubsub" => has(Flags::PUBSUB) || self.group == Group::Pubsub,
                    "@fast" => has(Flags::FAST),
                    "@slow" => !has(Flags::FAST),
                    "@blocking" => has(Flags::BLOCKING),
                    "@string" => self.group == Group::String,
                    "@list" => self.group == Group::List,
                    "@set" => self.group == Group::Set,
                    "@sortedset" => self.group == Group::SortedSet,
                    "@hash" => self.group == Group::Hash,
                    "@stream" => is_leaf && self.group == Group::Stream,
                    "@bitmap" => self.group == Group::Bitmap,
                    "@hyperloglog" => self.group == Group::Hyperloglog,
                    "@geo" => self.group == Group::Geo,
                    // WAITAOF is of the group, but about the connection; SORT about what keys hold.
                    "@keyspace" => {
                        is_leaf
                            && self.group == Group::Generic
                            && !self.acl.contains(&"@connection")
                            && !self.acl.contains(&"@list")
                    }
                    "@connection" => is_leaf && self.group == Group::Connection,
                    "@transaction" => self.group == Group::Transactions,
                    "@scripting" => is_leaf && self.group == Group::Scripting,
                    _ => false,
                }
        };
        CATEGORIES.into_iter().filter(|category| holds(category)).collect()
    }

    /// Names of its flags, in Redis' order.
    pub fn flag_names(&self) -> Vec<&'static str> {
        let set = Flags::NAMES.iter().filter(|(flag, _)| self.flags.has(*flag));
        set.map(|(_, name)| *name).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique_and_every_one_is_found() {
        let mut seen = HashSet::new();
        for entry in entries() {
            for entry in std::iter::once(entry).chain(entry.subcommands()) {
                assert!(seen.insert(entry.name), "{}", entry.name);
                let found = find(entry.name.to_uppercase().as_bytes());
                assert_eq!(found.map(|e| e.name), Some(entry.name));
                assert!(!entry.summary.is_empty() && !entry.complexity.is_empty());
            }
        }
        assert!(find(b"nope").is_none() && find(b"client|nope").is_none());
    }

    #[test]
    fn sub_commands_are_named_after_their_container() {
        for spec in all() {
            for sub in spec.subcommands {
                assert_eq!(sub.name.split_once('|').map(|(c, _)| c), Some(spec.name));
            }
        }
    }

    #[test]
    fn every_category_a_row_names_exists() {
        for entry in entries().flat_map(|e| std::iter::once(e).chain(e.subcommands())) {
            assert!(entry.acl.iter().all(|name| CATEGORIES.contains(name)), "{}", entry.name);
        }
    }
}
