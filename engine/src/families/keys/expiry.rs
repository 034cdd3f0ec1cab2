//! Deadlines of keys.

use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    effect::Effect,
    families::strings::options::{TimeUnit, invalid_expire_time},
    keyspace::canonical_int,
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "expire",
        arity: -3,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Generic,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Set a key's time to live in seconds",
        fanout: Fanout::Whole,
        examples: &["EXPIRE k 100", "EXPIRE k 1000 GT", "EXPIRE k 0"],
        run: expire,
    },
    CommandSpec {
        name: "pexpire",
        arity: -3,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Generic,
        acl: &[],
        since: "2.6.0",
        complexity: "O(1)",
        summary: "Set a key's time to live in milliseconds",
        fanout: Fanout::Whole,
        examples: &["PEXPIRE k 100000 NX", "PEXPIRE k -5"],
        run: pexpire,
    },
    CommandSpec {
        name: "expireat",
        arity: -3,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Generic,
        acl: &[],
        since: "1.2.0",
        complexity: "O(1)",
        summary: "Set the expiration for a key as a UNIX timestamp",
        fanout: Fanout::Whole,
        examples: &["EXPIREAT k 4102444800", "EXPIREAT k 1"],
        run: expireat,
    },
    CommandSpec {
        name: "pexpireat",
        arity: -3,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Generic,
        acl: &[],
        since: "2.6.0",
        complexity: "O(1)",
        summary: "Set the expiration for a key as a UNIX timestamp specified in milliseconds",
        fanout: Fanout::Whole,
        examples: &["PEXPIREAT k 4102444800000 LT", "PEXPIREAT k 1"],
        run: pexpireat,
    },
    CommandSpec {
        name: "ttl",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Generic,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Get the time to live for a key in seconds",
        fanout: Fanout::Whole,
        examples: &["TTL k"],
        run: ttl,
    },
    CommandSpec {
        name: "pttl",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Generic,
        acl: &[],
        since: "2.6.0",
        complexity: "O(1)",
        summary: "Get the time to live for a key in milliseconds",
        fanout: Fanout::Whole,
        examples: &["PTTL k"],
        run: pttl,
    },
    CommandSpec {
        name: "expiretime",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Generic,
        acl: &[],
        since: "7.0.0",
        complexity: "O(1)",
        summary: "Get the expiration Unix timestamp for a key",
        fanout: Fanout::Whole,
        examples: &["EXPIRETIME k"],
        run: expiretime,
    },
    CommandSpec {
        name: "pexpiretime",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Generic,
        acl: &[],
        since: "7.0.0",
        complexity: "O(1)",
        summary: "Get the expiration Unix timestamp for a key in milliseconds",
        fanout: Fanout::Whole,
        examples: &["PEXPIRETIME k"],
        run: pexpiretime,
    },
    CommandSpec {
        name: "persist",
        arity: 2,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Generic,
        acl: &[],
        since: "2.2.0",
        complexity: "O(1)",
        summary: "Remove the expiration from a key",
        fanout: Fanout::Whole,
        examples: &["PERSIST k"],
        run: persist,
    },
];

/// When a deadline replaces the one there is.
#[derive(Clone, Copy, Default)]
struct Condition {
    only_without: bool,
    only_with: bool,
    only_later: bool,
    only_earlier: bool,
}

impl Condition {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let mut condition = Self::default();
        for option in args.iter_from(3) {
            let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
            if is("nx") {
                condition.only_without = true;
            } else if is("xx") {
                condition.only_with = true;
            } else if is("gt") {
                condition.only_later = true;
            } else if is("lt") {
                condition.only_earlier = true;
            } else {
                return Err(CommandError::quoting("ERR Unsupported option ", option, ""));
            }
        }
        let others = condition.only_with || condition.only_later || condition.only_earlier;
        if condition.only_without && others {
            return Err(CommandError::new(
                "ERR NX and XX, GT or LT options at the same time are not compatible",
            ));
        }
        if condition.only_later && condition.only_earlier {
            return Err(CommandError::new(
                "ERR GT and LT options at the same time are not compatible",
            ));
        }
        Ok(condition)
    }

    /// No deadline is later than any.
    fn holds(self, before: Option<i64>, at_ms: i64) -> bool {
        !(self.only_without && before.is_some()
            || self.only_with && before.is_none()
            || self.only_later && before.is_none_or(|before| at_ms <= before)
            || self.only_earlier && before.is_some_and(|before| at_ms >= before))
    }
}

fn expire(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let from_ms = cx.now_ms;
    set_deadline(cx, args, "expire", TimeUnit::Seconds, from_ms)
}

fn pexpire(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let from_ms = cx.now_ms;
    set_deadline(cx, args, "pexpire", TimeUnit::Milliseconds, from_ms)
}

fn expireat(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    set_deadline(cx, args, "expireat", TimeUnit::Seconds, 0)
}

fn pexpireat(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    set_deadline(cx, args, "pexpireat", TimeUnit::Milliseconds, 0)
}

fn set_deadline(
    cx: &mut Ctx<'_>,
    args: Args<'_>,
    name: &str,
    unit: TimeUnit,
    from_ms: i64,
) -> Result<(), CommandError> {
    let condition = Condition::parse(args)?;
    let n = canonical_int(args.get(2)).ok_or(CommandError::NOT_AN_INTEGER)?;
    // Unlike SET's, these may be in the past.
    let ms = match unit {
        TimeUnit::Seconds => n.checked_mul(1000),
        TimeUnit::Milliseconds => Some(n),
    };
    let at_ms =
        ms.and_then(|ms| ms.checked_add(from_ms)).ok_or_else(|| invalid_expire_time(name))?;
    let key = cx.key(args.get(1));
    let holds = cx.find(key)?.is_some_and(|entry| condition.holds(entry.deadline(), at_ms));
    if !holds {
        cx.reply.int(0);
        return Ok(());
    }
    if cx.is_live() && at_ms <= cx.now_ms {
        cx.remove(key, cx.lazy.expire);
        cx.effect(key.hash, Effect::Del { key: key.bytes });
    } else {
        cx.database().set_deadline(key, Some(at_ms));
        cx.effect(key.hash, Effect::ExpireAt { key: key.bytes, at_ms });
    }
    cx.reply.int(1);
    Ok(())
}

fn ttl(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let now_ms = cx.now_ms;
    reply_deadline(cx, args, |at_ms| to_seconds((at_ms - now_ms).max(0)))
}

fn pttl(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let now_ms = cx.now_ms;
    reply_deadline(cx, args, |at_ms| (at_ms - now_ms).max(0))
}

fn expiretime(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    reply_deadline(cx, args, to_seconds)
}

fn pexpiretime(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    reply_deadline(cx, args, |at_ms| at_ms)
}

/// Rounded to the nearest second. A deadline of the last 500 ms there are is not rounded up.
fn to_seconds(ms: i64) -> i64 {
    ms.saturating_add(500) / 1000
}

fn reply_deadline(
    cx: &mut Ctx<'_>,
    args: Args<'_>,
    shown: impl Fn(i64) -> i64,
) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (entry, reply) = cx.peek(key)?;
    reply.int(match entry.map(|entry| entry.deadline()) {
        None => -2,
        Some(None) => -1,
        Some(Some(at_ms)) => shown(at_ms),
    });
    Ok(())
}

fn persist(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let had_deadline = cx.find(key)?.is_some_and(|entry| entry.deadline().is_some());
    if had_deadline {
        cx.database().set_deadline(key, None);
        cx.effect(key.hash, Effect::Persist { key: key.bytes });
    }
    cx.reply.int(i64::from(had_deadline));
    Ok(())
}
