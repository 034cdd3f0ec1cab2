//! Several commands as one batch: MULTI/EXEC, scripts, and one shard's part of what runs over
//! several shards.

use super::Shard;
use crate::{
    aof::{Lsn, Transaction},
    effect::Effect,
};

impl Shard {
    /// Logs a command that concerns no key; the LSN to wait for, 0 inside a transaction, whose end
    /// says it.
    pub fn log_keyless(&mut self, parts: &[&[u8]]) -> Lsn {
        self.staging.begin();
        self.staging.push(0, Effect::Parts { parts });
        self.staging.end()
    }

    /// What is executed from here to [`Shard::end_transaction`] is one batch of the log: there
    /// whole after a crash, or not at all. With `Some` it is one shard's part of a transaction
    /// over several shards, and is logged even if it changes nothing here: all participants' logs
    /// must say that they took part.
    ///
    /// # Panics
    /// When the transaction's id is not above that of the last one on this shard: logs that do not
    /// agree on the order of transactions cannot be recovered.
    pub fn begin_transaction(&mut self, transaction: Option<Transaction>) {
        self.staging.begin_transaction(transaction);
    }

    /// Ends what [`Shard::begin_transaction`] began; whoever waits for keys that it has made is
    /// served now, in batches behind it. The LSN that every reply of the transaction
    /// must wait for on this shard, for what it did and for what it saw, 0 for none; and whether
    /// anything was logged here.
    pub fn end_transaction(&mut self) -> (Lsn, bool) {
        let ended = self.staging.end_transaction();
        self.serve_held_back();
        ended
    }
}
