//! Commands over all keys of a database, as far as this shard owns them.

use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec, Reply},
    glob,
    keyspace::{canonical_int, scan_start},
    limits::GROUPS,
};

/// Draws before RANDOMKEY settles for a key that has expired but cannot be removed.
const DRAWS_MAX: usize = 100;
/// Entries a SCAN looks at unless COUNT says otherwise.
const SCAN_ENTRIES: usize = 10;

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
        fanout: Fanout::AnyShard,
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

/// Keys of a reply whose number is only known at the end.
#[derive(Default)]
struct Found {
    count: usize,
    bulks: Vec<u8>,
}

impl Found {
    fn push(&mut self, key: &[u8]) {
        self.count += 1;
        // A bulk string looks the same in both protocols.
        Reply::new(&mut self.bulks, false).bulk(key);
    }

    fn reply(&self, reply: &mut Reply<'_>) {
        reply.array(self.count);
        reply.raw(&self.bulks);
    }
}

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

struct ScanOptions<'a> {
    pattern: Option<&'a [u8]>,
    entries: usize,
    type_name: Option<&'a [u8]>,
}

impl<'a> ScanOptions<'a> {
    fn parse(args: Args<'a>) -> Result<Self, CommandError> {
        let mut options = Self { pattern: None, entries: SCAN_ENTRIES, type_name: None };
        for at in (2..args.len()).step_by(2) {
            let option = args.get(at);
            let value = args.try_get(at + 1).ok_or(CommandError::SYNTAX)?;
            let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
            if is("count") {
                let n = canonical_int(value).ok_or(CommandError::NOT_AN_INTEGER)?;
                options.entries = usize::try_from(n)
                    .ok()
                    .filter(|&entries| entries > 0)
                    .ok_or(CommandError::SYNTAX)?;
            } else if is("match") {
                options.pattern = (value != b"*").then_some(value);
            } else if is("type") {
                options.type_name = Some(value);
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(options)
    }
}

/// A cursor as C's `strtoul` reads it: a sign and nothing are fine, overflow is not.
pub fn parse_cursor(text: &[u8]) -> Result<u64, CommandError> {
    const INVALID: CommandError = CommandError::new("ERR invalid cursor");
    let (negative, digits) = match text {
        [] => return Ok(0),
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(INVALID);
    }
    let n = digits
        .iter()
        .try_fold(0u64, |n, digit| n.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
        .ok_or(INVALID)?;
    Ok(if negative { n.wrapping_neg() } else { n })
}

/// The cursor names the slot group, so it is good for one shard and goes on in the next: 0 only
/// behind the last group of all.
fn scan(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let cursor = parse_cursor(args.get(1))?;
    let options = ScanOptions::parse(args)?;
    cx.staging.touch_everything();
    let groups = usize::from(cx.groups.start)..usize::from(cx.groups.end);
    let (mut found, mut expired) = (Found::default(), Vec::new());
    let database = cx.keyspace.db(cx.db);
    let next = database.scan(cursor, groups.clone(), options.entries, &mut |entry| {
        let wanted = options.pattern.is_none_or(|pattern| glob::matches(pattern, entry.key()))
            && options
                .type_name
                .is_none_or(|name| entry.type_name().as_bytes().eq_ignore_ascii_case(name));
        if wanted && cx.is_hidden(entry.deadline()) {
            expired.push(entry.key().to_vec());
        } else if wanted {
            found.push(entry.key());
        }
    });
    let next = if next == 0 && groups.end < GROUPS { scan_start(groups.end) } else { next };
    cx.reply.array(2);
    cx.reply.bulk(itoa::Buffer::new().format(next).as_bytes());
    found.reply(&mut cx.reply);
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
