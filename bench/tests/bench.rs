//! The program as people start it, on real servers: what it prints is sane, whatever the times.
//!
//! Quire's server is taken from where the test itself was built, as `cargo test --workspace` and
//! `.ci/test` put it there. What it prints as JSON is read by Python, another implementation.

use std::{
    io::Write as _,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quire-bench")).args(arguments).output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The standard output of a run that must end with this code.
fn ends_with(code: i32, arguments: &[&str]) -> String {
    let output = bench(arguments);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{out}\n{err}");
    out
}

fn quire() -> PathBuf {
    let path = PathBuf::from(env!("CARGO_BIN_EXE_quire-bench")).with_file_name("quire-server");
    assert!(path.exists(), "{}: build it: cargo build -p quire-server", path.display());
    path
}

/// Runs Python statements on `d`, the parsed JSON; `says` prints of them are returned.
fn python(json: &str, statements: &str) {
    let program = format!("import json,sys\nd=json.load(sys.stdin)\n{statements}");
    let mut child = Command::new("python3")
        .args(["-c", &program])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    stdin.write_all(json.as_bytes()).expect("python reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}\n{json}", text(&output.stderr));
}

fn folder() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("a folder");
    let name = dir.path().display().to_string();
    (dir, name)
}

#[test]
fn a_scenario_on_quire_and_stock_yields_sane_json() {
    let (_dir, dir) = folder();
    let quire = format!("quire={} --shards 2", quire().display());
    let json = ends_with(
        0,
        &[
            "run",
            "--scenario",
            "mixed",
            "--start",
            &quire,
            "--start",
            "redis",
            "--requests",
            "4000",
            "--keys",
            "500",
            "--runs",
            "2",
            "--repeats",
            "0",
            "--threads",
            "2",
            "--dir",
            &dir,
            "--json",
        ],
    );
    python(
        &json,
        "\
assert d['environment']['kernel'] and d['environment']['cpus'] >= 1
assert [s['version'].split()[0] for s in d['environment']['servers']] == ['quire', 'redis']
assert d['load']['tool'] == 'own' and d['load']['loop'] == 'closed' and d['load']['threads'] == 2
[row] = d['rows']
assert [s['name'] for s in row['subjects']] == ['quire', 'redis']
for s in row['subjects']:
    assert len(s['rounds']) == 2 and s['errors'] == 0
    for r in s['rounds']:
        assert r['ops_per_second'] > 0 and r['cpu_us_per_op'] >= 0 and r['rss_mib'] > 1
        assert 1 <= r['p50_us'] <= r['p99_us'] <= r['p999_us'] <= r['max_us']
        assert 'hit_percent' not in r, 'every key was set before'
assert row['ratios'][0]['of'] == 'redis' and row['ratios'][0]['ops_per_second'] > 0
",
    );
}

#[test]
fn an_open_loop_answers_everything_that_was_due() {
    let (_dir, dir) = folder();
    let json = ends_with(
        0,
        &[
            "run",
            "--mix",
            "set",
            "--start",
            "redis",
            "--rate",
            "2000",
            "--seconds",
            "0.5",
            "--runs",
            "1",
            "--repeats",
            "0",
            "--dir",
            &dir,
            "--json",
        ],
    );
    python(
        &json,
        "\
assert d['load']['loop'] == 'open' and d['load']['rate'] == 2000
[r] = d['rows'][0]['subjects'][0]['rounds']
assert r['unanswered'] == 0 and 0 < r['ops_per_second'] <= 2400
",
    );
}

#[test]
fn other_tools_are_driven_and_read() {
    let (_dir, dir) = folder();
    let json = ends_with(
        0,
        &[
            "run",
            "--mix",
            "get",
            "--start",
            "redis",
            "--load",
            "redis-benchmark",
            "--requests",
            "5000",
            "--keys",
            "500",
            "--runs",
            "1",
            "--repeats",
            "0",
            "--dir",
            &dir,
            "--json",
        ],
    );
    python(
        &json,
        "\
assert d['load']['tool'] == 'redis-benchmark'
[r] = d['rows'][0]['subjects'][0]['rounds']
assert r['ops_per_second'] > 0 and r['p50_us'] <= r['max_us'] and r['errors'] == 0
",
    );
}

#[test]
fn error_replies_are_counted_shown_and_make_the_exit_code() {
    let (_dir, dir) = folder();
    let arguments = [
        "run",
        "--command",
        "NOSUCH {key:}",
        "--start",
        "redis",
        "--requests",
        "100",
        "--runs",
        "1",
        "--repeats",
        "0",
        "--dir",
        &dir,
    ];
    let table = ends_with(3, &arguments);
    assert!(table.contains("first with -ERR unknown command 'NOSUCH'"), "{table}");
    let mut arguments = arguments.to_vec();
    arguments.extend(["--load", "redis-benchmark"]);
    let table = ends_with(3, &arguments);
    assert!(table.contains("unknown command 'NOSUCH'"), "{table}");
}

#[test]
fn wrong_arguments_and_absent_servers_have_their_exit_codes() {
    ends_with(64, &["run", "--runs", "0"]);
    ends_with(64, &["dance"]);
    ends_with(0, &["--help"]);
    ends_with(1, &["run"]);
    ends_with(1, &["run", "--target", "127.0.0.1:1"]);
    ends_with(1, &["run", "--start", "x=/nonexistent", "--dir", "/tmp"]);
}

#[test]
fn hit_rates_are_of_the_same_requests() {
    let (_dir, dir) = folder();
    // Stock Redis on both sides: the same requests, the same limit, the same number of reads.
    let json = ends_with(
        0,
        &[
            "hit-rate",
            "--quire",
            "redis-server",
            "--maxmemory",
            "3mb",
            "--requests",
            "20000",
            "--keys",
            "20000",
            "--value-bytes",
            "500",
            "--dir",
            &dir,
            "--json",
        ],
    );
    python(
        &json,
        "\
a, b = d['servers']
assert a['reads'] == b['reads'] == 10000 and a['errors'] == b['errors'] == 0
for s in (a, b):
    assert 0 < s['hits'] < s['reads'] and s['evicted_keys'] > 0
    assert s['maxmemory_bytes'] == 3 << 20 and 0 < s['used_memory_max_bytes']
",
    );
}

#[test]
fn stalls_are_looked_for_while_everything_is_freed() {
    let (_dir, dir) = folder();
    let quire = quire().display().to_string();
    let arguments = [
        "stalls",
        "--elements",
        "20000",
        "--seconds",
        "0.3",
        "--runs",
        "1",
        // Whatever the machine does meanwhile.
        "--bound-ms",
        "10000",
        "--quire",
        &quire,
        "--dir",
        &dir,
    ];
    let table = ends_with(0, &arguments);
    for part in ["UNLINK of a set of 20000 members", "FLUSHALL ASYNC of 20000 keys", "within"] {
        assert!(table.contains(part), "{part} is not in\n{table}");
    }
}

#[test]
fn snapshots_and_starts_of_both_servers_are_measured() {
    let (_dir, dir) = folder();
    let quire = quire().display().to_string();
    let few = ["--keys", "2000", "--runs", "1", "--quire", &quire, "--dir", &dir];
    for save in ["bgsave", "bgrewriteaof"] {
        let mut arguments = vec!["checkpoint", "--seconds", "0.5", "--save", save];
        arguments.extend(few);
        let table = ends_with(0, &arguments);
        for part in ["quire: peak", "redis: peak", "saving", "cut: p50", "idle"] {
            assert!(table.contains(part), "{part} is not in\n{table}");
        }
        assert!(!table.contains("NaN"), "{table}");
    }
    let mut arguments = vec!["recovery", "--shards", "1,2"];
    arguments.extend(few);
    // It counts the keys itself, before and after.
    let table = ends_with(0, &arguments);
    for part in ["quire/1", "quire/2", "redis", "quire/1 is "] {
        assert!(table.contains(part), "{part} is not in\n{table}");
    }
}
