//! The text of INFO. Every field is a fact: what Redis reports and Quire does not have is left
//! out, unless its value here is true by construction (no replicas, no scripts, no fork).
//!
//! Figures are those the cores published last; INFO asks them to publish first. One row of
//! `SECTIONS` is one section; the files beside this one write them.

mod commands;
mod memory;
mod persistence;
mod server;
mod shards;
mod stats;

use super::timings::Totals;
use crate::{config::Config, runtime::shared::Shared};
use hdrhistogram::Histogram;
use quire_engine::command::ErrorCounts;
use std::fmt::{Display, Write as _};

/// What the text is made of.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Figures of all cores.
    pub shared: &'a Shared,
    /// The configuration.
    pub config: &'a Config,
    /// Error replies by code.
    pub errors: &'a ErrorCounts,
    /// Calls of commands, by number of the command.
    pub totals: &'a [Totals],
    /// Bytes allocated before any of this was gathered.
    pub used: u64,
    /// Their durations.
    pub histograms: &'a [(u16, Histogram<u64>)],
}

/// One section.
struct Section {
    /// Name in the request, lower case.
    name: &'static str,
    /// Name in the text.
    title: &'static str,
    /// Part of INFO without arguments.
    is_default: bool,
    write: fn(&mut Fields, Facts<'_>),
}

const fn section(
    name: &'static str,
    title: &'static str,
    is_default: bool,
    write: fn(&mut Fields, Facts<'_>),
) -> Section {
    Section { name, title, is_default, write }
}

const SECTIONS: [Section; 14] = [
    section("server", "Server", true, server::server),
    section("clients", "Clients", true, server::clients),
    section("memory", "Memory", true, memory::memory),
    section("persistence", "Persistence", true, persistence::persistence),
    section("stats", "Stats", true, stats::stats),
    section("replication", "Replication", true, server::replication),
    section("cpu", "CPU", true, server::cpu),
    section("modules", "Modules", true, server::modules),
    section("commandstats", "Commandstats", false, commands::calls),
    section("errorstats", "Errorstats", true, commands::errors),
    section("latencystats", "Latencystats", false, commands::latencies),
    section("cluster", "Cluster", true, server::cluster),
    section("shards", "Shards", true, shards::shards),
    section("keyspace", "Keyspace", true, shards::keyspace),
];

/// The position of latencystats.
const LATENCIES: usize = 10;

/// Which sections are wanted.
#[derive(Debug, PartialEq, Eq)]
pub struct Sections([bool; SECTIONS.len()]);

impl Sections {
    /// From the arguments of INFO: names, `default`, `all`, `everything`; none means default.
    pub fn of<'a>(names: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut wanted = [false; SECTIONS.len()];
        let mut any = false;
        for name in names {
            any = true;
            let is = |word: &str| name.eq_ignore_ascii_case(word.as_bytes());
            for (wanted, section) in wanted.iter_mut().zip(&SECTIONS) {
                *wanted |= is(section.name)
                    || is("all")
                    || is("everything")
                    || (is("default") && section.is_default);
            }
        }
        if !any {
            wanted = SECTIONS.each_ref().map(|section| section.is_default);
        }
        Self(wanted)
    }

    /// True when the durations of commands are among them.
    pub fn has_latencies(&self) -> bool {
        self.0[LATENCIES]
    }
}

/// `name:value` lines.
struct Fields(String);

impl Fields {
    fn add(&mut self, name: &str, value: impl Display) {
        // Writing to a String cannot fail.
        let _ = write!(self.0, "{name}:{value}\r\n");
    }

    /// Fields that are 0 by construction.
    fn zeros(&mut self, names: &[&str]) {
        names.iter().for_each(|name| self.add(name, 0));
    }

    /// Bytes, and the same for people.
    fn bytes(&mut self, name: &str, bytes: u64) {
        self.add(name, bytes);
        self.add(&format!("{name}_human"), super::memory::human(bytes));
    }
}

/// The text of the wanted sections.
pub fn text(facts: Facts<'_>, sections: &Sections) -> String {
    let mut fields = Fields(String::new());
    for (section, wanted) in SECTIONS.iter().zip(sections.0) {
        if wanted {
            let separator = if fields.0.is_empty() { "" } else { "\r\n" };
            let _ = write!(fields.0, "{separator}# {}\r\n", section.title);
            (section.write)(&mut fields, facts);
        }
    }
    fields.0
}

fn flag(yes: bool) -> u8 {
    u8::from(yes)
}

#[cfg(test)]
mod tests;
