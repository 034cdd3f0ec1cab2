//! `supervised`: systemd is told when the server is ready, how its start goes on, and that it
//! stops, by datagrams to the socket that NOTIFY_SOCKET names (sd_notify(3)).

use crate::config::Supervised;
use std::{
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    sync::OnceLock,
};

/// Whom to tell, once that is known.
static SUPERVISOR: OnceLock<(UnixDatagram, SocketAddr)> = OnceLock::new();

/// Finds the supervisor that the configuration asks for. At start, once.
pub fn find(supervised: Supervised) {
    let wanted = match supervised {
        Supervised::Systemd => true,
        Supervised::Auto => std::env::var_os("NOTIFY_SOCKET").is_some(),
        Supervised::Upstart | Supervised::No => false,
    };
    if !wanted {
        return;
    }
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
        tracing::warn!(
            "systemd supervision requested, but NOTIFY_SOCKET not found: start Quire from a unit \
             with Type=notify, or set `supervised no`"
        );
        return;
    };
    match open(&name) {
        // Only a second server in one process finds it set.
        Ok(supervisor) => drop(SUPERVISOR.set(supervisor)),
        Err(error) => tracing::warn!("Cannot reach systemd's NOTIFY_SOCKET: {error}"),
    }
}

/// Who supervises the server, as INFO names it: `systemd` where it is being told, else `no`.
pub fn supervisor() -> &'static str {
    if SUPERVISOR.get().is_some() { "systemd" } else { "no" }
}

fn open(name: &OsStr) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    Ok((UnixDatagram::unbound()?, address))
}

/// Tells the supervisor, if there is one: lines of `NAME=value`.
fn tell(state: &str) {
    if let Some((socket, address)) = SUPERVISOR.get()
        && let Err(error) = socket.send_to_addr(state.as_bytes(), address)
    {
        tracing::warn!("Cannot tell systemd: {error}");
    }
}

/// The server accepts connections.
pub fn ready() {
    tell("STATUS=Ready to accept connections\nREADY=1\n");
}

/// Loading goes on: systemd shall not lose patience. Called at least every few seconds.
pub fn loading(status: &str) {
    tell(&format!("STATUS=Loading: {status}\nEXTEND_TIMEOUT_USEC=30000000\n"));
}

/// The server stops: what was acknowledged is being brought to the disk.
pub fn stopping() {
    tell("STATUS=Syncing and sealing the log\nSTOPPING=1\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_sockets_are_reached() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        let name = format!("quire-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = UnixDatagram::bind_addr(&address).unwrap();
        let abstract_name = format!("@{name}");
        for (name, receiver) in [(path.as_os_str(), by_path), (OsStr::new(&abstract_name), by_name)]
        {
            let (socket, address) = open(name).unwrap();
            socket.send_to_addr(b"READY=1\n", &address).unwrap();
            let mut buffer = [0; 20];
            assert_eq!(receiver.recv(&mut buffer).unwrap(), 8);
        }
    }
}
