//! Ranges of a sorted set by score and by text, as ranks.

use super::{Packed, ZsetRef, pairs};

/// One end of a range of scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoreBound {
    /// Never NaN.
    pub score: f64,
    /// The score itself is outside.
    pub exclusive: bool,
}

/// One end of a range of texts, all scores being equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LexBound<'a> {
    /// Before every text: `-`.
    Lowest,
    /// Behind every text: `+`.
    Highest,
    /// This text is inside.
    Inclusive(&'a [u8]),
    /// This text is outside.
    Exclusive(&'a [u8]),
}

impl ScoreBound {
    /// True when a score lies before a range that begins here.
    #[inline]
    fn is_before_min(self, score: f64) -> bool {
        if self.exclusive { score <= self.score } else { score < self.score }
    }

    /// True when a score is not behind a range that ends here.
    #[inline]
    fn is_within_max(self, score: f64) -> bool {
        if self.exclusive { score < self.score } else { score <= self.score }
    }
}

impl LexBound<'_> {
    #[inline]
    fn is_before_min(self, text: &[u8]) -> bool {
        match self {
            LexBound::Lowest => false,
            LexBound::Highest => true,
            LexBound::Inclusive(bound) => text < bound,
            LexBound::Exclusive(bound) => text <= bound,
        }
    }

    #[inline]
    fn is_within_max(self, text: &[u8]) -> bool {
        match self {
            LexBound::Lowest => false,
            LexBound::Highest => true,
            LexBound::Inclusive(bound) => text <= bound,
            LexBound::Exclusive(bound) => text < bound,
        }
    }
}

impl ZsetRef<'_> {
    /// The ranks of the members with scores in a range: the first, and how many.
    pub fn ranks_by_score(self, min: ScoreBound, max: ScoreBound) -> (usize, usize) {
        let (start, end) = match self {
            ZsetRef::Small(packed) => (
                prefix(packed, |_, score| min.is_before_min(score)),
                prefix(packed, |_, score| max.is_within_max(score)),
            ),
            ZsetRef::Big(ranked) => (
                ranked.tree.rank(&|item| min.is_before_min(item.score)),
                // SAFETY: as above.
                ranked.tree.rank(&|item| max.is_within_max(item.score)),
            ),
        };
        (start, end.saturating_sub(start))
    }

    /// The ranks of the members with texts in a range, of a set whose scores are all equal: the
    /// first, and how many.
    pub fn ranks_by_text(self, min: LexBound<'_>, max: LexBound<'_>) -> (usize, usize) {
        let (start, end) = match self {
            ZsetRef::Small(packed) => (
                prefix(packed, |text, _| min.is_before_min(text)),
                prefix(packed, |text, _| max.is_within_max(text)),
            ),
            ZsetRef::Big(ranked) => (
                ranked.tree.rank(&|item| min.is_before_min(ranked.text(item))),
                ranked.tree.rank(&|item| max.is_within_max(ranked.text(item))),
            ),
        };
        (start, end.saturating_sub(start))
    }
}

/// Length of the prefix of members of which `holds` is true.
fn prefix(packed: Packed<'_>, holds: impl Fn(&[u8], f64) -> bool) -> usize {
    let mut digits = itoa::Buffer::new();
    pairs(packed).take_while(|(_, item, score)| holds(item.bytes(&mut digits), *score)).count()
}
