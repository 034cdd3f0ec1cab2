//! The gate of a cut: nobody goes on before every core has cut for the same snapshot.
//!
//! Cores of a snapshot that was given up may still arrive when the next one has begun. They are
//! not counted: the gate of the next would open before all have cut, and an effect behind one core's
//! cut could be the cause of one before another's.

use std::sync::atomic::{AtomicU64, Ordering};

/// Low bits that count cores; the snapshot's number stands above.
const COUNT_BITS: u32 = 16;

/// Who has arrived, for which snapshot.
#[derive(Debug, Default)]
pub struct Gate(AtomicU64);

impl Gate {
    /// A snapshot begins: nobody has arrived.
    pub fn begin(&self, id: u64) {
        self.0.store(id << COUNT_BITS, Ordering::Release);
    }

    /// A core has cut for this snapshot; true for the last of so many.
    pub fn arrive(&self, id: u64, cores: usize) -> bool {
        let counted = |state: u64| (state >> COUNT_BITS == id).then_some(state + 1);
        // ORDER: what this core has done for its cut is seen by whoever opens the gate.
        match self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, counted) {
            Ok(before) => (before + 1) & ((1 << COUNT_BITS) - 1) == cores as u64,
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_core_opens() {
        let gate = Gate::default();
        gate.begin(7);
        assert_eq!([(); 3].map(|()| gate.arrive(7, 3)), [false, false, true]);
        gate.begin(8);
        assert!(gate.arrive(8, 1));
    }

    #[test]
    fn who_comes_for_a_snapshot_that_was_given_up_is_not_counted() {
        let gate = Gate::default();
        gate.begin(1);
        assert!(!gate.arrive(1, 2));
        gate.begin(2);
        assert!(!gate.arrive(1, 2), "late");
        assert!(!gate.arrive(2, 2), "only one core has cut for it");
        assert!(gate.arrive(2, 2));
    }
}
