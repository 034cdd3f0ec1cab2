//! How far a sender is ahead of whoever takes what it sends, over a way that has no bound itself.
//!
//! The sender asks before it sends; when it is too far ahead it does something else and is woken
//! when there is room. Invariant: a sender that was told that there is no room is told to be woken
//! by one of the messages that were on their way then.
//!
//! No wake-up is lost for the doorbell's reason (`doorbell.rs`): the sender raises its flag, fences
//! and counts again; the receiver counts down, fences and looks at the flag. One of the two sees
//! the other.
//!
//! Does not know what is sent, nor how the sender is woken.

use super::sync::{AtomicBool, AtomicUsize, Ordering, fence};

/// What one sender and its receiver know of each other.
#[derive(Debug)]
pub struct Lead {
    /// Messages on their way.
    ahead: AtomicUsize,
    /// So many at most.
    ahead_max: usize,
    /// The sender waits until there are fewer.
    waits: AtomicBool,
}

impl Lead {
    /// Nothing is on its way, and never more than `ahead_max` messages.
    pub fn new(ahead_max: usize) -> Self {
        Self { ahead: AtomicUsize::new(0), ahead_max, waits: AtomicBool::new(false) }
    }

    /// For the sender: true when it may send; otherwise it is woken when it may.
    pub fn has_room(&self) -> bool {
        if self.ahead.load(Ordering::Relaxed) < self.ahead_max {
            return true;
        }
        self.waits.store(true, Ordering::Relaxed);
        // ORDER: between raising the flag and counting once more; see the module's proof.
        fence(Ordering::SeqCst);
        self.ahead.load(Ordering::Relaxed) < self.ahead_max
    }

    /// For the sender, before it sends a message that there is room for.
    pub fn sent(&self) {
        self.ahead.fetch_add(1, Ordering::Relaxed);
    }

    /// For the receiver: a message has been dealt with; true: the sender is to be woken.
    #[must_use = "true means that the sender must be woken by the caller"]
    pub fn taken(&self) -> bool {
        self.ahead.fetch_sub(1, Ordering::Relaxed);
        // ORDER: between counting down and looking at the flag; see the module's proof.
        fence(Ordering::SeqCst);
        self.waits.swap(false, Ordering::Relaxed)
    }
}
