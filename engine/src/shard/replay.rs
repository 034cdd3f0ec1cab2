//! Replay: commands from the log, executed as they stand.
//!
//! Nothing expires, nothing is logged, deadlines in the past stay. MULTI and EXEC are for
//! whoever reads the file, since a torn transaction must not be started; here they do nothing.

use super::Shard;
use crate::{
    command::{Args, Mode, Reply},
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
        let Some(spec) = table::resolve(args) else {
            return self.replay_control(args, db);
        };
        if !spec.accepts(args.len()) {
            return Err(fault(args, "wrong number of arguments"));
        }
        self.note_time(now_ms);
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let reply = Reply::new(&mut scratch, false);
        let mut ctx = self.context(*db, now_ms, Mode::Replay, false, reply);
        let result = (spec.run)(&mut ctx, args).map_err(|error| fault(args, &error.to_string()));
        self.scratch = scratch;
        result
    }

    /// Commands that concern no key.
    fn replay_control(&mut self, args: Args<'_>, db: &mut usize) -> Result<(), ReplayError> {
        let is = |name: &str| args.get(0).eq_ignore_ascii_case(name.as_bytes());
        if is("select") {
            *db = self.database(args, 1)?;
        } else if is("flushdb") {
            self.keyspace.empty(*db, false);
        } else if is("flushall") {
            for db in 0..self.keyspace.databases() {
                self.keyspace.empty(db, false);
            }
        } else if is("swapdb") {
            let (a, b) = (self.database(args, 1)?, self.database(args, 2)?);
            self.keyspace.swap(a, b);
        } else if !is("multi") && !is("exec") {
            return Err(fault(args, "unknown command"));
        }
        Ok(())
    }

    /// The database that an argument numbers.
    fn database(&self, args: Args<'_>, at: usize) -> Result<usize, ReplayError> {
        args.try_get(at)
            .and_then(canonical_int)
            .and_then(|index| usize::try_from(index).ok())
            .filter(|&index| index < self.keyspace.databases())
            .ok_or_else(|| fault(args, "DB index is out of range"))
    }
}

fn fault(args: Args<'_>, what: &str) -> ReplayError {
    let name = String::from_utf8_lossy(&args.get(0)[..args.get(0).len().min(32)]).into_owned();
    ReplayError(format!("{what} in '{}'", name.escape_debug()))
}
