//! The output of one connection: bytes and marks.
//!
//! A mark says that the bytes from its start on may leave only when a shard's log has released
//! an LSN. Marks are in byte order and are satisfied from the front, so replies leave in order.
//! At most one send is in flight; its bytes stay put until completion.

use quire_engine::{aof::Lsn, keyspace::size_class};
use std::collections::VecDeque;

/// Bytes from `start` on wait for `lsn` of `shard`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    start: usize,
    shard: u16,
    lsn: Lsn,
    turn: u64,
}

/// Output bytes, in order, some of them waiting for the log.
#[derive(Debug, Default)]
pub struct OutBuf {
    /// Replies not yet handed to the kernel.
    pub buf: Vec<u8>,
    inflight: Vec<u8>,
    marks: VecDeque<Mark>,
    sending: bool,
}

/// Buffers above this are given back to the allocator once empty.
const KEEP_BYTES: usize = 64 * 1024;

impl OutBuf {
    /// Bytes held, in flight ones included.
    pub fn bytes(&self) -> usize {
        self.buf.len() + self.inflight.len()
    }

    /// Bytes of memory that the buffers take.
    pub fn memory_bytes(&self) -> usize {
        let marks = self.marks.capacity() * size_of::<Mark>();
        let sizes = [self.buf.capacity(), self.inflight.capacity(), marks];
        sizes.into_iter().filter(|&bytes| bytes > 0).map(size_class).sum()
    }

    /// Nothing left to send or being sent.
    pub fn is_drained(&self) -> bool {
        self.buf.is_empty() && !self.sending
    }

    /// True while a send is in flight.
    pub fn is_sending(&self) -> bool {
        self.sending
    }

    /// True while some bytes wait for a log.
    pub fn is_gated(&self) -> bool {
        !self.marks.is_empty()
    }

    /// The shard and LSN the first waiting byte waits for.
    pub fn front_gate(&self) -> Option<(u16, Lsn)> {
        self.marks.front().map(|m| (m.shard, m.lsn))
    }

    /// Every gate that is still open.
    pub fn gates(&self) -> impl Iterator<Item = (u16, Lsn)> + '_ {
        self.marks.iter().map(|m| (m.shard, m.lsn))
    }

    /// Bytes from `start` (a position in `buf`) on wait for `lsn` of `shard`. Marks made in one
    /// turn for one shard end up in one commit and are merged.
    #[inline]
    pub fn gate(&mut self, start: usize, shard: u16, lsn: Lsn, turn: u64) {
        if let Some(last) = self.marks.back_mut()
            && last.shard == shard
            && last.turn == turn
        {
            last.lsn = last.lsn.max(lsn);
            return;
        }
        self.marks.push_back(Mark { start, shard, lsn, turn });
    }

    /// Drops satisfied marks; the number of bytes that may leave.
    #[inline]
    pub fn releasable(&mut self, released: impl Fn(u16) -> Lsn) -> usize {
        while let Some(mark) = self.marks.front() {
            if released(mark.shard) < mark.lsn {
                return mark.start;
            }
            self.marks.pop_front();
        }
        self.buf.len()
    }

    /// Moves the first `n` bytes in flight and returns them. Only when nothing is in flight.
    pub fn start_send(&mut self, n: usize) -> &[u8] {
        debug_assert!(!self.sending && self.inflight.is_empty());
        if n == self.buf.len() {
            std::mem::swap(&mut self.buf, &mut self.inflight);
        } else {
            self.inflight.extend(self.buf.drain(..n));
            for mark in &mut self.marks {
                mark.start -= n;
            }
        }
        self.sending = true;
        &self.inflight
    }

    /// The send ended after `sent` bytes; what is left must be sent on (returned), if anything.
    pub fn sent(&mut self, sent: usize) -> Option<&[u8]> {
        if sent < self.inflight.len() {
            self.inflight.drain(..sent);
            return Some(&self.inflight);
        }
        self.inflight.clear();
        if self.inflight.capacity() > KEEP_BYTES {
            self.inflight = Vec::new();
        }
        self.sending = false;
        None
    }

    /// Forgets everything not in flight (the connection is being closed).
    pub fn discard(&mut self) {
        self.buf = Vec::new();
        self.marks.clear();
    }

    /// The send in flight ended in an error.
    pub fn send_failed(&mut self) {
        self.inflight.clear();
        self.sending = false;
        self.discard();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_before_an_open_gate_leave_and_the_rest_waits_in_order() {
        let mut out = OutBuf::default();
        out.buf.extend_from_slice(b"free");
        out.gate(4, 0, 10, 1);
        out.buf.extend_from_slice(b"gated");
        out.gate(9, 1, 3, 1);
        out.buf.extend_from_slice(b"other");
        assert_eq!(out.releasable(|_| 0), 4);
        assert_eq!(out.start_send(4), b"free");
        assert_eq!(out.sent(4), None);
        // The second shard is ready first: order keeps its reply behind.
        assert_eq!(out.releasable(|s| if s == 1 { 3 } else { 0 }), 0);
        assert_eq!(out.releasable(|s| if s == 0 { 10 } else { 0 }), 5);
        assert_eq!(out.start_send(5), b"gated");
        assert_eq!(out.sent(2), Some(&b"ted"[..]));
        assert_eq!(out.sent(3), None);
        assert_eq!(out.releasable(|s| if s == 0 { 10 } else { 2 }), 0);
        assert_eq!(out.releasable(|_| 10), 5);
        assert!(!out.is_gated());
    }

    #[test]
    fn gates_of_one_turn_and_shard_merge_to_the_higher_lsn() {
        let mut out = OutBuf::default();
        out.gate(0, 0, 5, 1);
        out.buf.extend_from_slice(b"ab");
        out.gate(1, 0, 6, 1);
        assert_eq!(out.gates().collect::<Vec<_>>(), [(0, 6)]);
        out.gate(2, 0, 7, 2);
        assert_eq!(out.gates().count(), 2);
    }
}
