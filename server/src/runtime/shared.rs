//! What all cores see of each other: mailboxes, doorbells, published log positions, counters.
//!
//! Every cell has one writer (its core) unless said otherwise; readers see a recent value.

use super::{
    attention::Attention,
    control::{Control, Mailbox},
    desk::Desk,
    gate::Gate,
    lending::Lending,
    scribe::CHUNKS_MAX,
};
use crate::{
    config::{Config, LiveConfig},
    net::listener::Listener,
    observe::{
        backup, latency::Monitor, over_limit::OverLimit, rates::Rates, saving::Saving,
        slowlog::SlowLog, timings,
    },
    options::Options,
    scripting::{Libraries, limits::BusyScripts, reach::Reaches, registry::Scripts},
};
use quire_engine::{
    aof::{Durations, Frontier, Lsn},
    claims::Claims,
    command::ErrorCounts,
    error::StorageError,
    mesh::{Doorbell, Lead},
    recovery::Progress,
    shard::Cuts,
};
use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU64, Ordering},
    },
    time::Instant,
};

/// A counter with one writer: no locked instruction.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Sets it. Only the owner calls this.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// Adds to it. Only the owner calls this.
    #[inline]
    pub fn add(&self, n: u64) {
        self.set(self.get().wrapping_add(n));
    }

    /// A recent value.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Statistics a core publishes once per turn or tick.
#[derive(Debug, Default)]
pub struct CoreStats {
    /// Connected clients.
    pub clients: Counter,
    /// Clients blocked by a command.
    pub blocked: Counter,
    /// Those of them that wait no longer than some time.
    pub timed: Counter,
    /// Connections accepted (by the core that serves them).
    pub connections: Counter,
    /// Connections refused at `maxclients` (counted by the accepting core).
    pub rejected: Counter,
    /// Commands executed for clients of this core.
    pub commands: Counter,
    /// Bytes received.
    pub net_in: Counter,
    /// Bytes sent.
    pub net_out: Counter,
    /// Receives that brought bytes.
    pub reads: Counter,
    /// Sends that took bytes.
    pub writes: Counter,
    /// Turns of the loop.
    pub turns: Counter,
    /// Calls of io_uring_enter.
    pub enters: Counter,
    /// Commands this core sent to other shards.
    pub hops_out: Counter,
    /// Batches they went in.
    pub hop_batches_out: Counter,
    /// Commands other cores sent here.
    pub hops_in: Counter,
    /// Batches they came in.
    pub hop_batches_in: Counter,
    /// Keyspace hits on this shard.
    pub hits: Counter,
    /// Keyspace misses on this shard.
    pub misses: Counter,
    /// Keys expired on this shard.
    pub expired: Counter,
    /// Time spent on active expiry, us.
    pub expire_us: Counter,
    /// Keys evicted on this shard.
    pub evicted: Counter,
    /// Clients closed for the memory they took.
    pub evicted_clients: Counter,
    /// Values and keys freed after they were removed.
    pub lazily_freed: Counter,
    /// Those still to be freed.
    pub lazily_pending: Counter,
    /// Changes of keys on this shard.
    pub changes: Counter,
    /// Keys that have changed since the base of the log, as far as it is known.
    pub changed_keys: Counter,
    /// Bytes of names of keys that are gone since.
    pub gone_bytes: Counter,
    /// 1: the shard does not know what is gone.
    pub changes_unknown: Counter,
    /// Error replies.
    pub errors: Counter,
    /// Bytes that all connections take.
    pub client_bytes: Counter,
    /// The same as it stands in the account for `maxmemory-clients`; 0 without that.
    pub clients_counted: Counter,
    /// Bytes of the largest client that may be closed for its memory, as this core saw it last.
    pub largest_client: Counter,
    /// Bytes of the largest query buffer.
    pub largest_input: Counter,
    /// Bytes of the largest output buffer.
    pub largest_output: Counter,
    /// Keys by database.
    pub keys: Vec<Counter>,
    /// Keys with a deadline by database.
    pub expires: Vec<Counter>,
    /// How long keys with a deadline have left, by database: mean, ms, an estimate.
    pub time_left_ms: Vec<Counter>,
    /// Bytes of the tables by database.
    pub table_bytes: Vec<Counter>,
    /// Bytes of the indexes of deadlines by database.
    pub deadline_bytes: Vec<Counter>,
    /// Last LSN given out.
    pub last_lsn: Counter,
    /// Log commits.
    pub commits: Counter,
    /// Batches in them.
    pub batches: Counter,
    /// Log bytes written.
    pub log_bytes: Counter,
    /// Syncs done.
    pub syncs: Counter,
    /// Replies waiting for the log.
    pub gated: Counter,
    /// Last sync, microseconds.
    pub last_sync_us: Counter,
    /// Longest sync, microseconds.
    pub max_sync_us: Counter,
    /// Bytes reserved for the log.
    pub reserved: Counter,
    /// Bytes staged for the next commit.
    pub staged: Counter,
    /// Keys written of the snapshot that is being written.
    pub walked: Counter,
    /// Bytes that commands had to copy out for it.
    pub copied_bytes: Counter,
    /// Bytes that the interpreter of EVAL holds.
    pub eval_bytes: Counter,
    /// Bytes that the interpreter of functions holds.
    pub function_bytes: Counter,
}

/// Counts that CONFIG RESETSTAT sets back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
#[expect(missing_docs, reason = "each is the field of CoreStats of that name")]
pub enum Counted {
    Connections,
    Rejected,
    Commands,
    NetIn,
    NetOut,
    Reads,
    Writes,
    Turns,
    Enters,
    HopsOut,
    HopBatchesOut,
    Hits,
    Misses,
    Expired,
    ExpireUs,
    Evicted,
    EvictedClients,
    LazilyFreed,
}

impl Counted {
    const ALL: [Counted; 18] = [
        Self::Connections,
        Self::Rejected,
        Self::Commands,
        Self::NetIn,
        Self::NetOut,
        Self::Reads,
        Self::Writes,
        Self::Turns,
        Self::Enters,
        Self::HopsOut,
        Self::HopBatchesOut,
        Self::Hits,
        Self::Misses,
        Self::Expired,
        Self::ExpireUs,
        Self::Evicted,
        Self::EvictedClients,
        Self::LazilyFreed,
    ];

    fn of(self, stats: &CoreStats) -> &Counter {
        match self {
            Self::Connections => &stats.connections,
            Self::Rejected => &stats.rejected,
            Self::Commands => &stats.commands,
            Self::NetIn => &stats.net_in,
            Self::NetOut => &stats.net_out,
            Self::Reads => &stats.reads,
            Self::Writes => &stats.writes,
            Self::Turns => &stats.turns,
            Self::Enters => &stats.enters,
            Self::HopsOut => &stats.hops_out,
            Self::HopBatchesOut => &stats.hop_batches_out,
            Self::Hits => &stats.hits,
            Self::Misses => &stats.misses,
            Self::Expired => &stats.expired,
            Self::ExpireUs => &stats.expire_us,
            Self::Evicted => &stats.evicted,
            Self::EvictedClients => &stats.evicted_clients,
            Self::LazilyFreed => &stats.lazily_freed,
        }
    }
}

/// Figures of one core that are more than numbers; written when somebody asks.
#[derive(Debug, Default)]
pub struct CoreReport {
    /// Error replies by code.
    pub errors: ErrorCounts,
    /// Commands.
    pub commands: timings::Report,
    /// Durations of the log's syncs.
    pub syncs: Durations,
}

/// One core, as the others see it. Aligned so that cores do not share lines.
#[repr(align(128))]
pub struct Core {
    /// Highest LSN on this shard whose replies may leave (settled at its policy's level).
    released: AtomicU64,
    /// How often `released` has moved. It falls back under a stricter policy and comes again to where
    /// it was: who compared positions would miss that.
    releases: AtomicU64,
    /// Highest LSN written.
    pub written: AtomicU64,
    /// Highest LSN settled at level synced.
    pub synced: AtomicU64,
    /// The log of this shard has failed.
    pub failed: AtomicBool,
    /// From this LSN on nothing will be released although this shard's log is well: transactions
    /// that it took part in miss their part in a log that has failed.
    pub hopeless_from: AtomicU64,
    /// The same of being settled at level synced.
    pub never_synced_from: AtomicU64,
    /// Cores (by index) that want to know when `released` or `synced` moves; set by them,
    /// cleared by the owner.
    pub interest: Vec<AtomicBool>,
    /// Sleeps or not.
    pub doorbell: Doorbell,
    /// Positions it waits for have moved: it does not go to sleep before it has looked at them.
    pub nudged: AtomicBool,
    /// The ring's descriptor once it runs; -1 before.
    pub ring_fd: AtomicI32,
    /// Control messages.
    pub mailbox: Mailbox,
    /// Statistics.
    pub stats: CoreStats,
    /// Commands and commits per second.
    pub rates: Rates<2>,
    report: Mutex<CoreReport>,
}

impl Core {
    /// Highest LSN on this shard whose replies may leave.
    #[inline]
    pub fn released(&self, order: Ordering) -> Lsn {
        self.released.load(order)
    }

    /// Replies up to this LSN may leave.
    pub fn release(&self, lsn: Lsn) {
        self.released.store(lsn, Ordering::Release);
        // ORDER: behind the position: who has seen this number sees at least that position.
        self.releases.fetch_add(1, Ordering::Release);
    }

    /// Another number after each [`Core::release`].
    #[inline]
    pub fn releases(&self) -> u64 {
        self.releases.load(Ordering::Acquire)
    }

    /// A reply that waits for this LSN of the shard will wait for ever.
    pub fn is_hopeless(&self, lsn: Lsn) -> bool {
        let lost = self.failed.load(Ordering::Acquire)
            || self.hopeless_from.load(Ordering::Acquire) <= lsn;
        lost && self.released(Ordering::Acquire) < lsn
    }

    /// What the core has reported last.
    pub fn report(&self) -> MutexGuard<'_, CoreReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything shared.
pub struct Shared {
    /// Cores by shard index.
    pub cores: Vec<Core>,
    /// Start-up options.
    pub options: Options,
    /// Listening sockets; core 0 accepts, CONFIG SET changes them.
    listeners: Mutex<Vec<Listener>>,
    /// Which transactions over several shards are in all their logs.
    pub frontier: Arc<Frontier>,
    /// The configuration; cores keep a copy while its generation stands.
    pub config: LiveConfig,
    /// True until recovery is done.
    pub loading: AtomicBool,
    /// How far recovery is.
    pub progress: Arc<Progress>,
    /// Who ends clients' waits for keys.
    pub claims: Arc<Claims>,
    /// Next client id.
    pub next_client: AtomicU64,
    /// Why the log refuses writes, if it does (first failure wins).
    pub log_failure: Mutex<Option<StorageError>>,
    /// Bumped when `log_failure` changes.
    pub failure_generation: AtomicU64,
    /// Run id of this process, 40 hex digits, for INFO.
    pub run_id: String,
    /// Id of this data set's history towards replicas, 40 hex digits, for INFO.
    pub replication_id: String,
    /// Commands, bytes received and bytes sent per second.
    pub rates: Rates<3>,
    /// Who may act on all shards at once.
    pub desk: Desk,
    /// Shards on their way between cores.
    pub lending: Lending,
    /// Number of the last transaction over several shards.
    pub transactions: AtomicU64,
    /// Numbers of reads over several shards.
    pub cuts: Cuts,
    /// Monitors and pauses.
    pub attention: Attention,
    /// How long memory has been over its limit.
    pub over_limit: OverLimit,
    /// Slow commands.
    pub slowlog: SlowLog,
    /// What took long, by kind.
    pub latency: Monitor,
    /// How far ahead of the scribe each shard is.
    pub leads: Vec<Lead>,
    /// The epoch of the log; changes only while a change of the whole data set is carried out.
    pub epoch: AtomicU64,
    /// Every change is logged, and a start would find it.
    pub has_log: AtomicBool,
    /// A log has begun that nobody relies on yet: it is given up when it fails.
    pub log_begins: AtomicBool,
    /// Where cores wait for each other at a snapshot's cut.
    pub gate: Gate,
    /// Scripts that all cores know.
    pub scripts: Scripts,
    /// Function libraries.
    pub libraries: Libraries,
    /// Scripts that have run too long.
    pub busy: BusyScripts,
    /// How far scripts reach.
    pub reaches: Reaches,
    /// Scripts may use DEBUG.
    pub scripts_debug: AtomicBool,
    /// The backup.
    pub backup: backup::Shared,
    /// Snapshots and the log's bases.
    pub saving: Saving,
    /// When the data set was last saved to an RDB file (or the process started), Unix time, s.
    pub last_save_s: AtomicI64,
    /// What counts stood at when they were last set back.
    baseline: [AtomicU64; Counted::ALL.len()],
    /// When the process started.
    pub started: Instant,
    /// A shutdown is under way.
    pub stopping: AtomicBool,
    /// SHUTDOWN FORCE: leave with 0 although the log has failed.
    pub forced: AtomicBool,
    /// Exit code the process ends with.
    pub exit_code: AtomicI32,
}

impl Shared {
    /// Shared state for `options.shards` cores.
    pub fn new(options: Options, config: Config, ids: [String; 2]) -> io::Result<Self> {
        let [run_id, replication_id] = ids;
        let has_log = AtomicBool::new(options.appendonly);
        let n = options.shards;
        let databases = options.databases;
        let cores = (0..n)
            .map(|_| {
                let counters = |n: usize| (0..n).map(|_| Counter::default()).collect();
                Ok(Core {
                    released: AtomicU64::new(0),
                    releases: AtomicU64::new(0),
                    written: AtomicU64::new(0),
                    synced: AtomicU64::new(0),
                    failed: AtomicBool::new(false),
                    hopeless_from: AtomicU64::new(u64::MAX),
                    never_synced_from: AtomicU64::new(u64::MAX),
                    interest: (0..n).map(|_| AtomicBool::new(false)).collect(),
                    doorbell: Doorbell::new(),
                    nudged: AtomicBool::new(false),
                    ring_fd: AtomicI32::new(-1),
                    mailbox: Mailbox::new()?,
                    stats: CoreStats {
                        keys: counters(databases),
                        expires: counters(databases),
                        time_left_ms: counters(databases),
                        table_bytes: counters(databases),
                        deadline_bytes: counters(databases),
                        ..CoreStats::default()
                    },
                    rates: Rates::default(),
                    report: Mutex::default(),
                })
            })
            .collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            cores,
            options,
            listeners: Mutex::new(Vec::new()),
            frontier: Arc::default(),
            config: LiveConfig::new(config),
            loading: AtomicBool::new(true),
            progress: Arc::new(Progress::default()),
            claims: Arc::new(Claims::new(n)),
            next_client: AtomicU64::new(1),
            log_failure: Mutex::new(None),
            failure_generation: AtomicU64::new(0),
            run_id,
            replication_id,
            rates: Rates::default(),
            desk: Desk::default(),
            lending: Lending::new(n),
            transactions: AtomicU64::new(0),
            cuts: Cuts::default(),
            attention: Attention::new(n),
            over_limit: OverLimit::default(),
            slowlog: SlowLog::default(),
            latency: Monitor::default(),
            leads: (0..n).map(|_| Lead::new(CHUNKS_MAX)).collect(),
            epoch: AtomicU64::new(0),
            has_log,
            log_begins: AtomicBool::new(false),
            gate: Gate::default(),
            scripts: Scripts::default(),
            libraries: Libraries::default(),
            busy: BusyScripts::new(n),
            reaches: Reaches::default(),
            scripts_debug: AtomicBool::new(false),
            backup: backup::Shared::default(),
            saving: Saving::default(),
            last_save_s: AtomicI64::new(super::core::unix_ms() / 1000),
            baseline: [const { AtomicU64::new(0) }; Counted::ALL.len()],
            started: Instant::now(),
            stopping: AtomicBool::new(false),
            forced: AtomicBool::new(false),
            exit_code: AtomicI32::new(0),
        })
    }

    /// Number of shards.
    #[inline]
    pub fn shards(&self) -> usize {
        self.cores.len()
    }

    /// The listening sockets.
    pub fn listeners(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.listeners.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Posts a message to every core.
    pub fn broadcast(&self, message: impl Fn() -> super::control::Control) {
        for core in &self.cores {
            core.mailbox.post(message());
        }
    }

    /// Has every core stop, once whoever acts on all shards has finished.
    pub fn shut_down(&self) {
        if self.desk.close() {
            self.broadcast(|| Control::Shutdown);
        }
    }

    /// Nothing more may be acknowledged: writes stop on all shards, since transactions tie them
    /// together. The first failure is the one clients are told.
    pub fn fail_log(&self, error: &StorageError) {
        let mut failure = self.log_failure.lock().unwrap_or_else(|e| e.into_inner());
        failure.get_or_insert_with(|| error.clone());
        drop(failure);
        self.look_at_failure();
    }

    /// Has every core close the connections that wait for what will never come.
    pub fn look_at_failure(&self) {
        self.failure_generation.fetch_add(1, Ordering::AcqRel);
        self.broadcast(|| super::control::Control::Look);
    }

    /// True when every change is logged, and a start would find it.
    pub fn has_log(&self) -> bool {
        self.has_log.load(Ordering::Acquire)
    }

    /// The log's directory.
    pub fn log_dir(&self) -> std::path::PathBuf {
        self.config.load().dir.join(&self.options.append_dir)
    }

    /// What has been counted on all cores since the start or since [`Shared::reset_counts`].
    pub fn counted(&self, what: Counted) -> u64 {
        let since = self.baseline[what as usize].load(Ordering::Relaxed);
        self.sum(|stats| what.of(stats)).saturating_sub(since)
    }

    /// Counts start at 0 again. The cores' own counters go on: nobody else writes them.
    pub fn reset_counts(&self) {
        for what in Counted::ALL {
            let now = self.sum(|stats| what.of(stats));
            self.baseline[what as usize].store(now, Ordering::Relaxed);
        }
        self.over_limit.reset(Instant::now());
    }

    /// How long keys of a database that have a deadline have left: mean, ms.
    pub fn average_ttl_ms(&self, db: usize) -> u64 {
        let keys = self.sum(|s| &s.expires[db]);
        let part = |core: &Core| {
            let stats = &core.stats;
            u128::from(stats.time_left_ms[db].get()) * u128::from(stats.expires[db].get())
        };
        let total: u128 = self.cores.iter().map(part).sum();
        total.checked_div(u128::from(keys)).unwrap_or(0) as u64
    }

    /// Sum of a statistic over all cores.
    pub fn sum(&self, pick: impl Fn(&CoreStats) -> &Counter) -> u64 {
        self.cores.iter().map(|c| pick(&c.stats).get()).sum()
    }
}
