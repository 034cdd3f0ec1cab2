//! The generic commands: they concern keys, whatever their values are.

pub mod delete;
pub mod dump;
pub mod expiry;
pub mod iterate;
pub mod object;
pub mod sort;
pub mod transfer;
