//! Sockets: listeners, connections, their output. No command knowledge.

pub mod connection;
pub mod listener;
pub mod outbuf;

/// What a client from another machine is told in protected mode.
pub const PROTECTED_MODE_REPLY: &[u8] = b"-DENIED Quire is running in protected mode because protected mode is enabled and no password is set. In this mode connections are only accepted from the loopback interface. If you want to connect from external computers, you may adopt one of the following solutions: 1) Disable protected mode with 'CONFIG SET protected-mode no' from the loopback interface. 2) Set 'protected-mode no' in the configuration file and restart. 3) Set a password with 'requirepass'.\r\n";
