//! Disks that are full or report errors: writes stop with -MISCONF, nothing acknowledged is lost,
//! reads go on, and the exit code says so.
//!
//! The full disk is a small tmpfs in a mount namespace of the server's own (`unshare`), seen from
//! here through /proc/PID/root. The failing disk is `DEBUG LOG-FAULT <shard> <write|sync>
//! <errno>`, which makes the next such operation of that shard's log fail: the log is written
//! through io_uring, so no library can be put in between.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use crate::support::{
    client::{Client, Reply},
    process::{Launch, ServerProcess, fresh_dir},
};

/// Puts `unshare` and a mount in front of a server's command.
pub fn on_small_disk(server: &Command, dir: &Path, mebibytes: u32) -> Command {
    let script = format!(
        "mount -t tmpfs -o size={mebibytes}m quire-test '{}' && exec \"$@\"",
        dir.display()
    );
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script, "sh"]);
    command.arg(server.get_program()).args(server.get_args());
    command
}

/// The server's own view of `dir`.
pub fn seen_by(server: &ServerProcess, dir: &Path) -> PathBuf {
    let root = PathBuf::from(format!("/proc/{}/root", server.pid()));
    root.join(dir.strip_prefix("/").expect("test directories are absolute"))
}

/// Writes until a write is refused; how many were acknowledged, and the refusal.
fn write_until_refused(client: &mut Client) -> (usize, Reply) {
    let value = "v".repeat(8000);
    for n in 0..20_000 {
        let reply = client.ask(&["SET", &format!("key:{n}"), &value]);
        if !reply.is_ok() {
            return (n, reply);
        }
    }
    panic!("160 MB were written to a disk that has no room for them");
}

fn refuses_on_a_full_disk(policy: &str) {
    let dir = fresh_dir();
    let launch = Launch::quire(dir.path()).with(&[
        "--shards",
        "2",
        "--appendfsync",
        policy,
        "--aof-segment-size",
        "2mb",
    ]);
    let mut server = launch.spawn(|command| on_small_disk(&command, dir.path(), 48));
    server.wait_ready();
    let mut client = server.client();
    let (written, refusal) = write_until_refused(&mut client);
    assert!(written > 100, "only {written} writes fitted");
    assert!(refusal.is_error("MISCONF"), "{refusal:?}");
    // Refused before it was executed: nobody sees it.
    assert_eq!(client.ask(&["GET", &format!("key:{written}")]), Reply::Null);
    assert_eq!(client.ask(&["GET", "key:0"]).text().len(), 8000);

    // What was acknowledged survives, from a copy of the full disk as a crash leaves it.
    let copy = dir.path().with_extension("copy");
    crate::support::copy_tree(&seen_by(&server, dir.path()), &copy);
    server.kill();
    let again = Launch::quire(&copy).with(&["--shards", "2", "--appendfsync", policy]).start();
    let mut client = again.client();
    for n in 0..written {
        let reply = client.ask(&["STRLEN", &format!("key:{n}")]);
        assert_eq!(reply, Reply::Int(8000), "key:{n} of {written}");
    }
    assert_eq!(client.ask(&["DBSIZE"]), Reply::Int(written as i64));
    drop(again);
    fs::remove_dir_all(&copy).expect("the copy is ours");
}

#[test]
fn a_full_disk_refuses_writes_before_they_are_executed_under_always() {
    refuses_on_a_full_disk("always");
}

#[test]
fn a_full_disk_refuses_writes_before_they_are_executed_under_everysec() {
    refuses_on_a_full_disk("everysec");
}

#[test]
fn writes_go_on_when_a_full_disk_has_room_again() {
    let dir = fresh_dir();
    let launch = Launch::quire(dir.path()).with(&["--shards", "1", "--aof-segment-size", "2mb"]);
    let mut server = launch.spawn(|command| on_small_disk(&command, dir.path(), 48));
    server.wait_ready();
    let mut client = server.client();
    let ballast = seen_by(&server, dir.path()).join("ballast");
    let room = vec![b'x'; 24 << 20];
    fs::write(&ballast, room).expect("the ballast fits");
    let (_, refusal) = write_until_refused(&mut client);
    assert!(refusal.is_error("MISCONF"), "{refusal:?}");
    fs::remove_file(&ballast).expect("the ballast is ours");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !client.ask(&["SET", "room", "again"]).is_ok() {
        assert!(Instant::now() < deadline, "writes are still refused:\n{}", server.said());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(client.ask(&["GET", "room"]).text(), "again");
}

/// A server under `always` whose shard 0 of one has just had a failing sync.
fn after_a_failed_sync(dir: &Path) -> ServerProcess {
    let launch = Launch::quire(dir).with(&["--shards", "1", "--appendfsync", "always"]);
    let server = launch.start();
    let mut client = server.client();
    assert!(client.ask(&["SET", "settled", "1"]).is_ok());
    let reply = client.ask(&["DEBUG", "LOG-FAULT", "0", "sync", "5"]);
    assert!(reply.is_ok(), "DEBUG LOG-FAULT: {reply:?}");
    // Its reply can never be given: the connection is closed, or it is refused. Never +OK.
    let outcome = client.try_ask(&["SET", "unsettled", "1"]);
    assert!(!outcome.as_ref().is_ok_and(Reply::is_ok), "{outcome:?}");
    server
}

#[test]
fn after_a_failed_sync_writes_are_refused_and_settled_keys_can_be_read() {
    let dir = fresh_dir();
    let server = after_a_failed_sync(dir.path());
    let mut client = server.client();
    let refusal = client.ask(&["SET", "other", "1"]);
    assert!(refusal.is_error("MISCONF"), "{refusal:?}");
    assert_eq!(client.ask(&["GET", "settled"]).text(), "1");
    let unsettled = client.ask(&["GET", "unsettled"]);
    assert!(unsettled.is_error("MISCONF"), "{unsettled:?}");
    assert_eq!(client.ask(&["GET", "never-written"]), Reply::Null);
}

#[test]
fn after_a_failed_sync_a_shutdown_says_so_and_a_restart_has_what_was_acknowledged() {
    let dir = fresh_dir();
    let mut server = after_a_failed_sync(dir.path());
    // The reply, if one comes, is an error; the process ends with a code that is not 0, or goes
    // on until it is told to leave in spite of everything.
    let refused = server.client().try_ask(&["SHUTDOWN"]);
    if refused.is_ok_and(|reply| matches!(reply, Reply::Error(_))) {
        let _ = server.client().try_ask(&["SHUTDOWN", "NOSAVE", "FORCE"]);
    }
    let status = server.wait_exit(Duration::from_secs(20));
    assert!(!status.success(), "an exit code of 0 after a failed sync");
    drop(server);
    let again = Launch::quire(dir.path()).with(&["--shards", "1"]).start();
    assert_eq!(again.client().ask(&["GET", "settled"]).text(), "1");
}

#[test]
fn a_failed_write_stops_writes_like_a_failed_sync() {
    let dir = fresh_dir();
    let launch = Launch::quire(dir.path()).with(&["--shards", "2", "--appendfsync", "everysec"]);
    let server = launch.start();
    let mut client = server.client();
    for shard in ["0", "1"] {
        let reply = client.ask(&["DEBUG", "LOG-FAULT", shard, "write", "5"]);
        assert!(reply.is_ok(), "DEBUG LOG-FAULT: {reply:?}");
    }
    // The first write meets the error; from some write on all are refused, on every shard.
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut n = 0;
    loop {
        let reply = server.client().try_ask(&["SET", &format!("key:{n}"), "x"]);
        if reply.is_ok_and(|reply| reply.is_error("MISCONF")) {
            break;
        }
        assert!(Instant::now() < deadline, "writes are accepted after a failed write");
        n += 1;
    }
    for n in 0..20 {
        let reply = server.client().ask(&["SET", &format!("more:{n}"), "x"]);
        assert!(reply.is_error("MISCONF"), "{reply:?}");
    }
}
