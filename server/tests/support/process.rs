//! Servers as processes: Quire's binary and stock Redis, on a free port, with directives as
//! arguments, killed when dropped.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::client::Client;

/// A directory on the disk that the build is on (a temporary one may be memory).
pub fn fresh_dir() -> TempDir {
    TempDir::with_prefix_in("quire-", env!("CARGO_TARGET_TMPDIR"))
        .expect("the build's own directory is writable")
}

/// How to start a server.
#[derive(Debug, Clone)]
pub struct Launch {
    program: PathBuf,
    dir: PathBuf,
    front: Vec<String>,
    args: Vec<String>,
}

impl Launch {
    /// Quire on `dir`.
    pub fn quire(dir: &Path) -> Self {
        Self::new(env!("CARGO_BIN_EXE_quire-server"), dir).with(&[
            "--appendonly",
            "yes",
            "--enable-debug-command",
            "yes",
        ])
    }

    /// Stock Redis on `dir`.
    pub fn redis(dir: &Path) -> Self {
        Self::new("redis-server", dir).with(&[
            "--save",
            "",
            "--appendonly",
            "yes",
            "--enable-debug-command",
            "yes",
        ])
    }

    fn new(program: &str, dir: &Path) -> Self {
        Self { program: program.into(), dir: dir.to_owned(), front: Vec::new(), args: Vec::new() }
    }

    /// The same with more arguments; later ones win.
    pub fn with(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|&a| a.to_owned()));
        self
    }

    /// The same with a configuration file, or other words that come first.
    pub fn in_front(mut self, words: &[&str]) -> Self {
        self.front.extend(words.iter().map(|&w| w.to_owned()));
        self
    }

    fn command(&self, port: u16) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.front)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--dir"])
            .arg(&self.dir)
            .args(&self.args);
        command
    }

    /// Starts it, and waits until it answers PING with PONG (so it has loaded its data).
    pub fn start(&self) -> ServerProcess {
        loop {
            let mut process = self.spawn(|command| command);
            if process.is_ready() {
                return process;
            }
            // Somebody else has got the port between its choice and its use.
        }
    }

    /// Starts it inside `wrap`, which may put another program in front; does not wait.
    pub fn spawn(&self, wrap: impl FnOnce(Command) -> Command) -> ServerProcess {
        // Another process may take the port meanwhile; then the start fails and says so.
        let port = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|l| l.local_addr())
            .expect("there are free ports")
            .port();
        let output = self.dir.with_extension("output");
        let log = fs::File::create(&output).expect("the directory above is writable");
        let child = wrap(self.command(port))
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("descriptors are left"))
            .stdout(log)
            .spawn()
            .unwrap_or_else(|e| {
                panic!("{} is needed by the tests (see .ci/test): {e}", self.program.display())
            });
        ServerProcess { child, port, output }
    }

    /// Starts it, expecting it to refuse: exit status and what it said.
    pub fn start_refused(&self) -> (ExitStatus, String) {
        let mut process = self.spawn(|command| command);
        let status = process.wait_exit(Duration::from_secs(30));
        (status, process.said())
    }
}

/// A started server.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    /// Its TCP port.
    pub port: u16,
    output: PathBuf,
}

impl ServerProcess {
    /// What it printed so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection.
    pub fn client(&self) -> Client {
        Client::connect(self.port).expect("a running server accepts connections")
    }

    /// Waits until it answers; panics, with what it said, when it ends or takes half a minute, or
    /// when another server answers in its place.
    pub fn wait_ready(&mut self) {
        assert!(self.is_ready(), "another server has got port {}", self.port);
    }

    /// Waits like [`ServerProcess::wait_ready`]; false when another server answers in its place.
    fn is_ready(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let client = Client::connect(self.port);
            let answer = client.and_then(|mut c| Ok((c.try_ask(&["PING"])?, c)));
            if let Ok((super::client::Reply::Simple(text), mut client)) = answer
                && text == "PONG"
            {
                let info = client.try_ask(&["INFO", "server"]);
                // Ours, or what runs in front of it has started it.
                let pid = self.pid();
                let children = format!("/proc/{pid}/task/{pid}/children");
                let children = fs::read_to_string(children).unwrap_or_default();
                let pid = pid.to_string();
                let mut own = children.split_ascii_whitespace().chain([pid.as_str()]);
                return match info {
                    Ok(super::client::Reply::Bulk(text)) => {
                        let text = String::from_utf8_lossy(&text);
                        own.any(|pid| text.contains(&format!("process_id:{pid}\r\n")))
                    }
                    // It asks for a password first.
                    _ => true,
                };
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                panic!("the server ended ({status}):\n{}", self.said());
            }
            assert!(Instant::now() < deadline, "the server is not ready:\n{}", self.said());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// kill -9: no handler runs, nothing is flushed.
    pub fn kill(mut self) {
        self.child.kill().expect("our child can be killed");
        self.child.wait().expect("our child can be waited for");
    }

    /// Asks it to end in order (SIGTERM) and waits; panics unless it exits with 0.
    pub fn stop(mut self) {
        super::run("kill", &["-TERM", &self.pid().to_string()]);
        let status = self.wait_exit(Duration::from_secs(30));
        assert!(status.success(), "the server ended with {status}:\n{}", self.said());
    }

    /// Waits until it has ended by itself.
    pub fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait().expect("our child can be waited for") {
                return status;
            }
            assert!(Instant::now() < deadline, "the server does not end:\n{}", self.said());
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
