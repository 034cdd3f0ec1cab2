//! The manifest: which files are the data set, in which order. A file exists for recovery only
//! when the manifest lists it.
//!
//! * [`Names`]: what our files are called, and recognising them.
//! * [`Manifest`]: the text, parsed and printed; stock Redis reads it.
//! * [`load`], [`switch`]: the file on disk, replaced atomically.
//! * [`Librarian`]: the one owner of all that while the server runs, on a thread of its own
//!   ([`LibrarianThread`]).
//! * [`DirectoryLock`]: one server per directory.

mod format;
mod librarian;
mod lock;
mod names;
mod quoting;
mod request;
mod store;
mod thread;

pub use format::{Entry, FormatError, Kind, Manifest, Trailer, parse};
pub use librarian::Librarian;
pub use lock::{DirectoryLock, LockError};
pub use names::{GLOBAL_SHARD, LOCK_FILE, NUMBER_MAX, Names, OurFile};
pub use request::{Asked, Event, Position, Request, Wanted};
pub use store::{LoadError, SwitchError, load, remove_unlisted, switch};
pub use thread::{Errand, LibrarianDesk, LibrarianThread, storage_executor};
