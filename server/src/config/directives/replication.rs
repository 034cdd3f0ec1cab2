//! Rows about how replicas are fed. Redis obeys them from its first replica on; this version serves
//! none and refuses whoever asks to be one, so here, too, every value is obeyed.

use super::{Directive, Kind, When::Anytime, row};

/// Settings that wait for the first replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaFeed {
    backlog_bytes: u64,
    backlog_ttl_s: i64,
    timeout_s: i64,
    ping_period_s: i64,
}

impl Default for ReplicaFeed {
    /// Redis 7.0's defaults.
    fn default() -> Self {
        Self { backlog_bytes: 1 << 20, backlog_ttl_s: 3600, timeout_s: 60, ping_period_s: 10 }
    }
}

/// Seconds.
macro_rules! seconds {
    ($name:literal, $min:literal..=$max:expr, $field:ident, $doc:literal) => {
        row(
            $name,
            Anytime,
            Kind::Int {
                min: $min,
                max: $max,
                get: |c| c.replica_feed.$field,
                set: |c, v| c.replica_feed.$field = v,
            },
            concat!($doc, " Acts from the first replica on: there is none."),
        )
    };
}

pub(super) static REPLICATION: &[Directive] = &[
    row(
        "repl-backlog-size",
        Anytime,
        Kind::Memory {
            min: 1,
            max: i64::MAX as u64,
            get: |c| c.replica_feed.backlog_bytes,
            set: |c, v| c.replica_feed.backlog_bytes = v,
        },
        "Bytes of writes kept for replicas that come back. Acts from the first replica on: there \
         is none.",
    ),
    seconds!(
        "repl-backlog-ttl",
        0..=i64::MAX,
        backlog_ttl_s,
        "Seconds without a replica after which those go."
    ),
    seconds!(
        "repl-timeout",
        1..=i32::MAX as i64,
        timeout_s,
        "Seconds of silence after which a replica is gone."
    ),
    seconds!(
        "repl-ping-replica-period",
        1..=i32::MAX as i64,
        ping_period_s,
        "Seconds between pings to replicas."
    ),
];
