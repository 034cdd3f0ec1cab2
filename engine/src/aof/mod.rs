//! The log of one shard.
//!
//! CONTRACT, bodies to come: `Staging` gathers batches into the next commit, `LogWriter` is the
//! state machine that writes and syncs commits through a `LogIo`.

use crate::{command::CommandError, effect::Effect};

/// Per-shard sequence number of batches; 0 = none.
pub type Lsn = u64;

/// Placeholder.
#[derive(Default)]
pub struct Staging {
    enabled: bool,
    lsn: Lsn,
    pushed: usize,
    /// Placeholder.
    pub log: Vec<u8>,
}

impl Staging {
    /// No log.
    pub fn off() -> Self {
        Self::default()
    }
    /// Placeholder.
    pub fn recording() -> Self {
        Self { enabled: true, ..Self::default() }
    }
    /// Placeholder.
    #[inline]
    pub fn enabled(&self) -> bool {
        self.enabled
    }
    /// Placeholder.
    #[inline]
    pub fn begin(&mut self) {
        self.pushed = 0;
    }
    /// Placeholder.
    #[inline]
    pub fn push(&mut self, db: u16, effect: Effect<'_>) {
        if self.enabled {
            self.pushed += 1;
            crate::effect::encode::select(db, &mut self.log);
            effect.encode(&mut self.log);
        }
    }
    /// Placeholder.
    #[inline]
    pub fn push_expiry(&mut self, db: u16, key: &[u8]) {
        self.push(db, Effect::Del { key });
    }
    /// Placeholder.
    #[inline]
    pub fn end(&mut self) -> Lsn {
        self.lsn += u64::from(self.pushed > 0);
        if self.pushed > 0 { self.lsn } else { 0 }
    }
    /// Placeholder.
    #[inline]
    pub fn gate(&self) -> Lsn {
        if self.pushed > 0 { self.lsn } else { 0 }
    }
    /// Placeholder.
    #[inline]
    pub fn touch_read(&mut self, _hash: u64) {}
    /// Placeholder.
    #[inline]
    pub fn touch_write(&mut self, _hash: u64) {}
    /// Placeholder.
    #[inline]
    pub fn admit(&self, _bytes: usize) -> Result<(), CommandError> {
        Ok(())
    }
    /// Placeholder.
    #[inline]
    pub fn check_read(&self, _hash: u64) -> Result<(), CommandError> {
        Ok(())
    }
}
