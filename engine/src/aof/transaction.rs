//! What the batch of a transaction over several shards says about it: its line in the log.
//!
//! ```text
//! #T1 txid16 stable16 shards_0_to_63:16 shards_64_to_127:16 shards_128_to_191:16 shards_192_to_255:16\n
//! ```
//! `stable`: when the line was built, every transaction of the run below this id was on stable
//! storage on all its shards. Recovery need not look for those, and knows by it what must be there.
//! The line is the first thing in a commit's body and covered by the commit's checksum; the
//! commit's first batch is the transaction's part on this shard (none but the line itself, if it
//! changed nothing there). Ids are bound to the run that the commit's header names; they start at
//! 1 and increase in every shard's log, because one coordinator at a time gives them out.

use super::header::{LineReader, LineWriter};
use crate::limits::SHARDS_MAX;

/// Length of the line, newline included, bytes.
pub const TRANSACTION_BYTES: usize = 4 + 17 * (2 + WORDS);
/// How the line begins.
pub const TRANSACTION_MAGIC: &[u8; 4] = b"#T1 ";

const WORDS: usize = SHARDS_MAX / 64;

/// A transaction over several shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transaction {
    /// Its number in this run, from 1.
    pub id: u64,
    /// The shards that log a part of it.
    pub participants: Participants,
}

/// A transaction's line in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransactionLine {
    /// The transaction.
    pub transaction: Transaction,
    /// All transactions of the run below this id were stable everywhere when it was built.
    pub stable_below: u64,
}

impl TransactionLine {
    /// The line, newline included.
    pub fn encode(&self) -> [u8; TRANSACTION_BYTES] {
        let mut line = [0; TRANSACTION_BYTES];
        let mut at = LineWriter::new(&mut line, TRANSACTION_MAGIC);
        at.hex::<16>(self.transaction.id);
        at.hex::<16>(self.stable_below);
        for word in self.transaction.participants.0 {
            at.hex::<16>(word);
        }
        at.end();
        line
    }

    /// Reads the line at the beginning of a commit's body. `None`: there is none.
    pub fn at_start_of(body: &[u8]) -> Option<Self> {
        let line = body.get(..TRANSACTION_BYTES)?;
        let mut at = LineReader::new(line, TRANSACTION_BYTES, TRANSACTION_MAGIC)?;
        let (id, stable_below) = (at.hex::<16>()?, at.hex::<16>()?);
        let mut words = [0; WORDS];
        for (i, word) in words.iter_mut().enumerate() {
            *word = if i + 1 < WORDS { at.hex::<16>()? } else { at.digits::<16>()? };
        }
        at.end()?;
        let transaction = Transaction { id, participants: Participants(words) };
        Some(Self { transaction, stable_below })
    }
}

/// A set of shards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Participants([u64; WORDS]);

impl Participants {
    /// Adds a shard.
    ///
    /// # Panics
    /// On a number of [`SHARDS_MAX`] or more.
    pub fn insert(&mut self, shard: usize) {
        self.0[shard / 64] |= 1 << (shard % 64);
    }

    /// Takes a shard out.
    pub fn remove(&mut self, shard: usize) {
        if shard < SHARDS_MAX {
            self.0[shard / 64] &= !(1 << (shard % 64));
        }
    }

    /// Whether the shard is one of them.
    pub fn contains(&self, shard: usize) -> bool {
        shard < SHARDS_MAX && self.0[shard / 64] >> (shard % 64) & 1 == 1
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; WORDS]
    }

    /// Those of both sets.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    /// The shards, in order.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(i, word)| {
            std::iter::successors(Some(word), |&rest| Some(rest & rest.wrapping_sub(1)))
                .take_while(|&rest| rest != 0)
                .map(move |rest| 64 * i + rest.trailing_zeros() as usize)
        })
    }
}

impl FromIterator<usize> for Participants {
    fn from_iter<T: IntoIterator<Item = usize>>(shards: T) -> Self {
        let mut set = Self::default();
        shards.into_iter().for_each(|shard| set.insert(shard));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::ANNOTATION_LINE_BYTES_MAX;

    const _: () = assert!(TRANSACTION_BYTES <= ANNOTATION_LINE_BYTES_MAX);

    #[test]
    fn the_line_is_what_the_format_page_shows_and_is_read_back() {
        let participants: Participants = [0, 3, 64, 255].into_iter().collect();
        let transaction = Transaction { id: 0x2a, participants };
        let read = TransactionLine { transaction, stable_below: 0x28 };
        let line = read.encode();
        assert_eq!(
            std::str::from_utf8(&line).unwrap(),
            "#T1 000000000000002a 0000000000000028 0000000000000009 0000000000000001 \
             0000000000000000 8000000000000000\n"
        );
        assert_eq!(TransactionLine::at_start_of(&line), Some(read));
        let mut body = line.to_vec();
        body.extend_from_slice(b"*1\r\n$4\r\nEXEC\r\n");
        assert_eq!(TransactionLine::at_start_of(&body), Some(read));
        for at in 0..TRANSACTION_BYTES {
            let mut bad = line;
            bad[at] = b'x';
            assert_eq!(TransactionLine::at_start_of(&bad), None, "byte {at}");
            assert_eq!(TransactionLine::at_start_of(&line[..at]), None);
        }
    }

    #[test]
    fn participants_are_a_set_of_shards_in_order() {
        let mut set: Participants = [200, 1, 63, 64, 1].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [1, 63, 64, 200]);
        assert_eq!((set.len(), set.is_empty()), (4, false));
        assert!(set.contains(64) && !set.contains(65) && !set.contains(usize::MAX));
        set.remove(64);
        assert_eq!(set.iter().collect::<Vec<_>>(), [1, 63, 200]);
        let all: Participants = (0..SHARDS_MAX).collect();
        assert_eq!(all.iter().collect::<Vec<_>>(), (0..SHARDS_MAX).collect::<Vec<_>>());
        assert_eq!(Participants::default().iter().count(), 0);
    }
}
