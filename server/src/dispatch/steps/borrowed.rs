//! Commands whose keys are on several shards and that run on copies of the values: SINTER, ZUNION
//! and the like, and those that store what they make (SUNIONSTORE).
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
    shard::Shard,
};

/// A command that runs on copies.
#[derive(Debug)]
pub struct Borrowed {
    spec: &'static CommandSpec,
    args: OwnedArgs,
    sources: Vec<Vec<u8>>,
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
    payload: Option<Vec<u8>>,
}

impl Borrowed {
    /// `None`: a command that changes its keys in another way.
    pub fn new(spec: &'static CommandSpec, args: Args<'_>, is_write: bool) -> Option<Self> {
        let mut keys = spec.keys.positions(args).map(|at| args.get(at).to_vec());
        let target = match spec.fanout {
            Fanout::Store => keys.next(),
            Fanout::Whole if !is_write => None,
            _ => return None,
        };
        let mut sources: Vec<Vec<u8>> = keys.collect();
        sources.sort_unstable();
        sources.dedup();
        let args = OwnedArgs::from_slices(&args.iter_from(0).collect::<Vec<_>>());
        Some(Self { spec, args, sources, target, made: None })
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

    /// Runs the command on the values.
    fn run(&self, core: &Core, parts: &[Vec<u8>], resp3: bool) -> Result<Made, CommandError> {
        let mut made = Made { reply: Vec::new(), payload: None };
        let Some(own) = core.shard.as_ref() else { return Ok(made) };
        let hasher = own.keyspace.hasher().clone();
        // One database, no log, and nothing left to chance: no such command asks for it.
        let mut shard = Shard::new(0, 1, 1, hasher, Staging::disabled(), 0);
        shard.limits = own.limits;
        for (key, part) in self.sources.iter().zip(parts) {
            // Whoever gave the value has looked at the deadline.
            if let Some(payload) = elements(part).first() {
                shard.import(0, key, bulk(payload), None)?;
            }
        }
        let args = self.args.as_args();
        shard.execute(self.spec, 0, core.now_ms, resp3, args, &mut made.reply);
        if let Some(target) = &self.target {
            let (stored, _) = shard.export(0, target, core.now_ms)?;
            made.payload = stored.map(|stored| stored.payload);
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
            (Some(Made { payload: Some(payload), .. }), Some(target)) => {
                let none = i64::MIN.to_string();
                let parts = [target.as_slice(), payload, none.as_bytes()];
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
