//! Whether a core sleeps, so that senders wake it exactly when they must.
//!
//! Owns one flag per core. Invariant: from [`Doorbell::prepare_sleep`] to the first
//! [`Doorbell::ring`] or [`Doorbell::awake`] the flag is up; whoever takes it down decides: a
//! sender that takes it down owes one wake-up, the receiver that takes it down owes nothing.
//!
//! Why no wake-up is lost (Dekker's argument): the sender publishes, fences, reads the flag; the
//! receiver raises the flag, fences, reads the rings. Sequentially consistent fences are totally
//! ordered, so at least one of the two reads sees the other side's write: the receiver finds the
//! message, or the sender finds the flag. Why there is no second wake-up: the flag is taken down
//! by a compare-and-exchange from up to down, and only one of them can succeed.
//!
//! Does not know how to wake: `ring` tells the sender that it has to.

use super::{
    CachePadded,
    sync::{AtomicBool, Ordering, fence},
};

/// The doorbell of one core, shared by all that send to it.
#[derive(Debug)]
pub struct Doorbell {
    sleeping: CachePadded<AtomicBool>,
}

impl Default for Doorbell {
    fn default() -> Self {
        Self::new()
    }
}

impl Doorbell {
    /// The doorbell of a core that is awake.
    pub fn new() -> Self {
        Self { sleeping: CachePadded::new(AtomicBool::new(false)) }
    }

    /// For a sender, after its messages were published: true when the receiver sleeps (or is
    /// about to) and the caller must wake it, now and once.
    #[inline]
    #[must_use = "true means that the receiver must be woken by the caller"]
    pub fn ring(&self) -> bool {
        // ORDER: between the publishing store and the load of the flag; see the module's proof.
        fence(Ordering::SeqCst);
        // The load first: while the receiver is awake, senders only share the line.
        self.sleeping.load(Ordering::Relaxed)
            && self
                .sleeping
                .compare_exchange(true, false, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// For the receiver: announces that it is about to sleep. It must look at every ring once
    /// more before it does, and not sleep if one has a message.
    #[inline]
    pub fn prepare_sleep(&self) {
        self.sleeping.store(true, Ordering::Relaxed);
        // ORDER: between raising the flag and the second look at the rings; see the module's
        // proof.
        fence(Ordering::SeqCst);
    }

    /// For the receiver, after [`Doorbell::prepare_sleep`], when it decided not to sleep or does
    /// no longer, whatever woke it. Returns true when a sender has claimed this sleep: its
    /// wake-up has come or will come, possibly into a later turn, and is to be ignored there.
    #[inline]
    pub fn awake(&self) -> bool {
        !self.sleeping.swap(false, Ordering::Relaxed)
    }
}
