//! Entries on their way between shards: what a coordinator needs for RENAME, COPY, MSETNX over
//! keys of several shards. Each step is a batch of its own on its shard.

use super::Shard;
use crate::{
    aof::Lsn,
    command::{CommandError, Ctx, Mode, Reply},
    effect::Effect,
    families::payload,
};

/// A value on its way, as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The value, as DUMP gives it.
    pub payload: Vec<u8>,
    /// Unix time, ms, after which the key no longer exists.
    pub deadline: Option<i64>,
    /// As OBJECT ENCODING says it: a payload does not tell how a string is kept.
    pub encoding: &'static str,
}

impl Shard {
    /// Runs `step` as one batch outside any command; its result and the LSN to wait for.
    fn batch<T>(
        &mut self,
        db: usize,
        now_ms: i64,
        admitted: bool,
        step: impl FnOnce(&mut Ctx<'_>) -> Result<T, CommandError>,
    ) -> Result<(T, Lsn), CommandError> {
        self.staging.begin();
        let mut nothing = Vec::new();
        let reply = Reply::new(&mut nothing, false);
        let result = step(&mut self.context(db, now_ms, Mode::Live, admitted, reply));
        let own = self.staging.end();
        Ok((result?, own.max(self.staging.gate())))
    }

    /// Looks at keys outside any command; what was seen, and the LSN that whoever acts on it must
    /// wait for.
    ///
    /// # Errors
    /// Those of `look`.
    pub fn look<T>(
        &mut self,
        db: usize,
        now_ms: i64,
        look: impl FnOnce(&mut Ctx<'_>) -> Result<T, CommandError>,
    ) -> Result<(T, Lsn), CommandError> {
        self.batch(db, now_ms, false, look)
    }

    /// Whether there is such a key; and the LSN that whoever acts on it must wait for.
    ///
    /// # Errors
    /// `-MISCONF` when the log has failed and the key's value may not survive.
    pub fn holds(
        &mut self,
        db: usize,
        key: &[u8],
        now_ms: i64,
    ) -> Result<(bool, Lsn), CommandError> {
        self.look(db, now_ms, |ctx| Ok(ctx.find(ctx.key(key))?.is_some()))
    }

    /// A key's value and deadline, None when there is no such key (or it has expired); and the LSN
    /// that whoever acts on it must wait for.
    ///
    /// # Errors
    /// As [`Shard::holds`].
    pub fn export(
        &mut self,
        db: usize,
        key: &[u8],
        now_ms: i64,
    ) -> Result<(Option<Exported>, Lsn), CommandError> {
        self.look(db, now_ms, |ctx| {
            let Some(entry) = ctx.find(ctx.key(key))? else { return Ok(None) };
            let entry = entry.as_entry();
            let payload = payload::of(entry.content())?;
            let (deadline, encoding) = (entry.deadline(), entry.encoding());
            Ok(Some(Exported { payload, deadline, encoding }))
        })
    }

    /// Puts a value in under `key`, replacing what was there; the LSN of its batch. A collection is
    /// kept as it was where it came from.
    ///
    /// # Errors
    /// `-MISCONF` when the log has failed or has no room; a payload that is none. Nothing has
    /// changed then.
    pub fn import(
        &mut self,
        db: usize,
        key: &[u8],
        payload: &[u8],
        deadline: Option<i64>,
        encoding: &[u8],
    ) -> Result<Lsn, CommandError> {
        self.spend_room(key.len() + payload.len());
        let ((), lsn) = self.batch(db, 0, true, |ctx| {
            let limits = ctx.limits.kept(encoding);
            let value = payload::read(payload, &limits, ctx.keyspace.hasher())?;
            payload::put(ctx, ctx.key(key), value, deadline)
        })?;
        Ok(lsn)
    }

    /// Has a string that was imported kept as it was where it came from. Nothing is logged: what is
    /// loaded again has the encoding of a new value, as in Redis.
    pub fn keep_as(&mut self, db: usize, key: &[u8], encoding: &[u8]) {
        let key = self.keyspace.key(key);
        let database = self.keyspace.db_mut(db);
        let is_text = encoding == b"raw" || encoding == b"embstr";
        if is_text && let Some(entry) = database.take(key) {
            database.put(key, entry.as_text(encoding == b"raw"));
        }
    }

    /// Deletes a key; whether there was one, and the LSN of its batch.
    ///
    /// # Errors
    /// As [`Shard::import`].
    pub fn discard(&mut self, db: usize, key: &[u8]) -> Result<(bool, Lsn), CommandError> {
        self.batch(db, 0, true, |ctx| {
            ctx.admit(key.len())?;
            let key = ctx.key(key);
            let removed = ctx.database().remove(key);
            if removed {
                ctx.effect(key.hash, Effect::Del { key: key.bytes });
            }
            Ok(removed)
        })
    }
}
