//! What `redis.conf` and CONFIG promise, and what the process is to its machine: a title, a pidfile,
//! a log, a supervisor. Compared with stock Redis where it has an answer.

use crate::support::{
    client::Reply,
    process::{Launch, ServerProcess, fresh_dir},
    run,
};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::{net::UnixDatagram, process::ExitStatusExt},
    path::Path,
    time::{Duration, Instant},
};

/// A server without a log whose configuration file says `text`.
fn configured(dir: &Path, text: &str) -> Launch {
    let file = dir.join("server.conf");
    if !file.exists() {
        fs::write(&file, text).expect("the directory is ours");
    }
    let file = file.to_str().expect("test paths are UTF-8");
    Launch::quire(dir).in_front(&[file]).with(&["--appendonly", "no", "--shards", "2"])
}

fn directives(server: &ServerProcess) -> BTreeMap<String, String> {
    let Reply::Array(pairs) = server.client().ask(&["CONFIG", "GET", "*"]) else {
        panic!("CONFIG GET answers with a list")
    };
    pairs.chunks(2).map(|pair| (pair[0].text(), pair[1].text())).collect()
}

/// Waits for something that another process does.
fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn every_directive_of_stock_redis_is_known_and_can_be_set_to_what_it_is() {
    let dir = fresh_dir();
    let redis_dir = dir.path().join("redis");
    fs::create_dir(&redis_dir).expect("the directory is fresh");
    let redis = Launch::redis(&redis_dir).with(&["--appendonly", "no"]).start();
    let quire = configured(dir.path(), "").start();
    let (theirs, ours) = (directives(&redis), directives(&quire));
    let missing: Vec<_> = theirs.keys().filter(|name| !ours.contains_key(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let mut client = quire.client();
    for (name, value) in &ours {
        match client.ask(&["CONFIG", "SET", name, value]) {
            reply if reply.is_ok() => {}
            Reply::Error(text) => assert!(
                text.ends_with("immutable config") || text.ends_with("protected config"),
                "{name}: {text}"
            ),
            other => panic!("{name}: {other:?}"),
        }
    }
    assert_eq!(directives(&quire), ours);
    // What can be set in Redis can be set here.
    let mut redis = redis.client();
    let mut fixed = Vec::new();
    for name in theirs.keys() {
        let ask = ["CONFIG", "SET", name, "x", "no-such-directive", "x"];
        if redis.ask(&ask) != client.ask(&ask) {
            fixed.push(name.as_str());
        }
    }
    assert!(fixed.is_empty(), "{fixed:?}");
}

#[test]
fn a_rewritten_file_brings_the_server_back_as_it_was() {
    let dir = fresh_dir();
    let text = "# kept\nTIMEOUT 5\nrename-command FLUSHALL \"\"\nrename-command keys list-keys\n";
    let launch = configured(dir.path(), text);
    let server = launch.start();
    let mut client = server.client();
    assert!(client.ask(&["FLUSHALL"]).is_error("ERR unknown command"));
    assert!(client.ask(&["KEYS", "*"]).is_error("ERR unknown command"));
    assert_eq!(client.ask(&["List-Keys", "*"]), Reply::Array(Vec::new()));
    assert_eq!(client.ask(&["COMMAND", "INFO", "flushall"]), Reply::Array(vec![Reply::Null]));
    let set = ["CONFIG", "SET", "timeout", "7", "appendfsync-shard", "0/2 always 1/2 no"];
    assert!(client.ask(&set).is_ok());
    assert!(client.ask(&["CONFIG", "SET", "requirepass", "a \"b\\ c"]).is_ok());
    assert!(client.ask(&["CONFIG", "REWRITE"]).is_ok());
    let file = fs::read_to_string(dir.path().join("server.conf")).expect("it was rewritten");
    assert!(file.starts_with("# kept\ntimeout 7\nrename-command FLUSHALL \"\"\n"), "{file}");
    server.stop();

    let launch =
        Launch::quire(dir.path()).in_front(&[&dir.path().join("server.conf").to_string_lossy()]);
    let mut server = launch.spawn(|command| command);
    let mut client = wait_for("the start", || {
        let mut client = crate::support::client::Client::connect(server.port).ok()?;
        client.try_ask(&["AUTH", "a \"b\\ c"]).ok().filter(Reply::is_ok).map(|_| client)
    });
    for (name, value) in [("timeout", "7"), ("appendfsync-shard", "0/2 always 1/2 no")] {
        let pair = Reply::Array(vec![Reply::Bulk(name.into()), Reply::Bulk(value.into())]);
        assert_eq!(client.ask(&["CONFIG", "GET", name]), pair);
    }
    assert!(client.ask(&["FLUSHALL"]).is_error("ERR unknown command"));

    // Every directive, defaults included, is something the server can read back.
    assert!(client.ask(&["DEBUG", "CONFIG-REWRITE-FORCE-ALL"]).is_ok());
    run("kill", &["-TERM", &server.pid().to_string()]);
    assert!(server.wait_exit(Duration::from_secs(30)).success());
    let file = fs::read_to_string(dir.path().join("server.conf")).expect("it was rewritten");
    for directive in ["maxclients 10000", "client-output-buffer-limit pubsub 32mb 8mb 60", "hz 10"]
    {
        assert!(file.contains(directive), "{file}");
    }
    drop(launch.spawn(|command| command));

    let bare = Launch::quire(dir.path()).with(&["--appendonly", "no"]).start();
    let reply = bare.client().ask(&["CONFIG", "REWRITE"]);
    assert_eq!(reply, Reply::Error("ERR The server is running without a config file".into()));
}

#[test]
fn config_set_changes_all_or_nothing_even_what_the_kernel_keeps() {
    let dir = fresh_dir();
    let server = configured(dir.path(), "enable-protected-configs local\n").start();
    let mut client = server.client();
    let score = || {
        let file = format!("/proc/{}/oom_score_adj", server.pid());
        fs::read_to_string(file).expect("the server runs").trim().parse::<i32>().expect("a number")
    };
    let before = score();
    let set = ["CONFIG", "SET", "oom-score-adj", "yes", "oom-score-adj-values", "7 0 0"];
    assert!(client.ask(&set).is_ok());
    assert_eq!(score(), before + 7);
    let refused = client.ask(&[
        "CONFIG",
        "SET",
        "oom-score-adj-values",
        "9 0 0",
        "hz",
        "20",
        "dir",
        "/no/such/directory",
    ]);
    let text = "ERR CONFIG SET failed (possibly related to argument 'dir') - No such file or \
                directory";
    assert_eq!(refused, Reply::Error(text.to_owned()));
    assert_eq!(score(), before + 7);
    assert_eq!(directives(&server)["hz"], "10");
    assert!(client.ask(&["CONFIG", "SET", "dir", "/"]).is_ok());
    assert_eq!(directives(&server)["dir"], "/");
    assert!(client.ask(&["CONFIG", "SET", "oom-score-adj", "no"]).is_ok());
    assert_eq!(score(), before);
}

#[test]
fn the_process_shows_its_title_and_leaves_its_number_while_it_runs() {
    let dir = fresh_dir();
    let pidfile = dir.path().join("q.pid");
    let text = "pidfile q.pid\nproc-title-template \"quire on {port} {config-file}\"\n";
    let server = configured(dir.path(), text).start();
    let title = || {
        let file = format!("/proc/{}/cmdline", server.pid());
        let bytes = fs::read(file).expect("the server runs");
        String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned()
    };
    let file = dir.path().join("server.conf");
    assert_eq!(title(), format!("quire on {} {}", server.port, file.display()));
    let template = "a much longer title ".repeat(30);
    let set = ["CONFIG", "SET", "proc-title-template", &template];
    assert!(server.client().ask(&set).is_ok());
    assert!(title().starts_with("a much longer title a much"), "{}", title());
    let number = fs::read_to_string(&pidfile).expect("the pidfile is written");
    assert_eq!(number, format!("{}\n", server.pid()));
    server.stop();
    assert!(!pidfile.exists());
}

#[test]
fn the_log_can_be_renamed_away_and_can_be_json() {
    let dir = fresh_dir();
    let text = "logfile q.log\nlog-format json\nloglevel debug\n";
    let server = configured(dir.path(), text).start();
    let log = dir.path().join("q.log");
    fs::rename(&log, dir.path().join("q.log.1")).expect("the log is a file");
    assert!(server.client().ask(&["CONFIG", "SET", "loglevel", "notice"]).is_ok());
    server.stop();
    let lines = |name: &str| {
        let script = "import sys, json\nfor line in open(sys.argv[1]):\n    o = json.loads(line)\n    \
                      print(o['level'], o['pid'], o['thread'], o.get('shard'), o['message'])";
        let file = dir.path().join(name);
        run("python3", &["-c", script, file.to_str().expect("test paths are UTF-8")])
    };
    assert!(lines("q.log.1").contains("Ready to accept connections"));
    assert!(lines("q.log").contains(" main None Received SIGTERM scheduling shutdown..."));
}

/// What INFO says of the supervisor.
fn supervised_by(server: &ServerProcess) -> String {
    let text = server.client().ask(&["INFO", "server"]).text();
    let value = text.lines().find_map(|line| line.strip_prefix("process_supervised:"));
    value.expect("INFO has the field").to_owned()
}

#[test]
fn systemd_hears_when_the_server_is_ready_and_when_it_stops() {
    let dir = fresh_dir();
    let path = dir.path().join("notify");
    let supervisor = UnixDatagram::bind(&path).expect("the directory is ours");
    supervisor.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
    let hear = || {
        let mut buffer = [0; 200];
        let n = supervisor.recv(&mut buffer).expect("the server tells");
        String::from_utf8_lossy(&buffer[..n]).into_owned()
    };
    for mode in ["systemd", "auto"] {
        let server =
            configured(dir.path(), "").with(&["--supervised", mode]).spawn(|mut command| {
                command.env("NOTIFY_SOCKET", &path);
                command
            });
        assert_eq!(hear(), "STATUS=Ready to accept connections\nREADY=1\n");
        assert_eq!(supervised_by(&server), "systemd");
        server.stop();
        assert_eq!(hear(), "STATUS=Syncing and sealing the log\nSTOPPING=1\n");
    }
    let (status, said) =
        configured(dir.path(), "").with(&["--supervised", "upstart"]).start_refused();
    assert!(!status.success() && said.contains("run Quire under systemd"), "{said}");
    let (status, said) = configured(dir.path(), "").with(&["--daemonize", "yes"]).start_refused();
    assert!(!status.success() && said.contains("service manager"), "{said}");
}

#[test]
fn a_rewrite_that_finds_no_thread_is_refused_and_leaves_nobody_waiting() {
    let dir = fresh_dir();
    let server = configured(dir.path(), "").start();
    assert_eq!(supervised_by(&server), "no");
    let pid = server.pid().to_string();
    let mut client = server.client();
    assert_eq!(client.ask(&["PING"]).text(), "PONG");
    // No address space for another stack.
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let size = size.and_then(|text| text.split_whitespace().next()).expect("the kernel says it");
    let bytes = size.parse::<u64>().expect("a number of KiB") * 1024 + 64 * 1024;
    run("prlimit", &["--pid", &pid, &format!("--as={bytes}:unlimited")]);
    let refused = client.ask(&["CONFIG", "REWRITE"]);
    assert!(
        matches!(&refused, Reply::Error(e) if e.contains("Rewriting config file")),
        "{refused:?}"
    );
    run("prlimit", &["--pid", &pid, "--as=unlimited:unlimited"]);
    assert!(client.ask(&["CONFIG", "REWRITE"]).is_ok());
}

#[test]
fn a_crash_says_where_it_happened_and_dies_of_its_signal() {
    let dir = fresh_dir();
    let mut server = configured(dir.path(), "logfile q.log\n").start();
    run("kill", &["-SEGV", &server.pid().to_string()]);
    let status = server.wait_exit(Duration::from_secs(20));
    assert_eq!(status.signal(), Some(libc::SIGSEGV));
    let log = fs::read_to_string(dir.path().join("q.log")).expect("the log is a file");
    assert!(log.contains("crashed by SIGSEGV") && log.contains("(+0x"), "{log}");
    assert!(log.contains("BUG REPORT END"), "{log}");

    let mut server = configured(dir.path(), "").start();
    assert!(server.client().ask(&["CONFIG", "SET", "crash-log-enabled", "no"]).is_ok());
    run("kill", &["-SEGV", &server.pid().to_string()]);
    assert_eq!(server.wait_exit(Duration::from_secs(20)).signal(), Some(libc::SIGSEGV));
    let log = fs::read_to_string(dir.path().join("q.log")).expect("the log is a file");
    assert_eq!(log.matches("crashed by SIGSEGV").count(), 1, "{log}");
}

#[test]
fn the_port_and_the_addresses_change_while_clients_stay() {
    let dir = fresh_dir();
    let server = configured(dir.path(), "").with(&["--bind", "127.0.0.1"]).start();
    let free = || {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("there are free ports");
        let port = listener.local_addr().expect("it is bound").port();
        (listener, port)
    };
    let mut client = server.client();
    let mut set = |pairs: &[&str]| client.ask(&[&["CONFIG", "SET"], pairs].concat());
    let reach = |host: &str, port: u16| std::net::TcpStream::connect((host, port)).is_ok();

    // Taken: nothing changes, the old port goes on.
    let (taken, port) = free();
    let text = "ERR CONFIG SET failed (possibly related to argument 'port') - Unable to listen on \
                this port. Check server logs.";
    assert_eq!(set(&["hz", "33", "port", &port.to_string()]), Reply::Error(text.to_owned()));
    assert_eq!(directives(&server)["hz"], "10");
    drop(taken);
    // Free: the new one is served, the old one is not, and connections live on.
    let (listener, other) = free();
    drop(listener);
    assert!(set(&["port", &other.to_string()]).is_ok());
    wait_for("the new port", || reach("127.0.0.1", other).then_some(()));
    assert!(!reach("127.0.0.1", server.port));
    assert!(set(&["port", &server.port.to_string()]).is_ok());
    // Addresses: everywhere, then one again; another that is not ours is refused.
    assert!(set(&["bind", "* -::*"]).is_ok());
    assert!(reach("127.0.0.2", server.port));
    let text = "ERR CONFIG SET failed (possibly related to argument 'bind') - Failed to bind to \
                specified addresses.";
    assert_eq!(set(&["bind", "127.0.0.1 192.0.2.1"]), Reply::Error(text.to_owned()));
    assert!(reach("127.0.0.2", server.port));
    assert!(set(&["bind", "127.0.0.1"]).is_ok());
    assert!(!reach("127.0.0.2", server.port) && reach("127.0.0.1", server.port));
    assert!(server.client().ask(&["PING"]) == Reply::Simple("PONG".to_owned()));
}

#[test]
fn a_read_that_a_stricter_policy_holds_back_leaves_when_its_value_is_stable() {
    for shards in ["1", "2"] {
        let dir = fresh_dir();
        let server = Launch::quire(dir.path()).with(&["--shards", shards]).start();
        let mut client = server.client();
        // What was released under `no` is not settled under `always`, and comes to the same LSN once
        // more. Nobody else writes: nothing but that can send the reply.
        for round in 0..20 {
            let value = round.to_string();
            for line in [
                &["CONFIG", "SET", "appendfsync", "always"][..],
                &["SET", "k", "before"],
                &["CONFIG", "SET", "appendfsync", "no"],
                &["SET", "k", &value],
                &["CONFIG", "SET", "appendfsync", "always"],
            ] {
                assert!(client.ask(line).is_ok(), "{line:?}");
            }
            let reply = client.try_ask(&["GET", "k"]).expect("the reply is not left behind");
            assert_eq!(reply.text(), value, "round {round}, {shards} shards");
        }
    }
}
