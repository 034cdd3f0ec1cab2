//! Sets of few integers: sorted, of one width. Redis' intset, byte for byte.
//!
//! ```text
//! u32 width (2, 4, 8) | u32 members | members, ascending, little endian
//! ```
//! Invariant: the width is the least that every member ever added needed.

const HEADER: usize = 8;

/// Integers to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ints<'a>(&'a [u8]);

impl<'a> Ints<'a> {
    /// The integers in these bytes.
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        debug_assert!(bytes.len() >= HEADER);
        Self(bytes)
    }

    /// The bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    #[inline]
    fn width(self) -> usize {
        usize::from(self.0[0])
    }

    /// Number of members.
    #[inline]
    pub fn len(self) -> usize {
        (self.0.len() - HEADER) / self.width()
    }

    /// True when there is none.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0.len() == HEADER
    }

    /// The member at a position below [`Ints::len`], in ascending order.
    #[inline]
    pub fn get(self, index: usize) -> i64 {
        let width = self.width();
        let at = &self.0[HEADER + index * width..];
        match width {
            2 => i64::from(i16::from_le_bytes([at[0], at[1]])),
            4 => i64::from(i32::from_le_bytes([at[0], at[1], at[2], at[3]])),
            _ => i64::from_le_bytes([at[0], at[1], at[2], at[3], at[4], at[5], at[6], at[7]]),
        }
    }

    /// Members in ascending order.
    pub fn iter(self) -> impl Iterator<Item = i64> {
        (0..self.len()).map(move |index| self.get(index))
    }

    /// Where a member is, or would be.
    #[inline]
    pub fn search(self, n: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        // Appending is the usual case.
        if high > 0 && n > self.get(high - 1) {
            return Err(high);
        }
        while low < high {
            let middle = low.midpoint(high);
            match self.get(middle).cmp(&n) {
                std::cmp::Ordering::Equal => return Ok(middle),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Err(low)
    }
}

/// No members, in memory that can be used again.
pub fn clear(ints: &mut Vec<u8>) {
    ints.clear();
    ints.extend_from_slice(&[2, 0, 0, 0, 0, 0, 0, 0]);
}

fn width_of(n: i64) -> usize {
    if i16::try_from(n).is_ok() {
        2
    } else if i32::try_from(n).is_ok() {
        4
    } else {
        8
    }
}

/// Adds a member; true when it is new.
pub fn insert(ints: &mut Vec<u8>, n: i64) -> bool {
    let view = Ints::new(ints);
    let needed = width_of(n);
    if needed > view.width() {
        widen(ints, needed);
    }
    let view = Ints::new(ints);
    let (width, len) = (view.width(), view.len());
    let Err(index) = view.search(n) else { return false };
    let at = HEADER + index * width;
    let end = ints.len();
    ints.resize(end + width, 0);
    ints.copy_within(at..end, at + width);
    ints[at..at + width].copy_from_slice(&n.to_le_bytes()[..width]);
    ints[4..8].copy_from_slice(&(len as u32 + 1).to_le_bytes());
    true
}

/// Removes a member; true when it was there.
pub fn remove(ints: &mut Vec<u8>, n: i64) -> bool {
    let view = Ints::new(ints);
    let (width, len) = (view.width(), view.len());
    let Ok(index) = view.search(n) else { return false };
    let at = HEADER + index * width;
    ints.drain(at..at + width);
    ints[4..8].copy_from_slice(&(len as u32 - 1).to_le_bytes());
    true
}

fn widen(ints: &mut Vec<u8>, width: usize) {
    let members: Vec<i64> = Ints::new(ints).iter().collect();
    ints[0] = width as u8;
    ints.truncate(HEADER);
    for n in members {
        ints.extend_from_slice(&n.to_le_bytes()[..width]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn bytes_are_redis_intset() {
        let mut ints = Vec::new();
        clear(&mut ints);
        assert!(insert(&mut ints, 5) && insert(&mut ints, -1) && !insert(&mut ints, 5));
        assert_eq!(ints, [2, 0, 0, 0, 2, 0, 0, 0, 0xFF, 0xFF, 5, 0]);
        assert!(insert(&mut ints, 70_000));
        assert_eq!(ints[..8], [4, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(Ints::new(&ints).iter().collect::<Vec<_>>(), [-1, 5, 70_000]);
    }

    proptest! {
        #[test]
        fn it_is_a_sorted_set(
            steps in prop::collection::vec((any::<bool>(), prop_oneof![
                -50i64..50, Just(i64::MIN), Just(i64::MAX), -70_000i64..70_000,
            ]), 0..200)
        ) {
            let mut ints = Vec::new();
            clear(&mut ints);
            let mut model = BTreeSet::new();
            for (add, n) in steps {
                if add {
                    prop_assert_eq!(insert(&mut ints, n), model.insert(n));
                } else {
                    prop_assert_eq!(remove(&mut ints, n), model.remove(&n));
                }
                prop_assert_eq!(Ints::new(&ints).len(), model.len());
                prop_assert_eq!(u32::from_le_bytes(ints[4..8].try_into().unwrap()) as usize, model.len());
            }
            prop_assert!(Ints::new(&ints).iter().eq(model.iter().copied()));
        }
    }
}
