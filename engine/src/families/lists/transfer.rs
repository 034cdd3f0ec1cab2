//! Commands that take from one of several lists: LMOVE, RPOPLPUSH, LMPOP.
//!
//! What was taken is logged as LPOP or RPOP, what was put elsewhere as LPUSH or RPUSH: an effect
//! names one key.

use super::{ends::reply_elements, parse_end, parse_from};
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    effect::Effect,
    families::timeout,
    keyspace::Key,
    types::{List, ListRef, list::End},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "lmove",
        arity: 5,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::Range { first: 1, last: 2, step: 1 },
        group: Group::List,
        acl: &[],
        since: "6.2.0",
        complexity: "O(1)",
        summary: "Pop an element from a list, push it to another list and return it",
        fanout: Fanout::TwoKeys,
        examples: &["LMOVE l l2 LEFT RIGHT", "LMOVE l l RIGHT LEFT"],
        run: lmove,
    },
    CommandSpec {
        name: "rpoplpush",
        arity: 3,
        flags: Flags::WRITE.with(Flags::DENYOOM),
        keys: KeySpec::Range { first: 1, last: 2, step: 1 },
        group: Group::List,
        acl: &[],
        since: "1.2.0",
        complexity: "O(1)",
        summary: "Remove the last element in a list, prepend it to another list and return it",
        fanout: Fanout::TwoKeys,
        examples: &["RPOPLPUSH l l2", "RPOPLPUSH l l"],
        run: rpoplpush,
    },
    CommandSpec {
        name: "lmpop",
        arity: -4,
        flags: Flags::WRITE.with(Flags::MOVABLEKEYS),
        keys: KeySpec::Counted { count: 1 },
        group: Group::List,
        acl: &[],
        since: "7.0.0",
        complexity: "O(N+M) where N is the number of provided keys and M is the number of elements returned.",
        summary: "Pop elements from a list",
        fanout: Fanout::FirstOf,
        examples: &["LMPOP 2 nokey l LEFT", "LMPOP 1 l RIGHT COUNT 2"],
        run: lmpop,
    },
];

const TOO_FEW_KEYS: &str = "ERR numkeys should be greater than 0";
const TOO_FEW_ELEMENTS: &str = "ERR count should be greater than 0";

fn pop_name(end: End) -> &'static [u8] {
    if end == End::Left { b"LPOP" } else { b"RPOP" }
}

fn push_name(end: End) -> &'static [u8] {
    if end == End::Left { b"LPUSH" } else { b"RPUSH" }
}

/// Which ends a move concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Where the element is taken.
    pub from: End,
    /// Where it is put.
    pub to: End,
}

impl Ends {
    /// Those of a LMOVE, RPOPLPUSH, BLMOVE or BRPOPLPUSH, all of whose arguments are looked at.
    ///
    /// # Errors
    /// What the command answers to arguments that are wrong.
    pub fn of(name: &str, args: Args<'_>) -> Result<Self, CommandError> {
        let ends = match name {
            "lmove" | "blmove" => {
                Self { from: parse_end(args.get(3))?, to: parse_end(args.get(4))? }
            }
            _ => Self { from: End::Right, to: End::Left },
        };
        if name.starts_with('b') {
            timeout::seconds(args.get(args.len() - 1))?;
        }
        Ok(ends)
    }
}

/// From one list's end to another's; replies with the element, or null when there is none.
pub(super) fn transfer(
    cx: &mut Ctx<'_>,
    (from, from_end): (Key<'_>, End),
    (to, to_end): (Key<'_>, End),
) -> Result<(), CommandError> {
    let mut element = None;
    if let Some(list) = cx.view::<ListRef<'_>>(from)?.0 {
        list.walk(0, from_end, |first| {
            element = Some(first.to_vec());
            false
        });
    }
    let Some(element) = element else {
        cx.reply.null();
        return Ok(());
    };
    // The target's type matters before anything moves.
    cx.view::<ListRef<'_>>(to)?;
    cx.admit(element.len() + from.bytes.len() + to.bytes.len())?;
    let limits = cx.limits;
    if from.bytes == to.bytes {
        rotate(cx, from, from_end, to_end, &element)?;
    } else {
        cx.edit(from, false, |list: &mut List| list.drop_from(from_end, 1))?;
        let parts: [&[u8]; 2] = [pop_name(from_end), from.bytes];
        cx.effect(from.hash, Effect::Parts { parts: &parts });
        cx.edit(to, true, |list: &mut List| list.push(to_end, &element, limits))?;
        let parts: [&[u8]; 3] = [push_name(to_end), to.bytes, &element];
        cx.effect(to.hash, Effect::Parts { parts: &parts });
    }
    cx.reply.bulk(&element);
    Ok(())
}

/// From one end of a list to the other. The list is never empty between, so that its deadline
/// stays; hence the order, here and in the log.
fn rotate(
    cx: &mut Ctx<'_>,
    key: Key<'_>,
    from: End,
    to: End,
    element: &[u8],
) -> Result<(), CommandError> {
    let limits = cx.limits;
    if from == to {
        return Ok(());
    }
    cx.edit(key, false, |list: &mut List| {
        list.push(to, element, limits);
        list.drop_from(from, 1);
    })?;
    let parts: [&[u8]; 3] = [push_name(to), key.bytes, element];
    cx.effect(key.hash, Effect::Parts { parts: &parts });
    let parts: [&[u8]; 2] = [pop_name(from), key.bytes];
    cx.effect(key.hash, Effect::Parts { parts: &parts });
    Ok(())
}

fn lmove(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (from_end, to_end) = (parse_end(args.get(3))?, parse_end(args.get(4))?);
    let (from, to) = (cx.key(args.get(1)), cx.key(args.get(2)));
    transfer(cx, (from, from_end), (to, to_end))
}

fn rpoplpush(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (from, to) = (cx.key(args.get(1)), cx.key(args.get(2)));
    transfer(cx, (from, End::Right), (to, End::Left))
}

/// What LMPOP asks for.
pub(super) struct Wish {
    /// Positions of the keys among the arguments.
    pub(super) keys: std::ops::Range<usize>,
    pub(super) end: End,
    pub(super) count: usize,
}

impl Wish {
    /// From `numkeys key .. LEFT|RIGHT [COUNT n]`, `numkeys` at a position.
    pub(super) fn parse(args: Args<'_>, at: usize) -> Result<Self, CommandError> {
        let keys = parse_from(args.get(at), 1, TOO_FEW_KEYS)?;
        let end_at = usize::try_from(keys).ok().and_then(|keys| keys.checked_add(at + 1));
        let end_at = end_at.filter(|&at| at < args.len()).ok_or(CommandError::SYNTAX)?;
        let end = parse_end(args.get(end_at))?;
        let count = match (args.try_get(end_at + 1), args.try_get(end_at + 2)) {
            (None, _) => 1,
            (Some(option), Some(count)) if option.eq_ignore_ascii_case(b"count") => {
                parse_from(count, 1, TOO_FEW_ELEMENTS)?
            }
            _ => return Err(CommandError::SYNTAX),
        };
        if args.len() > end_at + 3 {
            return Err(CommandError::SYNTAX);
        }
        Ok(Self { keys: at + 1..end_at, end, count: count as usize })
    }
}

/// Takes up to `count` elements from a list, replies with its name and them; false when there
/// is no such list.
pub(super) fn pop_some(
    cx: &mut Ctx<'_>,
    key: Key<'_>,
    end: End,
    count: usize,
) -> Result<bool, CommandError> {
    let popped = cx.edit_replying(key, false, |list: &mut List, reply| {
        let popped = list.as_ref().len().min(count);
        reply.array(2);
        reply.bulk(key.bytes);
        reply_elements(list.as_ref(), end, 0, popped, reply);
        list.drop_from(end, popped);
        popped
    })?;
    if let Some(popped) = popped {
        let mut digits = itoa::Buffer::new();
        let parts: [&[u8]; 3] = [pop_name(end), key.bytes, digits.format(popped).as_bytes()];
        cx.effect(key.hash, Effect::Parts { parts: &parts });
    }
    Ok(popped.is_some())
}

fn lmpop(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let wish = Wish::parse(args, 1)?;
    for at in wish.keys {
        let key = cx.key(args.get(at));
        if pop_some(cx, key, wish.end, wish.count)? {
            return Ok(());
        }
    }
    cx.reply.null_array();
    Ok(())
}
