//! The generic commands: they concern keys, whatever their values are.

pub mod delete;
