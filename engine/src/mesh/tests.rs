//! The mesh's promises: by exhaustive interleaving (`--cfg quire_loom`), by brute force otherwise.
//!
//! Under loom every test explores all schedules and all values that relaxed loads may return;
//! a lost wake-up shows as a deadlock, a race on a slot as a panic inside loom's cell.

use std::collections::VecDeque;

use super::{Doorbell, ring};

#[cfg(quire_loom)]
mod explored {
    use loom::{
        model::Builder,
        sync::{
            Arc, Condvar, Mutex,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
    };

    use super::{
        super::{Consumer, Lead, Producer},
        Doorbell, VecDeque, ring,
    };

    /// All schedules with at most three preemptions: enough for every known two-thread lock-free
    /// bug pattern, few enough to finish in seconds.
    fn explore(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(model);
    }

    #[test]
    fn nothing_is_lost_duplicated_or_reordered_when_the_ring_wraps() {
        explore(|| {
            let (mut tx, mut rx) = ring::<Box<u32>>(2);
            let sender = thread::spawn(move || {
                let mut staged: VecDeque<_> = (1..=4).map(Box::new).collect();
                while !staged.is_empty() {
                    if tx.push_batch(&mut staged) == 0 {
                        thread::yield_now();
                    }
                }
            });
            let mut got = Vec::new();
            while got.len() < 4 {
                match rx.pop() {
                    Some(message) => got.push(*message),
                    None => thread::yield_now(),
                }
            }
            sender.join().unwrap();
            assert_eq!(got, [1, 2, 3, 4]);
            assert!(rx.pop().is_none());
        });
    }

    #[test]
    fn messages_not_taken_are_dropped_once() {
        explore(|| {
            let live = Arc::new(AtomicUsize::new(0));
            struct Counted(Arc<AtomicUsize>);
            impl Drop for Counted {
                fn drop(&mut self) {
                    self.0.fetch_sub(1, Ordering::Relaxed);
                }
            }
            let (mut tx, mut rx) = ring(2);
            let counter = Arc::clone(&live);
            let sender = thread::spawn(move || {
                for _ in 0..2 {
                    counter.fetch_add(1, Ordering::Relaxed);
                    assert!(tx.push(Counted(Arc::clone(&counter))).is_ok());
                }
            });
            drop(rx.pop());
            drop(rx);
            sender.join().unwrap();
            assert_eq!(live.load(Ordering::Relaxed), 0);
        });
    }

    /// What a sleeping core waits for: an eventfd in all but name. (Loom's own park would do,
    /// but a late unpark confuses its join.)
    #[derive(Default)]
    struct Wake {
        /// Wake-ups not yet consumed, and all wake-ups ever.
        pending_and_total: Mutex<(usize, usize)>,
        arrived: Condvar,
    }

    impl Wake {
        fn wake(&self) {
            let mut counts = self.pending_and_total.lock().unwrap();
            *counts = (counts.0 + 1, counts.1 + 1);
            self.arrived.notify_one();
        }

        fn sleep(&self) {
            let mut counts = self.pending_and_total.lock().unwrap();
            while counts.0 == 0 {
                counts = self.arrived.wait(counts).unwrap();
            }
            counts.0 = 0;
        }

        fn total(&self) -> usize {
            self.pending_and_total.lock().unwrap().1
        }
    }

    /// The receiving core, as its senders see it.
    #[derive(Default)]
    struct Core {
        bell: Doorbell,
        wake: Wake,
    }

    impl Core {
        /// One sender's part: publish, ring, wake if told to.
        fn send(&self, tx: &mut Producer<u32>, message: u32) {
            tx.push(message).expect("the ring is large enough for the whole test");
            if self.bell.ring() {
                self.wake.wake();
            }
        }

        /// The receiver's loop as a shard runs it: drain, announce, look again, sleep. Returns
        /// what arrived and how often it announced a sleep. Ends only with all messages, so a
        /// lost wake-up leaves it asleep for ever, which loom reports.
        fn receive(&self, rings: &mut [Consumer<u32>], expected: usize) -> (Vec<u32>, usize) {
            let mut got = Vec::new();
            let mut sleeps = 0;
            loop {
                for rx in rings.iter_mut() {
                    while let Some(message) = rx.pop() {
                        got.push(message);
                    }
                }
                if got.len() == expected {
                    return (got, sleeps);
                }
                sleeps += 1;
                self.bell.prepare_sleep();
                if rings.iter_mut().all(Consumer::is_empty) {
                    self.wake.sleep();
                }
                self.bell.awake();
            }
        }
    }

    #[test]
    fn a_message_published_before_the_ring_always_wakes_the_sleeper() {
        explore(|| {
            let core = Arc::new(Core::default());
            let (mut tx, rx) = ring(2);
            let sender = thread::spawn({
                let core = Arc::clone(&core);
                move || (1..=2).for_each(|message| core.send(&mut tx, message))
            });
            let (got, sleeps) = core.receive(&mut [rx], 2);
            sender.join().unwrap();
            assert_eq!(got, [1, 2]);
            assert!(core.wake.total() <= sleeps, "two wake-ups for one sleep");
        });
    }

    #[test]
    fn a_sender_that_is_too_far_ahead_is_always_woken() {
        explore(|| {
            let (lead, wake) = (Arc::new(Lead::new(1)), Arc::new(Wake::default()));
            lead.sent();
            let receiver = thread::spawn({
                let (lead, wake) = (Arc::clone(&lead), Arc::clone(&wake));
                move || {
                    if lead.taken() {
                        wake.wake();
                    }
                }
            });
            // The next message: a lost wake-up leaves the sender asleep for ever.
            while !lead.has_room() {
                wake.sleep();
            }
            receiver.join().unwrap();
        });
    }

    #[test]
    fn two_senders_never_both_wake_one_sleep() {
        explore(|| {
            let core = Arc::new(Core::default());
            let mut rings = Vec::new();
            let mut senders = Vec::new();
            for message in 1..=2 {
                let (mut tx, rx) = ring(1);
                rings.push(rx);
                let core = Arc::clone(&core);
                senders.push(thread::spawn(move || core.send(&mut tx, message)));
            }
            let (mut got, sleeps) = core.receive(&mut rings, 2);
            for sender in senders {
                sender.join().unwrap();
            }
            got.sort_unstable();
            assert_eq!(got, [1, 2]);
            assert!(core.wake.total() <= sleeps, "two wake-ups for one sleep");
        });
    }
}

#[cfg(not(quire_loom))]
mod brute_force {
    use std::{
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
        time::{Duration, Instant},
    };

    use super::{
        super::{Consumer, Lead, Producer},
        Doorbell, VecDeque, ring,
    };

    #[test]
    fn a_sender_that_is_too_far_ahead_waits_and_is_woken_once() {
        let lead = Lead::new(4);
        for _ in 0..4 {
            assert!(lead.has_room());
            lead.sent();
        }
        assert!(!lead.has_room());
        assert!(lead.taken(), "it waits");
        assert!(lead.has_room());
        assert!(!lead.taken(), "nobody waits");
    }

    #[test]
    fn a_full_ring_gives_the_message_back() {
        let (mut tx, mut rx) = ring(2);
        assert_eq!((tx.push(1), tx.push(2), tx.push(3)), (Ok(()), Ok(()), Err(3)));
        assert_eq!(rx.pop(), Some(1));
        assert_eq!(tx.push(3), Ok(()));
        assert_eq!((rx.pop(), rx.pop(), rx.pop()), (Some(2), Some(3), None));
    }

    #[test]
    fn a_batch_larger_than_the_ring_keeps_its_rest_staged_in_order() {
        let (mut tx, mut rx) = ring(4);
        let mut staged: VecDeque<u32> = (0..10).collect();
        assert_eq!(tx.push_batch(&mut staged), 4);
        assert_eq!(tx.push_batch(&mut staged), 0);
        assert_eq!(staged.front(), Some(&4));
        assert_eq!((rx.pop(), rx.pop()), (Some(0), Some(1)));
        assert_eq!(tx.push_batch(&mut staged), 2);
        assert_eq!(staged.front(), Some(&6));
    }

    #[test]
    fn what_is_left_in_a_ring_is_dropped_with_it() {
        let message = Arc::new(());
        let (mut tx, rx) = ring(4);
        for _ in 0..3 {
            assert!(tx.push(Arc::clone(&message)).is_ok());
        }
        drop((tx, rx));
        assert_eq!(Arc::strong_count(&message), 1);
    }

    #[test]
    #[should_panic(expected = "power of two")]
    fn a_capacity_that_is_no_power_of_two_is_refused() {
        drop(ring::<u8>(3));
    }

    const SENDERS: usize = 3;
    const MESSAGES: u64 = 60_000;

    fn send_all(mut tx: Producer<u64>, bell: &Doorbell, receiver: &thread::Thread) -> usize {
        let mut wakes = 0;
        let mut staged = VecDeque::new();
        let mut next = 0;
        while next < MESSAGES || !staged.is_empty() {
            // Batches of changing size, so that the ring is sometimes empty and sometimes full.
            let batch = 1 + (next * 7 + 3) % 11;
            while next < MESSAGES && (staged.len() as u64) < batch {
                staged.push_back(next);
                next += 1;
            }
            if tx.push_batch(&mut staged) == 0 {
                thread::yield_now();
            } else if bell.ring() {
                wakes += 1;
                receiver.unpark();
            }
        }
        wakes
    }

    #[test]
    fn a_stream_over_three_rings_arrives_whole_in_order_and_without_a_stall() {
        let bell = Arc::new(Doorbell::new());
        let total_wakes = Arc::new(AtomicUsize::new(0));
        let receiver = thread::current();
        let mut rings: Vec<Consumer<u64>> = Vec::new();
        let mut senders = Vec::new();
        for _ in 0..SENDERS {
            let (tx, rx) = ring(64);
            rings.push(rx);
            let (bell, wakes) = (Arc::clone(&bell), Arc::clone(&total_wakes));
            let receiver = receiver.clone();
            senders.push(thread::spawn(move || {
                wakes.fetch_add(send_all(tx, &bell, &receiver), Ordering::Relaxed);
            }));
        }
        let mut next = [0u64; SENDERS];
        let mut sleeps = 0;
        while next.iter().any(|&n| n < MESSAGES) {
            for (rx, next) in rings.iter_mut().zip(&mut next) {
                while let Some(message) = rx.pop() {
                    assert_eq!(message, *next);
                    *next += 1;
                }
            }
            bell.prepare_sleep();
            if rings.iter_mut().all(Consumer::is_empty) && next.iter().any(|&n| n < MESSAGES) {
                sleeps += 1;
                // Only a lost wake-up lasts that long, however busy the machine.
                let (asleep, limit) = (Instant::now(), Duration::from_secs(60));
                thread::park_timeout(limit);
                assert!(asleep.elapsed() < limit, "nobody rang");
            }
            bell.awake();
        }
        for sender in senders {
            sender.join().unwrap();
        }
        assert!(total_wakes.load(Ordering::Relaxed) > 0 && sleeps > 0, "nobody ever slept");
    }
}
