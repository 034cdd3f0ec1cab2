//! Instructions per operation of the hot paths: parser, table, log encoding, commits, commands.
//!
//! ```text
//! cargo bench -p quire-bench --bench micro                   all cases under callgrind
//! cargo bench -p quire-bench --bench micro -- table          those whose names contain `table`
//! cargo bench -p quire-bench --bench micro -- --save before  remember the numbers
//! cargo bench -p quire-bench --bench micro -- --against before
//! cargo bench -p quire-bench --bench micro -- --time         nanoseconds instead, no valgrind
//! ```
//! Instructions do not depend on what else the machine does, so a change of one percent is
//! visible on any machine; what they cost in cache misses is not. Every case runs in a process of
//! its own under `valgrind --tool=callgrind`, which counts only inside [`measured`].

#[path = "micro/cases.rs"]
mod cases;

use std::{
    collections::BTreeMap,
    env, fs, io,
    path::PathBuf,
    process::{Command, ExitCode},
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use cases::{CASES, Case};

static MEASURED_NS: AtomicU64 = AtomicU64::new(0);

/// What callgrind counts: everything below this function, found by its name. Setup stays outside.
#[inline(never)]
fn measured(body: &mut dyn FnMut()) {
    let started = Instant::now();
    body();
    // Also keeps the call from becoming a jump, which callgrind would take for a return.
    MEASURED_NS.fetch_add(started.elapsed().as_nanos() as u64, Ordering::Relaxed);
}

/// What was asked for.
#[derive(Debug, Default)]
struct Arguments {
    filter: Option<String>,
    time: bool,
    /// Run this one and say how many operations it was: the process under valgrind.
    case: Option<String>,
    save: Option<String>,
    against: Option<String>,
}

fn arguments() -> Result<Arguments, String> {
    let mut found = Arguments::default();
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
        match word.as_str() {
            // cargo bench says so.
            "--bench" => {}
            "--time" => found.time = true,
            "--case" => found.case = Some(value()?),
            "--save" => found.save = Some(value()?),
            "--against" => found.against = Some(value()?),
            other if other.starts_with('-') => return Err(format!("unknown option {other}")),
            other => found.filter = Some(other.to_owned()),
        }
    }
    Ok(found)
}

/// Where `--save NAME` keeps numbers.
fn saved(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("micro-{name}"))
}

/// Instructions and operations of one case, in a process of its own.
fn instructions(case: &Case) -> io::Result<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .args(["--toggle-collect=*micro*measured*", "--error-limit=no"])
        .arg(env::current_exe()?)
        .args(["--case", case.name])
        .output()
        .map_err(|e| io::Error::new(e.kind(), format!("valgrind does not start: {e}")))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let operations = String::from_utf8_lossy(&output.stdout).trim().parse::<f64>();
    read_collected(&said).zip(operations.ok()).map(|(i, n)| i / n).ok_or_else(|| {
        io::Error::other(format!("{} under valgrind ({}):\n{said}", case.name, output.status))
    })
}

/// Reads `==123== Collected : 4567`.
fn read_collected(said: &str) -> Option<f64> {
    let line = said.lines().find_map(|l| Some(l.split_once("Collected :")?.1))?;
    line.trim().parse().ok().filter(|&n: &f64| n > 0.0)
}

/// Nanoseconds per operation: the best of ten runs.
fn nanoseconds(case: &Case) -> f64 {
    let one = || {
        MEASURED_NS.store(0, Ordering::Relaxed);
        let operations = (case.run)();
        MEASURED_NS.load(Ordering::Relaxed) as f64 / operations as f64
    };
    (0..10).map(|_| one()).fold(f64::MAX, f64::min)
}

fn read_saved(name: &str) -> io::Result<BTreeMap<String, f64>> {
    let path = saved(name);
    let text = fs::read_to_string(&path)
        .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
    let line = |line: &str| {
        let (name, number) = line.rsplit_once(' ')?;
        Some((name.to_owned(), number.parse().ok()?))
    };
    Ok(text.lines().filter_map(line).collect())
}

fn run(arguments: &Arguments) -> io::Result<()> {
    if let Some(name) = &arguments.case {
        let case = CASES.iter().find(|c| c.name == name.as_str());
        let case = case.ok_or_else(|| io::Error::other(format!("no case is called {name}")))?;
        println!("{}", (case.run)());
        return Ok(());
    }
    let before = arguments.against.as_deref().map(read_saved).transpose()?.unwrap_or_default();
    let unit = if arguments.time { "ns/op" } else { "instructions/op" };
    println!("{:<28}{unit:>18}", "case");
    let mut lines = String::new();
    for case in CASES {
        if arguments.filter.as_ref().is_some_and(|f| !case.name.contains(f.as_str())) {
            continue;
        }
        let number = if arguments.time { nanoseconds(case) } else { instructions(case)? };
        let change = before.get(case.name).map_or_else(String::new, |before| {
            format!("{:>+9.2} %", (number / before - 1.0) * 100.0)
        });
        println!("{:<28}{number:>18.1}{change}", case.name);
        lines.push_str(&format!("{} {number}\n", case.name));
    }
    if let Some(name) = &arguments.save {
        fs::write(saved(name), lines)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let done = arguments().map_err(io::Error::other).and_then(|arguments| run(&arguments));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("micro: {e}");
            ExitCode::FAILURE
        }
    }
}
