//! How cores talk: one bounded ring per ordered pair of cores, one doorbell per core.
//!
//! A sender stages messages of a turn, publishes them with one store per destination, then asks
//! the destination's doorbell whether somebody must be woken:
//!
//! ```text
//! sender                              receiver
//!   Producer::push_batch  ---ring--->   Consumer::pop until empty
//!   Doorbell::ring? -> wake it          Doorbell::prepare_sleep
//!                                       Consumer::is_empty for every ring, again
//!                                       sleep (its io_uring) | or not, then Doorbell::awake
//! ```
//!
//! Invariants: a ring is first in, first out and loses nothing; a message published before
//! [`Doorbell::ring`] is seen by the receiver's second look, or the sender is told to wake it;
//! one sleep is answered by at most one wake-up. Model-checked with loom in `tests.rs`.
//!
//! [`Lead`] bounds what is sent over ways without a bound, to threads that are no cores.
//!
//! Knows no message type and no runtime: how a core is woken (a ring message, an eventfd) is the
//! caller's business.

mod doorbell;
mod lead;
mod padded;
mod ring;
mod sync;
#[cfg(test)]
mod tests;

pub use doorbell::Doorbell;
pub use lead::Lead;
pub use padded::CachePadded;
pub use ring::{Consumer, Producer, ring};
