//! What makes commands stop and be looked at: somebody monitors, or clients are paused.
//!
//! Shared state that is almost never set. A core looks at its generation number once a turn and
//! keeps one `bool`, so that a command pays one branch.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

/// Which commands wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Those that may change data.
    Writes,
    /// All.
    Everything,
}

/// CLIENT PAUSE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// Until when.
    pub until: Instant,
    /// What waits.
    pub scope: Scope,
}

#[derive(Debug, Default)]
struct State {
    /// Monitoring connections, by core.
    monitors: Vec<usize>,
    pause: Option<Pause>,
}

/// What all cores know of monitors and pauses.
#[derive(Debug)]
pub struct Attention {
    state: Mutex<State>,
    generation: AtomicU64,
}

/// What a core keeps of it.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    /// Monitoring connections, by core; empty when there are none.
    pub monitors: Vec<usize>,
    /// The pause in force.
    pub pause: Option<Pause>,
}

impl Attention {
    /// Nobody monitors, nobody waits.
    pub fn new(cores: usize) -> Self {
        let state = State { monitors: vec![0; cores], pause: None };
        Self { state: Mutex::new(state), generation: AtomicU64::new(1) }
    }

    /// Changes whenever [`Attention::watch`] would return something else.
    #[inline]
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn change(&self, f: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        f(&mut state);
        // ORDER: after the change, while the lock is still held: who sees the number sees it.
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Has every core look again: something else it goes by has changed.
    pub fn look(&self) {
        self.change(|_| ());
    }

    /// The state now.
    pub fn watch(&self) -> Watch {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let is_monitored = state.monitors.iter().any(|n| *n > 0);
        let monitors = if is_monitored { state.monitors.clone() } else { Vec::new() };
        Watch { monitors, pause: state.pause }
    }

    /// A connection of `core` starts or ends to monitor.
    pub fn set_monitors(&self, core: usize, connections: usize) {
        self.change(|state| state.monitors[core] = connections);
    }

    /// Clients wait; of two pauses the longer time and the wider scope count.
    pub fn pause(&self, pause: Pause, now: Instant) {
        self.change(|state| {
            let old = state.pause.filter(|old| old.until >= now);
            state.pause = Some(old.map_or(pause, |old| Pause {
                until: old.until.max(pause.until),
                scope: old.scope.max(pause.scope),
            }));
        });
    }

    /// Clients go on.
    pub fn unpause(&self) {
        self.change(|state| state.pause = None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn of_two_pauses_the_longer_and_wider_counts() {
        let attention = Attention::new(2);
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let pause = |ms, scope| Pause { until: at(ms), scope };
        attention.pause(pause(50, Scope::Everything), now);
        attention.pause(pause(90, Scope::Writes), now);
        assert_eq!(attention.watch().pause, Some(pause(90, Scope::Everything)));
        // What is over does not widen what comes.
        attention.pause(pause(200, Scope::Writes), at(100));
        assert_eq!(attention.watch().pause, Some(pause(200, Scope::Writes)));
        let before = attention.generation();
        attention.unpause();
        assert!(attention.watch().pause.is_none() && attention.generation() != before);
    }

    #[test]
    fn monitors_are_known_by_core() {
        let attention = Attention::new(2);
        assert!(attention.watch().monitors.is_empty());
        attention.set_monitors(1, 3);
        assert_eq!(attention.watch().monitors, [0, 3]);
        attention.set_monitors(1, 0);
        assert!(attention.watch().monitors.is_empty());
    }
}
