//! Commands that wait for keys of this shard, and how they are served.
//!
//! ```text
//! attempt -> the handler finds something: done
//!         -> nothing: a waiter in the queue of each key
//! a command changes keys -> Database::signal -> serve_ready: the handler of the first waiter of a
//!         key runs again, then that of the next, as long as there is something for them
//! ```
//! Invariants, Redis' own: clients are served in the order in which they began to wait for the key;
//! keys in the order in which they became ready, after the command (and its batch) that made them
//! so; what a serve makes ready is served behind that. Each serve is a batch of its own. A client
//! whose keys are on several shards is served by whoever takes its claim; the others drop it when
//! they are told or meet it.
//!
//! Waiters belong to a database's number, not to its contents: they stay through SWAPDB and a
//! flush, after which all their keys are looked at.

use super::{Shard, Waits};
use crate::{
    aof::Lsn,
    claims::{Claims, Waiter},
    command::{Args, CommandError, CommandSpec, OwnedArgs, Reply, Wait, Wanted},
    types::ValueType,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// A command that may wait.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// Its row.
    pub spec: &'static CommandSpec,
    /// Its database.
    pub db: usize,
    /// Its arguments; all keys are on this shard.
    pub args: Args<'a>,
    /// Its client reads RESP3.
    pub resp3: bool,
    /// Who asks.
    pub waiter: Waiter,
    /// Other shards may serve it meanwhile.
    pub is_contested: bool,
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The reply is there and waits for this LSN (0: none).
    Done(Lsn),
    /// There is nothing; the client waits here now.
    Waits {
        /// LSN that whoever tells of this must wait for.
        gate: Lsn,
        /// How long, ms; 0 = for ever.
        timeout_ms: u64,
    },
    /// Another shard has served the client.
    Lost,
}

/// The reply to a client that has waited.
#[derive(Debug, PartialEq, Eq)]
pub struct Served {
    /// The client.
    pub waiter: Waiter,
    /// The reply.
    pub reply: Vec<u8>,
    /// LSN it waits for; 0 = none.
    pub gate: Lsn,
}

/// One command that waits for one key.
#[derive(Debug)]
struct Waiting {
    waiter: Waiter,
    spec: &'static CommandSpec,
    args: OwnedArgs,
    resp3: bool,
    kind: ValueType,
    in_group: bool,
}

/// Everybody who waits for one key, in the order in which they came.
#[derive(Debug, Default)]
struct Queue {
    line: BTreeMap<u64, Waiting>,
    /// How many want to hear when the key goes.
    in_groups: usize,
}

/// Where a client waits: database, key, place in line.
type Place = (usize, Box<[u8]>, u64);

/// Everybody who waits on this shard.
#[derive(Debug)]
pub struct Queues {
    claims: Arc<Claims>,
    /// By database.
    keys: Vec<HashMap<Box<[u8]>, Queue>>,
    places: HashMap<Waiter, Vec<Place>>,
    next: u64,
    served: Vec<Served>,
    /// When the last command of a transaction ran: whoever it has made something for is served
    /// when it ends.
    held_back_ms: Option<i64>,
}

impl Queues {
    /// Nobody waits.
    pub fn new(databases: usize, claims: Arc<Claims>) -> Self {
        let keys = (0..databases).map(|_| HashMap::new()).collect();
        Self {
            claims,
            keys,
            places: HashMap::new(),
            next: 0,
            served: Vec::new(),
            held_back_ms: None,
        }
    }

    /// True when nobody waits.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many clients wait.
    pub fn len(&self) -> usize {
        self.places.len()
    }
}

/// What the next waiter in line may get of its key.
enum Turn {
    Serve,
    KeyGone,
    Pass,
}

impl Shard {
    /// Runs a command that may wait, as [`Shard::execute`] runs others. Arity has been checked.
    pub fn attempt(&mut self, request: Request<'_>, now_ms: i64, out: &mut Vec<u8>) -> Attempt {
        let Request { spec, db, args, resp3, waiter, is_contested } = request;
        let mut wait = if is_contested {
            Wait::contested(Arc::clone(&self.queues.claims), waiter)
        } else {
            Wait::alone()
        };
        let start = out.len();
        self.stats.commands += 1;
        let gate = self.run(spec, db, now_ms, resp3, args, out, Waits::If(&mut wait));
        let attempt = if let Some(wanted) = wait.wanted() {
            out.truncate(start);
            let timeout_ms = wanted.timeout_ms;
            self.enqueue(&request, &wanted);
            Attempt::Waits { gate, timeout_ms }
        } else if wait.claim() {
            Attempt::Done(gate)
        } else {
            out.truncate(start);
            Attempt::Lost
        };
        self.serve_ready(now_ms);
        attempt
    }

    fn enqueue(&mut self, request: &Request<'_>, wanted: &Wanted) {
        let Request { spec, db, args, resp3, waiter, .. } = *request;
        let args = wanted.args.as_ref().map_or(args, OwnedArgs::as_args);
        let keys: Vec<usize> = spec.keys.positions(args).collect();
        let awaited = if wanted.first_key_only { &keys[..1] } else { &keys[..] };
        for &at in awaited {
            let narrow = match wanted.first_key_only {
                true => OwnedArgs::from_slices(&args.iter_from(0).collect::<Vec<_>>()),
                false => spec.keys.narrowed(args, &[at]),
            };
            let (kind, in_group) = (wanted.kind, wanted.in_group);
            let waiting = Waiting { waiter, spec, args: narrow, resp3, kind, in_group };
            let queue = self.queues.keys[db].entry(args.get(at).into()).or_default();
            if queue.line.is_empty() {
                let key = self.keyspace.key(args.get(at));
                self.keyspace.db_mut(db).watch(key);
            }
            queue.in_groups += usize::from(in_group);
            let place = self.queues.next;
            self.queues.next += 1;
            queue.line.insert(place, waiting);
            let places = self.queues.places.entry(waiter).or_default();
            places.push((db, args.get(at).into(), place));
        }
    }

    /// A client waits here no longer.
    pub fn stop_waiting(&mut self, waiter: Waiter) {
        for (db, key, place) in self.queues.places.remove(&waiter).unwrap_or_default() {
            let Some(queue) = self.queues.keys[db].get_mut(&key) else { continue };
            if let Some(gone) = queue.line.remove(&place) {
                queue.in_groups -= usize::from(gone.in_group);
            }
            if queue.line.is_empty() {
                self.queues.keys[db].remove(&key);
                let key = self.keyspace.key(&key);
                self.keyspace.db_mut(db).unwatch(key);
            }
        }
    }

    /// Has every key that somebody waits for in a database looked at: all of its contents have
    /// changed.
    pub fn signal_all(&mut self, db: usize) {
        let hasher = self.keyspace.hasher().clone();
        for key in self.queues.keys[db].keys() {
            self.keyspace.db_mut(db).signal(hasher.key(key));
        }
    }

    /// Serves whoever waits for keys that something has happened to.
    pub fn serve_ready(&mut self, now_ms: i64) {
        // A transaction is one change: nobody takes anything of half of it.
        if self.staging.is_in_transaction() {
            self.queues.held_back_ms = Some(now_ms);
            return;
        }
        loop {
            let mut found = false;
            for db in 0..self.queues.keys.len() {
                if self.queues.keys[db].is_empty() {
                    continue;
                }
                for key in self.keyspace.db_mut(db).take_signalled() {
                    found = true;
                    self.serve_key(db, &key, now_ms);
                }
            }
            if !found {
                return;
            }
        }
    }

    /// True when a client waits, or has got what it waited for and not been told.
    #[inline]
    pub fn has_waited(&self) -> bool {
        !self.queues.is_empty() || !self.queues.served.is_empty()
    }

    /// The transaction is over.
    pub(super) fn serve_held_back(&mut self) {
        if let Some(now_ms) = self.queues.held_back_ms.take() {
            self.serve_ready(now_ms);
        }
    }

    /// The replies to clients that have waited, in the order in which they were served.
    pub fn take_served(&mut self) -> Vec<Served> {
        std::mem::take(&mut self.queues.served)
    }

    fn serve_key(&mut self, db: usize, key: &[u8], now_ms: i64) {
        let mut from = 0;
        loop {
            let kind = self.kind_of(db, key, now_ms);
            let Some(queue) = self.queues.keys[db].get(key) else { return };
            if kind.is_none() && queue.in_groups == 0 {
                return;
            }
            let Some((&place, waiting)) = queue.line.range(from..).next() else { return };
            from = place + 1;
            let turn = match kind {
                Some(kind) if kind == waiting.kind => Turn::Serve,
                _ if waiting.in_group => Turn::KeyGone,
                _ => Turn::Pass,
            };
            let (waiter, resp3) = (waiting.waiter, waiting.resp3);
            match turn {
                Turn::Pass => {}
                Turn::KeyGone => {
                    if self.queues.claims.take(waiter) {
                        let error = CommandError::new("UNBLOCKED the stream key no longer exists");
                        let mut reply = Vec::new();
                        Reply::new(&mut reply, resp3).error(error.text());
                        self.stats.errors.add(error.code(), 1);
                        self.stats.failed.add(waiting.spec.name, 1);
                        let gate = self.staging.last_lsn();
                        self.queues.served.push(Served { waiter, reply, gate });
                    }
                    self.stop_waiting(waiter);
                }
                Turn::Serve => {
                    let (spec, args) = (waiting.spec, waiting.args.clone());
                    self.serve(db, waiter, spec, args.as_args(), resp3, now_ms);
                }
            }
        }
    }

    /// The type of the value of a key that has not expired.
    fn kind_of(&self, db: usize, key: &[u8], now_ms: i64) -> Option<ValueType> {
        let entry = self.keyspace.db(db).get(self.keyspace.key(key))?;
        let is_hidden = entry.deadline().is_some_and(|at_ms| now_ms > at_ms);
        (!is_hidden).then(|| entry.content().kind())
    }

    fn serve(
        &mut self,
        db: usize,
        waiter: Waiter,
        spec: &'static CommandSpec,
        args: Args<'_>,
        resp3: bool,
        now_ms: i64,
    ) {
        let mut wait = Wait::again(Arc::clone(&self.queues.claims), waiter);
        let mut reply = Vec::new();
        // Memory was looked at when the command came, as in Redis.
        let is_part = std::mem::replace(&mut self.is_part, true);
        let gate = self.run(spec, db, now_ms, resp3, args, &mut reply, Waits::If(&mut wait));
        self.is_part = is_part;
        if wait.wanted().is_some() {
            return;
        }
        self.stop_waiting(waiter);
        if wait.claim() {
            self.queues.served.push(Served { waiter, reply, gate });
        }
    }
}

#[cfg(test)]
mod tests;
