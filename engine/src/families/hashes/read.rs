//! Commands that read hashes and leave them alone.

use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec, Reply},
    families::{
        random::{Picks, Wish},
        scan::{Found, ScanOptions, parse_cursor},
    },
    types::{HashRef, packed::Item},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "hget",
        arity: 3,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Hash,
        acl: &[],
        since: "2.0.0",
        complexity: "O(1)",
        summary: "Get the value of a hash field",
        fanout: Fanout::Whole,
        examples: &["HGET h f"],
        run: hget,
    },
    CommandSpec {
        name: "hmget",
        arity: -3,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Hash,
        acl: &[],
        since: "2.0.0",
        complexity: "O(N) where N is the number of fields being requested.",
        summary: "Get the values of all the given hash fields",
        fanout: Fanout::Whole,
        examples: &["HMGET h f nofield"],
        run: hmget,
    },
    CommandSpec {
        name: "hlen",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Hash,
        acl: &[],
        since: "2.0.0",
        complexity: "O(1)",
        summary: "Get the number of fields in a hash",
        fanout: Fanout::Whole,
        examples: &["HLEN h"],
        run: hlen,
    },
    CommandSpec {
        name: "hstrlen",
        arity: 3,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Hash,
        acl: &[],
        since: "3.2.0",
        complexity: "O(1)",
        summary: "Get the length of the value of a hash field",
        fanout: Fanout::Whole,
        examples: &["HSTRLEN h f"],
        run: hstrlen,
    },
    CommandSpec {
        name: "hexists",
        arity: 3,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Hash,
        acl: &[],
        since: "2.0.0",
        complexity: "O(1)",
        summary: "Determine if a hash field exists",
        fanout: Fanout::Whole,
        examples: &["HEXISTS h f"],
        run: hexists,
    },
    CommandSpec {
        name: "hkeys",
        arity: 2,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::Hash,
        acl: &[],
        since: "2.0.0",
        complexity: "O(N) where N is the size of the hash.",
        summary: "Get all the fields in a hash",
        fanout: Fanout::Whole,
        examples: &["HKEYS h"],
        run: hkeys,
    },
    CommandSpec {
        name: "hvals",
        arity: 2,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::Hash,
        acl: &[],
        since: "2.0.0",
        complexity: "O(N) where N is the size of the hash.",
        summary: "Get all the values in a hash",
        fanout: Fanout::Whole,
        examples: &["HVALS h"],
        run: hvals,
    },
    CommandSpec {
        name: "hgetall",
        arity: 2,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::Hash,
        acl: &[],
        since: "2.0.0",
        complexity: "O(N) where N is the size of the hash.",
        summary: "Get all the fields and values in a hash",
        fanout: Fanout::Whole,
        examples: &["HGETALL h"],
        run: hgetall,
    },
    CommandSpec {
        name: "hrandfield",
        arity: -2,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::Hash,
        acl: &[],
        since: "6.2.0",
        complexity: "O(N) where N is the number of fields returned",
        summary: "Get one or multiple random fields from a hash",
        fanout: Fanout::Whole,
        examples: &["HRANDFIELD h", "HRANDFIELD h 2 WITHVALUES", "HRANDFIELD h -5"],
        run: hrandfield,
    },
    CommandSpec {
        name: "hscan",
        arity: -3,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::Hash,
        acl: &[],
        since: "2.8.0",
        complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection..",
        summary: "Incrementally iterate hash fields and associated values",
        fanout: Fanout::Whole,
        examples: &["HSCAN h 0", "HSCAN h 0 MATCH f* COUNT 5"],
        run: hscan,
    },
];

fn reply_item(reply: &mut Reply<'_>, item: Item<'_>) {
    reply.bulk(item.bytes(&mut itoa::Buffer::new()));
}

fn reply_field(reply: &mut Reply<'_>, field: Option<Item<'_>>) {
    match field {
        Some(value) => reply_item(reply, value),
        None => reply.null(),
    }
}

fn hget(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (hash, reply) = cx.view::<HashRef<'_>>(key)?;
    reply_field(reply, hash.and_then(|hash| hash.get(args.get(2))));
    Ok(())
}

fn hmget(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (hash, reply) = cx.view::<HashRef<'_>>(key)?;
    reply.array(args.len() - 2);
    for field in args.iter_from(2) {
        reply_field(reply, hash.and_then(|hash| hash.get(field)));
    }
    Ok(())
}

fn hlen(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (hash, reply) = cx.view::<HashRef<'_>>(key)?;
    reply.int(hash.map_or(0, |hash| hash.len() as i64));
    Ok(())
}

fn hstrlen(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (hash, reply) = cx.view::<HashRef<'_>>(key)?;
    let value = hash.and_then(|hash| hash.get(args.get(2)));
    reply.int(value.map_or(0, |value| value.len() as i64));
    Ok(())
}

fn hexists(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (hash, reply) = cx.view::<HashRef<'_>>(key)?;
    reply.int(i64::from(hash.is_some_and(|hash| hash.get(args.get(2)).is_some())));
    Ok(())
}

fn hkeys(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (hash, reply) = cx.view::<HashRef<'_>>(key)?;
    let Some(hash) = hash else {
        reply.array(0);
        return Ok(());
    };
    reply.array(hash.len());
    hash.for_each(&mut |field, _| reply_item(reply, field));
    Ok(())
}

fn hvals(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (hash, reply) = cx.view::<HashRef<'_>>(key)?;
    let Some(hash) = hash else {
        reply.array(0);
        return Ok(());
    };
    reply.array(hash.len());
    hash.for_each(&mut |_, value| reply_item(reply, value));
    Ok(())
}

fn hgetall(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (hash, reply) = cx.view::<HashRef<'_>>(key)?;
    let Some(hash) = hash else {
        reply.map(0);
        return Ok(());
    };
    reply.map(hash.len());
    hash.for_each(&mut |field, value| {
        reply_item(reply, field);
        reply_item(reply, value);
    });
    Ok(())
}

fn hrandfield(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let wish = Wish::parse(args, b"withvalues")?;
    let mut random = cx.random.fork();
    let (hash, reply) = cx.view::<HashRef<'_>>(key)?;
    let Some(wish) = wish else {
        let field = hash.and_then(|hash| hash.random(&mut || random.next()));
        reply_field(reply, field.map(|(field, _)| field));
        return Ok(());
    };
    let Some(hash) = hash else {
        reply.array(0);
        return Ok(());
    };
    let mut picks = Picks::begin(&wish, hash.len(), reply);
    if wish.whole(hash.len()) {
        hash.for_each(&mut |field, value| picks.reply_pair(field, value));
    } else if wish.repeats {
        for _ in 0..wish.count {
            if let Some((field, value)) = hash.random(&mut || random.next()) {
                picks.reply_pair(field, value);
            }
        }
    } else {
        let mut emit = |pair: &[u8]| {
            let (field, value) = split(pair);
            picks.reply_pair(Item::Bytes(field), Item::Bytes(value));
        };
        let draw = &mut |random: &mut dyn FnMut() -> u64| {
            hash.random(&mut || random()).map_or_else(Vec::new, |(field, value)| join(field, value))
        };
        let walk = &mut |emit: &mut dyn FnMut(usize, &[u8])| {
            let mut index = 0;
            hash.for_each(&mut |field, value| {
                emit(index, &join(field, value));
                index += 1;
            });
        };
        wish.distinct(hash.len(), &mut || random.next(), draw, walk, &mut emit);
    }
    Ok(())
}

/// Field and value in one text, behind the field's length.
fn join(field: Item<'_>, value: Item<'_>) -> Vec<u8> {
    let field = field.to_vec();
    let mut pair = (field.len() as u64).to_le_bytes().to_vec();
    pair.extend_from_slice(&field);
    pair.extend_from_slice(&value.to_vec());
    pair
}

fn split(pair: &[u8]) -> (&[u8], &[u8]) {
    let Some((len, pair)) = pair.split_first_chunk::<8>() else { return (b"", b"") };
    pair.split_at((u64::from_le_bytes(*len) as usize).min(pair.len()))
}

fn hscan(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let cursor = parse_cursor(args.get(2))?;
    let key = cx.key(args.get(1));
    let (hash, reply) = cx.view::<HashRef<'_>>(key)?;
    let mut found = Found::default();
    let Some(hash) = hash else {
        found.reply_step(0, reply);
        return Ok(());
    };
    let options = ScanOptions::parse(args, 3, false)?;
    let next = hash.scan(cursor, options.entries, &mut |field, value| {
        let (mut digits, mut more) = (itoa::Buffer::new(), itoa::Buffer::new());
        let field = field.bytes(&mut digits);
        if options.matches(field) {
            found.push(field);
            found.push(value.bytes(&mut more));
        }
    });
    found.reply_step(next, reply);
    Ok(())
}
