//! The program's manners: command line, lock, names, documents, dump.

use super::{Directory, Place, Segment, fresh_dir, other, quire_check, two_commits};
use crate::support::process::Launch;
use std::fs;

#[test]
fn a_running_server_is_not_disturbed() {
    let dir = fresh_dir();
    let server = Launch::quire(dir.path()).with(&["--shards", "1"]).start();
    let path = dir.path().to_str().expect("test paths are UTF-8");
    for args in [&[path][..], &[path, "--fix", "--yes"]] {
        let said = quire_check(args);
        let pid = format!("process {}", server.pid());
        assert!(said.code == 3 && said.err.contains(&pid), "{}{}", said.out, said.err);
    }
    assert!(server.client().ask(&["SET", "still", "here"]).is_ok());
    server.stop();
    let said = quire_check(&[path, "--load"]);
    assert!(said.code == 0 && said.out.contains("loads: 1 keys"), "{}{}", said.out, said.err);
}

#[test]
fn wrong_usage_exits_with_3_and_one_sentence() {
    let empty = fresh_dir();
    let path = empty.path().to_str().expect("test paths are UTF-8");
    for (args, word) in [
        (&["--nonsense"][..], "--nonsense"),
        (&[], "which directory"),
        (&["/no/such/directory"], "/no/such/directory"),
        (&[path], "there is no log here"),
        (&[path, "--accept-loss"], "--fix"),
        (&["--config", "/no/such/file"], "/no/such/file"),
        (&[path, "--appendfilename", "a b"], "appendfilename"),
    ] {
        let said = quire_check(args);
        assert!(said.code == 3 && said.err.contains(word), "{args:?}: {}{}", said.out, said.err);
    }
    let help = quire_check(&["--help"]);
    assert!(help.code == 0 && help.out.contains("Exit codes:"), "{}", help.out);
}

#[test]
fn the_directory_is_found_by_every_name_it_has() {
    let place = Place::of(&Directory::of([two_commits()]).ours());
    let manifest = place.log().join("appendonly.aof.manifest");
    let config = place.dir.path().join("quire.conf");
    let dir = place.text();
    fs::write(&config, format!("dir {dir}\nport 7000\n")).expect("the directory is ours");
    let text = |path: &std::path::Path| path.to_str().expect("UTF-8").to_owned();
    for args in [
        &[dir.as_str()][..],
        &[&text(&place.log())],
        &[&text(&manifest)],
        &["--config", &text(&config)],
    ] {
        let said = quire_check(args);
        assert!(said.code == 0 && said.out.contains("1 files listed"), "{args:?}: {}", said.err);
    }
}

#[test]
fn nobody_to_ask_means_no() {
    let place = Place::of(&Directory::of([two_commits().torn(3)]).ours());
    let said = place.run(&["--fix"]);
    assert!(said.code == 1 && said.out.contains("give --yes"), "{}{}", said.out, said.err);
    assert!(said.err.contains("This will be done"), "{}", said.err);
}

#[test]
fn copies_go_where_they_are_told_to_and_never_over_others() {
    let place = Place::of(&Directory::of([two_commits().torn(3)]).ours());
    let aside = place.dir.path().join("kept");
    let told = aside.to_str().expect("test paths are UTF-8");
    fs::create_dir(&aside).expect("the directory is ours");
    fs::write(aside.join("mine"), "x").expect("the directory is ours");
    let said = place.run(&["--fix", "--yes", "--aside", told]);
    assert!(said.code == 3 && said.err.contains(told), "{}{}", said.out, said.err);
    place.expect(1, &[]);
    fs::remove_file(aside.join("mine")).expect("it was made");
    let said = place.run(&["--fix", "--yes", "--aside", told]);
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    let report = fs::read_to_string(aside.join("report.json")).expect("it was written");
    assert!(report.contains("\"kind\":\"torn-tail\""), "{report}");
}

#[test]
fn a_read_only_copy_can_be_checked() {
    let place = Place::of(&Directory::of([two_commits(), other()]).ours());
    let mount =
        "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && exec \"$2\" \"$1\"";
    let program = env!("CARGO_BIN_EXE_quire-check");
    let said =
        crate::support::run("unshare", &["-rm", "sh", "-c", mount, "sh", &place.text(), program]);
    assert!(said.contains("2 files listed"), "{said}");
}

#[test]
fn a_dump_shows_commits_and_commands() {
    let segment = Segment::new(0, 1).commit(&["SET a 1", "SET b x\"y"]).claim(2).end();
    let end = segment.bytes.len() - 69;
    let place = Place::of(&Directory::of([segment.raw(b"junk")]).ours());
    let file = "appendonly.aof.1.s0.incr.aof";
    let said = place.run(&["--dump", file, "--commands"]);
    for part in ["0  commit   LSN 1-2, 2 batches", "SET b \"x\\\"y\"", "behind LSN 2", "DAMAGE"] {
        assert!(said.out.contains(part), "{part} is not in:\n{}", said.out);
    }
    assert_eq!(said.code, 0);
    let json = place.run(&["--dump", file, "--json"]).out;
    let line = format!("{{\"item\":\"end\",\"offset\":{end},\"bytes\":69,\"last_lsn\":2,");
    assert!(json.lines().count() == 3 && json.contains(&line), "{json}");
}
