//! Rows about the limit of memory and what happens there.

use super::super::EvictionPolicy;
use super::{Directive, Kind, When::Anytime, row};

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
