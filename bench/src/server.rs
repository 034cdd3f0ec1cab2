//! The servers under test: started pinned, on a port and in a directory of their own, ended when
//! dropped. Both understand the same directives, so a setup is the same words for both.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use clap::ValueEnum;

use crate::{client::Client, system, usage};

/// What a server is asked to make durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Persistence {
    /// `appendonly no`
    Off,
    /// `appendfsync everysec`
    Everysec,
    /// `appendfsync always`
    Always,
}

impl Persistence {
    fn directives(self) -> [&'static str; 4] {
        match self {
            Self::Off => ["--appendonly", "no", "--appendfsync", "everysec"],
            Self::Everysec => ["--appendonly", "yes", "--appendfsync", "everysec"],
            Self::Always => ["--appendonly", "yes", "--appendfsync", "always"],
        }
    }
}

/// How to start one of the two programs.
#[derive(Debug, Clone)]
pub struct Program {
    /// The binary.
    pub path: PathBuf,
    /// Arguments for this program alone.
    pub extra: Vec<String>,
    /// The CPUs it runs on; any, if there are none.
    pub cpus: Vec<usize>,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    child: Child,
    addr: SocketAddr,
    dir: PathBuf,
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

impl Server {
    /// Starts `program` in a fresh directory below `base` and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be started or does not answer within 20 seconds; its output is part of the
    /// error.
    pub fn start(program: &Program, persistence: Persistence, base: &Path) -> io::Result<Self> {
        let dir = base.join(format!("server-{}", free_port()?));
        Self::start_in(program, persistence, dir, Duration::from_secs(20))
    }

    /// Starts `program` in a directory, which goes when the server is dropped, and waits until it
    /// answers; for so long at most.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_in(
        program: &Program,
        persistence: Persistence,
        dir: PathBuf,
        patience: Duration,
    ) -> io::Result<Self> {
        let port = free_port()?;
        fs::create_dir_all(&dir)?;
        let log = fs::File::create(dir.join("output"))?;
        let mut command = Command::new(&program.path);
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--auto-aof-rewrite-percentage", "0"])
            .args(persistence.directives())
            .arg("--dir")
            .arg(&dir)
            .args(&program.extra)
            .stdin(Stdio::null())
            .stderr(log.try_clone()?)
            .stdout(log);
        system::pin_command(&mut command, &program.cpus);
        let child = command.spawn().map_err(|e| {
            io::Error::new(e.kind(), format!("{} does not start: {e}", program.path.display()))
        })?;
        let mut server = Self { child, addr: SocketAddr::from(([127, 0, 0, 1], port)), dir };
        server.wait_ready(Instant::now() + patience)?;
        Ok(server)
    }

    fn answers(&self) -> bool {
        let reply = Client::connect(self.addr).and_then(|mut client| client.ask(&["PING"]));
        reply.is_ok_and(|reply| reply.text() == Some("PONG"))
    }

    fn wait_ready(&mut self, deadline: Instant) -> io::Result<()> {
        loop {
            if self.answers() {
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let output = fs::read_to_string(self.dir.join("output")).unwrap_or_default();
                return Err(io::Error::other(format!("no answer to PING; it said:\n{output}")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Resident memory, bytes.
    ///
    /// # Errors
    /// When it is gone.
    pub fn rss(&self) -> io::Result<u64> {
        usage::process_rss(self.pid())
    }

    /// Ends it as an operator does; its files stay, in this directory.
    ///
    /// # Errors
    /// When it has not ended within a minute.
    pub fn stop(mut self) -> io::Result<PathBuf> {
        if !self.end(Duration::from_secs(60)) {
            return Err(io::Error::other("the server did not end within a minute of SIGTERM"));
        }
        Ok(std::mem::take(&mut self.dir))
    }

    /// Whether it ended by itself.
    fn end(&mut self, patience: Duration) -> bool {
        system::terminate(self.child.id());
        let deadline = Instant::now() + patience;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
                let _ = self.child.wait();
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Stopped already: its files have another owner.
        if self.dir.as_os_str().is_empty() {
            return;
        }
        self.end(Duration::from_secs(10));
        let _ = fs::remove_dir_all(&self.dir);
    }
}
