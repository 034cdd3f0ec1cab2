//! What the writers of several shards let go while their logs are anywhere between nothing and
//! everything: every small history, every vector of written and synced positions, every mix of
//! policies. What was let go must be in what recovery keeps of the worst that can be left.
//!
//! Shards, writers and the frontier are the real ones; only the disk is a number here. That
//! recovery keeps what `History::closure` says is `prefixes.rs`'s to show.

use super::prefixes::{History, Logged, pairs, vectors};
use quire_engine::{
    aof::{
        Frontier, FsyncPolicy, Level, LogWriter, Lsn, OpenSegment, Participants, Staging,
        Transaction,
    },
    effect::{Deadline, Effect},
    io::{FileId, LogIo, WriteSync},
    keyspace::KeyHasher,
    shard::Shard,
};
use std::sync::Arc;

/// A disk that says when what it was asked for is done.
#[derive(Default)]
struct Io {
    /// Writes in the calling thread succeed.
    has_room: bool,
    writing: Option<usize>,
    is_syncing: bool,
}

impl LogIo for Io {
    fn write_now(&mut self, _: FileId, _: u64, _: &[u8]) -> Result<(), i32> {
        if self.has_room { Ok(()) } else { Err(libc::ENOSPC) }
    }

    unsafe fn start_write(&mut self, _: FileId, _: u64, _: *const u8, len: usize, _: WriteSync) {
        assert!(self.writing.replace(len).is_none(), "one write at a time");
    }

    fn start_sync(&mut self, _: FileId) {
        assert!(!self.is_syncing, "one sync at a time");
        self.is_syncing = true;
    }
}

struct Node {
    shard: Shard,
    writer: LogWriter,
    io: Io,
    /// How far its log gets.
    write_up_to: Lsn,
    sync_up_to: Lsn,
}

fn hash(lsn: Lsn) -> u64 {
    lsn.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

impl Node {
    fn log(&mut self, transaction: Option<Transaction>) -> Lsn {
        let lsn = self.shard.staging.last_lsn() + 1;
        if transaction.is_some() {
            self.shard.begin_transaction(transaction);
        }
        let staging = &mut self.shard.staging;
        staging.begin();
        staging.touch_write(hash(lsn));
        let key = lsn.to_string();
        staging.push(0, Effect::Set { key: key.as_bytes(), value: b"v", deadline: Deadline::None });
        let own = staging.end();
        let told = if transaction.is_some() { self.shard.end_transaction().0 } else { own };
        assert_eq!(told, lsn);
        lsn
    }

    fn pump(&mut self, now_us: u64) {
        self.writer.pump(&mut self.shard.staging, now_us, &mut self.io);
    }

    fn complete_write(&mut self, now_us: u64) {
        if let Some(len) = self.io.writing.take() {
            self.writer.on_write_done(Ok(len), &mut self.shard.staging, now_us, &mut self.io);
        }
    }

    fn complete_sync(&mut self, now_us: u64) {
        if std::mem::take(&mut self.io.is_syncing) {
            self.writer.on_sync_done(Ok(()), &mut self.shard.staging, now_us, &mut self.io);
        }
    }

    /// Goes as far with what has been logged as it may.
    fn advance(&mut self) {
        let last = self.shard.staging.last_lsn();
        self.io.has_room = last <= self.write_up_to;
        self.pump(NOW_US);
        if !self.io.has_room {
            return;
        }
        self.complete_write(NOW_US);
        if last == self.sync_up_to && self.writer.synced() < last {
            self.writer.request_sync(&self.shard.staging);
            while self.writer.synced() < last {
                self.complete_sync(NOW_US);
                self.pump(NOW_US);
            }
        }
    }

    /// What the reply of a reader of this batch's key waits for.
    fn read(&mut self, lsn: Lsn) -> Lsn {
        self.shard.staging.begin();
        self.shard.staging.touch_read(hash(lsn));
        self.shard.staging.end();
        self.shard.staging.gate()
    }
}

const NOW_US: u64 = 1_000_000;

struct Cluster {
    nodes: Vec<Node>,
    frontier: Arc<Frontier>,
    ids: u64,
}

impl Cluster {
    fn new(policies: &[FsyncPolicy]) -> Self {
        let frontier = Arc::new(Frontier::default());
        let node = |(id, &policy): (usize, &FsyncPolicy)| {
            let first = OpenSegment {
                file: id as FileId,
                path: "segment".into(),
                seq: 1,
                method: policy.method(),
                capacity: 1 << 20,
            };
            let mut writer = LogWriter::new(id as u16, 7, policy, first);
            let mut staging = Staging::new(id as u16, 7);
            writer.set_frontier(frontier.clone());
            writer.set_policy(policy, &mut staging);
            let shard = Shard::new(id, policies.len(), 1, KeyHasher::fixed(), staging, 1);
            let io = Io::default();
            Node { shard, writer, io, write_up_to: Lsn::MAX, sync_up_to: Lsn::MAX }
        };
        let nodes = policies.iter().enumerate().map(node).collect();
        Self { nodes, frontier, ids: 0 }
    }

    fn transaction(&mut self, shards: &[usize]) {
        self.ids += 1;
        let participants: Participants = shards.iter().copied().collect();
        let transaction = Transaction { id: self.ids, participants };
        let log = |&shard: &usize| (shard, self.nodes[shard].log(Some(transaction)));
        let parts: Vec<_> = shards.iter().map(log).collect();
        self.frontier.register(self.ids, &parts);
    }

    fn execute(&mut self, history: &History) {
        for participants in &history.transactions {
            self.transaction(participants);
            participants.iter().for_each(|&shard| self.nodes[shard].advance());
        }
        for node in &mut self.nodes {
            node.log(None);
            node.advance();
        }
    }

    /// Has every shard look that was told to, until none is.
    fn follow_wakes(&mut self, now_us: u64) {
        loop {
            let mut wake = Participants::default();
            for node in &mut self.nodes {
                wake = wake.union(node.writer.take_wake());
            }
            if wake.is_empty() {
                return;
            }
            wake.iter().for_each(|shard| self.nodes[shard].pump(now_us));
        }
    }

    /// Everything that has been started completes, until nothing moves.
    fn run_free(&mut self, now_us: u64) {
        loop {
            self.follow_wakes(now_us);
            let busy = |node: &Node| node.io.writing.is_some() || node.io.is_syncing;
            if !self.nodes.iter().any(busy) {
                return;
            }
            for node in self.nodes.iter_mut().filter(|node| busy(node)) {
                node.complete_write(now_us);
                node.complete_sync(now_us);
                node.pump(now_us);
            }
        }
    }

    fn released(&self) -> Vec<(Lsn, Lsn)> {
        let of = |node: &Node| (node.writer.released(), node.writer.settled(Level::Synced));
        self.nodes.iter().map(of).collect()
    }

    /// Checks everything that may have been let go against what is left.
    fn check(&mut self, history: &History, what: &str) {
        self.follow_wakes(NOW_US);
        let released = self.released();
        for node in &mut self.nodes {
            node.io.has_room = false;
            node.pump(NOW_US);
        }
        assert_eq!(self.released(), released, "{what}: a shard was not told to look");
        let position = |get: fn(&LogWriter) -> Lsn| -> Vec<usize> {
            self.nodes.iter().map(|node| get(&node.writer) as usize).collect()
        };
        let (written, synced) = (position(LogWriter::written), position(LogWriter::synced));
        let (killed, cut) = (history.closure(&written), history.closure(&synced));
        let strong = |shard: usize| self.nodes[shard].writer.policy() == FsyncPolicy::Always;
        let is_out = |shard: usize, at: usize| released[shard].0 > at as Lsn;
        for (shard, log) in history.logs.iter().enumerate() {
            for (at, logged) in log.iter().enumerate() {
                let waits_for: Vec<(usize, usize)> = match *logged {
                    Logged::Single => vec![(shard, at)],
                    Logged::Part(tx) => {
                        let there = |&s: &usize| (s, history.position(s, *logged));
                        history.transactions[tx].iter().map(there).collect()
                    }
                };
                if waits_for.iter().all(|&(s, at)| is_out(s, at)) {
                    assert!(at < killed[shard], "{what}: {shard}:{at} was told, the kill took it");
                    let promised = waits_for.iter().any(|&(s, _)| strong(s));
                    let kept = at < cut[shard];
                    assert!(!promised || kept, "{what}: {shard}:{at} was told, the cut took it");
                }
                let waited_for = released[shard].1 > at as Lsn;
                assert!(!waited_for || at < cut[shard], "{what}: {shard}:{at} was said to be safe");
            }
        }
        let strong: Vec<_> = (0..self.nodes.len()).filter(|&shard| strong(shard)).collect();
        for shard in strong {
            for at in 0..history.logs[shard].len() {
                let gate = self.nodes[shard].read(at as Lsn + 1);
                let shown = gate <= released[shard].0;
                assert!(!shown || at < cut[shard], "{what}: {shard}:{at} was read, and is gone");
            }
        }
    }
}

/// How far a log of `len` entries can be: written, synced.
fn positions(policy: FsyncPolicy, len: usize) -> Vec<(Lsn, Lsn)> {
    let strong = policy == FsyncPolicy::Always;
    let all = (0..=len as Lsn).flat_map(|w| (0..=w).map(move |s| (w, s)));
    all.filter(|(w, s)| !strong || w == s).collect()
}

const MIXES: [FsyncPolicy; 2] = [FsyncPolicy::Always, FsyncPolicy::No];

fn mixes(shards: usize) -> impl Iterator<Item = Vec<FsyncPolicy>> {
    vectors(&vec![1; shards]).map(|choice| choice.into_iter().map(|at| MIXES[at]).collect())
}

/// Every mix, every position. How many states there were.
fn everything(history: &History) -> usize {
    let mut states = 0;
    for policies in mixes(history.logs.len()) {
        let lengths = history.lengths();
        let choices: Vec<_> =
            policies.iter().zip(&lengths).map(|(&policy, &len)| positions(policy, len)).collect();
        let most: Vec<_> = choices.iter().map(|all| all.len() - 1).collect();
        for chosen in vectors(&most) {
            let mut cluster = Cluster::new(&policies);
            for ((node, all), at) in cluster.nodes.iter_mut().zip(&choices).zip(chosen) {
                (node.write_up_to, node.sync_up_to) = all[at];
            }
            cluster.execute(history);
            let at: Vec<_> = cluster.nodes.iter().map(|n| (n.write_up_to, n.sync_up_to)).collect();
            let policies: Vec<_> = policies.iter().map(|policy| policy.name()).collect();
            let what = format!("{:?}, {policies:?}, {at:?}", history.transactions);
            cluster.check(history, &what);
            states += 1;
        }
    }
    states
}

#[test]
fn nothing_told_or_shown_is_ever_taken_back_three_transactions_on_three_shards() {
    let histories = History::all(3, 3, &pairs(3));
    let states: usize = histories.iter().map(everything).sum();
    assert!(states > 50_000, "{states}");
}

#[test]
fn nor_with_chains_of_four_transactions_on_four_shards() {
    let chain = |order: [[usize; 2]; 4]| History::new(4, order.map(Vec::from).to_vec());
    let mut states = 0;
    for order in [[[0, 1], [1, 2], [2, 3], [0, 3]], [[2, 3], [1, 2], [0, 1], [0, 2]]] {
        let history = chain(order);
        // All logs strong, or one of them, at every position.
        for strong in [4, 0, 1, 2, 3] {
            let policy = |shard| if strong == 4 || shard == strong { MIXES[0] } else { MIXES[1] };
            let policies: Vec<_> = (0..4).map(policy).collect();
            for written in vectors(&history.lengths()) {
                // Of the weak ones nothing or everything is synced.
                for synced in [0, Lsn::MAX] {
                    let mut cluster = Cluster::new(&policies);
                    for (node, &written) in cluster.nodes.iter_mut().zip(&written) {
                        node.write_up_to = written as Lsn;
                        node.sync_up_to = synced.min(written as Lsn);
                    }
                    cluster.execute(&history);
                    cluster.check(&history, &format!("{order:?} {strong} {written:?} {synced}"));
                    states += 1;
                }
            }
        }
    }
    assert!(states > 4_000, "{states}");
}

/// Once everything has completed that anybody started, everybody has been answered.
#[test]
fn whoever_waits_is_answered_whatever_the_policies() {
    for history in History::all(3, 3, &pairs(3)) {
        for choice in vectors(&[2; 3]) {
            let policies: Vec<_> = choice.iter().map(|&at| FsyncPolicy::ALL[at]).collect();
            let mut cluster = Cluster::new(&policies);
            for participants in &history.transactions {
                cluster.transaction(participants);
            }
            for node in &mut cluster.nodes {
                node.io.has_room = true;
                node.log(None);
                node.pump(NOW_US);
            }
            cluster.run_free(NOW_US);
            let what = format!("{:?} {policies:?}", history.transactions);
            for (node, log) in cluster.nodes.iter().zip(&history.logs) {
                assert_eq!(node.writer.released(), log.len() as Lsn, "{what}");
            }
            // No time has passed: what `always` does not need nobody has synced.
            let needed =
                |shard: usize| history.needs(shard, |s| policies[s] == FsyncPolicy::Always);
            for (shard, node) in cluster.nodes.iter().enumerate() {
                assert!(node.writer.synced() == 0 || needed(shard), "{what}: {shard} synced");
            }
        }
    }
}

#[test]
fn whoever_asks_for_stable_storage_gets_it_for_all_that_its_answer_depends_on() {
    let mut cluster = Cluster::new(&[FsyncPolicy::No; 4]);
    for shards in [[2, 3], [1, 2], [0, 1]] {
        cluster.transaction(&shards);
    }
    for node in &mut cluster.nodes {
        node.io.has_room = true;
        node.pump(NOW_US);
    }
    cluster.run_free(NOW_US);
    assert!(cluster.released().iter().all(|&(_, safe)| safe == 0));
    let node = &mut cluster.nodes[0];
    node.writer.request_sync(&node.shard.staging);
    node.pump(NOW_US);
    cluster.run_free(NOW_US);
    assert_eq!(cluster.nodes[0].writer.settled(Level::Synced), 1);
}

#[test]
fn everysec_has_partners_synced_within_the_second_and_replies_wait_after_two() {
    let mut cluster = Cluster::new(&[FsyncPolicy::EverySec, FsyncPolicy::No]);
    cluster.transaction(&[0, 1]);
    for node in &mut cluster.nodes {
        node.io.has_room = true;
        node.pump(NOW_US);
    }
    cluster.follow_wakes(NOW_US);
    assert_eq!(cluster.released(), [(1, 0), (1, 0)]);
    let node = &mut cluster.nodes[0];
    assert_eq!(node.writer.next_deadline_us(), Some(NOW_US + 1_000_000));
    let later = NOW_US + 1_000_000;
    node.pump(later);
    node.complete_sync(later);
    assert_eq!((node.writer.synced(), node.writer.settled(Level::Synced)), (1, 0));
    cluster.follow_wakes(later);
    assert!(cluster.nodes[1].io.is_syncing, "its partner has been asked");
    // It takes long.
    let late = NOW_US + 2_000_001;
    let node = &mut cluster.nodes[0];
    node.log(None);
    node.pump(late);
    assert_eq!((node.writer.written(), node.writer.released()), (2, 1), "replies wait");
    cluster.nodes[1].complete_sync(late);
    cluster.follow_wakes(late);
    assert_eq!(cluster.nodes[0].writer.released(), 2);
}

#[test]
fn a_log_is_not_finished_before_its_last_transactions_are_settled() {
    let mut cluster = Cluster::new(&[FsyncPolicy::No; 2]);
    cluster.transaction(&[0, 1]);
    for node in &mut cluster.nodes {
        node.io.has_room = true;
        node.writer.start_finish();
    }
    let node = &mut cluster.nodes[0];
    node.pump(NOW_US);
    node.complete_sync(NOW_US);
    node.pump(NOW_US);
    assert!(node.writer.synced() == 1 && !node.writer.is_finished());
    cluster.nodes[1].pump(NOW_US);
    cluster.run_free(NOW_US);
    assert!(cluster.nodes.iter().all(|node| node.writer.is_finished()));
}

impl History {
    /// Whether a log that `strong` picks waits for something this shard has to sync.
    fn needs(&self, shard: usize, strong: impl Fn(usize) -> bool) -> bool {
        let waits = |tx: &&Vec<usize>| tx.iter().any(|&s| strong(s));
        let last = self.transactions.iter().rposition(|tx| waits(&tx));
        let below = last.map_or(0, |last| last + 1);
        strong(shard) || self.transactions[..below].iter().any(|tx| tx.contains(&shard))
    }
}
