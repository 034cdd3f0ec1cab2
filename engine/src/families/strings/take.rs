//! Commands that reply with a value and change the key in the same step: GETDEL, GETEX.

use super::{options::SetOptions, reply_value};
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    effect::{Deadline, Effect},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "getdel",
        arity: 2,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::String,
        acl: &[],
        since: "6.2.0",
        complexity: "O(1)",
        summary: "Get the value of a key and delete the key",
        fanout: Fanout::Whole,
        examples: &["GETDEL k"],
        run: getdel,
    },
    CommandSpec {
        name: "getex",
        arity: -2,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::String,
        acl: &[],
        since: "6.2.0",
        complexity: "O(1)",
        summary: "Get the value of a key and optionally set its expiration",
        fanout: Fanout::Whole,
        examples: &[
            "GETEX k",
            "GETEX k PX 100000",
            "GETEX k PERSIST",
            "GETEX k EXAT 4102444800",
            "GETEX k PXAT 1",
        ],
        run: getex,
    },
];

fn getdel(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (entry, reply) = cx.read_string(key)?;
    let Some(entry) = entry else {
        reply.null();
        return Ok(());
    };
    reply_value(reply, entry.value());
    cx.database().remove(key);
    cx.effect(key.hash, Effect::Del { key: key.bytes });
    Ok(())
}

fn getex(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let options = SetOptions::parse_getex(args)?;
    let (now_ms, live) = (cx.now_ms, cx.is_live());
    let key = cx.key(args.get(1));
    let (entry, reply) = cx.read_string(key)?;
    let Some(entry) = entry else {
        // A missing key is not an error, whatever the deadline says.
        reply.null();
        return Ok(());
    };
    let had_deadline = entry.deadline().is_some();
    let deadline = options.deadline("getex", now_ms)?;
    reply_value(reply, entry.value());
    match deadline {
        Deadline::At(at_ms) if live && options.is_absolute() && at_ms <= now_ms => {
            cx.database().remove(key);
            cx.effect(key.hash, Effect::Del { key: key.bytes });
        }
        Deadline::At(at_ms) => {
            cx.database().set_deadline(key, Some(at_ms));
            cx.effect(key.hash, Effect::ExpireAt { key: key.bytes, at_ms });
        }
        Deadline::None | Deadline::Keep => {
            if options.persists() && had_deadline {
                cx.database().set_deadline(key, None);
                cx.effect(key.hash, Effect::Persist { key: key.bytes });
            }
        }
    }
    Ok(())
}
