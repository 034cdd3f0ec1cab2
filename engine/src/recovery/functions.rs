//! Changes of function libraries that files hold, in their order.
//!
//! They concern no key: whoever runs functions gets them as they are. Only one shard's log has any, so
//! their order is that in which its files are read.

use crate::command::{Args, OwnedArgs};
use std::sync::{Arc, Mutex, PoisonError};

/// The changes found so far; its clones share them.
#[derive(Debug, Clone, Default)]
pub struct FunctionChanges(Arc<Mutex<Vec<OwnedArgs>>>);

/// True for FUNCTION LOAD and its like.
pub fn is_function(args: Args<'_>) -> bool {
    args.try_get(0).is_some_and(|name| name.eq_ignore_ascii_case(b"function"))
}

impl FunctionChanges {
    /// A command of a log.
    pub fn note(&self, args: Args<'_>) {
        let words: Vec<&[u8]> = args.iter_from(0).collect();
        self.push(OwnedArgs::from_slices(&words));
    }

    /// A library of an RDB file.
    pub fn library(&self, source: &[u8]) {
        self.push(OwnedArgs::from_slices(&[&b"FUNCTION"[..], b"LOAD", source]));
    }

    fn push(&self, args: OwnedArgs) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(args);
    }

    /// All of them; none is left.
    pub fn take(&self) -> Vec<OwnedArgs> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
