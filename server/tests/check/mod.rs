//! `quire-check` as a process: every kind of damage made by hand, what it says, how it exits, and
//! what its repair makes of the directory: Quire and stock Redis load it, or the refusal is clear.

#[path = "../../../engine/tests/recovery/segments.rs"]
mod builder;

mod damage; // stable data is gone or has changed
mod directory; // manifests, missing and strange files
mod in_time; // back to a second
mod redis_parts; // what stock Redis wrote
mod snapshots; // RDB files, and what is exported
mod torn; // ends that a crash left behind
mod usage; // command line, lock, documents, dump

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use builder::{Directory, Segment};
use quire_engine::io::{Storage, sim::run};
use tempfile::TempDir;

use crate::support::{
    copy_tree,
    process::{Launch, fresh_dir},
};

/// A directory of the builder on a real disk.
struct Place {
    dir: TempDir,
}

/// What one run of the program said.
struct Said {
    code: i32,
    out: String,
    err: String,
}

fn spoken(output: &Output) -> Said {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let code = output.status.code().expect("quire-check ends by itself");
    Said { code, out: text(&output.stdout), err: text(&output.stderr) }
}

fn quire_check(args: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_quire-check"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the program is built beside the tests");
    spoken(&output)
}

/// `SET a 1`, `SET b 2`: LSN 1 and 2, in two commits; the second claims the first.
fn two_commits() -> Segment {
    Segment::new(0, 1).commit(&["SET a 1"]).claim(1).commit(&["SET b 2"])
}

/// Another shard's log.
fn other() -> Segment {
    Segment::new(1, 2).commit(&["SET c 3"]).claim(1).commit(&["SET d 4"])
}

impl Place {
    fn of(directory: &Directory) -> Self {
        let place = Self { dir: fresh_dir() };
        fs::create_dir(place.log()).expect("the directory is fresh");
        for (name, _) in run(directory.disk.list()).expect("the simulated disk does not fail") {
            let bytes = directory.disk.bytes(&name).expect("it was listed");
            fs::write(place.log().join(name), bytes).expect("the directory is ours");
        }
        place
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("appendonlydir")
    }

    fn text(&self) -> String {
        self.dir.path().to_str().expect("test paths are UTF-8").to_owned()
    }

    fn run(&self, args: &[&str]) -> Said {
        let dir = self.text();
        quire_check(&[&[dir.as_str()], args].concat())
    }

    fn contents(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let entries = fs::read_dir(self.log()).expect("it exists");
        let paths = entries.map(|entry| entry.expect("it is readable").path());
        let read = |path: PathBuf| fs::read(&path).ok().map(|bytes| (path, bytes));
        let mut all: Vec<_> = paths.filter_map(read).collect();
        all.sort();
        all
    }

    /// Checks: this exit code, and each of these fragments of the JSON document.
    fn expect(&self, code: i32, fragments: &[&str]) -> &Self {
        let before = self.contents();
        let said = self.run(&["--json"]);
        for fragment in fragments {
            assert!(said.out.contains(fragment), "{fragment} is not in:\n{}", said.out);
        }
        assert_eq!(said.code, code, "{}{}", said.out, said.err);
        let human = self.run(&[]);
        assert_eq!(human.code, code, "the same without --json: {}", human.out);
        assert_eq!(self.contents(), before, "looking has changed something");
        self.agrees_with_the_server(code);
        self
    }

    /// The server starts on a copy exactly if the code says so.
    fn agrees_with_the_server(&self, code: i32) {
        let scratch = fresh_dir();
        let copy = scratch.path().join("copy");
        copy_tree(self.dir.path(), &copy);
        let launch = Launch::quire(&copy).with(&["--shards", "2"]);
        if code < 2 {
            launch.start().stop();
        } else {
            let (status, said) = launch.start_refused();
            assert!(!status.success(), "the server starts on what is damaged:\n{said}");
        }
    }

    /// Repairs: Quire and stock Redis then load the same keys, and what was cut is kept.
    fn repaired(&self, args: &[&str], keys: &[(&str, &str)]) -> Said {
        let before = self.contents();
        let said = self.run(&[&["--fix", "--yes"], args].concat());
        assert_eq!(said.code, 0, "{}{}", said.out, said.err);
        let again = self.run(&["--fix", "--yes"]);
        assert!(again.code == 0 && again.out.contains("nothing to repair"), "{}", again.out);
        self.nothing_is_lost(&before);
        self.loads(keys);
        said
    }

    /// Every byte that is gone from a file is in the copies, filler excepted.
    fn nothing_is_lost(&self, before: &[(PathBuf, Vec<u8>)]) {
        let aside = fs::read_dir(self.log()).expect("it exists").flatten().map(|e| e.path());
        let aside = aside.into_iter().find(|path| path.is_dir()).expect("copies were made");
        for (path, old) in before {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let new = fs::read(path).unwrap_or_default();
            if name == "quire.lock" {
                continue;
            }
            let kept = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
            if name.ends_with(".manifest") {
                assert_eq!(fs::read(aside.join(&name)).ok().as_ref(), Some(old));
                continue;
            }
            let copies = fs::read_dir(&aside).expect("it exists").flatten().map(|e| e.path());
            let prefix = format!("{name}.from-");
            let copy = copies.into_iter().find_map(|path| {
                let name = path.file_name()?.to_str()?.to_owned();
                let from: usize = name.strip_prefix(&prefix)?.parse().ok()?;
                Some((from, fs::read(path).ok()?))
            });
            let rest = match copy {
                Some((from, copied)) => {
                    assert_eq!(old[from..from + copied.len()], copied, "{name}");
                    &old[from + copied.len()..]
                }
                None => &old[kept..],
            };
            assert!(rest.iter().all(|byte| b"#.\n".contains(byte)), "{name} has lost bytes");
        }
    }

    /// Quire and stock Redis load exactly these keys, from copies.
    fn loads(&self, keys: &[(&str, &str)]) {
        let loaded = self.run(&["--load", "--json"]);
        let scratch = fresh_dir();
        let digests: Vec<String> = ["quire", "redis"]
            .map(|name| {
                let copy = scratch.path().join(name);
                copy_tree(self.dir.path(), &copy);
                let server = match name {
                    "quire" => Launch::quire(&copy).with(&["--shards", "2"]).start(),
                    _ => {
                        check_aof(&copy);
                        Launch::redis(&copy).start()
                    }
                };
                let mut client = server.client();
                for (key, value) in keys {
                    assert_eq!(client.ask(&["GET", key]).text(), *value, "{name}: {key}");
                }
                let size = client.ask(&["DBSIZE"]);
                assert_eq!(size, crate::support::client::Reply::Int(keys.len() as i64), "{name}");
                client.ask(&["DEBUG", "DIGEST"]).text()
            })
            .to_vec();
        assert_eq!(digests[0], digests[1], "stock Redis loads something else");
        let digest = format!("\"digest\":\"{}\"", digests[0]);
        assert!(loaded.out.contains(&digest), "{digest} is not in {}", loaded.out);
    }

    /// A repair is refused, says why, and has changed nothing.
    fn not_repaired(&self, args: &[&str], words: &[&str]) -> &Self {
        let before = self.contents();
        let said = self.run(&[&["--fix", "--yes"], args].concat());
        assert_eq!(said.code, 2, "{}{}", said.out, said.err);
        for word in words {
            assert!(said.out.contains(word), "{word:?} is not in:\n{}", said.out);
        }
        let without_lock = |all: Vec<(PathBuf, Vec<u8>)>| {
            all.into_iter().filter(|(path, _)| !path.ends_with("quire.lock")).collect::<Vec<_>>()
        };
        assert_eq!(
            without_lock(self.contents()),
            without_lock(before),
            "a refusal changes nothing"
        );
        self
    }
}

fn check_aof(dir: &Path) {
    let manifest = dir.join("appendonlydir/appendonly.aof.manifest");
    let said =
        crate::support::run("redis-check-aof", &[manifest.to_str().expect("test paths are UTF-8")]);
    assert!(said.contains("All AOF files and manifest are valid"), "{said}");
}

/// The fragment of a finding up to its place.
fn finding(severity: &str, kind: &str, file: &str, offset: Option<usize>) -> String {
    let offset = offset.map_or_else(|| "null".to_owned(), |at| at.to_string());
    format!(
        "\"severity\":\"{severity}\",\"kind\":\"{kind}\",\"file\":\"{file}\",\"offset\":{offset},"
    )
}

/// The fragment of what is lost.
fn lost(first: u64, last: u64, commits: u64) -> String {
    format!("\"lost\":{}", stretch(first, last, commits))
}

/// The fragment of what stands whole behind it.
fn behind(first: u64, last: u64, commits: u64) -> String {
    format!("\"behind\":{}", stretch(first, last, commits))
}

fn stretch(first: u64, last: u64, commits: u64) -> String {
    let batches = last + 1 - first;
    format!(
        "{{\"first_lsn\":{first},\"last_lsn\":{last},\"batches\":{batches},\"commits\":{commits},"
    )
}
