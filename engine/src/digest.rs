//! DEBUG DIGEST: one number for the content of a data set, exactly Redis'.
//!
//! Owns: how texts, objects and keys add up. Everything is SHA-1; the keys
//! of a database are joined by XOR, so shards compute their parts in any order and the server
//! joins them with [`Digest::xor`]. Deadlines count only as "has one". Does not know keyspaces and
//! types: `shard/digest.rs` does.

use sha1::{Digest as _, Sha1};

/// Bytes of a digest.
const BYTES: usize = 20;

/// A digest, or the XOR of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest([u8; BYTES]);

impl Digest {
    /// The digest of nothing.
    pub const ZERO: Self = Self([0; BYTES]);

    fn sha1(bytes: &[u8]) -> Self {
        Self(Sha1::digest(bytes).into())
    }

    /// Both joined, in any order.
    #[must_use]
    pub fn xor(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] ^ other.0[i]))
    }

    /// `bytes` added such that order matters.
    #[must_use]
    pub fn mix(self, bytes: &[u8]) -> Self {
        Self::sha1(&self.xor(Self::sha1(bytes)).0)
    }

    /// `bytes` added such that order does not matter.
    #[must_use]
    pub fn gather(self, bytes: &[u8]) -> Self {
        self.xor(Self::sha1(bytes))
    }

    /// Another digest added such that order does not matter.
    #[must_use]
    pub fn gather_digest(self, other: Self) -> Self {
        self.gather(&other.0)
    }

    /// An object's type number, which goes before its content.
    #[must_use]
    pub fn mix_type(self, number: u32) -> Self {
        self.mix(&number.to_be_bytes())
    }

    /// Marks the digest of an object that has a deadline.
    #[must_use]
    pub fn mark_deadline(self) -> Self {
        self.gather(b"!!expire!!")
    }

    /// What a key whose object's digest started from [`Digest::ZERO`] mixed with the key adds to
    /// its database's part.
    #[must_use]
    pub fn of_key(self) -> Self {
        Self::sha1(&self.0)
    }

    /// DEBUG DIGEST of a data set from its databases in ascending order: number and the XOR of
    /// its keys' parts. Empty databases must be left out.
    pub fn of_databases(parts: impl Iterator<Item = (u32, Self)>) -> Self {
        parts.fold(Self::ZERO, |all, (index, part)| all.mix(&index.to_be_bytes()).xor(part))
    }

    /// From what [`Self::hex`] gave; nothing for any other text.
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut bytes = [0; BYTES];
        let digits = text.as_bytes();
        if digits.len() != 2 * BYTES {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// Forty hexadecimal digits, as Redis prints it.
    pub fn hex(self) -> String {
        use std::fmt::Write as _;
        self.0.iter().fold(String::with_capacity(2 * BYTES), |mut text, byte| {
            write!(text, "{byte:02x}").expect("writing to a String cannot fail");
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Key, value, whether it has a deadline.
    type Known = (&'static str, &'static str, bool);

    fn string(start: Digest, value: &[u8], has_deadline: bool) -> Digest {
        let digest = start.mix_type(0).mix(value);
        if has_deadline { digest.mark_deadline() } else { digest }
    }

    fn data_set(databases: &[(u32, &[Known])]) -> String {
        Digest::of_databases(databases.iter().map(|(index, keys)| {
            let part = keys.iter().fold(Digest::ZERO, |part, (key, value, deadline)| {
                part.xor(
                    string(Digest::ZERO.mix(key.as_bytes()), value.as_bytes(), *deadline).of_key(),
                )
            });
            (*index, part)
        }))
        .hex()
    }

    #[test]
    fn digests_are_redis() {
        // DEBUG DIGEST of redis-server 7.0.15.
        let a = ("a", "1", false);
        for (databases, expected) in [
            (&[][..], "0000000000000000000000000000000000000000"),
            (&[(0, &[a][..])], "943d800368fb9c0e951138f1bc0e313ac769d91f"),
            (&[(0, &[("a", "1", true)])], "0c68bbcf4ad5c984f8ca839729889d52ec025271"),
            (
                &[(0, &[("b", "world", false), ("a", "hello", false)])],
                "52911a260cc1a27cb0495bb78fe951d62d5e357e",
            ),
            (&[(1, &[a])], "8c8a6be2ca87c2882fea78af15ce43b8c3792dad"),
            (&[(0, &[a]), (1, &[a])], "c6bab682b086d5daf847ee97e8554b6f1fb06350"),
        ] {
            assert_eq!(data_set(databases), expected);
        }
    }

    #[test]
    fn a_digest_can_be_read_back() {
        let digest = string(Digest::ZERO, b"x", false);
        assert_eq!(Digest::from_hex(&digest.hex()), Some(digest));
        for bad in ["", "12", &"g".repeat(40), &"0".repeat(41)] {
            assert_eq!(Digest::from_hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_values_digest_does_not_depend_on_its_key() {
        // DEBUG DIGEST-VALUE of redis-server 7.0.15 for the strings "hello" and "1" with a TTL.
        assert_eq!(
            string(Digest::ZERO, b"hello", false).hex(),
            "36b23a1456b2dce2c3ed252c456761301dba8060"
        );
        assert_eq!(
            string(Digest::ZERO, b"1", true).hex(),
            "5279988c5d1911f474bcbbf2f0a87012d40f8459"
        );
    }
}
