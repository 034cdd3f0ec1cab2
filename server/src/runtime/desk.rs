//! Who may act on all shards at once: one at a time in the whole server.
//!
//! Owns the turn. A lending session (transactions over several shards), a global operation
//! (FLUSHALL ..), the cut of a snapshot and the end of the server exclude each other here, so none of them ever finds a
//! shard that another holds, and transactions have one order on all shards. Turns are given out in
//! the order in which they were asked for. Knows nothing of what is done in a turn.

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
    is_busy: bool,
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
        if state.is_busy || state.is_closing {
            state.waiting.push_back(turn);
            return false;
        }
        state.is_busy = true;
        true
    }

    /// A turn has ended: what comes next.
    pub fn finish(&self) -> Next {
        let mut state = self.state();
        if state.is_closing {
            state.is_busy = false;
            return Next::End;
        }
        match state.waiting.pop_front() {
            Some(turn) => Next::Turn(turn),
            None => {
                state.is_busy = false;
                Next::Nothing
            }
        }
    }

    /// The server is to end: no turn begins any more. True when none is under way; otherwise
    /// [`Desk::finish`] says [`Next::End`].
    pub fn close(&self) -> bool {
        let mut state = self.state();
        state.is_closing = true;
        !state.is_busy
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
}
