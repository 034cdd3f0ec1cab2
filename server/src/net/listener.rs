//! Listening sockets: TCP on every bound address, and a unix socket.
//!
//! One listener per address, on core 0, which hands accepted sockets to the least loaded core:
//! with SO_REUSEPORT a second server could bind the same port unnoticed, and few long-lived
//! connections would land on cores by lottery.

use crate::config::Config;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    os::{
        fd::{AsRawFd, RawFd},
        unix::fs::PermissionsExt,
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// How often and how long to wait for a port that is taken: a server that was killed keeps its own
/// for some milliseconds, until the kernel has taken its ring apart.
const BIND_RETRIES: u32 = 50;
const BIND_PAUSE: Duration = Duration::from_millis(10);

/// A listening socket.
pub struct Listener {
    socket: Socket,
    /// Never given to another; even for TCP, odd for the unix socket.
    id: u32,
    address: Option<SocketAddr>,
    path: Option<PathBuf>,
}

/// True when the listener with this number is the unix socket.
pub fn is_unix(id: u32) -> bool {
    id % 2 == 1
}

fn next_id(unix: bool) -> u32 {
    static LAST: AtomicU32 = AtomicU32::new(0);
    LAST.fetch_add(2, Ordering::Relaxed) + u32::from(unix)
}

/// Where and how to listen by TCP.
#[derive(Debug, Clone, Copy)]
pub struct Tcp<'a> {
    /// Addresses; one prefixed with `-` may be unavailable.
    pub bind: &'a [String],
    /// Port, 0 = not at all.
    pub port: u16,
    /// Connections that may wait.
    pub backlog: i32,
    /// SO_MARK, 0 = none.
    pub mark: u32,
}

impl<'a> Tcp<'a> {
    /// What the configuration says.
    pub fn of(config: &'a Config) -> Self {
        Self {
            bind: &config.bind,
            port: config.port,
            backlog: config.tcp_backlog as i32,
            mark: config.socket_mark_id,
        }
    }
}

/// Why we cannot listen: where, and the system's reason.
#[derive(Debug)]
pub struct ListenError {
    /// Address or path.
    pub place: String,
    /// The system's reason.
    pub source: io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.source.to_string();
        let reason = reason.split(" (os error").next().unwrap_or_default();
        write!(f, "cannot listen on {}: {reason}", self.place)
    }
}

impl std::error::Error for ListenError {}

impl Listener {
    /// The descriptor.
    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// Its number; see [`is_unix`].
    pub fn id(&self) -> u32 {
        self.id
    }

    fn tcp(address: SocketAddr, tcp: Tcp<'_>, mut patience: u32) -> io::Result<Self> {
        let socket =
            Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if tcp.mark != 0 {
            // Connections that are accepted inherit it.
            socket.set_mark(tcp.mark)?;
        }
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        while let Err(e) = socket.bind(&address.into()).and_then(|()| socket.listen(tcp.backlog)) {
            if e.kind() != io::ErrorKind::AddrInUse || patience == 0 {
                return Err(e);
            }
            patience -= 1;
            std::thread::sleep(BIND_PAUSE);
        }
        Ok(Self { socket, id: next_id(false), address: Some(address), path: None })
    }

    fn unix(path: &Path, mode: u32, backlog: i32) -> io::Result<Self> {
        // A socket file left by a killed server would make bind fail; Redis removes it, too.
        match std::fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let socket = Socket::new(Domain::UNIX, Type::STREAM.cloexec(), None)?;
        socket.bind(&SockAddr::unix(path)?)?;
        socket.listen(backlog)?;
        if mode != 0 {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
        }
        Ok(Self { socket, id: next_id(true), address: None, path: Some(path.to_owned()) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.address.is_some() {
            // The ring's accept holds the socket until the kernel takes the ring apart, some
            // milliseconds after the process has ended: whoever starts the next server on this
            // port by then would find it taken. A listener that is shut down gives it back now.
            let _ = self.socket.shutdown(std::net::Shutdown::Both);
        }
        if let Some(path) = &self.path {
            // The name is ours; a failure leaves what the next start removes.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Opens all listeners of the configuration, at start.
///
/// # Errors
/// The first address or path where it is impossible.
pub fn open(config: &Config) -> Result<Vec<Listener>, ListenError> {
    let mut listeners = Vec::new();
    add_tcp(&mut listeners, Tcp::of(config), BIND_RETRIES)?;
    if let Some(path) = &config.unixsocket {
        let place = path.display().to_string();
        let listener = Listener::unix(path, config.unixsocketperm, config.tcp_backlog as i32);
        listeners.push(listener.map_err(|source| ListenError { place, source })?);
    }
    Ok(listeners)
}

/// Listens by TCP where `new` says instead of where `old` said: sockets of addresses in both stay
/// as they are. After an error it is as before.
///
/// # Errors
/// The first address where it is impossible.
pub fn change(
    listeners: &mut Vec<Listener>,
    old: Tcp<'_>,
    new: Tcp<'_>,
) -> Result<(), ListenError> {
    let stays: Vec<SocketAddr> = new.addresses().filter_map(|(_, ip, _)| ip.ok()).collect();
    // First, since one of them may be in the way: `*` is everywhere.
    listeners.retain(|listener| listener.address.is_none_or(|address| stays.contains(&address)));
    let before: Vec<u32> = listeners.iter().map(Listener::id).collect();
    let opened = add_tcp(listeners, new, 0);
    if opened.is_err() {
        listeners.retain(|listener| before.contains(&listener.id));
        if let Err(error) = add_tcp(listeners, old, BIND_RETRIES) {
            tracing::error!("Failed listening where it was before: {error}");
        }
    }
    opened
}

impl Tcp<'_> {
    /// Name, address, and whether it may be unavailable.
    fn addresses(&self) -> impl Iterator<Item = (&str, io::Result<SocketAddr>, bool)> {
        let bind = if self.port == 0 { &[] } else { self.bind };
        bind.iter().map(|name| {
            let (optional, name) = match name.strip_prefix('-') {
                Some(rest) => (true, rest),
                None => (false, name.as_str()),
            };
            let ip = match name {
                "*" => Ok(IpAddr::from([0, 0, 0, 0])),
                "::*" => Ok(IpAddr::from([0u16; 8])),
                name => resolve(name),
            };
            (name, ip.map(|ip| SocketAddr::new(ip, self.port)), optional)
        })
    }
}

/// Listens on all addresses on which nobody of `listeners` does.
fn add_tcp(listeners: &mut Vec<Listener>, tcp: Tcp<'_>, patience: u32) -> Result<(), ListenError> {
    for (name, address, optional) in tcp.addresses() {
        let is_open = |address: &SocketAddr| listeners.iter().any(|l| l.address == Some(*address));
        if address.as_ref().is_ok_and(is_open) {
            continue;
        }
        match address.and_then(|address| Listener::tcp(address, tcp, patience)) {
            Ok(listener) => listeners.push(listener),
            Err(source) if optional && is_unavailable(&source) => {}
            Err(source) => {
                return Err(ListenError { place: format!("{name}:{}", tcp.port), source });
            }
        }
    }
    Ok(())
}

fn is_unavailable(e: &io::Error) -> bool {
    matches!(
        e.raw_os_error(),
        Some(libc::EADDRNOTAVAIL | libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT | libc::EPFNOSUPPORT)
    )
}

fn resolve(name: &str) -> io::Result<IpAddr> {
    use std::net::ToSocketAddrs;
    (name, 0)
        .to_socket_addrs()?
        .next()
        .map(|a| a.ip())
        .ok_or_else(|| io::Error::from_raw_os_error(libc::EADDRNOTAVAIL))
}
