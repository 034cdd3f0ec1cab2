//! Threads, their CPUs and what the system must allow.

pub mod affinity;
pub mod preflight;
