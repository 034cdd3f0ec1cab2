//! The eight bytes by which the table knows an entry.
//!
//! ```text
//! 63         48 47                     4 3     0
//! | fingerprint | address / 16          | mark 2 | stamp 2 |      0 = no entry
//! ```
//! The fingerprint is 16 bits of the hash; which ones, the segment decides. The stamp says for
//! which walk of its slot group the entry is already out; inserting writes the group's. The mark says
//! since when the entry has changed (`changes.rs`).

use super::entry::EntryPtr;

const FINGERPRINT_SHIFT: u32 = 48;
const ADDRESS_MASK: u64 = 0x0000_FFFF_FFFF_FFF0;
const STAMP_MASK: u64 = 0x3;
const MARK_SHIFT: u32 = 2;
const MARK_MASK: u64 = 0x3 << MARK_SHIFT;
/// Stamps there are.
pub(super) const STAMPS: u8 = 4;

#[inline]
fn address_of(entry: EntryPtr) -> u64 {
    let address = entry.address();
    assert!(address & !ADDRESS_MASK == 0, "entry outside the 48-bit address space");
    address
}

/// A reference to an entry, or nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Word(u64);

impl Word {
    /// No entry.
    pub(super) const EMPTY: Word = Word(0);

    /// The word of an entry.
    #[inline]
    pub(super) fn new(entry: EntryPtr, fingerprint: u16, mark: u8, stamp: u8) -> Self {
        let low = u64::from(mark) << MARK_SHIFT & MARK_MASK | u64::from(stamp) & STAMP_MASK;
        Word(u64::from(fingerprint) << FINGERPRINT_SHIFT | address_of(entry) | low)
    }

    /// The same at another address.
    #[inline]
    pub(super) fn with_entry(self, entry: EntryPtr) -> Self {
        Word(self.0 & !ADDRESS_MASK | address_of(entry))
    }

    #[inline]
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[inline]
    pub(super) fn fingerprint(self) -> u16 {
        (self.0 >> FINGERPRINT_SHIFT) as u16
    }

    #[inline]
    pub(super) fn stamp(self) -> u8 {
        (self.0 & STAMP_MASK) as u8
    }

    /// Since when it has changed.
    #[inline]
    pub(super) fn mark(self) -> u8 {
        ((self.0 & MARK_MASK) >> MARK_SHIFT) as u8
    }

    /// The same entry with another mark.
    #[inline]
    pub(super) fn with_mark(self, mark: u8) -> Self {
        Word(self.0 & !MARK_MASK | u64::from(mark) << MARK_SHIFT & MARK_MASK)
    }

    /// The same entry with another fingerprint.
    #[inline]
    pub(super) fn with_fingerprint(self, fingerprint: u16) -> Self {
        let rest = self.0 & !(u64::from(u16::MAX) << FINGERPRINT_SHIFT);
        Word(rest | u64::from(fingerprint) << FINGERPRINT_SHIFT)
    }

    /// The same entry with another stamp.
    #[inline]
    pub(super) fn with_stamp(self, stamp: u8) -> Self {
        Word(self.0 & !STAMP_MASK | u64::from(stamp) & STAMP_MASK)
    }

    /// Address of the entry, 0 when there is none.
    #[inline]
    pub(super) fn address(self) -> u64 {
        self.0 & ADDRESS_MASK
    }

    /// The entry.
    ///
    /// # Safety
    /// The word is not empty, and its entry lives and is not changed otherwise while the result
    /// is used.
    #[inline]
    pub(super) unsafe fn entry(self) -> EntryPtr {
        debug_assert!(!self.is_empty());
        // SAFETY: the caller's promise.
        unsafe { EntryPtr::from_address(self.address()) }
    }
}
