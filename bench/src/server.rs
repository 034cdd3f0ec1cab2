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
        let port = free_port()?;
        let dir = base.join(format!("server-{port}"));
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
        server.wait_ready()?;
        Ok(server)
    }

    fn answers(&self) -> bool {
        let reply = Client::connect(self.addr).and_then(|mut client| client.ask(&["PING"]));
        reply.is_ok_and(|reply| reply.text() == Some("PONG"))
    }

    fn wait_ready(&mut self) -> io::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if self.answers() {
                return Ok(());
            }
            let ended = self.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let output = fs::read_to_string(self.dir.join("output")).unwrap_or_default();
                return Err(io::Error::other(format!("no answer to PING; it said:\n{output}")));
            }
            std::thread::sleep(Duration::from_millis(20));
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
}

impl Drop for Server {
    fn drop(&mut self) {
        system::terminate(self.child.id());
        let deadline = Instant::now() + Duration::from_secs(10);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}
