//! SORT and SORT_RO: the elements of a list, set or sorted set in order, or what other keys say of them.
//!
//! The values that patterns name are read on the shard where this runs: whoever runs it sees to it
//! that they are there, with [`looks_elsewhere`] and [`lookups`].

use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec},
    keyspace::{Str, Value, canonical_int},
    number::parse_double,
    slot::hash_tag,
    types::{
        Collection, HashRef, List, ListRef, SetRef, ValueType, View, ZsetRef, list::End,
        packed::Item,
    },
};
use std::cmp::Ordering;

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "sort",
        arity: -2,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::MOVABLEKEYS),
        keys: KeySpec::Stored { from: 2 },
        group: Group::Generic,
        acl: &["@set", "@sortedset", "@list", "@dangerous"],
        since: "1.0.0",
        complexity: "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N).",
        summary: "Sort the elements in a list, set or sorted set",
        fanout: Fanout::Lookups,
        examples: &["SORT l ALPHA", "SORT s ALPHA DESC LIMIT 0 2", "SORT l BY nosort STORE dest"],
        run: sort,
    },
    CommandSpec {
        name: "sort_ro",
        arity: -2,
        flags: Flags::READONLY.with(Flags::MOVABLEKEYS),
        keys: KeySpec::OneAndPatterns,
        group: Group::Generic,
        acl: &["@set", "@sortedset", "@list", "@dangerous"],
        since: "7.0.0",
        complexity: "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M the number of returned elements. When the elements are not sorted, complexity is O(N).",
        summary: "Sort the elements in a list, set or sorted set. Read-only variant of SORT.",
        fanout: Fanout::Lookups,
        examples: &["SORT_RO l ALPHA GET # GET nokey_*"],
        run: sort_ro,
    },
];

/// What is asked.
struct Wish<'a> {
    descending: bool,
    alpha: bool,
    /// First element, how many; below zero: from the first on, all.
    limit: (i64, i64),
    by: Option<&'a [u8]>,
    /// The order of the collection stands: BY names no element.
    as_it_is: bool,
    gets: Vec<&'a [u8]>,
    store: Option<&'a [u8]>,
}

impl<'a> Wish<'a> {
    fn parse(args: Args<'a>, may_store: bool) -> Result<Self, CommandError> {
        let (descending, alpha, as_it_is) = (false, false, false);
        let (by, gets, store) = (None, Vec::new(), None);
        let mut wish = Self { descending, alpha, limit: (0, -1), by, as_it_is, gets, store };
        let mut at = 2;
        while let Some(option) = args.try_get(at) {
            let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
            let more = args.len() - 1 - at;
            at += 1;
            if is("asc") {
                wish.descending = false;
            } else if is("desc") {
                wish.descending = true;
            } else if is("alpha") {
                wish.alpha = true;
            } else if is("limit") && more >= 2 {
                let number = |at| canonical_int(args.get(at)).ok_or(CommandError::NOT_AN_INTEGER);
                wish.limit = (number(at)?, number(at + 1)?);
                at += 2;
            } else if may_store && is("store") && more >= 1 {
                wish.store = Some(args.get(at));
                at += 1;
            } else if is("by") && more >= 1 {
                let pattern = args.get(at);
                wish.by = Some(pattern);
                wish.as_it_is |= !pattern.contains(&b'*');
                at += 1;
            } else if is("get") && more >= 1 {
                wish.gets.push(args.get(at));
                at += 1;
            } else {
                return Err(CommandError::SYNTAX);
            }
        }
        Ok(wish)
    }
}

/// The patterns of a command line, `#` apart.
fn patterns<'a>(args: Args<'a>) -> impl Iterator<Item = &'a [u8]> {
    let names = |word: &[u8]| word.eq_ignore_ascii_case(b"by") || word.eq_ignore_ascii_case(b"get");
    (3..args.len())
        .filter(move |&at| names(args.get(at - 1)))
        .map(move |at| args.get(at))
        .filter(|pattern| pattern.contains(&b'*'))
}

/// True when a pattern may name keys that are not where the collection is; `owner` says where a key
/// is. Keys of a pattern with a hash tag are all in one place.
pub fn looks_elsewhere(args: Args<'_>, owner: impl Fn(&[u8]) -> u16) -> bool {
    patterns(args).any(|pattern| {
        let name = key_part(pattern).0;
        let tag = hash_tag(name);
        let is_tagged = tag.len() < name.len() && !tag.contains(&b'*');
        !is_tagged || owner(name) != owner(args.get(1))
    })
}

/// The keys that patterns name for the elements of a collection.
pub fn lookups(value: Value<'_>, args: Args<'_>) -> Vec<Vec<u8>> {
    let (elements, _) = elements_of(value, false).unwrap_or_default();
    let names = |pattern| elements.iter().filter_map(move |element| name_of(pattern, element));
    patterns(args).flat_map(names).collect()
}

/// A pattern's key, and the field behind `->`.
fn key_part(pattern: &[u8]) -> (&[u8], Option<&[u8]>) {
    let Some(star) = memchr::memchr(b'*', pattern) else { return (pattern, None) };
    let arrow = pattern[star + 1..].windows(2).position(|two| two == b"->");
    match arrow.map(|at| star + 1 + at) {
        Some(at) if at + 2 < pattern.len() => (&pattern[..at], Some(&pattern[at + 2..])),
        _ => (pattern, None),
    }
}

/// The key that a pattern names for an element.
fn name_of(pattern: &[u8], element: &[u8]) -> Option<Vec<u8>> {
    let name = key_part(pattern).0;
    let star = memchr::memchr(b'*', name)?;
    Some([&name[..star], element, &name[star + 1..]].concat())
}

/// What a pattern says of an element.
fn look_up(
    cx: &mut Ctx<'_>,
    pattern: &[u8],
    element: &[u8],
) -> Result<Option<Vec<u8>>, CommandError> {
    if pattern == b"#" {
        return Ok(Some(element.to_vec()));
    }
    let Some(name) = name_of(pattern, element) else { return Ok(None) };
    let field = key_part(pattern).1;
    let Some(entry) = cx.read(cx.key(&name))?.0 else { return Ok(None) };
    let value = entry.content();
    Ok(match (field, value) {
        (None, Value::Str(Str::Int(n))) => Some(n.to_string().into_bytes()),
        (None, Value::Str(Str::Bytes(bytes))) => Some(bytes.to_vec()),
        (None, _) => None,
        (Some(field), value) => {
            HashRef::of(value).and_then(|hash| hash.get(field)).map(|value| value.to_vec())
        }
    })
}

/// The elements of the collection, of a sorted set or a list from its right end in `backwards`.
fn elements(
    cx: &mut Ctx<'_>,
    key: &[u8],
    backwards: bool,
) -> Result<(Vec<Vec<u8>>, Option<ValueType>), CommandError> {
    match cx.read(cx.key(key))?.0 {
        Some(entry) => elements_of(entry.content(), backwards),
        None => Ok((Vec::new(), None)),
    }
}

fn elements_of(
    value: Value<'_>,
    backwards: bool,
) -> Result<(Vec<Vec<u8>>, Option<ValueType>), CommandError> {
    let mut found = Vec::new();
    let kind = value.kind();
    if let Some(list) = ListRef::of(value) {
        let end = if backwards { End::Right } else { End::Left };
        list.walk(0, end, |element| {
            found.push(element.to_vec());
            true
        });
    } else if let Some(set) = SetRef::of(value) {
        set.for_each(&mut |member| found.push(member.to_vec()));
    } else if let Some(zset) = ZsetRef::of(value) {
        let len = zset.len();
        let mut take = |member: Item<'_>, _| found.push(member.to_vec());
        if backwards {
            zset.downwards(len - 1, len, &mut take);
        } else {
            zset.upwards(0, len, &mut take);
        }
    } else {
        return Err(CommandError::WRONG_TYPE);
    }
    Ok((found, Some(kind)))
}

/// What an element is sorted by.
enum Weight {
    Number(f64),
    /// None comes before everything.
    Text(Option<Vec<u8>>),
}

impl Weight {
    fn of(cx: &mut Ctx<'_>, wish: &Wish<'_>, element: &[u8]) -> Result<Self, CommandError> {
        let said = match wish.by {
            Some(pattern) => look_up(cx, pattern, element)?,
            None => Some(element.to_vec()),
        };
        if wish.alpha {
            return Ok(Weight::Text(said));
        }
        let no_number = CommandError::new("ERR One or more scores can't be converted into double");
        match said {
            None => Ok(Weight::Number(0.0)),
            Some(text) => {
                // As C's `strtod` has it: up to a zero, and blanks alone are no number.
                let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
                if text.is_empty() {
                    return Ok(Weight::Number(0.0));
                }
                let is_blank = |byte: &&u8| b" \t\n\x0b\x0c\r".contains(*byte);
                let number = &text[text.iter().take_while(is_blank).count()..];
                parse_double(number).map(Weight::Number).ok_or(no_number)
            }
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Weight::Number(a), Weight::Number(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
            (Weight::Text(a), Weight::Text(b)) => a.cmp(b),
            _ => Ordering::Equal,
        }
    }
}

/// Puts elements into the order that is wished.
fn arrange(
    cx: &mut Ctx<'_>,
    wish: &Wish<'_>,
    elements: Vec<Vec<u8>>,
) -> Result<Vec<Vec<u8>>, CommandError> {
    let mut weighed = Vec::with_capacity(elements.len());
    for element in elements {
        weighed.push((Weight::of(cx, wish, &element)?, element));
    }
    weighed.sort_by(|(a, one), (b, other)| {
        let order = a.compare(b);
        // Elements of one score are in the order of their bytes, so that the result is defined.
        let order = if wish.alpha { order } else { order.then_with(|| one.cmp(other)) };
        if wish.descending { order.reverse() } else { order }
    });
    Ok(weighed.into_iter().map(|(_, element)| element).collect())
}

/// The first of `len` elements that LIMIT leaves, and how many.
fn span(limit: (i64, i64), len: usize) -> (usize, usize) {
    let start = usize::try_from(limit.0.max(0)).unwrap_or(usize::MAX).min(len);
    let most = usize::try_from(limit.1).unwrap_or(usize::MAX);
    (start, most.min(len - start))
}

fn run(cx: &mut Ctx<'_>, args: Args<'_>, may_store: bool) -> Result<(), CommandError> {
    let mut wish = Wish::parse(args, may_store)?;
    let backwards = wish.as_it_is && wish.descending;
    let (mut found, kind) = elements(cx, args.get(1), backwards)?;
    if kind == Some(ValueType::Set) && wish.as_it_is && (wish.store.is_some() || cx.is_scripted) {
        // The order of a set is none: what is stored, or what a script does, must not depend on it.
        (wish.as_it_is, wish.alpha, wish.by) = (false, true, None);
    }
    if !wish.as_it_is {
        found = arrange(cx, &wish, found)?;
    }
    let (start, count) = span(wish.limit, found.len());
    let mut result = Vec::with_capacity(count * wish.gets.len().max(1));
    for element in found.drain(start..start + count) {
        if wish.gets.is_empty() {
            result.push(Some(element));
            continue;
        }
        for pattern in &wish.gets {
            result.push(look_up(cx, pattern, &element)?);
        }
    }
    match wish.store {
        Some(target) => store(cx, target, &result),
        None => {
            cx.reply.array(result.len());
            for value in &result {
                match value {
                    Some(value) => cx.reply.bulk(value),
                    None => cx.reply.null(),
                }
            }
            Ok(())
        }
    }
}

fn store(cx: &mut Ctx<'_>, target: &[u8], result: &[Option<Vec<u8>>]) -> Result<(), CommandError> {
    let (key, limits) = (cx.key(target), cx.limits);
    let bytes: usize = result.iter().flatten().map(|value| value.len() + 32).sum();
    cx.admit(bytes + result.len() * 32 + target.len())?;
    let existed = cx.find(key)?.is_some();
    let mut list = List::empty(Vec::new());
    for value in result {
        list.push(End::Right, value.as_deref().unwrap_or_default(), limits);
    }
    cx.database().put_collection(key, list);
    if existed || !result.is_empty() {
        cx.log_whole(cx.db, key);
    }
    cx.reply.int(result.len() as i64);
    Ok(())
}

fn sort(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    run(cx, args, true)
}

fn sort_ro(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    run(cx, args, false)
}
