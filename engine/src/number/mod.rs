//! Numbers as Redis reads, computes and stores them.

mod double;
mod integer;
mod long_double;
mod natural;

pub use double::{parse_double, write_double};
pub use integer::canonical_int;
pub use long_double::LongDouble;
