//! Commands over all keys of a database, as far as this shard owns them.

use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    families::scan::{Found, ScanOptions, parse_cursor},
    glob,
    keyspace::scan_start,
    limits::GROUPS,
};

/// Draws before RANDOMKEY settles for a key that has expired but cannot be removed.
const DRAWS_MAX: usize = 100;

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "randomkey",
        arity: 1,
        flags: Flags::READONLY,
        keys: KeySpec::None,
        group: Group::Generic,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Return a random key from the keyspace",
        fanout: Fanout::EveryShardDraw,
        examples: &["RANDOMKEY"],
        run: randomkey,
    },
    CommandSpec {
        name: "keys",
        arity: 2,
        flags: Flags::READONLY,
        keys: KeySpec::None,
        group: Group::Generic,
        acl: &["@dangerous"],
        since: "1.0.0",
        complexity: "O(N) with N being the number of keys in the database, under the assumption that the key names in the database and the given pattern have limited length.",
        summary: "Find all keys matching the given pattern",
        fanout: Fanout::EveryShardJoin,
        examples: &["KEYS k*"],
        run: keys,
    },
    CommandSpec {
        name: "scan",
        arity: -2,
        flags: Flags::READONLY,
        keys: KeySpec::None,
        group: Group::Generic,
        acl: &[],
        since: "2.8.0",
        complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection.",
        summary: "Incrementally iterate the keys space",
        fanout: Fanout::Cursor,
        examples: &["SCAN 0", "SCAN 0 MATCH k* COUNT 100 TYPE string"],
        run: scan,
    },
    CommandSpec {
        name: "dbsize",
        arity: 1,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::None,
        group: Group::Server,
        acl: &["@keyspace"],
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Return the number of keys in the selected database",
        fanout: Fanout::EveryShardSum,
        examples: &["DBSIZE"],
        run: dbsize,
    },
];

fn randomkey(cx: &mut Ctx<'_>, _args: Args<'_>) -> Result<(), CommandError> {
    cx.staging.touch_everything();
    for draw in 1..=DRAWS_MAX {
        let random = &mut *cx.random;
        let Some(entry) = cx.keyspace.db(cx.db).random(&mut || random.next()) else { break };
        if cx.is_hidden(entry.deadline()) && draw < DRAWS_MAX {
            let key = entry.key().to_vec();
            cx.expire(cx.db, cx.key(&key));
            continue;
        }
        cx.reply.bulk(entry.key());
        return Ok(());
    }
    cx.reply.null();
    Ok(())
}

fn keys(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    cx.staging.touch_everything();
    let pattern = args.get(1);
    let all = pattern == b"*";
    let mut found = Found::default();
    let database = cx.keyspace.db(cx.db);
    database.for_each(&mut |entry| {
        if (all || glob::matches(pattern, entry.key())) && !cx.is_hidden(entry.deadline()) {
            found.push(entry.key());
        }
    });
    found.reply(&mut cx.reply);
    Ok(())
}

/// The cursor names the slot group, so it is good for one shard and goes on in the next: 0 only
/// behind the last group of all.
fn scan(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let cursor = parse_cursor(args.get(1))?;
    let options = ScanOptions::parse(args, 2, true)?;
    cx.staging.touch_everything();
    let groups = usize::from(cx.groups.start)..usize::from(cx.groups.end);
    let (mut found, mut expired) = (Found::default(), Vec::new());
    let database = cx.keyspace.db(cx.db);
    let next = database.scan(cursor, groups.clone(), options.entries, &mut |entry| {
        let wanted = options.matches(entry.key())
            && options
                .type_name
                .is_none_or(|name| entry.kind().name().as_bytes().eq_ignore_ascii_case(name));
        if wanted && cx.is_hidden(entry.deadline()) {
            expired.push(entry.key().to_vec());
        } else if wanted {
            found.push(entry.key());
        }
    });
    let next = if next == 0 && groups.end < GROUPS { scan_start(groups.end) } else { next };
    found.reply_step(next, &mut cx.reply);
    for key in expired {
        cx.expire(cx.db, cx.key(&key));
    }
    Ok(())
}

fn dbsize(cx: &mut Ctx<'_>, _args: Args<'_>) -> Result<(), CommandError> {
    cx.staging.touch_everything();
    cx.reply.int(cx.keyspace.db(cx.db).len() as i64);
    Ok(())
}
