//! SETBIT and BITOP.

use super::{make_room, offset};
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    effect::{Deadline, Effect},
    keyspace::canonical_int,
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "setbit",
        arity: 4,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::ONE,
        group: Group::Bitmap,
        acl: &[],
        since: "2.2.0",
        complexity: "O(1)",
        summary: "Sets or clears the bit at offset in the string value stored at key",
        fanout: Fanout::Whole,
        examples: &["SETBIT k 7 1", "SETBIT nokey 100 0", "SETBIT n 3 1"],
        run: setbit,
    },
    CommandSpec {
        name: "bitop",
        arity: -4,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::Range { first: 2, last: -1, step: 1 },
        group: Group::Bitmap,
        acl: &[],
        since: "2.6.0",
        complexity: "O(N)",
        summary: "Perform bitwise operations between strings",
        fanout: Fanout::Store,
        examples: &[
            "BITOP AND nokey k k2",
            "BITOP OR k k2 n",
            "BITOP XOR k k k2",
            "BITOP NOT k k2",
        ],
        run: bitop,
    },
];

fn setbit(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let offset = offset(args.get(2))?;
    let on = match canonical_int(args.get(3)) {
        Some(0) => false,
        Some(1) => true,
        _ => return Err(CommandError::new("ERR bit is not an integer or out of range")),
    };
    let key = cx.key(args.get(1));
    let at = (offset >> 3) as usize;
    let grown = make_room(cx, key, at)?;
    let mut entry = cx.database().get_mut(key);
    let Some(bytes) = entry.as_mut().and_then(|entry| entry.bytes_mut()) else {
        unreachable!("room was made");
    };
    let bit = 0x80 >> (offset & 7);
    let before = bytes[at] & bit != 0;
    if on {
        bytes[at] |= bit;
    } else {
        bytes[at] &= !bit;
    }
    if grown || before != on {
        cx.effect(key.hash, Effect::Verbatim { args });
    }
    cx.reply.int(i64::from(before));
    Ok(())
}

/// What BITOP does with each byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    And,
    Or,
    Xor,
    Not,
}

impl Operation {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let is = |name: &str| args.get(1).eq_ignore_ascii_case(name.as_bytes());
        let operation = if is("and") {
            Operation::And
        } else if is("or") {
            Operation::Or
        } else if is("xor") {
            Operation::Xor
        } else if is("not") {
            Operation::Not
        } else {
            return Err(CommandError::SYNTAX);
        };
        if operation == Operation::Not && args.len() != 4 {
            return Err(CommandError::new(
                "ERR BITOP NOT must be called with a single source key.",
            ));
        }
        Ok(operation)
    }

    /// Joins another source to what there is; the shorter of both is padded with zeros.
    fn join(self, result: &mut Vec<u8>, source: &[u8]) {
        if result.len() < source.len() {
            result.resize(source.len(), 0);
        }
        let (head, tail) = result.split_at_mut(source.len());
        let pairs = head.iter_mut().zip(source);
        match self {
            Operation::And => {
                pairs.for_each(|(to, from)| *to &= from);
                tail.fill(0);
            }
            Operation::Or => pairs.for_each(|(to, from)| *to |= from),
            Operation::Xor => pairs.for_each(|(to, from)| *to ^= from),
            Operation::Not => pairs.for_each(|(to, from)| *to = !from),
        }
    }
}

fn bitop(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let operation = Operation::parse(args)?;
    let mut result = Vec::new();
    for (number, source) in args.iter_from(3).enumerate() {
        let source = cx.key(source);
        let mut digits = itoa::Buffer::new();
        let entry = cx.read_string(source)?.0;
        let value = entry.as_ref().map(|entry| entry.value());
        let bytes = value.as_ref().map_or(&b""[..], |value| value.bytes(&mut digits));
        if number == 0 && operation != Operation::Not {
            result.extend_from_slice(bytes);
        } else {
            operation.join(&mut result, bytes);
        }
    }
    let key = cx.key(args.get(2));
    cx.admit(result.len())?;
    let existed = cx.find(key)?.is_some();
    cx.database().remove(key);
    if result.is_empty() {
        if existed {
            cx.effect(key.hash, Effect::Del { key: key.bytes });
        }
    } else {
        cx.database().write_range(key, 0, &result);
        let value = result.as_slice();
        cx.effect(key.hash, Effect::Set { key: key.bytes, value, deadline: Deadline::None });
    }
    cx.reply.int(result.len() as i64);
    Ok(())
}
