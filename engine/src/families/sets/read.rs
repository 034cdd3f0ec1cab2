//! Commands that read one set and leave it alone.

use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    families::{
        random::{Picks, Wish},
        scan::{Found, ScanOptions, parse_cursor},
    },
    types::{SetRef, packed::Item},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "scard",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Set,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Get the number of members in a set",
        fanout: Fanout::Whole,
        examples: &["SCARD s"],
        run: scard,
    },
    CommandSpec {
        name: "sismember",
        arity: 3,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Set,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Determine if a given value is a member of a set",
        fanout: Fanout::Whole,
        examples: &["SISMEMBER s a"],
        run: sismember,
    },
    CommandSpec {
        name: "smismember",
        arity: -3,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Set,
        acl: &[],
        since: "6.2.0",
        complexity: "O(N) where N is the number of elements being checked for membership",
        summary: "Returns the membership associated with the given elements for a set",
        fanout: Fanout::Whole,
        examples: &["SMISMEMBER s a x"],
        run: smismember,
    },
    CommandSpec {
        name: "smembers",
        arity: 2,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::Set,
        acl: &[],
        since: "1.0.0",
        complexity: "O(N) where N is the set cardinality.",
        summary: "Get all the members in a set",
        fanout: Fanout::Whole,
        examples: &["SMEMBERS s"],
        run: smembers,
    },
    CommandSpec {
        name: "srandmember",
        arity: -2,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::Set,
        acl: &[],
        since: "1.0.0",
        complexity: "Without the count argument O(1), otherwise O(N) where N is the absolute value of the passed count.",
        summary: "Get one or multiple random members from a set",
        fanout: Fanout::Whole,
        examples: &["SRANDMEMBER s", "SRANDMEMBER s 2", "SRANDMEMBER s -5"],
        run: srandmember,
    },
    CommandSpec {
        name: "sscan",
        arity: -3,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::Set,
        acl: &[],
        since: "2.8.0",
        complexity: "O(1) for every call. O(N) for a complete iteration, including enough command calls for the cursor to return back to 0. N is the number of elements inside the collection..",
        summary: "Incrementally iterate Set elements",
        fanout: Fanout::Whole,
        examples: &["SSCAN s 0", "SSCAN s 0 MATCH a* COUNT 5"],
        run: sscan,
    },
];

fn scard(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (set, reply) = cx.view::<SetRef<'_>>(key)?;
    reply.int(set.map_or(0, |set| set.len() as i64));
    Ok(())
}

fn sismember(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (set, reply) = cx.view::<SetRef<'_>>(key)?;
    reply.int(i64::from(set.is_some_and(|set| set.contains(args.get(2)))));
    Ok(())
}

fn smismember(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (set, reply) = cx.view::<SetRef<'_>>(key)?;
    reply.array(args.len() - 2);
    for member in args.iter_from(2) {
        reply.int(i64::from(set.is_some_and(|set| set.contains(member))));
    }
    Ok(())
}

fn smembers(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (set, reply) = cx.view::<SetRef<'_>>(key)?;
    reply.set(set.map_or(0, SetRef::len));
    if let Some(set) = set {
        set.for_each(&mut |member| reply.bulk(member.bytes(&mut itoa::Buffer::new())));
    }
    Ok(())
}

fn srandmember(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    if args.len() > 3 {
        return Err(CommandError::SYNTAX);
    }
    let wish = Wish::parse(args, b"")?;
    let key = cx.key(args.get(1));
    let mut random = cx.random.fork();
    let (set, reply) = cx.view::<SetRef<'_>>(key)?;
    let Some(wish) = wish else {
        match set.and_then(|set| set.random(&mut || random.next())) {
            Some(member) => reply.bulk(member.bytes(&mut itoa::Buffer::new())),
            None => reply.null(),
        }
        return Ok(());
    };
    let Some(set) = set else {
        reply.array(0);
        return Ok(());
    };
    let no_value = Item::Bytes(b"");
    let mut picks = Picks::begin(&wish, set.len(), reply);
    if wish.whole(set.len()) {
        set.for_each(&mut |member| picks.reply_pair(member, no_value));
    } else if wish.repeats {
        for _ in 0..wish.count {
            if let Some(member) = set.random(&mut || random.next()) {
                picks.reply_pair(member, no_value);
            }
        }
    } else {
        let draw = &mut |random: &mut dyn FnMut() -> u64| {
            set.random(&mut || random()).map_or_else(Vec::new, |member| member.to_vec())
        };
        let walk = &mut |emit: &mut dyn FnMut(usize, &[u8])| {
            let mut index = 0;
            set.for_each(&mut |member| {
                emit(index, member.bytes(&mut itoa::Buffer::new()));
                index += 1;
            });
        };
        let mut emit = |member: &[u8]| picks.reply_pair(Item::Bytes(member), no_value);
        wish.distinct(set.len(), &mut || random.next(), draw, walk, &mut emit);
    }
    Ok(())
}

fn sscan(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let cursor = parse_cursor(args.get(2))?;
    let key = cx.key(args.get(1));
    let (set, reply) = cx.view::<SetRef<'_>>(key)?;
    let mut found = Found::default();
    let Some(set) = set else {
        found.reply_step(0, reply);
        return Ok(());
    };
    let options = ScanOptions::parse(args, 3, false)?;
    let next = set.scan(cursor, options.entries, &mut |member| {
        let mut digits = itoa::Buffer::new();
        let member = member.bytes(&mut digits);
        if options.matches(member) {
            found.push(member);
        }
    });
    found.reply_step(next, reply);
    Ok(())
}
