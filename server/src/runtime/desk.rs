//! Who may act on all shards at once: one at a time in the whole server.
//!
//! Owns the turn. A lending session (transactions over several shards), a global operation
//! (FLUSHALL ..), the cut of a snapshot and the end of the server exclude each other here, so none
//! of them ever finds a shard that another holds, and transactions have one order on all shards.
//! Turns are given out in the order in which they were asked for. Who acts shows its turn first
//! ([`Desk::check`]): a cut in the middle of a transaction would lose what was acknowledged, so the
//! process ends rather. Knows nothing of what is done in a turn.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What somebody wants to do with all shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// That core runs its waiting transactions on lent shards.
    Lend(u16),
    /// Core 0 runs a global operation.
    Global,
    /// Core 0 has every core cut for a snapshot.
    Cut,
}

#[derive(Debug, Default)]
struct State {
    /// The turn under way.
    current: Option<Turn>,
    is_closing: bool,
    waiting: VecDeque<Turn>,
}

/// The desk where turns are given out.
#[derive(Debug, Default)]
pub struct Desk {
    state: Mutex<State>,
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a turn: true when it begins now. Otherwise [`Desk::finish`] names it later, unless
    /// the server ends before.
    pub fn ask(&self, turn: Turn) -> bool {
        let mut state = self.state();
        if state.current.is_some() || state.is_closing {
            state.waiting.push_back(turn);
            return false;
        }
        state.current = Some(turn);
        true
    }

    /// A turn has ended: what comes next.
    pub fn finish(&self) -> Next {
        let mut state = self.state();
        if state.is_closing {
            state.current = None;
            return Next::End;
        }
        state.current = state.waiting.pop_front();
        state.current.map_or(Next::Nothing, Next::Turn)
    }

    /// Whoever is about to act on all shards has the turn for it.
    ///
    /// # Panics
    /// When it has not: going on would tear a transaction.
    pub fn check(&self, turn: Turn) {
        let current = self.state().current;
        assert_eq!(current, Some(turn), "acts on all shards without having the turn");
    }

    /// The server is to end: no turn begins any more. True when none is under way; otherwise
    /// [`Desk::finish`] says [`Next::End`].
    pub fn close(&self) -> bool {
        let mut state = self.state();
        state.is_closing = true;
        state.current.is_none()
    }
}

/// What comes after a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nobody waits.
    Nothing,
    /// This turn begins.
    Turn(Turn),
    /// The server ends.
    End,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_exclude_each_other_and_come_in_order() {
        let desk = Desk::default();
        assert!(desk.ask(Turn::Lend(1)));
        assert!(!desk.ask(Turn::Global));
        assert!(!desk.ask(Turn::Lend(2)));
        assert_eq!(desk.finish(), Next::Turn(Turn::Global));
        assert!(!desk.ask(Turn::Lend(3)), "the turn that was named is under way");
        assert_eq!(desk.finish(), Next::Turn(Turn::Lend(2)));
        assert_eq!(desk.finish(), Next::Turn(Turn::Lend(3)));
        assert_eq!(desk.finish(), Next::Nothing);
        assert!(desk.ask(Turn::Global));
    }

    #[test]
    fn the_end_waits_for_the_turn_under_way_and_lets_no_other_begin() {
        let desk = Desk::default();
        assert!(desk.ask(Turn::Global));
        assert!(!desk.ask(Turn::Lend(0)));
        assert!(!desk.close());
        assert_eq!(desk.finish(), Next::End);
        assert!(!desk.ask(Turn::Global));
        assert!(Desk::default().close());
    }

    #[test]
    #[should_panic(expected = "without having the turn")]
    fn nobody_acts_out_of_turn() {
        let desk = Desk::default();
        assert!(desk.ask(Turn::Lend(1)));
        desk.check(Turn::Lend(1));
        assert!(!desk.ask(Turn::Cut));
        desk.check(Turn::Cut);
    }
}
