//! The manifest: which files are the data set, in which order. A file exists for recovery only
//! when the manifest lists it.
//!
//! * [`Names`]: what our files are called, and recognising them.
//! * [`format`](self): [`Manifest`] to text and back ([`parse`]).

mod format;
mod names;
mod quoting;

pub use format::{Entry, FormatError, Kind, Manifest, Trailer, parse};
pub use names::{LOCK_FILE, NUMBER_MAX, Names, OurFile};
