//! Quire's server: everything that exists because there is a socket.

pub mod config;
pub mod observe;
pub mod resp;
pub mod runtime;
