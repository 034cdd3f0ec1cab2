//! Every prefix of every small history: a history is what each shard has logged, a prefix of it is
//! what each shard's disk has kept. What recovery keeps is compared with the closure, computed
//! here from its definition.

use super::super::{
    builder::{flat, recover_disk},
    segments::{Directory, Segment},
};

/// What a shard has logged: a part of a transaction, by its index, or a write of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logged {
    Part(usize),
    Single,
}

/// Transactions by their participants, and the logs that result with a write at each end.
#[derive(Debug, Clone)]
pub struct History {
    pub transactions: Vec<Vec<usize>>,
    pub logs: Vec<Vec<Logged>>,
}

impl History {
    pub fn new(shards: usize, transactions: Vec<Vec<usize>>) -> Self {
        let log = |shard| {
            let parts = transactions.iter().enumerate().filter(|(_, t)| t.contains(&shard));
            parts.map(|(at, _)| Logged::Part(at)).chain([Logged::Single]).collect()
        };
        let logs = (0..shards).map(log).collect();
        Self { transactions, logs }
    }

    /// Every history of `count` transactions, each of one of the sets in `choices`.
    pub fn all(shards: usize, count: usize, choices: &[Vec<usize>]) -> Vec<Self> {
        let total = choices.len().pow(count as u32);
        let pick = |mut number: usize| {
            (0..count)
                .map(|_| {
                    let choice = choices[number % choices.len()].clone();
                    number /= choices.len();
                    choice
                })
                .collect()
        };
        (0..total).map(|number| Self::new(shards, pick(number))).collect()
    }

    pub fn lengths(&self) -> Vec<usize> {
        self.logs.iter().map(Vec::len).collect()
    }

    pub fn position(&self, shard: usize, what: Logged) -> usize {
        self.logs[shard].iter().position(|&logged| logged == what).expect("it is logged there")
    }

    /// What is left of each log of which `durable` entries are there: the definition.
    pub fn closure(&self, durable: &[usize]) -> Vec<usize> {
        let mut left = durable.to_vec();
        loop {
            let before = left.clone();
            for (at, participants) in self.transactions.iter().enumerate() {
                let position = |&shard: &usize| self.position(shard, Logged::Part(at));
                let whole = participants.iter().all(|shard| position(shard) < left[*shard]);
                if !whole {
                    participants.iter().for_each(|shard| {
                        left[*shard] = left[*shard].min(position(shard));
                    });
                }
            }
            if left == before {
                return left;
            }
        }
    }
}

/// Every vector of numbers up to these, themselves included.
pub fn vectors(most: &[usize]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let most = most.to_vec();
    let total: usize = most.iter().map(|n| n + 1).product();
    (0..total).map(move |mut number| {
        let digit = |n: &usize| {
            let digit = number % (n + 1);
            number /= n + 1;
            digit
        };
        most.iter().map(digit).collect()
    })
}

fn directory(history: &History, durable: &[usize], direct: bool) -> Directory {
    let segment = |(shard, log): (usize, &Vec<Logged>)| {
        let number = shard as u64 + 1;
        let mut segment = Segment::new(shard as u16, number);
        segment.direct = direct;
        for (at, logged) in log[..durable[shard]].iter().enumerate() {
            let line = format!("SET s{shard}:{at} x");
            segment = match logged {
                Logged::Part(tx) => {
                    segment.part(*tx as u64 + 1, 0, &history.transactions[*tx], &[&line])
                }
                Logged::Single => segment.commit(&[&line]),
            };
        }
        if direct { segment.filled(1 << 15) } else { segment }
    };
    Directory::of(history.logs.iter().enumerate().map(segment)).ours()
}

fn check(history: &History, direct: bool) -> usize {
    let mut states = 0;
    for durable in vectors(&history.lengths()) {
        let left = history.closure(&durable);
        let directory = directory(history, &durable, direct);
        let (keys, _) = recover_disk(&directory.disk, 2)
            .unwrap_or_else(|error| panic!("{history:?} {durable:?}: {error}"));
        let mut expected: Vec<_> = left
            .iter()
            .enumerate()
            .flat_map(|(shard, &n)| (0..n).map(move |at| format!("s{shard}:{at}")))
            .collect();
        expected.sort();
        let found: Vec<_> = flat(&keys).into_iter().map(|(key, _)| key).collect();
        assert_eq!(found, expected, "{history:?}, durable {durable:?}");
        states += 1;
    }
    states
}

pub fn pairs(shards: usize) -> Vec<Vec<usize>> {
    (0..shards).flat_map(|a| (a + 1..shards).map(move |b| vec![a, b])).collect()
}

#[test]
fn recovery_keeps_the_closure_of_every_prefix_of_three_transactions_on_three_shards() {
    let mut choices = pairs(3);
    choices.push(vec![0, 1, 2]);
    let mut states = 0;
    for (at, history) in History::all(3, 3, &choices).iter().enumerate() {
        states += check(history, at % 4 == 0);
    }
    assert!(states > 4_000, "{states}");
}

#[test]
fn and_of_chains_of_four_transactions_on_four_shards() {
    let histories = History::all(4, 4, &pairs(4));
    let states: usize = histories.iter().step_by(97).map(|history| check(history, false)).sum();
    assert!(states > 2_000, "{states}");
}
