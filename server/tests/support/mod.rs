//! What the tests stand on: processes to start and kill, a small client, and the model that knows
//! what was acknowledged.

pub mod bank;
pub mod client;
pub mod load;
pub mod model;
pub mod process;

use std::{path::Path, process::Command};

/// Runs a program to its end; its output. Panics, with all it said, when it fails.
pub fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .output()
        .unwrap_or_else(|e| panic!("{program} is needed by the tests (see .ci/test): {e}"));
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{program} {args:?}: {}\n{said}", output.status);
    said
}

/// Copies a directory of files and directories.
pub fn copy_tree(from: &Path, to: &Path) {
    let text = |path: &Path| path.to_str().expect("test paths are UTF-8").to_owned();
    run("cp", &["-a", &text(from), &text(to)]);
}
