//! One node of a stream being written: its entries as differences to the first one. The layout is
//! in `stream.rs`.

use super::{
    event::{Element, StreamId, Text},
    listpack::ListpackWriter,
    writer::Unwritable,
};

/// The entry has its own fields.
const OWN_FIELDS: i64 = 0;
/// The entry has the fields of the node's first one.
const SAME_FIELDS: i64 = 2;

/// Collects the entries of a node.
#[derive(Default)]
pub struct NodeWriter {
    id: Option<StreamId>,
    /// Fields of the first entry.
    master: Vec<Vec<u8>>,
    entries: ListpackWriter,
    live: u64,
    /// The entry whose pairs are being collected, and how many are still to come.
    entry: Option<(StreamId, u64)>,
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Of the stream.
    first: Option<StreamId>,
}

impl NodeWriter {
    /// Of a stream without entries so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a node.
    pub fn begin(&mut self, id: StreamId) {
        self.id = Some(id);
    }

    /// The first entry of the stream.
    pub fn first_id(&self) -> Option<StreamId> {
        self.first
    }

    /// Takes an entry or one of its pairs.
    pub fn take(&mut self, element: Element<Text<'_>>) -> Result<(), Unwritable> {
        if self.id.is_none() {
            return Err(Unwritable::Elements);
        }
        match (element, &mut self.entry) {
            (Element::Entry(id, pairs), None | Some((_, 0))) => {
                self.close_entry();
                self.first = self.first.or(Some(id));
                self.entry = Some((id, pairs));
            }
            (Element::Pair(field, value), Some((_, left @ 1..))) => {
                *left -= 1;
                self.pairs.push((field.to_vec(), value.to_vec()));
            }
            _ => return Err(Unwritable::Elements),
        }
        Ok(())
    }

    fn close_entry(&mut self) {
        let (Some((id, _)), Some(node)) = (self.entry.take(), self.id) else { return };
        if self.live == 0 {
            self.master = self.pairs.iter().map(|(field, _)| field.clone()).collect();
        }
        self.live += 1;
        let same = self.pairs.iter().map(|(field, _)| field).eq(&self.master);
        let entries = &mut self.entries;
        entries.push_int(if same { SAME_FIELDS } else { OWN_FIELDS });
        entries.push_int(id.ms.wrapping_sub(node.ms) as i64);
        entries.push_int(id.seq.wrapping_sub(node.seq) as i64);
        let pairs = self.pairs.len() as i64;
        if !same {
            entries.push_int(pairs);
        }
        for (field, value) in self.pairs.drain(..) {
            if !same {
                entries.push(&field);
            }
            entries.push(&value);
        }
        entries.push_int(if same { 3 + pairs } else { 4 + 2 * pairs });
    }

    /// The node that was begun, if there is one.
    pub fn finish(&mut self) -> Option<(StreamId, Vec<u8>)> {
        self.close_entry();
        let id = self.id.take()?;
        let mut listpack = ListpackWriter::new();
        listpack.push_int(self.live as i64);
        listpack.push_int(0);
        listpack.push_int(self.master.len() as i64);
        self.master.drain(..).for_each(|field| listpack.push(&field));
        listpack.push_int(0);
        listpack.append(&std::mem::take(&mut self.entries));
        self.live = 0;
        Some((id, listpack.finish()))
    }
}
