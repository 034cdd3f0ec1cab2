//! Commands that change one list by index or content.
//!
//! A command is logged as it came, since it names one key and says all.

use super::{index_of, parse_int, span};
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    effect::Effect,
    types::{List, ListRef, list::End},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "linsert",
        arity: 5,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::ONE,
        group: Group::List,
        acl: &[],
        since: "2.2.0",
        complexity: "O(N) where N is the number of elements to traverse before seeing the value pivot. This means that inserting somewhere on the left end on the list (head) can be considered O(1) and inserting somewhere on the right end (tail) is O(N).",
        summary: "Insert an element before or after another element in a list",
        fanout: Fanout::Whole,
        examples: &["LINSERT l BEFORE b x", "LINSERT l after b 5"],
        run: linsert,
    },
    CommandSpec {
        name: "lset",
        arity: 4,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::ONE,
        group: Group::List,
        acl: &[],
        since: "1.0.0",
        complexity: "O(N) where N is the length of the list. Setting either the first or the last element of the list is O(1).",
        summary: "Set the value of an element in a list by its index",
        fanout: Fanout::Whole,
        examples: &["LSET l 1 x", "LSET l -1 7"],
        run: lset,
    },
    CommandSpec {
        name: "ltrim",
        arity: 4,
        flags: Flags::WRITE,
        keys: KeySpec::ONE,
        group: Group::List,
        acl: &[],
        since: "1.0.0",
        complexity: "O(N) where N is the number of elements to be removed by the operation.",
        summary: "Trim a list to the specified range",
        fanout: Fanout::Whole,
        examples: &["LTRIM l 1 2", "LTRIM l 5 1"],
        run: ltrim,
    },
    CommandSpec {
        name: "lrem",
        arity: 4,
        flags: Flags::WRITE,
        keys: KeySpec::ONE,
        group: Group::List,
        acl: &[],
        since: "1.0.0",
        complexity: "O(N+M) where N is the length of the list and M is the number of elements removed.",
        summary: "Remove elements from a list",
        fanout: Fanout::Whole,
        examples: &["LREM l 1 b", "LREM l -2 a"],
        run: lrem,
    },
];

fn linsert(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let behind = if args.get(2).eq_ignore_ascii_case(b"after") {
        1
    } else if args.get(2).eq_ignore_ascii_case(b"before") {
        0
    } else {
        return Err(CommandError::SYNTAX);
    };
    let (key, limits) = (cx.key(args.get(1)), cx.limits);
    let len = cx.edit(key, false, |list: &mut List| {
        let pivot = list.as_ref().position(args.get(3))?;
        list.insert(pivot + behind, args.get(4), limits);
        Some(list.as_ref().len() as i64)
    })?;
    if let Some(Some(_)) = len {
        cx.effect(key.hash, Effect::Verbatim { args });
    }
    cx.reply.int(len.map_or(0, |inserted| inserted.unwrap_or(-1)));
    Ok(())
}

fn lset(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (key, limits) = (cx.key(args.get(1)), cx.limits);
    let len = cx.view::<ListRef<'_>>(key)?.0.map(ListRef::len);
    let len = len.ok_or(CommandError::NO_SUCH_KEY)?;
    let index = index_of(parse_int(args.get(2))?, len)
        .ok_or(CommandError::new("ERR index out of range"))?;
    cx.edit(key, false, |list: &mut List| list.set(index, args.get(3), limits))?;
    cx.effect(key.hash, Effect::Verbatim { args });
    cx.reply.ok();
    Ok(())
}

fn ltrim(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (start, stop) = (parse_int(args.get(2))?, parse_int(args.get(3))?);
    let key = cx.key(args.get(1));
    let removed = cx.edit(key, false, |list: &mut List| {
        let len = list.as_ref().len();
        let (first, kept) = span(start, stop, len);
        list.drop_from(End::Right, len - first - kept);
        list.drop_from(End::Left, first);
        len - kept
    })?;
    if removed.is_some_and(|removed| removed > 0) {
        cx.effect(key.hash, Effect::Verbatim { args });
    }
    cx.reply.ok();
    Ok(())
}

fn lrem(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let count = parse_int(args.get(2))?;
    let end = if count < 0 { End::Right } else { End::Left };
    let max = match count.unsigned_abs() {
        0 => usize::MAX,
        n => n as usize,
    };
    let (key, limits) = (cx.key(args.get(1)), cx.limits);
    let removed =
        cx.edit(key, false, |list: &mut List| list.remove(args.get(3), end, max, limits))?;
    let removed = removed.unwrap_or(0);
    if removed > 0 {
        cx.effect(key.hash, Effect::Verbatim { args });
    }
    cx.reply.int(removed as i64);
    Ok(())
}
