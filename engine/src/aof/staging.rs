//! Gathers the batches of a shard's next commit.
//!
//! Owns: the bytes of the commit being gathered, LSNs, the read gate, admission. A batch is what
//! one command did; it gets one LSN, and MULTI/EXEC around it when it has more than one effect,
//! so that stock Redis cannot halve it either. A commit begins with room for its header line and
//! a SELECT. Does not know files, policies or time: the [`super::LogWriter`] takes commits out
//! and reports what became of them.

use super::{
    Lsn, Transaction, TransactionLine, buffer::AlignedBuf, encode, frontier::Mark, gate::ReadGate,
    header::HEADER_BYTES, stamp::stamp_line,
};
use crate::{command::CommandError, effect::Effect, limits::LOG_BLOCK_BYTES};
use std::collections::VecDeque;

/// No database selected yet: none of the 65536 numbers.
const NO_DB: u32 = u32::MAX;

/// What is on its way to the writer, to be written at once: one commit, or several, one behind the
/// other. The headers' room is still empty.
pub struct Gathered {
    /// Room for the header, then the body; of each commit.
    pub buf: AlignedBuf,
    /// LSN of the first batch (of the next one, if there is none).
    pub first_lsn: Lsn,
    /// Number of batches.
    pub batches: u32,
    /// Where a commit begins that is not the first.
    pub(super) starts: Vec<Start>,
}

/// Where a commit begins among those that are written together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Start {
    /// Its header's place.
    pub(super) at: usize,
    /// LSN of its first batch.
    pub(super) first_lsn: Lsn,
}

impl Gathered {
    /// LSN of the last batch.
    pub fn last_lsn(&self) -> Lsn {
        self.first_lsn + Lsn::from(self.batches) - 1
    }
}

/// The next commit of one shard's log.
pub struct Staging {
    enabled: bool,
    shard: u16,
    run: u64,
    buf: AlignedBuf,
    /// Database selected by what is in `buf`.
    db: u32,
    /// LSN of the first batch in `buf`.
    first_lsn: Lsn,
    /// LSN the next batch gets.
    next_lsn: Lsn,
    /// Commits in `buf` behind the first.
    starts: Vec<Start>,
    /// What a cut has parted from what is gathered now: goes to the writer first, alone.
    before_cut: VecDeque<Gathered>,
    /// Transactions over several shards that the writer has not taken over.
    marks: Vec<Mark>,
    /// The last transaction over several shards that this one took part in; 0: none.
    last_transaction: u64,
    /// All of them below this id are stable on all their shards.
    stable_below: u64,
    /// The second to be said by commits that begin now (`aof-timestamp-enabled`), and the last one
    /// that was.
    second: Option<u32>,
    said_second: Option<u32>,
    in_batch: bool,
    /// The batch goes on until `end_transaction`, whatever commands it consists of.
    in_transaction: bool,
    /// A transaction's line stands in front of the batch.
    marked: bool,
    batch_start: usize,
    effects: u32,
    /// True when the batch did something a client asked for: its reply must wait for it.
    awaited: bool,
    gate: ReadGate,
    /// Bytes the next commit can be sure of.
    reserved: u64,
    /// Why no more space can be prepared; while set, only reserved space is given away.
    space_error: Option<String>,
    failed: Option<String>,
    /// Why writes are refused for another reason than the log.
    refusal: Option<&'static str>,
    /// One of the three is set.
    in_trouble: bool,
}

impl Staging {
    /// A log that is switched off: accepts everything, keeps nothing.
    pub fn disabled() -> Self {
        Self { enabled: false, ..Self::new(0, 0) }
    }

    /// The log of shard `shard` in the run with the random id `run`, which is switched off until
    /// [`Staging::switch_on`].
    pub fn off(shard: u16, run: u64) -> Self {
        Self { enabled: false, ..Self::new(shard, run) }
    }

    /// From now on batches are kept. LSNs go on where they stood: a run gives none out twice.
    pub fn switch_on(&mut self) {
        debug_assert!(!self.enabled && self.buf.is_empty(), "nothing was kept before");
        self.first_lsn = self.next_lsn;
        self.enabled = true;
    }

    /// From now on nothing is kept, and what was not taken is forgotten. Nobody waits for it: all of
    /// it is stable, or nobody was promised a log.
    pub fn switch_off(&mut self) {
        self.enabled = false;
        self.buf.clear();
        self.starts.clear();
        self.before_cut.clear();
        self.marks.clear();
        self.db = NO_DB;
        self.first_lsn = self.next_lsn;
        self.gate = ReadGate::default();
        self.reserved = 0;
        (self.space_error, self.failed) = (None, None);
        self.look_for_trouble();
    }

    /// The log of shard `shard` in the run with the random id `run`.
    pub fn new(shard: u16, run: u64) -> Self {
        Self {
            enabled: true,
            shard,
            run,
            buf: AlignedBuf::new(),
            db: NO_DB,
            first_lsn: 1,
            next_lsn: 1,
            starts: Vec::new(),
            before_cut: VecDeque::new(),
            marks: Vec::new(),
            last_transaction: 0,
            stable_below: 0,
            second: None,
            said_second: None,
            in_batch: false,
            in_transaction: false,
            marked: false,
            batch_start: 0,
            effects: 0,
            awaited: false,
            gate: ReadGate::default(),
            reserved: 0,
            space_error: None,
            failed: None,
            refusal: None,
            in_trouble: false,
        }
    }

    /// False when the log is switched off.
    #[inline]
    pub fn enabled(&self) -> bool {
        self.enabled
    }

    /// The shard.
    pub fn shard(&self) -> u16 {
        self.shard
    }

    /// The run's id.
    pub fn run(&self) -> u64 {
        self.run
    }

    /// Begins the batch of one command; inside a transaction that has begun already.
    #[inline]
    pub fn begin(&mut self) {
        if self.in_transaction {
            return;
        }
        debug_assert!(!self.in_batch, "the batch before has not ended");
        self.in_batch = true;
        self.effects = 0;
        self.awaited = false;
        self.gate.begin();
    }

    /// Logs one effect of the current batch; outside a batch it is a batch of its own.
    #[inline]
    pub fn push(&mut self, db: u16, effect: Effect<'_>) {
        if !self.enabled {
            return;
        }
        if !self.in_batch {
            self.begin();
            self.push(db, effect);
            self.end();
            return;
        }
        self.awaited = true;
        self.next_effect(db);
        encode::effect(&mut self.buf, &effect);
    }

    /// Logs the deletion of a key whose deadline has passed. No reply waits for it: recovery
    /// finds the key expired by its absolute deadline anyway.
    pub fn push_expiry(&mut self, db: u16, key: &[u8]) {
        if !self.enabled {
            return;
        }
        let alone = !self.in_batch;
        if alone {
            self.in_batch = true;
            self.effects = 0;
        }
        self.next_effect(db);
        encode::del(&mut self.buf, key);
        if alone {
            self.close_batch();
        }
    }

    #[inline]
    fn open_commit(&mut self) {
        if self.buf.is_empty() {
            self.buf.extend_from_slice(&[b'#'; HEADER_BYTES]);
            self.say_second();
        }
    }

    /// From now on commits say when they were gathered: this second (Unix time), or nothing.
    pub fn set_second(&mut self, second: Option<u32>) {
        self.second = second;
    }

    #[inline]
    fn say_second(&mut self) {
        if self.second != self.said_second {
            self.said_second = self.second;
            if let Some(second) = self.second {
                self.buf.extend_from_slice(&stamp_line(second));
            }
        }
    }

    /// A part of a transaction over several shards begins a commit: recovery may have to cut the
    /// log there, and a log is cut between commits.
    fn open_own_commit(&mut self) {
        if !self.buf.is_empty() {
            self.starts.push(Start { at: self.buf.len(), first_lsn: self.next_lsn });
            self.db = NO_DB;
        }
        self.buf.extend_from_slice(&[b'#'; HEADER_BYTES]);
    }

    #[inline]
    fn next_effect(&mut self, db: u16) {
        self.open_commit();
        match self.effects {
            0 => self.batch_start = self.buf.len(),
            1 => self.buf.insert(self.batch_start, encode::MULTI),
            _ => {}
        }
        self.effects += 1;
        if self.db != u32::from(db) {
            encode::select(&mut self.buf, db);
            self.db = u32::from(db);
        }
    }

    /// Ends the batch. The LSN its reply must wait for; 0 when it did nothing a client asked for.
    /// Inside a transaction nothing ends, and the answer means nothing.
    #[inline]
    pub fn end(&mut self) -> Lsn {
        if self.in_transaction {
            return 0;
        }
        debug_assert!(self.in_batch, "no batch has begun");
        if self.effects == 0 {
            self.in_batch = false;
            self.gate.end(false);
            return 0;
        }
        self.gate.end(self.awaited);
        let lsn = self.close_batch();
        if self.awaited { lsn } else { 0 }
    }

    /// True inside a transaction.
    pub(crate) fn is_in_transaction(&self) -> bool {
        self.in_transaction
    }

    /// Begins the batch of a whole transaction. With `Some` it is one shard's part of a
    /// transaction over several shards and is logged even when it changes nothing.
    pub(crate) fn begin_transaction(&mut self, transaction: Option<Transaction>) {
        self.begin();
        self.in_transaction = true;
        if let Some(transaction) = transaction
            && self.enabled
        {
            let Transaction { id, .. } = transaction;
            assert!(id > self.last_transaction, "{id} comes after {}", self.last_transaction);
            self.last_transaction = id;
            self.open_own_commit();
            let line = TransactionLine { transaction, stable_below: self.stable_below };
            self.buf.extend_from_slice(&line.encode());
            self.say_second();
            self.marks.push(Mark { lsn: self.next_lsn, id });
            // ORDER: the reply waits for this shard's part even if it has no effect here: without
            // the marker recovery would not find the transaction whole.
            self.awaited = true;
            self.marked = true;
        }
    }

    /// Ends the batch of a transaction. The LSN its replies must wait for, because of what it did
    /// or of what it saw, 0 for none; and whether it was logged.
    pub(crate) fn end_transaction(&mut self) -> (Lsn, bool) {
        debug_assert!(self.in_transaction, "no transaction has begun");
        self.in_transaction = false;
        let marker = std::mem::take(&mut self.marked) && self.effects == 0;
        let before = self.next_lsn;
        let own = if marker {
            self.gate.end(false);
            self.close_batch()
        } else {
            self.end()
        };
        (own.max(self.gate.gate()), self.next_lsn > before)
    }

    #[inline]
    fn close_batch(&mut self) -> Lsn {
        if self.effects > 1 {
            self.buf.extend_from_slice(encode::EXEC);
        }
        self.in_batch = false;
        let lsn = self.next_lsn;
        self.next_lsn += 1;
        lsn
    }

    /// A reading command looked this key up, found or not.
    #[inline]
    pub fn touch_read(&mut self, hash: u64) {
        if self.enabled {
            self.gate.read(hash, self.next_lsn - 1);
        }
    }

    /// A command that may change this key looked it up, found or not.
    #[inline]
    pub fn touch_write(&mut self, hash: u64) {
        if self.enabled {
            self.gate.write(hash, self.next_lsn - 1);
        }
    }

    /// The command looked at more than its keys (DBSIZE, SCAN, KEYS, RANDOMKEY).
    pub fn touch_everything(&mut self) {
        if self.enabled {
            self.gate.everything(self.next_lsn - 1);
        }
    }

    /// The LSN the current command's reply must wait for because of what it saw; 0: none. Its own
    /// effects are [`Staging::end`]'s.
    #[inline]
    pub fn gate(&self) -> Lsn {
        self.gate.gate()
    }

    /// LSN of the last batch; 0 when there was none.
    #[inline]
    pub fn last_lsn(&self) -> Lsn {
        self.next_lsn - 1
    }

    /// Bytes waiting to be taken by the writer; 0 when there are none.
    #[inline]
    pub fn staged_bytes(&self) -> usize {
        let before: usize = self.before_cut.iter().map(|gathered| gathered.buf.len()).sum();
        before + self.buf.len()
    }

    /// Bytes of what the writer gets next; 0 when there is nothing.
    #[inline]
    pub(super) fn next_bytes(&self) -> usize {
        self.before_cut.front().map_or(self.buf.len(), |gathered| gathered.buf.len())
    }

    /// The commit being gathered, as it stands: whole batches behind room for the header line.
    pub fn staged(&self) -> &[u8] {
        self.buf.as_slice().get(HEADER_BYTES..).unwrap_or_default()
    }

    /// True when more waits than the prepared space takes: a loop does well to stop reading from
    /// its clients until the writer has caught up.
    pub fn is_backlogged(&self) -> bool {
        self.enabled && self.staged_bytes() as u64 > self.reserved.max(BACKLOG_BYTES_MIN)
    }

    /// Whether a write that logs at most `bytes` ([`super::logged_bytes_max`]) may be executed.
    ///
    /// # Errors
    /// Redis' MISCONF text when the log has failed, or when no more space can be had and what is
    /// reserved does not suffice.
    #[inline]
    pub fn admit(&self, bytes: usize) -> Result<(), CommandError> {
        if self.in_trouble { self.admit_in_trouble(bytes) } else { Ok(()) }
    }

    #[cold]
    fn admit_in_trouble(&self, bytes: usize) -> Result<(), CommandError> {
        if let Some(reason) = &self.failed {
            return Err(misconf(reason));
        }
        if let Some(text) = self.refusal {
            return Err(CommandError::new(text));
        }
        let needed = (self.staged_bytes() + bytes + HEADER_BYTES).next_multiple_of(LOG_BLOCK_BYTES)
            + LOG_BLOCK_BYTES;
        match &self.space_error {
            Some(reason) if needed as u64 > self.reserved => Err(misconf(reason)),
            _ => Ok(()),
        }
    }

    /// Whether a key's value may be shown.
    ///
    /// # Errors
    /// Redis' MISCONF text when the log has failed and the key's value may not be in it.
    #[inline]
    pub fn check_read(&self, hash: u64) -> Result<(), CommandError> {
        match &self.failed {
            Some(reason) if self.gate.unsettled(hash) => Err(misconf(reason)),
            _ => Ok(()),
        }
    }

    /// True once the log has failed.
    pub fn is_failed(&self) -> bool {
        self.failed.is_some()
    }

    // What the writer tells and takes.

    /// Takes what was gathered; `spare` becomes the next commit's buffer.
    pub(super) fn take(&mut self, mut spare: AlignedBuf) -> Gathered {
        debug_assert!(!self.in_batch, "a commit holds whole batches only");
        if let Some(gathered) = self.before_cut.pop_front() {
            return gathered;
        }
        spare.clear();
        let mut buf = std::mem::replace(&mut self.buf, spare);
        if buf.is_empty() {
            buf.extend_from_slice(&[b'#'; HEADER_BYTES]);
        }
        let gathered = Gathered {
            buf,
            first_lsn: self.first_lsn,
            batches: (self.next_lsn - self.first_lsn) as u32,
            starts: std::mem::take(&mut self.starts),
        };
        if gathered.batches > 0 {
            self.gate.take(gathered.last_lsn());
        }
        self.first_lsn = self.next_lsn;
        self.db = NO_DB;
        gathered
    }

    /// What has been gathered so far is committed apart from what follows.
    pub(super) fn cut(&mut self) {
        // What said the second may go with the segments before the cut.
        self.said_second = None;
        if self.buf.is_empty() {
            return;
        }
        let before = std::mem::take(&mut self.before_cut);
        let gathered = self.take(AlignedBuf::new());
        self.before_cut = before;
        self.before_cut.push_back(gathered);
    }

    /// Transactions the writer has not taken over.
    #[inline]
    pub(super) fn marks(&mut self) -> &mut Vec<Mark> {
        &mut self.marks
    }

    /// Transactions below this id are stable on all their shards.
    pub(super) fn set_stable_below(&mut self, id: u64) {
        self.stable_below = id;
    }

    /// Everything up to `settled` will survive recovery at the level replies wait for.
    #[inline]
    pub(crate) fn settle(&mut self, settled: Lsn) {
        self.gate.settle(settled);
    }

    /// Whether readers wait for unsettled keys.
    pub(crate) fn set_gating(&mut self, gating: bool) {
        self.gate.set_gating(gating, self.next_lsn - 1);
    }

    /// Bytes the commit being gathered can be sure of.
    #[inline]
    /// Room in the log's prepared segments that is given to writes, bytes.
    pub fn reserved(&self) -> u64 {
        self.reserved
    }

    pub(crate) fn set_reserved(&mut self, bytes: u64) {
        self.reserved = bytes;
    }

    /// Why no more space can be prepared, or that it can again.
    pub(crate) fn set_space_error(&mut self, reason: Option<String>) {
        self.space_error = reason;
        self.look_for_trouble();
    }

    /// The log has failed: nothing is admitted any more.
    pub fn set_failed(&mut self, reason: String) {
        self.failed = Some(reason);
        self.look_for_trouble();
    }

    /// From now on writes are refused with this text, or are not.
    pub fn set_refusal(&mut self, text: Option<&'static str>) {
        self.refusal = text;
        self.look_for_trouble();
    }

    fn look_for_trouble(&mut self) {
        self.in_trouble =
            self.failed.is_some() || self.space_error.is_some() || self.refusal.is_some();
    }
}

/// Less than this is no backlog, whatever is reserved, bytes.
const BACKLOG_BYTES_MIN: u64 = 1024 * 1024;

fn misconf(reason: &str) -> CommandError {
    CommandError::owned(format!("MISCONF Errors writing to the AOF file: {reason}"))
}

#[cfg(test)]
mod tests;
