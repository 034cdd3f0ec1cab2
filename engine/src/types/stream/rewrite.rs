//! The commands that make a stream.
//!
//! A pending entry may have been deleted from the stream, and XCLAIM takes only ids of entries
//! that are there. So such entries are added with the others, claimed, and removed again; the
//! counters come last.

use super::{Id, Stream};
use std::collections::BTreeSet;

impl Stream {
    /// Emits the commands that make this stream under `key`, where nothing is.
    pub(in crate::types) fn rewrite(&self, key: &[u8], emit: &mut dyn FnMut(&[&[u8]])) {
        let gone = self.pending_but_gone();
        let mut gone_ids = gone.iter().copied().peekable();
        let mut add_gone = |below: Id, emit: &mut dyn FnMut(&[&[u8]])| {
            while let Some(id) = gone_ids.next_if(|id| *id < below) {
                emit(&[b"XADD", key, id.text().as_bytes(), b"x", b"y"]);
            }
        };
        for entry in self.upwards(Id::MIN, Id::MAX) {
            add_gone(entry.id, emit);
            let id = entry.id.text();
            let mut parts = vec![&b"XADD"[..], key, id.as_bytes()];
            entry.pairs().for_each(|(field, value)| parts.extend([field, value]));
            emit(&parts);
        }
        add_gone(Id::MAX, emit);
        if self.len == 0 && gone.is_empty() {
            emit(&[b"XADD", key, b"MAXLEN", b"0", b"0-1", b"x", b"y"]);
        }
        for (name, group) in self.groups() {
            let read = group.entries_read.unwrap_or(-1).to_string();
            let last = group.last_id.text();
            emit(&[
                b"XGROUP",
                b"CREATE",
                key,
                name,
                last.as_bytes(),
                b"ENTRIESREAD",
                read.as_bytes(),
            ]);
            for consumer in group.consumers() {
                if consumer.pending_len() == 0 {
                    emit(&[b"XGROUP", b"CREATECONSUMER", key, name, consumer.name()]);
                }
            }
            for (id, pending) in group.pending_from(Id::MIN) {
                emit(&[
                    b"XCLAIM",
                    key,
                    name,
                    group.owner(pending),
                    b"0",
                    id.text().as_bytes(),
                    b"TIME",
                    pending.delivered_ms.to_string().as_bytes(),
                    b"RETRYCOUNT",
                    pending.deliveries.to_string().as_bytes(),
                    b"JUSTID",
                    b"FORCE",
                ]);
            }
        }
        self.remove_gone(key, &gone, emit);
        self.counters(key, emit);
    }

    /// Ids that are pending somewhere but are not in the stream.
    fn pending_but_gone(&self) -> BTreeSet<Id> {
        let mut pending = BTreeSet::new();
        for (_, group) in self.groups() {
            pending.extend(group.pending_from(Id::MIN).map(|(id, _)| id));
        }
        pending.retain(|id| self.get(*id).is_none());
        pending
    }

    /// What lies below the first entry was trimmed, or may have been: XTRIM takes it without
    /// touching the highest deleted id. What lies above was deleted, and that id is higher still.
    fn remove_gone(&self, key: &[u8], gone: &BTreeSet<Id>, emit: &mut dyn FnMut(&[&[u8]])) {
        if gone.is_empty() {
            return;
        }
        if self.len == 0 {
            return emit(&[b"XTRIM", key, b"MAXLEN", b"=", b"0"]);
        }
        emit(&[b"XTRIM", key, b"MINID", b"=", self.first_id.text().as_bytes()]);
        for id in gone.range(self.first_id..) {
            emit(&[b"XDEL", key, id.text().as_bytes()]);
        }
    }

    /// XSETID may have set the last id below the highest deleted one, but takes no such pair: then
    /// both become the deleted one first.
    fn counters(&self, key: &[u8], emit: &mut dyn FnMut(&[&[u8]])) {
        let last = self.last_id.text();
        emit(&[
            b"XSETID",
            key,
            self.last_id.max(self.max_deleted_id).text().as_bytes(),
            b"ENTRIESADDED",
            self.entries_added.to_string().as_bytes(),
            b"MAXDELETEDID",
            self.max_deleted_id.text().as_bytes(),
        ]);
        if self.last_id < self.max_deleted_id {
            emit(&[b"XSETID", key, last.as_bytes()]);
        }
    }
}
