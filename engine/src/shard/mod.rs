//! The owner of one part of the keyspace: a synchronous state machine, never shared, never
//! awaits.
//!
//! Owns: the path of one command on its shard: admission by the log, handler, error reply,
//! batch. Invariants: a command's effects form one batch; when a handler fails, its partial
//! reply is taken back and what it logged is what it changed, since handlers validate before
//! they change; the reply of a command must wait for the LSN that [`Shard::execute`] returns.
//! Does not know: sockets, other shards, how the log is written.

mod cuts;
mod digest;
mod eviction;
mod exchange;
mod expiry;
mod flush;
mod inspect;
mod random;
mod replay;
mod transaction;
mod transfer;
mod waiting;
mod walk;
mod watches;

#[cfg(test)]
mod tests;

pub use cuts::Cuts;
pub use eviction::{EvictionPolicy, Limit, Meter, Relief};
pub use random::Random;
pub use replay::ReplayError;
pub use transfer::Exported;
pub use waiting::{Attempt, Queues, Request, Served};
pub use watches::{Seen, Watches};

use eviction::Eviction;

use crate::{
    aof::{Lsn, Staging},
    claims::Claims,
    command::{
        Args, CommandError, CommandSpec, Ctx, EFFECT_FRAME_BYTES, ErrorCounts, Flags, Groups, Mode,
        Reply, Wait,
    },
    keyspace::{KeyHasher, Keyspace, LazyFree},
    slot,
    snapshot::Walk,
    types::Limits,
};
use std::sync::Arc;

/// Whether a command may wait.
enum Waits<'a> {
    Never,
    If(&'a mut Wait),
}

/// Counters of one shard, plain integers; the server publishes them.
#[derive(Debug, Default, Clone)]
pub struct ShardStats {
    /// Lookups by reading commands that found the key.
    pub keyspace_hits: u64,
    /// Lookups by reading commands that did not.
    pub keyspace_misses: u64,
    /// Keys deleted because their deadline passed.
    pub expired_keys: u64,
    /// Keys deleted to stay within the limit of memory.
    pub evicted_keys: u64,
    /// Commands executed.
    pub commands: u64,
    /// Changes of keys.
    pub changes: u64,
    /// Error replies, by code.
    pub errors: ErrorCounts,
    /// Executions that ended in an error, by command.
    pub failed: ErrorCounts,
    /// Executions the log did not admit, by command.
    pub refused: ErrorCounts,
}

/// One shard.
pub struct Shard {
    /// Number of the shard, 0..shards.
    pub id: usize,
    /// The slot groups it owns.
    pub groups: Groups,
    /// Its keys.
    pub keyspace: Keyspace,
    /// Its log's next commit.
    pub staging: Staging,
    /// Its counters.
    pub stats: ShardStats,
    /// Its random bits.
    pub random: Random,
    /// When its small collections become big.
    pub limits: Limits,
    /// Which removals leave big values to be freed later.
    pub lazy: LazyFree,
    /// Commands leave access times alone, TOUCH apart.
    pub keeps_access: bool,
    /// Keys that have expired are hidden, not removed.
    pub keeps_expired: bool,
    /// A script asks.
    pub is_scripted: bool,
    /// The command is part of one whose memory has been looked at as a whole: it is not refused
    /// for want of memory.
    pub is_part: bool,
    /// Keys that clients watch.
    watches: Watches,
    /// Until when the access clock's reading is good, Unix time, ms.
    clock_until_ms: i64,
    /// Its limit of memory.
    eviction: Eviction,
    /// The snapshot that is under way, or whose end has not been taken.
    walk: Option<Walk>,
    /// Who waits for its keys.
    queues: Queues,
    /// Replies nobody reads (replay); kept for its memory.
    scratch: Vec<u8>,
}

impl Shard {
    /// Shard `id` of `shards`, empty.
    pub fn new(
        id: usize,
        shards: usize,
        databases: usize,
        hasher: KeyHasher,
        staging: Staging,
        seed: u64,
    ) -> Self {
        let groups = slot::groups_of_shard(id, shards);
        Self {
            id,
            groups: Groups { start: groups.start as u16, end: groups.end as u16 },
            keyspace: Keyspace::new(databases, hasher),
            staging,
            stats: ShardStats::default(),
            random: Random::new(seed),
            limits: Limits::default(),
            lazy: LazyFree::default(),
            keeps_access: false,
            keeps_expired: false,
            is_scripted: false,
            is_part: false,
            watches: Watches::default(),
            clock_until_ms: 0,
            eviction: Eviction::default(),
            walk: None,
            queues: Queues::new(databases, Arc::new(Claims::new(shards))),
            scratch: Vec::new(),
        }
    }

    /// Has clients of other shards wait here too: these claims decide who serves them. Before the
    /// first command.
    pub fn share_claims(&mut self, claims: Arc<Claims>) {
        self.queues = Queues::new(self.keyspace.databases(), claims);
    }

    /// How many clients wait for keys of this shard.
    pub fn waiting(&self) -> usize {
        self.queues.len()
    }

    /// Runs one command whose keys are all here (or that has none) and appends its reply.
    /// Arity must have been checked. Returns the LSN that the reply must wait for, 0 for none;
    /// inside a transaction [`Shard::end_transaction`] says that for all of its commands.
    #[inline]
    pub fn execute(
        &mut self,
        spec: &CommandSpec,
        db: usize,
        now_ms: i64,
        resp3: bool,
        args: Args<'_>,
        out: &mut Vec<u8>,
    ) -> Lsn {
        self.stats.commands += 1;
        let gate = self.run(spec, db, now_ms, resp3, args, out, Waits::Never);
        if !self.queues.is_empty() {
            self.serve_ready(now_ms);
        }
        gate
    }

    /// The command itself, without what others may get of it.
    #[inline]
    #[expect(clippy::too_many_arguments, reason = "what a command is, apart and not copied")]
    fn run(
        &mut self,
        spec: &CommandSpec,
        db: usize,
        now_ms: i64,
        resp3: bool,
        args: Args<'_>,
        out: &mut Vec<u8>,
        waits: Waits<'_>,
    ) -> Lsn {
        let position = out.len();
        self.note_time(now_ms);
        let admitted = spec.flags.has(Flags::WRITE);
        if admitted && let Err(error) = self.admit(spec, args) {
            Reply::new(out, resp3).error(error.text());
            self.stats.errors.add(error.code(), 1);
            self.stats.refused.add(spec.name, 1);
            return 0;
        }
        let lends = admitted && self.lazy.server_del;
        if lends {
            self.keyspace.lend_trash(db);
        }
        self.staging.begin();
        let reply = Reply::new(out, resp3);
        let mut ctx = self.context(db, now_ms, Mode::Live, admitted, reply);
        if let Waits::If(wait) = waits {
            ctx.wait = Some(wait);
        }
        if let Err(error) = (spec.run)(&mut ctx, args) {
            ctx.reply.truncate(position);
            // Nobody reads an error for a client that another shard has served.
            if ctx.claim().is_ok() {
                ctx.reply.error(error.text());
                ctx.stats.errors.add(error.code(), 1);
                ctx.stats.failed.add(spec.name, 1);
            }
        }
        if lends {
            self.keyspace.take_trash(db);
        }
        let own = self.staging.end();
        own.max(self.staging.gate())
    }

    /// Whether a writing command may run: the log has room for it, and so has memory.
    #[inline]
    fn admit(&mut self, spec: &CommandSpec, args: Args<'_>) -> Result<(), CommandError> {
        self.staging.admit(logged_bytes(args))?;
        if self.eviction.spend(held_bytes(args)) {
            return Ok(());
        }
        self.make_room(spec.flags.has(Flags::DENYOOM) && !self.is_part)
    }

    /// What a handler gets to see.
    #[inline]
    fn context<'a>(
        &'a mut self,
        db: usize,
        now_ms: i64,
        mode: Mode,
        admitted: bool,
        reply: Reply<'a>,
    ) -> Ctx<'a> {
        Ctx {
            keyspace: &mut self.keyspace,
            db,
            now_ms,
            reply,
            staging: &mut self.staging,
            mode,
            admitted,
            stats: &mut self.stats,
            random: &mut self.random,
            groups: self.groups,
            limits: &self.limits,
            watches: &mut self.watches,
            lazy: self.lazy,
            keeps_access: self.keeps_access,
            keeps_expired: self.keeps_expired,
            is_scripted: self.is_scripted,
            wait: None,
        }
    }

    /// Moves the access clock on, once a second.
    #[inline]
    fn note_time(&mut self, now_ms: i64) {
        if now_ms >= self.clock_until_ms {
            self.advance_clock(now_ms);
        }
    }

    #[cold]
    fn advance_clock(&mut self, now_ms: i64) {
        self.clock_until_ms = (now_ms / 1000 + 1) * 1000;
        self.keyspace.set_clock(now_ms, self.eviction.limit().tracking);
        self.watches.second();
    }
}

/// Upper bound of what a command's effects take in the log, unless they hold values that are not
/// among its arguments, bytes.
#[inline]
fn logged_bytes(args: Args<'_>) -> usize {
    args.bytes() + args.len() * EFFECT_FRAME_BYTES
}

/// About what a write adds to the memory held, bytes: its arguments, and an entry's frame for
/// each key and value.
#[inline]
fn held_bytes(args: Args<'_>) -> usize {
    args.bytes() + args.len() * 32
}
