//! Numbers beyond 64-bit integers, as Redis computes with them.

mod long_double;
mod natural;

pub use long_double::LongDouble;
