//! Commands that read entries, and the options that XREAD and XREADGROUP share.

use super::arguments::{all_if_zero, end, id, integer, start, write_entry, write_range};
use crate::{
    command::{
        Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec, OwnedArgs, Wanted,
    },
    families::timeout,
    types::{
        ValueType,
        stream::{Id, Stream},
    },
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "xlen",
        arity: 2,
        flags: Flags::READONLY.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "O(1)",
        summary: "Return the number of entries in a stream",
        fanout: Fanout::Whole,
        examples: &["XLEN x"],
        run: xlen,
    },
    CommandSpec {
        name: "xrange",
        arity: -4,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "O(N) with N being the number of elements being returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).",
        summary: "Return a range of elements in a stream, with IDs matching the specified IDs interval",
        fanout: Fanout::Whole,
        examples: &["XRANGE x - +", "XRANGE x (1-1 + COUNT 1"],
        run: xrange,
    },
    CommandSpec {
        name: "xrevrange",
        arity: -4,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "O(N) with N being the number of elements returned. If N is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1).",
        summary: "Return a range of elements in a stream, with IDs matching the specified IDs interval, in reverse order (from greater to smaller IDs) compared to XRANGE",
        fanout: Fanout::Whole,
        examples: &["XREVRANGE x + -"],
        run: xrevrange,
    },
    CommandSpec {
        name: "xread",
        arity: -4,
        flags: Flags::READONLY.with(Flags::BLOCKING).with(Flags::MOVABLEKEYS),
        keys: KeySpec::Streams { from: 1 },
        group: Group::Stream,
        acl: &["@blocking"],
        since: "5.0.0",
        complexity: "For each stream mentioned: O(N) with N being the number of elements being returned, it means that XREAD-ing with a fixed COUNT is O(1). Note that when the BLOCK option is used, XADD will pay O(M) time in order to serve the M clients blocked on the stream getting new data.",
        summary: "Return never seen elements in multiple streams, with IDs greater than the ones reported by the caller for each stream. Can block.",
        fanout: Fanout::Streams,
        examples: &["XREAD COUNT 1 STREAMS x 0"],
        run: xread,
    },
];

fn xlen(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = cx.key(args.get(1));
    let (stream, reply) = cx.view::<&Stream>(key)?;
    reply.int(stream.map_or(0, Stream::length) as i64);
    Ok(())
}

/// What XRANGE and XREVRANGE are asked: start, end, count.
fn range(args: Args<'_>, from: usize, to: usize) -> Result<(Id, Id, Option<i64>), CommandError> {
    let (start, end) = (start(args.get(from))?, end(args.get(to))?);
    let mut count = None;
    for at in (4..args.len()).step_by(2) {
        let value = args.try_get(at + 1).ok_or(CommandError::SYNTAX)?;
        if !args.get(at).eq_ignore_ascii_case(b"count") {
            return Err(CommandError::SYNTAX);
        }
        count = Some(integer(value)?.max(0));
    }
    // As in Redis, -1 in the end means no count, and nothing else below zero gets there.
    Ok((start, end, count))
}

fn xrange(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (start, end, count) = range(args, 2, 3)?;
    let key = cx.key(args.get(1));
    match cx.view::<&Stream>(key)? {
        (None, reply) => reply.array(0),
        (Some(_), reply) if count == Some(0) => reply.null_array(),
        (Some(stream), reply) => {
            write_range(reply, stream, start, end, all_if_zero(count.unwrap_or(0)));
        }
    }
    Ok(())
}

fn xrevrange(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (start, end, count) = range(args, 3, 2)?;
    let key = cx.key(args.get(1));
    match cx.view::<&Stream>(key)? {
        (None, reply) => reply.array(0),
        (Some(_), reply) if count == Some(0) => reply.null_array(),
        (Some(stream), reply) => {
            let most = stream.count(start, end, all_if_zero(count.unwrap_or(0)));
            reply.array(most as usize);
            let entries = stream.downwards(start, end).take(most as usize);
            entries.for_each(|entry| write_entry(reply, entry));
        }
    }
    Ok(())
}

/// XREADGROUP without what makes it one.
pub(super) const NO_GROUP: CommandError =
    CommandError::new("ERR Missing GROUP option for XREADGROUP");

/// What XREAD and XREADGROUP are asked.
pub(super) struct Request<'a> {
    /// Most entries of each stream; 0: all.
    pub(super) count: i64,
    /// Wait so long for entries, ms.
    pub(super) block_ms: Option<u64>,
    /// Group and consumer.
    pub(super) group: Option<(&'a [u8], &'a [u8])>,
    /// Nothing becomes pending.
    pub(super) no_ack: bool,
    /// Where the first key stands.
    pub(super) first: usize,
    /// Number of streams.
    pub(super) streams: usize,
}

impl<'a> Request<'a> {
    pub(super) fn parse(args: Args<'a>, groups: bool) -> Result<Self, CommandError> {
        let mut request =
            Self { count: 0, block_ms: None, group: None, no_ack: false, first: 0, streams: 0 };
        let mut at = 1;
        while let Some(option) = args.try_get(at) {
            let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
            let more = args.len() - 1 - at;
            if is("block") && more > 0 {
                at += 1;
                request.block_ms = Some(timeout::milliseconds(args.get(at))?);
            } else if is("count") && more > 0 {
                at += 1;
                request.count = integer(args.get(at))?.max(0);
            } else if is("streams") && more > 0 {
                request.first = at + 1;
                if !more.is_multiple_of(2) {
                    return Err(CommandError::new(
                        "ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified.",
                    ));
                }
                request.streams = more / 2;
                break;
            } else if is("group") && more >= 2 {
                if !groups {
                    return Err(CommandError::new(
                        "ERR The GROUP option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                request.group = Some((args.get(at + 1), args.get(at + 2)));
                at += 2;
            } else if is("noack") {
                if !groups {
                    return Err(CommandError::new(
                        "ERR The NOACK option is only supported by XREADGROUP. You called XREAD instead.",
                    ));
                }
                request.no_ack = true;
            } else {
                return Err(CommandError::SYNTAX);
            }
            at += 1;
        }
        if request.first == 0 {
            return Err(CommandError::SYNTAX);
        }
        Ok(request)
    }

    /// Nothing can be read: the client waits, or gets nothing. `args` if it is to wait with others.
    pub(super) fn nothing(&self, cx: &mut Ctx<'_>, args: Option<OwnedArgs>) {
        let may_wait = self.block_ms.is_some_and(|timeout_ms| {
            let wanted = Wanted::new(ValueType::Stream, timeout_ms);
            cx.block(Wanted { in_group: self.group.is_some(), args, ..wanted })
        });
        if !may_wait {
            cx.reply.null_array();
        }
    }
}

/// What is wrong with the arguments of a whole XREAD or XREADGROUP, keys and ids apart.
///
/// # Errors
/// What the command answers to them.
pub fn check_arguments(args: Args<'_>, groups: bool) -> Result<(), CommandError> {
    let request = Request::parse(args, groups)?;
    if groups && request.group.is_none() {
        return Err(NO_GROUP);
    }
    Ok(())
}

fn xread(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let request = Request::parse(args, false)?;
    // Where each stream that has something to read is read from.
    let mut served = Vec::new();
    // What a client that waits goes by: the last ids of now.
    let mut resolved = OwnedArgs::new();
    if request.block_ms.is_some() {
        args.iter_from(0).take(request.first + request.streams).for_each(|arg| resolved.push(arg));
    }
    let has_waited = cx.is_again();
    for index in 0..request.streams {
        let at = request.first + index;
        let key = cx.key(args.get(at));
        let stream = cx.view::<&Stream>(key)?.0;
        let after = match args.get(at + request.streams) {
            b"$" => stream.map_or(Id::MIN, Stream::last_id),
            b">" => {
                return Err(CommandError::new(
                    "ERR The > ID can be specified only when calling XREADGROUP using the GROUP <group> <consumer> option.",
                ));
            }
            text => id(text)?,
        };
        if request.block_ms.is_some() {
            resolved.push(after.text().as_bytes());
        }
        // Who has waited hears of every new id, even when its entry has been trimmed away since.
        let has_new = |stream: &Stream| match has_waited {
            true => stream.last_id() > after,
            false => stream.length() > 0 && stream.top_id() > after,
        };
        if stream.is_some_and(has_new) {
            served.push((key, after));
        }
    }
    if served.is_empty() {
        request.nothing(cx, Some(resolved));
        return Ok(());
    }
    cx.claim()?;
    if cx.reply.is_resp3() {
        cx.reply.map(served.len());
    } else {
        cx.reply.array(served.len());
    }
    for (key, after) in served {
        if !cx.reply.is_resp3() {
            cx.reply.array(2);
        }
        cx.reply.bulk(key.bytes);
        let (stream, reply) = cx.view::<&Stream>(key)?;
        let start = after.next().unwrap_or(Id::MAX);
        if let Some(stream) = stream {
            write_range(reply, stream, start, Id::MAX, all_if_zero(request.count));
        }
    }
    Ok(())
}
