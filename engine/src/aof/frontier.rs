//! Which transactions over several shards are in all their logs, and what of each log is settled.
//!
//! ```text
//! coordinator -> register (which shards, which LSNs)
//! each shard's writer -> Ledger -> reached ----> below(level): every transaction below is reached
//!                               <- settled <----
//! ```
//! Recovery drops a transaction that one participant's log lacks from all of them, with everything
//! behind it there, and so on. So having reached an LSN says little. **Settled** is what recovery
//! cannot take back: an LSN that its log has reached, with every transaction before it in that log
//! below the frontier. The frontier of a level is the lowest transaction that some participant has
//! not reached at that level.
//!
//! Why it suffices: every log holds its transactions in the order of their ids. Assume a cut takes
//! something settled, and look at the lowest transaction whose absence caused a cut: it is at or
//! above the frontier, and everything the closure takes lies behind a transaction that is not
//! lower. What is settled has only lower ones before it.
//!
//! Levels: what replies wait for under a policy ([`Level`]). Who waits for *synced* makes the
//! shards that hold a lower transaction unsynced sync it now, whatever their policy ([`demand`]).
//!
//! Owns: the frontier, its mutex (taken when a transaction is registered, reached or demanded,
//! never while there is none), each shard's list of its own transactions that are not settled.
//! Does not know: files, time, how a shard is woken.
//!
//! [`demand`]: Frontier::demand

use super::{Level, Lsn, Participants};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Transactions kept until they are synced; with more, all are demanded. Bounds memory where
/// nothing is ever synced for the policy's sake.
const OPEN_MAX: usize = 64 * 1024;

/// The frontier of one server run, shared by its coordinator and all writers.
#[derive(Debug)]
pub struct Frontier {
    /// By level: every transaction below this id has reached it everywhere.
    below: [AtomicU64; 2],
    /// Transactions up to this id are to be synced whatever the policies.
    demanded: AtomicU64,
    /// By level: from this id on none will ever be reached everywhere; a log has failed.
    broken: [AtomicU64; 2],
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The last id registered.
    last: u64,
    /// How far each shard has said its log is.
    reached: Vec<[Lsn; 2]>,
    failed: Participants,
    /// Those that not all shards have synced, oldest first.
    open: VecDeque<Open>,
    /// How many of them, from the front, all shards have written.
    written: usize,
}

#[derive(Debug)]
struct Open {
    id: u64,
    /// Its LSN on each of its shards.
    parts: Box<[(u16, Lsn)]>,
}

impl Default for Frontier {
    fn default() -> Self {
        Self {
            below: [const { AtomicU64::new(1) }; 2],
            demanded: AtomicU64::new(0),
            broken: [const { AtomicU64::new(u64::MAX) }; 2],
            state: Mutex::default(),
        }
    }
}

impl Frontier {
    /// A transaction has been executed: its LSN on each of its shards. To be called before the
    /// shards go on: until then nothing behind it is settled anywhere.
    ///
    /// # Panics
    /// When ids do not increase.
    pub fn register(&self, id: u64, parts: &[(usize, Lsn)]) {
        let mut state = self.state();
        assert!(id > state.last, "transaction {id} is registered after {}", state.last);
        state.last = id;
        let parts = parts.iter().map(|&(shard, lsn)| (shard as u16, lsn)).collect();
        state.open.push_back(Open { id, parts });
        if state.open.len() > OPEN_MAX {
            self.demanded.fetch_max(id, Ordering::Release);
        }
        if !state.failed.is_empty() {
            self.break_off(&state);
        }
    }

    /// The lowest transaction that some participant has not reached at that level.
    #[inline]
    pub fn below(&self, level: Level) -> u64 {
        self.below[level as usize].load(Ordering::Acquire)
    }

    /// How far shard `shard`'s log is, by level. The shards whose logs may have more settled now.
    fn reached(&self, shard: usize, reached: [Lsn; 2]) -> Participants {
        let mut state = self.state();
        state.reach(shard, reached);
        let mut moved = Participants::default();
        let State { last, reached, open, written, .. } = &mut *state;
        let has = |level: Level, tx: &Open| {
            let at = |shard: u16| reached.get(usize::from(shard)).map_or(0, |r| r[level as usize]);
            tx.parts.iter().all(|&(shard, lsn)| at(shard) >= lsn)
        };
        while let Some(tx) = open.get(*written).filter(|tx| has(Level::Written, tx)) {
            tx.parts.iter().for_each(|&(shard, _)| moved.insert(shard.into()));
            *written += 1;
        }
        while let Some(tx) = open.front().filter(|tx| has(Level::Synced, tx)) {
            tx.parts.iter().for_each(|&(shard, _)| moved.insert(shard.into()));
            open.pop_front();
            *written -= 1;
        }
        let below = |at: usize| open.get(at).map_or(*last + 1, |tx| tx.id);
        // ORDER: after the logs have reached what this says: whoever reads it lets replies go.
        self.below[Level::Written as usize].store(below(*written), Ordering::Release);
        self.below[Level::Synced as usize].store(below(0), Ordering::Release);
        moved
    }

    /// Somebody waits for transactions up to `id` to be synced everywhere. The shards that have to
    /// do something for it.
    fn demand(&self, id: u64) -> Participants {
        let mut busy = Participants::default();
        if self.demanded.load(Ordering::Acquire) >= id {
            return busy;
        }
        let state = self.state();
        let before = self.demanded.fetch_max(id, Ordering::AcqRel);
        let from = state.open.partition_point(|tx| tx.id <= before);
        for tx in state.open.range(from..).take_while(|tx| tx.id <= id) {
            for &(shard, lsn) in &tx.parts {
                if state.at(shard.into(), Level::Synced) < lsn {
                    busy.insert(shard.into());
                }
            }
        }
        busy
    }

    /// Forgets every transaction and every failure: no shard has a log any more.
    pub fn forget(&self) {
        let mut state = self.state();
        state.failed = Participants::default();
        state.open.clear();
        state.written = 0;
        for (below, broken) in self.below.iter().zip(&self.broken) {
            broken.store(u64::MAX, Ordering::Release);
            below.store(state.last + 1, Ordering::Release);
        }
    }

    /// The log of this shard reaches nothing any more.
    fn fail(&self, shard: usize) {
        let mut state = self.state();
        state.failed.insert(shard);
        self.break_off(&state);
    }

    fn break_off(&self, state: &State) {
        for level in [Level::Written, Level::Synced] {
            let lost = |&(shard, lsn): &(u16, Lsn)| {
                let shard = usize::from(shard);
                state.failed.contains(shard) && state.at(shard, level) < lsn
            };
            if let Some(tx) = state.open.iter().find(|tx| tx.parts.iter().any(lost)) {
                self.broken[level as usize].fetch_min(tx.id, Ordering::AcqRel);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn at(&self, shard: usize, level: Level) -> Lsn {
        self.reached.get(shard).map_or(0, |reached| reached[level as usize])
    }

    fn reach(&mut self, shard: usize, reached: [Lsn; 2]) {
        if self.reached.len() <= shard {
            self.reached.resize(shard + 1, [0; 2]);
        }
        let known = &mut self.reached[shard];
        *known = [known[0].max(reached[0]), known[1].max(reached[1])];
    }
}

/// A transaction in one shard's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// Its LSN there.
    pub(super) lsn: Lsn,
    /// Its id.
    pub(super) id: u64,
}

/// One shard's side of the frontier: its transactions that are not settled.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    shard: usize,
    frontier: Option<Arc<Frontier>>,
    /// Not synced everywhere; oldest first, each with the time it was taken over, us.
    open: VecDeque<(Mark, u64)>,
    /// What the frontier knows of this log.
    told: [Lsn; 2],
    /// This shard has demanded transactions up to this one.
    demanded: u64,
    failed: bool,
    wake: Participants,
}

impl Ledger {
    /// The side of shard `shard`.
    pub(super) fn new(shard: usize, frontier: Arc<Frontier>) -> Self {
        Self { shard, frontier: Some(frontier), ..Self::default() }
    }

    /// True when every transaction here is settled: then everything reached is.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Takes over the transactions of the commit being gathered.
    pub(super) fn take(&mut self, marks: &mut Vec<Mark>, now_us: u64) {
        self.open.extend(marks.drain(..).map(|mark| (mark, now_us)));
    }

    /// When the oldest one was taken over, us.
    pub(super) fn oldest_us(&self) -> Option<u64> {
        self.open.front().map(|&(_, since_us)| since_us)
    }

    /// True when it holds a transaction that this shard has not demanded yet.
    pub(super) fn is_undemanded(&self) -> bool {
        self.open.back().is_some_and(|(mark, _)| mark.id > self.demanded)
    }

    /// Wants every transaction here synced on all its shards.
    pub(super) fn demand(&mut self) {
        let (Some((mark, _)), Some(frontier)) = (self.open.back(), &self.frontier) else { return };
        self.demanded = mark.id;
        self.wake = self.wake.union(frontier.demand(mark.id));
    }

    /// Up to which LSN this log must be synced because somebody has demanded it; 0: nothing.
    pub(super) fn asked(&self) -> Lsn {
        let Some(frontier) = self.frontier.as_ref().filter(|_| !self.is_empty()) else { return 0 };
        let demanded = frontier.demanded.load(Ordering::Acquire);
        let count = self.open.partition_point(|(mark, _)| mark.id <= demanded);
        count.checked_sub(1).map_or(0, |last| self.open[last].0.lsn)
    }

    /// What is settled at each level, this log having reached `reached`.
    #[inline]
    pub(super) fn settled(&mut self, reached: [Lsn; 2]) -> [Lsn; 2] {
        if self.open.is_empty() { reached } else { self.settled_behind(reached) }
    }

    #[cold]
    fn settled_behind(&mut self, reached: [Lsn; 2]) -> [Lsn; 2] {
        let frontier = self.frontier.as_ref().expect("transactions come with a frontier");
        let (open, told) = (&mut self.open, self.told);
        let passed = |lsn: Lsn| open.partition_point(|(mark, _)| mark.lsn <= lsn);
        if (0..2).any(|level| passed(reached[level]) > passed(told[level])) {
            self.told = reached;
            self.wake = self.wake.union(frontier.reached(self.shard, reached));
        }
        let below = frontier.below(Level::Synced);
        while open.front().is_some_and(|(mark, _)| mark.id < below) {
            open.pop_front();
        }
        [Level::Written, Level::Synced].map(|level| {
            let below = frontier.below(level);
            let first = open.partition_point(|(mark, _)| mark.id < below);
            let end = open.get(first).map_or(Lsn::MAX, |(mark, _)| mark.lsn - 1);
            end.min(reached[level as usize])
        })
    }

    /// This log has failed.
    pub(super) fn fail(&mut self) {
        if let Some(frontier) = self.frontier.as_ref().filter(|_| !self.failed) {
            frontier.fail(self.shard);
            self.failed = true;
        }
    }

    /// The first LSN here that will never be settled at that level, another log having failed.
    pub(super) fn hopeless(&self, level: Level) -> Option<Lsn> {
        let broken = self.frontier.as_ref()?.broken[level as usize].load(Ordering::Acquire);
        let first = self.open.partition_point(|(mark, _)| mark.id < broken);
        self.open.get(first).map(|(mark, _)| mark.lsn)
    }

    /// Every transaction below this id is synced on all its shards.
    pub(super) fn stable_below(&self) -> u64 {
        self.frontier.as_ref().map_or(0, |frontier| frontier.below(Level::Synced))
    }

    /// The other shards that have something to do since the last call.
    pub(super) fn take_wake(&mut self) -> Participants {
        let mut wake = std::mem::take(&mut self.wake);
        wake.remove(self.shard);
        wake
    }
}

#[cfg(test)]
mod tests;
