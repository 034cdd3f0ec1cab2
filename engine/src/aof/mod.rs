//! The log of one shard.
//!
//! CONTRACT, bodies to come: `Staging` gathers batches into the next commit, `LogWriter` is the
//! state machine that writes and syncs commits through a [`LogIo`].

/// Per-shard sequence number of batches; 0 = none.
pub type Lsn = u64;

/// Placeholder.
pub struct Staging;
impl Staging {
    /// Placeholder.
    pub fn push(&mut self, _db: u16, _effect: crate::effect::Effect<'_>) {}
}
