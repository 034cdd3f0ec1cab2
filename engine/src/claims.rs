//! Who ends a client's wait: one word per connection, so that exactly one of many does.
//!
//! A client that waits for keys may be served by any shard that owns one of them, and its own core
//! may end the wait (time is over, it has gone, somebody unblocks it). Whoever wants to must take
//! the claim first; who comes second leaves everything as it is.
//!
//! Invariants: a word only grows; it is odd while a wait is open, and then it is that wait's
//! ticket. A ticket is never used twice, so a waiter that was left behind anywhere can never take
//! the claim of a later wait of the same connection or of its successor under the same index.

use std::sync::{
    OnceLock,
    atomic::{AtomicU64, Ordering},
};

/// Words in the first chunk; every further chunk doubles what there is.
const FIRST_CHUNK: usize = 1024;
/// Chunks for all indexes of 32 bits.
const CHUNKS: usize = 23;

/// One wait of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Waiter {
    /// Core of the connection.
    pub core: u16,
    /// Its index there.
    pub conn: u32,
    /// Number of the wait.
    pub ticket: u64,
}

/// The words of one core's connections, made as indexes are used.
#[derive(Debug, Default)]
struct Words {
    chunks: [OnceLock<Box<[AtomicU64]>>; CHUNKS],
}

impl Words {
    fn word(&self, index: u32) -> &AtomicU64 {
        let at = index as usize + FIRST_CHUNK;
        let number = (at / FIRST_CHUNK).ilog2() as usize;
        let len = FIRST_CHUNK << number;
        let chunk =
            self.chunks[number].get_or_init(|| (0..len).map(|_| AtomicU64::new(0)).collect());
        &chunk[at - len]
    }
}

/// The claims of all connections.
#[derive(Debug)]
pub struct Claims {
    cores: Box<[Words]>,
}

impl Claims {
    /// Claims of the connections of `cores` cores.
    pub fn new(cores: usize) -> Self {
        Self { cores: (0..cores).map(|_| Words::default()).collect() }
    }

    fn word(&self, core: u16, conn: u32) -> &AtomicU64 {
        self.cores[usize::from(core)].word(conn)
    }

    /// Opens a wait of a connection; only its own core may, and only when the one before is over.
    pub fn open(&self, core: u16, conn: u32) -> Waiter {
        let word = self.word(core, conn);
        let before = word.load(Ordering::Relaxed);
        let ticket = (before + 1) | 1;
        // ORDER: nobody knows the ticket yet; it reaches other cores through the mesh, whose
        // counters publish this store with it.
        word.store(ticket, Ordering::Relaxed);
        Waiter { core, conn, ticket }
    }

    /// Takes the claim; true for exactly one caller.
    pub fn take(&self, waiter: Waiter) -> bool {
        let word = self.word(waiter.core, waiter.conn);
        // ORDER: the one that succeeds answers the client, and what it says travels through the
        // mesh or stays on its thread; the word itself carries nothing but the decision.
        word.compare_exchange(waiter.ticket, waiter.ticket + 1, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn of_many_that_want_to_end_a_wait_one_does() {
        let claims = Claims::new(2);
        for round in 0..200 {
            let waiter = claims.open(1, round % 3);
            let ended = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        ended.fetch_add(usize::from(claims.take(waiter)), Ordering::Relaxed)
                    });
                }
            });
            assert_eq!(ended.into_inner(), 1);
        }
    }

    #[test]
    fn a_ticket_of_before_ends_no_later_wait() {
        let claims = Claims::new(1);
        let first = claims.open(0, 7);
        assert!(claims.take(first));
        let second = claims.open(0, 7);
        assert!(!claims.take(first));
        let third = claims.open(0, 7);
        assert!(!claims.take(second), "a wait that was never ended by anybody");
        assert!(claims.take(third));
        assert!(!claims.take(third));
    }

    #[test]
    fn every_index_has_a_word_of_its_own() {
        let words = Words::default();
        let indexes = [0, 1, 1023, 1024, 3071, 3072, 100_000, 1_000_000];
        for (number, index) in (0..).zip(indexes) {
            words.word(index).store(number, Ordering::Relaxed);
        }
        for (number, index) in (0..).zip(indexes) {
            assert_eq!(words.word(index).load(Ordering::Relaxed), number);
        }
    }
}
