//! What clients ask for: a command, over uniformly distributed keys, with values of one size.
//!
//! Keys are 16 bytes (`key:` and twelve digits), values are letters. Requests come out as RESP,
//! ready to send; equal seeds give equal requests.

use std::io::Write as _;

use clap::ValueEnum;

/// The command of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Verb {
    /// `GET key`
    Get,
    /// `SET key value`
    Set,
    /// `INCR counter`
    Incr,
    /// `MSET` of ten keys
    Mset,
}

impl Verb {
    /// As commands are written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Set => "SET",
            Self::Incr => "INCR",
            Self::Mset => "MSET",
        }
    }
}

/// Keys that one `MSET` sets.
const MSET_KEYS: usize = 10;

/// How keys are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Each with equal chance.
    Uniform,
    /// Each once, in order, then from the start: to fill a data set.
    Sequential,
}

/// A source of requests.
#[derive(Debug, Clone)]
pub struct Workload {
    verb: Verb,
    keys: u64,
    order: Order,
    value: Vec<u8>,
    state: u64,
    next: u64,
}

impl Workload {
    /// Requests of `verb` over `keys` keys with values of `value_bytes`.
    pub fn new(verb: Verb, keys: u64, order: Order, value_bytes: usize, seed: u64) -> Self {
        let value = (0..value_bytes).map(|i| b'a' + (i % 26) as u8).collect();
        // xorshift must not start at 0.
        Self { verb, keys, order, value, state: seed.wrapping_mul(2) + 1, next: 0 }
    }

    fn key(&mut self) -> u64 {
        match self.order {
            Order::Sequential => {
                self.next += 1;
                (self.next - 1) % self.keys
            }
            Order::Uniform => {
                // xorshift64* (Vigna, 2016); the high bits are the good ones.
                self.state ^= self.state >> 12;
                self.state ^= self.state << 25;
                self.state ^= self.state >> 27;
                let bits = self.state.wrapping_mul(0x2545_F491_4F6C_DD1D);
                ((u128::from(bits) * u128::from(self.keys)) >> 64) as u64
            }
        }
    }

    fn push_bulk(out: &mut Vec<u8>, bytes: &[u8]) {
        // Writing to memory does not fail.
        let _ = write!(out, "${}\r\n", bytes.len());
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }

    fn push_key(&mut self, prefix: &str, out: &mut Vec<u8>) {
        let key = self.key();
        let _ = write!(out, "$16\r\n{prefix}{key:012}\r\n");
    }

    /// Appends one request.
    pub fn push_request(&mut self, out: &mut Vec<u8>) {
        match self.verb {
            Verb::Get => {
                out.extend_from_slice(b"*2\r\n$3\r\nGET\r\n");
                self.push_key("key:", out);
            }
            Verb::Set => {
                out.extend_from_slice(b"*3\r\n$3\r\nSET\r\n");
                self.push_key("key:", out);
                Self::push_bulk(out, &self.value);
            }
            Verb::Incr => {
                out.extend_from_slice(b"*2\r\n$4\r\nINCR\r\n");
                self.push_key("ctr:", out);
            }
            Verb::Mset => {
                let _ = write!(out, "*{}\r\n$4\r\nMSET\r\n", 1 + 2 * MSET_KEYS);
                for _ in 0..MSET_KEYS {
                    self.push_key("key:", out);
                    Self::push_bulk(out, &self.value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_resp() {
        let mut out = Vec::new();
        Workload::new(Verb::Set, 10, Order::Sequential, 3, 1).push_request(&mut out);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000000\r\n$3\r\nabc\r\n");
    }

    #[test]
    fn sequential_order_names_every_key_and_uniform_order_nearly_all() {
        for (order, least) in [(Order::Sequential, 1000), (Order::Uniform, 600)] {
            let mut workload = Workload::new(Verb::Get, 1000, order, 0, 7);
            let seen: std::collections::HashSet<u64> = (0..1000).map(|_| workload.key()).collect();
            assert!(seen.len() >= least, "{order:?}: {}", seen.len());
            assert!(seen.iter().all(|&k| k < 1000));
        }
    }
}
