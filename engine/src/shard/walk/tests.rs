//! Promises of snapshots: each is the shard's data set as it was at its cut, whatever goes on.

use super::super::{EvictionPolicy, Limit, Meter, Shard};
use crate::{
    aof::Staging,
    command::OwnedArgs,
    elements,
    families::table,
    keyspace::{Entry, KeyHasher, Keyspace, Scope, Tracking},
    rdb::{Kind, RdbFile, RdbValue},
    snapshot::{Chunk, ChunkOptions, Usage, Walked},
    types::{HashRef, ListRef, SetRef, Stream, View, ZsetRef},
};
use proptest::prelude::*;
use std::collections::BTreeMap;

mod changes;

const START_MS: i64 = 1_700_000_000_000;
const DATABASES: usize = 3;
const OPTIONS: ChunkOptions = ChunkOptions { compress: false, usage: Usage::Unsaid };

/// A value whose elements are in an order that does not matter.
#[derive(Debug, Clone, PartialEq)]
enum Held {
    Text(Vec<u8>),
    List(Vec<Vec<u8>>),
    /// Its entries and what else there is, as text.
    Stream(String),
    Pairs(&'static str, BTreeMap<Vec<u8>, Vec<u8>>),
}

/// Databases' keys, with deadlines.
type State = BTreeMap<(usize, Vec<u8>), (Held, Option<i64>)>;

fn pairs(
    kind: &'static str,
    pairs: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>,
    count: usize,
) -> Held {
    let map: BTreeMap<_, _> = pairs.into_iter().collect();
    assert_eq!(map.len(), count, "every element once");
    Held::Pairs(kind, map)
}

fn bits(score: f64) -> Vec<u8> {
    // Small sorted sets do not know -0.
    (score + 0.0).to_bits().to_be_bytes().to_vec()
}

fn held(entry: Entry<'_>) -> Held {
    let value = entry.content();
    let mut elements = Vec::new();
    if let Some(hash) = HashRef::of(value) {
        hash.for_each(&mut |field, value| elements.push((field.to_vec(), value.to_vec())));
        pairs("hash", elements, hash.len())
    } else if let Some(set) = SetRef::of(value) {
        set.for_each(&mut |member| elements.push((member.to_vec(), Vec::new())));
        pairs("set", elements, set.len())
    } else if let Some(zset) = ZsetRef::of(value) {
        zset.for_each(&mut |member, score| elements.push((member.to_vec(), bits(score))));
        pairs("zset", elements, zset.len())
    } else if let Some(list) = ListRef::of(value) {
        let mut items = Vec::new();
        list.for_each(&mut |item| items.push(item.to_vec()));
        Held::List(items)
    } else if let Some(stream) = <&Stream>::of(value) {
        let mut read = RdbValue::new(Kind::Stream);
        elements::show(value, &mut |element| {
            assert!(read.take(element));
            Ok(())
        })
        .unwrap();
        assert_eq!(elements::count(value), stream.blocks_len() as u64);
        Held::Stream(format!("{read:?}"))
    } else {
        Held::Text(entry.value().bytes(&mut itoa::Buffer::new()).to_vec())
    }
}

fn state(shard: &Shard) -> State {
    let mut state = State::new();
    for db in 0..shard.keyspace.databases() {
        shard.keyspace.db(db).for_each(&mut |entry| {
            state.insert((db, entry.key().to_vec()), (held(entry), entry.deadline()));
        });
    }
    state
}

fn read(chunks: &[Chunk]) -> State {
    let mut bytes = b"REDIS0010".to_vec();
    chunks.iter().for_each(|chunk| bytes.extend(&chunk.bytes));
    bytes.push(0xFF);
    bytes.extend([0; 8]);
    let file = RdbFile::read(&bytes, 1 << 20).unwrap();
    let mut state = State::new();
    for key in file.keys {
        let count = key.value.count() as usize;
        let held = match key.value {
            RdbValue::String(text) => Held::Text(text),
            RdbValue::List(items) => Held::List(items),
            RdbValue::Set(members) => {
                pairs("set", members.into_iter().map(|m| (m, Vec::new())), count)
            }
            RdbValue::Zset(members) => {
                pairs("zset", members.into_iter().map(|(m, score)| (m, bits(score))), count)
            }
            RdbValue::Hash(fields) => {
                pairs("hash", fields.into_iter().map(|(field, value, _)| (field, value)), count)
            }
            stream @ RdbValue::Stream(_) => Held::Stream(format!("{stream:?}")),
        };
        let name = (key.head.db as usize, key.head.key);
        let before = state.insert(name.clone(), (held, key.head.expires_ms));
        assert_eq!(before, None, "{name:?} twice");
    }
    let counted: u64 = chunks.iter().map(Chunk::keys).sum();
    assert_eq!(counted, state.len() as u64);
    state
}

/// Panics with what is different, shortened.
fn same(found: &State, expected: &State) {
    let short = |state: &State, key: &(usize, Vec<u8>)| {
        let text = match state.get(key) {
            Some((Held::Pairs(kind, pairs), at)) => {
                let names: Vec<_> = pairs.keys().map(|k| k.escape_ascii().to_string()).collect();
                format!("{kind} {} {at:?} {}", names.len(), names.join(" "))
            }
            Some((Held::List(items), at)) => {
                let items: Vec<_> = items.iter().map(|k| k.escape_ascii().to_string()).collect();
                format!("list {} {at:?} {}", items.len(), items.join(" "))
            }
            other => format!("{other:?}"),
        };
        text.replace(&"v".repeat(3000), "V").chars().take(300).collect::<String>()
    };
    let keys = found.keys().chain(expected.keys());
    let wrong: std::collections::BTreeSet<_> =
        keys.filter(|key| found.get(key) != expected.get(key)).collect();
    let lines: Vec<_> = wrong
        .into_iter()
        .map(|key| format!("{key:?}\n  {}\n  {}", short(found, key), short(expected, key)))
        .collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

/// Memory is what the keyspace says; time stands still.
struct Accounted;

impl Meter for Accounted {
    fn used(&self, keyspace: &Keyspace) -> u64 {
        keyspace.memory_bytes() as u64
    }

    fn clock_us(&self) -> u64 {
        0
    }

    fn others_can_evict(&self, _policy: EvictionPolicy) -> bool {
        false
    }

    fn note_over(&mut self, _is_over: bool) {}
}

fn shard() -> Shard {
    let hasher = KeyHasher::fixed();
    let mut shard = Shard::new(0, 1, DATABASES, hasher, Staging::disabled(), 7);
    shard.set_meter(Box::new(Accounted));
    shard.limits.hash_entries = 8;
    shard.limits.list_node = 16;
    shard.limits.zset_entries = 8;
    shard.limits.stream_node_entries = 5;
    shard.lazy.user_del = true;
    shard.lazy.server_del = true;
    shard
}

fn execute(shard: &mut Shard, db: usize, now_ms: i64, line: &[&str]) {
    let args = OwnedArgs::from_slices(line);
    let args = args.as_args();
    let mut spec = table::lookup(args.get(0)).unwrap();
    if let Some(sub) = args.try_get(1).and_then(|sub| table::find_sub(spec, sub)) {
        spec = table::SPECS[usize::from(sub)];
    }
    assert!(spec.accepts(args.len()), "{line:?}");
    shard.execute(spec, db, now_ms, false, args, &mut Vec::new());
}

#[derive(Debug, Clone)]
enum Op {
    Line(usize, String),
    /// Many keys with one tag, so that a group's table grows and shrinks.
    Fill(usize, u16, u16),
    Drain(usize, u16, u16),
    Swap(usize, usize),
    Flush(usize, bool),
    FlushAll(bool),
    /// Time passes, and keys expire.
    Pass(i64),
    Evict(u64),
    Free(u8),
    Cut,
    Slice(u8),
    Abort,
}

/// One shard with snapshots and one without.
struct Pair {
    real: Shard,
    twin: Shard,
    now_ms: i64,
    /// The state at the cut of the walk that is under way.
    cut: Option<State>,
    chunks: Vec<Chunk>,
    finished: usize,
}

impl Pair {
    fn new() -> Self {
        let (real, twin) = (shard(), shard());
        Self { real, twin, now_ms: START_MS, cut: None, chunks: Vec::new(), finished: 0 }
    }

    fn both(&mut self, change: impl Fn(&mut Shard)) {
        change(&mut self.real);
        change(&mut self.twin);
    }

    fn line(&mut self, db: usize, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let now_ms = self.now_ms;
        self.both(|shard| execute(shard, db, now_ms, &words));
    }

    fn evict(shard: &mut Shard, bytes: u64, now_ms: i64) {
        let limit = Limit {
            bytes: (shard.keyspace.memory_bytes() as u64).saturating_sub(bytes).max(1),
            policy: EvictionPolicy::AllkeysRandom,
            tracking: Tracking::Time,
            tenacity: 100,
            ..Limit::default()
        };
        shard.set_limit(limit, now_ms);
        shard.evict_slice();
        shard.set_limit(Limit::default(), now_ms);
    }

    fn slice(&mut self, micros: u64) {
        match self.real.walk_slice(micros) {
            Walked::More | Walked::Full => {}
            Walked::GivenUp => assert_eq!(self.cut, None),
            Walked::Failed(error) => panic!("{error}"),
            Walked::Done => {
                while let Some(chunk) = self.real.take_chunk() {
                    self.chunks.push(chunk);
                }
                if let Some(cut) = self.cut.take() {
                    let stats = self.real.walk_stats().unwrap();
                    assert_eq!(stats.keys, cut.len() as u64);
                    assert_eq!(stats.walked + stats.copied, stats.keys);
                    same(&read(&self.chunks), &cut);
                    self.finished += 1;
                }
            }
        }
        if let Some(chunk) = self.real.take_chunk() {
            self.chunks.push(chunk);
        }
    }

    fn abort(&mut self) {
        self.cut = None;
        self.chunks.clear();
    }

    fn apply(&mut self, op: Op) {
        let now_ms = self.now_ms;
        match op {
            Op::Line(db, line) => self.line(db, &line),
            Op::Fill(db, from, count) => {
                for n in from..from.saturating_add(count) {
                    self.line(db, &format!("SET {{tag}}{n} {n}"));
                }
            }
            Op::Drain(db, from, count) => {
                for n in from..from.saturating_add(count) {
                    self.line(db, &format!("DEL {{tag}}{n}"));
                }
            }
            Op::Swap(a, b) => self.both(|shard| shard.keyspace.swap(a, b)),
            Op::Flush(db, lazily) => self.both(|shard| shard.forget(db..db + 1, START_MS, lazily)),
            Op::FlushAll(lazily) => {
                self.both(|shard| shard.forget(0..DATABASES, START_MS, lazily));
                self.abort();
            }
            Op::Pass(ms) => {
                self.now_ms += ms;
                let now_ms = self.now_ms;
                self.both(|shard| {
                    shard.expire_cycle(now_ms, 50);
                });
            }
            Op::Evict(bytes) => self.both(|shard| Self::evict(shard, bytes, now_ms)),
            Op::Free(pieces) => {
                for _ in 0..pieces {
                    self.real.keyspace.free_piece();
                }
            }
            Op::Cut => {
                self.abort();
                self.cut = Some(state(&self.real));
                self.real.begin_walk(Scope::All, &OPTIONS);
            }
            Op::Slice(micros) => self.slice(micros.into()),
            Op::Abort => {
                self.real.abort_walk();
                self.abort();
            }
        }
    }

    /// The walk that is under way comes to its end; then nothing is left of it.
    fn finish(&mut self) {
        while self.cut.is_some() {
            self.slice(1000);
        }
        assert!(!self.real.keyspace.is_walking());
        same(&state(&self.real), &state(&self.twin));
        (0..DATABASES).for_each(|db| self.real.keyspace.db(db).check());
    }
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => (0u8..30).prop_map(|n| format!("e{n}")),
        2 => (-50i32..50).prop_map(|n| n.to_string()),
        1 => (1usize..300).prop_map(|len| "w".repeat(len)),
        1 => Just("v".repeat(3000)),
    ]
}

fn words(count: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    prop::collection::vec(word(), count).prop_map(|words| words.join(" "))
}

/// Lines on keys of a type, `1` and `2` two of them.
fn line() -> impl Strategy<Value = String> {
    let number = || (-20i32..20).prop_map(|n| n.to_string());
    let text = prop_oneof![
        4 => word().prop_map(|w| format!("SET 1 {w}")),
        2 => (word(), 1u32..3000).prop_map(|(w, ms)| format!("SET 1 {w} PX {ms}")),
        2 => word().prop_map(|w| format!("APPEND 1 {w}")),
        2 => (0u16..1500, word()).prop_map(|(at, w)| format!("SETRANGE 1 {at} {w}")),
        3 => number().prop_map(|n| format!("INCRBY 1 {n}")),
        1 => Just("INCRBYFLOAT 1 0.5".to_owned()),
        2 => (0u16..200).prop_map(|at| format!("SETBIT 1 {at} 1")),
        1 => (0u8..60).prop_map(|n| format!("BITFIELD 1 INCRBY u4 {n} 3")),
        1 => words(1..6).prop_map(|w| format!("PFADD 1 {w}")),
        1 => Just("PFCOUNT 1".to_owned()),
        1 => Just("GETDEL 1".to_owned()),
        1 => (0u32..3000).prop_map(|ms| format!("GETEX 1 PX {ms}")),
        1 => word().prop_map(|w| format!("MSET 1 {w} 2 x")),
        1 => Just("BITOP NOT 1 2".to_owned()),
    ];
    let hash = prop_oneof![
        4 => words(1..20).prop_map(|w| format!("HSET 1 {w} {w}")),
        3 => words(1..6).prop_map(|w| format!("HDEL 1 {w}")),
        2 => number().prop_map(|n| format!("HINCRBY 1 n {n}")),
    ];
    let list = prop_oneof![
        3 => words(1..20).prop_map(|w| format!("RPUSH 1 {w}")),
        3 => words(1..20).prop_map(|w| format!("LPUSH 1 {w}")),
        2 => (1u8..20).prop_map(|n| format!("LPOP 1 {n}")),
        2 => (1u8..20).prop_map(|n| format!("RPOP 1 {n}")),
        1 => (number(), word()).prop_map(|(at, w)| format!("LSET 1 {at} {w}")),
        1 => (word(), word()).prop_map(|(at, w)| format!("LINSERT 1 BEFORE {at} {w}")),
        1 => word().prop_map(|w| format!("LREM 1 0 {w}")),
        1 => (number(), number()).prop_map(|(a, b)| format!("LTRIM 1 {a} {b}")),
        1 => Just("LMOVE 1 2 LEFT RIGHT".to_owned()),
    ];
    let set = prop_oneof![
        4 => words(1..20).prop_map(|w| format!("SADD 1 {w}")),
        3 => words(1..6).prop_map(|w| format!("SREM 1 {w}")),
        1 => (1u8..9).prop_map(|n| format!("SPOP 1 {n}")),
        1 => word().prop_map(|w| format!("SMOVE 1 2 {w}")),
        1 => Just("SUNIONSTORE 1 1 2".to_owned()),
    ];
    let zset = prop_oneof![
        5 => (number(), word()).prop_map(|(n, w)| format!("ZADD 1 {n} {w} {n} x{w} 1 y{w}")),
        2 => words(1..6).prop_map(|w| format!("ZREM 1 {w}")),
        2 => word().prop_map(|w| format!("ZINCRBY 1 1.5 {w}")),
        1 => (1u8..9).prop_map(|n| format!("ZPOPMIN 1 {n}")),
        1 => number().prop_map(|n| format!("ZREMRANGEBYRANK 1 0 {n}")),
        1 => Just("ZUNIONSTORE 1 2 1 2".to_owned()),
    ];
    let stream = prop_oneof![
        6 => words(1..4).prop_map(|w| format!("XADD 1 * f {}", w.replace(' ', "."))),
        2 => (1u8..30).prop_map(|n| format!("XTRIM 1 MAXLEN {n}")),
        1 => Just("XGROUP CREATE 1 g 0 MKSTREAM".to_owned()),
        3 => (1u8..5).prop_map(|n| format!("XREADGROUP GROUP g c{n} COUNT {n} STREAMS 1 >")),
        1 => Just("XGROUP DELCONSUMER 1 g c1".to_owned()),
        1 => Just("XSETID 1 9999999999999-0".to_owned()),
        1 => Just("XGROUP DESTROY 1 g".to_owned()),
    ];
    let any = prop_oneof![
        Just("DEL 1".to_owned()),
        Just("UNLINK 1".to_owned()),
        Just("RENAME 1 2".to_owned()),
        Just("COPY 1 2 REPLACE".to_owned()),
        (0..DATABASES).prop_map(|db| format!("MOVE 1 {db}")),
        (1u32..3000).prop_map(|ms| format!("PEXPIRE 1 {ms}")),
        Just("PERSIST 1".to_owned()),
        Just("GET 1".to_owned()),
        Just("OBJECT ENCODING 1".to_owned()),
    ];
    // A type's keys have a letter; now and then a command meets another's.
    let key = |letter: char| {
        let letter = prop_oneof![12 => Just(letter), 1 => Just('t'), 1 => Just('h')];
        (letter, 0u8..3).prop_map(|(letter, n)| format!("{letter}{n}"))
    };
    let on = move |letter, lines: BoxedStrategy<String>| {
        (lines, key(letter), key(letter)).prop_map(|(line, one, two)| {
            let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            let whole = words.clone();
            for (at, word) in words.iter_mut().enumerate().skip(1) {
                let is_key = match whole[0].as_str() {
                    "MSET" => at % 2 == 1,
                    "BITOP" => at > 1,
                    "OBJECT" => at == 2,
                    "RENAME" | "COPY" | "LMOVE" | "SMOVE" | "SUNIONSTORE" => at < 4,
                    "ZUNIONSTORE" => at != 2,
                    "XGROUP" => at == 2,
                    "XREADGROUP" => at == 7,
                    _ => at == 1,
                };
                match word.as_str() {
                    "1" if is_key => word.clone_from(&one),
                    "2" if is_key => word.clone_from(&two),
                    _ => {}
                }
            }
            words.join(" ")
        })
    };
    prop_oneof![
        4 => on('t', text.boxed()),
        3 => on('h', hash.boxed()),
        3 => on('l', list.boxed()),
        3 => on('s', set.boxed()),
        3 => on('z', zset.boxed()),
        2 => on('x', stream.boxed()),
        4 => prop::sample::select(vec!['t', 'h', 'l', 's', 'z', 'x'])
            .prop_flat_map(move |letter| on(letter, any.clone().boxed())),
    ]
}

fn operation() -> impl Strategy<Value = Op> {
    let db = || prop_oneof![4 => Just(0), 1 => 1..DATABASES];
    prop_oneof![
        60 => (db(), line()).prop_map(|(db, line)| Op::Line(db, line)),
        4 => (db(), 0u16..600, 1u16..400).prop_map(|(db, from, n)| Op::Fill(db, from, n)),
        4 => (db(), 0u16..600, 1u16..400).prop_map(|(db, from, n)| Op::Drain(db, from, n)),
        2 => (db(), db()).prop_map(|(a, b)| Op::Swap(a, b)),
        1 => (db(), any::<bool>()).prop_map(|(db, lazily)| Op::Flush(db, lazily)),
        1 => any::<bool>().prop_map(Op::FlushAll),
        4 => (1i64..2000).prop_map(Op::Pass),
        2 => (1u64..3000).prop_map(Op::Evict),
        4 => (1u8..20).prop_map(Op::Free),
        6 => Just(Op::Cut),
        30 => (1u8..60).prop_map(Op::Slice),
        2 => Just(Op::Abort),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, max_shrink_iters: 200, ..ProptestConfig::default() })]
    #[test]
    fn every_snapshot_is_the_state_at_its_cut(
        before in prop::collection::vec(operation(), 0..60),
        ops in prop::collection::vec(operation(), 1..400),
    ) {
        let mut pair = Pair::new();
        before.into_iter().chain(ops).for_each(|op| pair.apply(op));
        pair.finish();
    }
}

#[test]
fn stamps_used_again_are_never_mistaken_whatever_walks_were_given_up() {
    let mut pair = Pair::new();
    for n in 0..300 {
        pair.line(0, &format!("SET k{n} {n}"));
    }
    for round in 0..100 {
        pair.apply(Op::Cut);
        // Some are given up at once, some half way, few come to their end.
        for _ in 0..round % 7 {
            pair.apply(Op::Slice(12));
        }
        pair.apply(Op::Line(0, format!("SET k{round} again")));
        pair.apply(Op::Fill(0, round * 3, 5));
        if round % 20 == 19 {
            pair.finish();
        }
        (0..DATABASES).for_each(|db| pair.real.keyspace.db(db).check());
    }
    assert_eq!(pair.finished, 5);
}

#[test]
fn a_walk_waits_for_its_chunks_to_be_taken_and_commands_do_not() {
    let mut shard = shard();
    for n in 0..500 {
        execute(&mut shard, 0, START_MS, &["SET", &format!("k{n}"), &"v".repeat(100)]);
    }
    let cut = state(&shard);
    shard.begin_walk(Scope::All, &OPTIONS);
    while shard.walk_slice(20) != Walked::Full {}
    let walked = shard.walk_stats().unwrap();
    assert!(walked.walked < 100 && walked.waiting_bytes < 10_000, "{walked:?}");
    for n in 0..500 {
        execute(&mut shard, 0, START_MS, &["SET", &format!("k{n}"), "other"]);
        assert_eq!(shard.walk_slice(20), Walked::Full);
    }
    let copied = shard.walk_stats().unwrap();
    assert_eq!((copied.walked, copied.copied), (walked.walked, 500 - walked.walked));
    let mut chunks = Vec::new();
    loop {
        chunks.extend(std::iter::from_fn(|| shard.take_chunk()));
        if shard.walk_slice(20) == Walked::Done {
            break;
        }
    }
    chunks.extend(std::iter::from_fn(|| shard.take_chunk()));
    same(&read(&chunks), &cut);
    assert_eq!(shard.walk_stats().unwrap().waiting_bytes, 0);
}

/// A last element that fills a part: there is a last part all the same.
#[test]
fn the_last_part_of_a_value_is_told_whatever_its_length() {
    for length in 1..80 {
        let mut shard = shard();
        for n in 0..20 {
            let member = format!("{n:02}{}", "m".repeat(length));
            execute(&mut shard, 0, START_MS, &["SADD", "s", &member, &format!("other{n}")]);
        }
        let cut = state(&shard);
        shard.begin_walk(Scope::All, &OPTIONS);
        while shard.walk_slice(1000) != Walked::Done {
            assert!(shard.walk_stats().is_some());
        }
        let chunks: Vec<_> = std::iter::from_fn(|| shard.take_chunk()).collect();
        assert!(!chunks.last().unwrap().continues);
        same(&read(&chunks), &cut);
    }
}
