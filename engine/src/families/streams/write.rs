//! Commands that add and remove entries.
//!
//! XADD is logged with the id it gave; what was trimmed is logged as the length that is left.

use super::arguments::{id, ids, integer};
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec, Mode},
    effect::Effect,
    types::stream::{BLOCK_BYTES_MAX, Bounds, Id, NotAdded, Stream, Wish},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "xadd",
        arity: -5,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "O(1) when adding a new entry, O(N) when trimming where N being the number of entries evicted.",
        summary: "Appends a new entry to a stream",
        fanout: Fanout::Whole,
        examples: &["XADD x 9-1 f v", "XADD x MAXLEN ~ 10 * f v", "XADD nokey NOMKSTREAM * f v"],
        run: xadd,
    },
    CommandSpec {
        name: "xdel",
        arity: -3,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "O(1) for each single item to delete in the stream, regardless of the stream size.",
        summary: "Removes the specified entries from the stream. Returns the number of items actually deleted, that may be different from the number of IDs passed in case certain IDs do not exist.",
        fanout: Fanout::Whole,
        examples: &["XDEL x 1-1"],
        run: xdel,
    },
    CommandSpec {
        name: "xtrim",
        arity: -4,
        flags: Flags::WRITE,
        keys: KeySpec::ONE,
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "O(N), with N being the number of evicted entries. Constant times are very small however, since entries are organized in macro nodes containing multiple entries that can be released with a single deallocation.",
        summary: "Trims the stream to (approximately if '~' is passed) a certain size",
        fanout: Fanout::Whole,
        examples: &["XTRIM x MAXLEN 1", "XTRIM x MINID 2-0"],
        run: xtrim,
    },
    CommandSpec {
        name: "xsetid",
        arity: -3,
        flags: Flags::WRITE.with(Flags::DENYOOM).with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "O(1)",
        summary: "An internal command for replicating stream values",
        fanout: Fanout::Whole,
        examples: &["XSETID x 9-1 ENTRIESADDED 5 MAXDELETEDID 1-0"],
        run: xsetid,
    },
];

/// A trim that was asked for.
#[derive(Clone, Copy)]
struct Trim {
    to: Bounds,
    by_blocks: bool,
    most: Option<u64>,
}

impl Trim {
    fn run(self, stream: &mut Stream) -> u64 {
        stream.trim(self.to, self.by_blocks, self.most)
    }
}

/// Options of XADD and XTRIM.
struct Options {
    create: bool,
    wish: Option<Wish>,
    /// Where XADD's id stands.
    id_at: usize,
    trim: Option<Trim>,
}

/// Most entries that a trim by blocks removes unless LIMIT says so.
fn usual_limit(cx: &Ctx<'_>) -> u64 {
    match cx.limits.stream_node_entries.saturating_mul(100) {
        0 => 10_000,
        limit => limit.min(1_000_000) as u64,
    }
}

const TWICE: CommandError = CommandError::new(
    "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
);

fn options(cx: &Ctx<'_>, args: Args<'_>, adds: bool) -> Result<Options, CommandError> {
    let (mut bounds, mut by_blocks, mut limit) = (None, false, None);
    let (mut create, mut wish) = (true, None);
    let mut at = 2;
    while let Some(option) = args.try_get(at) {
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        let more = args.len() - 1 - at;
        if adds && option == b"*" {
            wish = Some(Wish::Any);
            break;
        } else if (is("maxlen") || is("minid")) && more > 0 {
            if bounds.is_some() {
                return Err(TWICE);
            }
            let mark = Some(args.get(at + 1)).filter(|_| more >= 2);
            by_blocks = mark == Some(b"~");
            at += 1 + usize::from(by_blocks || mark == Some(b"="));
            bounds = Some(if is("maxlen") {
                let len = integer(args.get(at))?;
                let negative = CommandError::new("ERR The MAXLEN argument must be >= 0.");
                Bounds::MaxLen(u64::try_from(len).map_err(|_| negative)?)
            } else {
                Bounds::MinId(id(args.get(at))?)
            });
        } else if is("limit") && more > 0 {
            at += 1;
            let given = integer(args.get(at))?;
            let negative = CommandError::new("ERR The LIMIT argument must be >= 0.");
            limit = Some(u64::try_from(given).map_err(|_| negative)?);
        } else if adds && is("nomkstream") {
            create = false;
        } else if adds {
            wish = Some(Wish::parse(option).ok_or(super::arguments::INVALID_ID)?);
            break;
        } else {
            return Err(CommandError::SYNTAX);
        }
        at += 1;
    }
    if bounds.is_none() && limit.is_some_and(|limit| limit > 0) {
        return Err(CommandError::new(
            "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
        ));
    }
    if bounds.is_none() && !adds {
        return Err(CommandError::new(
            "ERR syntax error, XTRIM must be called with a trimming strategy",
        ));
    }
    if limit.is_some() && !by_blocks && cx.mode == Mode::Live {
        return Err(CommandError::new(
            "ERR syntax error, LIMIT cannot be used without the special ~ option",
        ));
    }
    let most = match limit {
        _ if !by_blocks || cx.mode == Mode::Replay => None,
        // Zero takes the limit away.
        Some(limit) => Some(limit).filter(|&limit| limit > 0),
        None => Some(usual_limit(cx)),
    };
    let trim = bounds.map(|to| Trim { to, by_blocks, most });
    Ok(Options { create, wish, id_at: at, trim })
}

/// Logs that so many entries are left.
fn log_trim(cx: &mut Ctx<'_>, args: Args<'_>, hash: u64, len: u64) {
    let len = len.to_string();
    let parts: [&[u8]; 5] = [b"XTRIM", args.get(1), b"MAXLEN", b"=", len.as_bytes()];
    cx.effect(hash, Effect::Parts { parts: &parts });
}

fn xadd(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let options = options(cx, args, true)?;
    let first = options.id_at + 1;
    let texts = args.len().saturating_sub(first);
    let (Some(wish), true) = (options.wish, texts >= 2 && texts.is_multiple_of(2)) else {
        return Err(CommandError::arity("xadd"));
    };
    if wish == Wish::Exactly(Id::MIN) {
        return Err(CommandError::new("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let pairs: Vec<(&[u8], &[u8])> =
        (first..args.len()).step_by(2).map(|at| (args.get(at), args.get(at + 1))).collect();
    if args.iter_from(first).map(<[u8]>::len).sum::<usize>() > BLOCK_BYTES_MAX {
        return Err(CommandError::new("ERR Elements are too large to be stored"));
    }
    let key = cx.key(args.get(1));
    cx.admit(args.bytes() + key.bytes.len())?;
    let (limits, now_ms) = (cx.limits, cx.now_ms);
    let added = cx.edit(key, options.create, |stream: &mut Stream| {
        let id = stream.next_id(wish, now_ms)?;
        stream.add(id, &pairs, limits);
        let trimmed = options.trim.map_or(0, |trim| trim.run(stream));
        Ok((id, (trimmed > 0).then(|| stream.length())))
    })?;
    let Some(added) = added else {
        cx.reply.null();
        return Ok(());
    };
    if added.is_ok() {
        cx.signal(key);
    }
    let (id, left) = added.map_err(|why| match why {
        NotAdded::Low => CommandError::new(
            "ERR The ID specified in XADD is equal or smaller than the target stream top item",
        ),
        NotAdded::Exhausted => CommandError::new(
            "ERR The stream has exhausted the last possible ID, unable to add more items",
        ),
    })?;
    let text = id.text();
    let mut parts: Vec<&[u8]> = Vec::with_capacity(3 + texts);
    parts.extend([b"XADD", key.bytes, text.as_bytes()]);
    parts.extend(args.iter_from(first));
    cx.effect(key.hash, Effect::Parts { parts: &parts });
    if let Some(left) = left {
        log_trim(cx, args, key.hash, left);
    }
    cx.reply.bulk(text.as_bytes());
    Ok(())
}

fn xtrim(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let options = options(cx, args, false)?;
    let Some(trim) = options.trim else { return Err(CommandError::SYNTAX) };
    let key = cx.key(args.get(1));
    let trimmed = cx.edit(key, false, |stream: &mut Stream| (trim.run(stream), stream.length()))?;
    let (removed, left) = trimmed.unwrap_or_default();
    if removed > 0 {
        log_trim(cx, args, key.hash, left);
    }
    cx.reply.int(removed as i64);
    Ok(())
}

fn xdel(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    if cx.view::<&Stream>(key)?.0.is_none() {
        cx.reply.int(0);
        return Ok(());
    }
    let ids = ids(args, 2)?;
    let deleted = cx.edit(key, false, |stream: &mut Stream| {
        ids.iter().filter(|id| stream.delete(**id)).count()
    })?;
    let deleted = deleted.unwrap_or(0);
    if deleted > 0 {
        cx.effect(key.hash, Effect::Verbatim { args });
    }
    cx.reply.int(deleted as i64);
    Ok(())
}

fn xsetid(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let last = id(args.get(2))?;
    let (mut added, mut max_deleted) = (None, None);
    for at in (3..args.len()).step_by(2) {
        let (option, value) = (args.get(at), args.try_get(at + 1));
        let value = value.ok_or(CommandError::SYNTAX)?;
        if option.eq_ignore_ascii_case(b"entriesadded") {
            let negative = CommandError::new("ERR entries_added must be positive");
            added = Some(u64::try_from(integer(value)?).map_err(|_| negative)?);
        } else if option.eq_ignore_ascii_case(b"maxdeletedid") {
            let given = id(value)?;
            if last < given {
                return Err(CommandError::new(
                    "ERR The ID specified in XSETID is smaller than the provided max_deleted_entry_id",
                ));
            }
            max_deleted = Some(given).filter(|id| *id != Id::MIN);
        } else {
            return Err(CommandError::SYNTAX);
        }
    }
    let key = cx.key(args.get(1));
    let set = cx.edit(key, false, |stream: &mut Stream| {
        if stream.length() > 0 && last < stream.top_id() {
            return Err(CommandError::new(
                "ERR The ID specified in XSETID is smaller than the target stream top item",
            ));
        }
        if stream.length() > 0 && added.is_some_and(|added| stream.length() > added) {
            return Err(CommandError::new(
                "ERR The entries_added specified in XSETID is smaller than the target stream length",
            ));
        }
        stream.set_counters(last, added, max_deleted);
        Ok(())
    })?;
    set.ok_or(CommandError::NO_SUCH_KEY)??;
    cx.effect_aside(key.hash, Effect::Verbatim { args });
    cx.reply.ok();
    Ok(())
}
