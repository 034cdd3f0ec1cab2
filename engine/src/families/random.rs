//! What HRANDFIELD, SRANDMEMBER and ZRANDMEMBER share: how many, with or without repetition, and
//! the shape of the reply.

use crate::{
    command::{Args, CommandError, Reply},
    keyspace::canonical_int,
    types::packed::Item,
};
use std::collections::HashSet;

/// Draws an element by random bits.
type Draw<'f> = &'f mut dyn FnMut(&mut dyn FnMut() -> u64) -> Vec<u8>;
/// Walks over all elements, with their positions.
type Walk<'f> = &'f mut dyn FnMut(&mut dyn FnMut(usize, &[u8]));

/// Drawing one by one pays while so many times more elements are there than are wanted.
const WALK_FROM: usize = 3;

/// How many elements are wanted.
pub(super) struct Wish {
    /// That many at most.
    pub(super) count: usize,
    /// Elements may come again, so that there are exactly `count`.
    pub(super) repeats: bool,
    /// With the element's value or score.
    pub(super) pairs: bool,
}

impl Wish {
    /// From `[count [option]]` behind the key; None without a count.
    pub(super) fn parse(args: Args<'_>, option: &[u8]) -> Result<Option<Self>, CommandError> {
        let Some(text) = args.try_get(2) else { return Ok(None) };
        let n = canonical_int(text).ok_or(CommandError::NOT_AN_INTEGER)?;
        if n == i64::MIN {
            return Err(CommandError::new(
                "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807",
            ));
        }
        if args.len() > 4 || args.try_get(3).is_some_and(|o| !o.eq_ignore_ascii_case(option)) {
            return Err(CommandError::SYNTAX);
        }
        let pairs = args.len() == 4;
        // Redis refuses what would overflow when doubled.
        if pairs && n.abs() > i64::MAX / 2 {
            return Err(CommandError::new("ERR value is out of range"));
        }
        let count = usize::try_from(n.unsigned_abs()).unwrap_or(usize::MAX);
        Ok(Some(Self { count, repeats: n < 0, pairs }))
    }

    /// True when all of `len` elements are wanted, each once.
    pub(super) fn whole(&self, len: usize) -> bool {
        !self.repeats && self.count >= len
    }

    /// `count` different elements out of `len`, more than `count`. Few are drawn one by one;
    /// many are chosen by position in one walk over all.
    pub(super) fn distinct(
        &self,
        len: usize,
        random: &mut dyn FnMut() -> u64,
        draw: Draw<'_>,
        walk: Walk<'_>,
        emit: &mut dyn FnMut(&[u8]),
    ) {
        if self.count.saturating_mul(WALK_FROM) < len {
            let mut drawn = HashSet::with_capacity(self.count);
            while drawn.len() < self.count {
                let element = draw(random);
                if !drawn.contains(&element) {
                    emit(&element);
                    drawn.insert(element);
                }
            }
        } else {
            let chosen = self.choose(len, &mut || random());
            walk(&mut |index, element| {
                if chosen.contains(&index) {
                    emit(element);
                }
            });
        }
    }

    /// `count` different numbers below `len`, every set of them equally likely (Floyd's method:
    /// Bentley, Programming Pearls, CACM 1987).
    fn choose(&self, len: usize, random: &mut impl FnMut() -> u64) -> HashSet<usize> {
        let mut chosen = HashSet::with_capacity(self.count.min(len));
        for top in len.saturating_sub(self.count)..len {
            let pick = ((u128::from(random()) * (top as u128 + 1)) >> 64) as usize;
            if !chosen.insert(pick) {
                chosen.insert(top);
            }
        }
        chosen
    }
}

/// The reply being written.
pub(super) struct Picks<'r, 'a> {
    reply: &'r mut Reply<'a>,
    pairs: bool,
}

impl<'r, 'a> Picks<'r, 'a> {
    /// Begins the reply to a wish concerning `len` elements.
    pub(super) fn begin(wish: &Wish, len: usize, reply: &'r mut Reply<'a>) -> Self {
        let elements = if wish.repeats { wish.count } else { wish.count.min(len) };
        let flat = wish.pairs && !reply.is_resp3();
        reply.array(if flat { 2 * elements } else { elements });
        Self { reply, pairs: wish.pairs }
    }

    /// A member, with its score when that was wanted.
    pub(super) fn reply_scored(&mut self, member: Item<'_>, score: f64) {
        if self.pairs && self.reply.is_resp3() {
            self.reply.array(2);
        }
        self.reply.bulk(member.bytes(&mut itoa::Buffer::new()));
        if self.pairs {
            self.reply.double(score);
        }
    }

    /// An element, with its value when that was wanted.
    pub(super) fn reply_pair(&mut self, element: Item<'_>, value: Item<'_>) {
        if self.pairs && self.reply.is_resp3() {
            self.reply.array(2);
        }
        self.reply.bulk(element.bytes(&mut itoa::Buffer::new()));
        if self.pairs {
            self.reply.bulk(value.bytes(&mut itoa::Buffer::new()));
        }
    }
}
