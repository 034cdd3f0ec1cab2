//! Per-connection state that commands see and change.

use std::{net::SocketAddr, time::Instant};

/// CLIENT REPLY.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyMode {
    /// Replies are sent.
    On,
    /// No replies.
    Off,
    /// Not for the next command.
    Skip,
}

/// Where a client comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// TCP: its address and ours.
    Tcp {
        /// The client's.
        remote: SocketAddr,
        /// Ours.
        local: SocketAddr,
    },
    /// The unix socket at this path.
    Unix(String),
    /// Nowhere: scripts' commands are its.
    Script,
}

impl Peer {
    /// The client's end of the connection, as CLIENT LIST shows it.
    pub fn remote_address(&self) -> String {
        match self {
            Self::Tcp { remote, .. } => remote.to_string(),
            Self::Unix(path) => format!("{path}:0"),
            Self::Script => "lua".to_owned(),
        }
    }

    /// The server's end.
    pub fn local_address(&self) -> String {
        match self {
            Self::Tcp { local, .. } => local.to_string(),
            Self::Unix(path) => format!("{path}:0"),
            Self::Script => "lua".to_owned(),
        }
    }
}

/// State of one client.
#[derive(Debug, Clone)]
pub struct Session {
    /// Client id.
    pub id: u64,
    /// Selected database.
    pub db: usize,
    /// RESP3 since HELLO 3.
    pub resp3: bool,
    /// May run commands.
    pub authenticated: bool,
    /// CLIENT SETNAME.
    pub name: Vec<u8>,
    /// CLIENT SETINFO LIB-NAME.
    pub lib_name: Vec<u8>,
    /// CLIENT SETINFO LIB-VER.
    pub lib_ver: Vec<u8>,
    /// MONITOR: sees every command.
    pub is_monitor: bool,
    /// CLIENT NO-EVICT: not closed for the memory its buffers take.
    pub no_evict: bool,
    /// CLIENT NO-TOUCH: its commands leave access times alone.
    pub no_touch: bool,
    /// CLIENT REPLY.
    pub reply_mode: ReplyMode,
    /// Where from.
    pub peer: Peer,
    /// When connected.
    pub created: Instant,
    /// Last command, ms of the core's clock (unix time).
    pub last_ms: i64,
    /// Name of the last command, as CLIENT LIST shows it.
    pub last_command: &'static str,
    /// Commands executed.
    pub commands: u64,
}

impl Session {
    /// A client that has just come.
    pub fn new(id: u64, authenticated: bool, peer: Peer, created: Instant, now_ms: i64) -> Self {
        Self {
            id,
            db: 0,
            resp3: false,
            authenticated,
            name: Vec::new(),
            lib_name: Vec::new(),
            lib_ver: Vec::new(),
            is_monitor: false,
            no_evict: false,
            no_touch: false,
            reply_mode: ReplyMode::On,
            peer,
            created,
            last_ms: now_ms,
            last_command: crate::dispatch::NO_COMMAND,
            commands: 0,
        }
    }
}
