//! Intersections, unions and differences of sets.
//!
//! Results that are stored are logged as the commands that make them: an effect names one key.

use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    keyspace::canonical_int,
    types::{Collection, Set, SetRef, packed::bytes_max},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "sinter",
        arity: -2,
        flags: Flags::READONLY,
        keys: KeySpec::ALL,
        group: Group::Set,
        acl: &[],
        since: "1.0.0",
        complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
        summary: "Intersect multiple sets",
        fanout: Fanout::Whole,
        examples: &["SINTER s s2"],
        run: sinter,
    },
    CommandSpec {
        name: "sintercard",
        arity: -3,
        flags: Flags::READONLY.with(Flags::MOVABLEKEYS),
        keys: KeySpec::Counted { count: 1 },
        group: Group::Set,
        acl: &[],
        since: "7.0.0",
        complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
        summary: "Intersect multiple sets and return the cardinality of the result",
        fanout: Fanout::Whole,
        examples: &["SINTERCARD 2 s s2", "SINTERCARD 2 s s2 LIMIT 1"],
        run: sintercard,
    },
    CommandSpec {
        name: "sinterstore",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::ALL,
        group: Group::Set,
        acl: &[],
        since: "1.0.0",
        complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the number of sets.",
        summary: "Intersect multiple sets and store the resulting set in a key",
        fanout: Fanout::Store,
        examples: &["SINTERSTORE nokey s s2"],
        run: sinterstore,
    },
    CommandSpec {
        name: "sunion",
        arity: -2,
        flags: Flags::READONLY,
        keys: KeySpec::ALL,
        group: Group::Set,
        acl: &[],
        since: "1.0.0",
        complexity: "O(N) where N is the total number of elements in all given sets.",
        summary: "Add multiple sets",
        fanout: Fanout::Whole,
        examples: &["SUNION s s2"],
        run: sunion,
    },
    CommandSpec {
        name: "sunionstore",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::ALL,
        group: Group::Set,
        acl: &[],
        since: "1.0.0",
        complexity: "O(N) where N is the total number of elements in all given sets.",
        summary: "Add multiple sets and store the resulting set in a key",
        fanout: Fanout::Store,
        examples: &["SUNIONSTORE nokey s s2"],
        run: sunionstore,
    },
    CommandSpec {
        name: "sdiff",
        arity: -2,
        flags: Flags::READONLY,
        keys: KeySpec::ALL,
        group: Group::Set,
        acl: &[],
        since: "1.0.0",
        complexity: "O(N) where N is the total number of elements in all given sets.",
        summary: "Subtract multiple sets",
        fanout: Fanout::Whole,
        examples: &["SDIFF s s2"],
        run: sdiff,
    },
    CommandSpec {
        name: "sdiffstore",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::ALL,
        group: Group::Set,
        acl: &[],
        since: "1.0.0",
        complexity: "O(N) where N is the total number of elements in all given sets.",
        summary: "Subtract multiple sets and store the resulting set in a key",
        fanout: Fanout::Store,
        examples: &["SDIFFSTORE nokey s s2"],
        run: sdiffstore,
    },
];

/// Looks every set up, so that types are checked and what has expired is gone.
fn look<'k>(cx: &mut Ctx<'_>, keys: impl Iterator<Item = &'k [u8]>) -> Result<(), CommandError> {
    for key in keys {
        cx.view::<SetRef<'_>>(cx.key(key))?;
    }
    Ok(())
}

/// Emits the members that all sets have, until `emit` says false.
fn intersect<'k>(
    cx: &Ctx<'_>,
    keys: impl Iterator<Item = &'k [u8]>,
    emit: &mut dyn FnMut(&[u8]) -> bool,
) {
    let mut sets = Vec::new();
    for key in keys {
        match cx.seen::<SetRef<'_>>(cx.key(key)) {
            Some(set) => sets.push(set),
            None => return,
        }
    }
    // The smallest set's members are asked of the others.
    sets.sort_by_key(|set| set.len());
    let Some((smallest, others)) = sets.split_first() else { return };
    let mut goes_on = true;
    smallest.for_each(&mut |member| {
        let mut digits = itoa::Buffer::new();
        let member = member.bytes(&mut digits);
        if goes_on && others.iter().all(|set| set.contains(member)) {
            goes_on = emit(member);
        }
    });
}

/// The members that some set has.
fn union<'k>(cx: &Ctx<'_>, keys: impl Iterator<Item = &'k [u8]>) -> Set {
    let mut result = Set::empty(Vec::new());
    for set in keys.filter_map(|key| cx.seen::<SetRef<'_>>(cx.key(key))) {
        set.for_each(&mut |member| {
            let mut digits = itoa::Buffer::new();
            result.add(member.bytes(&mut digits), cx.limits, cx.keyspace.hasher());
        });
    }
    result
}

/// The first set's members that no other has. As in Redis each is asked of the others, unless it is
/// less work to remove what the others have: only then the result has had members that it has not.
fn difference<'k>(cx: &Ctx<'_>, mut keys: impl Iterator<Item = &'k [u8]>) -> Set {
    let (hasher, mut result) = (cx.keyspace.hasher(), Set::empty(Vec::new()));
    let Some(first_key) = keys.next() else { return result };
    let Some(first) = cx.seen::<SetRef<'_>>(cx.key(first_key)) else { return result };
    let mut others = Vec::new();
    for key in keys {
        if key == first_key {
            return result;
        }
        others.extend(cx.seen::<SetRef<'_>>(cx.key(key)));
    }
    let removals = others.iter().fold(first.len(), |sum, set| sum + set.len());
    let asks = first.len() * (1 + others.len()) / 2 <= removals;
    // Large sets are the likeliest to have a member.
    others.sort_by_key(|set| std::cmp::Reverse(set.len()));
    first.for_each(&mut |member| {
        let mut digits = itoa::Buffer::new();
        let member = member.bytes(&mut digits);
        if !asks || !others.iter().any(|set| set.contains(member)) {
            result.add(member, cx.limits, hasher);
        }
    });
    if !asks {
        for set in others {
            set.for_each(&mut |member| {
                result.remove(member.bytes(&mut itoa::Buffer::new()));
            });
        }
    }
    result
}

fn intersection<'k>(cx: &Ctx<'_>, keys: impl Iterator<Item = &'k [u8]>) -> Set {
    let mut result = Set::empty(Vec::new());
    intersect(cx, keys, &mut |member| {
        result.add(member, cx.limits, cx.keyspace.hasher());
        true
    });
    result
}

fn reply_set(cx: &mut Ctx<'_>, set: &Set) {
    let set = set.as_ref();
    cx.reply.set(set.len());
    set.for_each(&mut |member| cx.reply.bulk(member.bytes(&mut itoa::Buffer::new())));
}

fn store(cx: &mut Ctx<'_>, args: Args<'_>, result: Set) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (mut bytes, len) = (0, result.as_ref().len());
    result.as_ref().for_each(&mut |member| bytes += member.len());
    cx.admit(bytes_max(len, bytes) + len * 16)?;
    let existed = cx.find(key)?.is_some();
    cx.database().put_collection(key, result);
    if existed || len > 0 {
        cx.log_whole(cx.db, key);
    }
    cx.reply.int(len as i64);
    Ok(())
}

fn sinter(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    look(cx, args.iter_from(1))?;
    let result = intersection(cx, args.iter_from(1));
    reply_set(cx, &result);
    Ok(())
}

fn sinterstore(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    look(cx, args.iter_from(2))?;
    let result = intersection(cx, args.iter_from(2));
    store(cx, args, result)
}

fn sunion(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    look(cx, args.iter_from(1))?;
    let result = union(cx, args.iter_from(1));
    reply_set(cx, &result);
    Ok(())
}

fn sunionstore(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    look(cx, args.iter_from(2))?;
    let result = union(cx, args.iter_from(2));
    store(cx, args, result)
}

fn sdiff(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    look(cx, args.iter_from(1))?;
    let result = difference(cx, args.iter_from(1));
    reply_set(cx, &result);
    Ok(())
}

fn sdiffstore(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    look(cx, args.iter_from(2))?;
    let result = difference(cx, args.iter_from(2));
    store(cx, args, result)
}

fn sintercard(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let keys = canonical_int(args.get(1))
        .and_then(|n| usize::try_from(n).ok())
        .filter(|&n| n > 0)
        .ok_or(CommandError::new("ERR numkeys should be greater than 0"))?;
    if keys > args.len() - 2 {
        return Err(CommandError::new("ERR Number of keys can't be greater than number of args"));
    }
    let mut limit = usize::MAX;
    let mut at = 2 + keys;
    while let Some(option) = args.try_get(at) {
        let value = args.try_get(at + 1);
        let (true, Some(value)) = (option.eq_ignore_ascii_case(b"limit"), value) else {
            return Err(CommandError::SYNTAX);
        };
        let n = canonical_int(value)
            .and_then(|n| usize::try_from(n).ok())
            .ok_or(CommandError::new("ERR LIMIT can't be negative"))?;
        limit = if n == 0 { usize::MAX } else { n };
        at += 2;
    }
    look(cx, args.iter_from(2).take(keys))?;
    let mut count = 0;
    intersect(cx, args.iter_from(2).take(keys), &mut |_| {
        count += 1;
        count < limit
    });
    cx.reply.int(count as i64);
    Ok(())
}
