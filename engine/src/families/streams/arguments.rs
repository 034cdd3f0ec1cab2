//! Ids, options and errors that several commands on streams share, and how an entry is shown.

use crate::{
    command::{Args, CommandError, Reply, quoted},
    keyspace::canonical_int,
    types::stream::{Entry, Id, Stream},
};

pub(super) const INVALID_ID: CommandError =
    CommandError::new("ERR Invalid stream ID specified as stream command argument");

/// An exact id.
pub(super) fn id(text: &[u8]) -> Result<Id, CommandError> {
    Id::parse(text, 0).ok_or(INVALID_ID)
}

/// Ids `from` and all behind.
pub(super) fn ids(args: Args<'_>, from: usize) -> Result<Vec<Id>, CommandError> {
    args.iter_from(from).map(id).collect()
}

/// The start of an interval, `(` excludes.
pub(super) fn start(text: &[u8]) -> Result<Id, CommandError> {
    match text.strip_prefix(b"(").filter(|id| !id.is_empty()) {
        Some(text) => {
            id(text)?.next().ok_or(CommandError::new("ERR invalid start ID for the interval"))
        }
        None => Id::parse_bound(text, 0).ok_or(INVALID_ID),
    }
}

/// The end of an interval, `(` excludes.
pub(super) fn end(text: &[u8]) -> Result<Id, CommandError> {
    match text.strip_prefix(b"(").filter(|id| !id.is_empty()) {
        Some(text) => Id::parse(text, u64::MAX)
            .ok_or(INVALID_ID)?
            .prev()
            .ok_or(CommandError::new("ERR invalid end ID for the interval")),
        None => Id::parse_bound(text, u64::MAX).ok_or(INVALID_ID),
    }
}

/// An integer.
pub(super) fn integer(text: &[u8]) -> Result<i64, CommandError> {
    canonical_int(text).ok_or(CommandError::NOT_AN_INTEGER)
}

/// An error made of texts of the command line and others.
pub(super) fn said(parts: &[&[u8]]) -> CommandError {
    let shown: Vec<&[u8]> = parts.iter().map(|part| quoted(part, usize::MAX)).collect();
    CommandError::of_bytes(shown.concat())
}

/// No such group.
pub(super) fn no_group(key: &[u8], group: &[u8]) -> CommandError {
    said(&[b"NOGROUP No such key '", key, b"' or consumer group '", group, b"'"])
}

/// No such group of a key that is there.
pub(super) fn no_group_of(key: &[u8], group: &[u8]) -> CommandError {
    said(&[b"NOGROUP No such consumer group '", group, b"' for key name '", key, b"'"])
}

/// A sub-command that does not exist, or takes other arguments.
pub(super) fn wrong_sub(args: Args<'_>) -> CommandError {
    let sub = args.try_get(1).unwrap_or_default();
    let (sub, name) = (&sub[..sub.len().min(128)], args.get(0).to_ascii_uppercase());
    let before = b"ERR unknown subcommand or wrong number of arguments for '";
    said(&[before, sub, b"'. Try ", &name, b" HELP."])
}

/// A sub-command that does not exist.
pub(super) fn unknown_sub(args: Args<'_>) -> CommandError {
    let sub = args.try_get(1).unwrap_or_default();
    let (sub, name) = (&sub[..sub.len().min(128)], args.get(0).to_ascii_uppercase());
    said(&[b"ERR unknown subcommand '", sub, b"'. Try ", &name, b" HELP."])
}

/// Writes an id.
pub(super) fn write_id(reply: &mut Reply<'_>, id: Id) {
    reply.bulk(id.text().as_bytes());
}

/// Writes an entry: its id, and its fields and values.
pub(super) fn write_entry(reply: &mut Reply<'_>, entry: Entry<'_>) {
    reply.array(2);
    write_id(reply, entry.id);
    reply.array(2 * entry.count());
    for (field, value) in entry.pairs() {
        reply.bulk(field);
        reply.bulk(value);
    }
}

/// Writes entries `start..=end` upwards as an array, at most `most`.
pub(super) fn write_range(reply: &mut Reply<'_>, stream: &Stream, start: Id, end: Id, most: u64) {
    let count = stream.count(start, end, most);
    reply.array(count as usize);
    let entries = stream.upwards(start, end).take(count as usize);
    entries.for_each(|entry| write_entry(reply, entry));
}

/// A number of entries where 0 means all.
pub(super) fn all_if_zero(count: i64) -> u64 {
    if count == 0 { u64::MAX } else { count as u64 }
}
