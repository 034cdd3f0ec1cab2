//! What clients ask for: a command, over uniformly distributed keys, with values of one size.
//!
//! Keys are 16 bytes (`key:` and twelve digits), values are letters. Requests come out as RESP,
//! ready to send; equal seeds give equal requests.

use std::io::Write as _;

use clap::ValueEnum;

use super::keys::KeySource;

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

/// A source of requests.
#[derive(Debug, Clone)]
pub struct Workload {
    verb: Verb,
    keys: KeySource,
    value: Vec<u8>,
}

impl Workload {
    /// Requests of `verb` with values of `value_bytes`.
    pub fn new(verb: Verb, keys: KeySource, value_bytes: usize) -> Self {
        let value = (0..value_bytes).map(|i| b'a' + (i % 26) as u8).collect();
        Self { verb, keys, value }
    }

    fn push_bulk(out: &mut Vec<u8>, bytes: &[u8]) {
        // Writing to memory does not fail.
        let _ = write!(out, "${}\r\n", bytes.len());
        out.extend_from_slice(bytes);
        out.extend_from_slice(b"\r\n");
    }

    fn push_key(&mut self, prefix: &str, out: &mut Vec<u8>) {
        let key = self.keys.next();
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
    use super::{
        super::keys::{Keys, Order},
        *,
    };

    #[test]
    fn requests_are_resp() {
        let mut out = Vec::new();
        let keys = KeySource::new(&Keys::new(10, Order::Sequential), 1, 0, 1);
        Workload::new(Verb::Set, keys, 3).push_request(&mut out);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000000\r\n$3\r\nabc\r\n");
    }
}
