//! Rows about what takes long: slow log, latency monitor, durations of commands.

use super::super::{Kind, percentile};
use super::{Directive, When::Anytime, row};

pub(super) static LATENCY: &[Directive] = &[
    int!(
        "slowlog-log-slower-than",
        Anytime,
        -1..=i64::MAX,
        slowlog_log_slower_than,
        "Microseconds above which a command is noted in the slow log; -1 = none is."
    ),
    int!("slowlog-max-len", Anytime, 0..=i64::MAX, slowlog_max_len, "Entries the slow log holds."),
    int!(
        "latency-monitor-threshold",
        Anytime,
        0..=i64::MAX,
        latency_monitor_threshold,
        "Milliseconds from which on LATENCY remembers what took so long; 0 = nothing."
    ),
    int!(
        "busy-reply-threshold",
        Anytime,
        0..=i64::MAX,
        busy_reply_threshold,
        "Milliseconds that a script may run before other clients are told BUSY and it can be \
         stopped (SCRIPT KILL, FUNCTION KILL); 0 = they wait."
    ),
    bool!(
        "latency-tracking",
        Anytime,
        latency_tracking,
        "Keep a histogram of every command's duration (INFO latencystats, LATENCY HISTOGRAM)."
    ),
    row(
        "latency-tracking-info-percentiles",
        Anytime,
        Kind::Words {
            get: |c| percentile::show(&c.latency_tracking_info_percentiles),
            set: |c, words, _| {
                c.latency_tracking_info_percentiles = percentile::parse_all(words)?;
                Ok(())
            },
        },
        "Percentiles of command durations that INFO latencystats shows, 0 to 100; none = no \
         such lines.",
    ),
];
