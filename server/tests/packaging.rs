//! What comes with the server for its machine: the systemd unit, the container's system call
//! filter. Held against what systemd says of the one, and what the server calls against the other.

use crate::support::{
    process::{Launch, fresh_dir},
    run,
};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

fn configs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs")
}

#[test]
fn the_unit_is_a_unit_and_lets_the_server_do_what_it_must() {
    let unit = fs::read_to_string(configs().join("systemd/quire.service")).expect("it is there");
    let has = |line: &str| unit.lines().any(|l| l == line);
    for line in ["Type=notify", "LimitMEMLOCK=infinity", "NoNewPrivileges=yes"] {
        assert!(has(line), "{line} is missing");
    }
    let filter = unit.lines().find(|line| line.starts_with("SystemCallFilter=")).expect("a filter");
    for call in ["io_uring_setup", "io_uring_enter", "io_uring_register"] {
        assert!(filter.split([' ', '=']).any(|word| word == call), "{filter}");
    }
    // The arguments are directives the server knows.
    let start = unit.lines().find(|line| line.starts_with("ExecStart=")).expect("a command");
    assert!(start.contains("/etc/quire/quire.conf --supervised systemd --dir "), "{start}");
    // systemd's own opinion, where there is a systemd.
    if Command::new("systemd-analyze").arg("--version").output().is_ok_and(|o| o.status.success()) {
        let dir = fresh_dir();
        let here = dir.path().join("quire.service");
        // The program need not be installed for that.
        fs::write(&here, unit.replace("/usr/local/bin/quire-server", "/bin/true"))
            .expect("the directory is ours");
        let said = run("systemd-analyze", &["verify", &here.to_string_lossy()]);
        assert_eq!(said.trim(), "");
    }
}

/// Names of the calls that the profile allows.
fn allowed() -> BTreeSet<String> {
    let script = "import sys, json\np = json.load(open(sys.argv[1]))\nassert p['defaultAction'] == \
                  'SCMP_ACT_ERRNO'\nfor group in p['syscalls']:\n    assert group['action'] == \
                  'SCMP_ACT_ALLOW'\n    print('\\n'.join(group['names']))";
    let file = configs().join("docker/seccomp.json");
    run("python3", &["-c", script, &file.to_string_lossy()]).lines().map(str::to_owned).collect()
}

/// Names of the calls in the output of `strace -f`.
fn called(trace: &str) -> BTreeSet<String> {
    trace
        .lines()
        .filter_map(|line| {
            let line = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
            let name = line.split('(').next()?;
            let is_name =
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
            (is_name && line.contains('(') && !name.is_empty()).then(|| name.to_owned())
        })
        .collect()
}

#[test]
fn every_system_call_of_the_server_is_in_the_filter_for_containers() {
    let dir = fresh_dir();
    let trace = dir.path().join("trace");
    let data = dir.path().join("data");
    fs::create_dir(&data).expect("the directory is ours");
    let file = dir.path().join("server.conf");
    fs::write(
        &file,
        "pidfile q.pid\nlogfile q.log\nsyslog-enabled yes\nsupervised auto\nbio_cpulist 0\n",
    )
    .expect("the directory is ours");
    let launch = Launch::quire(&data).in_front(&[&file.to_string_lossy()]).with(&[
        "--shards",
        "2",
        "--appendfsync-shard",
        "0/2 always",
        "--appendfsync",
        "everysec",
    ]);
    for _life in ["a first start", "a start that reads the log"] {
        let mut server = launch.spawn(|command| {
            let mut traced = Command::new("strace");
            traced.args(["-f", "-qq", "-A", "-o"]).arg(&trace).arg(command.get_program());
            traced.args(command.get_args());
            traced
        });
        server.wait_ready();
        let mut client = server.client();
        for n in 0..500 {
            assert!(client.ask(&["SET", &format!("key:{n}"), "value"]).is_ok());
        }
        for command in [
            &["CONFIG", "REWRITE"][..],
            &["CONFIG", "SET", "maxclients", "10100"],
            &["SAVE"],
            &["FLUSHALL"],
        ] {
            assert!(client.ask(command).is_ok(), "{command:?}");
        }
        let pid = fs::read_to_string(data.join("q.pid")).expect("the pidfile is written");
        run("kill", &["-TERM", pid.trim()]);
        assert!(
            server.wait_exit(std::time::Duration::from_secs(30)).success(),
            "{}",
            server.said()
        );
    }
    let called = called(&fs::read_to_string(&trace).expect("strace writes it"));
    for expected in ["io_uring_setup", "io_uring_enter", "io_uring_register", "execve", "rename"] {
        assert!(called.contains(expected), "{expected}: {called:?}");
    }
    let allowed = allowed();
    let forbidden: Vec<_> = called.difference(&allowed).collect();
    assert!(forbidden.is_empty(), "{forbidden:?}");
    // The filter is one: what nobody needs is not in it.
    for dangerous in
        ["ptrace", "mount", "bpf", "init_module", "kexec_load", "unshare", "setns", "reboot"]
    {
        assert!(!allowed.contains(dangerous), "{dangerous}");
    }
}

#[test]
fn a_rewritten_configuration_is_stable_before_it_has_its_name_and_the_name_before_the_answer() {
    let dir = fresh_dir();
    let (trace, data) = (dir.path().join("trace"), dir.path().join("data"));
    fs::create_dir(&data).expect("the directory is ours");
    let file = dir.path().join("server.conf");
    fs::write(&file, "maxclients 100\n").expect("the directory is ours");
    let launch = Launch::quire(&data).in_front(&[&file.to_string_lossy()]);
    let mut server = launch.with(&["--shards", "1"]).spawn(|command| {
        let mut traced = Command::new("strace");
        traced.args(["-f", "-y", "-qq", "-e", "trace=fsync,fdatasync,rename,renameat,renameat2"]);
        traced.arg("-o").arg(&trace).arg(command.get_program()).args(command.get_args());
        traced
    });
    server.wait_ready();
    let mut client = server.client();
    assert!(client.ask(&["CONFIG", "REWRITE"]).is_ok());
    let trace = fs::read_to_string(&trace).expect("strace writes it");
    let at = |call: &str, what: &str| {
        let is_it = |line: &str| line.contains(call) && line.contains(what);
        let found = trace.lines().position(is_it);
        found.unwrap_or_else(|| panic!("no {call} of {what}:\n{trace}"))
    };
    let content = at("sync(", ".tmp>");
    let name = at("rename", "server.conf.");
    let directory = at("sync(", &format!("<{}>", dir.path().to_string_lossy()));
    assert!(content < name && name < directory, "{trace}");
    // Whoever is traced outlives the tracer that is killed.
    let _ = client.try_ask(&["SHUTDOWN", "NOSAVE"]);
    assert!(server.wait_exit(std::time::Duration::from_secs(30)).success(), "{}", server.said());
}
