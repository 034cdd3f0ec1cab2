//! Values as RDB payloads: DUMP and RESTORE.
//!
//! What a payload holds and how it becomes a value is the business of `families/payload.rs`.

use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    effect::Effect,
    families::payload,
    keyspace::canonical_int,
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "dump",
        arity: 2,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::Generic,
        acl: &[],
        since: "2.6.0",
        complexity: "O(1) to access the key and additional O(N*M) to serialize it, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1).",
        summary: "Return a serialized version of the value stored at the specified key.",
        fanout: Fanout::Whole,
        examples: &["DUMP k", "DUMP nokey"],
        run: dump,
    },
    CommandSpec {
        name: "restore",
        arity: -4,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::ONE,
        group: Group::Generic,
        acl: &["@dangerous"],
        since: "2.6.0",
        complexity: "O(1) to create the new key and additional O(N*M) to reconstruct the serialized value, where N is the number of Redis objects composing the value and M their average size. For small string values the time complexity is thus O(1)+O(1*M) where M is small, so simply O(1). However for sorted set values the complexity is O(N*M*log(N)) because inserting values into sorted sets is O(log(N)).",
        summary: "Create a key using the provided serialized value, previously obtained using DUMP.",
        fanout: Fanout::Whole,
        // A payload of version 6 whose checksum happens to be text.
        examples: &[
            "RESTORE nokey 0 \0\x03ehz\x06\0QKZVmCL9",
            "RESTORE k 100000 \0\x03ehz\x06\0QKZVmCL9 REPLACE",
        ],
        run: restore,
    },
];

fn dump(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (entry, reply) = cx.read(key)?;
    let Some(entry) = entry else {
        reply.null();
        return Ok(());
    };
    reply.bulk(&payload::of(entry.content())?);
    Ok(())
}

const IDLETIME: CommandError = CommandError::new("ERR Invalid IDLETIME value, must be >= 0");
const FREQ: CommandError = CommandError::new("ERR Invalid FREQ value, must be >= 0 and <= 255");

/// What RESTORE was asked besides key and payload.
#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    idle_s: Option<u64>,
    freq: Option<u8>,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let mut options = Self::default();
        let mut at = 4;
        while let Some(option) = args.try_get(at) {
            let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
            let number = args.try_get(at + 1);
            if is("replace") {
                options.replace = true;
            } else if is("absttl") {
                options.absolute = true;
            } else if let Some(text) = number.filter(|_| is("idletime") && options.freq.is_none()) {
                let seconds = canonical_int(text).ok_or(CommandError::NOT_AN_INTEGER)?;
                let seconds = u64::try_from(seconds).map_err(|_| IDLETIME)?;
                options.idle_s = Some(seconds);
                at += 1;
            } else if let Some(text) = number.filter(|_| is("freq") && options.idle_s.is_none()) {
                let freq = canonical_int(text).ok_or(CommandError::NOT_AN_INTEGER)?;
                let freq = u8::try_from(freq).map_err(|_| FREQ)?;
                options.freq = Some(freq);
                at += 1;
            } else {
                return Err(CommandError::SYNTAX);
            }
            at += 1;
        }
        Ok(options)
    }
}

fn restore(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let options = Options::parse(args)?;
    let key = cx.key(args.get(1));
    let exists = cx.find(key)?.is_some();
    if exists && !options.replace {
        return Err(CommandError::new("BUSYKEY Target key name already exists."));
    }
    let ttl_ms = canonical_int(args.get(2)).ok_or(CommandError::NOT_AN_INTEGER)?;
    if ttl_ms < 0 {
        return Err(CommandError::new("ERR Invalid TTL value, must be >= 0"));
    }
    let value = payload::read(args.get(3), cx.limits, cx.keyspace.hasher())?;
    let from_ms = if options.absolute { 0 } else { cx.now_ms };
    let at_ms = (ttl_ms > 0).then(|| ttl_ms.saturating_add(from_ms));
    if at_ms.is_some_and(|at_ms| cx.is_live() && at_ms <= cx.now_ms) {
        if exists {
            cx.database().remove(key);
            cx.effect(key.hash, Effect::Del { key: key.bytes });
        }
        cx.reply.ok();
        return Ok(());
    }
    payload::put(cx, key, value, at_ms)?;
    // What the server's policy does not track is not kept, as in Redis.
    let clock = cx.keyspace.clock();
    let idle = options.idle_s.and_then(|seconds| clock.idle_since(seconds));
    let access = idle.or_else(|| options.freq.and_then(|freq| clock.counting_from(freq)));
    if let Some(access) = access
        && let Some(mut entry) = cx.database().get_mut(key)
    {
        entry.touch(access);
    }
    cx.reply.ok();
    Ok(())
}
