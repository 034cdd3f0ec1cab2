//! Pending entries: looked at, and taken over by other consumers.

use super::{
    arguments::{end, id, integer, no_group, said, start, write_entry, write_id},
    log::Place,
};
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec, Reply},
    keyspace::canonical_int,
    types::stream::{Group as StreamGroup, Id, Pending, Stream},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "xpending",
        arity: -3,
        flags: Flags::READONLY,
        keys: KeySpec::ONE,
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "O(N) with N being the number of elements returned, so asking for a small fixed number of entries per call is O(1). O(M), where M is the total number of entries scanned when used with the IDLE filter. When the command returns just the summary and the list of consumers is small, it runs in O(1) time; otherwise, an additional O(N) time for iterating every consumer.",
        summary: "Return information and entries from a stream consumer group pending entries list, that are messages fetched but never acknowledged.",
        fanout: Fanout::Whole,
        examples: &["XPENDING x g", "XPENDING x g - + 10"],
        run: xpending,
    },
    CommandSpec {
        name: "xclaim",
        arity: -6,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "O(log N) with N being the number of messages in the PEL of the consumer group.",
        summary: "Changes (or acquires) ownership of a message in a consumer group, as if the message was delivered to the specified consumer.",
        fanout: Fanout::Whole,
        examples: &["XCLAIM x g other 0 1-1"],
        run: xclaim,
    },
    CommandSpec {
        name: "xautoclaim",
        arity: -6,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Stream,
        acl: &[],
        since: "6.2.0",
        complexity: "O(1) if COUNT is small.",
        summary: "Changes (or acquires) ownership of messages in a consumer group, as if the messages were delivered to the specified consumer.",
        fanout: Fanout::Whole,
        examples: &["XAUTOCLAIM x g other 0 0"],
        run: xautoclaim,
    },
];

/// What XPENDING with an interval is asked.
struct Interval<'a> {
    min_idle_ms: i64,
    start: Id,
    end: Id,
    count: i64,
    consumer: Option<&'a [u8]>,
}

impl<'a> Interval<'a> {
    fn parse(args: Args<'a>) -> Result<Self, CommandError> {
        let (mut at, mut min_idle_ms) = (3, 0);
        if args.get(3).eq_ignore_ascii_case(b"idle") {
            min_idle_ms = integer(args.get(4))?;
            if args.len() < 8 {
                return Err(CommandError::SYNTAX);
            }
            at = 5;
        }
        let count = integer(args.get(at + 2))?.max(0);
        let (start, end) = (start(args.get(at))?, end(args.get(at + 1))?);
        Ok(Self { min_idle_ms, start, end, count, consumer: args.try_get(at + 3) })
    }

    fn write(&self, group: &StreamGroup, now_ms: i64, reply: &mut Reply<'_>) {
        let own = self.consumer.map(|name| group.find(name).and_then(|no| group.consumer(no)));
        if let Some(None) = own {
            return reply.array(0);
        }
        let idle = |pending: &Pending| now_ms.saturating_sub(pending.delivered_ms);
        let wanted = |(id, pending): &(Id, Pending)| {
            *id <= self.end && (self.min_idle_ms == 0 || idle(pending) >= self.min_idle_ms)
        };
        let most = self.count as usize;
        let found: Vec<(Id, Pending)> = match own.flatten() {
            Some(own) => own
                .pending_from(self.start)
                .take_while(|id| *id <= self.end)
                .filter_map(|id| Some((id, group.pending(id)?)))
                .filter(wanted)
                .take(most)
                .collect(),
            None => group
                .pending_from(self.start)
                .take_while(|(id, _)| *id <= self.end)
                .filter(wanted)
                .take(most)
                .collect(),
        };
        reply.array(found.len());
        for (id, pending) in found {
            reply.array(4);
            write_id(reply, id);
            reply.bulk(group.owner(pending));
            reply.int(idle(&pending).max(0));
            reply.int(pending.deliveries as i64);
        }
    }
}

fn xpending(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let interval = match args.len() {
        3 => None,
        6..=9 => Some(Interval::parse(args)?),
        _ => return Err(CommandError::SYNTAX),
    };
    let (key, now_ms) = (cx.key(args.get(1)), cx.now_ms);
    let (stream, reply) = cx.view::<&Stream>(key)?;
    let group = stream.and_then(|stream| stream.group(args.get(2)));
    let group = group.ok_or_else(|| no_group(args.get(1), args.get(2)))?;
    match interval {
        Some(interval) => interval.write(group, now_ms, reply),
        None => write_summary(group, reply),
    }
    Ok(())
}

fn write_summary(group: &StreamGroup, reply: &mut Reply<'_>) {
    reply.array(4);
    reply.int(group.pending_len() as i64);
    let mut all = group.pending_from(Id::MIN);
    let Some((first, _)) = all.next() else {
        reply.null();
        reply.null();
        return reply.null_array();
    };
    write_id(reply, first);
    write_id(reply, all.next_back().map_or(first, |(last, _)| last));
    let owners = || group.consumers().filter(|consumer| consumer.pending_len() > 0);
    reply.array(owners().count());
    for consumer in owners() {
        reply.array(2);
        reply.bulk(consumer.name());
        reply.bulk_int(consumer.pending_len() as i64);
    }
}

/// What became of pending entries.
#[derive(Default)]
struct Claimed {
    taken: Vec<(Id, Pending)>,
    /// Deleted from the stream: pending no more.
    gone: Vec<Id>,
    /// The group's last id and entries read, when LASTID moved it.
    moved: Option<(Id, Option<i64>)>,
    /// Where the next XAUTOCLAIM starts.
    next: Id,
}

impl Claimed {
    fn log(&self, cx: &mut Ctx<'_>, place: Place<'_>) {
        let last = self.moved.map_or(Id::MIN, |(last, _)| last);
        for (id, pending) in &self.taken {
            place.log_claim(cx, *id, *pending, last);
        }
        for id in &self.gone {
            place.log_ack(cx, *id);
        }
        if let Some((last, read)) = self.moved {
            place.log_position(cx, last, read);
        }
    }

    fn write(&self, stream: &Stream, just_ids: bool, reply: &mut Reply<'_>) {
        reply.array(self.taken.len());
        for (id, _) in &self.taken {
            match stream.get(*id).filter(|_| !just_ids) {
                Some(entry) => write_entry(reply, entry),
                None => write_id(reply, *id),
            }
        }
    }
}

/// Options of XCLAIM.
struct Claim {
    ids: Vec<Id>,
    min_idle_ms: i64,
    at_ms: i64,
    deliveries: Option<u64>,
    force: bool,
    just_ids: bool,
    last_id: Id,
}

impl Claim {
    fn parse(cx: &Ctx<'_>, args: Args<'_>) -> Result<Self, CommandError> {
        let number = |at: usize, what: &str| {
            canonical_int(args.get(at)).ok_or_else(|| {
                CommandError::owned(format!("ERR Invalid {what} argument for XCLAIM"))
            })
        };
        let min_idle_ms = number(4, "min-idle-time")?.max(0);
        let ids: Vec<Id> = args.iter_from(5).map_while(|text| Id::parse(text, 0)).collect();
        let mut at = 5 + ids.len();
        let (mut given_ms, mut deliveries) = (None, None);
        let (mut force, mut just_ids, mut last_id) = (false, false, Id::MIN);
        while let Some(option) = args.try_get(at) {
            let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
            let more = at + 1 < args.len();
            if is("force") {
                force = true;
            } else if is("justid") {
                just_ids = true;
            } else if is("idle") && more {
                at += 1;
                given_ms = Some(cx.now_ms.wrapping_sub(number(at, "IDLE option")?));
            } else if is("time") && more {
                at += 1;
                given_ms = Some(number(at, "TIME option")?);
            } else if is("retrycount") && more {
                at += 1;
                deliveries = u64::try_from(number(at, "RETRYCOUNT option")?).ok();
            } else if is("lastid") && more {
                at += 1;
                last_id = id(args.get(at))?;
            } else {
                return Err(said(&[b"ERR Unrecognized XCLAIM option '", option, b"'"]));
            }
            at += 1;
        }
        // A time ahead is a clock that went back; the log's own times stay as they are.
        let ahead = |ms: i64| cx.is_live() && ms > cx.now_ms;
        let at_ms = given_ms.filter(|&ms| ms >= 0 && !ahead(ms)).unwrap_or(cx.now_ms);
        Ok(Self { ids, min_idle_ms, at_ms, deliveries, force, just_ids, last_id })
    }

    fn run(
        &self,
        stream: &Stream,
        group: &mut StreamGroup,
        consumer: &[u8],
        now_ms: i64,
    ) -> Claimed {
        let mut done = Claimed::default();
        if self.last_id > group.last_id {
            group.last_id = self.last_id;
            done.moved = Some((self.last_id, group.entries_read));
        }
        for &id in &self.ids {
            if stream.get(id).is_none() {
                if group.acknowledge(id) {
                    done.gone.push(id);
                }
                continue;
            }
            let before = group.pending(id);
            let deliveries = match before {
                Some(pending) => {
                    let idle_ms = now_ms.saturating_sub(pending.delivered_ms);
                    if self.min_idle_ms > 0 && idle_ms < self.min_idle_ms {
                        continue;
                    }
                    pending.deliveries
                }
                None if self.force => 1,
                None => continue,
            };
            let once_more = deliveries.saturating_add(u64::from(!self.just_ids));
            let (no, _) = group.seen(consumer, now_ms);
            group.deliver(id, no, self.at_ms, self.deliveries.unwrap_or(once_more));
            done.taken.extend(group.pending(id).map(|pending| (id, pending)));
        }
        done
    }
}

fn xclaim(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (key, name, consumer) = (cx.key(args.get(1)), args.get(2), args.get(3));
    let stream = cx.view::<&Stream>(key)?.0;
    if stream.is_none_or(|stream| stream.group(name).is_none()) {
        return Err(no_group(key.bytes, name));
    }
    let claim = Claim::parse(cx, args)?;
    let place = Place { key, group: name, consumer };
    cx.admit(place.bytes(claim.ids.len()))?;
    let (now_ms, resp3) = (cx.now_ms, cx.reply.is_resp3());
    let mut shown = Vec::new();
    let done = cx.edit(key, false, |stream: &mut Stream| {
        stream.edit_group(name, |stream, group| {
            let done = claim.run(stream, group, consumer, now_ms);
            done.write(stream, claim.just_ids, &mut Reply::new(&mut shown, resp3));
            done
        })
    })?;
    cx.reply.raw(&shown);
    if let Some(done) = done.flatten() {
        done.log(cx, place);
    }
    Ok(())
}

/// Pending entries that one XAUTOCLAIM looks at, for each that it may take.
const ATTEMPTS: usize = 10;

/// Options of XAUTOCLAIM.
struct AutoClaim {
    min_idle_ms: i64,
    start: Id,
    count: usize,
    just_ids: bool,
}

impl AutoClaim {
    fn parse(args: Args<'_>) -> Result<Self, CommandError> {
        let min_idle_ms = canonical_int(args.get(4))
            .ok_or(CommandError::new("ERR Invalid min-idle-time argument for XAUTOCLAIM"))?
            .max(0);
        let start = start(args.get(5))?;
        let (mut count, mut just_ids) = (100, false);
        let mut at = 6;
        while let Some(option) = args.try_get(at) {
            if option.eq_ignore_ascii_case(b"count") && at + 1 < args.len() {
                at += 1;
                count = canonical_int(args.get(at))
                    .filter(|count| (1..=i64::MAX / 16).contains(count))
                    .ok_or(CommandError::new("ERR COUNT must be > 0"))?;
            } else if option.eq_ignore_ascii_case(b"justid") {
                just_ids = true;
            } else {
                return Err(CommandError::SYNTAX);
            }
            at += 1;
        }
        Ok(Self { min_idle_ms, start, count: count as usize, just_ids })
    }

    fn run(
        &self,
        stream: &Stream,
        group: &mut StreamGroup,
        consumer: &[u8],
        now_ms: i64,
    ) -> Claimed {
        let mut done = Claimed::default();
        let (mut count, mut from) = (self.count, Some(self.start));
        let pending_at = |group: &StreamGroup, from: Option<Id>| group.pending_from(from?).next();
        for _ in 0..self.count.saturating_mul(ATTEMPTS) {
            if count == 0 {
                break;
            }
            let Some((id, pending)) = pending_at(group, from) else {
                from = None;
                break;
            };
            from = id.next();
            if stream.get(id).is_none() {
                group.acknowledge(id);
                done.gone.push(id);
                count -= 1;
                continue;
            }
            let idle_ms = now_ms.saturating_sub(pending.delivered_ms);
            if self.min_idle_ms > 0 && idle_ms < self.min_idle_ms {
                continue;
            }
            let (no, _) = group.seen(consumer, now_ms);
            let deliveries = pending.deliveries.saturating_add(u64::from(!self.just_ids));
            group.deliver(id, no, now_ms, deliveries);
            done.taken.extend(group.pending(id).map(|pending| (id, pending)));
            count -= 1;
        }
        done.next = pending_at(group, from).map_or(Id::MIN, |(id, _)| id);
        done
    }
}

fn xautoclaim(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let claim = AutoClaim::parse(args)?;
    let (key, name, consumer) = (cx.key(args.get(1)), args.get(2), args.get(3));
    let stream = cx.view::<&Stream>(key)?.0;
    let group = stream.and_then(|stream| stream.group(name));
    let pending = group.map(StreamGroup::pending_len).ok_or_else(|| no_group(key.bytes, name))?;
    let place = Place { key, group: name, consumer };
    cx.admit(place.bytes(pending.min(claim.count)))?;
    let (now_ms, resp3) = (cx.now_ms, cx.reply.is_resp3());
    let mut shown = Vec::new();
    let done = cx.edit(key, false, |stream: &mut Stream| {
        stream.edit_group(name, |stream, group| {
            let done = claim.run(stream, group, consumer, now_ms);
            let mut reply = Reply::new(&mut shown, resp3);
            reply.array(3);
            write_id(&mut reply, done.next);
            done.write(stream, claim.just_ids, &mut reply);
            reply.array(done.gone.len());
            done.gone.iter().for_each(|id| write_id(&mut reply, *id));
            done
        })
    })?;
    cx.reply.raw(&shown);
    if let Some(done) = done.flatten() {
        done.log(cx, place);
    }
    Ok(())
}
