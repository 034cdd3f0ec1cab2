//! What a handler may touch: the keyspace of its shard, the clock reading, its reply, its
//! effects. Lazy expiry, the read gate's bookkeeping and hit statistics happen here, so no
//! handler can forget them.

use super::Reply;
use crate::{aof::Staging, effect::Effect, keyspace::Keyspace, shard::ShardStats};

/// Why a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// For a client: keys expire, effects are logged.
    Live,
    /// From the log: nothing expires, nothing is logged.
    Replay,
}

/// The context of one command on one shard.
pub struct Ctx<'a> {
    /// Every database of this shard.
    pub keyspace: &'a mut Keyspace,
    /// The selected database.
    pub db: usize,
    /// Unix time, ms: one reading for the whole command.
    pub now_ms: i64,
    /// The reply.
    pub reply: Reply<'a>,
    /// Where effects go.
    pub staging: &'a mut Staging,
    /// Live or replay.
    pub mode: Mode,
    /// Counters of this shard.
    pub stats: &'a mut ShardStats,
    /// Random bits of this shard; never decides what an effect says.
    pub random: &'a mut crate::shard::Random,
}

impl Ctx<'_> {
    /// Logs what the command did to the selected database. A no-op in replay or without a log.
    #[inline]
    pub fn effect(&mut self, effect: Effect<'_>) {
        if self.mode == Mode::Live {
            self.staging.push(self.db as u16, effect);
        }
    }
}
