//! Listening sockets: TCP on every bound address, and a unix socket.
//!
//! One listener per address, on core 0, which hands accepted sockets to the least loaded core:
//! with SO_REUSEPORT a second server could bind the same port unnoticed, and few long-lived
//! connections would land on cores by lottery.

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    os::{
        fd::{AsRawFd, RawFd},
        unix::fs::PermissionsExt,
    },
    path::{Path, PathBuf},
    time::Duration,
};

/// How often and how long to wait for a port that is taken: a server that was killed keeps its own
/// for some milliseconds, until the kernel has taken its ring apart.
const BIND_RETRIES: u32 = 50;
const BIND_PAUSE: Duration = Duration::from_millis(10);

/// A listening socket.
pub struct Listener {
    socket: Socket,
    /// True for the unix socket.
    pub unix: bool,
    path: Option<PathBuf>,
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

    fn tcp(ip: IpAddr, port: u16, backlog: i32) -> io::Result<Self> {
        let address = SocketAddr::new(ip, port);
        let socket =
            Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        if ip.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        let mut patience = BIND_RETRIES;
        while let Err(e) = socket.bind(&address.into()).and_then(|()| socket.listen(backlog)) {
            if e.kind() != io::ErrorKind::AddrInUse || patience == 0 {
                return Err(e);
            }
            patience -= 1;
            std::thread::sleep(BIND_PAUSE);
        }
        Ok(Self { socket, unix: false, path: None })
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
        Ok(Self { socket, unix: true, path: Some(path.to_owned()) })
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if !self.unix {
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

/// Opens all listeners of the options. An address prefixed with `-` may be unavailable.
pub fn open(options: &crate::options::Options) -> Result<Vec<Listener>, ListenError> {
    let mut listeners = Vec::new();
    if options.port != 0 {
        for name in &options.bind {
            let (optional, name) = match name.strip_prefix('-') {
                Some(rest) => (true, rest),
                None => (false, name.as_str()),
            };
            let place = format!("{name}:{}", options.port);
            let ip = match name {
                "*" => Ok(IpAddr::from([0, 0, 0, 0])),
                "::*" => Ok(IpAddr::from([0u16; 8])),
                name => resolve(name),
            };
            match ip.and_then(|ip| Listener::tcp(ip, options.port, options.tcp_backlog)) {
                Ok(listener) => listeners.push(listener),
                Err(source) if optional && is_unavailable(&source) => {}
                Err(source) => return Err(ListenError { place, source }),
            }
        }
    }
    if let Some(path) = &options.unixsocket {
        let place = path.display().to_string();
        listeners.push(
            Listener::unix(path, options.unixsocketperm, options.tcp_backlog)
                .map_err(|source| ListenError { place, source })?,
        );
    }
    Ok(listeners)
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
