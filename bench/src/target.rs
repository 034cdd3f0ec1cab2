//! A server to measure: one that runs already, by address, or one that we started.
//!
//! Of our own we know the process and read /proc; any other says in INFO what it has used, from
//! wherever it runs. A server without INFO is measured all the same, without its CPU.

use std::{
    io,
    net::{SocketAddr, ToSocketAddrs as _},
};

use crate::{client::Client, server::Server, usage};

/// A server to measure.
#[derive(Debug)]
pub struct Target {
    addr: SocketAddr,
    server: Option<Server>,
}

/// The address that `host:port` names.
///
/// # Errors
/// A sentence when it names none.
pub fn resolve(text: &str) -> Result<SocketAddr, String> {
    let mut found = text.to_socket_addrs().map_err(|e| format!("{text}: {e}; write HOST:PORT"))?;
    found.next().ok_or_else(|| format!("{text} has no address"))
}

impl Target {
    /// One that runs already.
    ///
    /// # Errors
    /// When it does not answer PING with PONG.
    pub fn at(addr: SocketAddr) -> io::Result<Self> {
        let reply = Client::connect(addr)?.ask(&["PING"])?;
        if reply.text() != Some("PONG") {
            return Err(io::Error::other(format!("{addr} answered PING with {reply}")));
        }
        Ok(Self { addr, server: None })
    }

    /// One of our own.
    pub fn started(server: Server) -> Self {
        Self { addr: server.addr(), server: Some(server) }
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// True when it uses this machine's CPUs.
    pub fn is_here(&self) -> bool {
        self.server.is_some() || self.addr.ip().is_loopback()
    }

    /// CPU seconds it has used so far, all threads, if that can be known.
    pub fn cpu(&self) -> Option<f64> {
        if let Some(server) = &self.server {
            return usage::process_cpu(server.pid()).ok();
        }
        let info = Client::connect(self.addr).and_then(|mut c| c.info("cpu")).ok()?;
        Some(info.number("used_cpu_sys")? + info.number("used_cpu_user")?)
    }

    /// Its resident memory, bytes, if that can be known.
    pub fn rss(&self) -> Option<f64> {
        if let Some(server) = &self.server {
            return server.rss().ok().map(|bytes| bytes as f64);
        }
        let info = Client::connect(self.addr).and_then(|mut c| c.info("memory")).ok()?;
        info.number("used_memory_rss")
    }

    /// What it says it is: its name and version.
    pub fn version(&self) -> String {
        let Ok(info) = Client::connect(self.addr).and_then(|mut c| c.info("server")) else {
            return "unknown".to_owned();
        };
        let name = info.field("server_name").unwrap_or("redis");
        let own = info.field(&format!("{name}_version"));
        let version = own.or_else(|| info.field("redis_version")).unwrap_or("unknown");
        format!("{name} {version}")
    }
}
