//! What operators see.

pub mod account;
pub mod allocator;
pub mod backup;
pub mod breakdown;
pub mod doctor;
pub mod graph;
pub mod info;
pub mod latency;
pub mod log;
pub mod memory;
pub mod over_limit;
pub mod progress;
pub mod rates;
pub mod saving;
pub mod slowlog;
pub mod ticks;
pub mod timings;
