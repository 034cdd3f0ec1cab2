//! A stream made of what a file says of it, entry after entry.
//!
//! Blocks begin where they began in the file, so that what trimming takes does not change with a
//! restart. What the file says is not trusted: ids must grow, counters must be possible.

use super::{BLOCK_BYTES_MAX, Id, Stream};

impl Stream {
    /// Adds an entry, at the beginning of a new block when the file has one there; false, and
    /// nothing is done, when its id is not above the last one's.
    #[must_use]
    pub fn load(&mut self, id: Id, pairs: &[(&[u8], &[u8])], begins_block: bool) -> bool {
        if id <= self.last_id {
            return false;
        }
        let texts: usize = pairs.iter().map(|(field, value)| field.len() + value.len()).sum();
        self.push(id, pairs, |block| !begins_block && block.len() + texts < BLOCK_BYTES_MAX);
        true
    }

    /// Sets the counters when all entries are there; false when they cannot be this stream's.
    #[must_use]
    pub fn load_counters(&mut self, last: Id, added: u64, max_deleted: Id) -> bool {
        let possible = last >= self.last_id && i64::try_from(added).is_ok();
        if possible {
            self.set_counters(last, Some(added), Some(max_deleted));
        }
        possible
    }
}
