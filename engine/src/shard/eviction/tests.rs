//! Promises of eviction on one shard: the limit holds, the right keys go, and it is logged.

use super::{EvictionPolicy, Limit, Meter, Relief};
use crate::{
    aof::{CommandReader, Staging},
    command::OwnedArgs,
    families::table,
    keyspace::{KeyHasher, Keyspace, Tracking},
    shard::Shard,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

const NOW_MS: i64 = 1_700_000_000_000;
const OOM: &str = "-OOM command not allowed when used memory > 'maxmemory'.\r\n";

/// Memory is what the keys take; every look at the clock takes `tick` microseconds.
#[derive(Clone, Default)]
struct Scale {
    clock: Arc<AtomicU64>,
    tick: u64,
    others: Arc<AtomicBool>,
    over: Arc<AtomicBool>,
    elsewhere: Arc<AtomicU64>,
}

impl Meter for Scale {
    fn used(&self, keyspace: &Keyspace) -> u64 {
        keyspace.memory_bytes() as u64 + self.elsewhere.load(Ordering::Relaxed)
    }

    fn clock_us(&self) -> u64 {
        self.clock.fetch_add(self.tick, Ordering::Relaxed)
    }

    fn others_can_evict(&self, _policy: EvictionPolicy) -> bool {
        self.others.load(Ordering::Relaxed)
    }

    fn note_over(&mut self, is_over: bool) {
        assert_eq!(self.over.swap(is_over, Ordering::Relaxed), !is_over, "told once");
    }
}

struct Rig {
    shard: Shard,
    now_ms: i64,
    scale: Scale,
    limit: Limit,
}

impl Rig {
    fn new(bytes: u64, policy: EvictionPolicy) -> Self {
        Self::with(Staging::new(0, 1), bytes, policy)
    }

    fn with(staging: Staging, bytes: u64, policy: EvictionPolicy) -> Self {
        let mut shard = Shard::new(0, 1, 16, KeyHasher::fixed(), staging, 7);
        let scale = Scale::default();
        shard.set_meter(Box::new(scale.clone()));
        let tracking = if policy.counts_uses() {
            Tracking::Frequency { log_factor: 10, decay_minutes: 1 }
        } else {
            Tracking::Time
        };
        let limit = Limit { bytes, policy, tracking, ..Limit::default() };
        let mut rig = Self { shard, now_ms: NOW_MS, scale, limit };
        rig.apply();
        rig
    }

    fn apply(&mut self) {
        self.shard.set_limit(self.limit, self.now_ms);
    }

    fn run_in(&mut self, db: usize, words: &[&str]) -> String {
        let args = OwnedArgs::from_slices(words);
        let args = args.as_args();
        let mut spec = table::lookup(args.get(0)).unwrap();
        if table::is_container(spec) {
            spec = table::SPECS[usize::from(table::find_sub(spec, args.get(1)).unwrap())];
        }
        let mut out = Vec::new();
        self.shard.execute(spec, db, self.now_ms, false, args, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn run(&mut self, words: &[&str]) -> String {
        self.run_in(0, words)
    }

    fn has(&mut self, key: &str) -> bool {
        self.run(&["EXISTS", key]) == ":1\r\n"
    }

    fn used(&self) -> u64 {
        self.shard.keyspace.memory_bytes() as u64
    }

    fn check(&self) {
        (0..16).for_each(|db| self.shard.keyspace.db(db).check());
    }
}

fn value(bytes: usize) -> String {
    "v".repeat(bytes)
}

#[test]
fn the_limit_holds_under_ten_times_its_bytes_with_every_policy() {
    const LIMIT: u64 = 1 << 20;
    for policy in EvictionPolicy::ALL {
        for size in [10, 100, 3000] {
            let mut rig = Rig::with(Staging::disabled(), LIMIT, policy);
            let mut highest = 0;
            let mut refused = 0;
            let text = value(size);
            for n in 0..10 * LIMIT as usize / (size + 80) {
                let key = format!("key:{n}");
                let reply = match n % 3 {
                    0 => rig.run_in(n % 2, &["SET", &key, &text]),
                    _ => rig.run_in(n % 2, &["SET", &key, &text, "EX", "1000"]),
                };
                refused += usize::from(reply == OOM);
                highest = highest.max(rig.used());
            }
            rig.check();
            let evicted = rig.shard.stats.evicted_keys;
            assert!(highest <= LIMIT + LIMIT / 20, "{policy:?} {size}: {highest}");
            match policy {
                EvictionPolicy::NoEviction => assert!(evicted == 0 && refused > 0),
                // Of the keys without a deadline none may go: they fill the memory in the end.
                _ if policy.is_volatile() => assert!(evicted > 0 && refused > 0, "{policy:?}"),
                _ => assert!(evicted > 0 && refused == 0, "{policy:?} {size} {refused}"),
            }
            assert!(highest > LIMIT / 2, "memory was used at all");
        }
    }
}

#[test]
fn without_eviction_only_commands_that_take_memory_are_refused() {
    let mut rig = Rig::new(1 << 16, EvictionPolicy::NoEviction);
    while rig.run(&["APPEND", "big", &value(900)]) != OOM {}
    for refused in [&["SET", "k", "v"][..], &["INCR", "n"], &["GETSET", "k", "v"]] {
        assert_eq!(rig.run(refused), OOM, "{refused:?}");
    }
    assert_eq!(rig.run(&["EXPIRE", "big", "100"]), ":1\r\n");
    assert_eq!(rig.run(&["STRLEN", "big"]).as_bytes()[0], b':');
    assert_eq!(rig.shard.stats.errors.sorted(), [("OOM", 4)]);
    assert_eq!(rig.run(&["DEL", "big"]), ":1\r\n");
    assert_eq!(rig.run(&["SET", "k", "v"]), "+OK\r\n");
}

/// Fills memory to the limit, once with old keys, some of which are used again later.
fn survivors(policy: EvictionPolicy, again: impl Fn(&mut Rig, &str)) -> (usize, usize) {
    let mut rig = Rig::with(Staging::disabled(), 1 << 20, policy);
    let text = value(100);
    let old: Vec<String> = (0..3500).map(|n| format!("old:{n}")).collect();
    for key in &old {
        rig.run(&["SET", key, &text, "EX", "100000"]);
    }
    rig.now_ms += 60_000;
    for key in &old[..500] {
        again(&mut rig, key);
    }
    rig.now_ms += 60_000;
    for n in 0.. {
        if rig.shard.stats.evicted_keys >= 400 {
            break;
        }
        rig.run(&["SET", &format!("new:{n}"), &text, "EX", "100000"]);
        if policy.counts_uses() {
            // As hot as the best of the old, so that these decide among themselves.
            (0..20).for_each(|_| drop(rig.run(&["GET", &format!("new:{n}")])));
        }
    }
    rig.check();
    let kept = |rig: &mut Rig, keys: &[String]| keys.iter().filter(|k| rig.has(k)).count();
    (kept(&mut rig, &old[..500]), kept(&mut rig, &old[500..]))
}

#[test]
fn the_least_recently_used_keys_go_first() {
    for policy in [EvictionPolicy::AllkeysLru, EvictionPolicy::VolatileLru] {
        let (used, unused) = survivors(policy, |rig, key| drop(rig.run(&["GET", key])));
        assert!(used >= 490, "{policy:?} {used} of 500");
        assert!(unused < 2620, "{policy:?} {unused} of 3000");
    }
}

#[test]
fn the_least_often_used_keys_go_first() {
    for policy in [EvictionPolicy::AllkeysLfu, EvictionPolicy::VolatileLfu] {
        let (used, unused) = survivors(policy, |rig, key| {
            (0..100).for_each(|_| drop(rig.run(&["GET", key])));
        });
        assert!(used >= 490, "{policy:?} {used} of 500");
        assert!(unused < 2620, "{policy:?} {unused} of 3000");
    }
}

#[test]
fn the_keys_with_least_time_to_live_go_first() {
    let mut rig = Rig::with(Staging::disabled(), 700_000, EvictionPolicy::VolatileTtl);
    let text = value(100);
    for n in 0..4000 {
        // Spread over the keys, so that age does not decide.
        let seconds = 10_000 + n * 7919 % 4000 * 10;
        rig.run(&["SET", &format!("k:{n}"), &text, "EX", &seconds.to_string()]);
    }
    for n in 0..2000 {
        rig.run(&["SET", &format!("late:{n}"), &text, "EX", "1000000"]);
    }
    let kept = |rig: &mut Rig, keep: &dyn Fn(i32) -> bool| {
        let keys: Vec<i32> = (0..4000).filter(|n| keep(n * 7919 % 4000)).collect();
        (keys.iter().filter(|n| rig.has(&format!("k:{n}"))).count(), keys.len())
    };
    let evicted = rig.shard.stats.evicted_keys as i32;
    assert!(evicted > 500, "{evicted}");
    // The index is exact to a 64th of the distance.
    let (early, _) = kept(&mut rig, &|rank| rank < evicted * 3 / 4);
    let (late, of) = kept(&mut rig, &|rank| rank > evicted * 5 / 4);
    assert_eq!((early, late), (0, of));
}

#[test]
fn chance_evicts_from_everywhere_alike() {
    let mut rig = Rig::with(Staging::disabled(), 1 << 20, EvictionPolicy::AllkeysRandom);
    let text = value(100);
    for n in 0..8000 {
        rig.run_in(n % 4, &["SET", &format!("k:{n}"), &text]);
    }
    let sizes: Vec<usize> = (0..4).map(|db| rig.shard.keyspace.db(db).len()).collect();
    let all: usize = sizes.iter().sum();
    assert!(sizes.iter().all(|n| n * 5 > all && n * 10 < all * 3), "{sizes:?}");
}

#[test]
fn a_single_key_with_a_deadline_is_found_among_many_without() {
    for policy in EvictionPolicy::ALL.into_iter().filter(|p| p.is_volatile()) {
        let mut rig = Rig::with(Staging::disabled(), 0, policy);
        for n in 0..5000 {
            rig.run(&["SET", &format!("k:{n}"), "v", "EX", "1000"]);
            rig.run(&["PERSIST", &format!("k:{n}")]);
        }
        rig.run(&["EXPIRE", "k:77", "1000"]);
        rig.limit.bytes = rig.used() - 1;
        rig.apply();
        assert_eq!(rig.run(&["SET", "k:78", "w"]), OOM, "{policy:?}: one key is not enough");
        assert!(!rig.has("k:77"), "{policy:?}");
        assert_eq!(rig.shard.stats.evicted_keys, 1);
        rig.check();
    }
}

#[test]
fn an_evicted_key_is_logged_as_deleted_and_gates_its_readers_alone() {
    let mut rig = Rig::new(0, EvictionPolicy::AllkeysLru);
    rig.shard.staging.set_gating(true);
    rig.run(&["SET", "k", &value(500)]);
    rig.shard.staging.settle(1);
    let before = rig.shard.staging.last_lsn();
    rig.limit.bytes = rig.used() - 1;
    rig.apply();
    assert_eq!(rig.shard.evict_slice(), Relief::Held);
    assert_eq!(rig.shard.staging.last_lsn(), before + 1, "a batch of its own");
    let mut reader = CommandReader::new(rig.shard.staging.staged());
    let mut last = String::new();
    while let Some(args) = reader.next_command().unwrap() {
        let words: Vec<_> = args.iter_from(0).map(String::from_utf8_lossy).collect();
        last = words.join(" ");
    }
    assert_eq!(last, "DEL k");
    let gate_of = |rig: &mut Rig, key: &str| {
        let args = OwnedArgs::from_slices(&["GET", key]);
        let spec = table::lookup(b"GET").unwrap();
        let mut out = Vec::new();
        rig.shard.execute(spec, 0, NOW_MS, false, args.as_args(), &mut out)
    };
    assert_eq!(gate_of(&mut rig, "k"), before + 1, "an absence that could be taken back");
    assert_eq!(gate_of(&mut rig, "other"), 0);
}

#[test]
fn nothing_is_evicted_that_the_log_has_no_room_for() {
    let mut rig = Rig::new(1 << 16, EvictionPolicy::AllkeysRandom);
    for n in 0..50 {
        rig.run(&["SET", &format!("k:{n}"), &value(900)]);
    }
    rig.shard.staging.set_space_error(Some("No space left on device".to_owned()));
    let keys = rig.shard.keyspace.len();
    rig.limit.bytes = 1000;
    rig.apply();
    assert_eq!(rig.shard.evict_slice(), Relief::Nothing);
    assert_eq!((rig.shard.keyspace.len(), rig.shard.stats.evicted_keys), (keys, 0));
    assert!(rig.run(&["SET", "k", "v"]).starts_with("-MISCONF"));
}

#[test]
fn a_long_eviction_is_cut_into_slices_and_writes_go_on() {
    let mut rig = Rig::with(Staging::disabled(), 0, EvictionPolicy::AllkeysRandom);
    for n in 0..20_000 {
        rig.run(&["SET", &format!("k:{n}"), "v"]);
    }
    // Every look at the clock takes a millisecond; a slice has half of one.
    rig.scale.tick = 1000;
    rig.shard.set_meter(Box::new(rig.scale.clone()));
    rig.limit.bytes = rig.used() / 2;
    rig.apply();
    assert_eq!(rig.run(&["SET", "k", "v"]), "+OK\r\n");
    let first = rig.shard.stats.evicted_keys;
    assert!((1..=32).contains(&first), "{first} keys at once");
    assert!(rig.scale.over.load(Ordering::Relaxed));
    let mut slices = 0;
    while rig.shard.evict_slice() != Relief::Held {
        slices += 1;
    }
    assert!(slices > 100, "{slices}");
    assert!(rig.used() <= rig.limit.bytes);
    assert!(!rig.scale.over.load(Ordering::Relaxed));
    rig.check();
}

#[test]
fn a_shard_without_keys_lets_others_make_room_up_to_a_bound() {
    let mut rig = Rig::with(Staging::disabled(), 1 << 20, EvictionPolicy::AllkeysLru);
    rig.scale.others.store(true, Ordering::Relaxed);
    rig.scale.elsewhere.store((1 << 20) + 1000, Ordering::Relaxed);
    assert_eq!(rig.run(&["SET", "k", "v"]), "+OK\r\n");
    assert!(rig.shard.take_wants_help() && !rig.shard.take_wants_help());
    rig.scale.elsewhere.store(2 << 20, Ordering::Relaxed);
    assert_eq!(rig.run(&["SET", "k", "v"]), OOM, "far over the limit");
    rig.scale.elsewhere.store((1 << 20) + 1000, Ordering::Relaxed);
    rig.scale.others.store(false, Ordering::Relaxed);
    rig.run(&["DEL", "k"]);
    assert_eq!(rig.run(&["SET", "k", "v"]), OOM, "nobody can evict");
}

#[test]
fn use_is_shown_as_the_policy_tracks_it() {
    let mut rig = Rig::new(0, EvictionPolicy::AllkeysLru);
    rig.run(&["SET", "k", "v"]);
    rig.now_ms += 9000;
    assert_eq!(rig.run(&["OBJECT", "IDLETIME", "k"]), ":9\r\n");
    rig.run(&["TTL", "k"]);
    assert_eq!(rig.run(&["OBJECT", "IDLETIME", "k"]), ":9\r\n", "looking is no use");
    assert!(rig.run(&["OBJECT", "FREQ", "k"]).starts_with("-ERR An LFU maxmemory policy is not"));
    assert_eq!(rig.run(&["OBJECT", "FREQ", "missing"]), "$-1\r\n");
    rig.run(&["GET", "k"]);
    assert_eq!(rig.run(&["OBJECT", "IDLETIME", "k"]), ":0\r\n");
    let mut rig = Rig::new(0, EvictionPolicy::VolatileLfu);
    rig.run(&["SET", "k", "v"]);
    assert_eq!(rig.run(&["OBJECT", "FREQ", "k"]), ":5\r\n");
    rig.run(&["SET", "k", "w"]);
    assert_eq!(rig.run(&["OBJECT", "FREQ", "k"]), ":6\r\n", "overwriting is a use");
    (0..50).for_each(|_| drop(rig.run(&["GET", "k"])));
    let counter = rig.run(&["OBJECT", "FREQ", "k"]);
    assert!((":7\r\n".len()..).contains(&counter.len()) && counter != ":6\r\n", "{counter}");
    assert!(rig.run(&["OBJECT", "IDLETIME", "k"]).starts_with("-ERR An LFU maxmemory policy is"));
    rig.now_ms += 255 * 60_000;
    assert_eq!(rig.run(&["OBJECT", "FREQ", "k"]), ":0\r\n");
}
