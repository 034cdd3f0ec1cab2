//! Numbers as Redis reads, computes and stores them.

mod integer;
mod long_double;
mod natural;

pub use integer::canonical_int;
pub use long_double::LongDouble;
