//! One core: everything a shard thread owns, and the turn of its loop.
//!
//! A turn: sleep in `enter` until something is there; take completions (requests execute as they
//! arrive), parcels of other cores, mail, timers; then, once for all of it: hand the staged batch
//! to the log, publish log positions, send what may leave, send parcels, ring doorbells.
//!
//! ORDER: the log is pumped before replies are looked at, so a reply leaves in the turn whose
//! commit covers it, and parcels with replies leave after the positions they wait for are public.

mod positions;

use super::{
    attention::Watch,
    clients_limit::ClientsAccount,
    control::Control,
    librarian::Librarian,
    log_io::{InjectedFault, RingLogIo, WriteInFlight},
    ring::{Completion, Op, Ring, Token},
    scribe::Scribe,
    shared::Shared,
};
use crate::{
    config::Config,
    dispatch::{
        checkpoint::Checkpoints,
        cut::Walking,
        foresight::{self, Foreseen},
        global::Globals,
        hop::Mesh,
        switching::LogSwitch,
        transaction::Session,
    },
    net::connection::Connection,
    observe::timings::Timings,
    scripting::Scripting,
};
use io_uring::{opcode, types};
use quire_engine::{
    aof::LogWriter,
    command::{ErrorCounts, Span},
    io::LogFault,
    shard::Shard,
};
use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Scratch above this is given back at the end of a turn.
const SCRATCH_BYTES_MAX: usize = 64 * 1024;

/// Everything one shard thread owns.
pub struct Core {
    /// Index of core and shard.
    pub id: u16,
    /// What all cores share.
    pub shared: Arc<Shared>,
    /// Settings in force.
    pub live: Arc<Config>,
    /// Which of them connections and the log go by.
    pub live_generation: u64,
    failure_generation: u64,
    /// The ring.
    pub ring: Ring,
    /// The keys, once recovery is done.
    pub shard: Option<Shard>,
    /// The log, when there is one.
    pub log: Option<LogWriter>,
    /// The librarian's requests.
    pub librarian: Librarian,
    write: WriteInFlight,
    /// Faults to inject into log I/O.
    pub fault: InjectedFault,
    /// Connections by index.
    pub conns: Vec<Option<Box<Connection>>>,
    /// Generation of each index.
    pub generations: Vec<u32>,
    /// Free indices.
    pub free: Vec<u32>,
    /// Connections handed to each core so far (core 0 only).
    pub handed: Vec<u64>,
    /// Numbers of the listeners whose accept is armed (core 0 only).
    pub accepting: Vec<u32>,
    /// The other cores.
    pub mesh: Mesh,
    /// Unix time of this turn, ms.
    pub now_ms: i64,
    /// Monotonic time of this turn.
    pub now: Instant,
    /// Turn counter.
    pub turn: u64,
    /// Span scratch of the request being parsed.
    pub spans: Vec<Span>,
    /// Reply scratch.
    pub scratch: Vec<u8>,
    /// Scratch of looking ahead.
    pub foreseen: Vec<Foreseen>,
    /// Sends queued since the last sleep.
    pub sends_queued: usize,
    /// Connections with something to send.
    pub dirty: Vec<u32>,
    /// Connections with replies waiting for a log.
    pub gated: Vec<u32>,
    /// Connections whose parked input should be looked at again.
    pub resume: Vec<u32>,
    /// Connections that stopped because this core is frozen.
    pub resume_later: Vec<u32>,
    /// Receives since the log last took everything that was staged.
    pub receives: u64,
    /// Commands executed for this core's connections.
    pub commands: u64,
    /// Commands refused before they reached a shard.
    pub errors: ErrorCounts,
    /// How often commands ran here, and how long.
    pub timings: Timings,
    /// Somebody monitors or something is paused: commands take the long way.
    pub is_attentive: bool,
    /// Who and what.
    pub watch: Watch,
    /// The generation of `watch`.
    pub attention_generation: u64,
    /// Connections here that monitor.
    pub monitors: Vec<u32>,
    /// Lines for all monitors, of this turn.
    pub monitor_lines: Vec<u8>,
    /// Connections parked by a pause.
    pub paused: Vec<u32>,
    /// When the first of this core's waits ends at the latest.
    pub waits_until: Option<Instant>,
    /// Keys that have expired are removed although nobody asks for them.
    pub expires_actively: bool,
    /// Receives that brought bytes.
    pub reads: u64,
    /// Syncs of the log that LATENCY has looked at.
    syncs_seen: u64,
    /// Connections parked for want of staging space.
    pub stalled: Vec<u32>,
    /// Connections in WAITAOF.
    pub waiting_aof: Vec<u32>,
    /// When clients that wait for keys give up: time, connection, ticket.
    pub wait_ends: BTreeSet<(Instant, u32, u64)>,
    /// Replies to clients that have waited are yet to be sent to other cores.
    pub has_served: bool,
    releases_seen: Vec<u64>,
    /// Replies for peers, sent after the log was pumped.
    pub parcels_out: Vec<(u16, Vec<u8>)>,
    /// The limit of memory does not hold and there is more to evict.
    pub evicting: bool,
    /// What its connections take.
    pub clients: ClientsAccount,
    /// Transactions over several shards.
    pub session: Session,
    /// What it keeps for scripts, once there has been one; away while one runs.
    pub scripting: Option<Box<Scripting>>,
    /// Commands run as part of a transaction whose shards are all here.
    pub executing: bool,
    /// Executes nothing (a global operation is being published).
    pub frozen: bool,
    /// Serves its sockets while a script is busy: most commands are refused.
    pub is_serving_busy: bool,
    /// `Frozen` has been reported.
    pub freeze_reported: bool,
    /// Global operations (core 0 only).
    pub globals: Globals,
    /// Snapshots (core 0 only).
    pub checkpoints: Checkpoints,
    /// What it does for a snapshot.
    pub walking: Walking,
    /// Its log begins or ends.
    pub switch: LogSwitch,
    /// Where its chunks go.
    pub scribe: Scribe,
    /// Shutdown has been asked for.
    pub stopping: bool,
    /// The log has been handed to the librarian for sealing.
    pub sealing: bool,
    /// The segment being sealed at the end.
    pub sealing_number: u64,
    /// Since when the log is closed and replies are being sent off.
    pub drain_since: Option<Instant>,
    /// The loop ends.
    pub done: bool,
    mailbox_word: Box<u64>,
    mailbox_armed: bool,
    pub(super) next_tick: Instant,
    /// Ticks so far.
    pub ticks: u64,
    /// What has happened on the ring and is yet to be worked on, in order.
    pub completions: Vec<Completion>,
    /// How many of them this turn has taken up.
    completed: usize,
    pub(super) epoch: Instant,
}

impl Core {
    /// A core on the calling thread, which becomes its ring's only issuer.
    pub fn new(
        id: u16,
        shared: Arc<Shared>,
        mesh: Mesh,
        librarian: Librarian,
        scribe: Scribe,
    ) -> std::io::Result<Self> {
        let ring = Ring::new()?;
        shared.cores[id as usize].ring_fd.store(ring.fd(), Ordering::Release);
        let n = shared.shards();
        let now = Instant::now();
        Ok(Self {
            id,
            live_generation: shared.config.generation(),
            live: shared.config.load(),
            failure_generation: 0,
            ring,
            shard: None,
            log: None,
            librarian,
            write: WriteInFlight::default(),
            fault: InjectedFault::default(),
            conns: Vec::new(),
            generations: Vec::new(),
            free: Vec::new(),
            handed: vec![0; n],
            accepting: Vec::new(),
            mesh,
            now_ms: unix_ms(),
            now,
            turn: 0,
            spans: Vec::new(),
            scratch: Vec::new(),
            foreseen: Vec::new(),
            sends_queued: 0,
            dirty: Vec::new(),
            gated: Vec::new(),
            resume: Vec::new(),
            resume_later: Vec::new(),
            receives: 0,
            commands: 0,
            errors: ErrorCounts::default(),
            timings: Timings::new(Core::command_count()),
            is_attentive: false,
            watch: Watch::default(),
            attention_generation: 0,
            monitors: Vec::new(),
            monitor_lines: Vec::new(),
            paused: Vec::new(),
            waits_until: None,
            expires_actively: true,
            reads: 0,
            syncs_seen: 0,
            stalled: Vec::new(),
            waiting_aof: Vec::new(),
            wait_ends: BTreeSet::new(),
            has_served: false,
            releases_seen: vec![0; n],
            parcels_out: Vec::new(),
            evicting: false,
            clients: ClientsAccount::default(),
            session: Session::default(),
            scripting: None,
            executing: false,
            frozen: false,
            is_serving_busy: false,
            freeze_reported: false,
            globals: Globals::default(),
            checkpoints: Checkpoints::default(),
            walking: Walking::default(),
            switch: LogSwitch::Rests,
            scribe,
            stopping: false,
            sealing: false,
            sealing_number: 0,
            drain_since: None,
            done: false,
            mailbox_word: Box::new(0),
            mailbox_armed: false,
            next_tick: now,
            ticks: 0,
            completions: Vec::with_capacity(1024),
            completed: 0,
            epoch: shared.started,
            shared,
        })
    }

    /// This core's cell in the shared state.
    #[inline]
    pub fn cell(&self) -> &super::shared::Core {
        &self.shared.cores[self.id as usize]
    }

    /// Number of shards.
    #[inline]
    pub fn shards(&self) -> usize {
        self.releases_seen.len()
    }

    /// Microseconds since the process started, for the log's clock.
    pub fn now_us(&self) -> u64 {
        self.now.duration_since(self.epoch).as_micros() as u64
    }

    /// Reads the clocks anew.
    pub fn read_clocks(&mut self) {
        self.now = Instant::now();
        self.now_ms = unix_ms();
    }

    /// Runs until shutdown is complete.
    pub fn run(&mut self) {
        self.adopt_settings();
        self.clients_limit_changed();
        self.arm_listeners();
        while !self.done {
            self.turn_once();
        }
    }

    fn turn_once(&mut self) {
        self.arm_mailbox();
        self.sleep();
        self.turn += 1;
        self.read_clocks();
        // ORDER: before completions: a client accepted after CONFIG SET was answered meets the
        // new settings.
        self.refresh_shared();
        self.take_completions();
        while self.completed < self.completions.len() {
            let end = self.completions.len().min(self.completed + foresight::WINDOW);
            let completions = std::mem::take(&mut self.completions);
            self.foresee_received(&completions[self.completed..end]);
            self.completions = completions;
            for _ in self.completed..end {
                // A busy script may have worked on some of them.
                let Some(&c) = self.completions.get(self.completed) else { break };
                self.completed += 1;
                self.complete(c);
            }
        }
        self.completions.clear();
        self.completed = 0;
        self.receive_parcels();
        if self.now >= self.next_tick {
            let period = Duration::from_micros(1_000_000 / u64::from(self.ticks_per_second()));
            self.next_tick = self.now + period;
            self.ticks += 1;
            self.tick();
        }
        self.resume_parked();
        self.end_waits();
        self.deliver_served();
        // ORDER: no key goes for what clients take that have to go themselves, as in Redis.
        self.keep_clients_limit();
        self.keep_limit();
        self.free_trash();
        self.trim_scratch();
        self.pump_log();
        self.after_pump();
        self.send_monitor_lines();
        self.flush_connections();
        self.keep_clients_limit();
        self.send_parcels();
        self.unstall();
        self.walk_on();
    }

    /// One huge command must not pin the memory that it took here.
    #[inline]
    fn trim_scratch(&mut self) {
        if self.spans.capacity() * size_of::<Span>() > SCRATCH_BYTES_MAX {
            self.spans = Vec::new();
        }
        if self.scratch.capacity() > SCRATCH_BYTES_MAX {
            self.scratch = Vec::new();
        }
    }

    /// Takes what has happened on the ring; where what is yet to be worked on begins.
    pub fn take_completions(&mut self) -> usize {
        self.ring.completions(&mut self.completions);
        self.completed
    }

    fn complete(&mut self, c: Completion) {
        match c.token.op {
            Op::Ignore | Op::Doorbell => {}
            Op::Receive => self.received(c),
            Op::Send => self.send_done(c),
            Op::Accept => self.accepted(c),
            Op::Mailbox => {
                self.mailbox_armed = false;
                self.read_mail();
            }
            Op::LogWrite => {
                if let Some(result) = self.write.written(c.result, self.fault, self.now) {
                    self.log_write_done(result);
                }
            }
            Op::LogSync => {
                if c.token.index == 1 {
                    if let Some(result) = self.write.synced(c.result, self.fault) {
                        self.log_write_done(result);
                    }
                } else {
                    let result = if c.result < 0 { Err(-c.result) } else { Ok(()) };
                    let result = self.fault.sync.map_or(result, Err);
                    self.with_log(|log, staging, now, io| {
                        log.on_sync_done(result, staging, now, io);
                    });
                }
            }
        }
    }

    fn log_write_done(&mut self, result: Result<usize, LogFault>) {
        self.with_log(|log, staging, now, io| log.on_write_done(result, staging, now, io));
    }

    /// Calls into the log with everything it needs.
    pub fn with_log<R>(
        &mut self,
        f: impl FnOnce(&mut LogWriter, &mut quire_engine::aof::Staging, u64, &mut RingLogIo<'_>) -> R,
    ) -> Option<R> {
        let now = self.now_us();
        let (Some(log), Some(shard)) = (self.log.as_mut(), self.shard.as_mut()) else {
            return None;
        };
        let mut io = RingLogIo {
            ring: &mut self.ring,
            write: &mut self.write,
            fault: self.fault,
            now: self.now,
            is_timed: self.live.latency_monitor_threshold > 0,
        };
        Some(f(log, &mut shard.staging, now, &mut io))
    }

    fn arm_mailbox(&mut self) {
        if self.mailbox_armed {
            return;
        }
        let fd = self.cell().mailbox.fd();
        let entry =
            opcode::Read::new(types::Fd(fd), (&raw mut *self.mailbox_word).cast(), 8).build();
        // SAFETY: the word is boxed, lives as long as the core, and is not read while armed.
        unsafe { self.ring.push(entry, Token::new(Op::Mailbox, 0)) };
        self.mailbox_armed = true;
    }

    fn read_mail(&mut self) {
        for message in self.cell().mailbox.take() {
            self.control(message);
        }
    }

    /// Takes over settings and log failures other threads have published.
    fn refresh_shared(&mut self) {
        let generation = self.shared.config.generation();
        if generation != self.live_generation {
            self.live_generation = generation;
            self.adopt_settings();
            self.settings_changed();
            self.adopt_policy();
        }
        if self.is_attentive || self.attention_generation != self.shared.attention.generation() {
            self.refresh_attention();
        }
        let failure = self.shared.failure_generation.load(Ordering::Acquire);
        if failure != self.failure_generation {
            self.failure_generation = failure;
            let failure = self.shared.log_failure.lock().unwrap_or_else(|e| e.into_inner()).clone();
            if let (Some(shard), Some(failure)) = (self.shard.as_mut(), failure) {
                shard.staging.set_failed(failure.reason());
            }
            self.drop_hopeless();
        }
    }

    /// Makes the next tick due at once.
    pub fn next_tick_now(&mut self) {
        self.next_tick = self.now;
    }

    /// True when some shard's released position moved since the last call, be it there and back.
    pub fn positions_moved(&mut self) -> bool {
        let mut moved = false;
        for (seen, cell) in self.releases_seen.iter_mut().zip(&self.shared.cores) {
            let now = cell.releases();
            moved |= *seen != now;
            *seen = now;
        }
        moved
    }

    /// Control messages, see `mail`.
    fn control(&mut self, message: Control) {
        self.handle_control(message);
    }
}

/// Unix time in ms.
pub fn unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
}
