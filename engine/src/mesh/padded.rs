//! Keeps two cores' variables apart: a value alone on its cache lines.
//!
//! 128 bytes, since x86 prefetches lines in pairs and some ARM cores have 128-byte lines.

use std::ops::{Deref, DerefMut};

/// A value that shares its cache lines with nothing else.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct CachePadded<T>(T);

impl<T> CachePadded<T> {
    /// Pads `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for CachePadded<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for CachePadded<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}
