//! Commands whose keys are on several shards and that run on copies of the values: SINTER, ZUNION
//! and the like, SORT, and those that store what they make (SUNIONSTORE).
//!
//! Every value comes here as a payload, is put into a shard that exists for this one command, and
//! the ordinary handler runs there. What it stores then goes to the shard that owns the key, whole.
//! Values that are only read are of one moment (`reads.rs`); commands that store run in a session.

use super::{Steps, bulk};
use crate::{
    dispatch::{everywhere::Task, gather::elements},
    net::connection::Connection,
    runtime::core::Core,
};
use quire_engine::{
    aof::Staging,
    command::{Args, CommandError, CommandSpec, Fanout, OwnedArgs, Reply},
    families::keys::sort,
    keyspace::canonical_int,
    shard::{Exported, Shard},
};

/// A command that runs on copies.
#[derive(Debug)]
pub struct Borrowed {
    spec: &'static CommandSpec,
    args: OwnedArgs,
    sources: Vec<Vec<u8>>,
    /// Which keys the elements name is yet to be seen (SORT).
    looks_up: bool,
    /// Where the result goes.
    target: Option<Vec<u8>>,
    /// Set when the result is on its way.
    made: Option<Made>,
}

/// What the command has made.
#[derive(Debug)]
struct Made {
    reply: Vec<u8>,
    /// The target's value; none: the target goes.
    stored: Option<Exported>,
}

impl Borrowed {
    /// From a command line.
    pub fn new(spec: &'static CommandSpec, args: Args<'_>) -> Self {
        let mut sources: Vec<Vec<u8>> =
            spec.keys.positions(args).map(|at| args.get(at).to_vec()).collect();
        let target = match spec.fanout {
            Fanout::Store => Some(sources.remove(0)),
            Fanout::Merge => sources.first().cloned(),
            Fanout::StoreOption | Fanout::Lookups if sources.len() > 1 => sources.pop(),
            _ => None,
        };
        sources.sort_unstable();
        sources.dedup();
        let looks_up = spec.fanout == Fanout::Lookups;
        let args = OwnedArgs::from_slices(&args.iter_from(0).collect::<Vec<_>>());
        Self { spec, args, sources, looks_up, target, made: None }
    }

    /// True while it reads values, and stores nothing when it has them.
    pub fn is_read(&self) -> bool {
        self.target.is_none() && self.made.is_none()
    }

    /// Values have come, or the result has been stored.
    pub fn advance(
        mut self,
        core: &Core,
        parts: &[Vec<u8>],
        resp3: bool,
        out: &mut Vec<u8>,
    ) -> Option<Steps> {
        if let Some(made) = self.made {
            out.extend_from_slice(&made.reply);
            return None;
        }
        if std::mem::take(&mut self.looks_up) {
            return match self.look_up(core, parts) {
                Ok(()) => Some(Steps::Borrowed(self)),
                Err(error) => {
                    Reply::new(out, resp3).error(error.text());
                    None
                }
            };
        }
        match self.run(core, parts, resp3) {
            Err(error) => Reply::new(out, resp3).error(error.text()),
            Ok(made) if self.target.is_none() || made.reply.first() == Some(&b'-') => {
                out.extend_from_slice(&made.reply);
            }
            Ok(made) => {
                self.made = Some(made);
                return Some(Steps::Borrowed(self));
            }
        }
        None
    }

    /// A shard with the values. One database, no log, and nothing left to chance: no such command
    /// asks for it.
    fn stage(&self, own: &Shard, parts: &[Vec<u8>]) -> Result<Shard, CommandError> {
        let hasher = own.keyspace.hasher().clone();
        let mut shard = Shard::new(0, 1, 1, hasher, Staging::disabled(), 0);
        shard.limits = own.limits;
        shard.is_scripted = own.is_scripted;
        for (key, part) in self.sources.iter().zip(parts) {
            // Whoever gave the value has looked at the deadline.
            if let [payload, deadline, encoding] = elements(part)[..] {
                let deadline = canonical_int(bulk(deadline)).filter(|&at| at != i64::MIN);
                let deadline = deadline.filter(|_| self.target.as_ref() == Some(key));
                shard.import(0, key, bulk(payload), deadline, bulk(encoding))?;
            }
        }
        Ok(shard)
    }

    /// The collection has come: its elements say what else is needed.
    fn look_up(&mut self, core: &Core, parts: &[Vec<u8>]) -> Result<(), CommandError> {
        let Some(own) = core.shard.as_ref() else { return Ok(()) };
        let shard = self.stage(own, parts)?;
        let database = shard.keyspace.db(0);
        for key in std::mem::take(&mut self.sources) {
            if let Some(entry) = database.get(shard.keyspace.key(&key)) {
                self.sources.extend(sort::lookups(entry.content(), self.args.as_args()));
            }
            self.sources.push(key);
        }
        self.sources.sort_unstable();
        self.sources.dedup();
        Ok(())
    }

    /// Runs the command on the values.
    fn run(&self, core: &Core, parts: &[Vec<u8>], resp3: bool) -> Result<Made, CommandError> {
        let mut made = Made { reply: Vec::new(), stored: None };
        let Some(own) = core.shard.as_ref() else { return Ok(made) };
        let mut shard = self.stage(own, parts)?;
        let args = self.args.as_args();
        shard.execute(self.spec, 0, core.now_ms, resp3, args, &mut made.reply);
        if let Some(target) = &self.target {
            made.stored = shard.export(0, target, core.now_ms)?.0;
        }
        Ok(made)
    }
}

impl Core {
    /// Asks for the values, or stores the result.
    pub(super) fn run_borrowed(&mut self, conn: &mut Connection, seq: u32, borrowed: Borrowed) {
        let db = conn.session.db as u16;
        let mut orders: Vec<(Task, OwnedArgs)> = Vec::new();
        match (&borrowed.made, &borrowed.target) {
            (Some(Made { stored: Some(stored), .. }), Some(target)) => {
                let deadline = stored.deadline.unwrap_or(i64::MIN).to_string();
                let encoding = stored.encoding.as_bytes();
                let parts = [target.as_slice(), &stored.payload, deadline.as_bytes(), encoding];
                orders.push((Task::Import, OwnedArgs::from_slices(&parts)));
            }
            (Some(_), Some(target)) => {
                orders.push((Task::Discard, OwnedArgs::from_slices(&[target])));
            }
            _ => orders.extend(
                borrowed.sources.iter().map(|k| (Task::Export, OwnedArgs::from_slices(&[k]))),
            ),
        }
        let is_read = borrowed.is_read();
        self.regather(conn, seq, Steps::Borrowed(borrowed), orders.len());
        for (number, (task, args)) in orders.iter().enumerate() {
            let shard = self.owner_of(args.as_args().get(0));
            self.task_at(conn, shard, *task, seq, number as u16, db, args.as_args());
        }
        if is_read {
            Self::hold_writes(conn);
        }
    }
}
