//! Commands that read one list and leave it alone.

use super::{ends::reply_elements, index_of, parse_from, parse_int, span};
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    types::{ListRef, list::End, packed::Wanted},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "llen",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::List,
        acl: &[],
        since: "1.0.0",
        complexity: "O(1)",
        summary: "Get the length of a list",
        fanout: Fanout::Whole,
        examples: &["LLEN l"],
        run: llen,
    },
    CommandSpec {
        name: "lindex",
        arity: 3,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::List,
        acl: &[],
        since: "1.0.0",
        complexity: "O(N) where N is the number of elements to traverse to get to the element at index. This makes asking for the first or the last element of the list O(1).",
        summary: "Get an element from a list by its index",
        fanout: Fanout::Whole,
        examples: &["LINDEX l 1", "LINDEX l -1"],
        run: lindex,
    },
    CommandSpec {
        name: "lrange",
        arity: 4,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::List,
        acl: &[],
        since: "1.0.0",
        complexity: "O(S+N) where S is the distance of start offset from HEAD for small lists, from nearest end (HEAD or TAIL) for large lists; and N is the number of elements in the specified range.",
        summary: "Get a range of elements from a list",
        fanout: Fanout::Whole,
        examples: &["LRANGE l 0 -1", "LRANGE l 1 2"],
        run: lrange,
    },
    CommandSpec {
        name: "lpos",
        arity: -3,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::List,
        acl: &[],
        since: "6.0.6",
        complexity: "O(N) where N is the number of elements in the list, for the average case. When searching for elements near the head or the tail of the list, or when the MAXLEN option is provided, the command may run in constant time.",
        summary: "Return the index of matching elements on a list",
        fanout: Fanout::Whole,
        examples: &["LPOS l b", "LPOS l a RANK -1 COUNT 0 MAXLEN 3"],
        run: lpos,
    },
];

fn llen(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (list, reply) = cx.view::<ListRef<'_>>(key)?;
    reply.int(list.map_or(0, |list| list.len() as i64));
    Ok(())
}

fn lindex(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (list, reply) = cx.view::<ListRef<'_>>(key)?;
    let Some(list) = list else {
        reply.null();
        return Ok(());
    };
    let index = parse_int(args.get(2))?;
    match index_of(index, list.len()).and_then(|index| list.get(index)) {
        Some(element) => reply.item(element),
        None => reply.null(),
    }
    Ok(())
}

fn lrange(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (start, stop) = (parse_int(args.get(2))?, parse_int(args.get(3))?);
    let key = cx.key(args.get(1));
    let (list, reply) = cx.view::<ListRef<'_>>(key)?;
    match list {
        Some(list) => {
            let (first, count) = span(start, stop, list.len());
            reply_elements(list, End::Left, first, count, reply);
        }
        None => reply.array(0),
    }
    Ok(())
}

/// Options of LPOS.
struct Search {
    /// The match to begin with; from the right when it was negative.
    rank: i64,
    end: End,
    /// How many matches are wanted, 0 for all; None for one, replied alone.
    count: Option<i64>,
    /// How many elements are compared, 0 for all.
    max: i64,
}

impl Search {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let mut search = Self { rank: 1, end: End::Left, count: None, max: 0 };
        let mut at = 3;
        while let Some(option) = args.try_get(at) {
            let is = |name: &[u8]| option.eq_ignore_ascii_case(name);
            let value = args.try_get(at + 1).ok_or(CommandError::SYNTAX)?;
            if is(b"rank") {
                search.rank = parse_int(value)?;
                if search.rank == 0 {
                    return Err(CommandError::new(
                        "ERR RANK can't be zero: use 1 to start from the first match, 2 from the \
                         second ... or use negative to start from the end of the list",
                    ));
                }
            } else if is(b"count") {
                search.count = Some(parse_from(value, 0, "ERR COUNT can't be negative")?);
            } else if is(b"maxlen") {
                search.max = parse_from(value, 0, "ERR MAXLEN can't be negative")?;
            } else {
                return Err(CommandError::SYNTAX);
            }
            at += 2;
        }
        if search.rank < 0 {
            search.end = End::Right;
            // The lowest number has no opposite; as in Redis it stays, and every match counts.
            search.rank = search.rank.wrapping_neg();
        }
        Ok(search)
    }

    /// The indexes of the matches.
    fn run(&self, list: ListRef<'_>, text: &[u8]) -> Vec<usize> {
        let (wanted, len) = (Wanted::new(text), list.len());
        let wanted_matches = self.count.unwrap_or(1);
        let (mut index, mut matches) = (0, 0i64);
        let mut found = Vec::new();
        list.walk(0, self.end, |element| {
            if element.is(&wanted) {
                matches += 1;
                if matches >= self.rank {
                    found.push(if self.end == End::Left { index } else { len - 1 - index });
                    if wanted_matches > 0 && found.len() as i64 >= wanted_matches {
                        return false;
                    }
                }
            }
            index += 1;
            self.max == 0 || (index as i64) < self.max
        });
        found
    }
}

fn lpos(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let search = Search::parse(args)?;
    let key = cx.key(args.get(1));
    let (list, reply) = cx.view::<ListRef<'_>>(key)?;
    let found = list.map_or_else(Vec::new, |list| search.run(list, args.get(2)));
    if search.count.is_some() {
        reply.array(found.len());
        found.iter().for_each(|&index| reply.int(index as i64));
    } else {
        match found.first() {
            Some(&index) => reply.int(index as i64),
            None => reply.null(),
        }
    }
    Ok(())
}
