//! The log's way to syslog: one datagram a line to the local daemon, as syslog(3) writes it.

use super::line::{Zone, calendar};
use crate::config::{LogLevel, SyslogFacility};
use std::{
    io,
    os::unix::net::UnixDatagram,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// Where the daemon listens.
const DEVICE: &str = "/dev/log";

/// A program's line to syslog.
#[derive(Debug)]
pub(super) struct Syslog {
    ident: String,
    facility: u32,
    path: PathBuf,
    socket: Mutex<Option<UnixDatagram>>,
}

impl Syslog {
    /// For a program of this name; nothing is opened before the first line.
    pub fn new(ident: &str, facility: SyslogFacility) -> Self {
        Self::at(DEVICE.into(), ident, facility)
    }

    fn at(path: PathBuf, ident: &str, facility: SyslogFacility) -> Self {
        // Numbers of RFC 5424: user is 1, local0 to local7 are 16 to 23.
        let facility = match facility {
            SyslogFacility::User => 1,
            local => 15 + local as u32,
        };
        Self { ident: ident.to_owned(), facility, path, socket: Mutex::new(None) }
    }

    /// Sends a line. Where nobody listens it is lost, as with syslog(3); the daemon may come back.
    pub fn send(&self, level: LogLevel, since_epoch: Duration, text: &str) {
        let severity = match level {
            LogLevel::Debug => 7,
            LogLevel::Verbose => 6,
            LogLevel::Notice => 5,
            LogLevel::Warning => 4,
        };
        let tm = calendar(since_epoch, Zone::Local);
        let months =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let datagram = format!(
            "<{}>{} {:2} {:02}:{:02}:{:02} {}[{}]: {text}",
            self.facility * 8 + severity,
            months.get(tm.tm_mon as usize).copied().unwrap_or("Jan"),
            tm.tm_mday,
            tm.tm_hour,
            tm.tm_min,
            tm.tm_sec,
            self.ident,
            std::process::id()
        );
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        // Once more on a new socket: the daemon may have been started anew.
        for _ in 0..2 {
            if socket.is_none() {
                *socket = self.connect().ok();
            }
            match socket.as_ref().map(|s| s.send(datagram.as_bytes())) {
                Some(Ok(_)) | None => return,
                // Full: no line is worth waiting for a daemon.
                Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => return,
                Some(Err(_)) => *socket = None,
            }
        }
    }

    fn connect(&self) -> io::Result<UnixDatagram> {
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.connect(&self.path)?;
        Ok(socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_reach_the_daemon_even_after_it_was_started_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let syslog = Syslog::at(path.clone(), "quire", SyslogFacility::Local0);
        // Nobody there: no error, no wait.
        syslog.send(LogLevel::Warning, Duration::ZERO, "lost");
        for life in ["one", "two"] {
            let _ = std::fs::remove_file(&path);
            let daemon = UnixDatagram::bind(&path).unwrap();
            syslog.send(LogLevel::Warning, Duration::from_secs(1), life);
            let mut buffer = [0; 200];
            let n = daemon.recv(&mut buffer).unwrap();
            let text = std::str::from_utf8(&buffer[..n]).unwrap();
            let pid = std::process::id();
            assert!(text.starts_with("<132>"), "{text}");
            assert!(text.ends_with(&format!(" quire[{pid}]: {life}")), "{text}");
        }
        let user = Syslog::at(path.clone(), "q", SyslogFacility::User);
        let daemon = {
            let _ = std::fs::remove_file(&path);
            UnixDatagram::bind(&path).unwrap()
        };
        user.send(LogLevel::Debug, Duration::ZERO, "x");
        let mut buffer = [0; 200];
        assert!(daemon.recv(&mut buffer).is_ok() && buffer.starts_with(b"<15>"));
    }
}
