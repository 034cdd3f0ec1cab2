//! The commands, by family: each row beside its function. A new family is one line here.
//!
//! Handlers see the keyspace through [`crate::command::Ctx`] only and validate before they
//! change anything.

pub mod bitmaps;
pub mod geo;
pub mod hashes;
pub mod hyperloglogs;
pub mod keys;
pub mod lists;
pub mod payload;
mod random;
mod scan;
pub mod sets;
pub mod streams;
pub mod strings;
pub mod table;
mod timeout;
pub mod zsets;

use crate::command::CommandSpec;

/// Every family's rows.
pub const ALL: &[&[CommandSpec]] = &[
    strings::read::SPECS,
    strings::write::SPECS,
    strings::take::SPECS,
    strings::edit::SPECS,
    strings::counters::SPECS,
    strings::lcs::SPECS,
    bitmaps::read::SPECS,
    bitmaps::write::SPECS,
    bitmaps::fields::SPECS,
    hyperloglogs::commands::SPECS,
    hyperloglogs::inspect::SPECS,
    hashes::read::SPECS,
    hashes::write::SPECS,
    sets::read::SPECS,
    sets::write::SPECS,
    sets::join::SPECS,
    zsets::read::SPECS,
    zsets::range::SPECS,
    zsets::write::SPECS,
    zsets::pop::SPECS,
    zsets::join::SPECS,
    geo::places::SPECS,
    geo::search::SPECS,
    lists::read::SPECS,
    lists::ends::SPECS,
    lists::middle::SPECS,
    lists::transfer::SPECS,
    lists::blocking::SPECS,
    streams::read::SPECS,
    streams::write::SPECS,
    streams::groups::SPECS,
    streams::deliver::SPECS,
    streams::claim::SPECS,
    streams::info::SPECS,
    keys::delete::SPECS,
    keys::expiry::SPECS,
    keys::transfer::SPECS,
    keys::iterate::SPECS,
    keys::object::SPECS,
    keys::dump::SPECS,
    keys::sort::SPECS,
];
