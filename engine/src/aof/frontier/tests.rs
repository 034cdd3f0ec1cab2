//! Tests of the frontier by itself; with real logs and crashes: `engine/tests/crash/`.

use super::*;

/// Shards 0..n and the frontier between them.
struct Rig {
    frontier: Arc<Frontier>,
    shards: Vec<Ledger>,
    next: Vec<Lsn>,
    reached: Vec<[Lsn; 2]>,
}

impl Rig {
    fn new(n: usize) -> Self {
        let frontier = Arc::new(Frontier::default());
        let shards = (0..n).map(|shard| Ledger::new(shard, frontier.clone())).collect();
        Self { frontier, shards, next: vec![1; n], reached: vec![[0; 2]; n] }
    }

    fn single(&mut self, shard: usize) -> Lsn {
        self.next[shard] += 1;
        self.next[shard] - 1
    }

    fn transaction(&mut self, id: u64, shards: &[usize]) {
        let parts: Vec<_> = shards.iter().map(|&shard| (shard, self.single(shard))).collect();
        for &(shard, lsn) in &parts {
            self.shards[shard].take(&mut vec![Mark { lsn, id }], id);
        }
        self.frontier.register(id, &parts);
    }

    fn settled(&mut self, shard: usize) -> [Lsn; 2] {
        let reached = self.reached[shard];
        self.shards[shard].settled(reached)
    }

    fn reach(&mut self, shard: usize, written: Lsn, synced: Lsn) -> [Lsn; 2] {
        self.reached[shard] = [written, synced];
        self.settled(shard)
    }

    fn woken(&mut self, shard: usize) -> Vec<usize> {
        self.shards[shard].take_wake().iter().collect()
    }
}

#[test]
fn what_stands_before_the_first_transaction_is_settled_when_it_is_reached() {
    let mut rig = Rig::new(2);
    rig.single(0);
    assert_eq!(rig.reach(0, 1, 1), [1, 1]);
    rig.single(0);
    rig.transaction(1, &[0, 1]);
    assert_eq!(rig.reach(0, 3, 3), [2, 2], "the other one has nothing of it yet");
}

#[test]
fn a_transaction_and_what_follows_it_is_settled_when_all_its_shards_have_it() {
    let mut rig = Rig::new(3);
    rig.transaction(1, &[0, 1]);
    rig.single(0);
    assert_eq!(rig.reach(0, 2, 2), [0, 0]);
    assert_eq!(rig.reach(1, 1, 0), [1, 0]);
    assert_eq!(rig.woken(1), [0]);
    assert_eq!(rig.settled(0), [2, 0]);
    assert_eq!(rig.reach(1, 1, 1), [1, 1]);
    assert_eq!(rig.woken(1), [0]);
    assert_eq!(rig.settled(0), [2, 2]);
    assert!(rig.shards[..2].iter().all(Ledger::is_empty));
    assert_eq!(rig.woken(0), [0; 0]);
}

#[test]
fn a_transaction_waits_for_lower_ones_of_other_shards() {
    let mut rig = Rig::new(4);
    rig.transaction(1, &[0, 1]);
    rig.transaction(2, &[0, 2]);
    rig.transaction(5, &[2, 3]);
    assert_eq!(rig.reach(0, 2, 2), [0, 0]);
    assert_eq!(rig.reach(2, 2, 2), [0, 0], "2 may be dropped with 1, and 5 with 2");
    assert_eq!(rig.reach(3, 1, 1), [0, 0]);
    assert_eq!(rig.reach(1, 1, 1), [1, 1]);
    assert_eq!(rig.woken(1), [0, 2, 3]);
    assert_eq!((rig.settled(0), rig.settled(2), rig.settled(3)), ([2, 2], [2, 2], [1, 1]));
}

#[test]
fn a_demand_reaches_every_shard_with_an_unsynced_lower_transaction_once() {
    let mut rig = Rig::new(4);
    rig.transaction(1, &[1, 2]);
    rig.transaction(2, &[0, 1]);
    rig.transaction(3, &[2, 3]);
    rig.single(1);
    for shard in 0..4 {
        rig.reach(shard, 3, 0);
        rig.woken(shard);
    }
    assert_eq!(rig.shards[1].asked(), 0);
    assert!(rig.shards[0].is_undemanded());
    rig.shards[0].demand();
    assert!(!rig.shards[0].is_undemanded());
    assert_eq!(rig.woken(0), [1, 2]);
    let asked: Vec<_> = rig.shards.iter().map(Ledger::asked).collect();
    assert_eq!(asked, [1, 2, 1, 0], "not what stands behind, not the transaction above");
    rig.shards[0].demand();
    assert_eq!(rig.woken(0), [0; 0], "said once");
    rig.reach(2, 3, 3);
    rig.shards[3].demand();
    assert_eq!(rig.woken(3), [0; 0], "shard 2 has synced its part already");
}

#[test]
fn transactions_that_nobody_syncs_are_demanded_before_they_fill_memory() {
    let mut rig = Rig::new(2);
    for id in 1..=OPEN_MAX as u64 {
        rig.transaction(id, &[0, 1]);
    }
    assert_eq!(rig.shards[1].asked(), 0);
    rig.transaction(OPEN_MAX as u64 + 1, &[0, 1]);
    assert_eq!(rig.shards[1].asked(), OPEN_MAX as u64 + 1);
}

#[test]
fn what_a_failed_log_holds_back_for_ever_is_known() {
    let mut rig = Rig::new(3);
    rig.transaction(1, &[0, 1]);
    rig.transaction(2, &[0, 1]);
    rig.single(0);
    rig.transaction(3, &[0, 2]);
    rig.reach(1, 2, 1);
    rig.shards[1].fail();
    assert_eq!(rig.shards[0].hopeless(Level::Synced), Some(2));
    assert_eq!(rig.shards[0].hopeless(Level::Written), None);
    assert_eq!(rig.shards[2].hopeless(Level::Synced), Some(1), "it comes behind a lost one");
    rig.transaction(4, &[1, 2]);
    assert_eq!(rig.shards[2].hopeless(Level::Written), Some(2));
}

#[test]
#[should_panic = "registered after 4"]
fn registering_out_of_order_is_a_bug() {
    let frontier = Frontier::default();
    frontier.register(4, &[(0, 1), (1, 1)]);
    frontier.register(4, &[(0, 2), (1, 2)]);
}
