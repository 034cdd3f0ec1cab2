//! The wire protocol's incoming side: bytes of a socket become commands.
//!
//! `request.rs` reads RESP arrays in place, `inline.rs` splits typed lines (and lines of
//! configuration files, which are quoted the same way), `error.rs` holds what a client is told
//! before it is cut off, `peek.rs` looks ahead. Replies are written by the engine's `Reply`.

mod error;
mod inline;
mod peek;
mod request;

pub use error::ProtocolError;
pub use inline::{UnbalancedQuotes, quote, split_args};
pub use peek::Peek;
pub(crate) use request::strict_number;
pub use request::{Parsed, RequestParser};
