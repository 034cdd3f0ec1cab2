//! Commands that change sets, one at a time.
//!
//! What chance decided is logged as what it did: SPOP as SREM.

use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    effect::Effect,
    keyspace::canonical_int,
    types::{Set, SetRef},
};

/// Members in one logged SREM.
const LOGGED_MEMBERS_MAX: usize = 1024;

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "sadd",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Set,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1) for each element added, so O(N) to add N elements when the command is called with multiple arguments.",
        summary: "Add one or more members to a set",
        fanout: Fanout::Whole,
        examples: &["SADD s a x", "SADD nokey 1 2"],
        run: sadd,
    },
    CommandSpec {
        name: "srem",
        arity: -3,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Set,
        acl: &[],
        since: "1.0.0",
        complexity: "O(N) where N is the number of members to be removed.",
        summary: "Remove one or more members from a set",
        fanout: Fanout::Whole,
        examples: &["SREM s a b"],
        run: srem,
    },
    CommandSpec {
        name: "spop",
        arity: -2,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Set,
        acl: &[],
        since: "1.0.0",
        complexity: "Without the count argument O(1), otherwise O(N) where N is the value of the passed count.",
        summary: "Remove and return one or multiple random members from a set",
        fanout: Fanout::Whole,
        examples: &["SPOP s", "SPOP s 2"],
        run: spop,
    },
    CommandSpec {
        name: "smove",
        arity: 4,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::Range { first: 1, last: 2, step: 1 },
        group: Group::Set,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Move a member from one set to another",
        fanout: Fanout::TwoKeys,
        examples: &["SMOVE s s2 a"],
        run: smove,
    },
];

fn sadd(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (limits, hasher) = (cx.limits, cx.keyspace.hasher().clone());
    let added = cx.edit(key, true, |set: &mut Set| {
        args.iter_from(2).filter(|member| set.add(member, limits, &hasher)).count()
    })?;
    let added = added.unwrap_or(0);
    if added > 0 {
        cx.effect(key.hash, Effect::Verbatim { args });
    }
    cx.reply.int(added as i64);
    Ok(())
}

fn srem(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let removed = cx.edit(key, false, |set: &mut Set| {
        args.iter_from(2).filter(|member| set.remove(member)).count()
    })?;
    let removed = removed.unwrap_or(0);
    if removed > 0 {
        cx.effect(key.hash, Effect::Verbatim { args });
    }
    cx.reply.int(removed as i64);
    Ok(())
}

fn spop(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    if args.len() > 3 {
        return Err(CommandError::SYNTAX);
    }
    let Some(text) = args.try_get(2) else { return spop_one(cx, args) };
    let count = canonical_int(text)
        .and_then(|count| usize::try_from(count).ok())
        .ok_or(CommandError::new("ERR value is out of range, must be positive"))?;
    let key = cx.key(args.get(1));
    let len = cx.view::<SetRef<'_>>(key)?.0.map_or(0, SetRef::len);
    let count = count.min(len);
    if count == 0 {
        cx.reply.set(0);
        return Ok(());
    }
    if count == len {
        let (set, reply) = cx.view::<SetRef<'_>>(key)?;
        reply.set(len);
        if let Some(set) = set {
            set.for_each(&mut |member| reply.bulk(member.bytes(&mut itoa::Buffer::new())));
        }
        cx.database().remove(key);
        cx.effect(key.hash, Effect::Del { key: key.bytes });
        return Ok(());
    }
    // What goes to the log is not among the arguments.
    let bytes = cx.keyspace.db(cx.db).get(key).map_or(0, |entry| entry.content().bulk_bytes());
    cx.admit(bytes.min(count.saturating_mul(bytes.div_ceil(len) + 32)))?;
    let mut random = cx.random.fork();
    let popped = cx.edit(key, false, |set: &mut Set| {
        let mut popped = Vec::with_capacity(count);
        while popped.len() < count {
            let Some(member) = set.as_ref().random(&mut || random.next()) else { break };
            let member = member.to_vec();
            set.remove(&member);
            popped.push(member);
        }
        popped
    })?;
    let popped = popped.unwrap_or_default();
    cx.reply.set(popped.len());
    for members in popped.chunks(LOGGED_MEMBERS_MAX) {
        let mut parts: Vec<&[u8]> = vec![b"SREM", key.bytes];
        parts.extend(members.iter().map(Vec::as_slice));
        cx.effect(key.hash, Effect::Parts { parts: &parts });
    }
    popped.iter().for_each(|member| cx.reply.bulk(member));
    Ok(())
}

fn spop_one(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let mut random = cx.random.fork();
    let member = cx.view::<SetRef<'_>>(key)?.0;
    let member = member.and_then(|set| set.random(&mut || random.next())).map(|m| m.to_vec());
    let Some(member) = member else {
        cx.reply.null();
        return Ok(());
    };
    cx.admit(member.len())?;
    cx.edit(key, false, |set: &mut Set| set.remove(&member))?;
    let parts: [&[u8]; 3] = [b"SREM", key.bytes, &member];
    cx.effect(key.hash, Effect::Parts { parts: &parts });
    cx.reply.bulk(&member);
    Ok(())
}

fn smove(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (from, to, member) = (cx.key(args.get(1)), cx.key(args.get(2)), args.get(3));
    let source = cx.view::<SetRef<'_>>(from)?.0.map(|set| set.contains(member));
    let Some(held) = source else {
        cx.reply.int(0);
        return Ok(());
    };
    // The target's type matters even when nothing moves.
    cx.view::<SetRef<'_>>(to)?;
    if from.bytes == to.bytes || !held {
        cx.reply.int(i64::from(held));
        return Ok(());
    }
    cx.edit(from, false, |set: &mut Set| set.remove(member))?;
    let parts: [&[u8]; 3] = [b"SREM", from.bytes, member];
    cx.effect(from.hash, Effect::Parts { parts: &parts });
    let (limits, hasher) = (cx.limits, cx.keyspace.hasher().clone());
    let added = cx.edit(to, true, |set: &mut Set| set.add(member, limits, &hasher))?;
    if added == Some(true) {
        let parts: [&[u8]; 3] = [b"SADD", to.bytes, member];
        cx.effect(to.hash, Effect::Parts { parts: &parts });
    }
    cx.reply.int(1);
    Ok(())
}
