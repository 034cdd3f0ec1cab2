//! Replay: commands from the log, executed as they stand.
//!
//! Nothing expires, nothing is logged, deadlines in the past stay. MULTI and EXEC are for
//! whoever reads the file, since a torn transaction must not be started; here they do nothing.

use super::Shard;
use crate::{
    command::{Args, Ctx, Mode, Reply},
    families::table,
    keyspace::canonical_int,
};
use std::fmt;

/// Why a logged command cannot be replayed; for the operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayError(String);

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ReplayError {}

impl Shard {
    /// Executes one command of a log. `db` is the database selected in that file so far;
    /// SELECT changes it. `now_ms` only matters to relative deadlines, which neither we nor
    /// Redis 7 write.
    ///
    /// # Errors
    /// A command that does not exist, has the wrong number of arguments, or fails: the log is
    /// not one of a server like this.
    pub fn replay(
        &mut self,
        args: Args<'_>,
        db: &mut usize,
        now_ms: i64,
    ) -> Result<(), ReplayError> {
        if args.is_empty() {
            return Err(ReplayError("an empty command".to_owned()));
        }
        if let Some(done) = self.replay_control(args, db) {
            return done;
        }
        let Some(spec) = table::lookup(args.get(0)) else {
            return Err(fault(args, "unknown command"));
        };
        if !spec.accepts(args.len()) {
            return Err(fault(args, "wrong number of arguments"));
        }
        self.scratch.clear();
        let mut ctx = Ctx {
            keyspace: &mut self.keyspace,
            db: *db,
            now_ms,
            reply: Reply::new(&mut self.scratch, false),
            staging: &mut self.staging,
            mode: Mode::Replay,
            admitted: false,
            stats: &mut self.stats,
            random: &mut self.random,
            groups: self.groups,
        };
        (spec.run)(&mut ctx, args).map_err(|error| fault(args, error.text()))
    }

    /// Commands that concern no key.
    fn replay_control(
        &mut self,
        args: Args<'_>,
        db: &mut usize,
    ) -> Option<Result<(), ReplayError>> {
        let is = |name: &str| args.get(0).eq_ignore_ascii_case(name.as_bytes());
        let database = |at: usize| {
            let index = args.try_get(at).and_then(canonical_int);
            let index = index.and_then(|i| usize::try_from(i).ok());
            index
                .filter(|&i| i < self.keyspace.databases())
                .ok_or_else(|| fault(args, "DB index is out of range"))
        };
        if is("select") {
            return Some(database(1).map(|index| *db = index));
        }
        if is("multi") || is("exec") {
            return Some(Ok(()));
        }
        if is("flushdb") {
            drop(self.keyspace.clear(*db));
            return Some(Ok(()));
        }
        if is("flushall") {
            (0..self.keyspace.databases()).for_each(|db| drop(self.keyspace.clear(db)));
            return Some(Ok(()));
        }
        if is("swapdb") {
            let both = database(1).and_then(|a| database(2).map(|b| (a, b)));
            return Some(both.map(|(a, b)| self.keyspace.swap(a, b)));
        }
        None
    }
}

fn fault(args: Args<'_>, what: &str) -> ReplayError {
    let name = String::from_utf8_lossy(&args.get(0)[..args.get(0).len().min(32)]).into_owned();
    ReplayError(format!("{what} in '{}'", name.escape_debug()))
}
