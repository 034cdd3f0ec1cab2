//! What operators see.

pub mod info;
pub mod log;
pub mod memory;
pub mod progress;
pub mod rates;
