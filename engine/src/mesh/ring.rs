//! A bounded queue from one thread to one other thread, carrying owned messages.
//!
//! Owns: the slots and two counters, `tail` (messages ever published, written by the producer
//! alone) and `head` (messages ever taken, written by the consumer alone). Counters only grow,
//! and wrap; a slot is `counter & mask`.
//!
//! Invariants: `tail - head <= capacity`; slots in `head..tail` hold a message and belong to the
//! consumer, all others are empty and belong to the producer. Ownership of slots moves with the
//! Release store of a counter and arrives with the Acquire load of it.
//!
//! Each side keeps the last value it saw of the other's counter and looks again only when that
//! says full (or empty): in a steady stream a batch costs one shared store and no shared load.
//!
//! Does not know how the other side is woken; see [`super::Doorbell`].

use std::{collections::VecDeque, fmt, mem::MaybeUninit};

use super::{
    CachePadded,
    sync::{Arc, AtomicUsize, Ordering, UnsafeCell},
};

struct Shared<T> {
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    /// Messages ever taken. Written by the consumer.
    head: CachePadded<AtomicUsize>,
    /// Messages ever published. Written by the producer.
    tail: CachePadded<AtomicUsize>,
}

// SAFETY: a slot is touched by exactly one side at a time (module invariant), and messages move
// from one thread to the other, so `T: Send` is what both need; no `&T` is ever shared.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: see above.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    fn slot(&self, counter: usize) -> &UnsafeCell<MaybeUninit<T>> {
        // The length is a power of two: see `ring`.
        &self.slots[counter & (self.slots.len() - 1)]
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // Both ends are gone, so nobody races; what was not taken is dropped here.
        let tail = self.tail.load(Ordering::Acquire);
        let mut head = self.head.load(Ordering::Acquire);
        while head != tail {
            self.slot(head).with_mut(|slot| {
                // SAFETY: `head..tail` hold messages, and we are the only owner left.
                unsafe { (*slot).assume_init_drop() };
            });
            head = head.wrapping_add(1);
        }
    }
}

/// A queue of at most `capacity` messages.
///
/// # Panics
/// When `capacity` is not a power of two.
pub fn ring<T: Send>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    assert!(capacity.is_power_of_two(), "a ring's capacity is a power of two, not {capacity}");
    let shared = Arc::new(Shared {
        slots: (0..capacity).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
        head: CachePadded::new(AtomicUsize::new(0)),
        tail: CachePadded::new(AtomicUsize::new(0)),
    });
    let producer = Producer { shared: Arc::clone(&shared), tail: 0, head_seen: 0 };
    (producer, Consumer { shared, head: 0, tail_seen: 0 })
}

/// The sending end; belongs to one thread.
pub struct Producer<T> {
    shared: Arc<Shared<T>>,
    /// Our own counter; the shared one is its published copy.
    tail: usize,
    /// The consumer's counter when we last looked.
    head_seen: usize,
}

impl<T: Send> Producer<T> {
    /// Messages the ring can hold.
    pub fn capacity(&self) -> usize {
        self.shared.slots.len()
    }

    /// Free places, at least `wanted` of them if there are so many: looks at the consumer's
    /// counter only when what was seen last time is not enough.
    #[inline]
    fn free(&mut self, wanted: usize) -> usize {
        let capacity = self.shared.slots.len();
        let free = capacity - self.tail.wrapping_sub(self.head_seen);
        if free >= wanted {
            return free;
        }
        // ORDER: Acquire, paired with the Release in `pop`: the consumer has moved the message
        // out of a slot before we write the next one into it.
        self.head_seen = self.shared.head.load(Ordering::Acquire);
        capacity - self.tail.wrapping_sub(self.head_seen)
    }

    /// True when `wanted` more messages find places now.
    #[inline]
    pub fn has_room(&mut self, wanted: usize) -> bool {
        self.free(wanted) >= wanted
    }

    #[inline]
    fn put(&mut self, message: T) {
        self.shared.slot(self.tail).with_mut(|slot| {
            // SAFETY: the caller has seen a free place, so this slot is outside `head..tail`:
            // empty and ours.
            unsafe { (*slot).write(message) };
        });
        self.tail = self.tail.wrapping_add(1);
    }

    #[inline]
    fn publish(&self) {
        // ORDER: Release, after the messages were written: whoever sees the counter sees them.
        self.shared.tail.store(self.tail, Ordering::Release);
    }

    /// Sends one message.
    ///
    /// # Errors
    /// Gives the message back when the ring is full.
    #[inline]
    pub fn push(&mut self, message: T) -> Result<(), T> {
        if self.free(1) == 0 {
            return Err(message);
        }
        self.put(message);
        self.publish();
        Ok(())
    }

    /// Sends messages from the front of `staged` until it is empty or the ring is full, and
    /// publishes them together. Returns how many were sent; the others stay staged, in order.
    #[inline]
    pub fn push_batch(&mut self, staged: &mut VecDeque<T>) -> usize {
        let count = self.free(staged.len()).min(staged.len());
        for message in staged.drain(..count) {
            self.put(message);
        }
        if count > 0 {
            self.publish();
        }
        count
    }
}

impl<T> fmt::Debug for Producer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").field("tail", &self.tail).finish_non_exhaustive()
    }
}

/// The receiving end; belongs to one thread.
pub struct Consumer<T> {
    shared: Arc<Shared<T>>,
    /// Our own counter; the shared one is its published copy.
    head: usize,
    /// The producer's counter when we last looked.
    tail_seen: usize,
}

impl<T: Send> Consumer<T> {
    /// True when nothing is waiting. Looks at the producer's counter unless messages already
    /// seen are left, so it is the look to take between [`super::Doorbell::prepare_sleep`] and
    /// sleeping.
    #[inline]
    pub fn is_empty(&mut self) -> bool {
        if self.head != self.tail_seen {
            return false;
        }
        // ORDER: Acquire, paired with the Release in `publish`: with the counter come the
        // messages.
        self.tail_seen = self.shared.tail.load(Ordering::Acquire);
        self.head == self.tail_seen
    }

    /// Takes the oldest message, if there is one.
    #[inline]
    pub fn pop(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        let message = self.shared.slot(self.head).with_mut(|slot| {
            // SAFETY: `head < tail`, so the slot holds a message and is ours; the counter moves
            // on below, so it is read once.
            unsafe { (*slot).assume_init_read() }
        });
        self.head = self.head.wrapping_add(1);
        // ORDER: Release, after the message was moved out: the producer may overwrite the slot
        // as soon as it sees this.
        self.shared.head.store(self.head, Ordering::Release);
        Some(message)
    }
}

impl<T> fmt::Debug for Consumer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer").field("head", &self.head).finish_non_exhaustive()
    }
}
