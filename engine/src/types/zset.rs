//! Sorted sets: members, each once, with scores; in the order of scores, then of texts.
//!
//! Small: packed `member score member score ...`, in order. Big: a table of members, whose values
//! are the scores' bits, and a counting tree over its entries (`zset/tree.rs`).

mod range;
mod tree;

pub use range::{LexBound, ScoreBound};

use self::tree::{Item as Leaf, Tree};
use super::{
    Collection, Form, Limits, Object, ValueType, View,
    packed::{self, At, Item, Packed, Wanted},
};
use crate::{
    keyspace::{KeyHasher, Str, Table, Trash, Value},
    number::{parse_double, write_double},
};
use std::cmp::Ordering;

/// A sorted set.
#[derive(Clone)]
pub enum Zset {
    /// Packed members and scores.
    Small(Vec<u8>),
    /// A table of members and a tree over it.
    Big(Ranked),
}

/// A sorted set to be read.
#[derive(Clone, Copy)]
pub enum ZsetRef<'a> {
    /// Packed members and scores.
    Small(Packed<'a>),
    /// A table of members and a tree over it.
    Big(&'a Ranked),
}

/// The big form.
pub struct Ranked {
    table: Table,
    tree: Tree,
}

impl Clone for Ranked {
    fn clone(&self) -> Self {
        let mut copy = Self { table: Table::empty_like(&self.table), tree: Tree::default() };
        self.tree.upwards(0, &mut |item| {
            copy.set(self.text(item), item.score);
            true
        });
        copy
    }
}

fn bits(score: f64) -> Str<'static> {
    Str::Int(score.to_bits() as i64)
}

fn score_of(value: Str<'_>) -> f64 {
    match value {
        Str::Int(bits) => f64::from_bits(bits as u64),
        Str::Bytes(_) => unreachable!("values of a sorted set's table are bits of scores"),
    }
}

impl Ranked {
    /// The text of one of the tree's items.
    #[inline]
    fn text(&self, item: &Leaf) -> &[u8] {
        // SAFETY: the tree names entries of its table, which is borrowed as long as the result.
        unsafe { item.handle.text() }
    }

    /// Hands table and tree to the trash.
    pub(super) fn dismantle(self, trash: &mut Trash) {
        trash.table(self.table);
        // The tree is taken first. It names the table's entries, but does not look at them.
        trash.part(self.tree.into_nodes());
    }

    fn score(&self, member: &[u8]) -> Option<f64> {
        self.table.get(member).map(|entry| score_of(entry.value()))
    }

    /// Gives a member a score; the one it had.
    fn set(&mut self, member: &[u8], score: f64) -> Option<f64> {
        let before = self.score(member);
        // The same score is left as it is, a negative zero too.
        if before.is_some_and(|before| before == score) {
            return before;
        }
        if let Some(before) = before {
            self.tree.remove(before, member);
        }
        self.table.set(member, bits(score));
        let handle = self.table.handle(member).expect("it was just put in");
        self.tree.insert(Leaf { score, handle });
        before
    }

    fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let score = self.score(member)?;
        // ORDER: the tree looks at the entry's text, so it forgets the entry first.
        self.tree.remove(score, member);
        self.table.remove(member);
        Some(score)
    }
}

/// The score at a place of a packed set.
fn packed_score(packed: Packed<'_>, at: At) -> f64 {
    match packed.get(at) {
        Item::Int(n) => n as f64,
        Item::Bytes(text) => parse_double(text).unwrap_or(0.0),
    }
}

/// Members with scores of a packed set, in order.
fn pairs<'a>(packed: Packed<'a>) -> impl Iterator<Item = (At, Item<'a>, f64)> {
    let mut next = packed.first();
    std::iter::from_fn(move || {
        let at = next?;
        let score = packed.next(at)?;
        next = packed.next(score);
        Some((at, packed.get(at), packed_score(packed, score)))
    })
}

impl<'a> ZsetRef<'a> {
    /// Number of members.
    pub fn len(self) -> usize {
        match self {
            ZsetRef::Small(packed) => packed.len() / 2,
            ZsetRef::Big(ranked) => ranked.table.len(),
        }
    }

    /// True when there is none; never so of a sorted set in the keyspace.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The score of a member.
    #[inline]
    pub fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            ZsetRef::Small(packed) => {
                let at = packed.find(&Wanted::new(member), 2)?;
                packed.next(at).map(|at| packed_score(packed, at))
            }
            ZsetRef::Big(ranked) => ranked.score(member),
        }
    }

    /// The rank of a member, 0 the lowest, with its score.
    pub fn rank(self, member: &[u8]) -> Option<(usize, f64)> {
        match self {
            ZsetRef::Small(packed) => {
                let wanted = Wanted::new(member);
                pairs(packed)
                    .enumerate()
                    .find(|(_, (_, item, _))| item.is(&wanted))
                    .map(|(rank, (_, _, score))| (rank, score))
            }
            ZsetRef::Big(ranked) => {
                let score = ranked.score(member)?;
                Some((ranked.tree.rank_of(score, member), score))
            }
        }
    }

    /// Members of ranks `start..start + count` upwards.
    pub fn upwards(self, start: usize, count: usize, emit: &mut dyn FnMut(Item<'a>, f64)) {
        if count == 0 {
            return;
        }
        match self {
            ZsetRef::Small(packed) => {
                pairs(packed)
                    .skip(start)
                    .take(count)
                    .for_each(|(_, item, score)| emit(item, score));
            }
            ZsetRef::Big(ranked) => {
                let mut left = count;
                ranked.tree.upwards(start, &mut |item| {
                    emit(Item::Bytes(ranked.text(item)), item.score);
                    left -= 1;
                    left > 0
                });
            }
        }
    }

    /// Members of ranks `start`, `start - 1` and so on, `count` of them at most.
    pub fn downwards(self, start: usize, count: usize, emit: &mut dyn FnMut(Item<'a>, f64)) {
        if count == 0 {
            return;
        }
        match self {
            ZsetRef::Small(packed) => {
                let mut at = packed.nth(2 * start as i64);
                for _ in 0..count {
                    let Some(member) = at else { return };
                    let Some(score) = packed.next(member) else { return };
                    emit(packed.get(member), packed_score(packed, score));
                    at = packed.prev(member).and_then(|score| packed.prev(score));
                }
            }
            ZsetRef::Big(ranked) => {
                let mut left = count;
                ranked.tree.downwards(start, &mut |item| {
                    emit(Item::Bytes(ranked.text(item)), item.score);
                    left -= 1;
                    left > 0
                });
            }
        }
    }

    /// Every member with its score, upwards.
    pub fn for_each(self, emit: &mut dyn FnMut(Item<'a>, f64)) {
        self.upwards(0, usize::MAX, emit);
    }

    /// A member, each equally likely; None when there is none.
    pub fn random(self, random: &mut impl FnMut() -> u64) -> Option<(Item<'a>, f64)> {
        let len = self.len() as u128;
        let rank = ((u128::from(random()) * len) >> 64) as usize;
        let mut found = None;
        self.upwards(rank, 1, &mut |item, score| found = Some((item, score)));
        found
    }

    /// A step of ZSCAN: the next cursor, 0 at the end. A small one comes whole, as in Redis.
    pub fn scan(self, cursor: u64, count: usize, emit: &mut dyn FnMut(Item<'a>, f64)) -> u64 {
        match self {
            ZsetRef::Small(_) => {
                self.for_each(emit);
                0
            }
            ZsetRef::Big(ranked) => {
                let buckets = count.saturating_mul(10);
                ranked.table.scan(cursor, count, buckets, &mut |entry| {
                    emit(Item::Bytes(entry.key()), score_of(entry.value()));
                })
            }
        }
    }
}

impl<'a> View<'a> for ZsetRef<'a> {
    #[inline]
    fn of(value: Value<'a>) -> Option<Self> {
        match value {
            Value::Packed(Form::Zset, bytes) => Some(ZsetRef::Small(Packed::new(bytes))),
            Value::Object(Object::Zset(zset)) => Some(zset.as_ref()),
            _ => None,
        }
    }
}

impl Zset {
    /// The same, to be read.
    #[inline]
    pub fn as_ref(&self) -> ZsetRef<'_> {
        match self {
            Zset::Small(bytes) => ZsetRef::Small(Packed::new(bytes)),
            Zset::Big(ranked) => ZsetRef::Big(ranked),
        }
    }

    /// The table of a big one: members, with the bits of their scores as values.
    pub(super) fn table_mut(&mut self) -> Option<&mut Table> {
        match self {
            Zset::Small(_) => None,
            Zset::Big(ranked) => Some(&mut ranked.table),
        }
    }

    /// Gives a member a score, which must not be NaN; the score it had.
    pub fn set(
        &mut self,
        member: &[u8],
        score: f64,
        limits: &Limits,
        hasher: &KeyHasher,
    ) -> Option<f64> {
        debug_assert!(!score.is_nan());
        if let Zset::Small(bytes) = self {
            let view = Packed::new(bytes);
            let found = view.find(&Wanted::new(member), 2);
            if found.is_some()
                || (member.len() <= limits.zset_value && view.len() / 2 < limits.zset_entries)
            {
                return set_packed(bytes, found, member, score);
            }
            self.grow(hasher);
        }
        let Zset::Big(ranked) = self else { unreachable!("a sorted set is small or big") };
        ranked.set(member, score)
    }

    /// Removes a member; the score it had.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        match self {
            Zset::Small(bytes) => {
                let view = Packed::new(bytes);
                let at = view.find(&Wanted::new(member), 2)?;
                let score = packed_score(view, view.next(at)?);
                packed::remove(bytes, at, 2);
                Some(score)
            }
            Zset::Big(ranked) => ranked.remove(member),
        }
    }

    /// Removes the members of ranks `start..start + count`.
    pub fn remove_ranks(&mut self, start: usize, count: usize) {
        match self {
            Zset::Small(bytes) => {
                let at = Packed::new(bytes).nth(2 * start as i64);
                if let (Some(at), true) = (at, count > 0) {
                    packed::remove(bytes, at, count.saturating_mul(2));
                }
            }
            Zset::Big(ranked) => {
                for _ in 0..count {
                    let Some(item) = ranked.tree.at(start) else { return };
                    let member = ranked.text(&item).to_vec();
                    ranked.remove(&member);
                }
            }
        }
    }

    fn grow(&mut self, hasher: &KeyHasher) {
        let Zset::Small(bytes) = self else { return };
        let table = Table::new(hasher, bytes.len());
        let mut ranked = Ranked { table, tree: Tree::default() };
        for (_, member, score) in pairs(Packed::new(bytes)) {
            ranked.set(member.bytes(&mut itoa::Buffer::new()), score);
        }
        *self = Zset::Big(ranked);
    }

    /// Bytes of memory of a big one besides itself; constant time.
    pub fn memory_bytes(&self) -> usize {
        match self {
            Zset::Small(bytes) => bytes.capacity(),
            Zset::Big(ranked) => ranked.table.memory_bytes() + ranked.tree.memory_bytes(),
        }
    }
}

/// Sets the score of a member that is at `found`, or not there.
fn set_packed(bytes: &mut Vec<u8>, found: Option<At>, member: &[u8], score: f64) -> Option<f64> {
    let mut before = None;
    if let Some(at) = found {
        let view = Packed::new(bytes);
        before = view.next(at).map(|at| packed_score(view, at));
        if before.is_some_and(|before| before.to_bits() == score.to_bits()) {
            return before;
        }
        packed::remove(bytes, at, 2);
    }
    let mut digits = itoa::Buffer::new();
    let behind = pairs(Packed::new(bytes)).find(|(_, item, other)| {
        let by_score = other.partial_cmp(&score).unwrap_or(Ordering::Equal);
        by_score.then_with(|| item.bytes(&mut digits).cmp(member)) == Ordering::Greater
    });
    let at = behind.map(|(at, _, _)| at);
    let mut text = Vec::with_capacity(24);
    // Integers are kept as such in Redis' packed form too: -0 becomes 0.
    write_double(&mut text, score + 0.0);
    packed::insert(bytes, at, &[member, &text]);
    before
}

impl Collection for Zset {
    const TYPE: ValueType = ValueType::Zset;

    fn empty(mut memory: Vec<u8>) -> Self {
        packed::clear(&mut memory);
        Zset::Small(memory)
    }

    fn unpack(form: Form, bytes: Vec<u8>) -> Result<Self, Vec<u8>> {
        if form == Form::Zset { Ok(Zset::Small(bytes)) } else { Err(bytes) }
    }

    fn pack(self) -> Result<(Form, Vec<u8>), Self> {
        match self {
            Zset::Small(bytes) => Ok((Form::Zset, bytes)),
            Zset::Big(_) => Err(self),
        }
    }

    fn of(object: &mut Object) -> Option<&mut Self> {
        if let Object::Zset(zset) = object { Some(zset) } else { None }
    }

    fn into_object(self) -> Object {
        Object::Zset(self)
    }

    fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }
}

#[cfg(test)]
mod tests;
