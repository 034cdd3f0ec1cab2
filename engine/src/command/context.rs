//! What a handler may touch: the keyspace of its shard, the clock reading, its reply, its
//! effects.
//!
//! Owns: lazy expiry, the read gate's bookkeeping, hit statistics and access times, so no
//! handler can forget them. Invariants: a key whose deadline has passed is absent to every
//! handler; what is removed from the keyspace for that reason is removed from the log too, or
//! else only hidden; a handler that changes a key says so with [`Ctx::effect`].

use super::{CommandError, Reply, Wait};
use crate::{
    aof::Staging,
    effect::{Deadline, Effect},
    keyspace::{Database, Edited, Entry, EntryMut, Key, Keyspace, LazyFree, Value},
    shard::{Random, ShardStats, Watches},
    types::{Collection, Limits, View, rewrite},
};

/// Room in the log that a handler's effects may take beyond its arguments, bytes: frames,
/// SELECT, MULTI and EXEC of one effect.
pub const EFFECT_FRAME_BYTES: usize = 256;

/// Why a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// For a client: keys expire, effects are logged.
    Live,
    /// From the log: nothing expires, nothing is logged.
    Replay,
}

/// The slot groups that a shard owns: `start..end`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Groups {
    /// First group.
    pub start: u16,
    /// Behind the last group.
    pub end: u16,
}

/// An entry, to be read or to be changed.
trait Found {
    fn has_expired(&self, now_ms: i64) -> bool;
}

impl Found for Entry<'_> {
    #[inline]
    fn has_expired(&self, now_ms: i64) -> bool {
        self.is_expired(now_ms)
    }
}

impl Found for EntryMut<'_> {
    #[inline]
    fn has_expired(&self, now_ms: i64) -> bool {
        self.is_expired(now_ms)
    }
}

/// The context of one command on one shard.
pub struct Ctx<'a> {
    /// Every database of this shard.
    pub keyspace: &'a mut Keyspace,
    /// The selected database.
    pub db: usize,
    /// Unix time, ms: one reading for the whole command.
    pub now_ms: i64,
    /// The reply.
    pub reply: Reply<'a>,
    /// Where effects go.
    pub staging: &'a mut Staging,
    /// Live or replay.
    pub mode: Mode,
    /// The log has admitted this command: it may remove keys that have expired.
    pub admitted: bool,
    /// Counters of this shard.
    pub stats: &'a mut ShardStats,
    /// Random bits of this shard; never decides what an effect says.
    pub random: &'a mut Random,
    /// What the shard owns.
    pub groups: Groups,
    /// When small collections become big.
    pub limits: &'a Limits,
    /// Keys that clients watch.
    pub watches: &'a mut Watches,
    /// Which removals leave big values to be freed later.
    pub lazy: LazyFree,
    /// The command leaves access times alone.
    pub keeps_access: bool,
    /// Keys that have expired are hidden, not removed.
    pub keeps_expired: bool,
    /// A script asks: what has no order of its own gets one.
    pub is_scripted: bool,
    /// The command may wait when it finds nothing.
    pub wait: Option<&'a mut Wait>,
}

impl<'a> Ctx<'a> {
    /// The key with its hash and slot.
    #[inline]
    pub fn key<'k>(&self, bytes: &'k [u8]) -> Key<'k> {
        self.keyspace.key(bytes)
    }

    /// The selected database, for changes that need no look at the key before.
    #[inline]
    pub fn database(&mut self) -> &mut Database {
        self.keyspace.db_mut(self.db)
    }

    /// Removes a key from the selected database; with `lazily` a big value is freed later. False
    /// when there was none.
    #[inline]
    pub fn remove(&mut self, key: Key<'_>, lazily: bool) -> bool {
        self.keyspace.with_db(self.db, lazily, |database| database.remove(key))
    }

    /// The entry for a reading command, which counts as an access and as a hit or a miss; with
    /// the reply, so that the value can be written while it is borrowed.
    ///
    /// # Errors
    /// `-MISCONF` when the log has failed and the key's value may not survive.
    #[inline]
    pub fn read(
        &mut self,
        key: Key<'_>,
    ) -> Result<(Option<Entry<'_>>, &mut Reply<'a>), CommandError> {
        if self.keeps_access {
            return self.peek(key);
        }
        self.lookup::<true, _>(self.db, key, Database::get_used)
    }

    /// As [`Ctx::read`], but leaves the access time alone (EXISTS, TTL, TYPE, OBJECT).
    ///
    /// # Errors
    /// As [`Ctx::read`].
    #[inline]
    pub fn peek(
        &mut self,
        key: Key<'_>,
    ) -> Result<(Option<Entry<'_>>, &mut Reply<'a>), CommandError> {
        self.lookup::<true, _>(self.db, key, |database, key| database.get(key))
    }

    /// The entry for a command that may change it; counts as an access, not as a hit or a miss.
    ///
    /// # Errors
    /// As [`Ctx::read`].
    #[inline]
    pub fn find(&mut self, key: Key<'_>) -> Result<Option<EntryMut<'_>>, CommandError> {
        self.find_in(self.db, key)
    }

    /// As [`Ctx::find`], in another database.
    ///
    /// # Errors
    /// As [`Ctx::read`].
    #[inline]
    pub fn find_in(
        &mut self,
        db: usize,
        key: Key<'_>,
    ) -> Result<Option<EntryMut<'_>>, CommandError> {
        if self.keeps_access {
            return Ok(self.lookup::<false, _>(db, key, Database::get_mut)?.0);
        }
        Ok(self.lookup::<false, _>(db, key, Database::get_mut_used)?.0)
    }

    /// As [`Ctx::read`], for commands on strings.
    ///
    /// # Errors
    /// As [`Ctx::read`]; `-WRONGTYPE` when the value is a collection.
    #[inline]
    pub fn read_string(
        &mut self,
        key: Key<'_>,
    ) -> Result<(Option<Entry<'_>>, &mut Reply<'a>), CommandError> {
        match self.read(key)? {
            (Some(entry), _) if !entry.is_string() => Err(CommandError::WRONG_TYPE),
            found => Ok(found),
        }
    }

    /// As [`Ctx::find`], for commands on strings.
    ///
    /// # Errors
    /// As [`Ctx::read_string`].
    #[inline]
    pub fn find_string(&mut self, key: Key<'_>) -> Result<Option<EntryMut<'_>>, CommandError> {
        match self.find(key)? {
            Some(entry) if !entry.is_string() => Err(CommandError::WRONG_TYPE),
            found => Ok(found),
        }
    }

    /// The collection of a reading command, as [`Ctx::read`].
    ///
    /// # Errors
    /// As [`Ctx::read`]; `-WRONGTYPE` when the value is of another type.
    #[inline]
    pub fn view<'c, V: View<'c>>(
        &'c mut self,
        key: Key<'_>,
    ) -> Result<(Option<V>, &'c mut Reply<'a>), CommandError> {
        match self.read(key)? {
            (None, reply) => Ok((None, reply)),
            (Some(entry), reply) => match V::of(entry.content()) {
                Some(view) => Ok((Some(view), reply)),
                None => Err(CommandError::WRONG_TYPE),
            },
        }
    }

    /// A collection that [`Ctx::view`] has found, again: for commands that need several at once.
    pub fn seen<'c, V: View<'c>>(&'c self, key: Key<'_>) -> Option<V> {
        let entry = self.keyspace.db(self.db).get(key)?;
        if self.is_hidden(entry.deadline()) {
            return None;
        }
        V::of(entry.content())
    }

    /// Changes a collection with a function; its result, None when there is no such key and none
    /// was to be created. A collection without elements afterwards takes its key with it.
    /// The caller says what it did with [`Ctx::effect`].
    ///
    /// # Errors
    /// As [`Ctx::view`]; nothing has been done then.
    pub fn edit<T: Collection, R>(
        &mut self,
        key: Key<'_>,
        create: bool,
        edit: impl FnOnce(&mut T) -> R,
    ) -> Result<Option<R>, CommandError> {
        self.edit_replying(key, create, |value, _| edit(value))
    }

    /// As [`Ctx::edit`], for a function that also writes the reply: what it takes out need not
    /// be copied first.
    ///
    /// # Errors
    /// As [`Ctx::edit`].
    pub fn edit_replying<T: Collection, R>(
        &mut self,
        key: Key<'_>,
        create: bool,
        edit: impl FnOnce(&mut T, &mut Reply<'a>) -> R,
    ) -> Result<Option<R>, CommandError> {
        self.staging.check_read(key.hash)?;
        self.staging.touch_read(key.hash);
        let (live, now_ms) = (self.is_live(), self.now_ms);
        let mut edit = Some(edit);
        loop {
            let edited = self.keyspace.db_mut(self.db).edit(
                key,
                create,
                |at_ms| live && now_ms > at_ms,
                |value| edit.take().map(|edit| edit(value, &mut self.reply)),
            );
            match edited {
                Edited::Done(result) => return Ok(result),
                Edited::Missing => return Ok(None),
                Edited::WrongType => return Err(CommandError::WRONG_TYPE),
                // A command that may change keys has been admitted: this removes the key.
                Edited::Hidden if self.admitted => self.expire(self.db, key),
                Edited::Hidden => return Ok(None),
            }
        }
    }

    #[inline]
    fn lookup<'c, const COUNT: bool, E: Found>(
        &'c mut self,
        db: usize,
        key: Key<'_>,
        get: impl FnOnce(&'c mut Database, Key<'_>) -> Option<E>,
    ) -> Result<(Option<E>, &'c mut Reply<'a>), CommandError> {
        self.staging.check_read(key.hash)?;
        self.staging.touch_read(key.hash);
        let keyspace: *mut Keyspace = self.keyspace;
        // SAFETY: the pointer comes from the exclusive borrow that `self` holds. The borrow
        // checker cannot see that the entry is dead in the branch that removes it; the branch
        // that returns it uses no other path to the keyspace.
        let database = unsafe { &mut *keyspace }.db_mut(db);
        match get(database, key) {
            Some(entry) if self.mode == Mode::Live && entry.has_expired(self.now_ms) => {
                self.expire(db, key);
            }
            Some(entry) => {
                if COUNT {
                    self.stats.keyspace_hits += 1;
                }
                return Ok((Some(entry), &mut self.reply));
            }
            None => {}
        }
        if COUNT {
            self.stats.keyspace_misses += 1;
        }
        Ok((None, &mut self.reply))
    }

    /// True unless this is a replay.
    #[inline]
    pub fn is_live(&self) -> bool {
        self.mode == Mode::Live
    }

    /// True when a key with this deadline must not be seen any more.
    #[inline]
    pub fn is_hidden(&self, deadline: Option<i64>) -> bool {
        self.is_live() && deadline.is_some_and(|at_ms| self.now_ms > at_ms)
    }

    /// Removes a key whose deadline has passed, if the log has room to say so. If not, it stays
    /// hidden: a key that came back after a restart must not have been seen as deleted.
    #[cold]
    pub fn expire(&mut self, db: usize, key: Key<'_>) {
        let bytes = key.bytes.len() + EFFECT_FRAME_BYTES;
        if self.keeps_expired {
            return;
        }
        if self.admitted || self.staging.admit(bytes).is_ok() {
            self.keyspace.with_db(db, self.lazy.expire, |database| database.remove(key));
            self.staging.push_expiry(db as u16, key.bytes);
            self.watches.expired(db, key.hash);
            self.stats.expired_keys += 1;
        }
    }

    /// Logs what the command did to the key of that hash in the selected database. A no-op in
    /// replay or without a log.
    #[inline]
    pub fn effect(&mut self, hash: u64, effect: Effect<'_>) {
        self.effect_in(self.db, hash, effect);
    }

    /// As [`Ctx::effect`], for what does not touch a key that is watched: the groups of a stream and
    /// its counters, as in Redis.
    pub fn effect_aside(&mut self, hash: u64, effect: Effect<'_>) {
        if self.mode == Mode::Live {
            self.stats.changes += 1;
            self.watches.changed_aside(self.db, hash);
            self.staging.touch_write(hash);
            self.staging.push(self.db as u16, effect);
        }
    }

    /// As [`Ctx::effect`], in another database.
    #[inline]
    pub fn effect_in(&mut self, db: usize, hash: u64, effect: Effect<'_>) {
        if self.mode == Mode::Live {
            self.stats.changes += 1;
            self.watches.changed(db, hash);
            self.staging.touch_write(hash);
            self.staging.push(db as u16, effect);
        }
    }

    /// Logs what a key holds now, whole: a string as SET, a collection as the commands that make
    /// it, behind a DEL of what was there; nothing as DEL.
    pub fn log_whole(&mut self, db: usize, key: Key<'_>) {
        if self.mode != Mode::Live {
            return;
        }
        self.watches.changed(db, key.hash);
        let staging = &mut *self.staging;
        self.stats.changes += 1;
        staging.touch_write(key.hash);
        let mut log = |effect: Effect<'_>| staging.push(db as u16, effect);
        let Some(entry) = self.keyspace.db(db).get(key) else {
            log(Effect::Del { key: key.bytes });
            return;
        };
        if let Value::Str(text) = entry.content() {
            let mut digits = itoa::Buffer::new();
            let value = text.bytes(&mut digits);
            let deadline = entry.deadline().map_or(Deadline::None, Deadline::At);
            log(Effect::Set { key: key.bytes, value, deadline });
            return;
        }
        log(Effect::Del { key: key.bytes });
        rewrite(entry.content(), key.bytes, &mut |parts| log(Effect::Parts { parts }));
        if let Some(at_ms) = entry.deadline() {
            log(Effect::ExpireAt { key: key.bytes, at_ms });
        }
    }

    /// Asks the log for room for effects that are bigger than the command: a value that is
    /// copied. To be called before anything is changed.
    ///
    /// # Errors
    /// `-MISCONF` when there is none.
    #[inline]
    pub fn admit(&self, bytes: usize) -> Result<(), CommandError> {
        match self.mode {
            Mode::Live => self.staging.admit(bytes + EFFECT_FRAME_BYTES),
            Mode::Replay => Ok(()),
        }
    }
}
