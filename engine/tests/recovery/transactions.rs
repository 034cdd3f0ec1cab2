//! Transactions over several shards and what a crash leaves of their logs.

mod cuts; // hand-built directories, one per rule
mod prefixes; // every prefix of every small history
mod writers; // what writers let go meanwhile

use super::builder::{Keys, flat};

/// Keys of database 0 and their values.
fn flat_keys(keys: &Keys) -> Vec<(String, String)> {
    flat(keys)
}
