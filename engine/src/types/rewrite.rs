//! The commands that make a collection: how one is logged that gets a new place, and how a stock
//! server reads it.
//!
//! Commands hold at most [`ITEMS_MAX`] elements, as those of Redis' own rewrite. Strings are not
//! here: one SET makes them.

use super::{HashRef, ListRef, SetRef, Stream, View, ZsetRef, packed::Item};
use crate::{keyspace::Value, number::write_double};

/// Elements in one command.
const ITEMS_MAX: usize = 64;

/// Emits the commands that make this collection under `key`, where nothing is.
pub fn rewrite(value: Value<'_>, key: &[u8], emit: &mut dyn FnMut(&[&[u8]])) {
    if let Some(list) = ListRef::of(value) {
        let mut pieces = Pieces::new(b"RPUSH", key, 1, emit);
        list.for_each(&mut |element| pieces.item(element));
        pieces.finish();
    } else if let Some(hash) = HashRef::of(value) {
        let mut pieces = Pieces::new(b"HSET", key, 2, emit);
        hash.for_each(&mut |field, value| {
            pieces.item(field);
            pieces.item(value);
        });
        pieces.finish();
    } else if let Some(set) = SetRef::of(value) {
        let mut pieces = Pieces::new(b"SADD", key, 1, emit);
        set.for_each(&mut |member| pieces.item(member));
        pieces.finish();
    } else if let Some(zset) = ZsetRef::of(value) {
        let mut pieces = Pieces::new(b"ZADD", key, 2, emit);
        let mut text = Vec::new();
        zset.for_each(&mut |member, score| {
            text.clear();
            write_double(&mut text, score);
            pieces.text(&text);
            pieces.item(member);
        });
        pieces.finish();
    } else if let Some(stream) = <&Stream>::of(value) {
        stream.rewrite(key, emit);
    }
}

/// Gathers elements into commands.
struct Pieces<'a> {
    name: &'static [u8],
    key: &'a [u8],
    /// Parts of one element.
    width: usize,
    /// The texts of a command, end to end, and where each ends.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    emit: &'a mut dyn FnMut(&[&[u8]]),
}

impl<'a> Pieces<'a> {
    fn new(
        name: &'static [u8],
        key: &'a [u8],
        width: usize,
        emit: &'a mut dyn FnMut(&[&[u8]]),
    ) -> Self {
        Self { name, key, width, bytes: Vec::new(), ends: Vec::new(), emit }
    }

    fn item(&mut self, item: Item<'_>) {
        self.text(item.bytes(&mut itoa::Buffer::new()));
    }

    fn text(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
        if self.ends.len() == ITEMS_MAX * self.width {
            self.finish();
        }
    }

    /// Emits what is gathered.
    fn finish(&mut self) {
        if self.ends.is_empty() {
            return;
        }
        let mut parts = vec![self.name, self.key];
        let mut start = 0;
        for &end in &self.ends {
            parts.push(&self.bytes[start..end]);
            start = end;
        }
        (self.emit)(&parts);
        self.bytes.clear();
        self.ends.clear();
    }
}
