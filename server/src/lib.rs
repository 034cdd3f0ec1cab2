//! Quire's server: everything that exists because there is a socket.

pub mod check;
pub mod config;
pub mod dispatch;
pub mod families;
pub mod net;
pub mod observe;
pub mod options;
pub mod process;
pub mod resp;
pub mod runtime;
pub mod scripting;
pub mod session;
pub mod start;
