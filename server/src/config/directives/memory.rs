//! Rows about the limit of memory and what happens there.

use super::super::{ClientsLimit, EvictionPolicy};
use super::{Directive, Kind, When::Anytime, row};

/// Whether some removals leave freeing for later.
macro_rules! lazy {
    ($name:literal, $field:ident, $what:literal) => {
        row(
            $name,
            Anytime,
            Kind::Bool { get: |c| c.lazyfree.$field, set: |c, v| c.lazyfree.$field = v },
            concat!($what, " are freed bit by bit afterwards, not at once."),
        )
    };
}

pub(super) static MEMORY: &[Directive] = &[
    memory!(
        "maxmemory",
        Anytime,
        0,
        u64::MAX,
        maxmemory,
        "Most bytes the server may use, over all shards; 0 = no limit. At the limit keys are \
         evicted or writes refused."
    ),
    choice!(
        "maxmemory-policy",
        Anytime,
        EvictionPolicy,
        maxmemory_policy,
        "What happens at the limit: which keys are evicted, or none."
    ),
    int!(
        "maxmemory-samples",
        Anytime,
        1..=i32::MAX as i64,
        maxmemory_samples,
        "Keys looked at for each eviction: more is closer to the exact order, and slower."
    ),
    int!(
        "maxmemory-eviction-tenacity",
        Anytime,
        0..=100,
        maxmemory_eviction_tenacity,
        "How long an eviction may hold up clients: 10 is half a millisecond, 100 until it is done."
    ),
    row(
        "maxmemory-clients",
        Anytime,
        Kind::Text {
            check: |text| ClientsLimit::parse(text).map(drop),
            get: |c| c.maxmemory_clients.show(),
            set: |c, v| c.maxmemory_clients = ClientsLimit::parse(&v).unwrap_or_default(),
        },
        "Most memory all clients' buffers may take together, in bytes or % of maxmemory; 0 = no \
         limit. Above it clients are closed, the largest first.",
    ),
    lazy!("lazyfree-lazy-eviction", eviction, "Big values that are evicted"),
    lazy!("lazyfree-lazy-expire", expire, "Big values that expire"),
    lazy!("lazyfree-lazy-server-del", server_del, "Big values that are overwritten"),
    lazy!("lazyfree-lazy-user-del", user_del, "Big values that DEL removes"),
    lazy!(
        "lazyfree-lazy-user-flush",
        user_flush,
        "Keys that FLUSHALL and FLUSHDB without ASYNC or SYNC remove"
    ),
    int!(
        "lfu-log-factor",
        Anytime,
        0..=i32::MAX as i64,
        lfu_log_factor,
        "How many uses it takes to grow a key's use counter: the more, the greater this is."
    ),
    int!(
        "lfu-decay-time",
        Anytime,
        0..=i32::MAX as i64,
        lfu_decay_time,
        "Minutes for a key's use counter to lose one; 0 = never."
    ),
];
