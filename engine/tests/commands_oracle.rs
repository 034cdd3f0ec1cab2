//! A `redis-server` of the test's own, on a free port, without persistence.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A running server and one connection to it. Stopped when dropped.
pub struct Oracle {
    server: Child,
    reader: BufReader<TcpStream>,
    folder: tempfile::TempDir,
}

impl Oracle {
    /// Starts `redis-server` from the PATH; panics when there is none, for without it nothing
    /// is compared.
    pub fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("a folder for the server"), &[])
    }

    /// The same in a folder that may hold its files already, with more options.
    pub fn start_in(folder: tempfile::TempDir, options: &[&str]) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let server = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--enable-debug-command", "yes", "--loglevel", "warning", "--dir"])
            .arg(folder.path())
            .args(options)
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server 7.0 must be on the PATH: commands are compared with it");
        let stream = (0..200)
            .find_map(|_| {
                std::thread::sleep(Duration::from_millis(25));
                TcpStream::connect(("127.0.0.1", port)).ok()
            })
            .expect("redis-server listens");
        stream.set_nodelay(true).expect("a socket option");
        let mut oracle = Self { server, reader: BufReader::new(stream), folder };
        let version = oracle.line("INFO server");
        assert!(version.contains("redis_version:7.0."), "compared with 7.0 only: {version}");
        // Keys are removed when they are looked at, on both sides.
        oracle.line("DEBUG SET-ACTIVE-EXPIRE 0");
        oracle
    }

    /// Where its files are.
    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Sends a command line without waiting for its reply.
    pub fn send<T: AsRef<[u8]>>(&mut self, line: &[T]) {
        let mut request = format!("*{}\r\n", line.len()).into_bytes();
        for arg in line {
            request.extend_from_slice(format!("${}\r\n", arg.as_ref().len()).as_bytes());
            request.extend_from_slice(arg.as_ref());
            request.extend_from_slice(b"\r\n");
        }
        self.reader.get_mut().write_all(&request).expect("redis-server reads");
    }

    /// The bytes of the next reply.
    pub fn receive(&mut self) -> Vec<u8> {
        let mut reply = Vec::new();
        self.receive_into(&mut reply);
        reply
    }

    /// One value of any RESP type the commands use.
    fn receive_into(&mut self, reply: &mut Vec<u8>) {
        let start = reply.len();
        self.reader.read_until(b'\n', reply).expect("redis-server replies");
        let header = String::from_utf8_lossy(&reply[start..]).trim_end().to_owned();
        assert!(!header.is_empty(), "redis-server closed the connection");
        let count = || header[1..].parse::<i64>().expect("a count");
        match header.as_bytes()[0] {
            b'$' | b'=' if count() >= 0 => {
                let start = reply.len();
                reply.resize(start + count() as usize + 2, 0);
                self.reader.read_exact(&mut reply[start..]).expect("redis-server replies");
            }
            b'*' | b'~' | b'>' => (0..count()).for_each(|_| self.receive_into(reply)),
            b'%' => (0..2 * count()).for_each(|_| self.receive_into(reply)),
            _ => {}
        }
    }

    /// Executes a line of words separated by blanks.
    pub fn line(&mut self, line: &str) -> String {
        self.send(&line.split(' ').collect::<Vec<_>>());
        String::from_utf8_lossy(&self.receive()).into_owned()
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        // Nothing of it is kept: the folder goes with it.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
