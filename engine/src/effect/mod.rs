//! What a write command did, as a value: deterministic, absolute, replayable.
//!
//! Grammar: one effect names **exactly one key** (or is global), so replay routes every logged
//! command by its key whatever the number of shards. A command that changes several keys yields
//! several effects; the log wraps them in MULTI/EXEC. Expiry is absolute (PXAT, PEXPIREAT).

use crate::command::Args;
pub use crate::keyspace::Deadline;

/// One deterministic change.
#[derive(Debug, Clone, Copy)]
pub enum Effect<'a> {
    /// `SET key value [PXAT ms | KEEPTTL]`
    Set {
        /// Key.
        key: &'a [u8],
        /// New value.
        value: &'a [u8],
        /// New deadline.
        deadline: Deadline,
    },
    /// `DEL key`
    Del {
        /// Key.
        key: &'a [u8],
    },
    /// `PEXPIREAT key ms`
    ExpireAt {
        /// Key.
        key: &'a [u8],
        /// Unix time, ms.
        at_ms: i64,
    },
    /// `PERSIST key`
    Persist {
        /// Key.
        key: &'a [u8],
    },
    /// The command as it came, when it is deterministic and names one key (INCRBY, APPEND ..).
    Verbatim {
        /// The whole command.
        args: Args<'a>,
    },
    /// A canonical command given as its parts, one key.
    Parts {
        /// The whole command.
        parts: &'a [&'a [u8]],
    },
}
