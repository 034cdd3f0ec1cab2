//! DEBUG RELOAD and DEBUG LOADAOF: files become the data of the running server.
//!
//! ```text
//! freeze -> (the RDB file is written) -> read: a whole new data set beside the old one
//!        -> with a log: a base of it, put in force by one manifest rename -> exchange -> thaw
//! ```
//! Every core stands still meanwhile and no snapshot runs, so data, log and files agree before and
//! after: a base makes the log say what the RDB file says, and what the log says needs none. A
//! failure anywhere leaves the old data, whose log and files nobody has touched.

use super::checkpoint::Then;
use crate::{
    config::RdbCompression,
    families::REDIS_VERSION,
    observe::account,
    runtime::{
        control::{Control, GlobalOp, Purpose, Reload, Reread},
        core::Core,
        librarian::{loading_threads, recovery_options},
        shared::Shared,
    },
};
use quire_engine::{
    error::StorageError,
    keyspace::Keyspace,
    manifest::{Names, Position, Request},
    recovery::{Options, draft_base, read_log, read_snapshot},
    snapshot::{ChunkOptions, DraftOptions, Facts, Usage, Written},
};
use std::sync::{Arc, atomic::Ordering};

/// What Redis says.
const NOT_LOADED: &str = "ERR Error trying to load the RDB dump";

/// What core 0 knows of a loading.
pub(super) struct Reloading {
    op: GlobalOp,
    /// Where every log goes on; none without a log.
    positions: Vec<Position>,
    /// The keys of every shard, where they are lent.
    lent: Vec<Option<Keyspace>>,
    /// What was read, until the log says the same.
    read: Option<Reread>,
}

impl Core {
    /// Core 0: every core stands still, and its log is synced.
    pub(super) fn begin_reload(&mut self, op: GlobalOp, positions: Vec<Position>) {
        let lent = (0..self.shards()).map(|_| None).collect();
        self.globals.reloading = Some(Reloading { op, positions, lent, read: None });
        match op {
            GlobalOp::Reload(Reload { save: true, .. }) => {
                self.start_checkpoint(Purpose::Dump, None, Then::Load);
            }
            _ => self.gather_for_load(),
        }
    }

    /// Core 0: the RDB file is written, or could not be.
    pub(super) fn dump_for_load(&mut self, is_written: bool) {
        if is_written { self.gather_for_load() } else { self.fail_global("ERR") }
    }

    /// Keys that come to others need those; with a log they are read from there, so that a failure
    /// leaves the old ones.
    fn gather_for_load(&mut self) {
        let Some(reloading) = self.globals.reloading.as_ref() else { return };
        let adds = matches!(reloading.op, GlobalOp::Reload(Reload { flush: false, .. }));
        if adds && reloading.positions.is_empty() {
            self.shared.broadcast(|| Control::HandOver);
        } else {
            self.read_for_load(Vec::new());
        }
    }

    /// Any core: its keys go to core 0.
    pub fn hand_over(&mut self) {
        let Some(shard) = self.shard.as_mut() else { return };
        let (databases, hasher) = (shard.keyspace.databases(), shard.keyspace.hasher().clone());
        let keyspace = shard.exchange(Keyspace::new(databases, hasher), self.now_ms);
        let message = Control::HandedOver(self.id, Box::new(keyspace));
        self.shared.cores[0].mailbox.post(message);
    }

    /// Core 0: the keys of a shard.
    pub fn handed_over(&mut self, shard: u16, keyspace: Keyspace) {
        let Some(reloading) = self.globals.reloading.as_mut() else { return };
        reloading.lent[usize::from(shard)] = Some(keyspace);
        if reloading.lent.iter().all(Option::is_some) {
            let lent = reloading.lent.iter_mut().filter_map(Option::take).collect();
            self.read_for_load(lent);
        }
    }

    /// Core 0: has the keeper read. Nobody writes to the log's directory meanwhile.
    fn read_for_load(&mut self, lent: Vec<Keyspace>) {
        let Some(reloading) = self.globals.reloading.as_ref() else { return };
        let hasher = self.shard.as_ref().map(|shard| shard.keyspace.hasher().clone());
        let options = recovery_options(&self.shared);
        let (Some(hasher), Ok(options)) = (hasher, options) else {
            self.fail_global(NOT_LOADED);
            return;
        };
        let reading = Reading {
            op: reloading.op,
            lent,
            base: self.facts_of_base(&reloading.positions),
            options: Options { hasher, limits: self.shared.config.load().limits, ..options },
            shared: Arc::clone(&self.shared),
        };
        self.librarian.run(Box::new(move || {
            let shared = Arc::clone(&reading.shared);
            shared.cores[0].mailbox.post(Control::Reread(reading.read()));
        }));
    }

    /// What the base says that the log needs to say the same; none: there is no log.
    fn facts_of_base(&self, positions: &[Position]) -> Option<Facts> {
        let mut cut = vec![0; self.shards()];
        for position in positions {
            cut[usize::from(position.shard)] = position.last_lsn;
        }
        let run = self.shard.as_ref().map(|shard| shard.staging.run());
        (!positions.is_empty()).then(|| Facts {
            redis_version: REDIS_VERSION.to_owned(),
            created_s: self.now_ms / 1000,
            used_memory: account::allocated(),
            run,
            cut,
            functions: self.library_texts(),
        })
    }

    /// Core 0: what was read.
    pub fn reread(&mut self, reread: Reread) {
        let Some(reloading) = self.globals.reloading.as_mut() else { return };
        if let Some(error) = &reread.error {
            let what = if reloading.op == GlobalOp::LoadLog { "log" } else { "RDB file" };
            tracing::warn!("The {what} was not loaded: {error}. The keys stay as they were");
            let reply = match reloading.op {
                GlobalOp::LoadLog => "ERR Error trying to load the AOF, check server logs",
                _ => NOT_LOADED,
            };
            self.exchange_all(reread.keyspaces);
            self.fail_global(reply);
            return;
        }
        if reread.base.is_none() {
            self.exchange_all(reread.keyspaces);
            self.end_reload();
            return;
        }
        let draft = Names::new(&self.shared.options.append_file).unwrap_or_default().draft();
        let positions = std::mem::take(&mut reloading.positions);
        reloading.read = Some(reread);
        let epoch = self.shared.epoch.load(Ordering::Acquire);
        self.librarian.send(Request::Checkpoint { draft, positions, epoch });
    }

    /// Core 0: the base of what was read is in force, or could not be.
    pub(super) fn base_loaded(&mut self, result: Result<(), StorageError>) {
        let read = self.globals.reloading.as_mut().and_then(|reloading| reloading.read.take());
        let Some(Reread { keyspaces, base, .. }) = read else { return };
        if let Err(error) = result {
            tracing::warn!("The RDB file was not loaded: {error}. The keys stay as they were");
            self.fail_global(NOT_LOADED);
            return;
        }
        let bytes = base.map_or(0, |base| base.bytes);
        self.shared.saving.set_base(bytes, self.shared.sum(|stats| &stats.log_bytes));
        // ORDER: only now, when a start would find these keys: what is seen from here on is there
        // after a crash.
        self.exchange_all(keyspaces);
        self.end_reload();
    }

    fn exchange_all(&self, keyspaces: Vec<Keyspace>) {
        for (core, keyspace) in self.shared.cores.iter().zip(keyspaces) {
            core.mailbox.post(Control::Exchange(Box::new(keyspace)));
        }
    }

    fn end_reload(&mut self) {
        match self.globals.reloading.as_ref().map(|reloading| reloading.op) {
            Some(GlobalOp::LoadLog) => tracing::warn!("Append Only File loaded by DEBUG LOADAOF"),
            _ => tracing::warn!("DB reloaded by DEBUG RELOAD"),
        }
        self.thaw_all();
    }

    /// Any core: goes on with other keys.
    pub fn exchange(&mut self, keyspace: Keyspace) {
        if let Some(shard) = self.shard.as_mut() {
            drop(shard.exchange(keyspace, self.now_ms));
        }
    }
}

/// What the keeper needs to read.
struct Reading {
    op: GlobalOp,
    /// The keys that those of the file come to.
    lent: Vec<Keyspace>,
    /// What a base of the keys says; none: there is no log.
    base: Option<Facts>,
    options: Options,
    shared: Arc<Shared>,
}

impl Reading {
    fn read(mut self) -> Reread {
        let mut lent = std::mem::take(&mut self.lent);
        match self.keys(&mut lent) {
            Ok((keyspaces, base)) => Reread { keyspaces, base, error: None },
            Err(error) => Reread { keyspaces: lent, base: None, error: Some(error) },
        }
    }

    /// The keys to go on with, and the base that was drafted of them. After an error `lent` is what
    /// it was.
    fn keys(&self, lent: &mut Vec<Keyspace>) -> Result<(Vec<Keyspace>, Option<Written>), String> {
        let (shared, options) = (&self.shared, &self.options);
        let (log, threads) = (shared.log_dir(), loading_threads(shared));
        let of_log = || read_log(&log, threads, options).map_err(|error| error.to_string());
        let GlobalOp::Reload(Reload { flush, merge, .. }) = self.op else {
            let mut keyspaces = of_log()?;
            // What the log's base has and they have not is not known here.
            keyspaces.iter_mut().for_each(Keyspace::lose_changes);
            return Ok((keyspaces, None));
        };
        let config = shared.config.load();
        let mut read = read_snapshot(&config.dir, &config.dbfilename, threads, options)
            .map_err(|error| error.to_string())?;
        if !flush {
            let mut others = if self.base.is_some() { of_log()? } else { std::mem::take(lent) };
            let twice = others.iter().zip(&read).find_map(|(ours, new)| ours.shared_key(new));
            if let Some((db, key)) = twice.filter(|_| !merge) {
                *lent = others;
                let key = key.escape_ascii();
                return Err(format!("RDB has duplicated key '{key}' in DB {db}"));
            }
            for (ours, new) in others.iter_mut().zip(&mut read) {
                ours.absorb(new);
            }
            read = others;
        }
        // With a log all of it is its base.
        read.iter_mut().for_each(Keyspace::is_base);
        let Some(facts) = &self.base else { return Ok((read, None)) };
        let draft = DraftOptions {
            shards: options.shards,
            databases: options.databases,
            summed: config.rdbchecksum,
            packed: config.rdbcompression == RdbCompression::Zstd,
            sync_as_it_grows: config.aof_rewrite_incremental_fsync,
        };
        let chunks = ChunkOptions {
            compress: config.rdbcompression == RdbCompression::Lzf,
            usage: Usage::Unsaid,
        };
        let written = draft_base(&log, &options.names.draft(), draft, &read, &chunks, facts);
        let written = written.map_err(|error| error.to_string())?;
        Ok((read, Some(written)))
    }
}
