//! XREAD and XREADGROUP whose keys are on several shards.
//!
//! Each shard reads its own streams, as a command of its own; what they find is put together in the
//! order of the keys. When no shard finds anything and the command may wait, it does: see
//! `blocking.rs`. What XREAD finds is of one moment (`reads.rs`); a group that one shard does not know is
//! found out before any shard delivers, unless it goes in between.

use super::{
    Taken,
    account::Call,
    everywhere::Task,
    gather::{Gather, Join},
    hop::Return,
    is_write,
};
use crate::{net::connection::Connection, runtime::core::Core};
use quire_engine::{
    command::{Args, CommandSpec, OwnedArgs, Reply},
    families::{streams::read, table::SPECS},
};

impl Core {
    /// Asks every shard that owns some of the streams.
    pub(super) fn read_streams_widely(
        &mut self,
        conn: &mut Connection,
        spec: &'static CommandSpec,
        id: u16,
        args: Args<'_>,
    ) -> Taken {
        let groups = is_write(spec);
        if let Err(error) = read::check_arguments(args, groups) {
            return self.reject(conn, id, error);
        }
        let owned = OwnedArgs::from_slices(&args.iter_from(0).collect::<Vec<_>>());
        let call = Call::new(id, spec.flags, args);
        if !groups {
            let gather = Gather::new(Join::Streams(id, OwnedArgs::new()), 0);
            let seq = self.open_gather(conn, gather, call);
            self.ask_streams(conn, seq, id, owned);
            return self.after_start(conn);
        }
        let keys: Vec<usize> = spec.keys.positions(args).collect();
        let gather = Gather::new(Join::CanRead(id, owned), keys.len());
        let seq = self.open_gather(conn, gather, call);
        let db = conn.session.db as u16;
        for (number, at) in keys.into_iter().enumerate() {
            let shard = self.owner_of(args.get(at));
            let narrow = spec.keys.narrowed(args, &[at]);
            let part = number as u16;
            self.task_at(conn, shard, Task::CheckRead, seq, part, db, narrow.as_args());
        }
        self.after_start(conn)
    }

    /// Asks for what their streams have.
    pub(super) fn ask_streams(
        &mut self,
        conn: &mut Connection,
        seq: u32,
        id: u16,
        owned: OwnedArgs,
    ) {
        let spec = SPECS[usize::from(id)];
        let whole = owned.clone();
        let args = whole.as_args();
        let parts = self.stream_parts(spec, args);
        let cut = if is_write(spec) { 0 } else { self.take_cut() };
        if let Some(slot) = conn.slot(seq) {
            let join = Join::Streams(id, owned);
            slot.gather = Some(Box::new(Gather::reading(join, parts.len(), cut)));
        }
        for (number, (shard, keys)) in parts.into_iter().enumerate() {
            let to = Return { seq, part: number as u16, ..self.return_to(conn) };
            let narrow = spec.keys.narrowed(args, &keys);
            self.part_at(conn, shard, spec, id, to, narrow.as_args());
        }
        Self::hold_writes(conn);
    }

    /// Which shard reads which keys: positions in `args`. A key that is named twice is in two parts,
    /// so that a part's reply tells which of the two had something.
    fn stream_parts(&self, spec: &CommandSpec, args: Args<'_>) -> Vec<(u16, Vec<usize>)> {
        let mut parts: Vec<(u16, Vec<usize>)> = Vec::new();
        for at in spec.keys.positions(args) {
            let (shard, key) = (self.owner_of(args.get(at)), args.get(at));
            let is_new = |keys: &[usize]| keys.iter().all(|&other| args.get(other) != key);
            match parts.iter_mut().find(|(known, keys)| *known == shard && is_new(keys)) {
                Some((_, keys)) => keys.push(at),
                None => parts.push((shard, vec![at])),
            }
        }
        parts
    }

    /// All shards have answered: the reply, or none when the command waits from now on.
    pub(super) fn join_streams(
        &mut self,
        conn: &mut Connection,
        seq: u32,
        (id, args): (u16, &OwnedArgs),
        parts: &[Vec<u8>],
    ) -> Option<Vec<u8>> {
        if let Some(error) = parts.iter().find(|part| part.first() == Some(&b'-')) {
            return Some(error.clone());
        }
        let spec = SPECS[usize::from(id)];
        let args = args.as_args();
        let mut found: Vec<(usize, &[u8])> = Vec::new();
        for ((_, keys), part) in self.stream_parts(spec, args).iter().zip(parts) {
            for entry in entries(part) {
                let key = key_of(entry);
                let place = keys.iter().find(|&&at| key == Some(args.get(at)));
                found.push((place.copied().unwrap_or(usize::MAX), entry));
            }
        }
        let is_transaction = self.executing && !self.session.is_rereading;
        if found.is_empty() && may_wait(args) && !is_transaction {
            let steps = self.steps_of(spec, args);
            // To wait is not part of a session.
            let executing = std::mem::take(&mut self.executing);
            self.start_wait(conn, id, seq, steps);
            self.executing = executing;
            return None;
        }
        found.sort_by_key(|(place, _)| *place);
        let mut out = Vec::new();
        let mut reply = Reply::new(&mut out, conn.session.resp3);
        match found.len() {
            0 => reply.null_array(),
            n if reply.is_resp3() => reply.map(n),
            n => reply.array(n),
        }
        found.iter().for_each(|(_, entry)| reply.raw(entry));
        Some(out)
    }
}

/// True when the option BLOCK stands before STREAMS.
fn may_wait(args: Args<'_>) -> bool {
    let end = quire_engine::command::streams_at(args).unwrap_or(args.len());
    let mut at = 1;
    while at < end {
        let is = |name: &str| args.get(at).eq_ignore_ascii_case(name.as_bytes());
        if is("block") {
            return true;
        }
        at += if is("group") { 3 } else { 1 + usize::from(is("count")) };
    }
    false
}

/// What a part's reply says of each stream: an array of key and entries, or in RESP3 the two
/// behind each other.
fn entries(part: &[u8]) -> Vec<&[u8]> {
    let (Some(count), Some(mut at)) = (count_of(part), line_end(part, 0)) else {
        return Vec::new();
    };
    let values = if part[0] == b'%' { 2 } else { 1 };
    let mut found = Vec::new();
    for _ in 0..count {
        let start = at;
        for _ in 0..values {
            at = value_end(part, at);
        }
        found.push(&part[start..at]);
    }
    found
}

/// The key of such an entry.
fn key_of(entry: &[u8]) -> Option<&[u8]> {
    let start = if entry.first() == Some(&b'*') { line_end(entry, 0)? } else { 0 };
    let from = line_end(entry, start)?;
    entry.get(from..from + count_of(&entry[start..])?)
}

fn line_end(reply: &[u8], at: usize) -> Option<usize> {
    memchr::memchr(b'\n', reply.get(at..)?).map(|found| at + found + 1)
}

/// The number behind a reply's first byte; none below zero.
fn count_of(reply: &[u8]) -> Option<usize> {
    let end = memchr::memchr(b'\r', reply)?;
    std::str::from_utf8(reply.get(1..end)?).ok()?.parse().ok()
}

/// Where the value that begins at a place ends.
fn value_end(reply: &[u8], at: usize) -> usize {
    let Some(mut end) = line_end(reply, at) else { return reply.len() };
    let count = count_of(&reply[at..]).unwrap_or(0);
    match reply[at] {
        b'$' if reply[at + 1] != b'-' => end + count + 2,
        b'*' | b'%' | b'~' => {
            let values = if reply[at] == b'%' { 2 * count } else { count };
            for _ in 0..values {
                end = value_end(reply, end);
            }
            end
        }
        _ => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_stream_has_is_found_in_both_protocols() {
        let one = "*2\r\n$1\r\na\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nf\r\n$0\r\n\r\n";
        let two = "*2\r\n$2\r\nb\n\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*-1\r\n";
        let part = format!("*2\r\n{one}{two}");
        let found = entries(part.as_bytes());
        assert_eq!(found, [one.as_bytes(), two.as_bytes()]);
        let keys: Vec<_> = found.into_iter().filter_map(key_of).collect();
        assert_eq!(keys, [&b"a"[..], b"b\n"]);
        let part = format!("%2\r\n{}{}", &one[4..], &two[4..]);
        let found = entries(part.as_bytes());
        assert_eq!(found, [&one.as_bytes()[4..], &two.as_bytes()[4..]]);
        assert_eq!(key_of(found[1]), Some(&b"b\n"[..]));
        assert!(entries(b"*-1\r\n").is_empty() && entries(b"_\r\n").is_empty());
    }
}
