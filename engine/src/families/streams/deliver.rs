//! Deliveries to consumers and their acknowledgement.

use super::{
    arguments::{all_if_zero, id, ids, said, write_entry, write_id},
    log::Place,
    read::{NO_GROUP, Request},
};
use crate::{
    command::{Args, CommandError, CommandSpec, Ctx, Fanout, Flags, Group, KeySpec, Reply},
    effect::Effect,
    types::stream::{ConsumerNo, Group as StreamGroup, Id, Pending, Stream},
};

/// Rows.
pub const SPECS: &[CommandSpec] = &[
    CommandSpec {
        name: "xreadgroup",
        arity: -7,
        flags: Flags::WRITE.with(Flags::BLOCKING).with(Flags::MOVABLEKEYS),
        keys: KeySpec::Streams { from: 4 },
        group: Group::Stream,
        acl: &["@blocking"],
        since: "5.0.0",
        complexity: "For each stream mentioned: O(M) with M being the number of elements returned. If M is constant (e.g. always asking for the first 10 elements with COUNT), you can consider it O(1). On the other side when XREADGROUP blocks, XADD will pay the O(N) time in order to serve the N clients blocked on the stream getting new data.",
        summary: "Return new entries from a stream using a consumer group, or access the history of the pending entries for a given consumer. Can block.",
        fanout: Fanout::Streams,
        examples: &["XREADGROUP GROUP g c STREAMS x >", "XREADGROUP GROUP g c NOACK STREAMS x >"],
        run: xreadgroup,
    },
    CommandSpec {
        name: "xack",
        arity: -4,
        flags: Flags::WRITE.with(Flags::FAST),
        keys: KeySpec::ONE,
        group: Group::Stream,
        acl: &[],
        since: "5.0.0",
        complexity: "O(1) for each message ID processed.",
        summary: "Marks a pending message as correctly processed, effectively removing it from the pending entries list of the consumer group. Return value of the command is the number of messages successfully acknowledged, that is, the IDs we were actually able to resolve in the PEL.",
        fanout: Fanout::Whole,
        examples: &["XACK x g 1-1"],
        run: xack,
    },
];

/// What one stream is read from: its history behind an id, or what is new.
#[derive(Clone, Copy, PartialEq, Eq)]
enum From {
    History(Id),
    New,
}

/// What a delivery did.
struct Delivered {
    created: bool,
    claims: Vec<(Id, Pending)>,
    /// The group's last id and entries read, when they moved.
    moved: Option<(Id, Option<i64>)>,
}

/// A delivery of one stream.
struct Delivery<'a> {
    consumer: &'a [u8],
    from: From,
    count: u64,
    no_ack: bool,
    now_ms: i64,
}

impl Delivery<'_> {
    /// Delivers and writes the entries; nothing is delivered when nothing is new.
    fn run(&self, stream: &Stream, group: &mut StreamGroup, reply: &mut Reply<'_>) -> Delivered {
        let (no, created) = group.seen(self.consumer, self.now_ms);
        let mut done = Delivered { created, claims: Vec::new(), moved: None };
        match self.from {
            From::History(after) => self.history(stream, group, no, after, reply, &mut done),
            From::New => self.new_entries(stream, group, no, reply, &mut done),
        }
        done
    }

    fn history(
        &self,
        stream: &Stream,
        group: &mut StreamGroup,
        no: ConsumerNo,
        after: Id,
        reply: &mut Reply<'_>,
        done: &mut Delivered,
    ) {
        let start = after.next().unwrap_or(Id::MAX);
        let most = usize::try_from(self.count).unwrap_or(usize::MAX);
        let ids: Vec<Id> = match group.consumer(no) {
            Some(consumer) => consumer.pending_from(start).take(most).collect(),
            None => Vec::new(),
        };
        reply.array(ids.len());
        for id in ids {
            let Some(entry) = stream.get(id) else {
                reply.array(2);
                write_id(reply, id);
                reply.null_array();
                continue;
            };
            write_entry(reply, entry);
            let deliveries = group.pending(id).map_or(0, |pending| pending.deliveries);
            group.deliver(id, no, self.now_ms, deliveries.saturating_add(1));
            done.claims.extend(group.pending(id).map(|pending| (id, pending)));
        }
    }

    fn new_entries(
        &self,
        stream: &Stream,
        group: &mut StreamGroup,
        no: ConsumerNo,
        reply: &mut Reply<'_>,
        done: &mut Delivered,
    ) {
        let start = group.last_id.next().unwrap_or(Id::MAX);
        let count = stream.count(start, Id::MAX, self.count);
        reply.array(count as usize);
        for entry in stream.upwards(start, Id::MAX).take(count as usize) {
            let id = entry.id;
            match group.entries_read {
                Some(read) if !stream.has_holes_from(id) => {
                    group.entries_read = Some(read.wrapping_add(1));
                }
                _ if stream.entries_added() > 0 => {
                    group.entries_read = stream.entries_up_to(id);
                }
                _ => {}
            }
            group.last_id = id;
            done.moved = Some((id, group.entries_read));
            write_entry(reply, entry);
            if !self.no_ack {
                group.deliver(id, no, self.now_ms, 1);
                done.claims.extend(group.pending(id).map(|pending| (id, pending)));
            }
        }
    }
}

/// A key, what is read of its stream, and how many entries.
type Planned<'a> = (&'a [u8], From, usize);

/// What is to be read of each stream that has something, and how many entries that are.
fn plan<'a>(
    cx: &mut Ctx<'_>,
    args: Args<'a>,
    request: &Request<'_>,
    name: &[u8],
    consumer: &[u8],
) -> Result<Vec<Planned<'a>>, CommandError> {
    let mut served: Vec<Planned<'a>> = Vec::new();
    let has_waited = cx.is_again();
    for index in 0..request.streams {
        let at = request.first + index;
        let key = cx.key(args.get(at));
        let stream = cx.view::<&Stream>(key)?.0;
        let found = stream.and_then(|stream| Some((stream, stream.group(name)?)));
        let Some((stream, group)) = found else {
            if has_waited {
                return Err(CommandError::new(
                    "NOGROUP the consumer group this client was blocked on no longer exists",
                ));
            }
            let behind = b"' in XREADGROUP with GROUP option";
            let (before, between) = (b"NOGROUP No such key '", b"' or consumer group '");
            return Err(said(&[before, key.bytes, between, name, behind]));
        };
        let most = all_if_zero(request.count);
        let (from, count) = match args.get(at + request.streams) {
            b"$" => {
                return Err(CommandError::new(
                    "ERR The $ ID is meaningless in the context of XREADGROUP: you want to read the history of this consumer by specifying a proper ID, or use the > ID to get new messages. The $ ID would just return an empty result set.",
                ));
            }
            text => {
                // The highest id is how Redis says `>` to itself.
                let after = if text == b">" { Id::MAX } else { id(text)? };
                let own = group.find(consumer).and_then(|no| group.consumer(no));
                let pending = own.map_or(0, |own| own.pending_len() as u64);
                let start = group.last_id.next().unwrap_or(Id::MAX);
                let has_new = stream.length() > 0 && stream.top_id() > group.last_id;
                match after {
                    // A key that is named again gives what is left then.
                    Id::MAX if has_new => {
                        let of_key =
                            |other: &&Planned<'_>| (other.0, other.1) == (key.bytes, From::New);
                        let before: usize = served.iter().filter(of_key).map(|p| p.2).sum();
                        let until = most.saturating_add(before as u64);
                        (From::New, stream.count(start, Id::MAX, until) - before as u64)
                    }
                    Id::MAX => (From::New, 0),
                    id => (From::History(id), pending.min(most)),
                }
            }
        };
        // Who has waited hears of every new id, even when its entry has been trimmed away since.
        let is_told = has_waited && stream.last_id() > group.last_id;
        if count > 0 || from != From::New || is_told {
            served.push((key.bytes, from, count as usize));
        }
    }
    Ok(served)
}

/// Looks whether an XREADGROUP could read its streams, and reads none.
///
/// # Errors
/// What the command would answer.
pub fn check(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let request = Request::parse(args, true)?;
    let (name, consumer) = request.group.ok_or(NO_GROUP)?;
    plan(cx, args, &request, name, consumer).map(drop)
}

fn xreadgroup(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let request = Request::parse(args, true)?;
    let Some((name, consumer)) = request.group else {
        return Err(NO_GROUP);
    };
    let served = plan(cx, args, &request, name, consumer)?;
    if served.is_empty() {
        request.nothing(cx, None);
        return Ok(());
    }
    cx.claim()?;
    let place = |key: &'_ [u8], cx: &Ctx<'_>| cx.key(key).bytes.len() + name.len() + consumer.len();
    let bytes = served.iter().map(|(key, _, count)| (count + 2) * (place(key, cx) + 320));
    cx.admit(bytes.sum())?;
    let resp3 = cx.reply.is_resp3();
    if resp3 {
        cx.reply.map(served.len());
    } else {
        cx.reply.array(served.len());
    }
    for (key, from, _) in served {
        let key = cx.key(key);
        let (count, no_ack, now_ms) = (all_if_zero(request.count), request.no_ack, cx.now_ms);
        let delivery = Delivery { consumer, from, count, no_ack, now_ms };
        let mut shown = Vec::new();
        let done = cx.edit(key, false, |stream: &mut Stream| {
            let mut reply = Reply::new(&mut shown, resp3);
            stream.edit_group(name, |stream, group| delivery.run(stream, group, &mut reply))
        })?;
        if !resp3 {
            cx.reply.array(2);
        }
        cx.reply.bulk(key.bytes);
        cx.reply.raw(&shown);
        if let Some(done) = done.flatten() {
            log(cx, Place { key, group: name, consumer }, &done);
        }
    }
    Ok(())
}

fn log(cx: &mut Ctx<'_>, place: Place<'_>, done: &Delivered) {
    if done.created {
        place.log_consumer(cx);
    }
    let last = done.moved.map_or(Id::MIN, |(last, _)| last);
    for (id, pending) in &done.claims {
        place.log_claim(cx, *id, *pending, last);
    }
    // XCLAIM moves the group, but does not say how many entries have been read.
    if let Some((last, read)) = done.moved {
        place.log_position(cx, last, read);
    }
}

fn xack(cx: &mut Ctx<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let (key, name) = (cx.key(args.get(1)), args.get(2));
    let stream = cx.view::<&Stream>(key)?.0;
    if stream.is_none_or(|stream| stream.group(name).is_none()) {
        cx.reply.int(0);
        return Ok(());
    }
    let ids = ids(args, 3)?;
    let done = cx.edit(key, false, |stream: &mut Stream| {
        stream.edit_group(name, |_, group| ids.iter().filter(|id| group.acknowledge(**id)).count())
    })?;
    let done = done.flatten().unwrap_or(0);
    if done > 0 {
        cx.effect_aside(key.hash, Effect::Verbatim { args });
    }
    cx.reply.int(done as i64);
    Ok(())
}
