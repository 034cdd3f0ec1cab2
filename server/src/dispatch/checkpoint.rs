//! Core 0's part of snapshots: one at a time, from the wish to the file in its place.
//!
//! ```text
//! wish -> Cut to every core -> CutDone, Walked of each -> the scribe completes the file -> Scribed
//!      an RDB file: it has its name, done
//!      a base, a delta: the librarian switches the manifest -> Checkpointed, done
//! ```
//! A delta is given up where a shard does not know what has changed; then a base is written.
//! A failure anywhere gives up the whole: nothing of the data or its files has changed, and what was
//! logged goes on being logged. The cut takes a turn at the desk, so no transaction and no change of
//! the whole data set (`global.rs`) is on both sides of it.
//!
//! What runs by itself (save points, growth of the log) is decided in `saving_rules.rs`.

use super::{saving_rules, switching::Switching};
use crate::{
    config::{CheckpointDelta, RdbCompression},
    families::REDIS_VERSION,
    observe::{account, backup::State, saving::Kind},
    runtime::{
        control::{Control, CutOrder, CutReport, Origin, Purpose, Wish},
        core::Core,
        desk::Turn,
        scribe::{Note, Order, temporary_name},
    },
};
use quire_engine::{
    error::StorageError,
    manifest::{Position, Request},
    snapshot::{DraftOptions, Facts, WalkStats, Written},
};
use std::{
    collections::VecDeque,
    sync::atomic::Ordering::{Acquire, Relaxed, Release},
    time::Instant,
};

/// Core 0's snapshots.
#[derive(Default)]
pub struct Checkpoints {
    last_id: u64,
    running: Option<Running>,
    /// SAVE and SHUTDOWN that wait for their turn.
    pub(super) waiting: VecDeque<(Wish, Option<Origin>)>,
    /// Files are being loaded into the running server, or its log begins or ends: no snapshot
    /// begins but theirs.
    pub(super) is_reserved: bool,
    /// The log begins or ends.
    pub(super) switching: Option<Switching>,
    /// The generation of function libraries that the base in force has.
    pub(super) base_libraries: u64,
    /// A delta could not be written: only a base helps.
    pub(super) needs_base: bool,
    /// When the last RDB file was tried.
    pub dump_tried: Option<Instant>,
    /// When the last base was tried.
    pub base_tried: Option<Instant>,
}

struct Running {
    id: u64,
    purpose: Purpose,
    /// The name it is written under.
    draft: String,
    /// Who waits for the end.
    origin: Option<Origin>,
    /// What comes when it is written.
    then: Then,
    /// It has the desk's turn.
    has_turn: bool,
    /// The turn has come: cores were told to cut.
    has_begun: bool,
    cuts_missing: usize,
    walks_missing: usize,
    /// Keys at the cut, and what of them had changed; all shards know that.
    keys: u64,
    changed_keys: u64,
    gone_bytes: u64,
    changes_known: bool,
    positions: Vec<Position>,
    /// The log's epoch at the cut.
    epoch: u64,
    /// Last LSN of each shard before the cut.
    lsns: Vec<u64>,
    stats: WalkStats,
    /// Changes of keys, and bytes of the log, at the cut.
    changes: u64,
    log_bytes: u64,
    written: Option<Written>,
    /// The librarian puts it in force.
    is_with_librarian: bool,
}

/// What comes when a snapshot is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// All goes on.
    GoOn,
    /// The server leaves; nothing executes until then.
    Leave {
        /// Also when it could not be written.
        force: bool,
    },
    /// It is loaded (`reload.rs`): every core stands still already, in the turn of who loads.
    Load,
    /// All goes on; there is a log now (`switching.rs`).
    Log,
}

impl Checkpoints {
    /// True while a snapshot is being written.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }
}

impl Core {
    /// Core 0: somebody wants something.
    pub fn wished(&mut self, wish: Wish, origin: Option<Origin>) {
        let running = self.checkpoints.running.as_ref().map(|running| match running.purpose {
            Purpose::Delta => Purpose::Base,
            purpose => purpose,
        });
        let saving = &self.shared.saving;
        let reply: &[u8] = match (wish, running) {
            (Wish::Save | Wish::BgSave { .. }, Some(Purpose::Dump)) => {
                b"-ERR Background save already in progress\r\n"
            }
            (Wish::Backup, _) => return self.backup_wished(origin),
            (Wish::AbortBackup, _) => return self.abort_backup(origin),
            (Wish::BgSave { schedule: true }, Some(_)) => {
                saving.dumps.scheduled.store(true, Relaxed);
                b"+Background saving scheduled\r\n"
            }
            (Wish::BgSave { schedule: false }, Some(_)) => {
                b"-ERR Another child process is active (AOF?): can't BGSAVE right now. Use BGSAVE \
                  SCHEDULE in order to schedule a BGSAVE whenever possible.\r\n"
            }
            (Wish::BgSave { .. }, None) => {
                self.start_or_schedule(Purpose::Dump);
                b"+Background saving started\r\n"
            }
            (Wish::BgRewriteAof, Some(Purpose::Dump | Purpose::Backup)) => {
                saving.bases.scheduled.store(true, Relaxed);
                b"+Background append only file rewriting scheduled\r\n"
            }
            (Wish::BgRewriteAof, Some(_)) => {
                b"-ERR Background append only file rewriting already in progress\r\n"
            }
            (Wish::BgRewriteAof, None) => {
                self.start_or_schedule(Purpose::Base);
                b"+Background append only file rewriting started\r\n"
            }
            (Wish::Save | Wish::Leave { .. } | Wish::Load(_) | Wish::Log(_), _) => {
                let is_base = running == Some(Purpose::Base);
                // ORDER: first, or another would begin where one that is of no use is given up.
                self.checkpoints.waiting.push_back((wish, origin));
                if matches!(wish, Wish::Leave { .. }) || (is_base && wish == Wish::Log(false)) {
                    self.give_up_checkpoint(None);
                }
                self.next_checkpoint();
                return;
            }
        };
        if let Some(origin) = origin {
            self.answer_later(origin, reply.to_vec());
        }
    }

    fn kind(&self, purpose: Purpose) -> &Kind {
        match purpose {
            Purpose::Dump => &self.shared.saving.dumps,
            Purpose::Base | Purpose::Delta => &self.shared.saving.bases,
            Purpose::Backup => &self.shared.saving.backups,
        }
    }

    fn start_or_schedule(&mut self, purpose: Purpose) {
        self.kind(purpose).scheduled.store(true, Relaxed);
        self.next_checkpoint();
    }

    /// Core 0: begins what is due, if nothing stands in the way.
    pub fn next_checkpoint(&mut self) {
        let is_busy = self.checkpoints.is_running() || self.checkpoints.is_reserved;
        if self.id != 0 || is_busy || self.stopping || self.shard.is_none() {
            return;
        }
        if let Some((wish, origin)) = self.checkpoints.waiting.pop_front() {
            match wish {
                Wish::Leave { save, force } => self.save_and_leave(save, force, origin),
                Wish::Backup => {
                    self.shared.backup.lock().state = State::Writing;
                    self.start_checkpoint(Purpose::Backup, None, Then::GoOn);
                }
                Wish::Log(on) => {
                    let Some(origin) = origin else { return };
                    self.switch_log(on, origin);
                }
                Wish::Load(op) => {
                    let Some(origin) = origin else { return };
                    self.checkpoints.is_reserved = true;
                    self.global_requested(op, origin);
                }
                _ => self.start_checkpoint(Purpose::Dump, origin, Then::GoOn),
            }
        } else if let Some(purpose) = saving_rules::due(self) {
            let purpose = match purpose {
                Purpose::Base => saving_rules::form(self),
                purpose => purpose,
            };
            self.start_checkpoint(purpose, None, Then::GoOn);
        }
    }

    pub(super) fn start_checkpoint(
        &mut self,
        purpose: Purpose,
        origin: Option<Origin>,
        then: Then,
    ) {
        let shards = self.shards();
        self.checkpoints.last_id += 1;
        let id = self.checkpoints.last_id;
        let now = Some(self.now);
        let live = &self.live;
        let mut made = Vec::new();
        let commands = purpose == Purpose::Base && !live.aof_use_rdb_preamble;
        let (directory, draft, name, sync) = match purpose {
            Purpose::Dump => {
                self.checkpoints.dump_tried = now;
                let salt = self.now_ms as u32 ^ id as u32;
                let name = Some(live.dbfilename.clone());
                let sync = live.rdb_save_incremental_fsync;
                (live.dir.clone(), temporary_name(salt), name, sync)
            }
            Purpose::Backup => {
                let (directory, names, base) = self.backup_place();
                made.clone_from(&self.shared.backup.lock().made);
                (directory, names.draft(), Some(base), live.rdb_save_incremental_fsync)
            }
            Purpose::Base | Purpose::Delta => {
                self.checkpoints.base_tried = now;
                let sync = live.aof_rewrite_incremental_fsync;
                (
                    self.shared.log_dir(),
                    saving_rules::draft_name(self, purpose, commands),
                    None,
                    sync,
                )
            }
        };
        let delta_of = match purpose {
            Purpose::Dump | Purpose::Base | Purpose::Backup => None,
            Purpose::Delta => self.shard.as_ref().map(|shard| shard.staging.run()),
        };
        let options = DraftOptions {
            shards,
            databases: self.shared.options.databases,
            summed: live.rdbchecksum,
            packed: live.rdbcompression == RdbCompression::Zstd,
            sync_as_it_grows: sync,
        };
        match purpose {
            Purpose::Dump => tracing::info!("Background saving started"),
            Purpose::Base => tracing::info!("Background append only file rewriting started"),
            Purpose::Delta => tracing::info!(
                "Background append only file rewriting started, of what has changed since the base"
            ),
            Purpose::Backup => tracing::info!("Backup started"),
        }
        self.checkpoints.running = Some(Running {
            id,
            purpose,
            draft: draft.clone(),
            origin,
            then,
            has_turn: false,
            has_begun: false,
            cuts_missing: shards,
            walks_missing: shards,
            keys: 0,
            changed_keys: 0,
            gone_bytes: 0,
            changes_known: true,
            positions: Vec::new(),
            epoch: 0,
            lsns: vec![0; shards],
            stats: WalkStats::default(),
            changes: 0,
            log_bytes: 0,
            written: None,
            is_with_librarian: false,
        });
        self.kind(purpose).begin(self.since_start_ms());
        let saving = &self.shared.saving;
        for figure in [&saving.keys_total, &saving.bytes_written, &saving.last_cut_us] {
            figure.store(0, Relaxed);
        }
        self.scribe.tell(Note::Begin(Order {
            id,
            directory,
            draft,
            name,
            delta_of,
            made,
            commands,
            options,
        }));
        if then == Then::Load || self.shared.desk.ask(Turn::Cut) {
            self.begin_cut();
        }
    }

    /// Core 0 has the desk's turn: every core cuts.
    pub fn begin_cut(&mut self) {
        let epoch = self.shared.epoch.load(Acquire);
        let waiting = self.checkpoints.running.as_mut().filter(|running| !running.has_begun);
        let Some(running) = waiting else {
            // Nobody wants the snapshot any more that the turn was asked for.
            self.end_turn();
            return;
        };
        let Running { id, purpose, then, .. } = *running;
        let turn = if then == Then::Load { Turn::Global } else { Turn::Cut };
        (running.has_turn, running.has_begun) = (turn == Turn::Cut, true);
        running.epoch = epoch;
        // ORDER: no transaction is on both sides of a cut: recovery takes a part that a base covers
        // for one that is there.
        self.shared.desk.check(turn);
        self.shared.gate.begin(id);
        let goes_on = matches!(then, Then::GoOn | Then::Log);
        let order = CutOrder { id, purpose, stays_closed: !goes_on };
        self.shared.broadcast(|| Control::Cut(order));
    }

    pub(super) fn since_start_ms(&self) -> i64 {
        self.shared.started.elapsed().as_millis() as i64
    }

    /// What the snapshot that runs is for.
    pub(super) fn comes_then(&self) -> Option<Then> {
        self.checkpoints.running.as_ref().map(|running| running.then)
    }

    /// The snapshot of this number, if it is the one that runs.
    fn running(&mut self, id: u64) -> Option<&mut Running> {
        self.checkpoints.running.as_mut().filter(|running| running.id == id)
    }

    /// Core 0: a core has cut.
    pub fn cut_done(&mut self, id: u64, report: CutReport) {
        let shared = std::sync::Arc::clone(&self.shared);
        let Some(running) = self.running(id) else { return };
        running.cuts_missing -= 1;
        running.lsns[usize::from(report.shard)] = report.lsn;
        running.positions.extend(report.position);
        running.keys += report.keys;
        running.changes_known &= report.changes.is_some();
        let changes = report.changes.unwrap_or_default();
        running.changed_keys += changes.keys as u64;
        running.gone_bytes += changes.names_bytes as u64;
        if running.cuts_missing == 0 {
            running.changes = shared.sum(|stats| &stats.changes);
            running.log_bytes = shared.sum(|stats| &stats.log_bytes);
            if matches!(running.then, Then::GoOn | Then::Log) {
                // Otherwise nothing executes until what comes then is done.
                running.has_turn = false;
                self.end_turn();
            }
            if self.is_better_a_base(id) {
                self.write_base_instead();
                return;
            }
            self.complete_when_walked(id);
        }
    }

    /// A delta runs although a shard does not know what has changed, or more has than it seemed.
    fn is_better_a_base(&mut self, id: u64) -> bool {
        let full_bytes = self.shared.saving.full_bytes.load(Relaxed);
        let decides = self.live.checkpoint_delta == CheckpointDelta::Auto;
        // A delta has no function libraries: what has changed of them must be in a base.
        let are_others = self.walking.libraries != self.checkpoints.base_libraries;
        self.running(id).is_some_and(|running| {
            let Running { changes_known, changed_keys, keys, gone_bytes, .. } = *running;
            let is_worth_it =
                saving_rules::is_worth_it(changed_keys, keys.max(1), gone_bytes, full_bytes);
            running.purpose == Purpose::Delta
                && (are_others || !changes_known || decides && !is_worth_it)
        })
    }

    fn write_base_instead(&mut self) {
        tracing::info!(
            "Too much has changed since the base, or not all is known: a base is better"
        );
        self.checkpoints.needs_base = true;
        self.kind(Purpose::Base).scheduled.store(true, Relaxed);
        self.give_up_checkpoint(None);
    }

    /// Core 0: a core has walked.
    pub fn walked(&mut self, id: u64, result: Result<WalkStats, Option<String>>) {
        let Some(running) = self.running(id) else { return };
        match result {
            Ok(stats) => {
                running.walks_missing -= 1;
                running.stats.keys += stats.keys;
                running.stats.copied_bytes += stats.copied_bytes;
                self.complete_when_walked(id);
            }
            Err(Some(reason)) => self.give_up_checkpoint(Some(&reason)),
            Err(None) => {
                tracing::info!("All keys were deleted: the snapshot is given up");
                self.give_up_checkpoint(None);
            }
        }
    }

    fn complete_when_walked(&mut self, id: u64) {
        let created_s = self.now_ms / 1000;
        let log_run = self.shard.as_ref().map(|shard| shard.staging.run());
        let functions = self.walking.functions.clone();
        let Some(running) = self.running(id) else { return };
        if running.walks_missing > 0 || running.cuts_missing > 0 {
            return;
        }
        let is_base = running.purpose == Purpose::Base;
        let facts = Facts {
            redis_version: REDIS_VERSION.to_owned(),
            created_s,
            used_memory: account::allocated(),
            run: log_run.filter(|_| is_base),
            cut: if is_base { running.lsns.clone() } else { Vec::new() },
            functions,
        };
        self.scribe.tell(Note::Finish(id, facts));
    }

    /// Core 0: the scribe is done.
    pub fn scribed(&mut self, id: u64, result: Result<Written, StorageError>) {
        let Some(running) = self.running(id) else { return };
        match result {
            Err(error) => self.give_up_checkpoint(Some(&error.to_string())),
            Ok(written) => {
                match running.purpose {
                    Purpose::Backup => {
                        let copied = running.stats.copied_bytes;
                        self.checkpoints.running = None;
                        self.backup_written(&written, copied);
                        return;
                    }
                    Purpose::Dump => {
                        running.written = Some(written);
                        self.dump_written();
                        return;
                    }
                    Purpose::Base | Purpose::Delta => running.written = Some(written),
                }
                running.is_with_librarian = true;
                let positions = std::mem::take(&mut running.positions);
                let draft = running.draft.clone();
                let epoch = running.epoch;
                self.librarian.send(Request::Checkpoint { draft, positions, epoch });
            }
        }
    }

    fn dump_written(&mut self) {
        let Some(running) = self.checkpoints.running.take() else { return };
        let saving = &self.shared.saving;
        saving.changes_saved.store(running.changes, Relaxed);
        self.shared.last_save_s.store(self.now_ms / 1000, Release);
        let copied = running.stats.copied_bytes;
        saving.dumps.end(self.since_start_ms(), Some(true), copied);
        let written = running.written.unwrap_or(Written { bytes: 0, keys: 0 });
        tracing::info!(
            "DB saved on disk: {} keys, {} bytes, {copied} bytes copied out",
            written.keys,
            written.bytes
        );
        match running.then {
            Then::GoOn | Then::Log => self.end_checkpoint(running.origin, b"+OK\r\n"),
            Then::Leave { force } => {
                self.leave_now(force);
                self.end_turn();
            }
            Then::Load => self.dump_for_load(true),
        }
    }

    /// Core 0: the librarian has put the base in force, or could not.
    pub fn checkpointed(&mut self, result: Result<(), StorageError>) {
        if self.globals.reloading.is_some() {
            self.base_loaded(result);
            return;
        }
        if let Err(error) = result {
            self.checkpoints.running.iter_mut().for_each(|r| r.is_with_librarian = false);
            self.give_up_checkpoint(Some(&error.to_string()));
            return;
        }
        let Some(running) = self.checkpoints.running.take() else { return };
        let written = running.written.unwrap_or(Written { bytes: 0, keys: 0 });
        let saving = &self.shared.saving;
        let is_delta = running.purpose == Purpose::Delta;
        if is_delta {
            saving.set_files(saving.full_bytes.load(Relaxed), written.bytes);
            saving.deltas.fetch_add(1, Relaxed);
        } else {
            saving.set_files(written.bytes, 0);
            self.checkpoints.needs_base = false;
            self.checkpoints.base_libraries = self.walking.libraries;
            // ORDER: before anything else is begun: who cuts next counts changes since this base.
            self.shared.broadcast(|| Control::BaseInForce);
        }
        saving.last_was_delta.store(is_delta, Relaxed);
        let files_bytes = saving.full_bytes.load(Relaxed) + saving.delta_bytes.load(Relaxed);
        saving.set_base(files_bytes, running.log_bytes);
        saving.bases.end(self.since_start_ms(), Some(true), running.stats.copied_bytes);
        tracing::info!(
            "Background AOF rewrite finished successfully: {} {}keys, {} bytes",
            written.keys,
            if is_delta { "changed " } else { "" },
            written.bytes
        );
        if running.then == Then::Log {
            self.log_is_on();
        }
        self.end_checkpoint(running.origin, b"+OK\r\n");
    }

    /// Ends the snapshot that runs without a result; with a reason it has failed, otherwise nobody
    /// wants it any more. One that the librarian puts in force takes effect all the same.
    pub fn give_up_checkpoint(&mut self, reason: Option<&str>) {
        // ORDER: not before the librarian has answered: its answer would be taken for that of the
        // next one, which is written under the same name. A flush asks the librarian behind it.
        let is_decided =
            |running: &Running| running.is_with_librarian && running.then == Then::GoOn;
        if self.checkpoints.running.as_ref().is_some_and(is_decided) {
            return;
        }
        let Some(running) = self.checkpoints.running.take() else { return };
        let id = running.id;
        if let Some(reason) = reason {
            let what = match running.purpose {
                Purpose::Dump => "Background saving error",
                Purpose::Base | Purpose::Delta => "Background AOF rewrite terminated with error",
                Purpose::Backup => "Backup error",
            };
            tracing::warn!("{what}: {reason}. No data is lost, and the old files stay");
        }
        let kind = self.kind(running.purpose);
        kind.end(self.since_start_ms(), reason.map(|_| false), running.stats.copied_bytes);
        if running.purpose == Purpose::Backup {
            self.backup_given_up(reason);
        }
        self.scribe.tell(Note::GiveUp(id));
        self.shared.broadcast(|| Control::GiveUpWalk(id));
        let has_turn = running.has_turn;
        let reply = match running.then {
            Then::Load => {
                self.dump_for_load(false);
                return;
            }
            Then::Leave { force: true } => {
                self.leave_now(true);
                if has_turn {
                    self.end_turn();
                }
                return;
            }
            Then::Leave { force: false } => {
                self.shared.stopping.store(false, Release);
                tracing::warn!("Error trying to save the DB, can't exit.");
                b"-ERR Errors trying to SHUTDOWN. Check logs.\r\n".as_slice()
            }
            Then::Log => {
                if has_turn {
                    self.end_turn();
                }
                self.abandon_log();
                return;
            }
            Then::GoOn => b"-ERR\r\n",
        };
        if has_turn {
            self.end_turn();
        }
        self.end_checkpoint(running.origin, reply);
    }

    fn end_checkpoint(&mut self, origin: Option<Origin>, reply: &[u8]) {
        if let Some(origin) = origin {
            self.answer_later(origin, reply.to_vec());
        }
        self.next_checkpoint();
    }
}
