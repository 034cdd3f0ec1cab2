//! The keyspace against a plain map: the same operations on both, the same answers from both.

use super::{
    super::{Database, Deadline, KeyHasher, Str, memory::ledger},
    dice,
};
use crate::limits::GROUPS;
use proptest::prelude::*;
use std::collections::{BTreeSet, HashMap};

/// What the reference knows of a key.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    value: Vec<u8>,
    deadline: Option<i64>,
    access: u32,
}

#[derive(Debug, Clone)]
enum Op {
    Set(u16, Vec<u8>, Deadline),
    SetInt(u16, i64, Deadline),
    SetMany(u16, u16),
    RemoveMany(u16, u16),
    Append(u16, Vec<u8>),
    WriteRange(u16, u16, Vec<u8>),
    Remove(u16),
    SetDeadline(u16, Option<i64>),
    Rename(u16, u16),
    Copy(u16, u16),
    Edit(u16, u8),
    Touch(u16, u32),
    Due(i64, u8),
    Scan(u8),
    Random(u64),
    Get(u16),
}

/// Most keys share a hash tag, so that one group becomes large; the others are spread.
fn name(n: u16) -> Vec<u8> {
    match n % 8 {
        0 => format!("spread:{n}").into_bytes(),
        1 => format!("{{tag}}:{n}:{}", "long".repeat(40)).into_bytes(),
        _ => format!("{{tag}}:{n}").into_bytes(),
    }
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..200),
        3 => any::<i64>().prop_map(|n| n.to_string().into_bytes()),
        2 => (900usize..1200).prop_map(|len| vec![b'x'; len]),
        1 => (1usize..20_000).prop_map(|len| vec![b'y'; len]),
    ]
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => 0i64..100_000,
        2 => 0i64..10_000_000_000,
        1 => -100_000i64..0,
        1 => any::<i64>(),
    ]
}

fn deadline() -> impl Strategy<Value = Deadline> {
    prop_oneof![
        2 => Just(Deadline::None),
        1 => Just(Deadline::Keep),
        2 => time().prop_map(Deadline::At),
    ]
}

fn operation() -> impl Strategy<Value = Op> {
    let key = || 0u16..3000;
    let few = || 0u16..40;
    prop_oneof![
        3 => (few(), value(), deadline()).prop_map(|(k, v, d)| Op::Set(k, v, d)),
        1 => (few(), any::<i64>(), deadline()).prop_map(|(k, n, d)| Op::SetInt(k, n, d)),
        3 => (key(), 1u16..700).prop_map(|(k, n)| Op::SetMany(k, n)),
        3 => (key(), 1u16..900).prop_map(|(k, n)| Op::RemoveMany(k, n)),
        3 => (few(), value()).prop_map(|(k, v)| Op::Append(k, v)),
        2 => (few(), 0u16..3000, value()).prop_map(|(k, o, v)| Op::WriteRange(k, o, v)),
        2 => few().prop_map(Op::Remove),
        3 => (few(), prop::option::weighted(0.8, time())).prop_map(|(k, t)| Op::SetDeadline(k, t)),
        1 => (few(), few()).prop_map(|(a, b)| Op::Rename(a, b)),
        1 => (few(), few()).prop_map(|(a, b)| Op::Copy(a, b)),
        1 => (few(), any::<u8>()).prop_map(|(k, b)| Op::Edit(k, b)),
        1 => (few(), any::<u32>()).prop_map(|(k, a)| Op::Touch(k, a)),
        2 => (time(), any::<u8>()).prop_map(|(t, n)| Op::Due(t, n)),
        3 => any::<u8>().prop_map(Op::Scan),
        1 => any::<u64>().prop_map(Op::Random),
        2 => key().prop_map(Op::Get),
    ]
}

/// A scan that goes on while the database changes.
struct RunningScan {
    cursor: u64,
    /// Keys that have existed since the scan began.
    owed: BTreeSet<Vec<u8>>,
}

struct Pair {
    real: Database,
    hasher: KeyHasher,
    model: HashMap<Vec<u8>, Known>,
    scan: Option<RunningScan>,
}

impl Pair {
    fn new() -> Self {
        let hasher = KeyHasher::fixed();
        let real = Database::new(hasher.clone());
        Self { real, hasher, model: HashMap::new(), scan: None }
    }

    fn forget(&mut self, key: &[u8]) -> Option<Known> {
        if let Some(scan) = &mut self.scan {
            scan.owed.remove(key);
        }
        self.model.remove(key)
    }

    fn set(&mut self, n: u16, value: Vec<u8>, deadline: Deadline, int: Option<i64>) {
        let bytes = name(n);
        let key = self.hasher.key(&bytes);
        let before = self.model.get(&bytes).cloned();
        let new = match int {
            Some(int) => self.real.set_int(key, int, deadline),
            None => self.real.set(key, &value, deadline),
        };
        assert_eq!(new, before.is_none());
        let old = before.and_then(|known| known.deadline);
        let deadline = deadline.resolve(old);
        self.model.insert(bytes, Known { value, deadline, access: 0 });
    }

    fn remove(&mut self, n: u16) {
        let bytes = name(n);
        let had = self.forget(&bytes).is_some();
        assert_eq!(self.real.remove(self.hasher.key(&bytes)), had);
    }

    fn append(&mut self, n: u16, tail: &[u8]) {
        let bytes = name(n);
        let key = self.hasher.key(&bytes);
        let fresh = Known { value: Vec::new(), deadline: None, access: 0 };
        let known = self.model.entry(bytes.clone()).or_insert(fresh);
        known.value.extend_from_slice(tail);
        assert_eq!(self.real.append(key, tail), known.value.len());
    }

    fn write_range(&mut self, n: u16, offset: usize, part: &[u8]) {
        let bytes = name(n);
        let key = self.hasher.key(&bytes);
        if part.is_empty() {
            let len = self.model.get(&bytes).map_or(0, |known| known.value.len());
            assert_eq!(self.real.write_range(key, offset, part), len);
            return;
        }
        let fresh = Known { value: Vec::new(), deadline: None, access: 0 };
        let known = self.model.entry(bytes.clone()).or_insert(fresh);
        if known.value.len() < offset + part.len() {
            known.value.resize(offset + part.len(), 0);
        }
        known.value[offset..offset + part.len()].copy_from_slice(part);
        assert_eq!(self.real.write_range(key, offset, part), known.value.len());
    }

    fn set_deadline(&mut self, n: u16, at: Option<i64>) {
        let bytes = name(n);
        let known = self.model.get_mut(&bytes);
        assert_eq!(self.real.set_deadline(self.hasher.key(&bytes), at), known.is_some());
        if let Some(known) = known {
            known.deadline = at;
        }
    }

    fn rename(&mut self, from: u16, to: u16) {
        let (from, to) = (name(from), name(to));
        let taken = self.real.take(self.hasher.key(&from));
        let known = self.forget(&from);
        assert_eq!(taken.is_some(), known.is_some());
        if let (Some(taken), Some(known)) = (taken, known) {
            assert_eq!(taken.string().unwrap().to_vec(), known.value);
            self.real.put(self.hasher.key(&to), taken);
            self.model.insert(to, known);
        }
    }

    fn copy(&mut self, from: u16, to: u16) {
        let (from, to) = (name(from), name(to));
        let copy = self.real.get(self.hasher.key(&from)).map(|entry| entry.to_owned_entry());
        if let (Some(copy), Some(known)) = (copy, self.model.get(&from).cloned()) {
            assert_eq!(copy.deadline(), known.deadline);
            self.real.put(self.hasher.key(&to), copy);
            self.model.insert(to, known);
        }
    }

    fn edit(&mut self, n: u16, byte: u8) {
        let bytes = name(n);
        let Some(mut entry) = self.real.get_mut(self.hasher.key(&bytes)) else { return };
        let known = self.model.get_mut(&bytes).expect("both have it");
        if entry.set_int_in_place(i64::from(byte)) {
            known.value = byte.to_string().into_bytes();
        } else if let Some(value) = entry.bytes_mut()
            && let Some(last) = value.last_mut()
        {
            *last = byte;
            *known.value.last_mut().expect("same length") = byte;
        }
    }

    fn touch(&mut self, n: u16, access: u32) {
        let bytes = name(n);
        if let Some(mut entry) = self.real.get_mut(self.hasher.key(&bytes)) {
            entry.touch(access);
            self.model.get_mut(&bytes).expect("both have it").access = access & 0xFF_FFFF;
        }
    }

    fn due(&mut self, now: i64, limit: usize) {
        let mut gone = Vec::new();
        let removed = self.real.due(now, limit, &mut |key| gone.push(key.to_vec()));
        assert_eq!(removed, gone.len());
        for key in gone {
            let known = self.forget(&key).expect("only keys that exist expire");
            assert!(known.deadline.is_some_and(|at| at < now), "only keys that are due expire");
        }
    }

    /// One step of the running scan; starts one when none is running.
    fn scan(&mut self, least: usize) {
        let model = &self.model;
        let mut scan = self
            .scan
            .take()
            .unwrap_or_else(|| RunningScan { cursor: 0, owed: model.keys().cloned().collect() });
        let mut emitted = BTreeSet::new();
        let next = self.real.scan(scan.cursor, 0..GROUPS, least, &mut |entry| {
            assert!(model.contains_key(entry.key()), "only keys that exist are emitted");
            assert!(emitted.insert(entry.key().to_vec()), "once in a step");
        });
        assert!(next == 0 || next > scan.cursor);
        assert!(next == 0 || emitted.len() >= least.max(1));
        assert!(next < 1 << 53);
        emitted.iter().for_each(|key| {
            scan.owed.remove(key);
        });
        scan.cursor = next;
        if next == 0 {
            assert!(scan.owed.is_empty(), "keys never emitted: {}", scan.owed.len());
        } else {
            self.scan = Some(scan);
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Set(k, v, d) => self.set(k, v, d, None),
            Op::SetInt(k, n, d) => self.set(k, n.to_string().into_bytes(), d, Some(n)),
            Op::SetMany(k, n) => {
                for i in k..k + n {
                    let deadline = match i % 5 {
                        0 => Deadline::At(i64::from(i) * 20),
                        1 => Deadline::Keep,
                        _ => Deadline::None,
                    };
                    self.set(i, i.to_string().into_bytes(), deadline, None);
                }
            }
            Op::RemoveMany(k, n) => (k..k + n).for_each(|i| self.remove(i)),
            Op::Append(k, v) => self.append(k, &v),
            Op::WriteRange(k, o, v) => self.write_range(k, usize::from(o), &v),
            Op::Remove(k) => self.remove(k),
            Op::SetDeadline(k, at) => self.set_deadline(k, at),
            Op::Rename(a, b) => self.rename(a, b),
            Op::Copy(a, b) => self.copy(a, b),
            Op::Edit(k, b) => self.edit(k, b),
            Op::Touch(k, a) => self.touch(k, a),
            Op::Due(now, limit) => self.due(now, usize::from(limit)),
            Op::Scan(least) => self.scan(usize::from(least)),
            Op::Random(seed) => {
                let entry = self.real.random(&mut dice(seed));
                assert_eq!(entry.is_none(), self.model.is_empty());
                assert!(entry.is_none_or(|entry| self.model.contains_key(entry.key())));
            }
            Op::Get(k) => {
                let bytes = name(k);
                let entry = self.real.get(self.hasher.key(&bytes));
                assert_eq!(entry.is_some(), self.model.contains_key(&bytes));
            }
        }
    }

    fn compare(&self) {
        self.real.check();
        assert_eq!(self.real.len(), self.model.len());
        let with_deadline = self.model.values().filter(|known| known.deadline.is_some()).count();
        assert_eq!(self.real.with_deadline(), with_deadline);
        for (bytes, known) in &self.model {
            let entry = self.real.get(self.hasher.key(bytes)).expect("the model has it");
            assert_eq!(entry.key(), bytes);
            assert_eq!(entry.value().to_vec(), known.value);
            assert_eq!(entry.deadline(), known.deadline);
            assert_eq!(entry.access(), known.access);
            if let Str::Int(n) = entry.value() {
                assert_eq!(n.to_string().as_bytes(), known.value);
            }
        }
    }

    /// Everything that is due at `now` goes, in calls that do little each.
    fn expire_all(&mut self, now: i64) {
        for _ in 0..100_000 {
            if self.real.next_due_ms().is_none_or(|at| at > now) {
                break;
            }
            self.due(now, 7);
        }
        let late = now.saturating_sub(super::super::deadlines::GRAIN_MS);
        assert!(!self.model.values().any(|known| known.deadline.is_some_and(|at| at < late)));
    }
}

fn run(operations: Vec<Op>) {
    assert_eq!(ledger::live(), 0, "each case begins with nothing allocated");
    let mut pair = Pair::new();
    for (n, op) in operations.into_iter().enumerate() {
        pair.apply(op);
        if n % 16 == 0 {
            pair.compare();
        }
    }
    pair.compare();
    for now in [50_000, 20_000_000_000, i64::MAX - 1_000_000] {
        pair.expire_all(now);
    }
    pair.compare();
    while pair.scan.is_some() {
        pair.scan(10);
    }
    let counted: usize = pair.real.entry_and_segment_bytes();
    assert_eq!(counted, ledger::live(), "accounted bytes are the bytes allocated");
    drop(pair);
    assert_eq!(ledger::live(), 0, "dropping a database frees everything");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 96 }, ..Default::default() })]
    #[test]
    fn the_database_answers_like_a_map(operations in prop::collection::vec(operation(), 1..120)) {
        run(operations);
    }
}
