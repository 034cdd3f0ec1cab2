//! Keys that change their name or database: RENAME, MOVE, COPY, with both ends on this shard.
//!
//! A value that gets a new place is logged whole: an effect names one key.

use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    effect::Effect,
    keyspace::{Key, OwnedEntry, canonical_int},
};

const SAME: CommandError = CommandError::new("ERR source and destination objects are the same");

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "rename",
        arity: 3,
        flags: Flags::WRITE,
        keys: KeySpec::Range { first: 1, last: 2, step: 1 },
        group: Group::Generic,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Rename a key",
        fanout: Fanout::TwoKeys,
        examples: &["RENAME k k2", "RENAME k k"],
        run: rename,
    },
    CommandSpec {
        name: "renamenx",
        arity: 3,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::Range { first: 1, last: 2, step: 1 },
        group: Group::Generic,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Rename a key, only if the new key does not exist",
        fanout: Fanout::TwoKeys,
        examples: &["RENAMENX k nokey", "RENAMENX k k2"],
        run: renamenx,
    },
    CommandSpec {
        name: "move",
        arity: 3,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Generic,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Move a key to another database",
        fanout: Fanout::Whole,
        examples: &["MOVE k 1"],
        run: move_key,
    },
    CommandSpec {
        name: "copy",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::Range { first: 1, last: 2, step: 1 },
        group: Group::Generic,
        acl: &[],
        since: "6.2.0",
        complexity: "O(N) worst case for collections, where N is the number of nested items. O(1) for string values.",
        summary: "Copy a key",
        fanout: Fanout::TwoKeys,
        examples: &["COPY k nokey", "COPY k k2 REPLACE", "COPY k k DB 1"],
        run: copy,
    },
];

fn rename(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    rename_if(cx, args, true)?;
    cx.reply.ok();
    Ok(())
}

fn renamenx(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let renamed = rename_if(cx, args, false)?;
    cx.reply.int(i64::from(renamed));
    Ok(())
}

/// Whether the key was renamed (or would have got the name it has).
fn rename_if(cx: &mut Ctx<'_>, args: Args<'_>, replace: bool) -> Result<bool, CommandError> {
    let (from, to) = (cx.key(args.get(1)), cx.key(args.get(2)));
    let value_bytes = match cx.find(from)? {
        Some(entry) => entry.as_entry().content().bulk_bytes(),
        None => return Err(CommandError::NO_SUCH_KEY),
    };
    if from.bytes == to.bytes || (!replace && cx.find(to)?.is_some()) {
        return Ok(false);
    }
    cx.admit(value_bytes + to.bytes.len() + from.bytes.len())?;
    if let Some(entry) = cx.database().take(from) {
        store(cx, cx.db, to, entry);
        cx.effect(from.hash, Effect::Del { key: from.bytes });
    }
    Ok(true)
}

/// Puts an entry in and logs it.
fn store(cx: &mut Ctx<'_>, db: usize, key: Key<'_>, entry: OwnedEntry) {
    cx.keyspace.db_mut(db).put(key, entry);
    cx.log_whole(db, key);
}

/// A database's number in an argument, below `databases`.
///
/// # Errors
/// Redis' texts: no integer, no 32-bit integer, no such database.
pub fn database_number(text: &[u8], databases: usize) -> Result<usize, CommandError> {
    let n = canonical_int(text).ok_or(CommandError::NOT_AN_INTEGER)?;
    if i32::try_from(n).is_err() {
        return Err(CommandError::new(
            "ERR value is out of range, value must between -2147483648 and 2147483647",
        ));
    }
    usize::try_from(n)
        .ok()
        .filter(|&index| index < databases)
        .ok_or(CommandError::new("ERR DB index is out of range"))
}

fn move_key(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let to = database_number(args.get(2), cx.keyspace.databases())?;
    if to == cx.db {
        return Err(SAME);
    }
    let key = cx.key(args.get(1));
    let value_bytes = cx.find(key)?.map(|entry| entry.as_entry().content().bulk_bytes());
    let Some(value_bytes) = value_bytes else {
        cx.reply.int(0);
        return Ok(());
    };
    if cx.find_in(to, key)?.is_some() {
        cx.reply.int(0);
        return Ok(());
    }
    cx.admit(value_bytes + 2 * key.bytes.len())?;
    if let Some(entry) = cx.database().take(key) {
        cx.effect(key.hash, Effect::Del { key: key.bytes });
        store(cx, to, key, entry);
    }
    cx.reply.int(1);
    Ok(())
}

fn copy(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (mut to_db, mut replace, mut at) = (cx.db, false, 3);
    while let Some(option) = args.try_get(at) {
        if option.eq_ignore_ascii_case(b"replace") {
            replace = true;
        } else if option.eq_ignore_ascii_case(b"db") && args.len() > at + 1 {
            at += 1;
            to_db = database_number(args.get(at), cx.keyspace.databases())?;
        } else {
            return Err(CommandError::SYNTAX);
        }
        at += 1;
    }
    let (from, to) = (cx.key(args.get(1)), cx.key(args.get(2)));
    if to_db == cx.db && from.bytes == to.bytes {
        return Err(SAME);
    }
    let entry = cx.read(from)?.0.map(|entry| entry.to_owned_entry());
    let Some(entry) = entry else {
        cx.reply.int(0);
        return Ok(());
    };
    if cx.find_in(to_db, to)?.is_some() && !replace {
        cx.reply.int(0);
        return Ok(());
    }
    cx.admit(entry.content().bulk_bytes() + to.bytes.len())?;
    store(cx, to_db, to, entry);
    cx.reply.int(1);
    Ok(())
}
